//! Consistency of the documents: generated tables, links, examples.

use crate::support::hub::OCELLI;
use crate::support::tempdir::Dir;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir()
            && !["target", "node_modules", "dist", ".git"]
                .iter()
                .any(|skip| name == *skip)
        {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

#[test]
fn the_reference_matches_the_program() {
    let page = fs::read_to_string(root().join("docs/reference/sources.md")).unwrap_or_default();
    assert!(
        page == ocelli::cli::reference::text(),
        "docs/reference/sources.md is out of date: ocelli reference > docs/reference/sources.md"
    );
}

#[test]
fn no_link_is_broken() {
    let mut pages = Vec::new();
    documents(&root(), &mut pages);
    assert!(pages.len() > 5, "the documents were not found");
    let mut dead = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(page).expect("a document");
        for (at, _) in text.match_indices("](") {
            let link = &text[at + 2..];
            let link = &link[..link.find(')').unwrap_or(0)];
            let file = link.split('#').next().unwrap_or_default();
            let elsewhere = link.contains("://") || link.starts_with("mailto:");
            let folder = page.parent().expect("a folder");
            if !elsewhere && !file.is_empty() && !folder.join(file).exists() {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links: {dead:#?}");
}

#[test]
fn camera_examples_in_the_documents_are_valid() {
    let folder = Dir::new("documents");
    let config = folder.0.join("ocelli.toml");
    let mut found = Vec::new();
    documents(&root(), &mut found);
    let mut checked = 0;
    for document in found {
        let text = fs::read_to_string(&document).expect("a document");
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            // Other blocks are fragments, or need additional files.
            if !block.starts_with("[[camera]]") || block.contains("_file") {
                continue;
            }
            fs::write(&config, block).expect("the file is written");
            let mut check = Command::new(OCELLI);
            let output = check.arg("check-config").arg(&config).output();
            let output = output.expect("the program runs");
            assert!(
                output.status.success(),
                "{}:\n{block}\n{output:?}",
                document.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 8, "only {checked} blocks were found");
}

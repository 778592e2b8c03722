//! The layers of the code: no modules import each other in a loop, and no crate uses one above
//! it.
//!
//! The compiler rejects loops between crates, but neither upward dependencies nor loops between
//! the modules of a crate.

#![allow(
    clippy::unwrap_used,
    reason = "an unreadable source file must fail the test"
)]

mod crates;
mod modules;
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the folders of the workspace's crates, relative to its root.
fn crate_folders(root: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(root.join("crates")).unwrap();
    let folders = folders.map(|entry| Path::new("crates").join(entry.unwrap().file_name()));
    let mut folders: Vec<_> = folders.chain([PathBuf::from("benches")]).collect();
    folders.retain(|folder| root.join(folder).join("Cargo.toml").is_file());
    folders.sort();
    folders
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn modules_do_not_import_in_a_loop() {
    let root = root();
    let mut found = String::new();
    for folder in crate_folders(&root) {
        let read = |file: &Path| fs::read_to_string(root.join(file)).ok();
        let mut files = 0;
        for crate_root in ["src/lib.rs", "src/main.rs"] {
            let graph = modules::graph(&folder.join(crate_root), &read);
            files += graph.len();
            found += &modules::loops(&graph).concat();
        }
        assert!(files > 0, "{} has no source", folder.display());
    }
    assert!(found.is_empty(), "\n{found}");
}

#[test]
fn crates_use_only_those_below_them() {
    let root = root();
    let mut found = Vec::new();
    for folder in crate_folders(&root) {
        let manifest = fs::read_to_string(root.join(folder).join("Cargo.toml")).unwrap();
        found.extend(crates::breaches(&manifest));
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Returns the import loops of a crate with these files.
fn loops_of(files: &[(&str, &str)]) -> Vec<String> {
    let files: BTreeMap<_, _> = files.iter().copied().collect();
    let read = |file: &Path| Some((*files.get(file.to_str()?)?).to_owned());
    let graph = modules::graph(Path::new("lib.rs"), &read);
    assert_eq!(graph.len(), files.len(), "each file is found");
    modules::loops(&graph)
}

#[test]
fn a_planted_loop_is_found_in_every_notation() {
    let lib = "pub mod a; mod b { pub mod c; } pub use a::A; use std::fmt;";
    let c = "use crate::A; pub struct C(A);";
    for a in [
        "use crate::b::c::C; pub struct A;",
        "use crate::b::{self, c}; pub struct A(b::c::C);",
        "use crate::b::c as d; pub struct A(d::C);",
        "pub struct A; fn f() { g::<crate::b::c::C>() }",
        "use super::b::*; use c::*; pub struct A;",
        "pub use crate::b::c::C as D; pub struct A(D);",
    ] {
        let found = loops_of(&[("lib.rs", lib), ("a.rs", a), ("b/c.rs", c)]);
        assert_eq!(found.len(), 1, "{a}");
        assert!(found[0].contains("b/c.rs imports a.rs: A\n"), "{found:?}");
    }
    for a in [
        "pub struct A; #[cfg(test)] mod tests { use crate::b::c::C; }",
        "/// [`crate::b::c::C`]\npub struct A;",
        "pub use crate::b::c::C; pub struct A;",
    ] {
        let found = loops_of(&[("lib.rs", lib), ("a.rs", a), ("b/c.rs", c)]);
        assert_eq!(found, [""; 0], "{a}");
    }
}

#[test]
fn a_parent_and_child_form_a_loop_only_if_both_import_from_each_other() {
    let of = |parent: &str, child: &str| {
        let files = [
            ("lib.rs", "mod parent;"),
            ("parent/mod.rs", parent),
            ("parent/child.rs", child),
            ("parent/other.rs", "pub struct Other;"),
        ];
        loops_of(&files).len()
    };
    let facade = "mod child; mod other; pub use child::Child; pub use other::Other;";
    assert_eq!(of(facade, "use super::Other; pub struct Child(Other);"), 0);
    let definer = "mod child; mod other; pub struct Own; pub use child::Child;";
    assert_eq!(of(definer, "use super::Own; pub struct Child(Own);"), 0);
    let user = "mod child; mod other; use child::Child; pub struct Own(Child);";
    assert_eq!(of(user, "pub struct Child;"), 0);
    assert_eq!(of(user, "use super::Own; pub struct Child(Own);"), 1);
    assert_eq!(of(user, "pub struct Child(super::Own);"), 1);
    let caller = "mod child; mod other; pub struct Own; fn f() { child::f() }";
    assert_eq!(of(caller, "use super::Own; pub fn f() -> Own {}"), 1);
}

//! The dependencies that are allowed between the crates of this repository.

/// The crates from the lowest layer up, each with the crates it may use. The list may name a
/// crate that does not exist yet; every existing crate must be listed.
pub const LAYERS: [(&str, &[&str]); 8] = [
    // Ground layer.
    ("ocelli-config", &[]),
    ("ocelli-core", &[]),
    ("ocelli-series", &[]),
    // Media and net.
    ("ocelli-media", GROUND),
    ("ocelli-net", GROUND),
    // The program.
    (
        "ocelli",
        &[
            "ocelli-config",
            "ocelli-core",
            "ocelli-series",
            "ocelli-media",
            "ocelli-net",
        ],
    ),
    // Tests and benchmarks, which use the program from outside. Any crate may use the testkit
    // for its tests.
    (TESTKIT, &[]),
    ("ocelli-bench", &[TESTKIT]),
];

const GROUND: &[&str] = &["ocelli-config", "ocelli-core", "ocelli-series"];
const TESTKIT: &str = "ocelli-testkit";

/// Returns the forbidden dependencies in this manifest.
pub fn breaches(manifest: &str) -> Vec<String> {
    let (mut section, mut name) = (String::new(), String::new());
    let mut used = Vec::new();
    for line in manifest.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']').to_owned();
        }
        if section == "package"
            && let Some(value) = line.strip_prefix("name")
        {
            name = value.trim_matches([' ', '=', '"']).to_owned();
        }
        if section.contains("dependencies") {
            let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            let own = words.filter(|word| *word == "ocelli" || word.starts_with("ocelli-"));
            used.extend(own.map(|word| (section.clone(), word.to_owned())));
        }
    }
    used.dedup();
    let Some((_, allowed)) = LAYERS.iter().find(|(known, _)| *known == name) else {
        return vec![format!("{name} is missing from the list of layers")];
    };
    let allowed = |section: &str, other: &str| {
        allowed.contains(&other) || (section.contains("dev-dependencies") && other == TESTKIT)
    };
    let wrong = used
        .iter()
        .filter(|(section, other)| !allowed(section, other));
    let wrong = wrong.map(|(section, other)| format!("{name} must not use {other} ([{section}])"));
    wrong.collect()
}

#[test]
fn an_upward_dependency_is_found_in_every_notation() {
    let breaches_of =
        |dependencies: &str| breaches(&format!("[package]\nname = \"ocelli-net\"\n{dependencies}"));
    let fine = "[dependencies]\nocelli-core.workspace = true # not ocelli\nbytes = \"1\"\n\
                [dev-dependencies]\nocelli-testkit.workspace = true\n";
    assert_eq!(breaches_of(fine), [""; 0]);
    for wrong in [
        "[dependencies]\nocelli.workspace = true\n",
        "[dependencies]\nprogram = { package = \"ocelli\", path = \"../ocelli\" }\n",
        "[dependencies.ocelli]\nworkspace = true\n",
        "[target.'cfg(unix)'.dependencies]\nocelli-media = { workspace = true }\n",
        "[dependencies]\nocelli-testkit.workspace = true\n",
        "[dev-dependencies]\nocelli-media.workspace = true\n",
    ] {
        assert_eq!(breaches_of(wrong).len(), 1, "{wrong}");
    }
    assert_eq!(breaches("[package]\nname = \"ocelli-new\"\n").len(), 1);
}

//! What depends on the machine rather than on the text of files: symbolic links, sizes, devices.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up should stop"
)]

use std::fs;
use std::path::Path;
use tempfile::TempDir;
use wardline_estate::{LoadOptions, Loaded, load};

fn estate() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["systems", "flows", "maps", "runbooks"] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    fs::write(directory.path().join("wardline.yaml"), "estate: machine\n").unwrap();
    directory
}

fn codes(loaded: &Loaded) -> Vec<&'static str> {
    loaded
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.code.0)
        .collect()
}

fn check(directory: &Path) -> Loaded {
    load(directory, &LoadOptions::default())
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_cannot_lead_out_of_the_estate() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.yaml"), "system: stolen\n").unwrap();
    let directory = estate();
    std::os::unix::fs::symlink(
        outside.path().join("secret.yaml"),
        directory.path().join("systems/a.yaml"),
    )
    .unwrap();
    std::os::unix::fs::symlink(
        outside.path().join("secret.yaml"),
        directory.path().join("runbooks/r.md"),
    )
    .unwrap();
    fs::write(
        directory.path().join("flows/f.yaml"),
        "flow: f\nowner: o\nfrom: { every: \"0 2 * * *\" }\nto: { send: n.sink, runbook: runbooks/r.md }\n",
    )
    .unwrap();
    fs::write(
        directory.path().join("systems/n.yaml"),
        "system: n\nowner: o\nconnections: { sink: { null: {} } }\n",
    )
    .unwrap();
    let loaded = check(directory.path());
    assert_eq!(
        codes(&loaded),
        ["W1008", "W1008"],
        "{}",
        loaded.diagnostics.render(&loaded.sources, false)
    );
    assert!(
        loaded
            .sources
            .files()
            .all(|(_, file)| !file.text.contains("stolen"))
    );
}

#[cfg(unix)]
#[test]
fn a_link_to_a_directory_is_not_walked_into() {
    let directory = estate();
    std::os::unix::fs::symlink(
        directory.path(),
        directory.path().join("systems/round.yaml"),
    )
    .unwrap();
    assert_eq!(codes(&check(directory.path())), ["W1002"]);
}

#[test]
fn a_file_beyond_the_limit_is_refused() {
    let directory = estate();
    fs::write(
        directory.path().join("systems/a.yaml"),
        vec![b' '; (4 << 20) + 1],
    )
    .unwrap();
    assert_eq!(codes(&check(directory.path())), ["W1004"]);
}

#[test]
fn a_directory_in_place_of_a_file_is_unreadable() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("wardline.yaml")).unwrap();
    let loaded = check(directory.path());
    assert!(
        codes(&loaded).contains(&"W1002"),
        "{:?}",
        loaded.diagnostics
    );
}

#[test]
fn hostile_nesting_is_refused_without_exhausting_the_stack() {
    for text in [
        "[".repeat(200_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
    ] {
        let directory = estate();
        fs::write(directory.path().join("systems/a.yaml"), text).unwrap();
        let loaded = check(directory.path());
        assert!(loaded.diagnostics.has_errors());
    }
}

#[test]
fn a_directory_without_an_estate_says_so() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(codes(&check(directory.path())), ["W1001"]);
    assert_eq!(codes(&check(&directory.path().join("nothing"))), ["W1001"]);
}

#[test]
fn a_flood_of_problems_is_bounded_and_says_so() {
    let directory = estate();
    let keys: Vec<_> = (0..5_000).map(|index| format!("key{index}: 1")).collect();
    fs::write(
        directory.path().join("systems/a.yaml"),
        format!("system: a\n{}\n", keys.join("\n")),
    )
    .unwrap();
    let loaded = check(directory.path());
    assert_eq!(loaded.diagnostics.len(), 1_001);
    let last = loaded.diagnostics.iter().last().unwrap();
    // Five thousand unknown keys and the missing owner, of which a thousand are shown.
    assert_eq!(
        (last.code.0, last.message.as_str()),
        ("W1013", "4001 more problems are not shown")
    );
}

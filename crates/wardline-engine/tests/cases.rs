//! Estates that load but do not compile, as data: every folder of `tests/cases` holds an
//! `estate` and the `expected.txt` that `wardline check` prints for it. `UPDATE=1 cargo test
//! -p wardline-engine --test cases` rewrites what is expected; read the difference before
//! committing it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up should stop"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wardline_engine::Plan;
use wardline_estate::{LoadOptions, load};

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    cases
}

#[test]
fn every_case_prints_what_is_expected() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let cases = cases();
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let mut loaded = load(&case.join("estate"), &LoadOptions::default());
        let estate = loaded.estate.take();
        let found = loaded.diagnostics.render(&loaded.sources, false);
        let estate =
            estate.unwrap_or_else(|| panic!("{name}: the estate itself must be right\n{found}"));
        let plan = Plan::compile(Arc::new(estate), &mut loaded.diagnostics);
        assert_eq!(plan.is_some(), !loaded.diagnostics.has_errors(), "{name}");
        let mut printed = loaded.diagnostics.render(&loaded.sources, false);
        if printed.is_empty() {
            printed.push_str("no problems\n");
        }
        let file = case.join("expected.txt");
        if update {
            fs::write(&file, &printed).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if printed != expected {
            let difference = similar::TextDiff::from_lines(&expected, &printed);
            wrong.push(format!("--- {name}\n{}", difference.unified_diff()));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert!(cases.len() >= 12, "only {} cases were found", cases.len());
}

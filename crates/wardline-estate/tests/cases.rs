//! Estates as data: every folder of `tests/cases` holds an `estate` and the `expected.txt` that
//! `wardline check` prints for it. `UPDATE=1 cargo test -p wardline-estate --test cases` rewrites
//! what is expected; read the difference before committing it.
//!
//! A case whose folder has a file `secrets.txt` is loaded on a machine that has exactly the secrets
//! listed there; in the others secrets are not checked.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up should stop"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use wardline_estate::{LoadOptions, Loaded, load};

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    cases
}

fn run(case: &Path) -> Loaded {
    let secrets = fs::read_to_string(case.join("secrets.txt")).ok();
    let exists = |_: &wardline_estate::Estate, secret: &str| {
        secrets
            .as_ref()
            .is_some_and(|list| list.lines().any(|line| line == secret))
    };
    let store = fs::read_to_string(case.join("store.txt")).ok();
    let options = LoadOptions {
        store: store.as_deref().map(str::trim),
        secret_exists: secrets.is_some().then_some(&exists),
    };
    load(&case.join("estate"), &options)
}

#[test]
fn every_case_prints_what_is_expected() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let cases = cases();
    for case in &cases {
        let loaded = run(case);
        let mut printed = loaded.diagnostics.render(&loaded.sources, false);
        if printed.is_empty() {
            printed.push_str("no problems\n");
        }
        // The case may lie anywhere on the machine that runs it.
        let printed = printed.replace(&case.display().to_string(), "CASE");
        assert_eq!(
            loaded.estate.is_some(),
            !loaded.diagnostics.has_errors(),
            "{}",
            case.display()
        );
        let file = case.join("expected.txt");
        if update {
            fs::write(&file, &printed).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if printed != expected {
            wrong.push(format!(
                "--- {}\n{}",
                case.display(),
                similar::TextDiff::from_lines(&expected, &printed).unified_diff()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert!(cases.len() >= 45, "only {} cases were found", cases.len());
}

#[test]
fn json_says_the_same_as_the_text() {
    for case in cases() {
        let loaded = run(&case);
        let json = loaded.diagnostics.to_json(&loaded.sources);
        let items = json.as_array().unwrap();
        assert_eq!(items.len(), loaded.diagnostics.len());
        for (item, diagnostic) in items.iter().zip(&loaded.diagnostics) {
            assert_eq!(item["code"], diagnostic.code.0);
            if let Some(span) = diagnostic.span {
                let place = format!(
                    "{}:{}:{}",
                    item["file"].as_str().unwrap(),
                    item["line"],
                    item["column"]
                );
                assert_eq!(place, loaded.sources.place(span));
                assert!(
                    diagnostic.render(&loaded.sources, false).contains(&place),
                    "{}: {place}",
                    case.display()
                );
            }
        }
    }
}

#[test]
fn every_code_has_a_case() {
    let shown: BTreeSet<_> = cases()
        .iter()
        .flat_map(|case| run(case).diagnostics)
        .map(|diagnostic| diagnostic.code)
        .collect();
    // These need a machine in a special state and are shown by `tests/machine.rs`; the last two
    // need certificates of today, and are shown by the binary's `tests/certificates.rs`.
    let elsewhere = ["W1002", "W1004", "W1013", "W1441", "W1442"];
    let missing: Vec<_> = wardline_estate::codes::ALL
        .iter()
        .map(|entry| entry.code)
        .filter(|code| !shown.contains(code) && !elsewhere.contains(&code.0))
        .collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");
}

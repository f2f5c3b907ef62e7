//! Behaviour as data. `UPDATE=1 cargo test -p wardline-contract --test cases` rewrites what is
//! expected; read the difference before committing it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wardline_contract::{Contract, Severity, diff, needs_major, unannounced};

fn folders(name: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests")
            .join(name),
    )
    .unwrap();
    let mut all: Vec<_> = all.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn read(path: &Path) -> Contract {
    let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let (contract, findings) = Contract::read(&document);
    let errors: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    contract.unwrap()
}

fn compare(file: &Path, found: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(file, found).unwrap();
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    if expected != found {
        wrong.push(format!(
            "--- {}\nexpected:\n{expected}found:\n{found}",
            file.display()
        ));
    }
}

/// Every folder of `tests/diff`: two documents and what changed between them.
#[test]
fn changes_are_told_and_judged() {
    let mut wrong = Vec::new();
    let cases = folders("diff");
    for case in &cases {
        let (old, new) = (read(&case.join("old.json")), read(&case.join("new.json")));
        let changes = diff(&old, &new);
        let mut found = String::new();
        for change in &changes {
            found.extend([&change.to_string(), "\n"]);
        }
        found.push_str(
            match (needs_major(&changes), unannounced(&old, &new).is_empty()) {
                (true, false) => "needs a major version\n",
                (true, true) => "has its major version\n",
                (false, _) => "needs no major version\n",
            },
        );
        compare(&case.join("expected.txt"), &found, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= 35, "only {} cases were found", cases.len());
}

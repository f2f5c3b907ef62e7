//! Resources that others wrote: the official examples have to pass, and what is known to be wrong
//! has to be found. Reads the shared test data where it is there.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::fs;
use std::path::{Path, PathBuf};

use wardline_fhir::{check, read};

/// The folder of test data beside the workspace, where there is one.
fn data(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"));
    for up in ["../../..", "../../../.."] {
        let folder = beside.join(up).join("shared/testdata").join(name);
        if folder.is_dir() {
            return Some(folder);
        }
    }
    println!("skipped: no ../shared/testdata/{name} beside the workspace");
    None
}

fn json_files(directory: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    all.sort();
    all
}

#[test]
fn the_official_examples_are_valid() {
    for part in [
        "fhir/r4-examples",
        "fhir/synthea-r4",
        "fhir/r4-structuredefinitions",
        "fhir/r4-searchparameters",
    ] {
        let Some(directory) = data(part) else { return };
        let (mut good, mut all) = (0, 0);
        for file in json_files(&directory) {
            all += 1;
            let resource = read(&fs::read(&file).unwrap(), 64 << 20).unwrap();
            let outcome = check(&resource);
            if outcome.ok() {
                good += 1;
            } else {
                println!("{}", file.display());
                for issue in outcome.issues.iter().take(6) {
                    println!("    {issue}");
                }
            }
        }
        println!("{part}: {good} of {all} valid");
        assert_eq!(good, all);
    }
}

/// What the HL7 validator says of its own test cases. Those that speak of profiles, terminology
/// servers or narrative are beyond a check without a network; the score is printed.
#[test]
fn verdicts_agree_with_the_hl7_validator() {
    let Some(directory) = data("pairs/fhir-validator-outcomes") else {
        return;
    };
    let (mut same, mut all, mut beyond) = (0, 0, 0);
    for entry in fs::read_dir(directory).unwrap() {
        let case = entry.unwrap().path();
        let Ok(files) = fs::read_dir(&case) else {
            continue;
        };
        let files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
        let input = files
            .iter()
            .find(|path| path.file_name().is_some_and(|name| name == "input.json"));
        let expected = files.iter().find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("expected"))
        });
        let (Some(input), Some(expected)) = (input, expected) else {
            continue;
        };
        let Ok(wanted) = read(&fs::read(expected).unwrap(), 64 << 20) else {
            continue;
        };
        let bad = wanted["issue"].as_array().is_some_and(|issues| {
            issues
                .iter()
                .any(|one| matches!(one["severity"].as_str(), Some("error" | "fatal")))
        });
        let ours =
            read(&fs::read(input).unwrap(), 64 << 20).is_ok_and(|resource| check(&resource).ok());
        all += 1;
        if ours != bad {
            same += 1;
        } else if bad {
            beyond += 1;
        } else {
            println!("refused here only: {}", case.display());
        }
    }
    println!("same verdict: {same} of {all}; {beyond} are wrong by the HL7 validator only");
}

//! `wardline test`: each way in which a test of an estate can fail says what was expected and
//! what there was; and the tests of the example estates pass.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up should stop"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use wardline_engine::{Plan, trial};
use wardline_estate::{LoadOptions, load};

fn plan(directory: &Path) -> Plan {
    let mut loaded = load(directory, &LoadOptions::default());
    let plan = loaded
        .estate
        .take()
        .and_then(|estate| Plan::compile(Arc::new(estate), &mut loaded.diagnostics));
    plan.unwrap_or_else(|| panic!("{}", loaded.diagnostics.render(&loaded.sources, false)))
}

#[test]
fn failures_say_what_was_expected_and_what_there_was() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trial");
    let plan = plan(&directory.join("estate"));
    let mut printed = String::new();
    for trial in trial::run(&plan, None).unwrap() {
        let verdict = if trial.failures.is_empty() {
            "ok"
        } else {
            "FAILED"
        };
        writeln!(printed, "{verdict}  {}", trial.name).unwrap();
        // The names say how each must end, so that a rewritten file cannot hide a change.
        assert_eq!(
            trial.name.starts_with("wrong: "),
            !trial.failures.is_empty(),
            "{}",
            trial.name
        );
        for failure in trial.failures {
            writeln!(
                printed,
                "  {} {}",
                plan.estate.sources.place(failure.at),
                failure.message
            )
            .unwrap();
            for (title, text) in [
                ("expected", failure.expected),
                ("there was", failure.actual),
            ] {
                let Some(text) = text else { continue };
                writeln!(printed, "    {title}:").unwrap();
                for line in text.lines() {
                    writeln!(printed, "      {line}").unwrap();
                }
            }
        }
    }
    let file = directory.join("expected.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &printed).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    let difference = similar::TextDiff::from_lines(&expected, &printed);
    assert!(
        printed == expected,
        "run with UPDATE=1:\n{}",
        difference.unified_diff()
    );
}

#[test]
fn a_filter_chooses_by_name() {
    let plan = plan(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trial/estate"));
    let all = trial::run(&plan, None).unwrap();
    let some = trial::run(&plan, Some("wrong: an event")).unwrap();
    assert!(!some.is_empty() && some.len() < all.len());
    assert!(
        some.iter()
            .all(|trial| trial.name.contains("wrong: an event"))
    );
    let none = trial::run(&plan, Some("unreadable is a daed letter")).unwrap_err();
    assert_eq!(none.closest[0], "what cannot be read is a dead letter");
    assert_eq!(
        (none.closest.len(), none.tests),
        (trial::NoSuchTest::SHOWN, all.len())
    );
}

#[test]
fn the_tests_of_the_examples_pass() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut tests = 0;
    for example in fs::read_dir(examples).unwrap() {
        let example = example.unwrap().path();
        if !example.join("wardline.yaml").exists() {
            continue;
        }
        let plan = plan(&example);
        for trial in trial::run(&plan, None).unwrap() {
            assert!(
                trial.failures.is_empty(),
                "{}: {}: {:#?}",
                example.display(),
                trial.name,
                trial.failures
            );
            tests += 1;
        }
    }
    assert!(tests >= 8, "only {tests} tests were found");
}

//! Acknowledgements beside those that another implementation made of the same input.
//!
//! Its maps know the code lists of a guide and ours do not, so what is compared is what follows from structure: TA1,
//! the status of groups and sets with their codes, counts, and the segments at fault that ours finds.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::path::{Path, PathBuf};
use wardline_edi::x12::ack::{self, Acknowledgement, Answering, Form, Ta1};
use wardline_edi::x12::{Guides, Interchange, inspect};

fn pairs() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../../..", "../../../.."]
        .map(|up| beside.join(up).join("shared/testdata/pairs/pyx12-acks"))
        .into_iter()
        .find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no ../shared/testdata/pairs/pyx12-acks beside the workspace");
    }
    found
}

fn read(bytes: &[u8]) -> (Vec<Acknowledgement>, Vec<Ta1>) {
    let interchange = Interchange::parse(bytes.to_vec()).unwrap();
    let acks = interchange
        .sets()
        .filter_map(|set| ack::read(&set))
        .collect();
    let ta1 = interchange
        .interchange_acknowledgements()
        .filter_map(|s| Ta1::read(&s))
        .collect();
    (acks, ta1)
}

/// Where we judge otherwise than the other implementation, and why.
const OTHERWISE: &[(&str, &str)] = &[
    // A set that was cut off was there all the same: ours counts it.
    ("837miss", "AK9"),
    // Theirs refuses blanks at the end of GS02 as a group that is not supported.
    ("ele", "AK9"),
    // Theirs stops at the first missing part of a loop, and requires a REF*87 of version 4010 alone.
    ("multiple_trn", "AK3"),
    ("simple1", "AK3"),
    // Of a group that is refused, ours counts no set as accepted.
    ("trailer_errors", "AK9"),
    // IEA is wrong twice and TA1 has one code: ours names the count, theirs the control number.
    ("trailer_errors", "TA1"),
];

#[test]
fn answers_agree_with_those_of_another_implementation() {
    let Some(folder) = pairs() else { return };
    let mut compared = 0;
    let mut wrong = Vec::new();
    let mut cases: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    cases.sort();
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let expected = std::fs::read_dir(&case)
            .unwrap()
            .map(|e| e.unwrap().path())
            .find(|path| {
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with("expected")
            })
            .unwrap();
        let report = inspect(
            &std::fs::read(case.join("input.x12")).unwrap(),
            Some(Guides::shipped()),
        );
        let form = if name.ends_with("5010") {
            Form::F999
        } else {
            Form::F997
        };
        let how = Answering {
            form,
            control: 1,
            group_control: 1,
            date: "20260101".into(),
            time: "1200".into(),
            ta1: false,
        };
        let ours = ack::answer(&report.interchanges[0], &how).unwrap().unwrap();
        assert!(
            inspect(&ours, Some(Guides::shipped())).problems.is_empty(),
            "{name}: our answer has problems"
        );
        let (ours, theirs) = (read(&ours), read(&std::fs::read(expected).unwrap()));
        compared += 1;
        let mut differ = |what: String| {
            if !OTHERWISE
                .iter()
                .any(|(case, part)| *case == name && what.starts_with(part))
            {
                wrong.push(format!("{name}: {what}"));
            }
        };
        if ours.1 != theirs.1 {
            differ(format!("TA1 {:?}, theirs {:?}", ours.1, theirs.1));
        }
        if ours.0.len() != theirs.0.len() {
            differ(format!(
                "groups {}, theirs {}",
                ours.0.len(),
                theirs.0.len()
            ));
        }
        for (own, other) in ours.0.iter().zip(&theirs.0) {
            let head = |a: &Acknowledgement| {
                (
                    a.control.clone(),
                    a.status.clone(),
                    a.counts,
                    a.errors.clone(),
                )
            };
            if head(own) != head(other) {
                differ(format!("AK9 {:?}, theirs {:?}", head(own), head(other)));
            }
            for (own, other) in own.sets.iter().zip(&other.sets) {
                if (&own.id, &own.control, &own.status)
                    != (&other.id, &other.control, &other.status)
                {
                    differ(format!("AK2 {own:?}, theirs {other:?}"));
                }
                let mut codes = (own.errors.clone(), other.errors.clone());
                codes.0.sort();
                codes.1.sort();
                if codes.0 != codes.1 {
                    differ(format!("AK5 {:?}, theirs {:?}", codes.0, codes.1));
                }
                let at = |answer: &ack::Answer| -> Vec<_> {
                    answer
                        .faults
                        .iter()
                        .map(|f| (f.segment.clone(), f.position, f.elements.clone()))
                        .collect()
                };
                if at(own) != at(other) {
                    differ(format!("AK3 {:?}, theirs {:?}", own.faults, other.faults));
                }
            }
        }
    }
    println!("{compared} answers compared");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

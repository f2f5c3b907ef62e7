//! Real messages of many systems: each parses or is refused with a reason, none panics, and every
//! one that parses is written from its parts byte for byte.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use wardline_hl7::{Batch, Editor, inspect, roundtrip, show};

/// The folder of test data beside the workspace, where there is one.
fn testdata(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/testdata")
        .join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no ../shared/testdata/{name} beside the workspace");
    None
}

struct File {
    path: String,
    messages: usize,
    /// How many of them another library reads.
    readable: usize,
    bytes: Bytes,
}

fn files(folder: &Path) -> Vec<File> {
    let mut table = csv::Reader::from_path(folder.join("FILES.csv")).unwrap();
    let headers = table.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let (path, messages, readable) = (column("path"), column("messages"), column("hl7_ok"));
    table
        .records()
        .map(|row| {
            let row = row.unwrap();
            let bytes = std::fs::read(folder.join(&row[path])).unwrap().into();
            File {
                path: row[path].to_owned(),
                messages: row[messages].parse().unwrap(),
                readable: row[readable].parse().unwrap(),
                bytes,
            }
        })
        .collect()
}

#[test]
fn every_file_is_read_or_refused_with_a_reason() {
    let Some(folder) = testdata("hl7v2") else {
        return;
    };
    let mut wrong = Vec::new();
    for file in files(&folder) {
        let report = inspect(file.bytes.clone());
        let expected = file.readable > 0;
        if report.ok != expected {
            wrong.push(format!(
                "{}: ok is {}, {:?}",
                file.path,
                report.ok,
                report.problems.iter().map(|p| p.code).collect::<Vec<_>>()
            ));
        }
        // Where the two numbers differ, the file is one on whose split readers may disagree.
        if report.ok && !(file.readable..=file.messages).contains(&report.messages) {
            wrong.push(format!(
                "{}: {} messages, expected {}",
                file.path, report.messages, file.messages
            ));
        }
        if !report.ok {
            assert!(
                report
                    .problems
                    .iter()
                    .any(|problem| problem.code.starts_with("hl7.")),
                "{}: refused without a reason",
                file.path
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unedited_messages_are_written_byte_for_byte() {
    let Some(folder) = testdata("hl7v2") else {
        return;
    };
    let mut messages = 0;
    for file in files(&folder) {
        let Ok(batch) = Batch::parse(file.bytes.clone()) else {
            continue;
        };
        if let Err(error) = roundtrip(file.bytes.clone()) {
            assert_eq!(file.readable, 0, "{}: {error}", file.path);
        }
        for entry in batch.messages() {
            let Ok(message) = entry.parse() else { continue };
            messages += 1;
            assert_eq!(message.bytes(), &entry.bytes, "{}", file.path);
            let untouched = Editor::new(message.clone()).finish().unwrap();
            assert_eq!(untouched.bytes(), &entry.bytes, "{}", file.path);
            // Every leaf is what its own path reads, and showing does not fail.
            for (path, raw) in message.leaves() {
                assert_eq!(
                    message.get(&path).map(|read| read.bytes()),
                    Some(raw.bytes()),
                    "{} {path}",
                    file.path
                );
            }
            assert!(!show::to_text(&message).is_empty());
        }
    }
    println!("{messages} messages");
}

#[test]
fn an_edit_leaves_every_other_leaf_alone() {
    let Some(folder) = testdata("hl7v2") else {
        return;
    };
    for file in files(&folder) {
        let Ok(batch) = Batch::parse(file.bytes.clone()) else {
            continue;
        };
        let Some(message) = batch.messages().next().and_then(|entry| entry.parse().ok()) else {
            continue;
        };
        let path = wardline_hl7::Path::new("MSH-10.1.1");
        let mut edit = message.edit();
        edit.set(path, "a|new^id").unwrap();
        let edited = edit.finish().unwrap();
        assert_eq!(
            edited.value(&path).as_deref(),
            Some("a|new^id"),
            "{}",
            file.path
        );
        let others = |message: &wardline_hl7::Message| -> Vec<(String, Vec<u8>)> {
            let leaves = message
                .leaves()
                .filter(|(at, _)| (at.segment(), at.field()) != ("MSH", Some(10)));
            leaves
                .map(|(at, raw)| (at.to_string(), raw.bytes().to_vec()))
                .collect()
        };
        assert_eq!(others(&message), others(&edited), "{}", file.path);
    }
}

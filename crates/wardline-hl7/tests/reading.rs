//! Reading as cases: what is in a file, what is wrong with it, and every value with its path.
//!
//! Each folder of `tests/reading` has `input.hl7` (exact bytes) and `expected.txt`. Run with
//! `WARDLINE_BLESS=1` to write the latter anew, then review the difference.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::fmt::Write as _;
use std::path::Path;

use wardline_hl7::{Batch, inspect, roundtrip};

fn describe(bytes: &[u8]) -> String {
    let report = inspect(bytes.to_vec());
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let mut out = String::new();
    let verdict = if report.ok { "ok" } else { "refused" };
    writeln!(
        out,
        "{verdict} messages={} type={} version={} charset={}",
        report.messages,
        text(&report.message_type),
        text(&report.version),
        text(&report.charset)
    )
    .unwrap();
    for problem in &report.problems {
        writeln!(
            out,
            "{} at {} in {}",
            problem.code,
            problem.offset,
            text(&problem.segment)
        )
        .unwrap();
    }
    let Ok(batch) = Batch::parse(bytes.to_vec()) else {
        return out;
    };
    for entry in batch.messages() {
        writeln!(out, "message at {}", entry.offset).unwrap();
        let Ok(message) = entry.parse() else { continue };
        for (path, raw) in message.leaves() {
            let null = if raw.is_null() { " (null)" } else { "" };
            writeln!(out, "  {path} {:?}{null}", raw.decode()).unwrap();
        }
    }
    out
}

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reading");
    let mut count = 0;
    for case in std::fs::read_dir(folder).unwrap() {
        let case = case.unwrap().path();
        let bytes = std::fs::read(case.join("input.hl7")).unwrap();
        let described = describe(&bytes);
        if std::env::var_os("WARDLINE_BLESS").is_some() {
            std::fs::write(case.join("expected.txt"), &described).unwrap();
        }
        let expected = std::fs::read_to_string(case.join("expected.txt")).unwrap();
        assert_eq!(described, expected, "{}", case.display());
        if described.starts_with("ok") {
            assert_eq!(roundtrip(bytes), Ok(()), "{}", case.display());
        }
        count += 1;
    }
    assert!(count >= 25, "only {count} cases were found");
}

//! Files of many senders: each is read or refused with a reason, none panics, every one that is read is written from
//! its parts byte for byte, and the shipped guides find no fault with the examples of the standard's own guides.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::path::{Path, PathBuf};
use wardline_edi::x12::{Guides, Interchange, ack, inspect, inspect_reader, roundtrip};

/// The folder of test data beside the workspace, where there is one.
fn testdata(name: &str) -> Option<PathBuf> {
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

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let schema = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("schema-"));
        if path.is_dir() && !schema {
            files(&path, found);
        } else if path.is_file()
            && path
                .extension()
                .is_none_or(|e| e != "md" && e != "json" && e != "csv")
        {
            found.push(path);
        }
    }
}

#[test]
fn every_file_is_read_or_refused_with_a_reason() {
    let Some(folder) = testdata("x12") else {
        return;
    };
    let mut all = Vec::new();
    files(&folder, &mut all);
    if let Some(pairs) = testdata("pairs/pyx12-acks") {
        files(&pairs, &mut all);
    }
    let (mut read, mut refused) = (0, 0);
    for file in &all {
        let bytes = std::fs::read(file).unwrap();
        let shown = file.strip_prefix(&folder).unwrap_or(file).display();
        let report = inspect(&bytes, Some(Guides::shipped()));
        let again = inspect_reader(Slow(&bytes), Some(Guides::shipped()));
        assert_eq!(report, again, "{shown}: read otherwise in small pieces");
        match Interchange::parse(bytes.clone()) {
            Ok(interchange) => {
                read += 1;
                roundtrip(&bytes).unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert_eq!(interchange.len() as u64, report.sets, "{shown}");
                for n in 0..interchange.len() {
                    let one = interchange.split(n).unwrap();
                    let alone = Interchange::parse(one).unwrap();
                    assert_eq!(alone.len(), 1, "{shown} set {n}");
                    let (own, before) = (alone.set(0).unwrap(), interchange.set(n).unwrap());
                    assert_eq!(
                        own.bytes().trim_ascii_end(),
                        before.bytes().trim_ascii_end(),
                        "{shown} set {n}"
                    );
                    ack::read(&own);
                }
            }
            Err(error) => {
                refused += 1;
                assert!(!report.ok, "{shown}: {error}");
                assert!(
                    report.problems.iter().any(|p| p.code == error.code()),
                    "{shown}: {error}"
                );
                println!("refused {shown}: {}", error.code());
            }
        }
        if !report.ok {
            assert!(
                report.problems.iter().any(|problem| problem.refuses),
                "{shown}"
            );
        }
    }
    println!("{read} read, {refused} refused");
    assert!(read > 150, "{read}");
}

/// Gives seven bytes at a time.
struct Slow<'a>(&'a [u8]);

impl std::io::Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.len().min(7).min(into.len());
        into[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// Faults of the samples themselves, which are not ours to mend: dates that do not exist, components separated by
/// another byte than ISA16 has, an ISA without its sixteenth element.
const KNOWN: &[&str] = &[
    "managed-care.835",
    "5010_835__sample2.txt",
    "secondary-payment.835",
    "tertiary-payment.835",
    "dependent-commercial-insurance-01.837",
    "demo.cob.2ndary.example4.837",
    "demo.example6.837",
    "demo.example9.837",
    "demo.example11.837",
    "demo.example12.837",
    "out-of-network-repriced-claim.837i",
    "ppo-repriced-claim.837i",
    "x12.850.issue135.edi",
    "x12.Issue101.edi",
];

#[test]
fn the_shipped_guides_find_no_fault_with_good_examples() {
    let Some(folder) = testdata("x12") else {
        return;
    };
    let mut wrong = Vec::new();
    for set in [
        "LinuxForHealth-x12",
        "badX12",
        "moov-io-x12",
        "imsweb-x12-parser",
        "node-x12",
        "olmelabs-EdiEngine",
        "indice-EDI.Net",
        "edi-835-parser",
    ] {
        let mut all = Vec::new();
        files(&folder.join(set), &mut all);
        for file in all {
            let shown = file.strip_prefix(&folder).unwrap().display().to_string();
            let report = inspect(&std::fs::read(&file).unwrap(), Some(Guides::shipped()));
            for problem in report
                .problems
                .iter()
                .filter(|p| p.code.starts_with("x12.guide"))
            {
                let known = (problem.code == "x12.guide.elements" || shown.contains("Issue101"))
                    && KNOWN.iter().any(|name| shown.ends_with(name));
                if !known
                    && !shown.contains("error")
                    && !shown.contains("ERR")
                    && !shown.contains("rejected")
                {
                    wrong.push(format!("{shown}: segment {:?} {problem}", problem.position));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} faults:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

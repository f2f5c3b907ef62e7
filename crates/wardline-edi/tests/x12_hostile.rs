//! Input that means harm, or came to it: each case has its file and the codes that must be told of it.
//!
//! `UPDATE=1` writes the codes anew.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use proptest::prelude::*;
use std::io::Read;
use std::path::Path;
use wardline_edi::x12::{
    Area, Builder, Envelope, Exam, Guide, Guides, Interchange, Limits, Reader, Record, X12Error,
    ack, inspect, inspect_reader, roundtrip,
};

#[test]
fn each_case_is_told_by_its_codes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/x12/hostile");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    let mut told = String::new();
    for file in files
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "x12"))
    {
        let name = file.file_stem().unwrap().to_string_lossy();
        let report = inspect(&std::fs::read(file).unwrap(), Some(Guides::shipped()));
        let codes: Vec<&str> = report.problems.iter().map(|problem| problem.code).collect();
        let verdict = if report.ok { "good" } else { "refused" };
        told.push_str(&format!(
            "{name}: {verdict} sets={} {}\n",
            report.sets,
            codes.join(" ")
        ));
        assert_eq!(
            report.ok,
            codes.is_empty() || report.problems.iter().all(|p| !p.refuses),
            "{name}"
        );
        for problem in &report.problems {
            assert!(
                !problem.text.contains("4500012"),
                "{name}: a value in a problem"
            );
        }
    }
    let expected = folder.join("codes.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&expected, &told).unwrap();
    }
    assert_eq!(told, std::fs::read_to_string(expected).unwrap());
}

/// An interchange of one set with so many segments, made while it is read.
struct Endless {
    left: u64,
    segments: u64,
    pending: Vec<u8>,
    ended: bool,
}

impl Endless {
    fn new(segments: u64) -> Self {
        let head = "ISA*00*          *00*          *ZZ*A              *ZZ*B              *260101*1200*U*00401*000000001*0*P*>~GS*PO*A*B*20260101*1200*1*X*004010~ST*850*0001~BEG*00*SA*1**20260101~";
        Self {
            left: segments,
            segments,
            pending: head.into(),
            ended: false,
        }
    }
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.pending.is_empty() && !self.ended {
            let batch = self.left.min(1000);
            self.left -= batch;
            for _ in 0..batch {
                self.pending.extend_from_slice(b"PO1*1*2*EA*3.50**IN*77~");
            }
            if batch == 0 {
                self.ended = true;
                self.pending =
                    format!("SE*{}*0001~GE*1*1~IEA*1*000000001~", self.segments + 3).into();
            }
        }
        let count = into.len().min(self.pending.len());
        into[..count].copy_from_slice(&self.pending[..count]);
        self.pending.drain(..count);
        Ok(count)
    }
}

#[test]
fn ten_million_segments_are_examined_in_constant_memory() {
    let count = if cfg!(debug_assertions) {
        300_000
    } else {
        10_000_000
    };
    let before = resident();
    let report = inspect_reader(Endless::new(count), None);
    assert!(report.ok, "{:?}", report.problems);
    assert_eq!(report.segments, count + 7);
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(
            after.saturating_sub(before) < 32 << 20,
            "{} bytes more",
            after - before
        );
    }
}

/// Bytes of this process in memory, where the system says so.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split(' ')
        .nth(1)?
        .parse::<usize>()
        .ok()
        .map(|pages| pages * 4096)
}

#[test]
fn a_segment_without_end_is_refused_within_its_limit() {
    let head = "ISA*00*          *00*          *ZZ*A              *ZZ*B              *260101*1200*U*00401*000000001*0*P*>~";
    let limits = Limits {
        segment: 1 << 20,
        ..Limits::default()
    };
    let mut reader = Reader::with_limits(head.as_bytes().chain(std::io::repeat(b'x')), limits);
    let error = loop {
        match reader.next_segment() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it has no end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, X12Error::SegmentTooLong { .. }), "{error}");
    let text = format!(
        "{head}GS*PO*A*B*20260101*1200*1*X*004010~ST*850*1~{}",
        "A*1~".repeat(50)
    );
    let limits = Limits {
        set_segments: 10,
        ..Limits::default()
    };
    let error = Interchange::parse_with(text, limits).unwrap_err();
    assert_eq!(error.code(), "x12.set-too-long");
}

#[test]
fn guides_that_are_none_are_refused_with_a_reason() {
    for (text, says) in [
        ("", "empty"),
        ("- a", "map"),
        ("guide: x\nbody: 7", "list"),
        ("guide: x\nbodi: []", "`bodi`"),
        ("guide: '850'\nbody: [BEG r, 'po1']", "name of a segment"),
        ("guide: '850'\nbody: ['BEG r q']", "neither"),
        ("guide: '850'\nbody: ['BEG(01=']", "not closed"),
        ("guide: '850'\nsegments: {BEG: 'r QQ 2'}\nbody: [BEG]", "QQ"),
        (
            "guide: '850'\nsegments: {BEG: 'r C'}\nbody: [BEG]",
            "components",
        ),
        (
            "guide: '850'\nsegments: {BEG: 'r AN 9/2'}\nbody: [BEG]",
            "least",
        ),
        (
            "guide: '850'\nsegments: {XXX: 'r AN 9'}\nbody: [BEG]",
            "no segment",
        ),
        ("guide: '850'\nbody: [{a: [BEG], b: [BEG]}]", "one key"),
        ("guide: &a '850'\nbody: *a", "aliases"),
    ] {
        let error = Guide::parse(text).unwrap_err();
        assert!(error.reason.contains(says), "{text}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Any bytes, after any beginning: no panic, the same by stream and in memory, written back as they came.
    #[test]
    fn any_bytes_are_read_or_refused(head in 0_usize..3, tail in proptest::collection::vec(prop_oneof![Just(b'*'), Just(b'~'), Just(b'>'), Just(b'S'), Just(b'T'), Just(b'E'), Just(b'0'), any::<u8>()], 0..400)) {
        let isa = "ISA*00*          *00*          *ZZ*A              *ZZ*B              *260101*1200*^*00501*000000001*0*P*>~";
        let mut bytes = [&b""[..], isa.as_bytes(), format!("{isa}GS*PO*A*B*20260101*1200*1*X*004010~ST*850*0001~").as_bytes()][head].to_vec();
        bytes.extend(tail);
        let report = inspect(&bytes, Some(Guides::shipped()));
        for interchange in &report.interchanges {
            let how = ack::Answering { form: ack::Form::F999, control: 1, group_control: 1, date: "20260101".into(), time: "1200".into(), ta1: true };
            drop(ack::answer(interchange, &how));
        }
        if let Ok(interchange) = Interchange::parse(bytes.clone()) {
            prop_assert!(roundtrip(&bytes).is_ok());
            let interchange = interchange.with_guides(Guides::shipped());
            for set in interchange.sets() {
                for area in ["PO1", "N1", "2300", "HL[03=S]"] {
                    for range in set.each(set.whole(), &Area::parse(area).unwrap()) {
                        prop_assert!(range.start < range.end && range.end <= set.len());
                    }
                }
            }
            for n in 0..interchange.len() {
                prop_assert!(interchange.split(n).is_some());
            }
        }
        let mut exam = Exam::new(None);
        let mut reader = Reader::new(bytes.as_slice());
        while let Ok(Some(segment)) = reader.next_segment() {
            exam.feed(&segment);
        }
    }

    /// What is built reads back as it was meant, or is refused because a value cannot be written.
    #[test]
    fn what_is_built_is_read_back(values in proptest::collection::vec("[ -~é]{0,12}", 1..8)) {
        let mut record = Record::new("REF");
        for (n, value) in values.iter().enumerate() {
            record.put(n as u16 / 3 + 1, 1, n as u16 % 3 + 1, value.as_str());
        }
        let mut builder = Builder::new(Envelope { sender: ("ZZ".into(), "A".into()), receiver: ("ZZ".into(), "B".into()), ..Envelope::default() });
        builder.set("850", vec![Record::of("BEG", &["00", "SA", "1", "", "20260101"]), record]);
        match builder.finish() {
            Ok(bytes) => {
                let report = inspect(&bytes, None);
                prop_assert!(report.problems.is_empty(), "{:?}", report.problems);
                let interchange = Interchange::parse(bytes).unwrap();
                let set = interchange.set(0).unwrap();
                for (n, value) in values.iter().enumerate() {
                    let path = format!("REF-{:02}-{}", n / 3 + 1, n % 3 + 1).parse().unwrap();
                    prop_assert_eq!(set.value(&path).unwrap_or_default(), value.as_str());
                }
            }
            Err(_) => prop_assert!(values.iter().any(|value| value.contains(['*', ':', '~', '^']))),
        }
    }
}

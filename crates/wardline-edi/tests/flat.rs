//! Flat files: what is read, what is found wrong, and that what is written reads back.
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use wardline_edi::flat::{End, Plan, Reader, What, Writer};

fn plan(layout: &Value) -> Plan {
    Plan::from_json(layout).unwrap()
}

/// All records as JSON, and how the file ended.
fn read(plan: &Plan, input: impl Read) -> (Vec<Value>, Vec<What>, End) {
    let mut reader = Reader::new(plan, input);
    let (mut records, mut found) = (Vec::new(), Vec::new());
    while let Some(record) = reader.read().unwrap() {
        found.extend(record.problems.iter().map(|problem| problem.what));
        records.push(Value::Object(record.to_json()));
    }
    found.extend(reader.end().problems.iter().map(|problem| problem.what));
    (records, found, reader.end().clone())
}

/// Hands out a byte at a time, so that every boundary is met.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = self.0.len().min(1);
        into[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

fn receipts() -> Plan {
    plan(&json!({
        "delimited": { "delimiter": ";" },
        "records": [
            { "record": "head", "role": "header", "when": { "column": 1, "is": "H" },
              "fields": [{ "name": "type" }, { "name": "made", "type": "date", "format": "YYYYMMDD" }] },
            { "record": "receipt", "when": { "column": 1, "is": "R" },
              "fields": [{ "name": "type" }, { "name": "order", "required": true },
                         { "name": "quantity", "type": "integer" }, { "name": "amount", "type": "decimal" }] },
            { "record": "tail", "role": "trailer", "when": { "column": 1, "is": "T" },
              "fields": [{ "name": "type" }, { "name": "count", "type": "integer" }, { "name": "amount", "type": "decimal" }] },
        ],
        "totals": [
            { "in": "tail", "field": "count", "counts": "details" },
            { "in": "tail", "field": "amount", "sums": "amount" },
        ],
    }))
}

const GOOD: &str = "H;20261127\nR;4500012;2;10.10\nR;4500013;-1;0.20\nT;2;10.30\n";

#[test]
fn a_file_that_ties_is_complete() {
    let (records, found, end) = read(&receipts(), Drip(GOOD.as_bytes()));
    assert_eq!(found, []);
    assert!(end.ok());
    assert_eq!((end.records, end.details), (4, 2));
    assert_eq!(records[0]["made"], "2026-11-27");
    assert_eq!(
        records[2],
        json!({ "type": "R", "order": "4500013", "quantity": -1, "amount": "0.20" })
    );
}

#[test]
fn what_is_wrong_is_told_by_its_kind() {
    let cases: [(&str, &[What]); 14] = [
        ("H;20261127\nR;1;2;10.10\n", &[What::Order]),
        ("R;1;2;10.10\nT;1;10.10\n", &[What::Order]),
        (
            "H;20261127\nR;1;2;10.10\nT;1;10.10\nR;1;2;10.10\n",
            &[What::Order, What::Total, What::Total],
        ),
        ("H;20261127\nR;1;2;10.10\nT;2;10.10\n", &[What::Total]),
        ("H;20261127\nR;1;2;10.10\nT;1;10.11\n", &[What::Total]),
        ("H;20261127\nR;1;2;10.10\nT;1;\n", &[What::Total]),
        ("H;20261127\nR;1;2;10,10\nT;1;0\n", &[What::Type]),
        ("H;20260230\nR;1;2;1\nT;1;1\n", &[What::Type]),
        ("H;20261127\nR;;2;1\nT;1;1\n", &[What::Required]),
        ("H;20261127\nX;1;2;1\nT;0;0\n", &[What::UnknownRecord]),
        ("H;20261127\nR;1;2\nT;1;0\n", &[What::Columns]),
        (
            "H;20261127\nR;\"1;2;1\nT;1;1\n",
            &[What::OpenQuote, What::Columns, What::Order],
        ),
        ("H;20261127\nR;\"1\"x;2;1\nT;1;1\n", &[What::AfterQuote]),
        ("", &[What::Order, What::Order]),
    ];
    for (text, expected) in cases {
        let (_, found, end) = read(&receipts(), text.as_bytes());
        assert_eq!(found, expected, "{text:?}");
        assert!(!end.ok());
    }
}

#[test]
fn bytes_that_are_no_text_are_told_and_never_guessed() {
    let layout = json!({ "delimited": {}, "fields": [{ "name": "a" }] });
    let utf8 = plan(&layout);
    for (bytes, expected) in [
        (&b"caf\xe9\n"[..], What::Charset),
        (b"\xff\xfea\0\n\0", What::Charset),
        (b"\x1f\x8b\x08\x00rest", What::Compressed),
        (b"PK\x03\x04rest", What::Compressed),
        (b"a\0b\n", What::Nul),
    ] {
        assert_eq!(read(&utf8, bytes).1, [expected]);
    }
    let mut layout = layout;
    for (charset, bytes, text) in [
        ("windows-1252", &b"caf\xe9 \x80\n"[..], "café €"),
        ("iso-8859-15", b"caf\xe9 \xa4\n", "café €"),
        ("utf-8", b"\xef\xbb\xbfcaf\xc3\xa9\n", "café"),
        ("utf-16", b"\xff\xfec\0\xe9\0\n\0", "cé"),
        ("utf-16", b"\xfe\xff\0c\0\xe9\0\n", "cé"),
    ] {
        layout["encoding"] = charset.into();
        let (records, found, _) = read(&plan(&layout), Drip(bytes));
        assert_eq!((records, found), (vec![json!({ "a": text })], vec![]));
    }
    layout["encoding"] = "shift_jis".into();
    assert!(Plan::from_json(&layout).is_err());
}

#[test]
fn places_are_those_of_the_file_in_every_charset() {
    let cases = [
        ("utf-8", "\u{feff}a\né\n\"x\ny\"\nz".as_bytes().to_vec()),
        ("windows-1252", b"a\n\xe9\n\"x\ny\"\nz".to_vec()),
        (
            "utf-16",
            "\u{feff}a\né\n\"x\ny\"\nz"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
        ),
    ];
    for (charset, bytes) in cases {
        let plan =
            plan(&json!({ "delimited": {}, "encoding": charset, "fields": [{ "name": "a" }] }));
        let mut reader = Reader::new(&plan, &bytes[..]);
        let mut lines = Vec::new();
        let mut last = 0;
        while let Some(record) = reader.read().unwrap() {
            lines.push(record.line);
            last = record.offset;
        }
        assert_eq!(lines, [1, 2, 3, 5], "{charset}");
        let unit = if charset == "utf-16" { 2 } else { 1 };
        assert_eq!(last, bytes.len() as u64 - unit, "{charset}");
    }
}

#[test]
fn a_record_without_an_end_costs_no_memory() {
    struct Endless(u64);
    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            into.fill(b'x');
            self.0 += into.len() as u64;
            assert!(self.0 < 1 << 20, "it reads on and on");
            Ok(into.len())
        }
    }
    for start in ["\"", "x", "a,\""] {
        let plan = plan(
            &json!({ "delimited": {}, "max_record": 100_000, "extra": "ignore", "fields": [{ "name": "a" }] }),
        );
        let (records, found, _) = read(&plan, start.as_bytes().chain(Endless(0)));
        assert_eq!((records.len(), found), (0, vec![What::TooLong]));
    }
}

#[test]
fn fixed_width_counts_characters() {
    let layout = json!({
        "fixed": { "length": 20 }, "encoding": "utf-8",
        "fields": [{ "name": "name", "length": 8 }, { "name": "amount", "length": 8, "type": "decimal", "implied": 2, "pad": "0" },
                   { "name": "code", "start": 18, "length": 3 }],
    });
    let plan = plan(&layout);
    let (records, found, _) = read(
        &plan,
        "Zoë     00001234 abc\nAda     -0000050 de \n".as_bytes(),
    );
    assert_eq!(found, []);
    assert_eq!(
        records[0],
        json!({ "name": "Zoë", "amount": "12.34", "code": "abc" })
    );
    assert_eq!(records[1]["amount"], "-0.50");
    let (_, found, _) = read(&plan, "Zoë     00001234 ab\n".as_bytes());
    assert_eq!(found, [What::Columns]);
    let mut writer = Writer::new(&plan, &[], Vec::new());
    for record in &records {
        writer.write(None, record.as_object().unwrap()).unwrap();
    }
    let text = writer.finish().unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "Zoë     00001234 abc\nAda     -0000050 de \n"
    );
}

#[test]
fn fixed_width_without_line_breaks() {
    let plan = plan(
        &json!({ "fixed": { "length": 4, "newline": false }, "fields": [{ "name": "a", "length": 4 }] }),
    );
    let (records, found, _) = read(&plan, Drip(b"aaaabbbbcccc\n"));
    assert_eq!((records.len(), found), (3, vec![]));
    assert_eq!(read(&plan, &b"aaaabb"[..]).1, [What::Columns]);
}

#[test]
fn a_trailer_is_made_and_ties() {
    let plan = receipts();
    let mut writer = Writer::new(&plan, &[], Vec::new());
    let fields = |value: Value| value.as_object().cloned().unwrap();
    writer
        .write(Some("head"), &fields(json!({ "made": "2026-11-27" })))
        .unwrap();
    writer
        .write(
            Some("receipt"),
            &fields(json!({ "order": "4500012", "quantity": 2, "amount": "10.10" })),
        )
        .unwrap();
    writer
        .write(
            Some("receipt"),
            &fields(json!({ "order": "4500013", "quantity": -1, "amount": "0.20" })),
        )
        .unwrap();
    let text = writer.finish().unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), GOOD);
    let mut writer = Writer::new(&plan, &[], Vec::new());
    let error = writer
        .write(
            Some("receipt"),
            &fields(json!({ "order": "1", "amount": "SECRET" })),
        )
        .unwrap_err();
    assert!(!error.to_string().contains("SECRET"));
    assert!(writer.write(Some("none"), &Map::new()).is_err());
}

#[test]
fn layouts_that_make_no_sense_are_told_at_their_place() {
    for (layout, pointer) in [
        (json!({}), ""),
        (json!({ "delimited": {}, "fixed": {} }), ""),
        (json!({ "delimited": { "delimeter": "," } }), ""),
        (
            json!({ "delimited": { "delimiter": "é" } }),
            "/delimited/delimiter",
        ),
        (
            json!({ "delimited": {}, "fields": [{ "name": "a" }, { "name": "a" }] }),
            "/fields/1",
        ),
        (
            json!({ "delimited": {}, "fields": [{ "name": "a", "type": "date", "format": "MMDD" }] }),
            "/fields/0/format",
        ),
        (
            json!({ "fixed": {}, "fields": [{ "name": "a" }] }),
            "/fields/0",
        ),
        (
            json!({ "fixed": { "newline": false }, "fields": [{ "name": "a", "length": 1 }] }),
            "/fixed/length",
        ),
        (
            json!({ "fixed": {}, "records": [{ "record": "t", "role": "trailer", "fields": [] }] }),
            "/records/0",
        ),
        (
            json!({ "delimited": {}, "fields": [{ "name": "a" }], "totals": [{ "in": "record", "field": "a", "counts": "all" }] }),
            "/totals/0/in",
        ),
    ] {
        assert_eq!(
            Plan::from_json(&layout).unwrap_err().pointer,
            pointer,
            "{layout}"
        );
    }
}

fn testdata(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = ["../../../shared/testdata", "../../../../shared/testdata"]
        .iter()
        .map(|above| folder.join(above).join(name))
        .find(|path| path.is_dir());
    if found.is_none() {
        println!("skipped: no ../shared/testdata/{name} beside the workspace");
    }
    found
}

#[test]
fn csv_spectrum() {
    let Some(folder) = testdata("csv/csv-spectrum") else {
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(case) = name
            .strip_prefix("csvs__")
            .and_then(|name| name.strip_suffix(".csv"))
        else {
            continue;
        };
        let bytes = std::fs::read(&path).unwrap();
        let plan = Plan::csv();
        let (records, found, _) = read(&plan, &bytes[..]);
        assert_eq!(found, [], "{name}");
        // What an independent reader makes of it, and what the suite says where it does.
        let mut other = csv::Reader::from_reader(&bytes[..]);
        let expected: Vec<Map<String, Value>> = other
            .deserialize::<std::collections::BTreeMap<String, String>>()
            .map(|row| {
                row.unwrap()
                    .into_iter()
                    .map(|(key, value)| (key, value.into()))
                    .collect()
            })
            .collect();
        assert_eq!(json!(records), json!(expected), "{name}");
        if let Ok(said) = std::fs::read(folder.join(format!("json__{case}.json"))) {
            assert_eq!(
                json!(records),
                serde_json::from_slice::<Value>(&said).unwrap(),
                "{name}"
            );
        }
        seen += 1;
    }
    assert!(seen >= 7, "{seen}");
}

#[test]
fn omniparser_samples() {
    let Some(folder) = testdata("csv/omniparser") else {
        return;
    };
    let open = |name: &str| std::fs::File::open(folder.join(name)).unwrap();
    // The second line is `N/A`, which that project's schema leaves out and ours reports; a quote
    // within an unquoted field is text.
    let weather = plan(&json!({
        "delimited": { "delimiter": "|", "header": true, "quote": "" }, "extra": "ignore",
        "fields": [{ "name": "when", "column": "DATE" }, { "name": "high", "column": "HIGH TEMP C", "type": "decimal" },
                   { "name": "wind", "column": "WIND SPEED KMH", "type": "integer" }, { "name": "note", "column": "NOTE" }],
    }));
    let (records, found, _) = read(&weather, open("samples__csv__1_weather_data_csv.input.csv"));
    assert_eq!(found, [What::Columns]);
    assert_eq!(
        records[2],
        json!({ "when": "2020/07/31T01:23:45-0500", "high": "39", "wind": 8, "note": "\" note with bad quotes" })
    );
    assert_eq!(records.len(), 4);
    // Lines of many types, told by their first characters; the last but one counts the others.
    let parcels = plan(&json!({
        "fixed": { "short": true }, "extra": "ignore",
        "records": [
            { "record": "parcel", "when": { "start": 1, "is": "V020" }, "fields": [{ "name": "tracking_number", "start": 6, "length": 15 }] },
            { "record": "weight", "when": { "start": 1, "is": "V110" }, "fields": [{ "name": "grams", "start": 6, "length": 6, "type": "integer" }] },
            { "record": "city", "when": { "start": 1, "is": "V180" }, "fields": [{ "name": "city", "start": 6, "length": 24 }] },
            { "record": "other", "fields": [{ "name": "type", "length": 4 }] },
        ],
    }));
    for name in [
        "samples__fixedlength__3_header_footer.input.txt",
        "samples__fixedlength2__3_header_footer.input.txt",
    ] {
        let (records, found, end) = read(&parcels, open(name));
        assert_eq!(found, [], "{name}");
        let all = |key: &str| {
            records
                .iter()
                .filter(|one| one.get(key).is_some())
                .map(|one| one[key].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            json!(all("tracking_number")),
            json!([
                "3SDMNN0129791",
                "3SDMNN0129552",
                "3SDMNN0129857",
                "3SDMNN0129501"
            ])
        );
        assert_eq!(json!(all("grams")), json!([19780, 19780, 1234]));
        assert_eq!(
            json!(all("city")),
            json!(["NIEUWEGEIN", "'S-HERTOGENBOSCH", "RENKUM", "ROTTERDAM"])
        );
        assert_eq!(end.records, records.len() as u64);
    }
}

proptest! {
    /// Whatever text is in the fields, what is written reads back, in every dialect.
    #[test]
    fn what_is_written_reads_back(
        rows in prop::collection::vec(prop::collection::vec("[^\\x00]{0,12}", 3), 1..8),
        delimiter in prop::sample::select(vec![",", ";", "\t", "|"]),
        escape in prop::sample::select(vec!["doubled", "backslash"]),
        quote_all: bool,
    ) {
        let plan = plan(&json!({
            "delimited": { "delimiter": delimiter, "escape": escape, "quote_all": quote_all },
            "fields": [{ "name": "a" }, { "name": "b" }, { "name": "c" }],
        }));
        let mut writer = Writer::new(&plan, &[], Vec::new());
        let rows: Vec<Value> = rows.into_iter().map(|row| json!({ "a": row[0], "b": row[1], "c": row[2] })).collect();
        for row in &rows {
            writer.write(None, row.as_object().unwrap()).unwrap();
        }
        let text = writer.finish().unwrap();
        // A mark of the charset at the very beginning is none of the text.
        prop_assume!(!text.starts_with("\u{feff}".as_bytes()) && !text.starts_with(b"PK\x03\x04"));
        let (read_back, found, _) = read(&plan, Drip(&text));
        prop_assert_eq!(found, vec![]);
        prop_assert_eq!(read_back, rows);
    }

    /// Whatever the bytes are: no panic, and the same however they arrive.
    #[test]
    fn hostile_bytes_end(bytes in prop::collection::vec(prop::sample::select(b"a1;\"\\\n\r\0\xe9\xc3\xa9H RT".to_vec()), 0..80)) {
        for plan in [receipts(), Plan::csv(), plan(&json!({ "fixed": {}, "fields": [{ "name": "a", "length": 2 }, { "name": "b", "length": 3, "type": "integer" }] }))] {
            let whole = read(&plan, &bytes[..]);
            let dripped = read(&plan, Drip(&bytes));
            prop_assert_eq!(whole.0, dripped.0);
            prop_assert_eq!(whole.1, dripped.1);
        }
    }
}

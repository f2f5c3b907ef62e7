//! The scanner against texts that are JSON and texts that only look like it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;
use wardline_contract::json::{Fault, Limit, Limits, Reason, Refusal, Scanner, check};

fn limits() -> Limits {
    Limits::default()
}

fn fault(text: &[u8]) -> (u64, Fault) {
    match check(text, &limits()).expect_err("should be refused") {
        Refusal {
            at,
            reason: Reason::Syntax(fault),
        } => (at, fault),
        other => panic!("{other}"),
    }
}

#[test]
fn takes_what_is_json() {
    for text in [
        "null",
        " true ",
        "0",
        "-0",
        "-0.0e+10",
        "1E5",
        "[]",
        "{}",
        "[[],{},[{}]]",
        r#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#,
        r#""\u00e9\uD83D\uDE00\/\b\f\n\r\t\\\"""#,
        "\"\u{e9}\u{20ac}\u{1f600}\u{7f}\u{10ffff}\u{ffff}\"",
        "\r\n\t [ 1 , 2 ]\n",
    ] {
        assert!(check(text.as_bytes(), &limits()).is_ok(), "{text}");
        // The same, however it is cut.
        let mut scanner = Scanner::new(&limits());
        for byte in text.as_bytes() {
            scanner.feed(std::slice::from_ref(byte)).unwrap();
        }
        assert_eq!(
            scanner.finish().unwrap(),
            check(text.as_bytes(), &limits()).unwrap()
        );
    }
}

#[test]
fn refuses_at_the_byte_that_is_wrong() {
    let cases: &[(&[u8], u64, Fault)] = &[
        (b"", 0, Fault::End),
        (b"   ", 3, Fault::End),
        (b"[1", 2, Fault::End),
        (b"\"abc", 4, Fault::End),
        (b"tru", 3, Fault::End),
        (b"-", 1, Fault::End),
        (b"1.", 2, Fault::End),
        (b"1e+", 3, Fault::End),
        (b"01", 1, Fault::Number),
        (b"-01", 2, Fault::Number),
        (b"[1.]", 3, Fault::Number),
        (b"[1e]", 3, Fault::Number),
        (b"[-a]", 2, Fault::Number),
        (b"+1", 0, Fault::Value),
        (b".5", 0, Fault::Value),
        (b"NaN", 0, Fault::Value),
        (b"[0x1]", 2, Fault::Separator),
        (b"1 2", 2, Fault::Trailing),
        (b"{}}", 2, Fault::Trailing),
        (b"[],", 2, Fault::Trailing),
        (b"trux", 3, Fault::Word),
        (b"nulll", 4, Fault::Trailing),
        (b"[1,]", 3, Fault::Value),
        (b"[,1]", 1, Fault::Value),
        (b"[1 2]", 3, Fault::Separator),
        (b"[1}", 2, Fault::Mismatch),
        (b"{\"a\":1]", 6, Fault::Mismatch),
        (b"{\"a\":1,}", 7, Fault::Key),
        (b"{a:1}", 1, Fault::Key),
        (b"{'a':1}", 1, Fault::Key),
        (b"{\"a\" 1}", 5, Fault::Colon),
        (b"{\"a\":}", 5, Fault::Value),
        (b"\"a\x00b\"", 2, Fault::Control),
        (b"\"\n\"", 1, Fault::Control),
        (b"\"\\x\"", 2, Fault::Escape),
        (b"\"\\u12g4\"", 5, Fault::Escape),
        (b"\"\\uD800\"", 7, Fault::Surrogate),
        (b"\"\\uD800\\n\"", 8, Fault::Surrogate),
        (b"\"\\uD800\\uD800\"", 12, Fault::Surrogate),
        (b"\"\\uDC00\"", 6, Fault::Surrogate),
        (b"\"\xff\"", 1, Fault::Encoding),
        (b"\"\xc0\xaf\"", 1, Fault::Encoding),
        (b"\"\xe0\x80\x80\"", 2, Fault::Encoding),
        (b"\"\xed\xa0\x80\"", 2, Fault::Encoding),
        (b"\"\xf4\x90\x80\x80\"", 2, Fault::Encoding),
        (b"\"\xe2\x82\"", 3, Fault::Encoding),
        (b"\xef\xbb\xbf{}", 0, Fault::Encoding),
        (b"{\"a\":1,\"a\":2}", 9, Fault::DuplicateKey),
        (b"{\"a\":1,\"\\u0061\":2}", 14, Fault::DuplicateKey),
        (b"{\"\":1,\"\":2}", 7, Fault::DuplicateKey),
    ];
    for &(text, at, expected) in cases {
        let shown = String::from_utf8_lossy(text);
        assert_eq!(fault(text), (at, expected), "{shown}");
    }
}

#[test]
fn holds_each_limit_exactly() {
    let cases: &[(Limits, &str, &str, Limit, u64)] = &[
        (
            Limits {
                depth: 2,
                ..limits()
            },
            "[[]]",
            "[[[",
            Limit::Depth,
            2,
        ),
        (
            Limits {
                nodes: 3,
                ..limits()
            },
            "[1,2]",
            "[1,2,3]",
            Limit::Nodes,
            5,
        ),
        (
            Limits {
                keys: 1,
                ..limits()
            },
            r#"{"a":{"b":1}}"#,
            r#"{"a":1,"b":2}"#,
            Limit::Keys,
            7,
        ),
        (
            Limits {
                string: 2,
                ..limits()
            },
            r#"["ab","\u00e9"]"#,
            r#""abc""#,
            Limit::String,
            3,
        ),
        (
            Limits {
                string: 2,
                ..limits()
            },
            "{\"ab\":1}",
            "{\"abc\":1}",
            Limit::String,
            4,
        ),
        (
            Limits {
                number_digits: 3,
                ..limits()
            },
            "-1.2e3",
            "1.2e34",
            Limit::NumberDigits,
            5,
        ),
        (
            Limits {
                bytes: 4,
                ..limits()
            },
            "[12]",
            "[123]",
            Limit::Bytes,
            4,
        ),
        (
            Limits {
                bytes: 4,
                ..limits()
            },
            "1   ",
            "1    ",
            Limit::Bytes,
            4,
        ),
    ];
    for (limits, good, bad, limit, at) in cases {
        check(good.as_bytes(), limits).unwrap();
        let refusal = check(bad.as_bytes(), limits).unwrap_err();
        assert!(
            matches!(refusal.reason, Reason::Limit(found, _) if found == *limit),
            "{bad}: {refusal}"
        );
        assert_eq!(refusal.at, *at, "{bad}: {refusal}");
    }
}

#[test]
fn a_refusal_stays() {
    let mut scanner = Scanner::new(&limits());
    let refusal = scanner.feed(b"[}").unwrap_err();
    assert_eq!(scanner.feed(b"[]").unwrap_err(), refusal);
    assert_eq!(scanner.finish().unwrap_err(), refusal);
}

#[test]
fn hostile_documents_end_early_and_in_small_memory() {
    let deep = vec![b'['; 10_000_000];
    assert_eq!(check(&deep, &limits()).unwrap_err().at, 32);
    let unbounded = Limits {
        depth: u32::MAX,
        bytes: u64::MAX,
        ..limits()
    };
    let refusal = check(&deep, &unbounded).unwrap_err();
    assert_eq!(refusal.at, 100_000, "values bound what depth does not");
    // A million keys in one object: the set of keys is not searched one by one.
    let many = Limits {
        keys: u32::MAX,
        nodes: u32::MAX,
        bytes: u64::MAX,
        ..limits()
    };
    let mut text = b"{".to_vec();
    for number in 0..1_000_000 {
        let comma = if number == 0 { "" } else { "," };
        text.extend(format!("{comma}\"{number}\":0").bytes());
    }
    text.push(b'}');
    assert_eq!(check(&text, &many).unwrap().nodes, 1_000_001);
}

/// `y_` must be accepted, `n_` refused, `i_` either, of a collection such as JSONTestSuite's
/// `test_parsing`, where a copy lies beside the workspace.
#[test]
fn the_json_test_suite() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/testdata/fuzz/json-test-parsing");
    let directory = if directory.is_dir() {
        directory
    } else {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../../../shared/testdata/fuzz/json-test-parsing")
    };
    if !directory.is_dir() {
        println!("skipped: no ../shared/testdata/fuzz/json-test-parsing beside the workspace");
        return;
    }
    let mut seen = [0, 0];
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read(&path).unwrap();
        let strict = check(&text, &limits());
        // Two of them have a key twice, which RFC 8259 allows; we do where we are told to.
        let duplicates = Limits {
            duplicate_keys: true,
            ..limits()
        };
        let lenient = check(&text, &duplicates);
        match name.get(..2) {
            Some("y_") => {
                seen[0] += 1;
                lenient.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
                assert_eq!(
                    strict.is_err(),
                    name.starts_with("y_object_duplicated_key"),
                    "{name}"
                );
            }
            Some("n_") => {
                seen[1] += 1;
                assert!(strict.is_err() && lenient.is_err(), "{name}");
            }
            _ => {}
        }
    }
    assert!(
        seen[0] >= 50 && seen[1] >= 120,
        "is this the suite? {seen:?}"
    );
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What serde_json says, but for what is told apart on purpose: it takes numbers only as far as
/// they fit, and keys twice.
fn agrees(text: &[u8]) -> Result<(), TestCaseError> {
    let ours = check(
        text,
        &Limits {
            duplicate_keys: true,
            number_digits: u32::MAX,
            ..limits()
        },
    );
    let theirs = serde_json::from_slice::<Value>(text);
    if let Err(error) = &theirs
        && error.to_string().starts_with("number out of range")
    {
        return Ok(());
    }
    prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} / {:?}", ours, theirs);
    Ok(())
}

proptest! {
    #[test]
    fn accepts_all_json(value in json(), pretty: bool) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        let seen = check(&text.unwrap(), &limits());
        prop_assert!(seen.is_ok(), "{:?}", seen);
    }

    #[test]
    fn agrees_with_serde_json_on_damaged_json(
        value in json(), at: prop::sample::Index, byte in prop_oneof![
            any::<u8>(), prop::sample::select(b"{}[]\",:\\u0123eE+-.dD8 tfn".to_vec())
        ], how in 0..3_u8,
    ) {
        let mut text = serde_json::to_vec(&value).unwrap();
        let at = at.index(text.len());
        match how {
            0 => text[at] = byte,
            1 => text.insert(at, byte),
            _ => { text.remove(at); }
        }
        agrees(&text)?;
    }

    #[test]
    fn agrees_with_serde_json_on_soup(text in r#"[\[\]{}",:\\u0-9eE+\-. dDfalsetrunx]{0,24}"#) {
        agrees(text.as_bytes())?;
    }

    #[test]
    fn how_it_is_cut_does_not_matter(value in json(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5), damage: bool) {
        let mut text = serde_json::to_vec(&value).unwrap();
        if damage {
            text.pop();
            text.push(b']');
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let mut scanner = Scanner::new(&limits());
        let mut from = 0;
        let mut outcome = Ok(());
        for cut in cuts.into_iter().chain([text.len()]) {
            outcome = outcome.and_then(|()| scanner.feed(&text[from..cut]));
            from = cut;
        }
        let in_pieces = outcome.and_then(|()| scanner.finish());
        prop_assert_eq!(in_pieces, check(&text, &limits()));
    }
}

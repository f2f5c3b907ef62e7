//! Editing as cases: a start, steps, and the bytes that must come out.
//!
//! Each folder of `tests/edits` has `input.hl7`, `steps.txt` (one step a line: `set PATH TEXT`, `raw PATH
//! TEXT`, `append PATH TEXT`, `null PATH`, `remove PATH`, `add NAME`, `after PATH NAME`, `charset NAME`) and
//! `expected.hl7` or `expected-error.txt` (the error's first words). Segments stand one a line there
//! and end with CR when read.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::path::Path;

use wardline_hl7::{Charset, EditError, Editor, Message};

fn step(edit: &mut Editor, line: &str) -> Result<(), EditError> {
    let mut words = line.splitn(3, ' ');
    let (verb, path, text) = (
        words.next().unwrap(),
        words.next().unwrap(),
        words.next().unwrap_or(""),
    );
    match verb {
        "set" => edit.set(path, text).map(drop),
        "raw" => edit.set_raw(path, text.as_bytes()).map(drop),
        "append" => edit.append(path, text).map(drop),
        "null" => edit.set_null(path).map(drop),
        "remove" => edit.remove(path).map(drop),
        "add" => edit.add_segment(path).map(drop),
        "after" => edit.insert_after(path, text).map(drop),
        "charset" => edit
            .set_charset(Charset::named(&format!("{path} {text}")).unwrap())
            .map(drop),
        other => panic!("unknown step {other}"),
    }
}

fn run(input: &[u8], steps: &str) -> Result<Vec<u8>, EditError> {
    let mut edit = Editor::new(Message::parse(input.to_vec())?);
    for line in steps.lines() {
        step(&mut edit, line)?;
    }
    Ok(edit.finish()?.bytes().to_vec())
}

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/edits");
    let mut count = 0;
    for case in std::fs::read_dir(folder).unwrap() {
        let case = case.unwrap().path();
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let read = |file: &str| std::fs::read(case.join(file));
        let segments = |bytes: Vec<u8>| -> Vec<u8> {
            bytes
                .into_iter()
                .map(|byte| if byte == b'\n' { b'\r' } else { byte })
                .collect()
        };
        let input = segments(read("input.hl7").unwrap());
        let steps = String::from_utf8(read("steps.txt").unwrap()).unwrap();
        let result = run(&input, &steps);
        if let Ok(expected) = read("expected.hl7") {
            let got = result.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(
                String::from_utf8_lossy(&got),
                String::from_utf8_lossy(&segments(expected)),
                "{name}"
            );
        } else {
            let expected = String::from_utf8(read("expected-error.txt").unwrap()).unwrap();
            let error = result.expect_err(&name).to_string();
            assert!(error.starts_with(expected.trim()), "{name}: {error}");
        }
        count += 1;
    }
    assert!(count >= 15, "only {count} cases were found");
}

#[test]
fn segment_ends_are_kept_as_they_are() {
    for (end, text) in [
        ("\n", "MSH|^~\\&|A\nPID|1\n"),
        ("\r\n", "MSH|^~\\&|A\r\nPID|1\r\n"),
        ("\r", "MSH|^~\\&|A\rPID|1\r"),
    ] {
        let mut edit = Message::parse(text.to_owned()).unwrap().edit();
        edit.add_segment("ZZ1").unwrap();
        edit.insert_after("PID", "PD1").unwrap();
        assert_eq!(
            edit.finish().unwrap().bytes().as_ref(),
            format!("MSH|^~\\&|A{end}PID|1{end}PD1{end}ZZ1{end}").as_bytes()
        );
    }
    let mut edit = Message::parse("MSH|^~\\&|A\nPID|1").unwrap().edit();
    edit.set("ZZ1-1", "x").unwrap();
    assert_eq!(
        edit.finish().unwrap().bytes().as_ref(),
        b"MSH|^~\\&|A\nPID|1\nZZ1|x"
    );
}

#[test]
fn values_are_written_in_the_message_s_character_set() {
    let written = |header: &[u8], text: &str| {
        let mut edit = Message::parse(header.to_vec()).unwrap().edit();
        edit.set("PID-5.1", text)
            .map(drop)
            .and_then(|()| edit.finish())
            .map(|message| {
                assert_eq!(
                    message
                        .value(&wardline_hl7::Path::new("PID-5.1"))
                        .as_deref(),
                    Some(text)
                );
                message.bytes().to_vec()
            })
    };
    let latin = b"MSH|^~\\&||||||||||||||||8859/1\rPID|1\r";
    assert!(
        written(latin, "M\u{fc}ller")
            .unwrap()
            .ends_with(b"PID|1||||M\xfcller\r")
    );
    assert!(matches!(
        written(latin, "\u{4e2d}"),
        Err(EditError::Unmappable { .. })
    ));
    // In GB 18030 U+4E85 has '|' as its second byte.
    let chinese = b"MSH|^~\\&||||||||||||||||GB 18030-2000\rPID|1\r";
    let bytes = written(chinese, "\u{4e85}\u{4e5b}").unwrap();
    assert!(
        bytes
            .windows(2)
            .any(|pair| pair[1] == b'|' && pair[0] >= 0x80),
        "a byte that looks like a delimiter"
    );
    let japanese = b"MSH|^~\\&||||||||||||||||ASCII~ISO IR87\rPID|1\r";
    assert!(
        written(japanese, "\u{65e5}\u{672c}")
            .unwrap()
            .contains(&0x1B)
    );
    let utf16: Vec<u8> = "\u{feff}MSH|^~\\&|A\rPID|1\r"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let bytes = written(&utf16, "\u{65e5}").unwrap();
    assert!(bytes.starts_with(&[0xFF, 0xFE, b'M', 0]));
}

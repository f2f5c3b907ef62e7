//! Bytes that mean harm: every one is read or refused, none panics, none needs more than its limits.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::io::Cursor;

use proptest::prelude::*;
use serde_json::json;
use wardline_dicom::data::{Stream, read, write};
use wardline_dicom::{Encoding, Head, Limits, examine, file_head, from_json, to_json, uid};

fn file(body: &[u8], transfer_syntax: &str) -> Vec<u8> {
    let head = Head {
        class: "1.2.840.10008.5.1.4.1.1.2".into(),
        instance: "1.2.3".into(),
        transfer_syntax: transfer_syntax.into(),
    };
    let mut bytes = file_head(&head, Some("TESTS"));
    bytes.extend_from_slice(body);
    bytes
}

fn good(encoding: Encoding) -> Vec<u8> {
    let set = json!({
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "SOPInstanceUID": "1.2.3",
        "PatientName": "Müller^Ä", "Rows": 2,
        "ReferencedStudySequence": [{ "ReferencedSOPInstanceUID": "1.2" }, {}],
    });
    let mut bytes = Vec::new();
    write(
        &from_json(set.as_object().unwrap()).unwrap(),
        encoding,
        &mut bytes,
    );
    bytes
}

#[test]
fn lengths_and_depths_are_not_believed() {
    let sequence = |length: u32| {
        let mut bytes = vec![0x08, 0, 0x10, 0x11, b'S', b'Q', 0, 0];
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes
    };
    let item = [0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff];
    let mut deep = Vec::new();
    for _ in 0..10_000 {
        deep.extend(sequence(u32::MAX));
        deep.extend(item);
    }
    let mut endless = sequence(u32::MAX);
    endless.extend(std::iter::repeat_n([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0], 200_000).flatten());
    let text = |length: [u8; 2]| [&[0x10, 0, 0x10, 0, b'P', b'N'][..], &length, b"A^B"].concat();
    let mut outer = sequence(20);
    outer.extend([0xfe, 0xff, 0x00, 0xe0, 8, 0, 0, 0]);
    outer.extend(text([0xff, 0]));
    let huge = [
        0x08, 0, 0x05, 0x00, b'U', b'T', 0, 0, 0xfe, 0xff, 0xff, 0xff,
    ];
    for (name, bytes, expected) in [
        ("deep", deep, "levels deep"),
        ("cut", text([4, 0]), "end at"),
        ("beyond", outer, "longer than what holds it"),
        ("huge", huge.to_vec(), "end at"),
        ("endless", endless, "end at"),
        (
            "no representation",
            vec![0x10, 0, 0x10, 0, 1, 2, 0, 0],
            "no value representation",
        ),
        (
            "stray end",
            vec![0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0],
            "an item or end mark",
        ),
    ] {
        let error = examine(
            Cursor::new(file(&bytes, uid::EXPLICIT_LITTLE)),
            Limits::default(),
        )
        .unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
    for bytes in [
        &b""[..],
        b"DICM",
        &[0; 200],
        &file(b"", uid::EXPLICIT_LITTLE)[..140],
    ] {
        assert!(examine(Cursor::new(bytes), Limits::default()).is_err());
    }
}

#[test]
fn a_bomb_of_deflated_zeros_needs_no_memory() {
    // 64 MiB of one value, deflated to 64 KiB.
    let mut raw = vec![0xe0, 0x7f, 0x10, 0x00, b'O', b'W', 0, 0];
    let length = 64 << 20;
    raw.extend_from_slice(&(length as u32).to_le_bytes());
    raw.resize(raw.len() + length, 0);
    let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut deflated, &raw).unwrap();
    let file = file(&deflated.finish().unwrap(), uid::DEFLATED);
    let object = examine(Cursor::new(file), Limits::default()).unwrap();
    assert_eq!(object.data.len(), 1);
    assert!(to_json(&object.data).is_empty());
}

#[test]
fn what_is_kept_is_bounded() {
    let mut bytes = Vec::new();
    for element in 0..200_000_u32 {
        bytes.extend_from_slice(&[0x09, 0x00]);
        bytes.extend_from_slice(&(0x1000 + (element % 0xe000) as u16).to_le_bytes());
        bytes.extend_from_slice(&[b'L', b'O', 16, 0]);
        bytes.extend_from_slice(&[b'A'; 16]);
    }
    let object = examine(
        Cursor::new(file(&bytes, uid::EXPLICIT_LITTLE)),
        Limits::default(),
    )
    .unwrap();
    assert!(object.data.cut);
    assert!(object.data.len() <= (1 << 20) / 80);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for encoding in [Encoding::ImplicitLittle, Encoding::ExplicitLittle, Encoding::ExplicitBig] {
            if let Ok(set) = read(&mut Stream(&bytes[..]), encoding, Limits::default()) {
                to_json(&set);
            }
        }
        let _ = examine(Cursor::new(file(&bytes, uid::EXPLICIT_LITTLE)), Limits::default());
    }

    #[test]
    fn no_changed_byte_panics(at in 0usize..1000, byte in any::<u8>(), cut in 0usize..1000, explicit in any::<bool>()) {
        let (encoding, syntax) = if explicit {
            (Encoding::ExplicitLittle, uid::EXPLICIT_LITTLE)
        } else {
            (Encoding::ImplicitLittle, uid::IMPLICIT_LITTLE)
        };
        let mut bytes = file(&good(encoding), syntax);
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length - cut % length);
        if let Ok(object) = examine(Cursor::new(bytes), Limits::default()) {
            to_json(&object.data);
            object.findings();
        }
    }
}

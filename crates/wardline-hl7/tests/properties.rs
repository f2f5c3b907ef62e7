//! What holds for any bytes at all.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use bytes::BytesMut;
use proptest::prelude::*;
use wardline_hl7::ack::{self, Ack, Code, ErrorCode, Fault};
use wardline_hl7::mllp::{self, Decoder, Event};
use wardline_hl7::{
    Batch, Delimiters, Message, ParseOptions, Path, SegmentEnds, escape, inspect, roundtrip, show,
    time, unescape,
};

/// Bytes that are often a message: a header with own delimiters and a body rich in them.
fn message_bytes() -> impl Strategy<Value = Vec<u8>> {
    let header = prop_oneof![
        Just(b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5\r".to_vec()),
        Just(b"MSH|^~\\&#|A|B|C|D|2026||ADT^A01|1|P|2.7||||||UNICODE UTF-8\n".to_vec()),
        Just(b"MSH*:+/!*A*B*C*D*2026**ADT:A01*1*P*2.5\r\n".to_vec()),
        Just(b"MSH|^~\\&||||||||||||||||GB 18030-2000\r".to_vec()),
        Just(b"MSH|^~\\&||||||||||||||||ASCII~ISO IR87\r".to_vec()),
        Just(b"MSH|^~\\&||||||||||||||||UNICODE UTF-16\r".to_vec()),
        Just(b"MSH|".to_vec()),
        Just(b"BHS|^~\\&\rMSH|^~\\&\r".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    let piece = prop_oneof![
        4 => proptest::sample::select(b"|^~\\&#*:+/!\r\n\x0B\x1C\"".to_vec()).prop_map(|byte| vec![byte]),
        2 => "[A-Z0-9]{1,4}".prop_map(String::into_bytes),
        1 => proptest::sample::select(vec![&b"\rPID|"[..], b"\rOBX|1|", b"\\X0D\\", b"\\.br\\", b"\"\"", b"\rMSH|^~\\&|", b"\rBTS|1"]).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ];
    (header, proptest::collection::vec(piece, 0..60))
        .prop_map(|(header, pieces)| [header, pieces.concat()].concat())
}

fn path() -> impl Strategy<Value = Path> {
    "(PID|OBX|MSH|ZZ1)(\\[[1-3]\\])?-[1-9](\\[[1-3]\\])?(\\.[1-4](\\.[1-3])?)?"
        .prop_filter_map("MSH-1 and MSH-2 have no parts", |text| {
            Path::parse(&text).ok()
        })
}

fn events(limit: usize, reads: &[&[u8]]) -> (Vec<Event>, u64) {
    let mut decoder = Decoder::new(limit);
    let mut buffer = BytesMut::new();
    let mut events = Vec::new();
    for read in reads {
        buffer.extend_from_slice(read);
        while let Some(event) = decoder.decode(&mut buffer) {
            events.push(event);
        }
    }
    while let Some(event) = decoder.flush(&mut buffer) {
        events.push(event);
    }
    (events, decoder.skipped())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_nothing_is_lost(bytes in message_bytes()) {
        let report = inspect(bytes.clone());
        prop_assert!(report.ok || !report.problems.is_empty());
        for ends in [SegmentEnds::Any, SegmentEnds::CrOnly] {
            let options = ParseOptions { segment_ends: ends, ..ParseOptions::default() };
            let Ok(message) = Message::parse_with(bytes.clone(), &options) else { continue };
            prop_assert_eq!(message.bytes().as_ref(), bytes.as_slice());
            for (path, raw) in message.leaves() {
                prop_assert_eq!(message.get(&path).map(|read| read.bytes()), Some(raw.bytes()));
                let _text = raw.decode();
            }
            show::to_text(&message);
            message.problems();
        }
        if let Ok(batch) = Batch::parse(bytes.clone())
            && batch.messages().all(|entry| entry.parse().is_ok()) && !batch.is_empty() {
                prop_assert_eq!(roundtrip(bytes), Ok(()));
            }
    }

    #[test]
    fn what_is_set_is_read_and_the_rest_stays(bytes in message_bytes(), path in path(), text in "[ -~é\n]{0,12}") {
        let Ok(message) = Message::parse(bytes) else { return Ok(()) };
        let mut edit = message.edit();
        if edit.set(path, &text).is_err() {
            return Ok(());
        }
        let Ok(edited) = edit.finish() else { return Ok(()) };
        let read = edited.get(&path);
        prop_assert!(read.is_some());
        // MSH-18 decides how everything else reads, and an undeclared message has no one charset.
        let same_text = text.is_ascii() && (path.segment(), path.field()) != ("MSH", Some(18));
        let escapes = message.delimiters().escape().is_some();
        if same_text && escapes {
            prop_assert_eq!(read.map(|raw| raw.decode().into_owned()), Some(text));
            let field = |at: &Path| (at.segment().to_owned(), at.occurrence(), at.field());
            let changed = (path.segment().to_owned(), Some(path.occurrence().unwrap_or(1)), path.field());
            let others = |message: &Message| -> Vec<(Path, Vec<u8>)> {
                message.leaves().filter(|(at, _)| field(at) != changed).map(|(at, raw)| (at, raw.bytes().to_vec())).collect()
            };
            prop_assert_eq!(others(&message), others(&edited));
        }
    }

    #[test]
    fn every_message_can_be_answered(bytes in message_bytes(), text in "\\PC{0,100}") {
        let general = Ack::for_unreadable(&bytes, Fault::new(ErrorCode::ApplicationInternalError, text.clone())).build();
        prop_assert_eq!(ack::read(&general).map(|view| view.code), Ok(Code::AR));
        let Ok(message) = Message::parse(bytes) else { return Ok(()) };
        let answer = Ack::for_message(&message).error(Fault::new(ErrorCode::DataType, text)).build();
        let view = ack::read(&answer).map(|view| (view.code, view.error));
        prop_assert_eq!(view, Ok((Code::AE, Some("102".to_owned()))));
    }

    #[test]
    fn escaping_is_undone_by_reading(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let own = Delimiters::new(b'*', *b":+/!", Some(b'?')).unwrap();
        for delimiters in [Delimiters::STANDARD, own] {
            let escaped = escape(&bytes, &delimiters).into_owned();
            let read = unescape(&escaped, &delimiters).into_owned();
            prop_assert_eq!(read.as_slice(), bytes.as_slice());
        }
    }

    #[test]
    fn paths_and_times_read_what_they_write(path_text in "\\PC{0,12}", time_text in "[0-9+.-]{0,24}") {
        if let Ok(path) = Path::parse(&path_text) {
            prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
        }
        if let Ok(t) = time::parse(&time_text) {
            prop_assert_eq!(time::parse(&t.to_hl7()), Ok(t));
        }
    }

    #[test]
    fn frames_do_not_depend_on_how_bytes_are_cut(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            &b"\x0B"[..], b"\x1C\r", b"\x1C", b"\r", b"\n", b"MSH|", b"FH", b"M", b"x", b"\x0BMSH|^~\\&|a\x1C\r", b"longer text",
        ]), 0..24),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
        limit in 4_usize..64,
    ) {
        let stream = pieces.concat();
        let whole = events(limit, &[&stream]);
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&whole, &events(limit, &single));
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let reads: Vec<&[u8]> = at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&whole, &events(limit, &reads));
    }

    #[test]
    fn what_is_framed_comes_out(payloads in proptest::collection::vec("MSH[ -~\r]{0,40}", 0..5)) {
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| mllp::frame(payload.as_bytes())).collect();
        let (events, skipped) = events(1000, &[&stream]);
        let expected: Vec<Event> = payloads.into_iter().map(|payload| Event::Frame(payload.into())).collect();
        prop_assert_eq!(events, expected);
        prop_assert_eq!(skipped, 0);
    }
}

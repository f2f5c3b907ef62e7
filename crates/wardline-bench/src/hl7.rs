//! `hl7`: how fast messages are read on one core, and how much memory a very large one takes.
//!
//! The limit is one `memchr` pass over the same bytes for the ends of segments; the peer is the
//! crate `hl7-parser`, which reads the same values. That both read the same is checked first.

use crate::intake::mb;
use crate::report::Row;
use crate::sample;
use crate::{BenchError, Options, machine};
use bytes::{Bytes, BytesMut};
use hl7_parser::message::{Component, Repeat, Subcomponent};
use std::hint::black_box;
use std::time::{Duration, Instant};
use wardline_hl7::{Message, Path, mllp};

const PEER: &str = "hl7-parser";
const SECONDS: u64 = 1;
/// A rate is taken from parts of this length.
const PART: Duration = Duration::from_millis(10);
/// How long an allocator may take to give memory back.
const GIVEN_BACK: Duration = Duration::from_millis(1_500);
/// Size of the large OBX-5.5.
const DOCUMENT: usize = 100_000_000;

/// Where a value stands for the peer: segment, field, component, subcomponent (0: the whole of the
/// level above).
type Place = (&'static str, usize, usize, usize);

/// Twelve values, for us and for the peer.
const VALUES: [(Path, Place); 12] = [
    (Path::new("MSH-9.1"), ("MSH", 9, 1, 0)),
    (Path::new("MSH-9.2"), ("MSH", 9, 2, 0)),
    (Path::new("MSH-10"), ("MSH", 10, 0, 0)),
    (Path::new("EVN-2"), ("EVN", 2, 0, 0)),
    (Path::new("PID-3.1"), ("PID", 3, 1, 0)),
    (Path::new("PID-5.1"), ("PID", 5, 1, 0)),
    (Path::new("PID-11.3"), ("PID", 11, 3, 0)),
    (Path::new("PID-18.1"), ("PID", 18, 1, 0)),
    (Path::new("PV1-3.1"), ("PV1", 3, 1, 0)),
    (Path::new("PV1-19.1"), ("PV1", 19, 1, 0)),
    (Path::new("PV1-36"), ("PV1", 36, 0, 0)),
    (Path::new("PV1-45"), ("PV1", 45, 0, 0)),
];

pub(crate) async fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let options = options.clone();
    let failed = |error: tokio::task::JoinError| BenchError::Thread {
        what: "reader",
        reason: error.to_string(),
    };
    tokio::task::spawn_blocking(move || measure(&options))
        .await
        .map_err(failed)?
}

fn measure(options: &Options) -> Result<Vec<Row>, BenchError> {
    let mut rows = large(options)?;
    let text = sample::message();
    let bytes = Bytes::from(text.clone().into_bytes());
    let size = bytes.len() as f64;
    agree(&bytes, &text)?;
    let time = Duration::from_secs(options.seconds.unwrap_or(SECONDS));
    let rate = |what: &str, once: &mut dyn FnMut() -> usize| {
        options.say(&format!("hl7: {what}"));
        rate(time, once)
    };
    let limit = rate("memchr over the same bytes", &mut || {
        memchr::memchr_iter(b'\r', black_box(&bytes)).count()
    });
    let ours = rate("index and twelve fields", &mut || {
        our_values(&bytes).unwrap_or(0)
    });
    let theirs = rate("the same by the peer", &mut || {
        their_values(&text).unwrap_or(0)
    });
    let our_walk = rate("full walk", &mut || self::our_walk(&bytes).unwrap_or(0));
    let their_walk = rate("the same by the peer", &mut || {
        self::their_walk(&text).unwrap_or(0)
    });
    let per_s = |rate: f64| rate * size / 1e6;
    rows.splice(
        0..0,
        [
            Row::new("index_12_fields_per_s", ours, "messages/s")
                .limit(limit)
                .peer(PEER, theirs),
            Row::new("walk_mb_per_s", per_s(our_walk), "MB/s")
                .limit(per_s(limit))
                .peer(PEER, per_s(their_walk)),
            Row::new("message_bytes", size, "bytes"),
        ],
    );
    Ok(rows)
}

/// A figure counts only where both read the same.
fn agree(bytes: &Bytes, text: &str) -> Result<(), BenchError> {
    let pairs = [
        (our_values(bytes), their_values(text)),
        (our_walk(bytes), their_walk(text)),
    ];
    for (ours, theirs) in pairs {
        if ours.is_none() || ours != theirs {
            let what = format!("{ours:?} bytes of values read, {theirs:?} by {PEER}");
            return Err(BenchError::Sums { what });
        }
    }
    Ok(())
}

/// Calls a second: the best of many short parts, which is what the machine does when it does
/// nothing else.
fn rate(time: Duration, once: &mut dyn FnMut() -> usize) -> f64 {
    let began = Instant::now();
    let mut best = 0.0_f64;
    while began.elapsed() < time {
        let (start, mut count) = (Instant::now(), 0_u32);
        while start.elapsed() < PART {
            for _ in 0..50 {
                black_box(once());
            }
            count += 50;
        }
        best = best.max(f64::from(count) / start.elapsed().as_secs_f64());
    }
    best
}

/// Bytes of the twelve values, so that none can be left unread.
fn our_values(bytes: &Bytes) -> Option<usize> {
    let message = Message::parse(black_box(bytes).clone()).ok()?;
    Some(
        VALUES
            .iter()
            .filter_map(|(path, _)| message.value(path))
            .map(|text| text.len())
            .sum(),
    )
}

fn their_values(text: &str) -> Option<usize> {
    let message = hl7_parser::Message::parse(black_box(text)).ok()?;
    let mut total = 0;
    for (_, (segment, field, component, subcomponent)) in VALUES {
        let Some(field) = message
            .segment(segment)
            .and_then(|segment| segment.field(field))
        else {
            continue;
        };
        let value = match (component, subcomponent) {
            (0, _) => Some(field.raw_value()),
            (c, 0) => field.component(c).map(Component::raw_value),
            (c, s) => field
                .component(c)
                .and_then(|component| component.subcomponent(s))
                .map(Subcomponent::raw_value),
        };
        total += value.map_or(0, str::len);
    }
    Some(total)
}

/// Bytes and places of all values.
fn our_walk(bytes: &Bytes) -> Option<usize> {
    let message = Message::parse(black_box(bytes).clone()).ok()?;
    Some(
        message
            .leaves()
            .map(|(path, raw)| raw.bytes().len() + usize::from(path.field().unwrap_or(0)))
            .sum(),
    )
}

fn their_walk(text: &str) -> Option<usize> {
    let message = hl7_parser::Message::parse(black_box(text)).ok()?;
    let mut total = 0;
    for segment in message.segments() {
        for (index, field) in segment.fields().enumerate() {
            let subcomponents = field
                .repeats()
                .flat_map(Repeat::components)
                .flat_map(Component::subcomponents);
            for value in subcomponents
                .map(Subcomponent::raw_value)
                .filter(|value| !value.is_empty())
            {
                total += value.len() + index + 1;
            }
        }
    }
    Some(total)
}

/// One message with a document of 100 MB, as it comes over a socket in reads of 64 KB: held once
/// while it is read, twice once it was edited.
fn large(options: &Options) -> Result<Vec<Row>, BenchError> {
    options.say("hl7: a document of 100 MB");
    let lost = |what: &str| BenchError::Sums {
        what: format!("the message with a large document {what}"),
    };
    machine::forget_peak();
    let before = machine::resident();
    let frame = receive().ok_or_else(|| lost("was not framed"))?;
    let size = frame.len();
    let message = Message::parse(frame).map_err(|_| lost("was refused"))?;
    let document = message
        .get(&const { Path::new("OBX-5.5") })
        .map_or(0, |raw| raw.bytes().len());
    if document != DOCUMENT || message.value(&const { Path::new("OBX-11") }).as_deref() != Some("F")
    {
        return Err(lost("was read wrongly"));
    }
    let once = held().saturating_sub(before);
    let mut edit = message.edit();
    edit.set("MSH-5", "ARCHIVE")
        .and_then(|edit| edit.set("OBX-11", "C"))
        .map_err(|_| lost("could not be edited"))?;
    let edited = edit
        .finish()
        .map_err(|_| lost("could not be read after the edit"))?;
    if edited.bytes().len() + "WARDLINE".len() != message.bytes().len() + "ARCHIVE".len() {
        return Err(lost("was edited wrongly"));
    }
    let peak = machine::peak_resident().saturating_sub(before);
    let twice = held().saturating_sub(before);
    // Both messages were held until here.
    drop((message, edited));
    Ok(vec![
        Row::new("large_read_mb", mb(once), "MB").limit(mb(size as u64)),
        Row::new("large_edited_mb", mb(twice), "MB").limit(mb(2 * size as u64)),
        Row::new("large_peak_mb", mb(peak), "MB").limit(mb(2 * size as u64)),
    ])
}

/// Resident memory once the allocator has given back what it keeps for a moment: the lowest seen
/// within [`GIVEN_BACK`].
fn held() -> u64 {
    let began = Instant::now();
    let mut lowest = machine::resident();
    while began.elapsed() < GIVEN_BACK {
        std::thread::sleep(PART);
        // An allocator gives memory back when it is called.
        black_box(vec![0_u8; 1 << 20]);
        lowest = lowest.min(machine::resident());
    }
    lowest
}

fn receive() -> Option<Bytes> {
    let mut decoder = mllp::Decoder::new(DOCUMENT + 4_096);
    let mut buffer = BytesMut::new();
    buffer.extend_from_slice(&[mllp::START]);
    buffer.extend_from_slice(sample::message().as_bytes());
    buffer.extend_from_slice(b"OBX|1|ED|PDF^Report||^AP^^Base64^");
    let block = vec![b'Q'; 65_536];
    let mut left = DOCUMENT;
    loop {
        decoder.make_room(&mut buffer);
        if left > 0 {
            let count = left.min(block.len());
            buffer.extend_from_slice(&block[..count]);
            left -= count;
        } else {
            buffer.extend_from_slice(b"||||||F\r");
            buffer.extend_from_slice(&mllp::TRAILER);
        }
        match decoder.decode(&mut buffer) {
            Some(mllp::Event::Frame(bytes)) => return Some(bytes),
            Some(_) => return None,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{agree, rate};
    use crate::sample;
    use bytes::Bytes;
    use std::time::Duration;

    #[test]
    fn both_read_the_same() {
        let text = sample::message();
        if let Err(error) = agree(&Bytes::from(text.clone().into_bytes()), &text) {
            panic!("{error}");
        }
    }

    #[test]
    fn a_rate_is_that_of_its_calls() {
        let mut calls = 0;
        let rate = rate(Duration::from_millis(30), &mut || {
            calls += 1;
            calls
        });
        assert!(rate > 0.0 && calls >= 50);
    }
}

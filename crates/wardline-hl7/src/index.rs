//! The first look at a message: where it begins, and where its segments start and end.

use smallvec::SmallVec;

use crate::charset::{Charset, Declared};
use crate::delimiters::Delimiters;
use crate::message::{ParseOptions, SegmentEnds};
use crate::segment::packed_name;
use crate::{ParseError, scan};

/// Where one segment stands in the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Packed name, 0 where the line has no well-formed one.
    pub(crate) name: u32,
}

pub(crate) type Spans = SmallVec<[Span; 16]>;

/// Where `MSH` begins, past what may stand before it.
pub(crate) fn header_start(bytes: &[u8]) -> Result<usize, ParseError> {
    let start = skip_lead(bytes);
    let rest = &bytes[start..];
    if rest.starts_with(b"MSH") {
        return Ok(start);
    }
    if rest.is_empty() {
        return Err(ParseError::Empty);
    }
    for kind in ["FHS", "BHS"] {
        let follows = rest
            .get(3)
            .is_some_and(|byte| !byte.is_ascii_alphanumeric() && *byte != b' ');
        if rest.starts_with(kind.as_bytes()) && follows {
            return Err(ParseError::IsBatch {
                offset: start,
                kind,
            });
        }
    }
    if matches!(bytes, [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..]) {
        return Err(ParseError::UnsupportedForm { form: "UTF-32" });
    }
    let found_at = memchr::memmem::find_iter(rest, b"MSH")
        .find(|at| *at > 0 && matches!(rest[at - 1], b'\r' | b'\n' | 0x0B))
        .map(|at| start + at);
    Err(ParseError::NoHeader {
        offset: start,
        found_at,
    })
}

/// Length of what may stand before a header: byte order mark, blank space, an MLLP start byte.
pub(crate) fn skip_lead(bytes: &[u8]) -> usize {
    let mark = if bytes.starts_with(b"\xEF\xBB\xBF") {
        3
    } else {
        0
    };
    let blank = bytes[mark..]
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | 0x0B));
    mark + blank.count()
}

/// Length of the first line.
pub(crate) fn line_end(bytes: &[u8], ends: SegmentEnds) -> usize {
    let end = match ends {
        SegmentEnds::Any => memchr::memchr2(b'\r', b'\n', bytes),
        SegmentEnds::CrOnly => memchr::memchr(b'\r', bytes),
    };
    without_end_bytes(&bytes[..end.unwrap_or(bytes.len())]).len()
}

/// The MLLP end byte that some files keep is no part of a line's last field.
pub(crate) fn without_end_bytes(mut line: &[u8]) -> &[u8] {
    while let Some((0x1C, before)) = line.split_last() {
        line = before;
    }
    line
}

pub(crate) fn declared(header: &[u8], delimiters: Delimiters) -> Declared {
    match scan::part(header, delimiters.field, 18) {
        Some(field) if !field.is_empty() => {
            Charset::from_repetitions(field.split(|byte| *byte == delimiters.repetition))
        }
        _ => Declared::default(),
    }
}

/// Finds where segments start and end. Blank lines and MLLP end bytes are passed over: they are
/// no segments, and the bytes are kept anyway.
pub(crate) fn index(
    bytes: &[u8],
    start: usize,
    delimiters: Delimiters,
    options: &ParseOptions,
) -> Result<Spans, ParseError> {
    let mut spans = Spans::new();
    let mut from = start;
    let mut add = |from: usize, to: usize| {
        let line = without_end_bytes(&bytes[from..to]);
        let to = from + line.len();
        if line.is_empty() {
            return Ok(());
        }
        if spans.len() == options.max_segments {
            return Err(ParseError::TooManySegments {
                offset: from,
                limit: options.max_segments,
            });
        }
        // Offsets fit: parse_with refuses longer input.
        spans.push(Span {
            start: from as u32,
            end: to as u32,
            name: packed_name(line, delimiters.field),
        });
        Ok(())
    };
    match options.segment_ends {
        SegmentEnds::Any => {
            for end in memchr::memchr2_iter(b'\r', b'\n', &bytes[start..]) {
                add(from, start + end)?;
                from = start + end + 1;
            }
        }
        SegmentEnds::CrOnly => {
            for end in memchr::memchr_iter(b'\r', &bytes[start..]) {
                add(from, start + end)?;
                from = start + end + 1;
            }
        }
    }
    add(from, bytes.len())?;
    Ok(spans)
}

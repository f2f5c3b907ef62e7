//! What `check` says about a file, and the proof that reading loses nothing.

use super::Limits;
use super::cut::{Cut, Cutter};
use super::error::X12Error;
use super::exam::Exam;
use super::guide::Guides;
use super::reader::Reader;
use super::report::{InterchangeReport, Problem};
use super::segment::Segment;
use std::io::Read;
use std::sync::Arc;

/// What is in some bytes, in the form that people and pipelines ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// It can be read, and nothing in it is to be refused.
    pub ok: bool,
    /// Segments.
    pub segments: u64,
    /// Transaction sets.
    pub sets: u64,
    /// Kinds of the first sets, each once, such as `850`.
    pub kinds: Vec<String>,
    /// GS08 of the first group.
    pub version: Option<String>,
    /// The interchanges.
    pub interchanges: Vec<InterchangeReport>,
    /// Reasons for refusal and everything else that is not as it should be; at most a thousand.
    pub problems: Vec<Problem>,
}

/// Reports on bytes.
///
/// ```
/// let report = wardline_edi::x12::inspect(b"UNA:+.? '".as_slice(), None);
/// assert_eq!((report.ok, report.problems[0].code), (false, "x12.no-header"));
/// ```
pub fn inspect(bytes: &[u8], guides: Option<Arc<Guides>>) -> Report {
    inspect_reader(bytes, guides)
}

/// Reports on a stream, in constant memory.
pub fn inspect_reader(from: impl Read, guides: Option<Arc<Guides>>) -> Report {
    let mut reader = Reader::new(from);
    let mut exam = Exam::new(guides);
    let failed = loop {
        match reader.next_segment() {
            Ok(Some(segment)) => exam.feed(&segment),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let (segments, sets, answers) = (exam.segments(), exam.sets(), exam.acknowledgements());
    let refusals = exam.refusals();
    let (interchanges, mut problems) = exam.finish();
    let failed = failed.or_else(|| (sets == 0 && answers == 0).then_some(X12Error::NoSets));
    let ok = failed.is_none() && refusals == 0 && !problems.iter().any(|problem| problem.refuses);
    if let Some(error) = failed {
        let problem = Problem {
            code: error.code(),
            text: error.to_string(),
            offset: error.offset(),
            segment: None,
            position: None,
            refuses: true,
        };
        // What cannot be read is the first thing to know.
        problems.insert(0, problem);
    }
    let mut kinds: Vec<String> = Vec::new();
    for set in interchanges
        .iter()
        .flat_map(InterchangeReport::sets)
        .take(1000)
    {
        if !kinds.contains(&set.id) {
            kinds.push(set.id.clone());
        }
    }
    let version = interchanges
        .iter()
        .flat_map(|i| &i.groups)
        .map(|group| group.version.clone())
        .next();
    Report {
        ok,
        segments,
        sets,
        kinds,
        version,
        interchanges,
        problems,
    }
}

/// Why a round trip was not possible or not exact.
#[derive(Debug, thiserror::Error)]
pub enum RoundtripError {
    /// The bytes cannot be read.
    #[error(transparent)]
    Refused(#[from] X12Error),
    /// What was written differs: a defect of this library.
    #[error(
        "written from its parts, the interchange differs first at byte {offset}; please report this as a defect"
    )]
    Differs {
        /// Where.
        offset: usize,
    },
}

/// Takes everything apart down to components, writes it from those parts, and compares with what came in.
///
/// # Errors
/// Where the bytes cannot be read or differ.
pub fn roundtrip(bytes: &[u8]) -> Result<(), RoundtripError> {
    let mut cutter = Cutter::new(Limits::default());
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Cut::Segment {
        start, end, next, ..
    } = cutter.cut(bytes, at, 0, true)?
    {
        let Some(delimiters) = cutter.delimiters else {
            break;
        };
        out.extend_from_slice(&bytes[at..start]);
        rebuild(
            &Segment::new(&bytes[start..end], delimiters, start),
            &mut out,
        );
        let next = next.min(bytes.len());
        // The terminator, or blanks at the end where there is none.
        out.extend_from_slice(&bytes[end..next]);
        at = next;
    }
    if at == 0 {
        return Err(X12Error::Empty.into());
    }
    out.extend_from_slice(&bytes[at..]);
    if out == bytes {
        return Ok(());
    }
    let offset = out.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    Err(RoundtripError::Differs { offset })
}

fn rebuild(segment: &Segment<'_>, out: &mut Vec<u8>) {
    let d = segment.delimiters();
    out.extend_from_slice(segment.tag());
    for element in segment.elements() {
        out.push(d.element);
        for (n, repetition) in element.repetitions().enumerate() {
            if n > 0 {
                out.extend(d.repetition);
            }
            for (m, component) in repetition.components().enumerate() {
                if m > 0 {
                    out.push(d.component);
                }
                out.extend_from_slice(component.bytes());
            }
        }
    }
}

//! What `check` says about a file, and the proof that reading loses nothing.

use bytes::Bytes;

use crate::{Batch, Message, ParseError, Problem};

/// Problems kept in one report: a file of ten thousand bad messages must stay readable.
const MOST: usize = 1000;

/// What is in some bytes, in the form that people and pipelines ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Every message can be read (and there is at least one).
    pub ok: bool,
    /// How many messages there are, readable or not.
    pub messages: usize,
    /// `ADT^A01` of the first readable message.
    pub message_type: Option<String>,
    /// MSH-12 of the first readable message.
    pub version: Option<String>,
    /// MSH-18 of the first readable message as it is understood, such as `UNICODE UTF-8`.
    pub charset: Option<String>,
    /// Reasons for refusal and everything else that is not as the standard says, offsets counted
    /// from the start of the bytes; at most a thousand.
    pub problems: Vec<Problem>,
}

/// Reports on bytes that may be a message, several, or a batch.
///
/// ```
/// let report = wardline_hl7::inspect("MSH|^~\\&|EHR|H1|||2026||ADT^A01|1|P|2.5\r");
/// assert!(report.ok && report.problems.is_empty());
/// assert_eq!(report.message_type.as_deref(), Some("ADT^A01"));
/// let report = wardline_hl7::inspect("<xml/>");
/// assert_eq!((report.ok, report.problems[0].code), (false, "hl7.no-header"));
/// ```
pub fn inspect(bytes: impl Into<Bytes>) -> Report {
    let mut report = Report {
        ok: true,
        messages: 0,
        message_type: None,
        version: None,
        charset: None,
        problems: Vec::new(),
    };
    let batch = match Batch::parse(bytes) {
        Ok(batch) => batch,
        Err(error) => {
            report.refuse(&error);
            return report;
        }
    };
    report.problems.extend(batch.problems().iter().cloned());
    report.messages = batch.len();
    if batch.is_empty() {
        report.refuse(&ParseError::NoMessages {
            offset: batch
                .envelopes()
                .first()
                .map_or(0, |envelope| envelope.segment().offset()),
        });
    }
    let mut first = true;
    for entry in batch.messages() {
        match entry.parse() {
            Ok(message) => {
                if std::mem::take(&mut first) {
                    report.describe(&message);
                }
                let room = MOST.saturating_sub(report.problems.len());
                report
                    .problems
                    .extend(
                        message
                            .problems()
                            .into_iter()
                            .take(room)
                            .map(|mut problem| {
                                problem.offset += entry.offset;
                                problem
                            }),
                    );
            }
            Err(error) => report.refuse(&error),
        }
    }
    report
}

impl Report {
    fn refuse(&mut self, error: &ParseError) {
        self.ok = false;
        if self.problems.len() < MOST {
            self.problems.push(Problem::new(
                error.code(),
                error.offset(),
                error.to_string(),
            ));
        }
    }

    fn describe(&mut self, message: &Message) {
        self.message_type = message
            .message_type()
            .map(|kind| match message.trigger_event() {
                Some(event) => format!("{kind}^{event}"),
                None => kind.into_owned(),
            });
        self.version = message.version().map(std::borrow::Cow::into_owned);
        self.charset = message
            .declared_charset()
            .map(|charset| charset.label().to_owned());
    }
}

/// The first place at which a message written from its parts differs from what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Byte offset in the input.
    pub offset: usize,
    /// Length of the input in bytes.
    pub read: usize,
    /// Length of what was written in bytes.
    pub written: usize,
}

/// Why a round trip was not possible or not exact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoundtripError {
    /// The bytes cannot be read.
    #[error(transparent)]
    Refused(#[from] ParseError),
    /// What was written differs: a defect of this library.
    #[error("written from its parts, the message differs first at byte {}; please report this as a defect", .0.offset)]
    Differs(Difference),
}

/// Takes every message apart down to its subcomponents, writes it from those parts, and compares
/// with the bytes that came in.
///
/// # Errors
/// Where the bytes cannot be read or differ.
pub fn roundtrip(bytes: impl Into<Bytes>) -> Result<(), RoundtripError> {
    let batch = Batch::parse(bytes)?;
    if batch.is_empty() {
        let offset = batch
            .envelopes()
            .first()
            .map_or(0, |envelope| envelope.segment().offset());
        return Err(ParseError::NoMessages { offset }.into());
    }
    for entry in batch.messages() {
        let message = entry.parse()?;
        compare(&entry.bytes, message.bytes(), entry.offset)?;
        compare(message.text(), &rebuild(&message), entry.offset)?;
    }
    Ok(())
}

/// The text of a message from its smallest parts.
fn rebuild(message: &Message) -> Vec<u8> {
    let text = message.text();
    let delimiters = message.delimiters();
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for segment in message.segments() {
        out.extend_from_slice(&text[from..segment.offset()]);
        from = segment.offset() + segment.bytes().len();
        let header = segment
            .field(1)
            .is_some_and(|field| field.level() == crate::Level::Literal);
        let name =
            memchr::memchr(delimiters.field(), segment.bytes()).unwrap_or(segment.bytes().len());
        out.extend_from_slice(&segment.bytes()[..name]);
        // MSH-1 is the separator that any other segment has before field 1.
        for field in segment.fields().skip(usize::from(header)) {
            out.push(delimiters.field());
            if field.level() == crate::Level::Literal {
                out.extend_from_slice(field.bytes());
                continue;
            }
            join(
                &mut out,
                field.repetitions(),
                delimiters.repetition(),
                |out, repetition| {
                    join(
                        out,
                        repetition.components(),
                        delimiters.component(),
                        |out, component| {
                            join(
                                out,
                                component.subcomponents(),
                                delimiters.subcomponent(),
                                |out, part| out.extend_from_slice(part.bytes()),
                            );
                        },
                    );
                },
            );
        }
    }
    out.extend_from_slice(&text[from..]);
    out
}

fn join<'a>(
    out: &mut Vec<u8>,
    parts: crate::Parts<'a>,
    separator: Option<u8>,
    mut write: impl FnMut(&mut Vec<u8>, crate::Raw<'a>),
) {
    for (index, part) in parts.enumerate() {
        if index > 0 {
            out.extend(separator);
        }
        write(out, part);
    }
}

fn compare(read: &[u8], written: &[u8], base: usize) -> Result<(), RoundtripError> {
    if read == written {
        return Ok(());
    }
    let same = read.iter().zip(written).take_while(|(a, b)| a == b).count();
    Err(RoundtripError::Differs(Difference {
        offset: base + same,
        read: read.len(),
        written: written.len(),
    }))
}

//! Files and batches of messages: FHS/BHS/BTS/FTS (HL7 v2.5.1 section 2.10.3), and files that hold
//! several messages with no such envelope at all.
//!
//! Wrong counts and missing trailers are problems, not reasons to drop messages. Each message keeps
//! its own bytes, so one that cannot be read does not take the others with it.

use bytes::Bytes;

use crate::charset::{TextRules, wide_form};
use crate::delimiters::Delimiters;
use crate::index::{header_start, skip_lead, without_end_bytes};
use crate::message::{Message, ParseOptions};
use crate::raw::Context;
use crate::segment::Segment;
use crate::{ParseError, Problem};

/// Envelope segments that are kept: a hostile file of nothing else must not take many times its size.
const MOST_ENVELOPES: usize = 10_000;

/// What a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    FileHeader,
    BatchHeader,
    Message,
    BatchTrailer,
    FileTrailer,
}

/// A header or trailer segment of a batch or file, read with its own delimiters.
#[derive(Debug, Clone)]
pub struct Envelope {
    line: Bytes,
    offset: usize,
    context: Context,
}

impl Envelope {
    /// The segment, for reading fields (BHS-11, the batch control id …).
    pub fn segment(&self) -> Segment<'_> {
        Segment::new(&self.line, self.offset, &self.context)
    }
}

/// One message of a batch, not parsed yet.
#[derive(Clone)]
pub struct Entry {
    /// Position among the messages, from 0.
    pub index: usize,
    /// Where it starts in the input.
    pub offset: usize,
    /// Its bytes, shared with the input.
    pub bytes: Bytes,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Entry({} at byte {}, {} bytes)",
            self.index,
            self.offset,
            self.bytes.len()
        )
    }
}

impl Entry {
    /// Reads the message; offsets in an error count from the start of the whole input.
    ///
    /// # Errors
    /// As [`Message::parse`].
    pub fn parse(&self) -> Result<Message, ParseError> {
        self.parse_with(&ParseOptions::default())
    }

    /// Reads the message with options.
    ///
    /// # Errors
    /// As [`Message::parse`].
    pub fn parse_with(&self, options: &ParseOptions) -> Result<Message, ParseError> {
        let message = Message::parse_with(self.bytes.clone(), options);
        message.map_err(|error| error.shifted(self.offset))
    }
}

/// A file of messages, split.
///
/// ```
/// use wardline_hl7::Batch;
/// let batch = Batch::parse("BHS|^~\\&|A\rMSH|^~\\&|A|||||||1\rMSH|^~\\&|A|||||||2\rBTS|3\r")?;
/// let ids: Vec<_> = batch.messages().filter_map(|entry| Some(entry.parse().ok()?.control_id()?.into_owned())).collect();
/// assert_eq!(ids, ["1", "2"]);
/// assert_eq!(batch.problems()[0].code, "batch.count");
/// # Ok::<(), wardline_hl7::ParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Batch {
    text: Bytes,
    messages: Vec<(u32, u32)>,
    envelopes: Vec<Envelope>,
    problems: Vec<Problem>,
}

impl Batch {
    /// Splits a file of messages; one message alone is a batch of one.
    ///
    /// An envelope without messages is no error (the list is empty and a problem says so).
    ///
    /// # Errors
    /// Where the input begins with neither an envelope nor a message.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, ParseError> {
        let mut text: Bytes = bytes.into();
        if let Some(charset) = wide_form(&text) {
            text = charset.decode_whole(&text).0.into();
        }
        if u32::try_from(text.len()).is_err() {
            return Err(ParseError::TooLarge { size: text.len() });
        }
        match header_start(&text) {
            Ok(_) | Err(ParseError::IsBatch { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut split = Split::new(text);
        split.run();
        if split.messages.is_empty() && split.envelopes.is_empty() {
            // It began with "MSH" but not with a header: let the message say what is wrong.
            Message::parse(split.text.clone())?;
            return Err(ParseError::NoMessages { offset: 0 });
        }
        Ok(split.finish())
    }

    /// The messages in order.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = Entry> + '_ {
        self.messages
            .iter()
            .enumerate()
            .map(|(index, (start, end))| Entry {
                index,
                offset: *start as usize,
                bytes: self.text.slice(*start as usize..*end as usize),
            })
    }

    /// How many messages it holds.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// An envelope with no message in it.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether there is an FHS, BHS, BTS or FTS segment.
    pub fn has_envelope(&self) -> bool {
        !self.envelopes.is_empty()
    }

    /// The FHS, BHS, BTS and FTS segments in order.
    pub fn envelopes(&self) -> &[Envelope] {
        &self.envelopes
    }

    /// What is wrong with the envelope: counts, missing headers and trailers. What is wrong with a
    /// message, that message says.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// Passes over the lines once and notes where messages start and whether counts are right.
struct Split {
    text: Bytes,
    messages: Vec<(u32, u32)>,
    envelopes: Vec<Envelope>,
    problems: Vec<Problem>,
    delimiters: Delimiters,
    open_message: Option<usize>,
    /// Where the open BHS and FHS stand.
    open_batch: Option<usize>,
    open_file: Option<usize>,
    in_batch: usize,
    batches: usize,
}

impl Split {
    fn new(text: Bytes) -> Self {
        Self {
            text,
            messages: Vec::new(),
            envelopes: Vec::new(),
            problems: Vec::new(),
            delimiters: Delimiters::STANDARD,
            open_message: None,
            open_batch: None,
            open_file: None,
            in_batch: 0,
            batches: 0,
        }
    }

    fn run(&mut self) {
        let text = self.text.clone();
        let mut from = skip_lead(&text);
        // Bytes before the first message belong to it, so that nothing of a lone message is lost.
        let mut message_from = Some(0);
        while from < text.len() {
            let end =
                memchr::memchr2(b'\r', b'\n', &text[from..]).map_or(text.len(), |end| from + end);
            let start = from
                + text[from..end]
                    .iter()
                    .take_while(|byte| **byte == 0x0B)
                    .count();
            match kind(&text[start..end]) {
                Some(Kind::Message) => {
                    self.close_message(from);
                    self.open_message = Some(message_from.unwrap_or(from));
                    self.in_batch += 1;
                }
                Some(kind) => {
                    self.close_message(from);
                    self.envelope(kind, start, end);
                }
                None => {
                    let stray = text[start..end]
                        .iter()
                        .any(|byte| !matches!(byte, b' ' | b'\t' | 0x1C));
                    if self.open_message.is_none() && stray {
                        self.problem(
                            "batch.stray",
                            start,
                            "a line between batch segments belongs to no message; ignored",
                        );
                    }
                }
            }
            message_from = None;
            from = end + 1;
        }
        self.close_message(text.len());
    }

    fn close_message(&mut self, end: usize) {
        if let Some(start) = self.open_message.take() {
            // Fits: Batch::parse refuses longer input.
            self.messages.push((start as u32, end as u32));
        }
    }

    fn problem(&mut self, code: &'static str, offset: usize, text: impl Into<String>) {
        if self.problems.len() < 100 {
            self.problems.push(Problem::new(code, offset, text));
        }
    }

    fn envelope(&mut self, kind: Kind, start: usize, end: usize) {
        let end = start + without_end_bytes(&self.text[start..end]).len();
        let line = self.text.slice(start..end);
        if matches!(kind, Kind::FileHeader | Kind::BatchHeader) {
            match Delimiters::read(&line, start) {
                Ok(read) => self.delimiters = read.delimiters,
                Err(error) => self.problem(error.code(), error.offset(), "the delimiters of the batch header cannot be read; the standard ones were taken"),
            }
        } else if let Some(separator) = line.get(3) {
            // Trailers have no encoding characters of their own.
            self.delimiters.field = *separator;
        }
        match kind {
            Kind::FileHeader => {
                if let Some(at) = self.open_file.replace(start) {
                    self.problem(
                        "file.no-trailer",
                        at,
                        "the file header before this one has no FTS",
                    );
                }
            }
            Kind::BatchHeader => {
                self.end_batch_without_trailer();
                self.open_batch = Some(start);
                self.in_batch = 0;
            }
            Kind::BatchTrailer => {
                if self.open_batch.take().is_none() {
                    self.problem(
                        "batch.no-header",
                        start,
                        "BTS ends a batch that no BHS began",
                    );
                }
                self.check_count(
                    &line,
                    start,
                    "batch.count",
                    "BTS-1",
                    self.in_batch,
                    "messages",
                );
                self.batches += 1;
                self.in_batch = 0;
            }
            Kind::FileTrailer => {
                self.end_batch_without_trailer();
                if self.open_file.take().is_none() {
                    self.problem("file.no-header", start, "FTS ends a file that no FHS began");
                }
                self.check_count(&line, start, "file.count", "FTS-1", self.batches, "batches");
                self.batches = 0;
            }
            Kind::Message => {}
        }
        if self.envelopes.len() == MOST_ENVELOPES {
            let text = "more batch segments than are kept; later ones still count";
            self.problem("batch.too-many-segments", start, text);
            return;
        }
        let context = Context {
            delimiters: self.delimiters,
            text: TextRules::AUTO,
        };
        self.envelopes.push(Envelope {
            line,
            offset: start,
            context,
        });
    }

    /// A batch ends where the next begins or the file ends, also without BTS; messages directly in
    /// a file are one batch.
    fn end_batch_without_trailer(&mut self) {
        if let Some(at) = self.open_batch.take() {
            self.problem(
                "batch.no-trailer",
                at,
                "the batch has no BTS; all its messages were taken",
            );
            self.batches += 1;
        } else if self.in_batch > 0 {
            self.batches += 1;
        }
        self.in_batch = 0;
    }

    fn check_count(
        &mut self,
        line: &[u8],
        offset: usize,
        code: &'static str,
        field: &str,
        counted: usize,
        what: &str,
    ) {
        let separator = self.delimiters.field;
        let Some(said) = crate::scan::part(line, separator, 2).filter(|said| !said.is_empty())
        else {
            return;
        };
        let said = std::str::from_utf8(said)
            .ok()
            .and_then(|said| said.trim().parse::<usize>().ok());
        match said {
            Some(said) if said == counted => {}
            Some(said) => self.problem(
                code,
                offset,
                format!("{field} says {said} {what}, there are {counted}; all were taken"),
            ),
            None => self.problem(
                code,
                offset,
                format!("{field} is not a number; there are {counted} {what}, all were taken"),
            ),
        }
    }

    fn finish(mut self) -> Batch {
        if let Some(at) = self.open_batch {
            self.problem(
                "batch.no-trailer",
                at,
                "the batch has no BTS; all its messages were taken",
            );
        }
        if let Some(at) = self.open_file {
            self.problem(
                "file.no-trailer",
                at,
                "the file has no FTS; it may have been cut off",
            );
        }
        if self.messages.is_empty() {
            self.problem("batch.empty", 0, "there is no message in it");
        }
        Batch {
            text: self.text,
            messages: self.messages,
            envelopes: self.envelopes,
            problems: self.problems,
        }
    }
}

fn kind(line: &[u8]) -> Option<Kind> {
    let kind = match line.first_chunk::<3>()? {
        b"MSH" => Kind::Message,
        b"FHS" => Kind::FileHeader,
        b"BHS" => Kind::BatchHeader,
        b"BTS" => Kind::BatchTrailer,
        b"FTS" => Kind::FileTrailer,
        _ => return None,
    };
    // "MSHello" in a stray line of text is no header.
    let ends = line
        .get(3)
        .is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b' ');
    ends.then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> (usize, Vec<&'static str>) {
        let batch = Batch::parse(text.to_owned()).unwrap();
        (
            batch.len(),
            batch
                .problems()
                .iter()
                .map(|problem| problem.code)
                .collect(),
        )
    }

    #[test]
    fn takes_every_message_and_reports_the_envelope() {
        let m = "MSH|^~\\&|A\rPID|1\r";
        for (text, messages, problems) in [
            (m.to_owned(), 1, vec![]),
            (format!("{m}{m}"), 2, vec![]),
            (format!("BHS|^~\\&\r{m}{m}BTS|2\r"), 2, vec![]),
            (
                format!("FHS|^~\\&\rBHS|^~\\&\r{m}BTS|1\rBHS|^~\\&\r{m}BTS|1\rFTS|2\r"),
                2,
                vec![],
            ),
            (format!("FHS|^~\\&\r{m}FTS|1\r"), 1, vec![]),
            (format!("BHS|^~\\&\n{m}BTS|7\n"), 1, vec!["batch.count"]),
            (format!("BHS|^~\\&\r{m}BTS|x\r"), 1, vec!["batch.count"]),
            (format!("BHS|^~\\&\r{m}"), 1, vec!["batch.no-trailer"]),
            (
                format!("FHS|^~\\&\rBHS|^~\\&\r{m}FTS|9\r"),
                1,
                vec!["batch.no-trailer", "file.count"],
            ),
            ("BHS|^~\\&\rBTS|0\r".to_owned(), 0, vec!["batch.empty"]),
            (
                format!("BHS|^~\\&\rjunk\r{m}BTS|1\r"),
                1,
                vec!["batch.stray"],
            ),
            (format!("\x0B{m}\x1C\r\x0B{m}\x1C\r"), 2, vec![]),
        ] {
            assert_eq!(codes(&text), (messages, problems), "{text:?}");
        }
    }

    #[test]
    fn a_broken_message_leaves_the_others() {
        let batch = Batch::parse("MSH|^~\\&|A|||||||1\rMSH|&&&&|B\rMSH|^~\\&|C|||||||3\r").unwrap();
        let read: Vec<bool> = batch
            .messages()
            .map(|entry| entry.parse().is_ok())
            .collect();
        assert_eq!(read, [true, false, true]);
        let broken = batch.messages().nth(1).unwrap();
        assert_eq!(broken.parse().unwrap_err().offset(), broken.offset + 5);
        assert!(Batch::parse("PID|1\r").is_err());
    }
}

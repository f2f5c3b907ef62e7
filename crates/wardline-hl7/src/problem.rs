//! What is wrong with a message that can be read all the same.

use std::fmt;

use crate::Path;
use crate::charset::Charset;
use crate::delimiters::Shape;
use crate::message::{Message, SegmentEnds};

/// Problems listed per message at most: a file of garbage must not become a report of garbage.
const MOST: usize = 100;

/// Something that is not as the standard says. Carries no values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable and machine-readable: `segment.name`, `batch.count` …
    pub code: &'static str,
    /// What is wrong and what it was taken for.
    pub text: String,
    /// Byte offset in [`Message::text`], or in the whole input where a report covers more.
    pub offset: usize,
    /// Name of the segment it is in, where it is in one.
    pub segment: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.code, self.offset, self.text)
    }
}

impl Problem {
    pub(crate) fn new(code: &'static str, offset: usize, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            offset,
            segment: None,
        }
    }

    pub(crate) fn in_segment(mut self, name: &str) -> Self {
        self.segment = Some(name.into());
        self
    }
}

impl Message {
    /// What is not as the standard says, first things first; at most a hundred.
    ///
    /// Reading works all the same. Looks at the whole text, so ask only where someone wants to know.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        self.lead_problems(&mut found);
        self.header_problems(&mut found);
        self.charset_problems(&mut found);
        self.segment_problems(&mut found);
        found.truncate(MOST);
        found
    }

    fn lead_problems(&self, found: &mut Vec<Problem>) {
        let start = self.segments.first().map_or(0, |span| span.start as usize);
        let lead = &self.text()[..start];
        if lead.starts_with(b"\xEF\xBB\xBF") {
            found.push(Problem::new(
                "lead.byte-order-mark",
                0,
                "a UTF-8 byte order mark stands before MSH; passed over",
            ));
        }
        if lead.contains(&0x0B) {
            found.push(Problem::new(
                "lead.mllp-start",
                0,
                "an MLLP start byte stands before MSH; passed over",
            ));
        } else if lead.iter().any(u8::is_ascii_whitespace) {
            found.push(Problem::new(
                "lead.blank",
                0,
                "blank space stands before MSH; passed over",
            ));
        }
    }

    fn header_problems(&self, found: &mut Vec<Problem>) {
        let Some(header) = self.segment_at(0) else {
            return;
        };
        let at = header.offset();
        let mut add = |code, offset, text: &str| {
            found.push(Problem::new(code, offset, text).in_segment("MSH"));
        };
        match self.shape {
            Shape::Complete => {}
            Shape::Short => add(
                "delimiters.short",
                at + 4,
                "MSH-2 has fewer than four encoding characters; the customary ones were taken",
            ),
            Shape::Long => add(
                "delimiters.long",
                at + 4,
                "MSH-2 is longer than its encoding characters; the rest of it was ignored",
            ),
            Shape::DoubledEscape => add(
                "delimiters.doubled-escape",
                at + 4,
                "MSH-2 has its backslash twice; read as ^~\\&",
            ),
        }
        let needed = [
            (
                const { Path::new("MSH-9.1") },
                "header.type-missing",
                "MSH-9 is empty: the message has no type",
            ),
            (
                const { Path::new("MSH-10") },
                "header.control-id-missing",
                "MSH-10 is empty: an answer cannot name the message",
            ),
            (
                const { Path::new("MSH-12") },
                "header.version-missing",
                "MSH-12 is empty: the version is unknown",
            ),
        ];
        for (path, code, text) in needed {
            let raw = header.get(&path);
            if raw.is_none_or(|raw| raw.is_empty()) {
                add(
                    code,
                    raw.map_or(at + header.bytes().len(), |raw| {
                        offset_of(self, raw.bytes())
                    }),
                    text,
                );
            }
        }
        if let Some(raw) = header
            .get(&const { Path::new("MSH-12.1") })
            .filter(|raw| !raw.is_empty())
        {
            let known = [
                "2.1", "2.2", "2.3", "2.3.1", "2.3.2", "2.4", "2.5", "2.5.1", "2.6", "2.7",
                "2.7.1", "2.8", "2.8.1", "2.8.2", "2.9", "2.9.1",
            ];
            if !known
                .iter()
                .any(|version| raw.bytes() == version.as_bytes())
            {
                add(
                    "header.version-unknown",
                    offset_of(self, raw.bytes()),
                    "MSH-12 names no version of HL7 v2; read as any other",
                );
            }
        }
    }

    fn charset_problems(&self, found: &mut Vec<Problem>) {
        const PATH: Path = Path::new("MSH-18");
        let at = self
            .get(&PATH)
            .map_or(0, |raw| offset_of(self, raw.bytes()));
        let mut add = |code, offset, text: &str| {
            found.push(Problem::new(code, offset, text).in_segment("MSH"));
        };
        if self.declared.unknown {
            add(
                "charset.unknown",
                at,
                "MSH-18 names a character set that is not known; values are read as UTF-8 or windows-1252",
            );
        }
        if let Some(received) = self.received() {
            if received.damaged {
                add(
                    "charset.damaged",
                    0,
                    "some bytes are not valid in the declared character set; they are read as U+FFFD",
                );
            }
            return;
        }
        let Some(first) = self
            .text()
            .iter()
            .skip(3)
            .position(|byte| !byte.is_ascii())
            .map(|at| at + 3)
        else {
            return;
        };
        let utf8 = std::str::from_utf8(self.text()).map_err(|error| error.valid_up_to());
        match self.declared.charset {
            None if !self.declared.unknown => {
                let guess = if utf8.is_ok() {
                    "UTF-8"
                } else {
                    "windows-1252 where it is not UTF-8"
                };
                add(
                    "charset.undeclared",
                    first,
                    &format!("there are non-ASCII characters but MSH-18 is empty; read as {guess}"),
                );
            }
            Some(charset) if charset == Charset::ASCII => {
                add(
                    "charset.not-ascii",
                    first,
                    "MSH-18 says ASCII but there are other characters; read as UTF-8 or windows-1252",
                );
            }
            Some(charset) if charset == Charset::UTF_8 => {
                if let Err(offset) = utf8 {
                    add(
                        "charset.not-utf8",
                        offset,
                        "MSH-18 says UTF-8 but not all bytes are; such values are read as windows-1252",
                    );
                }
            }
            _ => {}
        }
    }

    fn segment_problems(&self, found: &mut Vec<Problem>) {
        if self.options.segment_ends == SegmentEnds::Any
            && let Some(at) = memchr::memchr(b'\n', self.text())
        {
            let crlf = at > 0 && self.text()[at - 1] == b'\r';
            let text = if crlf {
                "a segment ends with CRLF; the standard has CR"
            } else {
                "a segment ends with LF; the standard has CR"
            };
            found.push(Problem::new("segment.end", at, text));
        }
        for (index, segment) in self.segments().enumerate() {
            if found.len() >= MOST {
                return;
            }
            if !segment.has_valid_name() {
                let text = "the line begins with no segment name; often a line break inside a field that should be \\.br\\";
                found.push(Problem::new("segment.name", segment.offset(), text));
            } else if index > 0 && segment.name() == "MSH" {
                let text = "a second MSH segment: these are several messages, to be split before they are read";
                found.push(
                    Problem::new("segment.second-header", segment.offset(), text).in_segment("MSH"),
                );
            }
        }
    }
}

/// Offset of bytes that were cut out of the message's own text.
fn offset_of(message: &Message, part: &[u8]) -> usize {
    let base = message.text().as_ptr() as usize;
    (part.as_ptr() as usize)
        .saturating_sub(base)
        .min(message.text().len())
}

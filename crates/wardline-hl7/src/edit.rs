//! Changing a message: only the bytes that must change do.
//!
//! The editor holds one copy of the text and splices into it. That is one move of the tail per
//! edit, and never more than one copy of a large document beside the original.

use std::ops::Range;

use bytes::Bytes;

use crate::charset::{Charset, CharsetPolicy, TextRules};
use crate::index::index;
use crate::message::{Message, ParseOptions};
use crate::path::{Path, is_header};
use crate::raw::Context;
use crate::segment::{pack, packed_name};
use crate::splice::SplicedText;
use crate::{EditError, scan};

/// Empty positions that one write may add: far more than any segment of the standard has.
const MOST_ADDED: usize = 1024;

/// Changes a message by path.
///
/// Text is escaped and written in the message's character set; positions and the segment itself are
/// added where they are missing. A path that names no repetition or component and writes deeper means
/// the first, as in reading.
///
/// ```
/// use wardline_hl7::Message;
/// let message = Message::parse("MSH|^~\\&|EHR\rPID|1||7\r")?;
/// let mut edit = message.edit();
/// edit.set("PID-5.2", "JANE & CO")?.append("PID-3", "8")?.set("ZBD-1", "new")?;
/// assert_eq!(edit.finish()?.bytes().as_ref(), b"MSH|^~\\&|EHR\rPID|1||7~8||^JANE \\T\\ CO\rZBD|new\r");
/// # Ok::<(), wardline_hl7::EditError>(())
/// ```
pub struct Editor {
    text: SplicedText,
    context: Context,
    options: ParseOptions,
    /// The character set to write at the end, where the buffer is a UTF-8 copy.
    target: Option<Target>,
}

#[derive(Clone, Copy)]
struct Target {
    charset: Charset,
    byte_order_mark: bool,
}

impl std::fmt::Debug for Editor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Editor({} bytes, {} segments)",
            self.text.bytes.len(),
            self.text.segments.len()
        )
    }
}

impl Message {
    /// Starts an edit of a copy of this message.
    pub fn edit(&self) -> Editor {
        Editor::new(self.clone())
    }
}

impl Editor {
    /// Starts an edit. Where this was the only holder of the bytes they are reused, not copied.
    pub fn new(message: Message) -> Self {
        let target = message.received().map(|received| Target {
            charset: received.charset,
            byte_order_mark: matches!(received.bytes.as_ref(), [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]),
        });
        let (context, options, segments) = (
            *message.context(),
            message.options,
            message.segments.clone(),
        );
        let text = SplicedText::new(Vec::from(message.into_text()), segments);
        Self {
            text,
            context,
            options,
            target,
        }
    }

    /// Writes text, escaped, in place of what stands at the path.
    ///
    /// # Errors
    /// Where the path cannot be written ([`EditError`] says why) or the character set lacks a
    /// character. Writing MSH-18 re-codes the message, see [`Editor::set_charset`].
    pub fn set<P>(&mut self, path: P, text: &str) -> Result<&mut Self, EditError>
    where
        P: TryInto<Path>,
        EditError: From<P::Error>,
    {
        let path: Path = path.try_into()?;
        if path.segment == *b"MSH"
            && path.field == 18
            && path.repetition <= 1
            && let Some(charset) = Charset::named(text)
        {
            self.set_charset(charset)?;
        }
        let bytes = self.encoded(path, text)?;
        self.write(path, &bytes)?;
        Ok(self)
    }

    /// Writes bytes as they are: structure such as `A^B~C`, already escaped and in the message's
    /// character set.
    ///
    /// # Errors
    /// As [`Editor::set`], and where the bytes hold CR or LF.
    pub fn set_raw<P>(&mut self, path: P, bytes: &[u8]) -> Result<&mut Self, EditError>
    where
        P: TryInto<Path>,
        EditError: From<P::Error>,
    {
        let path: Path = path.try_into()?;
        check_raw(path, bytes)?;
        self.write(path, bytes)?;
        Ok(self)
    }

    /// Writes `""`: the receiver is to delete its value.
    ///
    /// # Errors
    /// As [`Editor::set`].
    pub fn set_null<P>(&mut self, path: P) -> Result<&mut Self, EditError>
    where
        P: TryInto<Path>,
        EditError: From<P::Error>,
    {
        self.set_raw(path, b"\"\"")
    }

    /// Adds a repetition with this text at the end of a field; the field's first where it is empty.
    ///
    /// # Errors
    /// As [`Editor::set`].
    pub fn append<P>(&mut self, path: P, text: &str) -> Result<&mut Self, EditError>
    where
        P: TryInto<Path>,
        EditError: From<P::Error>,
    {
        let path: Path = path.try_into()?;
        let bytes = self.encoded(path, text)?;
        self.append_bytes(path, &bytes)
    }

    /// Adds a repetition with these bytes, as [`Editor::set_raw`] takes them.
    ///
    /// # Errors
    /// As [`Editor::set_raw`].
    pub fn append_raw<P>(&mut self, path: P, bytes: &[u8]) -> Result<&mut Self, EditError>
    where
        P: TryInto<Path>,
        EditError: From<P::Error>,
    {
        let path: Path = path.try_into()?;
        check_raw(path, bytes)?;
        self.append_bytes(path, bytes)
    }

    /// Takes out what the path names. A segment or a repetition goes with its separator; a field,
    /// component or subcomponent becomes empty, since removing it would renumber the ones after.
    /// What is not there is no error.
    ///
    /// # Errors
    /// Where the path names MSH itself, MSH-1 or MSH-2.
    pub fn remove<P>(&mut self, path: P) -> Result<&mut Self, EditError>
    where
        P: TryInto<Path>,
        EditError: From<P::Error>,
    {
        let path: Path = path.try_into()?;
        let Some(at) = self.position(path) else {
            return Ok(self);
        };
        if path.field == 0 {
            check_not_header(path.segment)?;
            self.text.remove_segments(|index, _| index == at);
            return Ok(self);
        }
        check_delimiters(path)?;
        let Some(range) = self.find(path, at) else {
            return Ok(self);
        };
        if path.repetition == 0 || path.component != 0 {
            self.text.splice(range, b"")?;
            return Ok(self);
        }
        // The repetition takes the separator before it along, the first one that after it.
        let separator = self.context.delimiters.repetition;
        let mut cut = range.clone();
        if path.repetition > 1 {
            cut.start -= 1;
        } else if self.text.bytes.get(cut.end) == Some(&separator)
            && (cut.end as u32) < self.text.segments[at].end
        {
            cut.end += 1;
        }
        self.text.splice(cut, b"")?;
        Ok(self)
    }

    /// Removes every segment of that name; says how many there were.
    ///
    /// # Errors
    /// Where the name is `MSH`.
    pub fn remove_segments(&mut self, name: &str) -> Result<usize, EditError> {
        let wanted = pack(segment_name(name)?);
        Ok(self.text.remove_segments(|_, span| span.name == wanted))
    }

    /// Adds an empty segment at the end; the returned path names it.
    ///
    /// # Errors
    /// Where the name is none, or `MSH`.
    pub fn add_segment(&mut self, name: &str) -> Result<Path, EditError> {
        let last = self.text.segments.len() - 1;
        self.insert_line(last, name)
    }

    /// Inserts an empty segment after the one that `anchor` names; the returned path names it.
    ///
    /// # Errors
    /// Where there is no such anchor, or the name is none or `MSH`.
    pub fn insert_after<P>(&mut self, anchor: P, name: &str) -> Result<Path, EditError>
    where
        P: TryInto<Path>,
        EditError: From<P::Error>,
    {
        let anchor: Path = anchor.try_into()?;
        let at = self
            .position(anchor)
            .ok_or_else(|| self.no_segment(anchor))?;
        self.insert_line(at, name)
    }

    /// Re-codes the whole message and writes MSH-18 (`UNICODE UTF-8`, `8859/1` …).
    ///
    /// Values in `\X..\` escapes are bytes by definition and stay as they are.
    ///
    /// # Errors
    /// Where the new character set lacks a character; the message is then unchanged.
    pub fn set_charset(&mut self, charset: Charset) -> Result<&mut Self, EditError> {
        let text = self.context.text.decode(&self.text.bytes).into_owned();
        if charset.encode(&text).is_none() {
            return Err(EditError::Unmappable {
                path: "message".into(),
                charset: charset.label(),
            });
        }
        let start = self
            .text
            .segments
            .first()
            .map_or(0, |span| span.start as usize);
        let bytes = text.into_bytes();
        let segments = index(&bytes, start, self.context.delimiters, &self.options)?;
        self.text = SplicedText::new(bytes, segments);
        self.context.text = TextRules::UTF_8;
        self.options.charset = CharsetPolicy::Declared;
        self.target = (charset != Charset::UTF_8 && charset != Charset::ASCII).then_some(Target {
            charset,
            byte_order_mark: false,
        });
        self.write(const { Path::new("MSH-18") }, charset.label().as_bytes())?;
        Ok(self)
    }

    /// The edited message.
    ///
    /// # Errors
    /// Where the message's character set lacks a character that was written.
    pub fn finish(self) -> Result<Message, EditError> {
        let Some(target) = self.target else {
            return Ok(Message::parse_with(self.text.bytes, &self.options)?);
        };
        let text = TextRules::UTF_8.decode(&self.text.bytes);
        let encoded = target.charset.encode(&text);
        let encoded = encoded.ok_or_else(|| EditError::Unmappable {
            path: "message".into(),
            charset: target.charset.label(),
        })?;
        let mut bytes = Vec::with_capacity(encoded.len() + 2);
        if target.byte_order_mark {
            // encode() of the mark's character cannot fail for UTF-16, the only one that has it.
            bytes.extend_from_slice(&target.charset.encode("\u{FEFF}").unwrap_or_default());
        }
        bytes.extend_from_slice(&encoded);
        Ok(Message::parse_with(Bytes::from(bytes), &self.options)?)
    }

    /// How many segments of that name there are now.
    pub fn count(&self, name: &str) -> usize {
        <[u8; 3]>::try_from(name.as_bytes()).map_or(0, |name| self.text.count(name))
    }

    fn encoded(&self, path: Path, text: &str) -> Result<Vec<u8>, EditError> {
        let utf8_so_far = || std::str::from_utf8(&self.text.bytes).is_ok();
        let bytes = self.context.text.encode(text, utf8_so_far);
        let bytes = bytes.ok_or_else(|| EditError::Unmappable {
            path: path.to_string(),
            charset: self.context.text.name(),
        })?;
        Ok(crate::escape(&bytes, &self.context.delimiters).into_owned())
    }

    fn append_bytes(&mut self, path: Path, bytes: &[u8]) -> Result<&mut Self, EditError> {
        let field = Path {
            repetition: 0,
            component: 0,
            subcomponent: 0,
            ..path
        };
        let present = self
            .position(field)
            .and_then(|at| self.find(field, at))
            .map_or(0, |range| {
                let bytes = &self.text.bytes[range];
                if bytes.is_empty() {
                    0
                } else {
                    scan::count(bytes, self.context.delimiters.repetition) + 1
                }
            });
        let next = u16::try_from(present + 1).map_err(|_| too_far(path, present))?;
        self.write(field.in_repetition(next), bytes)?;
        Ok(self)
    }

    /// Index of the segment that the path names.
    fn position(&self, path: Path) -> Option<usize> {
        let nth = path.occurrence.max(1) as usize - 1;
        self.text.position(path.segment, nth)
    }

    fn no_segment(&self, path: Path) -> EditError {
        EditError::NoSegment {
            path: path.to_string(),
            present: self.count(path.segment()),
        }
    }

    /// Where the path's value stands, if it is there.
    fn find(&self, path: Path, at: usize) -> Option<Range<usize>> {
        let mut range = self.text.range(at);
        for (separator, n) in self.steps(path) {
            range = self.text.part(range, separator, n)?;
        }
        Some(range)
    }

    /// Separator and number of each level that the path goes down, counted over the segment's bytes.
    fn steps(&self, path: Path) -> impl Iterator<Item = (u8, usize)> + use<> {
        let delimiters = self.context.delimiters;
        // Part 1 of a segment is its name; in a header it is name and MSH-1 together.
        let field = usize::from(path.field) + usize::from(!is_header(path.segment));
        let deeper = path.repetition != 0 || path.component != 0;
        [
            Some((delimiters.field, field)),
            deeper.then(|| (delimiters.repetition, usize::from(path.repetition.max(1)))),
            (path.component != 0).then(|| (delimiters.component, usize::from(path.component))),
            (path.subcomponent != 0)
                .then(|| (delimiters.subcomponent, usize::from(path.subcomponent))),
        ]
        .into_iter()
        .flatten()
    }

    fn write(&mut self, path: Path, bytes: &[u8]) -> Result<(), EditError> {
        if path.field == 0 {
            return Err(EditError::NeedsField {
                path: path.to_string(),
            });
        }
        check_delimiters(path)?;
        for (separator, n) in self.steps(path) {
            if separator == b'\r' && n > 1 {
                return Err(EditError::NoDelimiter {
                    path: path.to_string(),
                });
            }
        }
        let at = match self.position(path) {
            Some(at) => at,
            None if path.occurrence.max(1) as usize == self.count(path.segment()) + 1 => {
                self.add_segment(path.segment())?;
                self.text.segments.len() - 1
            }
            None => return Err(self.no_segment(path)),
        };
        let mut range = self.text.range(at);
        for (level, (separator, n)) in self.steps(path).enumerate() {
            // Going below a null: HL7's "delete" cannot hold parts.
            if level > 0 && n > 1 && self.text.bytes[range.clone()] == *b"\"\"" {
                self.text.splice(range.clone(), b"")?;
                range.end = range.start;
            }
            range = if let Some(found) = self.text.part(range.clone(), separator, n) {
                found
            } else {
                let present = scan::count(&self.text.bytes[range.clone()], separator) + 1;
                let added = n - present;
                if added > MOST_ADDED {
                    return Err(too_far(path, added));
                }
                self.text
                    .splice(range.end..range.end, &vec![separator; added])?;
                range.end + added..range.end + added
            };
        }
        Ok(self.text.splice(range, bytes)?)
    }

    /// Inserts an empty segment after the `at`-th; its path.
    fn insert_line(&mut self, after: usize, name: &str) -> Result<Path, EditError> {
        let segment = segment_name(name)?;
        self.text.insert_segment(after, segment)?;
        let upto = &self.text.segments[..=after + 1];
        let occurrence = upto
            .iter()
            .filter(|span| span.name == pack(segment))
            .count();
        let path = Path {
            segment,
            occurrence: 0,
            field: 0,
            repetition: 0,
            component: 0,
            subcomponent: 0,
        };
        Ok(path.in_occurrence(u32::try_from(occurrence).unwrap_or(u32::MAX)))
    }
}

fn segment_name(name: &str) -> Result<[u8; 3], EditError> {
    let bytes = name.as_bytes();
    match bytes.first_chunk::<3>() {
        Some(b"MSH") if bytes.len() == 3 => Err(EditError::Header),
        Some(segment) if bytes.len() == 3 && packed_name(bytes, 0) != 0 => Ok(*segment),
        _ => Err(EditError::BadSegmentName {
            name: name.chars().take(16).collect(),
        }),
    }
}

fn check_not_header(segment: [u8; 3]) -> Result<(), EditError> {
    if segment == *b"MSH" {
        return Err(EditError::Header);
    }
    Ok(())
}

fn check_raw(path: Path, bytes: &[u8]) -> Result<(), EditError> {
    if memchr::memchr2(b'\r', b'\n', bytes).is_some() {
        return Err(EditError::RawSegmentEnd {
            path: path.to_string(),
        });
    }
    Ok(())
}

fn check_delimiters(path: Path) -> Result<(), EditError> {
    if path.is_delimiters() {
        return Err(EditError::Delimiters {
            path: path.to_string(),
        });
    }
    Ok(())
}

fn too_far(path: Path, added: usize) -> EditError {
    EditError::TooFar {
        path: path.to_string(),
        added,
        limit: MOST_ADDED,
    }
}

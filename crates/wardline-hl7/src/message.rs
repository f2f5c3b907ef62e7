//! One message: its bytes, where its segments start, and reading by path.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::ParseError;
use crate::charset::{Charset, CharsetPolicy, Declared, TextRules, wide_form};
use crate::delimiters::{Delimiters, Read, Shape};
use crate::index::{Span, Spans, declared, header_start, index, line_end};
use crate::path::Path;
use crate::raw::{Context, Raw, Value};
use crate::segment::{Segment, pack};

/// What ends a segment. HL7 says CR; files and careless senders have LF or CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SegmentEnds {
    /// CR, LF or CRLF, also mixed.
    #[default]
    Any,
    /// CR only: for senders that put LF into the text of a field.
    CrOnly,
}

/// How to read a message; the default is right for nearly every sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseOptions {
    /// How the character set is chosen.
    pub charset: CharsetPolicy,
    /// What ends a segment.
    pub segment_ends: SegmentEnds,
    /// Most segments that are taken, 1,000,000 by default: the index costs 12 bytes a segment, which
    /// for a hostile message of empty lines would be a multiple of its own size.
    pub max_segments: usize,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            charset: CharsetPolicy::default(),
            segment_ends: SegmentEnds::default(),
            max_segments: 1_000_000,
        }
    }
}

/// An HL7 v2 message, read lazily.
///
/// Parsing finds the delimiters and where segments start; fields are cut when they are asked for,
/// without allocating. The bytes are kept as they came, so an unedited message writes back byte
/// for byte ([`Message::bytes`]). Cloning shares the bytes. `Debug` shows no content.
///
/// ```
/// use wardline_hl7::{Message, Path};
/// let message = Message::parse("MSH|^~\\&|EHR|H1|||20260101||ADT^A01|1|P|2.5\rPID|1||77||DOE^JANE\r")?;
/// assert_eq!(message.value(&Path::new("PID-5.2")).as_deref(), Some("JANE"));
/// assert_eq!(message.control_id().as_deref(), Some("1"));
/// # Ok::<(), wardline_hl7::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Message {
    /// What is indexed.
    text: Bytes,
    /// The bytes as received, where `text` is a transcoded copy of them.
    received: Option<Received>,
    context: Context,
    pub(crate) segments: Spans,
    pub(crate) declared: Declared,
    pub(crate) shape: Shape,
    pub(crate) options: ParseOptions,
}

#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    pub(crate) charset: Charset,
    /// Some characters could not be read and stand as U+FFFD in the text.
    pub(crate) damaged: bool,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Message({} bytes, {} segments)",
            self.bytes().len(),
            self.segments.len()
        )
    }
}

impl Message {
    /// Reads a message with default options.
    ///
    /// A byte order mark, blank lines and an MLLP start byte before `MSH` are tolerated.
    ///
    /// # Errors
    /// Where the bytes are not one HL7 v2 message; see [`ParseError`].
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, ParseError> {
        Self::parse_with(bytes, &ParseOptions::default())
    }

    /// Reads a message with options.
    ///
    /// # Errors
    /// As [`Message::parse`].
    pub fn parse_with(bytes: impl Into<Bytes>, options: &ParseOptions) -> Result<Self, ParseError> {
        let bytes = bytes.into();
        if u32::try_from(bytes.len()).is_err() {
            return Err(ParseError::TooLarge { size: bytes.len() });
        }
        if let Some(charset) = wide_form(&bytes) {
            return Self::transcoded(bytes, charset, options);
        }
        let start = header_start(&bytes)?;
        let line_end = line_end(&bytes[start..], options.segment_ends);
        let header = &bytes[start..start + line_end];
        let Read { delimiters, shape } = Delimiters::read(header, start)?;
        let declared = declared(header, delimiters);
        let charset = match options.charset {
            CharsetPolicy::Fixed(charset) => Some(charset),
            CharsetPolicy::Declared | CharsetPolicy::Auto => declared.charset,
        };
        if let Some(charset) = charset.filter(|charset| charset.hides_delimiters()) {
            // A message that says UTF-16 but whose header was readable as single bytes is not.
            if !charset.is_wide() {
                return Self::transcoded(bytes, charset, options);
            }
        }
        let text = if charset.is_some_and(Charset::is_wide) {
            TextRules::AUTO
        } else {
            TextRules::choose(options.charset, declared)
        };
        let segments = index(&bytes, start, delimiters, options)?;
        let context = Context { delimiters, text };
        Ok(Self {
            text: bytes,
            received: None,
            context,
            segments,
            declared,
            shape,
            options: *options,
        })
    }

    fn transcoded(
        bytes: Bytes,
        charset: Charset,
        options: &ParseOptions,
    ) -> Result<Self, ParseError> {
        let (decoded, damaged) = charset.decode_whole(&bytes);
        let text = Bytes::from(decoded);
        if u32::try_from(text.len()).is_err() {
            return Err(ParseError::TooLarge { size: text.len() });
        }
        let start = header_start(&text)?;
        let end = line_end(&text[start..], options.segment_ends);
        let header = &text[start..start + end];
        let Read { delimiters, shape } = Delimiters::read(header, start)?;
        let declared = declared(header, delimiters);
        let segments = index(&text, start, delimiters, options)?;
        let context = Context {
            delimiters,
            text: TextRules::transcoded(charset),
        };
        let received = Some(Received {
            bytes,
            charset,
            damaged,
        });
        Ok(Self {
            text,
            received,
            context,
            segments,
            declared,
            shape,
            options: *options,
        })
    }

    /// The message exactly as it was received.
    pub fn bytes(&self) -> &Bytes {
        self.received
            .as_ref()
            .map_or(&self.text, |received| &received.bytes)
    }

    /// The bytes that offsets and segments refer to: [`Message::bytes`], or a UTF-8 copy of them
    /// where the character set (GB 18030, UTF-16 …) cannot be cut at delimiters directly.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// Gives up the message for its bytes as received, without copying.
    pub fn into_bytes(self) -> Bytes {
        self.received.map_or(self.text, |received| received.bytes)
    }

    pub(crate) fn into_text(self) -> Bytes {
        self.text
    }

    pub(crate) fn received(&self) -> Option<&Received> {
        self.received.as_ref()
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The delimiters of MSH-1 and MSH-2.
    pub fn delimiters(&self) -> &Delimiters {
        &self.context.delimiters
    }

    /// The character set that MSH-18 names, where it names a known one.
    pub fn declared_charset(&self) -> Option<Charset> {
        self.declared.charset
    }

    /// How many segments it has.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Never: a message has at least its MSH segment. Here because `len` is.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    #[inline]
    fn view(&self, span: Span) -> Segment<'_> {
        Segment::new(
            &self.text[span.start as usize..span.end as usize],
            span.start as usize,
            &self.context,
        )
    }

    /// All segments in order, stray lines included.
    pub fn segments(
        &self,
    ) -> impl DoubleEndedIterator<Item = Segment<'_>> + ExactSizeIterator + Clone {
        self.segments.iter().map(|span| self.view(*span))
    }

    /// All segments of that name, in order.
    pub fn segments_named(
        &self,
        name: &str,
    ) -> impl DoubleEndedIterator<Item = Segment<'_>> + Clone {
        let wanted = <[u8; 3]>::try_from(name.as_bytes()).map_or(u32::MAX, pack);
        self.segments
            .iter()
            .filter(move |span| span.name == wanted)
            .map(|span| self.view(*span))
    }

    /// The `n`-th (from 1) segment of that name.
    pub fn segment(&self, name: &str, n: usize) -> Option<Segment<'_>> {
        self.segments_named(name).nth(n.checked_sub(1)?)
    }

    /// The `index`-th segment (from 0) of the message, whatever its name.
    pub fn segment_at(&self, index: usize) -> Option<Segment<'_>> {
        self.segments.get(index).map(|span| self.view(*span))
    }

    /// How many segments of that name there are.
    pub fn count(&self, name: &str) -> usize {
        self.segments_named(name).count()
    }

    /// The bytes at a path, without allocating.
    ///
    /// Where the path ends at a field, that is the whole field with all repetitions and components;
    /// [`Raw::value`] gives its first primitive, [`Raw::decode`] all of it. `None` means the message
    /// ends before that position; a position that is there but empty gives an empty [`Raw`].
    #[inline]
    pub fn get(&self, path: &Path) -> Option<Raw<'_>> {
        let wanted = pack(path.segment);
        let mut left = path.occurrence.max(1);
        for span in &self.segments {
            if span.name == wanted {
                left -= 1;
                if left == 0 {
                    return self.view(*span).get(path);
                }
            }
        }
        None
    }

    /// The text of the first primitive at a path, un-escaped and decoded; `None` where it is absent,
    /// empty or null ([`Message::look`] keeps these apart).
    #[inline]
    pub fn value(&self, path: &Path) -> Option<Cow<'_, str>> {
        match self.look(path) {
            Value::Text(text) => Some(text),
            Value::Absent | Value::Empty | Value::Null => None,
        }
    }

    /// What stands at a path: absent, empty, null or text of the first primitive.
    #[inline]
    pub fn look(&self, path: &Path) -> Value<'_> {
        self.get(path).map_or(Value::Absent, |raw| raw.to_value())
    }

    /// MSH-9.1, the message type (`ADT`).
    pub fn message_type(&self) -> Option<Cow<'_, str>> {
        const PATH: Path = Path::new("MSH-9.1");
        self.value(&PATH)
    }

    /// MSH-9.2, the trigger event (`A01`).
    pub fn trigger_event(&self) -> Option<Cow<'_, str>> {
        const PATH: Path = Path::new("MSH-9.2");
        self.value(&PATH)
    }

    /// MSH-10, the message control id.
    pub fn control_id(&self) -> Option<Cow<'_, str>> {
        const PATH: Path = Path::new("MSH-10");
        self.value(&PATH)
    }

    /// MSH-12.1, the version of the standard (`2.5.1`).
    pub fn version(&self) -> Option<Cow<'_, str>> {
        const PATH: Path = Path::new("MSH-12.1");
        self.value(&PATH)
    }

    /// MSH-3.1, the sending application.
    pub fn sending_application(&self) -> Option<Cow<'_, str>> {
        const PATH: Path = Path::new("MSH-3.1");
        self.value(&PATH)
    }

    /// MSH-4.1, the sending facility.
    pub fn sending_facility(&self) -> Option<Cow<'_, str>> {
        const PATH: Path = Path::new("MSH-4.1");
        self.value(&PATH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_found_by_name_and_number() {
        let m = Message::parse("MSH|^~\\&|A\nOBX|1\r\nNTE|x\r\rOBX|2\rbad line\rOBX").unwrap();
        let names: Vec<&str> = m.segments().map(|segment| segment.name()).collect();
        assert_eq!(names, ["MSH", "OBX", "NTE", "OBX", "bad line", "OBX"]);
        assert_eq!((m.len(), m.count("OBX"), m.count("OBXX")), (6, 3, 0));
        assert_eq!(m.segment("OBX", 2).unwrap().field(1).unwrap().bytes(), b"2");
        assert!(m.segment("OBX", 0).is_none() && m.segment("OBX", 4).is_none());
        assert_eq!(m.segment("OBX", 3).unwrap().field_count(), 0);
    }

    #[test]
    fn more_segments_than_allowed_are_refused() {
        let options = ParseOptions {
            max_segments: 3,
            ..ParseOptions::default()
        };
        let text = "MSH|^~\\&|A\rA|1\rB|2\r";
        assert!(Message::parse_with(text, &options).is_ok());
        let error = Message::parse_with(format!("{text}C|3\r"), &options).unwrap_err();
        assert_eq!(
            (error.code(), error.offset()),
            ("hl7.too-many-segments", text.len())
        );
    }

    #[test]
    fn a_fixed_charset_overrides_msh_18() {
        let bytes = b"MSH|^~\\&||||||||||||||||8859/1\rPID|1||||\xe1\r".to_vec();
        let read = |charset| {
            let options = ParseOptions {
                charset,
                ..ParseOptions::default()
            };
            let message = Message::parse_with(bytes.clone(), &options).unwrap();
            message.value(&Path::new("PID-5")).unwrap().into_owned()
        };
        assert_eq!(read(CharsetPolicy::Declared), "\u{e1}");
        assert_eq!(
            read(CharsetPolicy::Fixed(Charset::named("8859/7").unwrap())),
            "\u{3b1}"
        );
        assert_eq!(read(CharsetPolicy::Fixed(Charset::UTF_8)), "\u{fffd}");
    }

    #[test]
    fn messages_are_shared_between_threads() {
        fn shared<T: Send + Sync + Clone>() {}
        shared::<Message>();
    }
}

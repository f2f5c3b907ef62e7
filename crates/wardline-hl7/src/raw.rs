//! A value where it stands: borrowed bytes that know how deep in the message they are.

use std::borrow::Cow;
use std::fmt;

use crate::charset::TextRules;
use crate::delimiters::Delimiters;
use crate::scan;

/// What is needed to read values of one message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) delimiters: Delimiters,
    pub(crate) text: TextRules,
}

/// How deep in a message a [`Raw`] stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A whole segment.
    Segment,
    /// A field with all its repetitions.
    Field,
    /// One repetition of a field.
    Repetition,
    /// A component.
    Component,
    /// A subcomponent.
    Subcomponent,
    /// MSH-1 or MSH-2: delimiters, which are neither cut nor un-escaped.
    Literal,
}

/// Bytes that are looked at one by one before a search is handed to `memchr`.
const NEAR: usize = 32;

/// Bytes of a message, still escaped and in the message's character set.
///
/// `Debug` shows only the length: values are patients' data.
#[derive(Clone, Copy)]
pub struct Raw<'a> {
    bytes: &'a [u8],
    level: Level,
    context: &'a Context,
}

/// What a reader finds at a path; HL7 means four different things by these.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// The message ends before this position: nothing is said about it.
    Absent,
    /// The position is there and empty: leave the receiver's value as it is.
    Empty,
    /// `""`: delete the receiver's value (HL7 v2.5.1 section 2.5.3).
    Null,
    /// A value, un-escaped and decoded.
    Text(Cow<'a, str>),
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Empty => f.write_str("Empty"),
            Self::Null => f.write_str("Null"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
        }
    }
}

impl<'a> Raw<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], level: Level, context: &'a Context) -> Self {
        Self {
            bytes,
            level,
            context,
        }
    }

    /// The bytes as they stand in the message.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How deep this stands.
    #[inline]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Nothing between the separators.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// `""`, HL7's "delete this value"; not the same as empty.
    #[inline]
    pub fn is_null(&self) -> bool {
        self.bytes == b"\"\""
    }

    /// All of it as text: un-escaped and decoded, separators of deeper levels included. On a value
    /// without components that is the value. See [`Raw::value`] for reading a primitive.
    #[inline]
    pub fn decode(&self) -> Cow<'a, str> {
        if self.level == Level::Literal {
            return self.context.text.decode(self.bytes);
        }
        match crate::unescape(self.bytes, &self.context.delimiters) {
            Cow::Borrowed(bytes) => self.context.text.decode(bytes),
            Cow::Owned(bytes) => Cow::Owned(self.context.text.decode(&bytes).into_owned()),
        }
    }

    /// The first primitive in it as text: first repetition, first component, first subcomponent.
    ///
    /// This is how a receiver that expects a simple value reads a field to which a later version
    /// of the standard gave components (HL7 v2.5.1 section 2.8.2).
    #[inline]
    pub fn value(&self) -> Cow<'a, str> {
        self.first_leaf().decode()
    }

    /// The first primitive in it, not decoded; of a segment, the segment itself.
    #[must_use]
    #[inline]
    pub fn first_leaf(&self) -> Self {
        let Delimiters {
            repetition,
            component,
            subcomponent,
            ..
        } = self.context.delimiters;
        // It ends at the first separator of any deeper level, so one look finds it.
        let (a, b, c) = match self.level {
            Level::Segment | Level::Subcomponent | Level::Literal => return *self,
            Level::Field => (repetition, component, subcomponent),
            Level::Repetition => (component, subcomponent, subcomponent),
            Level::Component => (subcomponent, subcomponent, subcomponent),
        };
        let near = self
            .bytes
            .iter()
            .take(NEAR)
            .position(|byte| *byte == a || *byte == b || *byte == c);
        let end = match near {
            Some(end) => end,
            None if self.bytes.len() <= NEAR => self.bytes.len(),
            None => memchr::memchr3(a, b, c, &self.bytes[NEAR..])
                .map_or(self.bytes.len(), |end| NEAR + end),
        };
        Self {
            bytes: &self.bytes[..end],
            level: Level::Subcomponent,
            context: self.context,
        }
    }

    /// Empty, null or text, by the first primitive in it.
    #[inline]
    pub fn to_value(&self) -> Value<'a> {
        let leaf = self.first_leaf();
        if leaf.is_empty() {
            Value::Empty
        } else if leaf.is_null() {
            Value::Null
        } else {
            Value::Text(leaf.decode())
        }
    }

    /// Separator that cuts this level into the next.
    #[inline]
    fn separator(&self) -> Option<u8> {
        let delimiters = &self.context.delimiters;
        match self.level {
            Level::Segment => Some(delimiters.field),
            Level::Field => Some(delimiters.repetition),
            Level::Repetition => Some(delimiters.component),
            Level::Component => Some(delimiters.subcomponent),
            Level::Subcomponent | Level::Literal => None,
        }
    }

    #[inline]
    fn below(&self) -> Level {
        match self.level {
            Level::Segment => Level::Field,
            Level::Field => Level::Repetition,
            Level::Repetition => Level::Component,
            Level::Component | Level::Subcomponent => Level::Subcomponent,
            Level::Literal => Level::Literal,
        }
    }

    /// The `n`-th (from 1) part one level below.
    fn part(&self, n: usize) -> Option<Self> {
        let bytes = match self.separator() {
            Some(separator) => scan::part(self.bytes, separator, n)?,
            None if n == 1 => self.bytes,
            None => return None,
        };
        Some(Self {
            bytes,
            level: self.below(),
            context: self.context,
        })
    }

    /// This at `level`: going down takes the first part each time, going up is not possible.
    fn at_level(self, level: Level) -> Self {
        let mut at = self;
        while at.level < level && at.level != Level::Literal {
            match at.part(1) {
                Some(part) => at = part,
                None => break,
            }
        }
        at
    }

    /// All repetitions of a field, in order; one where the field has no separator.
    pub fn repetitions(&self) -> Parts<'a> {
        self.parts_at(Level::Field)
    }

    /// All components of a repetition (of a field: its first repetition).
    pub fn components(&self) -> Parts<'a> {
        self.parts_at(Level::Repetition)
    }

    /// All subcomponents of a component (of anything above: its first component).
    pub fn subcomponents(&self) -> Parts<'a> {
        self.parts_at(Level::Component)
    }

    /// The `n`-th (from 1) repetition.
    pub fn repetition(&self, n: usize) -> Option<Self> {
        self.part_at(Level::Field, n)
    }

    /// The `n`-th (from 1) component (of a field: of its first repetition).
    pub fn component(&self, n: usize) -> Option<Self> {
        self.part_at(Level::Repetition, n)
    }

    /// The `n`-th (from 1) subcomponent (of anything above: of its first component).
    pub fn subcomponent(&self, n: usize) -> Option<Self> {
        self.part_at(Level::Component, n)
    }

    fn parts_at(&self, level: Level) -> Parts<'a> {
        let whole = self.at_level(level);
        let cut = (whole.level == level).then(|| whole.separator()).flatten();
        let level = if whole.level == level {
            whole.below()
        } else {
            whole.level
        };
        Parts {
            rest: Some(whole.bytes),
            separator: cut,
            level,
            context: whole.context,
        }
    }

    fn part_at(&self, level: Level, n: usize) -> Option<Self> {
        let whole = self.at_level(level);
        if whole.level == level {
            whole.part(n)
        } else {
            (n == 1).then_some(whole)
        }
    }
}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({:?}, {} bytes)", self.level, self.bytes.len())
    }
}

/// The parts of a value, one level below it, in order; at least one.
#[derive(Clone)]
pub struct Parts<'a> {
    rest: Option<&'a [u8]>,
    separator: Option<u8>,
    level: Level,
    context: &'a Context,
}

impl fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Parts({:?}, {} bytes left)",
            self.level,
            self.rest.map_or(0, <[u8]>::len)
        )
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let rest = self.rest?;
        let cut = self
            .separator
            .and_then(|separator| scan::first(rest, separator));
        let bytes = if let Some(at) = cut {
            self.rest = Some(&rest[at + 1..]);
            &rest[..at]
        } else {
            self.rest = None;
            rest
        };
        Some(Raw::new(bytes, self.level, self.context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Path};

    fn message() -> Message {
        Message::parse(
            "MSH|^~\\&|EHR&2&ISO|H1|||2026||ADT^A01|1|P|2.5\rPID|1||7^^^A&B^MR~8^^^C||DOE\\T\\SON^JANE|\"\"||\rOBX|1|TX|a\rOBX|2|TX|b~\r",
        )
        .unwrap()
    }

    fn raw<'m>(message: &'m Message, path: &str) -> Option<&'m str> {
        message
            .get(&Path::parse(path).unwrap())
            .map(|raw| std::str::from_utf8(raw.bytes()).unwrap())
    }

    #[test]
    fn reads_every_level() {
        let m = message();
        for (path, expected) in [
            ("MSH-1", Some("|")),
            ("MSH-2", Some("^~\\&")),
            ("MSH-3", Some("EHR&2&ISO")),
            ("MSH-3.1.2", Some("2")),
            ("MSH-9.2", Some("A01")),
            ("MSH-13", None),
            ("PID-3", Some("7^^^A&B^MR~8^^^C")),
            ("PID-3[1]", Some("7^^^A&B^MR")),
            ("PID-3[2]", Some("8^^^C")),
            ("PID-3[3]", None),
            ("PID-3.4", Some("A&B")),
            ("PID-3.4.2", Some("B")),
            ("PID-3[2].4.1", Some("C")),
            ("PID-3[2].5", None),
            ("PID-5.1", Some("DOE\\T\\SON")),
            ("PID-5.1.1", Some("DOE\\T\\SON")),
            ("PID-8", Some("")),
            ("PID-9", None),
            ("OBX[2]-3", Some("b~")),
            ("OBX[2]-3[2]", Some("")),
            ("OBX[3]-3", None),
            ("OBX", Some("OBX|1|TX|a")),
            ("ZZZ-1", None),
        ] {
            assert_eq!(raw(&m, path), expected, "{path}");
        }
    }

    #[test]
    fn absent_empty_null_and_text_are_four_things() {
        let m = message();
        let look = |path: &str| m.look(&Path::parse(path).unwrap());
        assert_eq!(look("PID-9"), Value::Absent);
        assert_eq!(look("PID-2"), Value::Empty);
        assert_eq!(look("PID-6"), Value::Null);
        assert_eq!(look("PID-5"), Value::Text("DOE&SON".into()));
        assert_eq!(m.value(&Path::new("PID-6")), None);
        assert_eq!(look("PID-3"), Value::Text("7".into()));
    }

    #[test]
    fn iterates_from_any_level() {
        let m = message();
        let texts = |parts: Parts<'_>| -> Vec<String> {
            parts.map(|part| part.decode().into_owned()).collect()
        };
        let field = m.get(&Path::new("PID-3")).unwrap();
        assert_eq!(texts(field.repetitions()), ["7^^^A&B^MR", "8^^^C"]);
        assert_eq!(texts(field.components()), ["7", "", "", "A&B", "MR"]);
        assert_eq!(
            texts(field.component(4).unwrap().subcomponents()),
            ["A", "B"]
        );
        assert_eq!(
            field.repetition(2).unwrap().component(1).unwrap().bytes(),
            b"8"
        );
        // Asking a small thing for larger parts gives the thing itself.
        let leaf = m.get(&Path::new("PID-3.4.2")).unwrap();
        assert_eq!(texts(leaf.repetitions()), ["B"]);
        let fields: Vec<&[u8]> = m
            .segment("OBX", 2)
            .unwrap()
            .fields()
            .map(|field| field.bytes())
            .collect();
        assert_eq!(fields, [b"2".as_slice(), b"TX", b"b~"]);
        let header = m.segment_at(0).unwrap();
        assert_eq!(header.fields().count(), header.field_count());
        assert_eq!(header.field_count(), 12);
    }

    #[test]
    fn debug_shows_no_values() {
        let m = message();
        let shown = format!(
            "{m:?} {:?} {:?} {:?}",
            m.get(&Path::new("PID-5")),
            m.look(&Path::new("PID-5")),
            m.segment("PID", 1)
        );
        assert!(!shown.contains("DOE"), "{shown}");
    }
}

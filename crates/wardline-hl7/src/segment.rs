//! One segment where it stands, and its fields.

use std::borrow::Cow;
use std::fmt;

use crate::path::{Path, is_header};
use crate::raw::{Context, Level, Raw, Value};
use crate::scan;

/// One segment of a message.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    bytes: &'a [u8],
    offset: usize,
    context: &'a Context,
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({}, {} bytes)", self.name(), self.bytes.len())
    }
}

impl<'a> Segment<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], offset: usize, context: &'a Context) -> Self {
        Self {
            bytes,
            offset,
            context,
        }
    }

    /// Its bytes, without the segment end.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where it starts in the message's text.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Its name (`PID`). Text that is no name, as stray lines have, is given up to the first
    /// separator and at most 8 characters of it; `?` where it is not ASCII.
    pub fn name(&self) -> &'a str {
        let end = scan::first(
            &self.bytes[..self.bytes.len().min(8)],
            self.context.delimiters.field,
        );
        let bytes = &self.bytes[..end.unwrap_or(self.bytes.len().min(8))];
        match std::str::from_utf8(bytes) {
            Ok(name) if bytes.is_ascii() => name,
            _ => "?",
        }
    }

    /// Whether its name is well formed: a capital letter and two capital letters or digits.
    pub fn has_valid_name(&self) -> bool {
        packed_name(self.bytes, self.context.delimiters.field) != 0
    }

    #[inline]
    fn is_header(&self) -> bool {
        self.bytes
            .first_chunk::<3>()
            .is_some_and(|name| is_header(*name))
    }

    /// The `n`-th (from 1) field; `None` where the segment ends before it. In MSH, FHS and BHS
    /// field 1 is the field separator and field 2 the encoding characters.
    #[inline]
    pub fn field(&self, n: usize) -> Option<Raw<'a>> {
        let separator = self.context.delimiters.field;
        if !self.is_header() {
            let bytes = scan::part(self.bytes, separator, n.checked_add(1)?)?;
            return (n > 0).then(|| Raw::new(bytes, Level::Field, self.context));
        }
        match n {
            0 => None,
            1 => Some(Raw::new(
                self.bytes.get(3..4)?,
                Level::Literal,
                self.context,
            )),
            2 => Some(Raw::new(
                scan::part(self.bytes, separator, 2)?,
                Level::Literal,
                self.context,
            )),
            _ => Some(Raw::new(
                scan::part(self.bytes, separator, n)?,
                Level::Field,
                self.context,
            )),
        }
    }

    /// All fields from field 1 on.
    pub fn fields(&self) -> Fields<'a> {
        let name_end = scan::first(self.bytes, self.context.delimiters.field);
        let rest = name_end.map(|end| &self.bytes[end + 1..]);
        let header = if self.is_header() {
            self.bytes.get(3..4)
        } else {
            None
        };
        Fields {
            separator_field: header,
            encoding_next: header.is_some(),
            rest,
            context: self.context,
        }
    }

    /// How many fields it has, empty ones included.
    pub fn field_count(&self) -> usize {
        scan::count(self.bytes, self.context.delimiters.field) + usize::from(self.is_header())
    }

    /// Reads inside this segment; the path's segment name and occurrence are not looked at.
    ///
    /// A field is given whole, all its repetitions included, where the path names nothing deeper;
    /// `None` means that the segment ends before the position.
    #[inline]
    pub fn get(&self, path: &Path) -> Option<Raw<'a>> {
        if path.field == 0 {
            return Some(Raw::new(self.bytes, Level::Segment, self.context));
        }
        let field = self.field(usize::from(path.field))?;
        if path.repetition == 0 && path.component == 0 {
            return Some(field);
        }
        if field.level() == Level::Literal {
            // Path allows MSH-1 and MSH-2 no more than this.
            return Some(field);
        }
        let delimiters = &self.context.delimiters;
        let n = usize::from(path.repetition.max(1));
        let repetition = scan::part(field.bytes(), delimiters.repetition, n)?;
        if path.component == 0 {
            return Some(Raw::new(repetition, Level::Repetition, self.context));
        }
        let n = usize::from(path.component);
        let component = scan::part(repetition, delimiters.component, n)?;
        if path.subcomponent == 0 {
            return Some(Raw::new(component, Level::Component, self.context));
        }
        let n = usize::from(path.subcomponent);
        let subcomponent = scan::part(component, delimiters.subcomponent, n)?;
        Some(Raw::new(subcomponent, Level::Subcomponent, self.context))
    }

    /// The text of the first primitive at the path; `None` where it is absent, empty or null.
    pub fn value(&self, path: &Path) -> Option<Cow<'a, str>> {
        match self.get(path)?.to_value() {
            Value::Text(text) => Some(text),
            Value::Absent | Value::Empty | Value::Null => None,
        }
    }
}

/// The fields of a segment, in order.
#[derive(Clone)]
pub struct Fields<'a> {
    separator_field: Option<&'a [u8]>,
    encoding_next: bool,
    rest: Option<&'a [u8]>,
    context: &'a Context,
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({} bytes left)", self.rest.map_or(0, <[u8]>::len))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        if let Some(separator) = self.separator_field.take() {
            return Some(Raw::new(separator, Level::Literal, self.context));
        }
        let level = if std::mem::take(&mut self.encoding_next) {
            Level::Literal
        } else {
            Level::Field
        };
        let rest = self.rest?;
        let bytes = if let Some(at) = scan::first(rest, self.context.delimiters.field) {
            self.rest = Some(&rest[at + 1..]);
            &rest[..at]
        } else {
            self.rest = None;
            rest
        };
        Some(Raw::new(bytes, level, self.context))
    }
}

/// A well-formed three-byte name that ends at a separator or the segment's end, as a number;
/// 0 for anything else.
#[inline]
pub(crate) fn packed_name(line: &[u8], field_separator: u8) -> u32 {
    let Some([a, b, c]) = line.first_chunk::<3>() else {
        return 0;
    };
    let ends = line.get(3).is_none_or(|byte| *byte == field_separator);
    let fits = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    if ends && a.is_ascii_uppercase() && fits(b) && fits(c) {
        pack([*a, *b, *c])
    } else {
        0
    }
}

#[inline]
pub(crate) const fn pack(name: [u8; 3]) -> u32 {
    (name[0] as u32) << 16 | (name[1] as u32) << 8 | name[2] as u32
}

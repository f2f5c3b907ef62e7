//! One segment, cut when it is read.

use super::delimiters::Delimiters;
use std::fmt;

/// A segment: a slice of the input and the delimiters in force.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) delimiters: Delimiters,
    pub(super) offset: usize,
    pub(super) open: bool,
    pub(super) regular: bool,
}

/// What is between two element separators.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) delimiters: Delimiters,
    /// ISA16 and ISA11 hold delimiters; binary data is not cut.
    pub(super) literal: bool,
}

/// Shows its name and size only.
impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({}, {} bytes)", self.name(), self.bytes.len())
    }
}

/// Shows its size only.
impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Element({} bytes)", self.bytes.len())
    }
}

impl<'a> Segment<'a> {
    pub(super) fn new(bytes: &'a [u8], delimiters: Delimiters, offset: usize) -> Self {
        Self {
            bytes,
            delimiters,
            offset,
            open: false,
            regular: true,
        }
    }

    /// Its bytes, without the terminator.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The delimiters in force.
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// Where it begins in the input.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Its name; `???` where what stands there is not text.
    pub fn name(&self) -> &'a str {
        std::str::from_utf8(self.tag()).unwrap_or("???")
    }

    /// Its name as bytes.
    #[inline]
    pub fn tag(&self) -> &'a [u8] {
        let short = &self.bytes[..self.bytes.len().min(4)];
        match short
            .iter()
            .position(|&byte| byte == self.delimiters.element)
        {
            Some(end) => &short[..end],
            None => {
                &self.bytes[..memchr::memchr(self.delimiters.element, self.bytes)
                    .unwrap_or(self.bytes.len())]
            }
        }
    }

    /// Whether its name is two or three capital letters and digits.
    pub fn has_valid_name(&self) -> bool {
        let tag = self.tag();
        (2..=3).contains(&tag.len())
            && tag[0].is_ascii_uppercase()
            && tag
                .iter()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    }

    /// Its elements in order, from 01.
    pub fn elements(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let delimiters = self.delimiters;
        let mut at = self.tag().len();
        let bytes = self.bytes;
        let isa = self.tag() == b"ISA";
        let binary = matches!(self.tag(), b"BIN" | b"BDS");
        let mut number = 0;
        std::iter::from_fn(move || {
            if at >= bytes.len() {
                return None;
            }
            number += 1;
            let start = at + 1;
            let data = binary && number == if bytes.starts_with(b"BDS") { 3 } else { 2 };
            let end = if data {
                bytes.len()
            } else {
                next(delimiters, bytes, start)
            };
            at = end;
            Some(Element {
                bytes: &bytes[start..end],
                delimiters,
                literal: isa || data,
            })
        })
    }

    /// The `n`-th element, from 1.
    #[inline]
    pub fn element(&self, n: usize) -> Option<Element<'a>> {
        self.elements().nth(n.checked_sub(1)?)
    }

    /// The bytes of the `n`-th element; nothing where it is absent.
    #[inline]
    pub fn raw(&self, n: usize) -> &'a [u8] {
        self.element(n).map_or(&[], |element| element.bytes)
    }
}

impl<'a> Element<'a> {
    /// All that stands there.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether nothing stands there.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Its repetitions; one where it does not repeat.
    pub fn repetitions(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let by = self.delimiters.repetition.filter(|_| !self.literal);
        split(*self, by)
    }

    /// Its components; one where it has none.
    pub fn components(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let by = Some(self.delimiters.component).filter(|_| !self.literal);
        split(*self, by)
    }

    /// The `n`-th component of the first repetition, from 1.
    pub fn component(&self, n: usize) -> Option<Element<'a>> {
        self.repetitions()
            .next()?
            .components()
            .nth(n.checked_sub(1)?)
    }
}

/// Where the element that begins at `start` ends. Elements are short, so looking at each byte is faster than
/// preparing to look at many at once.
#[inline]
fn next(delimiters: Delimiters, bytes: &[u8], start: usize) -> usize {
    if delimiters.release.is_some() {
        return delimiters
            .find(delimiters.element, bytes, start)
            .unwrap_or(bytes.len());
    }
    bytes[start..]
        .iter()
        .position(|&byte| byte == delimiters.element)
        .map_or(bytes.len(), |at| start + at)
}

fn split(element: Element<'_>, by: Option<u8>) -> impl Iterator<Item = Element<'_>> + use<'_> {
    let mut rest = Some(element.bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = by.and_then(|by| element.delimiters.find(by, bytes, 0));
        let (part, left) = match end {
            Some(end) => (&bytes[..end], Some(&bytes[end + 1..])),
            None => (bytes, None),
        };
        rest = left;
        Some(Element {
            bytes: part,
            ..element
        })
    })
}

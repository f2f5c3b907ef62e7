//! Data sets: tags, value representations, reading in bounded memory, and writing.

mod charset;
mod read;
mod tag;
mod vr;
mod write;

pub use charset::{Charset, is_plain};
pub use read::{Malformed, Source, Stream, read};
pub(crate) use read::{Seekable, read_meta};
pub use tag::{Tag, tags};
pub use vr::Vr;
pub use write::write;

use std::collections::BTreeMap;

/// How a data set is laid out in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Value representations are not written; lengths have 32 bits.
    ImplicitLittle,
    /// Value representations are written; the usual one.
    ExplicitLittle,
    /// As before, the bytes of numbers turned around. Retired, still met in archives.
    ExplicitBig,
}

impl Encoding {
    pub(crate) const fn explicit(self) -> bool {
        !matches!(self, Self::ImplicitLittle)
    }

    pub(crate) const fn big(self) -> bool {
        matches!(self, Self::ExplicitBig)
    }
}

/// How much of a data set is kept, and what is taken for an attack.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest value that is kept; longer ones are stepped over.
    pub value: u32,
    /// Bytes that all that is kept may take; what comes after is stepped over.
    pub total: usize,
    /// How deep sequences may lie in each other; deeper ones make the data set malformed.
    pub depth: usize,
}

impl Default for Limits {
    /// Values of 16 KiB, 1 MiB in all, 16 levels.
    fn default() -> Self {
        Self {
            value: 16 << 10,
            total: 1 << 20,
            depth: 16,
        }
    }
}

/// A data set, or an item of a sequence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DataSet {
    elements: BTreeMap<Tag, Element>,
    /// Whether there was more than the limits keep.
    pub cut: bool,
}

/// An attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Its value representation.
    pub vr: Vr,
    /// Its value.
    pub value: Value,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// As it was written, numbers in little-endian order.
    Bytes(Vec<u8>),
    /// The items of a sequence.
    Items(Vec<DataSet>),
    /// Too long to be kept, or of no use to a reader: its length, where it is known.
    Left(Option<u32>),
}

impl DataSet {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its attributes by tag.
    pub fn iter(&self) -> impl Iterator<Item = (Tag, &Element)> {
        self.elements.iter().map(|(tag, element)| (*tag, element))
    }

    /// How many attributes it has, those of items not counted.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// An attribute.
    pub fn get(&self, tag: Tag) -> Option<&Element> {
        self.elements.get(&tag)
    }

    /// Sets an attribute.
    pub fn put(&mut self, tag: Tag, vr: Vr, value: Value) {
        self.elements.insert(tag, Element { vr, value });
    }

    /// Sets an attribute to a text.
    pub fn put_text(&mut self, tag: Tag, vr: Vr, text: &str) {
        self.put(tag, vr, Value::Bytes(text.as_bytes().to_vec()));
    }

    /// Sets an attribute to a number of 16 bits.
    pub fn put_u16(&mut self, tag: Tag, number: u16) {
        self.put(tag, Vr::US, Value::Bytes(number.to_le_bytes().to_vec()));
    }

    /// Takes an attribute away.
    pub fn remove(&mut self, tag: Tag) -> Option<Element> {
        self.elements.remove(&tag)
    }

    /// The first text of an attribute, without padding; only for what is plain ASCII by its
    /// nature, such as UIDs.
    pub fn ascii(&self, tag: Tag) -> Option<&str> {
        match &self.get(tag)?.value {
            Value::Bytes(bytes) => std::str::from_utf8(bytes)
                .ok()
                .map(|text| text.trim_matches([' ', '\0'])),
            _ => None,
        }
    }

    /// A number of 16 bits.
    pub fn u16(&self, tag: Tag) -> Option<u16> {
        match &self.get(tag)?.value {
            Value::Bytes(bytes) => Some(u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?)),
            _ => None,
        }
    }

    /// The items of a sequence.
    pub fn items(&self, tag: Tag) -> Option<&[DataSet]> {
        match &self.get(tag)?.value {
            Value::Items(items) => Some(items),
            _ => None,
        }
    }

    /// In which character set its texts are; those of the set around it where it says nothing.
    pub fn charset(&self, around: &Charset) -> Charset {
        match self.ascii(tags::SPECIFIC_CHARACTER_SET) {
            Some(names) => Charset::named(names),
            None => around.clone(),
        }
    }
}

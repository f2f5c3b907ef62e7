//! XML ⇄ JSON by the types of a schema, so that what is one value in a thousand messages has the
//! same shape in each of them.
//!
//! | XML | JSON |
//! | --- | --- |
//! | an element of a complex type | an object; its elements by their local names |
//! | an element that may occur more than once | always a list, of one or none too |
//! | an attribute | `"@name"` |
//! | text beside attributes, or between elements | `"$"` |
//! | `xsi:nil` | `null` |
//! | `xsi:type`, where it is not the declared type | `"@xsi:type": "{namespace}name"` |
//! | whole numbers | a number; text beyond 64 bits |
//! | `decimal` | text, as it was written: nothing is rounded |
//! | `float`, `double` | a number; `"INF"`, `"-INF"`, `"NaN"` |
//! | `boolean` | `true`, `false` |
//! | dates, times, durations, `base64Binary`, `hexBinary` | text |
//! | a list type | a list |
//! | `anyType`, `any` | as it comes: text, or an object; more than one of a name make a list |
//!
//! What does not fit is refused in both directions with the place and the reason, never with the
//! value.

mod decode;
mod encode;
mod known;
mod loose;
mod outline;
mod value;

pub use decode::decode;
pub(crate) use decode::decode_as;
pub(crate) use encode::declare;
pub use encode::{encode, encode_as};
pub use known::{Known, Member, Members, known, members};
pub use outline::outline;
pub(crate) use outline::outline_of;

/// An element of which no schema says anything: text, or an object.
pub fn loose(element: &crate::xml::Element) -> serde_json::Value {
    loose::decode(element, &element.name.namespace)
}

/// Why a value does not fit its type. Holds no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {reason}")]
pub struct TypeError {
    /// Where, such as `order/lines[2]/quantity`.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

/// Where one is, for errors.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    name: &'a str,
    index: Option<usize>,
}

impl<'a> Path<'a> {
    pub(crate) const fn root(name: &'a str) -> Self {
        Self {
            parent: None,
            name,
            index: None,
        }
    }

    pub(crate) const fn down(&'a self, name: &'a str, index: Option<usize>) -> Path<'a> {
        Path {
            parent: Some(self),
            name,
            index,
        }
    }

    pub(crate) fn error(&self, reason: impl Into<String>) -> TypeError {
        TypeError {
            path: self.to_string(),
            reason: reason.into(),
        }
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}/")?;
        }
        for character in self.name.chars().take(64) {
            std::fmt::Write::write_char(f, character)?;
        }
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None => Ok(()),
        }
    }
}

/// A name for an error, shortened.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests;

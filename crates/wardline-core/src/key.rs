//! Ordering keys: what must leave in the order it came.

use std::fmt;

/// A keyed hash of a business key (account number, MRN, purchase order), so that the
/// journal can order, find and group by it without holding the value. Made by the vault;
/// equal values give equal indexes within one estate and nowhere else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlindIndex(pub i64);

/// The ordering key of a delivery: its blind index, and its text only where the estate
/// says that the text is not sensitive.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OrderingKey {
    /// What the journal orders and finds by.
    pub index: BlindIndex,
    /// The text, present only for keys of class `public` or `internal`.
    pub shown: Option<std::sync::Arc<str>>,
}

impl fmt::Debug for OrderingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shown {
            Some(text) => write!(f, "OrderingKey({text})"),
            None => write!(f, "OrderingKey(#{:08x})", self.index.0 as u32),
        }
    }
}

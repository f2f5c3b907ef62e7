//! Bytes that only the vault can open.

use bytes::Bytes;
use std::fmt;

/// A payload as the journal keeps it: compressed, encrypted, and self-describing (the
/// header names the data key). It cannot be printed and is not serialisable on purpose.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Sealed(Bytes);

impl Sealed {
    /// Wraps bytes that the vault has sealed. Only the vault and the store call this.
    pub const fn from_sealed_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }
    /// The sealed form, for storage.
    pub const fn as_sealed_bytes(&self) -> &Bytes {
        &self.0
    }
    /// Size of the sealed form in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there is nothing sealed here.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

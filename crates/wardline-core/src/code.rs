//! Stable codes of everything that can go wrong in front of a user.

use std::fmt;

/// A stable code such as `W2101`. Codes never change meaning; `docs/reference/errors.md`
/// has a paragraph for each. By the hundred: 1 estate files, 2 mappings, 3 messages and
/// protocols, 4 deliveries, 5 storage, 6 security, 7 command line and console.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

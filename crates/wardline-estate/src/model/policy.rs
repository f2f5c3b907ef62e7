//! Policies: who may do what beyond what scopes say, in Cedar. The estate carries their text; what
//! they mean is compiled by those who decide.

use crate::source::{FileId, Span};
use std::path::PathBuf;
use std::sync::Arc;

/// A file of Cedar policies.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    /// Its name without the ending: `base`.
    pub name: String,
    /// Its path relative to the estate directory.
    pub path: PathBuf,
    /// Its text, in the estate's sources.
    pub file: FileId,
    /// Its text.
    pub text: Arc<str>,
}

impl PolicyFile {
    /// The place of a range of bytes of its text, for a diagnostic. What lies beyond the text is
    /// its end; an offset within a character moves to its start.
    ///
    /// ```
    /// use wardline_estate::{FileId, PolicyFile};
    /// let policy = PolicyFile {
    ///     name: "base".into(),
    ///     path: "policies/base.cedar".into(),
    ///     file: FileId(0),
    ///     text: "permit (principal, action, resource);".into(),
    /// };
    /// let at = policy.place(8..17);
    /// assert_eq!((at.start, at.end), (8, 17));
    /// ```
    pub fn place(&self, range: std::ops::Range<usize>) -> Span {
        let limit = |at: usize| {
            let mut at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            u32::try_from(at).unwrap_or(u32::MAX)
        };
        Span::new(
            self.file,
            limit(range.start),
            limit(range.end.max(range.start)),
        )
    }
}

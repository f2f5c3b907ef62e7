//! How operations end, and why associations are refused.

/// How an operation ended (PS3.7 annex C and the service classes of PS3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The code of the standard.
    pub code: u16,
    /// In words, for the peer's people: at most 64 characters are sent. Never a value of an object.
    pub comment: String,
}

impl Status {
    /// It was done.
    pub const fn success() -> Self {
        Self::bare(0)
    }

    pub(crate) const fn bare(code: u16) -> Self {
        Self {
            code,
            comment: String::new(),
        }
    }

    fn with(code: u16, comment: impl Into<String>) -> Self {
        Self {
            code,
            comment: comment.into(),
        }
    }

    /// There is no room now; the same may succeed later.
    pub fn out_of_resources(comment: impl Into<String>) -> Self {
        Self::with(0xa700, comment)
    }

    /// The object is not of the class that the command names.
    pub fn class_mismatch(comment: impl Into<String>) -> Self {
        Self::with(0xa900, comment)
    }

    /// The object cannot be understood.
    pub fn cannot_understand(comment: impl Into<String>) -> Self {
        Self::with(0xc000, comment)
    }

    /// It failed for a reason of its own.
    pub fn processing_failure(comment: impl Into<String>) -> Self {
        Self::with(0x0110, comment)
    }

    /// An instance of this name is there already.
    pub fn duplicate_instance() -> Self {
        Self::with(0x0111, "there is one of this name already")
    }

    /// There is no instance of this name.
    pub fn no_such_instance() -> Self {
        Self::with(0x0112, "there is none of this name")
    }

    /// Objects of this class are not taken.
    pub fn class_not_supported() -> Self {
        Self::with(0x0122, "this class is not taken here")
    }

    /// Nothing here does that.
    pub fn unrecognized_operation() -> Self {
        Self::with(0x0211, "nothing here does that")
    }

    /// Whether it was done, if with a warning.
    pub const fn is_good(&self) -> bool {
        matches!(self.code, 0 | 0x0001 | 0x0107 | 0x0116 | 0xb000..=0xbfff)
    }

    /// Whether the operation goes on.
    pub(crate) const fn is_pending(&self) -> bool {
        matches!(self.code, 0xff00 | 0xff01)
    }

    /// Whether the same may succeed later: room that is short now, and failures that name no cause.
    pub const fn may_pass(&self) -> bool {
        matches!(self.code, 0xa700..=0xa7ff | 0x0110 | 0x0213)
    }
}

/// Why an association is refused (PS3.8, 9.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Nobody of this name is here.
    CalledUnknown,
    /// The caller may not call.
    CallingUnknown,
    /// There is no room now.
    TooMany,
}

impl Rejection {
    /// Result, source and reason.
    pub(crate) const fn bytes(self) -> [u8; 3] {
        match self {
            Self::CalledUnknown => [1, 1, 7],
            Self::CallingUnknown => [1, 1, 3],
            Self::TooMany => [2, 3, 2],
        }
    }
}

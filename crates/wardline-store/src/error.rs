//! Why the journal could not do what was asked.

use wardline_core::Code;

/// What went wrong, and what the reader can do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The queue to the writer is full; nothing was recorded. Ask again after a moment.
    #[error("the journal is busy: more than {queued} changes wait for the disk")]
    Busy {
        /// Changes waiting.
        queued: usize,
    },
    /// No space left; nothing was recorded. Intake is refused until space is free again.
    #[error("the disk of {path} is full: free space; intake resumes by itself")]
    DiskFull {
        /// The store's file.
        path: String,
    },
    /// The file or file system does not take writes.
    #[error(
        "{path} cannot be written ({reason}): check its mount and permissions; intake resumes by itself"
    )]
    ReadOnly {
        /// The store's file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The store was made by a newer Wardline.
    #[error(
        "{path} has schema version {found}, this binary knows up to {known}: use a newer wardline"
    )]
    TooNew {
        /// The store's file.
        path: String,
        /// Version found.
        found: u32,
        /// Newest version known.
        known: u32,
    },
    /// Another process holds the store.
    #[error("{path} is in use by another wardline process: stop that one first")]
    InUse {
        /// The store's file.
        path: String,
    },
    /// The linked SQLite is too old or not as safe as needed.
    #[error("unsafe SQLite setup: {0}")]
    Unsafe(String),
    /// An audit record does not continue the log: another was written first.
    #[error("audit sequence {given} does not continue the log at {expected}")]
    AuditConflict {
        /// What was given.
        given: u64,
        /// What would continue.
        expected: u64,
    },
    /// A change that can never be recorded: it contradicts itself or the journal.
    #[error("the journal cannot record {0}")]
    Invalid(String),
    /// The store is closing.
    #[error("the journal is closed")]
    Closed,
    /// Anything else the database said.
    #[error("while {doing}: {reason}")]
    Database {
        /// What was attempted.
        doing: &'static str,
        /// What the database said.
        reason: String,
    },
}

impl StoreError {
    /// The stable code of this error.
    pub const fn code(&self) -> Code {
        Code(match self {
            Self::Busy { .. } => "W5001",
            Self::DiskFull { .. } => "W5002",
            Self::ReadOnly { .. } => "W5003",
            Self::TooNew { .. } => "W5004",
            Self::InUse { .. } => "W5005",
            Self::Unsafe(_) => "W5006",
            Self::AuditConflict { .. } => "W5007",
            Self::Closed => "W5008",
            Self::Database { .. } => "W5009",
            Self::Invalid(_) => "W5010",
        })
    }

    /// Whether the same call may succeed later without anyone's help.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. } | Self::DiskFull { .. } | Self::ReadOnly { .. }
        )
    }
}

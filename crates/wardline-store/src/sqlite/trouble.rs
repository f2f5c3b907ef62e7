//! What a database error means: retry later, refuse the call, or stop at once.
//!
//! After a failed `fsync` nobody knows what is on the disk: the kernel may have dropped the
//! dirty pages and a second `fsync` would succeed without them. The only honest answer is to
//! end the process and recover from the log at the next start.

use crate::error::StoreError;
use rusqlite::ffi;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What to do when it is unknown what is on the disk. The default writes one line to the
/// log and to standard error and aborts the process; tests put something observable there.
#[derive(Clone)]
pub struct Fatal(Arc<dyn Fn(&str) + Send + Sync>);

impl Fatal {
    /// Calls `act` with the reason instead of ending the process. The store refuses
    /// everything afterwards. For tests only.
    pub fn instead(act: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(act))
    }

    pub(super) fn strike(&self, reason: &str) {
        (self.0)(reason);
    }
}

impl Default for Fatal {
    fn default() -> Self {
        Self(Arc::new(|reason| {
            tracing::error!(
                code = "W5009",
                reason,
                "the journal cannot know what is on the disk: ending the process"
            );
            eprintln!("wardline: {reason}; ending now, the next start recovers from the log");
            std::process::abort();
        }))
    }
}

impl fmt::Debug for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fatal(..)")
    }
}

/// Where in a transaction an error came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before the commit: nothing can be on the disk as committed.
    Work,
    /// During the commit or a checkpoint.
    Commit,
}

/// What an error means for the writer.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// The state of the disk is unknown.
    Fatal(String),
    /// The machine cannot take writes now; the same call may succeed later.
    Environment(StoreError),
    /// Something about this work.
    Refused(StoreError),
}

/// Judges an error of SQLite.
pub(super) fn judge(
    path: &Path,
    doing: &'static str,
    stage: Stage,
    error: &rusqlite::Error,
) -> Verdict {
    let reason = describe(error);
    let shown = || path.display().to_string();
    let Some(failure) = error.sqlite_error() else {
        return Verdict::Refused(StoreError::Database { doing, reason });
    };
    match failure.extended_code {
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => {
            return Verdict::Fatal(format!(
                "syncing {} failed while {doing} ({reason})",
                shown()
            ));
        }
        ffi::SQLITE_IOERR_WRITE
        | ffi::SQLITE_IOERR_TRUNCATE
        | ffi::SQLITE_IOERR_SHMSIZE
        | ffi::SQLITE_IOERR_SHMOPEN => {
            return Verdict::Environment(StoreError::ReadOnly {
                path: shown(),
                reason,
            });
        }
        _ => {}
    }
    match failure.extended_code & 0xff {
        ffi::SQLITE_FULL => Verdict::Environment(StoreError::DiskFull { path: shown() }),
        ffi::SQLITE_READONLY | ffi::SQLITE_CANTOPEN | ffi::SQLITE_PERM => {
            Verdict::Environment(StoreError::ReadOnly {
                path: shown(),
                reason,
            })
        }
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => Verdict::Fatal(format!(
            "{} is damaged ({reason}) as found while {doing}",
            shown()
        )),
        ffi::SQLITE_BUSY => Verdict::Refused(StoreError::Database { doing, reason }),
        _ if stage == Stage::Commit => Verdict::Fatal(format!(
            "the outcome of a commit to {} is unknown ({reason})",
            shown()
        )),
        _ => Verdict::Refused(StoreError::Database { doing, reason }),
    }
}

/// The database's own words. They name tables and columns, never values.
pub(super) fn describe(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(failure, text) => match text {
            Some(text) => format!("{text} (SQLite {})", failure.extended_code),
            None => format!("{failure} (SQLite {})", failure.extended_code),
        },
        other => other.to_string(),
    }
}

/// The error of a read, or of opening, where no verdict is needed.
pub(super) fn refused(path: &Path, doing: &'static str, error: &rusqlite::Error) -> StoreError {
    match judge(path, doing, Stage::Work, error) {
        Verdict::Environment(error) | Verdict::Refused(error) => error,
        Verdict::Fatal(reason) => StoreError::Database { doing, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn each_kind_of_failure_has_its_verdict() {
        let path = Path::new("journal.db");
        let judge = |code, stage| judge(path, "testing", stage, &failure(code));
        for stage in [Stage::Work, Stage::Commit] {
            assert!(matches!(
                judge(ffi::SQLITE_IOERR_FSYNC, stage),
                Verdict::Fatal(_)
            ));
            assert!(matches!(
                judge(ffi::SQLITE_IOERR_DIR_FSYNC, stage),
                Verdict::Fatal(_)
            ));
            assert!(matches!(
                judge(ffi::SQLITE_FULL, stage),
                Verdict::Environment(StoreError::DiskFull { .. })
            ));
            for code in [
                ffi::SQLITE_READONLY,
                ffi::SQLITE_CANTOPEN,
                ffi::SQLITE_IOERR_WRITE,
            ] {
                assert!(matches!(
                    judge(code, stage),
                    Verdict::Environment(StoreError::ReadOnly { .. })
                ));
            }
        }
        assert!(matches!(
            judge(ffi::SQLITE_IOERR, Stage::Commit),
            Verdict::Fatal(_)
        ));
        assert!(matches!(
            judge(ffi::SQLITE_CONSTRAINT, Stage::Work),
            Verdict::Refused(_)
        ));
    }
}

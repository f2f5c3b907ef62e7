//! What went wrong in a database, in words that hold no value of it.

use wardline_core::Code;

use crate::{Failure, FailureKind, codes};

/// Why statements did not do what they should.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) kind: FailureKind,
    pub(super) code: Code,
    /// What happened; holds no value.
    pub(super) what: String,
    /// Whether the session cannot be used any more.
    pub(super) gone: bool,
}

impl Trouble {
    pub(super) fn new(kind: FailureKind, code: Code, what: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            what: what.into(),
            gone: false,
        }
    }

    /// Of a session that broke or could not be had.
    pub(super) fn gone(kind: FailureKind, code: Code, what: impl Into<String>) -> Self {
        Self {
            gone: true,
            ..Self::new(kind, code, what)
        }
    }

    pub(super) fn unreachable(what: impl Into<String>) -> Self {
        Self::gone(FailureKind::Unreachable, codes::SQL_UNREACHABLE, what)
    }

    /// The session ended while something was under way: it may have been done.
    pub(super) fn broken(what: impl Into<String>) -> Self {
        Self::gone(FailureKind::Transient, codes::SQL_UNREACHABLE, what)
    }

    pub(super) fn timeout(what: impl Into<String>) -> Self {
        Self::gone(FailureKind::Timeout, codes::SQL_TIMEOUT, what)
    }

    /// A value or column that cannot be read.
    pub(super) fn unreadable(what: impl Into<String>) -> Self {
        Self::new(FailureKind::Permanent, codes::SQL_STATEMENT, what)
    }

    pub(super) fn too_much(rows: usize) -> Self {
        Self::new(
            FailureKind::Permanent,
            codes::SQL_ANSWER,
            format!("the statement gives more than {rows} rows or 8 MiB; nothing was done"),
        )
    }

    pub(super) fn unexpected(rows: u64) -> Self {
        Self::new(
            FailureKind::Permanent,
            codes::SQL_ANSWER,
            format!(
                "it gave or changed {rows} rows, and others are expected (`expect`); nothing was done"
            ),
        )
    }

    pub(super) fn into_failure(self, name: &str) -> Failure {
        Failure::new(self.kind, self.code, format!("{name}: {}", self.what))
    }

    /// What an SQLSTATE says. `what` names it and where, without any value.
    pub(super) fn of_state(state: &str, what: String) -> Self {
        let class = state.get(..2).unwrap_or_default();
        let (kind, code) = match (class, state) {
            // Another transaction was in the way; the same again may well succeed.
            ("40", _) | (_, "55P03" | "55006") => (FailureKind::Transient, codes::SQL_BUSY),
            (_, "57014") => (FailureKind::Timeout, codes::SQL_TIMEOUT),
            ("53", _) => (FailureKind::Busy { retry_after: None }, codes::SQL_BUSY),
            ("08" | "57", _) => return Self::broken(what),
            ("28", _) => (FailureKind::Transient, codes::SQL_CREDENTIALS),
            ("23" | "44", _) => (FailureKind::Permanent, codes::SQL_CONSTRAINT),
            ("21" | "22", _) => (FailureKind::Permanent, codes::SQL_VALUE),
            // A prepared statement whose table changed is prepared anew in another session.
            (_, "0A000") => {
                return Self::gone(FailureKind::Transient, codes::SQL_STATEMENT, what);
            }
            // Read-only: a standby that was promoted a moment later, mostly.
            ("25", _) => return Self::gone(FailureKind::Transient, codes::SQL_SERVER, what),
            ("42" | "26" | "34" | "3D" | "3F" | "2F" | "38" | "39" | "P0", _) => {
                (FailureKind::Permanent, codes::SQL_STATEMENT)
            }
            ("45", _) => (FailureKind::Permanent, codes::SQL_CONSTRAINT),
            _ => (FailureKind::Transient, codes::SQL_SERVER),
        };
        Self::new(kind, code, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_apart() {
        for (state, passes, code) in [
            ("40001", true, codes::SQL_BUSY),
            ("40P01", true, codes::SQL_BUSY),
            ("55P03", true, codes::SQL_BUSY),
            ("53300", true, codes::SQL_BUSY),
            ("57P01", true, codes::SQL_UNREACHABLE),
            ("08006", true, codes::SQL_UNREACHABLE),
            ("28P01", true, codes::SQL_CREDENTIALS),
            ("23505", false, codes::SQL_CONSTRAINT),
            ("22P02", false, codes::SQL_VALUE),
            ("42601", false, codes::SQL_STATEMENT),
            ("42501", false, codes::SQL_STATEMENT),
            ("P0001", false, codes::SQL_STATEMENT),
            ("XX000", true, codes::SQL_SERVER),
            ("?", true, codes::SQL_SERVER),
        ] {
            let trouble = Trouble::of_state(state, String::new());
            assert_eq!(trouble.kind.may_pass(), passes, "{state}");
            assert_eq!(trouble.code, code, "{state}");
        }
    }
}

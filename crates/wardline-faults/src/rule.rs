//! Failures short of a power cut, as a test declares them.

/// What SQLite asks of its file layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Opening or making a file.
    Open,
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// Cutting a file to a length.
    Truncate,
    /// `fsync` of a file.
    Sync,
    /// Removing a file.
    Delete,
    /// Growing the shared index of the write-ahead log.
    MapIndex,
}

/// Which of a database's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The database itself.
    Database,
    /// The write-ahead log.
    Log,
    /// The rollback journal.
    Journal,
    /// Temporary files and whatever else.
    Other,
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The device reports an error; nothing was done (`EIO`). Of a sync: a random part is
    /// kept and the rest is lost for good.
    Io,
    /// A write stops half-way and then the device reports an error. Like [`Failure::Io`] for
    /// everything else.
    Partial,
    /// No space (`ENOSPC`). A write is done in part.
    Full,
    /// The sync says yes and does nothing, as some disks and hypervisors do. For other
    /// operations: no failure.
    Lie,
}

/// When and how to fail.
///
/// ```
/// use wardline_faults::{Failure, Operation, Part, Rule};
/// let third_sync_of_the_log = Rule::new(Operation::Sync, Failure::Io).on(Part::Log).after(2).times(1);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    operation: Operation,
    failure: Failure,
    part: Option<Part>,
    skip: u64,
    times: u64,
}

impl Rule {
    /// Every such operation on every file fails, until [`FaultVfs::heal`](crate::FaultVfs::heal).
    pub const fn new(operation: Operation, failure: Failure) -> Self {
        Self {
            operation,
            failure,
            part: None,
            skip: 0,
            times: u64::MAX,
        }
    }

    /// Only on this file of a database.
    #[must_use]
    pub const fn on(self, part: Part) -> Self {
        Self {
            part: Some(part),
            ..self
        }
    }

    /// Lets the first `n` such operations pass.
    #[must_use]
    pub const fn after(self, n: u64) -> Self {
        Self { skip: n, ..self }
    }

    /// Fails `n` times and then no more.
    #[must_use]
    pub const fn times(self, n: u64) -> Self {
        Self { times: n, ..self }
    }

    /// Whether this operation fails, counting it.
    pub(crate) fn strikes(&mut self, operation: Operation, part: Part) -> Option<Failure> {
        if operation != self.operation || self.part.is_some_and(|only| only != part) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times = self.times.checked_sub(1)?;
        Some(self.failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_waits_strikes_and_ends() {
        let mut rule = Rule::new(Operation::Sync, Failure::Io)
            .on(Part::Log)
            .after(1)
            .times(2);
        assert_eq!(rule.strikes(Operation::Write, Part::Log), None);
        assert_eq!(rule.strikes(Operation::Sync, Part::Database), None);
        let struck: Vec<_> = (0..4)
            .map(|_| rule.strikes(Operation::Sync, Part::Log))
            .collect();
        assert_eq!(struck, [None, Some(Failure::Io), Some(Failure::Io), None]);
    }
}

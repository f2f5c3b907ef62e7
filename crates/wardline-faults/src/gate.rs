//! Every call of SQLite passes here: it is let through, failed, or finds the power gone.
//!
//! One lock is held over a call and its real counterpart, so that the simulated disk and the
//! real file never disagree. Reads do not take it: the real file is never changed behind
//! SQLite's back, and after a cut a read fails without looking.

use crate::chance::Chance;
use crate::disk::{CutReport, Disk, Inode};
use crate::error::FaultError;
use crate::rule::{Failure, Operation, Part, Rule};
use parking_lot::{Mutex, MutexGuard};
use rusqlite::ffi;
use std::ffi::c_int;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A file that the simulation follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tracked {
    pub(crate) inode: Inode,
    pub(crate) part: Part,
}

/// What all files of one registration share.
#[derive(Debug)]
pub(crate) struct Gate {
    dark: AtomicBool,
    state: Mutex<State>,
}

/// What a test has declared, and the disk it acts on.
#[derive(Debug)]
pub(crate) struct State {
    disk: Disk,
    chance: Chance,
    pub(crate) rules: Vec<Rule>,
    /// Bytes by which files may still grow; `None` means any.
    pub(crate) space: Option<u64>,
    pub(crate) read_only: bool,
    pub(crate) sync_takes: Duration,
    /// Operations that changed the disk so far.
    pub(crate) operations: u64,
    /// The power fails during this operation.
    pub(crate) cut_at: Option<u64>,
}

/// What becomes of an operation.
enum Ruling {
    Go,
    Fail(Failure),
    /// The power fails during it.
    Last,
}

impl Gate {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dark: AtomicBool::new(false),
            state: Mutex::new(State {
                disk: Disk::default(),
                chance: Chance::new(seed),
                rules: Vec::new(),
                space: None,
                read_only: false,
                sync_takes: Duration::ZERO,
                operations: 0,
                cut_at: None,
            }),
        }
    }

    /// Whether the power is gone.
    pub(crate) fn dark(&self) -> bool {
        self.dark.load(Ordering::SeqCst)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Ends the power and leaves the files as that could leave them.
    pub(crate) fn cut(&self) -> Result<CutReport, FaultError> {
        let mut state = self.state();
        self.dark.store(true, Ordering::SeqCst);
        let State { disk, chance, .. } = &mut *state;
        disk.cut(chance)
    }

    /// Counts an operation that changes the disk and says what becomes of it.
    fn change(&self, state: &mut State, operation: Operation, part: Part) -> Ruling {
        state.operations += 1;
        if state.cut_at.is_some_and(|at| state.operations >= at) {
            self.dark.store(true, Ordering::SeqCst);
            return Ruling::Last;
        }
        state
            .strike(operation, part)
            .map_or(Ruling::Go, Ruling::Fail)
    }

    /// Opens a file; `real` does it, read-only where told, and tells SQLite's result.
    pub(crate) fn open(
        &self,
        path: &Path,
        part: Part,
        creates: bool,
        real: impl FnOnce(bool) -> c_int,
    ) -> (c_int, Option<Tracked>) {
        let mut state = self.state();
        if self.dark() || state.strike(Operation::Open, part).is_some() {
            return (ffi::SQLITE_CANTOPEN, None);
        }
        let Ok(known) = state.disk.find(path) else {
            return (ffi::SQLITE_CANTOPEN, None);
        };
        let makes = known.is_none() && creates && !state.read_only;
        if makes && matches!(self.change(&mut state, Operation::Open, part), Ruling::Last) {
            return (ffi::SQLITE_CANTOPEN, None);
        }
        let result = real(state.read_only);
        if result != ffi::SQLITE_OK {
            return (result, None);
        }
        let syncs_folder = matches!(part, Part::Log | Part::Journal);
        let inode = known.unwrap_or_else(|| state.disk.make(path, syncs_folder));
        (result, Some(Tracked { inode, part }))
    }

    /// Reads from a file.
    pub(crate) fn read(&self, part: Part, real: impl FnOnce() -> c_int) -> c_int {
        if self.dark() || self.state().strike(Operation::Read, part).is_some() {
            return ffi::SQLITE_IOERR_READ;
        }
        real()
    }

    /// Writes to a file; `real` writes that many of the bytes.
    pub(crate) fn write(
        &self,
        file: Tracked,
        offset: u64,
        bytes: &[u8],
        real: impl Fn(usize) -> c_int,
    ) -> c_int {
        let mut state = self.state();
        if self.dark() || state.read_only {
            return ffi::SQLITE_IOERR_WRITE;
        }
        let part_way = bytes.len() / 2;
        let (most, failure) = match self.change(&mut state, Operation::Write, file.part) {
            Ruling::Last => {
                state.disk.write(file.inode, offset, bytes);
                return ffi::SQLITE_IOERR_WRITE;
            }
            Ruling::Go | Ruling::Fail(Failure::Lie) => (bytes.len(), ffi::SQLITE_OK),
            Ruling::Fail(Failure::Io) => (0, ffi::SQLITE_IOERR_WRITE),
            Ruling::Fail(Failure::Partial) => (part_way, ffi::SQLITE_IOERR_WRITE),
            Ruling::Fail(Failure::Full) => (part_way, ffi::SQLITE_FULL),
        };
        let end = state.disk.len(file.inode);
        let (done, failure) = match state.space {
            Some(space) if offset + most as u64 > end + space => (
                (end + space).saturating_sub(offset) as usize,
                ffi::SQLITE_FULL,
            ),
            _ => (most, failure),
        };
        if done > 0 {
            let result = real(done);
            if result != ffi::SQLITE_OK {
                return result;
            }
            state.disk.write(file.inode, offset, &bytes[..done]);
            let grown = state.disk.len(file.inode) - end;
            state.space = state.space.map(|space| space - grown);
        }
        failure
    }

    /// Cuts a file to a length.
    pub(crate) fn truncate(&self, file: Tracked, len: u64, real: impl FnOnce() -> c_int) -> c_int {
        let mut state = self.state();
        if self.dark() || state.read_only {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
        match self.change(&mut state, Operation::Truncate, file.part) {
            Ruling::Last => {
                state.disk.truncate(file.inode, len);
                return ffi::SQLITE_IOERR_TRUNCATE;
            }
            Ruling::Go | Ruling::Fail(Failure::Lie) => {}
            Ruling::Fail(_) => return ffi::SQLITE_IOERR_TRUNCATE,
        }
        let result = real();
        if result == ffi::SQLITE_OK {
            let freed = state.disk.len(file.inode).saturating_sub(len);
            state.space = state.space.map(|space| space + freed);
            state.disk.truncate(file.inode, len);
        }
        result
    }

    /// Syncs a file. The real file is not synced: it stands for the page cache, and the
    /// machine that runs the test is not the one that loses power.
    pub(crate) fn sync(&self, file: Tracked) -> c_int {
        let takes = self.state().sync_takes;
        if !takes.is_zero() {
            std::thread::sleep(takes);
        }
        let mut state = self.state();
        if self.dark() {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        match self.change(&mut state, Operation::Sync, file.part) {
            Ruling::Go => state.disk.sync(file.inode),
            Ruling::Fail(Failure::Lie) => {}
            // The cut decides what of it was kept.
            Ruling::Last => return ffi::SQLITE_IOERR_FSYNC,
            Ruling::Fail(_) => {
                let State { disk, chance, .. } = &mut *state;
                disk.fail_sync(file.inode, chance);
                return ffi::SQLITE_IOERR_FSYNC;
            }
        }
        ffi::SQLITE_OK
    }

    /// Removes a file.
    pub(crate) fn delete(
        &self,
        path: &Path,
        part: Part,
        sync_folder: bool,
        real: impl FnOnce() -> c_int,
    ) -> c_int {
        let mut state = self.state();
        if self.dark() || state.read_only || state.disk.find(path).is_err() {
            return ffi::SQLITE_IOERR_DELETE;
        }
        match self.change(&mut state, Operation::Delete, part) {
            Ruling::Last => {
                state.disk.remove(path, false);
                return ffi::SQLITE_IOERR_DELETE;
            }
            Ruling::Go | Ruling::Fail(Failure::Lie) => {}
            Ruling::Fail(_) => return ffi::SQLITE_IOERR_DELETE,
        }
        let result = real();
        if result == ffi::SQLITE_OK {
            state.disk.remove(path, sync_folder);
        }
        result
    }

    /// Grows the shared index of the log.
    pub(crate) fn map_index(&self, real: impl FnOnce() -> c_int) -> c_int {
        if self.dark()
            || self
                .state()
                .strike(Operation::MapIndex, Part::Database)
                .is_some()
        {
            return ffi::SQLITE_IOERR_SHMMAP;
        }
        real()
    }
}

impl State {
    /// The first rule that strikes this operation.
    fn strike(&mut self, operation: Operation, part: Part) -> Option<Failure> {
        self.rules
            .iter_mut()
            .find_map(|rule| rule.strikes(operation, part))
    }
}

//! What a test holds: it registers the layer, declares faults and cuts the power.

use crate::disk::CutReport;
use crate::error::FaultError;
use crate::gate::Gate;
use crate::rule::Rule;
use crate::vfs::Registration;
use std::sync::Arc;
use std::time::Duration;

/// A registered file layer and the faults it was told to have.
///
/// Databases opened through the name go through the layer. One `FaultVfs` lives until its
/// power is cut; what is left is opened with the ordinary layer or a new `FaultVfs`. When it
/// is dropped the name is free again; connections that are still open keep working.
#[derive(Debug)]
pub struct FaultVfs {
    registration: Registration,
    gate: Arc<Gate>,
    seed: u64,
}

impl FaultVfs {
    /// Registers a layer under `name`. Equal seeds make equal choices for equal operations;
    /// threads still run as they like, so a seed repeats a test in kind, not byte by byte.
    ///
    /// # Errors
    /// [`FaultError::NameTaken`], [`FaultError::BadName`], or [`FaultError::Refused`] when
    /// SQLite will not have it.
    pub fn register(name: &str, seed: u64) -> Result<Self, FaultError> {
        let gate = Arc::new(Gate::new(seed));
        let registration = Registration::new(name, Arc::clone(&gate))?;
        Ok(Self {
            registration,
            gate,
            seed,
        })
    }

    /// The name to open databases with.
    pub fn name(&self) -> &str {
        self.registration.name()
    }

    /// The seed, for the text of a failing test.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The power fails during the `n`-th operation from now that changes the disk (a write,
    /// truncation, sync, removal, or making of a file); 1 is the next.
    pub fn cut_after(&self, n: u64) {
        let mut state = self.gate.state();
        state.cut_at = Some(state.operations + n);
    }

    /// Whether the power is gone; every operation fails from then on.
    pub fn is_cut(&self) -> bool {
        self.gate.dark()
    }

    /// Cuts the power, if it is not gone yet, and rewrites the files to what that could leave.
    /// Call it once; connections may still be open and find that nothing works.
    ///
    /// # Errors
    /// [`FaultError::Leave`] when the real file system fails.
    pub fn power_cut(&self) -> Result<CutReport, FaultError> {
        self.gate.cut()
    }

    /// Operations that changed the disk so far.
    pub fn operations(&self) -> u64 {
        self.gate.state().operations
    }

    /// Adds a failure. Of several that fit, the first added strikes.
    pub fn inject(&self, rule: Rule) {
        self.gate.state().rules.push(rule);
    }

    /// The files may grow by so many bytes more, then the disk is full; `None` means any.
    /// Truncation gives space back.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.gate.state().space = bytes;
    }

    /// The file system takes writes or does not, as after a remount.
    pub fn set_read_only(&self, read_only: bool) {
        self.gate.state().read_only = read_only;
    }

    /// How long each sync takes; zero at first. A slow disk makes large groups of commits.
    pub fn set_sync_time(&self, takes: Duration) {
        self.gate.state().sync_takes = takes;
    }

    /// Ends every fault but a power cut.
    pub fn heal(&self) {
        let mut state = self.gate.state();
        state.rules.clear();
        state.space = None;
        state.read_only = false;
        state.sync_takes = Duration::ZERO;
    }
}

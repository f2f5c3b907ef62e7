//! Why the fault layer itself could not do what a test asked.

use std::io;
use std::path::PathBuf;

/// What went wrong in the simulation; never one of the faults it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// SQLite knows a VFS of this name already.
    #[error("a VFS named `{0}` is registered already: give every test its own name")]
    NameTaken(String),
    /// A C string cannot hold the name.
    #[error("the VFS name `{0}` holds a NUL byte: use letters and digits")]
    BadName(String),
    /// SQLite has no VFS to wrap, or refused the new one.
    #[error("SQLite did not take the VFS (result {0}): is the library initialised?")]
    Refused(i32),
    /// The real file system failed while the state after the cut was written.
    #[error("leaving {} as a power cut would failed: {source}: check the folder and its space", path.display())]
    Leave {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

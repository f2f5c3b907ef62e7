//! No core dumps of a process that holds keys: what is in its memory would be on a disk.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids core dumps, to files and to whatever collects them, and looks into our memory by
/// other processes of the same user. Where the system refuses, it is said and we go on.
pub(crate) fn forbid() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let refused = setrlimit(Resource::Core, none)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = refused {
        tracing::warn!(%error, "core dumps could not be switched off; a crash may leave keys on the disk");
    }
}

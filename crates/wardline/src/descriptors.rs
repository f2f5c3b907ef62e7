//! File descriptors: every connection is one, and what a shell gives is for editors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes as many as the system allows this process. Listeners take ten thousand connections each
/// unless their limits say otherwise; a shell's usual 1024 would stop far below.
pub(crate) fn raise() {
    let now = getrlimit(Resource::Nofile);
    if now.current == now.maximum {
        return;
    }
    let all = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(%error, "the limit on open files stays as it is; see `ulimit -n`");
    }
}

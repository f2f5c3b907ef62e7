//! Why a bench gave no figures.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use wardline_engine::{DeskError, StartError};
use wardline_store::StoreError;
use wardline_vault::VaultError;

/// Why a bench gave no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No bench has this name.
    #[error("there is no bench `{name}`: use hl7, intake, gateway, deliver or in-out")]
    UnknownBench {
        /// What was asked for.
        name: String,
    },
    /// An option makes no sense.
    #[error("{what}")]
    Options {
        /// Which one and what it may be.
        what: &'static str,
    },
    /// The engine needs several threads.
    #[error("benches need a tokio runtime of several threads: use `flavor = \"multi_thread\"`")]
    OneThread,
    /// The place for the store is memory.
    #[error("{} is on {kind}, which keeps nothing: name a directory on a disk, or every commit is free and no figure means anything", path.display())]
    NotADisk {
        /// The directory.
        path: PathBuf,
        /// Type of its file system.
        kind: String,
    },
    /// A file or directory of the bench could not be made or read.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was attempted (`write`).
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The estate that the bench wrote does not compile: a bug of this crate, or of the estate's
    /// checks.
    #[error("the bench's own estate is not well, which is a bug; please report it:\n{diagnostics}")]
    Estate {
        /// What the check found.
        diagnostics: String,
    },
    /// The engine did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Sealing failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The engine's sums could not be read.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// A socket of the load generator or of a receiver failed.
    #[error("cannot {doing} {address}: {source}; with many connections, look at `ulimit -n`")]
    Socket {
        /// What was attempted.
        doing: &'static str,
        /// The other end, or the own address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A thread of the bench could not be started, or ended by a panic.
    #[error("the {what} did not run to its end: {reason}")]
    Thread {
        /// Which one.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The engine refused messages or gave an answer that fits none.
    #[error(
        "{count} of {sent} messages were not acknowledged ({example}): the figure would be of something else"
    )]
    Refused {
        /// How many.
        count: u64,
        /// Of how many.
        sent: u64,
        /// What came instead, without content.
        example: String,
    },
    /// Deliveries arrived in the wrong order, or not what was sent: a broken promise.
    #[error(
        "{receiver}: {out_of_order} deliveries out of order, {strange} not understood, of {received}"
    )]
    Disorder {
        /// Which receiver.
        receiver: &'static str,
        /// How many came before a predecessor of their key.
        out_of_order: u64,
        /// How many could not be read.
        strange: u64,
        /// How many came in all.
        received: u64,
    },
    /// Counts in are not counts out.
    #[error("the sums do not come out: {what}")]
    Sums {
        /// Which ones.
        what: String,
    },
    /// Nothing moved any more.
    #[error("stuck: {done} of {of} deliveries done, none in the last {quiet_s} s")]
    Stuck {
        /// Done so far.
        done: u64,
        /// Of so many.
        of: u64,
        /// How long nothing was done, in seconds.
        quiet_s: u64,
    },
}

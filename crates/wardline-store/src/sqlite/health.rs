//! Whether the journal can be written, and how large it is: what operators look at first.

use crate::error::StoreError;
use crate::query::StoreStatus;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Set by the writer, read by anyone.
#[derive(Debug, Default)]
pub(super) struct Health {
    in_trouble: AtomicBool,
    trouble: Mutex<Option<String>>,
    commits: AtomicU64,
    changes: AtomicU64,
    wal_bytes: AtomicU64,
}

impl Health {
    /// A transaction with so many changes is durable.
    pub(super) fn committed(&self, changes: u64, wal_bytes: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.changes.fetch_add(changes, Ordering::Relaxed);
        self.wal_bytes.store(wal_bytes, Ordering::Relaxed);
        if self.in_trouble() {
            self.in_trouble.store(false, Ordering::Relaxed);
            *self.trouble.lock() = None;
            tracing::info!("the journal can be written again");
        }
    }

    /// Nothing can be written now. One line is logged when trouble begins, not one per call.
    pub(super) fn trouble(&self, error: &StoreError) {
        let mut trouble = self.trouble.lock();
        if trouble.is_none() {
            tracing::error!(code = %error.code(), %error, "the journal cannot be written");
        }
        *trouble = Some(error.to_string());
        self.in_trouble.store(true, Ordering::Relaxed);
    }

    /// Whether the last attempt to write failed for want of a disk.
    pub(super) fn in_trouble(&self) -> bool {
        self.in_trouble.load(Ordering::Relaxed)
    }

    /// What operators see.
    pub(super) fn status(&self, path: &Path, queued: usize) -> StoreStatus {
        StoreStatus {
            trouble: self.trouble.lock().clone(),
            queued,
            commits: self.commits.load(Ordering::Relaxed),
            changes: self.changes.load(Ordering::Relaxed),
            file_bytes: std::fs::metadata(path).map_or(0, |meta| meta.len()),
            wal_bytes: self.wal_bytes.load(Ordering::Relaxed),
            disk_free_bytes: free_bytes(path),
        }
    }
}

/// Bytes that an ordinary process may still write on the disk of `path`.
fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

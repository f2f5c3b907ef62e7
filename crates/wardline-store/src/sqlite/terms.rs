//! The index of values that messages are found by, clustered so that writing stays cheap.
//!
//! Blind indexes are random numbers. One tree over all of them would touch a cold page for
//! every term, and a store of a year could not take ten messages a millisecond. So terms are
//! kept in buckets: a bucket is named by the id of the message that opened it and is closed
//! after an hour or [`BUCKET_TERMS`] terms. Writing touches the pages of one bucket; finding
//! probes the buckets from the newest down.

use super::statements::Statements;
use wardline_core::{BlindIndex, Id};

/// Terms after which a bucket is closed: about thirty pages. Fewer would make a batch touch
/// fewer pages and a search over the whole store probe more buckets.
const BUCKET_TERMS: usize = 8_192;
/// Time after which a bucket is closed.
const BUCKET_MS: i64 = 3_600_000;

/// The bucket being filled, and the terms of the transaction at hand.
#[derive(Debug, Default)]
pub(super) struct TermBucket {
    open: Option<Bucket>,
    committed: Option<Bucket>,
    staged: Vec<(Id, BlindIndex, Id)>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    name: Id,
    last: Id,
    terms: usize,
}

impl TermBucket {
    /// A message can be found by a value.
    pub(super) fn add(&mut self, index: BlindIndex, message: Id) {
        let bucket = match &mut self.open {
            Some(bucket)
                // The terms of one message stay together: buckets never overlap.
                if bucket.last == message
                    || bucket.terms < BUCKET_TERMS && message.unix_ms() - bucket.name.unix_ms() < BUCKET_MS =>
            {
                bucket
            }
            // Also after a restart: how full the last bucket is would have to be counted.
            slot => slot.insert(Bucket { name: message, last: message, terms: 0 }),
        };
        bucket.terms += 1;
        bucket.last = message;
        self.staged.push((bucket.name, index, message));
    }

    /// Writes the terms of the transaction, sorted, so that neighbours share a page visit.
    pub(super) fn flush(&mut self, sql: &mut Statements<'_>) -> rusqlite::Result<()> {
        self.staged.sort_unstable();
        for (bucket, index, message) in self.staged.drain(..) {
            sql.term
                .execute((bucket.as_i64(), index.0, message.as_i64()))?;
        }
        Ok(())
    }

    /// The transaction is durable.
    pub(super) fn committed(&mut self) {
        self.committed = self.open;
    }

    /// The transaction never was.
    pub(super) fn rolled_back(&mut self) {
        self.open = self.committed;
        self.staged.clear();
    }
}

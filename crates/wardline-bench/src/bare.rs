//! Limits: what the store alone reaches with the same rows, without network, mapping or sealing.

use crate::{BenchError, site};
use futures::stream::{self, StreamExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardline_core::Id;
use wardline_store::measure::{Generator, Load, Rate, bare_commits, delivered};
use wardline_store::sqlite::{Options, SqliteStore};
use wardline_store::{Change, Outcome, Store as _};

/// Values that a message of the benches is found by: MRN, account, visit, control id.
const TERMS: u32 = 4;
/// Ordering keys.
const KEYS: u64 = 10_000;
/// Most messages that a writer finds waiting; beyond, larger transactions gain nothing.
const LARGEST_GROUP: usize = 500;
/// Settlements in one call, and calls that wait at a time, so that the writer always has work: more
/// gains nothing.
const SETTLED_AT_ONCE: usize = 512;
const CALLS: usize = 4;

/// Accepts and settles for `time`, `group` messages a transaction. `group` senders with one message
/// under way each cannot bring more into one.
pub(crate) async fn accepting(
    directory: Option<&Path>,
    group: usize,
    time: Duration,
) -> Result<Rate, BenchError> {
    let scratch = site::scratch(directory)?;
    let store = open(scratch.path())?;
    let load = Load {
        per_transaction: group.clamp(1, LARGEST_GROUP),
        terms: TERMS,
        dedup: true,
        keys: KEYS,
    };
    let rate = bare_commits(&*store, load, time).await?;
    store.close().await?;
    Ok(rate)
}

/// Settles `count` deliveries as fast as it goes; gives deliveries a second.
pub(crate) async fn settling(directory: Option<&Path>, count: usize) -> Result<f64, BenchError> {
    let scratch = site::scratch(directory)?;
    let store = open(scratch.path())?;
    let mut generator = Generator::new(&*store).await?;
    let load = Load {
        per_transaction: 1,
        terms: 0,
        dedup: false,
        keys: KEYS,
    };
    let mut owed: Vec<Id> = Vec::with_capacity(count);
    while owed.len() < count {
        let batch = (0..SETTLED_AT_ONCE.min(count - owed.len())).map(|_| {
            let mut acceptance = generator.acceptance(&load);
            acceptance.deliveries.truncate(1);
            Change::Accept(Box::new(acceptance))
        });
        for outcome in store.commit(batch.collect()).await? {
            if let Outcome::Accepted(accepted) = outcome {
                // Two messages come first in the block.
                owed.push(accepted.first.offset(2));
            }
        }
    }
    let began = Instant::now();
    let calls = owed.chunks(SETTLED_AT_ONCE).map(|batch| {
        let changes = batch
            .iter()
            .map(|&id| Change::Settle(Box::new(delivered(&*store, id))))
            .collect();
        store.commit(changes)
    });
    let mut calls = stream::iter(calls).buffered(CALLS);
    let mut settled = 0;
    while let Some(outcomes) = calls.next().await {
        settled += outcomes?
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Settled(true)))
            .count();
    }
    drop(calls);
    let rate = settled as f64 / began.elapsed().as_secs_f64();
    store.close().await?;
    if settled != owed.len() {
        return Err(BenchError::Sums {
            what: format!("{settled} of {} deliveries could be settled", owed.len()),
        });
    }
    Ok(rate)
}

fn open(directory: &Path) -> Result<Arc<SqliteStore>, BenchError> {
    Ok(SqliteStore::open(
        &directory.join("bare.db"),
        Options::default(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::{accepting, settling};
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_limits_are_measured() {
        let rate = accepting(None, 10, Duration::from_millis(100))
            .await
            .unwrap();
        assert!(rate.messages_per_s > 0.0 && rate.transactions > 0);
        assert!(settling(None, 600).await.unwrap() > 0.0);
    }
}

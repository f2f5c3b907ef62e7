//! The write-ahead log stays small whatever is read: reads that follow each other without a gap
//! would keep it from ever beginning anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use wardline_core::{Id, Lane};
use wardline_store::measure::{Generator, Load, delivered};
use wardline_store::sqlite::{Options, SqliteStore};
use wardline_store::{Change, Outcome, Store as _};

const LOG_BYTES: u64 = 1 << 20;
const LOAD: Load = Load {
    per_transaction: 1,
    terms: 2,
    dedup: false,
    keys: 50,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_without_a_gap_do_not_let_the_log_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let options = Options {
        log_bytes: LOG_BYTES,
        ..Options::default()
    };
    let store = SqliteStore::open(&path, options).unwrap();
    let mut generator = Generator::new(&*store).await.unwrap();
    let [destination, ..] = *generator.destinations();

    let stop = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (store, stop, reads) = (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&reads));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    store
                        .window(destination, Lane::Normal, Id::ZERO, 500)
                        .await
                        .unwrap();
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    let log = folder.path().join("journal.db-wal");
    let (mut longest, mut written) = (0, 0);
    while written < 24 * LOG_BYTES {
        let batch = (0..100).map(|_| Change::Accept(Box::new(generator.acceptance(&LOAD))));
        let outcomes = store.commit(batch.collect()).await.unwrap();
        let owed = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Accepted(accepted) => Some(accepted.first.offset(2)),
            _ => None,
        });
        let settled = owed.map(|id| Change::Settle(Box::new(delivered(&*store, id))));
        store.commit(settled.collect()).await.unwrap();
        // Payloads alone; rows and indexes come on top.
        written += 100 * 1_200;
        longest = longest.max(std::fs::metadata(&log).map_or(0, |file| file.len()));
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(reads.load(Ordering::Relaxed) > 100);
    // One batch more than allowed is written before the writer looks, and it may take a few
    // megabytes.
    assert!(longest < 12 * LOG_BYTES, "the log grew to {longest} bytes");
    store.close().await.unwrap();
}

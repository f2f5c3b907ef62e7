//! The suite of the trait, run on the SQLite store.

use std::path::PathBuf;
use std::sync::Arc;
use wardline_core::Timestamp;
use wardline_store::conformance::{self, HandClock, Home};
use wardline_store::sqlite::{Durability, Options, SqliteStore};
use wardline_store::{Store, StoreError};

struct Place {
    folder: tempfile::TempDir,
    clock: Arc<HandClock>,
    durability: Durability,
}

impl Place {
    fn new() -> Self {
        let clock = Arc::new(HandClock::starting_at(Timestamp::from_unix_ms(
            1_764_000_000_123,
        )));
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            clock,
            durability: Durability::Full,
        }
    }

    /// For long histories: nothing here cuts the power, so nothing needs to be synced.
    fn unsynced() -> Self {
        Self {
            durability: Durability::Normal,
            ..Self::new()
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }
}

impl Home for Place {
    fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        let options = Options {
            // So small that every test spans several.
            run: 5,
            clock: self.clock.clone(),
            durability: self.durability,
            ..Options::default()
        };
        Ok(SqliteStore::open(&self.path(), options)?)
    }

    fn clock(&self) -> Arc<HandClock> {
        Arc::clone(&self.clock)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_contract() {
    for case in conformance::cases() {
        println!("{}", case.name);
        (case.run)(Box::new(Place::new())).await;
    }
}

mod random {
    use super::Place;
    use proptest::prelude::*;
    use wardline_store::conformance::model;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]

        #[test]
        fn sqlite_agrees_with_the_model(history in model::histories(60)) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(model::check(Box::new(Place::unsynced()), &history));
        }
    }
}

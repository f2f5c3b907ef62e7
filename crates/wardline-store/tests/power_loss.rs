//! The power fails under load: nothing acknowledged is missing, nothing is half there, order
//! and counts are true. And the suite notices where that is not so.
//!
//! Each place lives through several cuts, each during a random operation of the disk, some
//! of them while the store is opening; after each the store opens on what was left.

#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

mod load;

use load::{Findings, Ledger};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wardline_core::{DeliveryId, DeliveryState, Id, Lane, Timestamp};
use wardline_faults::{CutReport, Failure, FaultVfs, Operation, Rule};
use wardline_store::sqlite::{Durability, Fatal, Options, SqliteStore};
use wardline_store::{Change, Lease, Outcome, Settlement, SettlementResult, Store, StoreError};

/// Places of the quick run, three cuts each.
const PLACES: u64 = 24;
const CUTS: u64 = 3;

/// Lives so far: tests run side by side and SQLite wants every layer to have its own name.
static LIVES: AtomicU64 = AtomicU64::new(0);

struct Place {
    folder: tempfile::TempDir,
    ledger: Arc<Mutex<Ledger>>,
    durability: Durability,
    lies: bool,
    old_lease: Option<Lease>,
}

impl Place {
    fn new(durability: Durability, lies: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            ledger: Arc::default(),
            durability,
            lies,
            old_lease: None,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    fn open(&self, vfs: &FaultVfs) -> Result<Arc<SqliteStore>, StoreError> {
        // A cut looks like a failed sync to the store. The real one ends everything; here the
        // writer ends and the test goes on.
        let fatal = Fatal::instead(|_| {});
        let options = Options {
            durability: self.durability,
            vfs: Some(vfs.name().into()),
            fatal,
            ..Options::default()
        };
        SqliteStore::open(&self.path(), options)
    }

    /// Opens the store, proves what the last cut left, and works until the next.
    async fn live(&mut self, seed: u64) -> (Findings, CutReport) {
        let kind = if self.lies { "lies" } else { "honest" };
        let life = LIVES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{kind}-{:?}-{seed}-{life}", self.durability);
        let vfs = Arc::new(FaultVfs::register(&name, seed).unwrap());
        if self.lies {
            vfs.inject(Rule::new(Operation::Sync, Failure::Lie));
        }
        let mut draw = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        let mut below = |bound: u64| {
            let drawn = draw % bound;
            draw /= bound;
            drawn
        };
        if below(4) == 0 {
            vfs.cut_after(1 + below(120));
        }
        if below(2) == 0 {
            // Slow syncs gather many calls into one transaction.
            vfs.set_sync_time(Duration::from_micros(300));
        }
        let mut findings = Findings::default();
        match self.open(&vfs) {
            Ok(store) => {
                if !vfs.is_cut() {
                    let found = load::prove(&store, &self.path(), &self.ledger).await;
                    if !vfs.is_cut() {
                        findings = found;
                        self.fence(&store, &mut findings).await;
                    }
                }
                if !vfs.is_cut() {
                    vfs.cut_after(1 + below(2_500));
                }
                let power = Arc::clone(&vfs);
                load::run(&store, &self.ledger, move || !power.is_cut()).await;
                drop(store);
            }
            Err(error) if vfs.is_cut() || self.lies => println!("  not opened: {error}"),
            Err(error) => findings.faults.push(format!("not opened: {error}")),
        }
        assert!(
            vfs.is_cut() || self.lies,
            "{name}: the load ended before the power did"
        );
        (findings, vfs.power_cut().unwrap())
    }

    /// A process of before the cut that still answers may settle nothing.
    async fn fence(&mut self, store: &Arc<SqliteStore>, findings: &mut Findings) {
        let lease = store.lease();
        let id = self
            .ledger
            .lock()
            .accepted
            .iter()
            .find_map(|known| known.first().copied());
        if let (Some(old), Some(id)) = (self.old_lease, id) {
            // The third delivery of every acceptance stays pending.
            let outcome = settle(store, old, id.offset(4), DeliveryState::Pending).await;
            if old == lease || !matches!(outcome, Ok(false)) {
                findings.faults.push(format!(
                    "a settlement under the lease of before became {outcome:?}"
                ));
            }
        }
        self.old_lease = Some(lease);
    }

    /// What is left after the last cut, seen with the ordinary file layer.
    async fn end(&self) -> Findings {
        let options = Options {
            durability: self.durability,
            ..Options::default()
        };
        match SqliteStore::open(&self.path(), options) {
            Ok(store) => load::prove(&store, &self.path(), &self.ledger).await,
            Err(error) => Findings {
                lost: 0,
                faults: vec![format!("not opened: {error}")],
            },
        }
    }
}

async fn settle(
    store: &Arc<SqliteStore>,
    lease: Lease,
    id: Id,
    was: DeliveryState,
) -> Result<bool, StoreError> {
    let now = Timestamp::now();
    let settlement = Settlement {
        lease,
        delivery: DeliveryId(id),
        was,
        attempt: 1,
        started: now,
        ended: now,
        status: String::new(),
        response: None,
        result: SettlementResult::Delivered,
        follow: None,
        patient: true,
    };
    match &store
        .commit(vec![Change::Settle(Box::new(settlement))])
        .await?[..]
    {
        [Outcome::Settled(done)] => Ok(*done),
        other => panic!("a settlement became {other:?}"),
    }
}

/// What all places together came to.
#[derive(Debug, Default)]
struct Sum {
    cuts: u64,
    accepted: usize,
    advanced: u64,
    kept: usize,
    torn: usize,
    dropped: usize,
    lost: usize,
    places_that_lost: usize,
    faults: Vec<String>,
}

async fn live_through(durability: Durability, lies: bool, seeds: std::ops::Range<u64>) -> Sum {
    let mut sum = Sum::default();
    for seed in seeds {
        let mut place = Place::new(durability, lies);
        let mut lost = 0;
        let mut note = |seed: u64, findings: Findings, sum: &mut Sum| {
            lost += findings.lost;
            sum.faults.extend(
                findings
                    .faults
                    .into_iter()
                    .map(|fault| format!("seed {seed}: {fault}")),
            );
        };
        for life in 0..CUTS {
            let seed = seed * 1_000 + life;
            println!(
                "{durability:?}, seed {seed}, {} acknowledged",
                place.ledger.lock().acceptances()
            );
            let (findings, report) = place.live(seed).await;
            note(seed, findings, &mut sum);
            sum.cuts += 1;
            for file in report.files {
                sum.kept += file.kept;
                sum.torn += file.torn;
                sum.dropped += file.lost;
            }
        }
        sum.accepted += place.ledger.lock().acceptances();
        sum.advanced += place.ledger.lock().advances();
        let findings = place.end().await;
        note(seed * 1_000 + CUTS, findings, &mut sum);
        sum.lost += lost;
        sum.places_that_lost += usize::from(lost > 0);
    }
    println!(
        "{durability:?}{}: {} cuts, {} acceptances and {} advances acknowledged, {} lost in {} places; unsynced writes: {} kept, {} torn, {} dropped",
        if lies { " on a disk that lies" } else { "" },
        sum.cuts,
        sum.accepted,
        sum.advanced,
        sum.lost,
        sum.places_that_lost,
        sum.kept,
        sum.torn,
        sum.dropped,
    );
    sum
}

/// The first seed: `WARDLINE_SEED` repeats a failing one or explores others.
fn first_seed() -> u64 {
    std::env::var("WARDLINE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let first = first_seed();
    let sum = live_through(Durability::Full, false, first..first + PLACES).await;
    assert_eq!(sum.faults, Vec::<String>::new());
    assert_eq!(sum.lost, 0);
    assert!(
        sum.accepted > 1_000 && sum.advanced > 1_000,
        "only {} acceptances and {} advances: the cuts come too early to prove anything",
        sum.accepted,
        sum.advanced
    );
    assert!(
        sum.torn > 0 && sum.dropped > 0,
        "no cut tore or dropped anything: {sum:?}"
    );
}

/// The same for as many places as `WARDLINE_PLACES` says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: WARDLINE_PLACES=1000 cargo test -p wardline-store --test power_loss -- --ignored"]
async fn nothing_acknowledged_is_lost_long() {
    let places = std::env::var("WARDLINE_PLACES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(300);
    let first = first_seed();
    let sum = live_through(Durability::Full, false, first..first + places).await;
    assert_eq!(sum.faults, Vec::<String>::new());
    assert_eq!(sum.lost, 0);
}

/// Negative control: without a sync at each commit the proof has to find losses, and nothing
/// but losses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_sync_at_each_commit_losses_are_found() {
    let sum = live_through(Durability::Normal, false, 1..9).await;
    assert_eq!(
        sum.faults,
        Vec::<String>::new(),
        "even then nothing is half there or out of order"
    );
    assert!(
        sum.lost > 0,
        "the suite does not notice what it is made for: {sum:?}"
    );
}

/// Negative control: with full durability on a disk that only pretends to sync, the proof has to
/// find losses or damage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_disk_that_lies_losses_are_found() {
    let sum = live_through(Durability::Full, true, 1..7).await;
    assert!(
        sum.lost > 0 || !sum.faults.is_empty(),
        "the suite does not notice what it is made for: {sum:?}"
    );
}

/// Negative control of the fence: what is refused under an old lease or from a wrong state is
/// refused for that reason alone, since the same settlement passes with both right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_lease_and_the_state_of_today_settle() {
    let place = Place::new(Durability::Full, false);
    let vfs = Arc::new(FaultVfs::register("fence", 1).unwrap());
    let power = Arc::clone(&vfs);
    let store = place.open(&vfs).unwrap();
    let before = store.lease();
    vfs.cut_after(600);
    load::run(&store, &place.ledger, move || !power.is_cut()).await;
    drop(store);
    vfs.power_cut().unwrap();

    let vfs = FaultVfs::register("fence again", 2).unwrap();
    let store = place.open(&vfs).unwrap();
    let destination = store.lookup("staff").unwrap();
    let owed = store
        .window(destination, Lane::Normal, Id::ZERO, 1)
        .await
        .unwrap();
    let id = owed[0].id.0;
    assert!(store.lease().epoch() > before.epoch());
    assert!(
        !settle(&store, before, id, DeliveryState::Pending)
            .await
            .unwrap(),
        "the lease of before the cut"
    );
    assert!(
        !settle(&store, store.lease(), id, DeliveryState::Retrying)
            .await
            .unwrap(),
        "a state it is not in"
    );
    assert!(
        settle(&store, store.lease(), id, DeliveryState::Pending)
            .await
            .unwrap(),
        "both right"
    );
    assert!(
        !settle(&store, store.lease(), id, DeliveryState::Pending)
            .await
            .unwrap(),
        "settled already"
    );
}

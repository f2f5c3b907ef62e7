//! `kill -9` while many instances of a process are on their way, again and again, and the proof
//! that each of them did everything once.
//!
//! The real binary runs a process that calls, tells, waits, sleeps, branches and undoes. Its
//! systems are one recording server in this process, which outlives every kill, is unavailable at
//! times and sometimes does what it is asked without saying so. Orders are told over HTTP and MLLP,
//! some twice, what they wait for before or after they wait, until each is acknowledged. The
//! binary is killed at random moments, also while it starts. At the end every instance must have
//! ended as its order says, with each effect there once and under one idempotency key, undone in
//! reverse where it was refused, and nothing left that waits.
//!
//! A kill leaves the kernel's page cache; that commits also survive a power cut is proved by
//! `power_loss` in `wardline-store`.

#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

#[path = "process_crash/estate.rs"]
mod estate;
#[path = "process_crash/feeder.rs"]
mod feeder;
#[path = "peers/house.rs"]
mod house;
#[path = "process_crash/orders.rs"]
mod orders;
#[path = "process_crash/proof.rs"]
mod proof;
#[path = "process_crash/recorder.rs"]
mod recorder;

use feeder::Feeder;
use house::{House, Server, free_address};
use orders::Order;
use proof::Ended;
use recorder::Recorder;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardline_sim::Dice;
use wardline_store::sqlite::{Options, SqliteStore};
use wardline_store::{InstanceFilter, Phase, Store as _};

/// How long the instances may take to end once nobody kills any more.
const DRAIN_PATIENCE: Duration = Duration::from_mins(3);
/// How long the first effect after a start may take.
const EFFECT_PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_leave_every_instance_whole() {
    crash(Duration::from_secs(12), 6, 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: WARDLINE_CRASH_MINUTES=10 cargo test -p wardline --test process_crash -- --ignored --nocapture"]
async fn long() {
    let minutes = std::env::var("WARDLINE_CRASH_MINUTES")
        .ok()
        .and_then(|minutes| minutes.parse().ok());
    crash(Duration::from_mins(minutes.unwrap_or(3)), 30, 1_000).await;
}

/// Keeps so many orders on their way and kills for at least so long and so often, then waits for
/// all of them and proves.
async fn crash(duration: Duration, kills: usize, at_a_time: usize) {
    let seed = std::env::var("WARDLINE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let recorder = Arc::new(Recorder::start(seed).await);
    let (api, dock) = (free_address(), free_address());
    let house = estate::write(&recorder.address, &api, &dock);
    let mut server = serve(&house);
    let feeder = Feeder::new(&api, &dock, Arc::clone(&recorder));
    let mut places = feeder.run(at_a_time, seed);

    let (began, mut killed, mut recovered) = (Instant::now(), 0, Vec::new());
    while began.elapsed() < duration || killed < kills {
        tokio::time::sleep(Duration::from_millis(200 + dice.below(2_000))).await;
        // Dropped is killed.
        drop(server);
        killed += 1;
        if dice.below(4) == 0 {
            // Recovery itself must survive a kill.
            start_and_kill(&house, Duration::from_millis(dice.below(600))).await;
            killed += 1;
        }
        let started = Instant::now();
        server = serve(&house);
        let ready = started.elapsed();
        let at_work = at_work(&recorder, started, &house).await;
        println!(
            "{killed} kills, {} orders, {} effects, ready in {ready:.2?}, at work in {at_work:.2?}",
            feeder.told().len(),
            recorder.ledger.lock().unwrap().count(),
        );
        recovered.push((ready, at_work));
    }
    feeder.stop();
    let drained = tokio::time::timeout(DRAIN_PATIENCE, async {
        while let Some(place) = places.join_next().await {
            place.unwrap();
        }
        while open_instances(&house) > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    if drained.await.is_err() {
        println!("{}", tail(&house));
    }
    let status = house.run(&["status", "--json"]).json();
    server.stop();

    let ended = ended(&house).await;
    let orders = feeder.told();
    let problems = proof::problems(&orders, &recorder.ledger.lock().unwrap(), &ended);
    report(&feeder, &recorder, killed, recovered);
    assert!(
        problems.is_empty(),
        "{} problems in {} orders, the first:\n{}\n{}",
        problems.len(),
        orders.len(),
        problems[..problems.len().min(30)].join("\n"),
        tail(&house)
    );
    whole(&house, &status);
    assert!(
        orders.len() >= at_a_time,
        "only {} orders: the load proves nothing",
        orders.len()
    );
}

fn serve(house: &House) -> Server {
    tokio::task::block_in_place(|| house.serve_with(&["serve"]))
}

async fn start_and_kill(house: &House, after: Duration) {
    let mut command = house.command();
    let mut child = command
        .arg("serve")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    tokio::time::sleep(after).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

/// How long after its start something was done again.
async fn at_work(recorder: &Recorder, started: Instant, house: &House) -> Duration {
    loop {
        let last = recorder.ledger.lock().unwrap().last;
        if let Some(last) = last.filter(|last| *last > started) {
            return last - started;
        }
        assert!(
            started.elapsed() < EFFECT_PATIENCE,
            "nothing is done any more; the log:\n{}",
            tail(house)
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn journal(house: &House) -> rusqlite::Connection {
    let path = house.data().join("journal.db");
    let journal =
        rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .unwrap();
    journal.busy_timeout(Duration::from_secs(10)).unwrap();
    journal
}

fn count(journal: &rusqlite::Connection, sql: &str) -> u64 {
    journal
        .query_row(sql, [], |row| row.get::<_, i64>(0))
        .unwrap()
        .unsigned_abs()
}

fn open_instances(house: &House) -> u64 {
    count(
        &journal(house),
        "SELECT count(*) FROM instance WHERE phase <= 2",
    )
}

/// How every instance ended, of the journal at rest.
async fn ended(house: &House) -> BTreeMap<Order, Vec<Ended>> {
    let path = house.data().join("journal.db");
    let store = SqliteStore::open(Path::new(&path), Options::default()).unwrap();
    let mut found: BTreeMap<Order, Vec<Ended>> = BTreeMap::new();
    let mut filter = InstanceFilter {
        limit: 1_000,
        ..InstanceFilter::default()
    };
    loop {
        let page = store.instances(&filter).await.unwrap();
        let Some(last) = page.rows.last() else { break };
        filter.before = Some(last.id.0);
        for row in page.rows {
            let order = row.key.shown.as_deref().and_then(Order::of).unwrap();
            let status = row.status.and_then(|status| store.name(status));
            let phase = match &row.note {
                Some(note) if row.phase == Phase::Stuck => format!("stuck: {}", note.text),
                _ => row.phase.as_str().to_owned(),
            };
            found.entry(order).or_default().push(Ended {
                phase,
                status: status.as_deref().unwrap_or_default().to_owned(),
            });
        }
    }
    store.close().await.unwrap();
    found
}

/// Nothing is left that waits or is owed, the counts agree, and the audit log is whole.
fn whole(house: &House, status: &serde_json::Value) {
    let journal = journal(house);
    for (what, sql) in [
        ("waits", "SELECT count(*) FROM wait"),
        ("timers", "SELECT count(*) FROM timer"),
        ("tasks", "SELECT count(*) FROM task WHERE ended IS NULL"),
        (
            "mail that nobody looked at",
            "SELECT count(*) FROM mail WHERE state = 0",
        ),
        (
            "ends of calls that nobody took",
            "SELECT count(*) FROM mail WHERE state <= 1 AND instance IS NOT NULL",
        ),
    ] {
        assert_eq!(count(&journal, sql), 0, "{what} are left");
    }
    drop(journal);
    let sums = |name: &str| status["sums"][name].as_u64();
    assert_eq!(
        (sums("open"), sums("dead"), sums("cancelled")),
        (Some(0), Some(0), Some(0)),
        "{status:#}"
    );
    house.run(&["status"]).ends(0);
    house.run(&["audit", "verify"]).ends(0);
}

fn report(
    feeder: &Feeder,
    recorder: &Recorder,
    killed: usize,
    recovered: Vec<(Duration, Duration)>,
) {
    let ledger = recorder.ledger.lock().unwrap();
    let requests: u64 = ledger.effects.values().map(|seen| u64::from(seen.requests)).sum();
    println!(
        "{killed} kills, {} instances, {} effects of their steps in {requests} requests, {} told and acknowledged after {} attempts in vain",
        feeder.told().len(),
        ledger.count(),
        feeder.acknowledged(),
        feeder.resent(),
    );
    let (mut ready, mut at_work): (Vec<_>, Vec<_>) = recovered.into_iter().unzip();
    for (what, times) in [("ready", &mut ready), ("at work", &mut at_work)] {
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        println!(
            "{what} again: p50 {:.2?}, p99 {:.2?}, most {:.2?}",
            at(50),
            at(99),
            at(100)
        );
    }
}

fn tail(house: &House) -> String {
    let log = house.log();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

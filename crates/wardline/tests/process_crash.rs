//! `kill -9` while many instances of a process are on their way, again and again, and the proof
//! that each of them did everything once.
//!
//! The real binary runs a process that calls, tells, waits, sleeps, asks, branches and undoes. Its
//! systems are one recording server in this process, which outlives every kill, is unavailable at
//! times and sometimes does what it is asked without saying so. Orders are told over HTTP and MLLP,
//! some twice, what they wait for before or after they wait, until each is acknowledged. A clerk
//! answers every question until that is acknowledged, and tries to answer it otherwise. The
//! binary is killed at random moments, also while it starts. At the end every instance must have
//! ended as its order says, with each effect there once and under one idempotency key, undone in
//! reverse where it was refused, and nothing left that waits.
//!
//! A kill leaves the kernel's page cache; that commits also survive a power cut is proved by
//! `power_loss` in `wardline-store`.

#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

#[path = "process_crash/clerk.rs"]
mod clerk;
#[path = "process_crash/estate.rs"]
mod estate;
#[path = "process_crash/feeder.rs"]
mod feeder;
#[path = "peers/house.rs"]
mod house;
#[path = "process_crash/journal.rs"]
mod journal;
#[path = "process_crash/orders.rs"]
mod orders;
#[path = "process_crash/proof.rs"]
mod proof;
#[path = "process_crash/recorder.rs"]
mod recorder;

use clerk::Clerk;
use feeder::Feeder;
use house::{House, Server, free_address};
use recorder::Recorder;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wardline_sim::Dice;

/// How long the instances may take to end once nobody kills any more.
const DRAIN_PATIENCE: Duration = Duration::from_mins(3);
/// How long the first effect after a start may take.
const EFFECT_PATIENCE: Duration = Duration::from_secs(30);

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
    let (api, dock, desk) = (free_address(), free_address(), free_address());
    let house = estate::write(&recorder.address, &api, &dock, &desk);
    let mut server = serve(&house);
    let clerk = Clerk::start(&desk, house.data().join("admin.token"));
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
        while journal::open_instances(&house) > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    if drained.await.is_err() {
        println!("{}\n{}", journal::unfinished(&house), tail(&house));
    }
    let status = house.run(&["status", "--json"]).json();
    server.stop();

    let ended = journal::ended(&house).await;
    let orders = feeder.told();
    let mut problems = proof::problems(&orders, &recorder.ledger.lock().unwrap(), &ended);
    problems.extend(clerk.problems(&orders, &journal::answers(&house)));
    let notes = clerk.notes.lock().unwrap();
    println!(
        "{} questions answered, {} answers unheard, {} second answers refused",
        notes.answered.len(),
        notes.unheard,
        notes.refused
    );
    drop(notes);
    report(&feeder, &recorder, killed, recovered);
    assert!(
        problems.is_empty(),
        "{} problems in {} orders, the first:\n{}\n{}",
        problems.len(),
        orders.len(),
        problems[..problems.len().min(30)].join("\n"),
        tail(&house)
    );
    journal::whole(&house, &status);
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
            "nothing is done any more; {}\nthe log:\n{}",
            journal::unfinished(house),
            tail(house)
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn report(
    feeder: &Feeder,
    recorder: &Recorder,
    killed: usize,
    recovered: Vec<(Duration, Duration)>,
) {
    let ledger = recorder.ledger.lock().unwrap();
    let requests: u64 = ledger
        .effects
        .values()
        .map(|seen| u64::from(seen.requests))
        .sum();
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
        // The nearest rank.
        let at = |share: usize| times[(times.len() * share).div_ceil(100) - 1];
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

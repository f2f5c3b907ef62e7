//! `kill -9` under load, again and again, and the proof against the sender's own ledger.
//!
//! A simulated EHR sends ADT over MLLP to the example estate, run by the real binary; the
//! estate's other systems are simulators in this process and outlive every kill. The binary
//! is killed at random moments, also while it starts and while systems are down, and started
//! again on the same data. At the end everything that was acknowledged must have reached
//! every system that has to know, in order, under one idempotency key, and the binary's own
//! counts must say the same as the simulators' books.
//!
//! A kill leaves the kernel's page cache; that commits also survive a power cut is proved by
//! `power_loss` in `wardline-store`.

#![allow(clippy::unwrap_used)] // A test's setup that fails is a failed test.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use wardline_sim::{
    Dice, Ehr, EhrPlan, EhrReport, Fault, Hospital, Record, Sequence, Service, SimConfig, Trigger,
};

/// How long a start may take before the test gives up; generous, a slow machine is no failure.
const START_PATIENCE: Duration = Duration::from_mins(2);
/// Kills of the very first start, before the load begins.
const FIRST_STARTS: usize = 6;
/// How long the backlog may take to drain before the test gives up.
const DRAIN_PATIENCE: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing() {
    crash(Duration::from_secs(20), 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: WARDLINE_CRASH_MINUTES=10 cargo test -p wardline --test crash -- --ignored --nocapture"]
async fn long() {
    let minutes = std::env::var("WARDLINE_CRASH_MINUTES")
        .ok()
        .and_then(|minutes| minutes.parse().ok());
    crash(Duration::from_mins(minutes.unwrap_or(3)), 30).await;
}

/// Loads and kills for at least so long and so often, then drains and proves.
async fn crash(duration: Duration, kills: usize) {
    let seed = std::env::var("WARDLINE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let hospital = Hospital::start(SimConfig {
        record: Record::Full { per_key: 1_000_000 },
        ..SimConfig::for_tests()
    })
    .await
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let place = Place::make(folder.path(), &hospital);
    let mut tally = Tally::default();
    // A start that makes keys and journal and is killed in the midst must not bar the next.
    for _ in 0..FIRST_STARTS {
        let starting = place.spawn();
        tokio::time::sleep(Duration::from_millis(dice.below(80))).await;
        tally.kill_child(starting).await;
    }
    let mut server = place.start().await;
    let plan = EhrPlan {
        connections: 8,
        rate: Some(200.0),
        record: Record::Full { per_key: 0 },
        seed,
        ack_timeout: Duration::from_secs(20),
        ..EhrPlan::to(place.mllp.clone())
    };
    let ehr = Ehr::start(plan).await.unwrap();

    let began = Instant::now();
    while began.elapsed() < duration || tally.kills < FIRST_STARTS + kills {
        if dice.below(3) == 0 {
            let services = hospital.services();
            let service = services[dice.below(services.len() as u64) as usize];
            let outage = Duration::from_millis(500 + dice.below(2_000));
            service.set_fault(Fault::down().lasting(outage)).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200 + dice.below(3_000))).await;
        tally.kill(server).await;
        if dice.below(4) == 0 {
            // Recovery itself must survive a kill.
            let starting = place.spawn();
            tokio::time::sleep(Duration::from_millis(dice.below(600))).await;
            tally.kill_child(starting).await;
        }
        let started = Instant::now();
        server = place.start().await;
        let took = started.elapsed();
        println!(
            "{} kills, {} acknowledged, ready again in {took:.2?}",
            tally.kills,
            ehr.progress().accepted()
        );
        tally.restarts.push(took);
    }
    // The end of the load must not depend on the last kill: the sessions are back first.
    let before = ehr.progress().accepted();
    let waiting = Instant::now();
    while ehr.progress().accepted() < before + 200 {
        assert!(
            waiting.elapsed() < START_PATIENCE,
            "nothing is acknowledged; the log:\n{}",
            place.log_end()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let sent = ehr.stop().await.unwrap();
    println!("sent: {sent}");
    for service in hospital.services() {
        service.heal();
    }
    let status = place.drain().await;
    server.stop().await;

    let services: Vec<Service> = hospital.services().into_iter().cloned().collect();
    let received = hospital.stop().await;
    println!("{received}");
    let repeats: u64 = received.services.iter().map(|report| report.repeated).sum();
    tally.print(&sent, received.applied(), repeats);
    prove(&sent, &services);
    assert_eq!(
        received.differences(&sent),
        [],
        "the simulators' own comparison"
    );
    assert!(received.is_orderly(), "{received}");
    let sums = |name: &str| status["sums"][name].as_u64();
    assert_eq!(
        sums("accepted"),
        Some(sent.accepted()),
        "accepted, as the binary and as the sender count it"
    );
    assert_eq!(
        sums("delivered"),
        Some(received.applied()),
        "delivered, as the binary and as the receivers count it"
    );
    assert_eq!(
        (sums("open"), sums("dead"), sums("cancelled")),
        (Some(0), Some(0), Some(0))
    );
    assert!(
        sent.accepted() > 500,
        "only {} messages: the load proves nothing",
        sent.accepted()
    );
}

/// Who has to hear of a message in the example estate.
fn hearers(trigger: Trigger) -> &'static [&'static str] {
    match trigger {
        Trigger::A01 => &["patient-accounting", "bed-board", "staffing", "research"],
        Trigger::A02 => &["bed-board", "housekeeping", "staffing", "research"],
        Trigger::A03 | Trigger::A13 => &[
            "patient-accounting",
            "bed-board",
            "housekeeping",
            "staffing",
            "research",
        ],
        Trigger::A08 => &["research"],
        _ => &[],
    }
}

/// The sender's ledger against what each system wrote down, message by message.
fn prove(sent: &EhrReport, services: &[Service]) {
    assert_eq!(
        sent.unanswered + sent.given_up,
        0,
        "every message was acknowledged in the end"
    );
    assert_eq!(sent.rejected, 0);
    let acknowledged: usize = sent.ledger.values().map(Vec::len).sum();
    assert_eq!(
        acknowledged as u64,
        sent.accepted(),
        "the ledger holds every acknowledgement once"
    );

    let mut reached: HashMap<&str, BTreeSet<Sequence>> = HashMap::new();
    let mut problems = Vec::new();
    for service in services {
        let system = service.name();
        for key in service.keys() {
            let mut last = None;
            let mut effects: BTreeMap<(Sequence, &str), String> = BTreeMap::new();
            for entry in service.entries(&key) {
                let Some(sequence) = entry.message_id.as_deref().and_then(Sequence::read) else {
                    problems.push(format!("{system}: an effect without a control id"));
                    continue;
                };
                let Some(idempotency_key) = entry.idempotency_key else {
                    problems.push(format!(
                        "{system}: {sequence} came without an idempotency key"
                    ));
                    continue;
                };
                if last.is_some_and(|last| sequence < last) {
                    problems.push(format!(
                        "{system}: {sequence} came first after a later one of its key"
                    ));
                }
                last = last.max(Some(sequence));
                if effects
                    .insert((sequence, entry.operation), idempotency_key)
                    .is_some()
                {
                    problems.push(format!(
                        "{system}: {sequence} came under two idempotency keys"
                    ));
                }
                reached.entry(system).or_default().insert(sequence);
            }
        }
    }
    for told in sent.ledger.values() {
        if !told.is_sorted_by_key(|one| one.sequence) {
            problems.push("the sender's ledger is not in the order of sending".into());
        }
        for one in told {
            for system in hearers(one.trigger) {
                if !reached
                    .get(system)
                    .is_some_and(|there| there.contains(&one.sequence))
                {
                    problems.push(format!(
                        "{system}: {} {} was acknowledged and never came",
                        one.trigger, one.sequence
                    ));
                }
            }
        }
    }
    let shown = problems.len().min(20);
    assert!(
        problems.is_empty(),
        "{} problems, the first:\n{}",
        problems.len(),
        problems[..shown].join("\n")
    );
}

/// Figures of a run.
#[derive(Default)]
struct Tally {
    kills: usize,
    restarts: Vec<Duration>,
}

impl Tally {
    async fn kill(&mut self, server: Server) {
        self.kill_child(server.child).await;
    }

    /// SIGKILL, and waits until the process is gone.
    async fn kill_child(&mut self, mut child: Child) {
        child.kill().await.unwrap();
        self.kills += 1;
    }

    fn print(&self, sent: &EhrReport, delivered: u64, repeats: u64) {
        let mut restarts = self.restarts.clone();
        restarts.sort_unstable();
        println!(
            "{} kills, {} acknowledged, {delivered} delivered, {repeats} repeats, restart p50 {:.2?} max {:.2?}",
            self.kills,
            sent.accepted(),
            restarts[restarts.len() / 2],
            restarts[restarts.len() - 1],
        );
    }
}

/// A copy of the example estate whose addresses are those of this test.
struct Place {
    estate: PathBuf,
    data: PathBuf,
    log: PathBuf,
    mllp: String,
}

impl Place {
    fn make(folder: &Path, hospital: &Hospital) -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/estates/ward");
        let mllp = free_address();
        let mut addresses = vec![
            ("127.0.0.1:8420".to_owned(), free_address()),
            ("127.0.0.1:8421".to_owned(), free_address()),
            ("127.0.0.1:8422".to_owned(), free_address()),
            ("127.0.0.1:2575".to_owned(), mllp.clone()),
        ];
        for (port, service) in (18_081..).zip(hospital.services()) {
            addresses.push((format!("127.0.0.1:{port}"), service.address().to_string()));
        }
        let estate = folder.join("estate");
        let mut replaced = BTreeSet::new();
        copy(&example, &estate, &addresses, &mut replaced);
        for (address, _) in &addresses {
            assert!(
                replaced.contains(address),
                "{address} is nowhere in the example estate"
            );
        }
        Self {
            estate,
            data: folder.join("data"),
            log: folder.join("serve.log"),
            mllp,
        }
    }

    fn command() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardline"));
        command
            .env_remove("WARDLINE_ESTATE")
            .env_remove("WARDLINE_DATA")
            .kill_on_drop(true)
            .stdin(Stdio::null());
        command
    }

    /// Starts the binary and waits for nothing.
    fn spawn(&self) -> Child {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        Self::command()
            .arg("serve")
            .arg(&self.estate)
            .arg("--data")
            .arg(&self.data)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Starts the binary and waits until it says that it is ready.
    async fn start(&self) -> Server {
        let mut child = self.spawn();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.starts_with("wardline ready") {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(START_PATIENCE, ready).await {
            Ok(true) => Server { child, lines },
            ended => panic!("it did not start ({ended:?}); its log:\n{}", self.log_end()),
        }
    }

    /// The status, once nothing is open any more.
    async fn drain(&self) -> Value {
        let began = Instant::now();
        loop {
            let output = Self::command()
                .args(["status", "--json", "--estate"])
                .arg(&self.estate)
                .arg("--data")
                .arg(&self.data)
                .output()
                .await
                .unwrap();
            let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if status["sums"]["open"].as_u64() == Some(0) {
                assert!(
                    output.status.success(),
                    "nothing is open and yet it is not well: {status:#}"
                );
                return status;
            }
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(
                began.elapsed() < DRAIN_PATIENCE,
                "not drained: {status:#}\n{error}\n{}",
                self.log_end()
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn log_end(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

/// A running binary. What it prints is kept open, so that it never writes to a closed pipe.
struct Server {
    child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Server {
    /// SIGTERM; it has to end by itself and well.
    async fn stop(mut self) {
        let pid = self.child.id().expect("it runs").to_string();
        let asked = Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap();
        assert!(asked.success());
        let mut last = String::new();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            last = line;
        }
        let status = self.child.wait().await.unwrap();
        assert!(status.success(), "ended with {status} after SIGTERM");
        assert_eq!(last, "wardline stopped");
    }
}

/// An address that nobody listens on now.
fn free_address() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Copies what an estate is made of, with other addresses.
fn copy(from: &Path, to: &Path, addresses: &[(String, String)], replaced: &mut BTreeSet<String>) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        // What a run in the source tree may have left there.
        if ["data", "keys", "secrets"].iter().any(|own| name == *own) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name), addresses, replaced);
            continue;
        }
        let mut text = std::fs::read_to_string(entry.path()).unwrap();
        for (address, own) in addresses {
            if text.contains(address.as_str()) {
                text = text.replace(address.as_str(), own);
                replaced.insert(address.clone());
            }
        }
        std::fs::write(to.join(name), text).unwrap();
    }
}

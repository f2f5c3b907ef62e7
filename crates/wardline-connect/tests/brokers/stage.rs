//! A broker as a process, and an intake that keeps a ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use wardline_connect::broker::{Consumer, ConsumerConfig, Outbound, PublisherConfig};
use wardline_connect::{Failure, Intake, Outbound as _, Received, Reply, Request, Verdict};
use wardline_core::{Code, Id, MessageId};

pub(crate) fn installed(program: &str, word: &str) -> bool {
    let found = Command::new(program)
        .arg(word)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        eprintln!("{program} is not installed: this test says nothing");
    }
    found
}

pub(crate) fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

/// A process with all that it starts; killed with it.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command, log: &Path, port: u16) -> Self {
        use std::os::unix::process::CommandExt as _;
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let began = Instant::now();
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "it does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Self(child)
    }

    /// Ends it as a loss of power would, as far as others see.
    pub(crate) fn kill(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ended = Command::new("kill").args(["-9", "--", &group]).status();
        let _ended = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Keeps what comes, each name once, and takes its time.
#[derive(Default)]
pub(crate) struct Ledger {
    inner: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    names: BTreeSet<String>,
    bodies: Vec<Bytes>,
    offered: BTreeMap<Bytes, usize>,
    faults: Vec<(Code, String)>,
    /// So many offers are told to come later.
    busy: usize,
    next: i64,
}

impl Ledger {
    pub(crate) fn busy_at_first(times: usize) -> Arc<Self> {
        let ledger = Self::default();
        ledger.inner.lock().busy = times;
        Arc::new(ledger)
    }

    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.inner.lock().bodies.clone()
    }

    pub(crate) fn faults(&self) -> Vec<(Code, String)> {
        self.inner.lock().faults.clone()
    }

    /// Waits until so many different bodies are there.
    pub(crate) async fn until(&self, wanted: usize) {
        let began = Instant::now();
        loop {
            let different: BTreeSet<Bytes> = self.bodies().into_iter().collect();
            if different.len() >= wanted {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "{} of {wanted} came",
                different.len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[async_trait]
impl Intake for Ledger {
    async fn accept(&self, received: Received) -> Verdict {
        {
            let mut kept = self.inner.lock();
            if kept.busy > 0 {
                kept.busy -= 1;
                return Verdict::Busy {
                    code: Code("W0000"),
                    text: "later".into(),
                    retry_after: Duration::from_millis(5),
                };
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut kept = self.inner.lock();
        kept.next += 1;
        let id = MessageId(Id::from_i64(kept.next));
        *kept.offered.entry(received.body.clone()).or_default() += 1;
        if let Some(fault) = received.fault {
            kept.faults.push(fault);
        }
        if let Some(name) = received.once
            && !kept.names.insert(name)
        {
            return Verdict::Duplicate {
                original: id,
                answer: Bytes::new(),
            };
        }
        kept.bodies.push(received.body);
        Verdict::Accepted { id }
    }
}

/// A consumer that runs.
pub(crate) struct Taking {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Taking {
    pub(crate) fn begin(config: ConsumerConfig, ledger: &Arc<Ledger>) -> Self {
        let stop = CancellationToken::new();
        let consumer = Consumer::new(config).unwrap();
        let intake = Arc::clone(ledger) as Arc<dyn Intake>;
        let task = tokio::spawn(consumer.run(intake, stop.clone()));
        Self { stop, task }
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task)
            .await
            .expect("it stops when told to")
            .unwrap();
    }
}

/// One attempt.
pub(crate) async fn publish(to: &Outbound, id: &str, body: &str) -> Result<Reply, Failure> {
    to.send(Request {
        idempotency_key: id,
        attempt: 1,
        body: Bytes::from(body.to_owned()),
        content_type: "application/json",
        method: None,
        path: None,
        correlation: "c-1",
    })
    .await
}

/// Attempts until one is confirmed, as the engine would.
pub(crate) async fn publish_until_confirmed(to: &Outbound, id: &str, body: &str) {
    let began = Instant::now();
    loop {
        match publish(to, id, body).await {
            Ok(_) => return,
            Err(failure) => assert!(
                failure.kind.may_pass() && began.elapsed() < Duration::from_secs(120),
                "{failure}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) fn body(n: usize) -> String {
    format!("{{\"n\":{n},\"facility\":\"north\"}}")
}

/// Publishes and takes while the broker is killed and comes back, again and again.
pub(crate) async fn survives_kills(
    publisher: PublisherConfig,
    consumer: ConsumerConfig,
    mut broker: Process,
    again: impl Fn() -> Process,
    kills: usize,
    messages: usize,
) -> Arc<Ledger> {
    let ledger = Ledger::busy_at_first(2);
    let taking = Taking::begin(consumer, &ledger);
    let to = Arc::new(Outbound::new(publisher).unwrap());
    let sending = {
        let to = Arc::clone(&to);
        tokio::spawn(async move {
            for n in 0..messages {
                publish_until_confirmed(&to, &format!("d-{n}"), &body(n)).await;
            }
        })
    };
    for kill in 1..=kills {
        ledger.until(messages * kill / (kills + 1)).await;
        broker.kill();
        broker = again();
    }
    sending.await.unwrap();
    ledger.until(messages).await;
    taking.end().await;
    drop(broker);
    ledger
}

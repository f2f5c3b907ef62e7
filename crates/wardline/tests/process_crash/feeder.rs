//! Those who tell the estate something: each order is told once at least, and told again until
//! it is acknowledged, however often the binary dies meanwhile.

use crate::estate::API_KEY;
use crate::orders::Order;
use crate::recorder::Recorder;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wardline_sim::Dice;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(20);
/// How long to wait before telling something again.
const AGAIN: Duration = Duration::from_millis(50);
/// Who tell something at a time.
const AT_A_TIME: usize = 64;

/// Everybody who tells something.
pub(crate) struct Feeder {
    api: String,
    dock: String,
    recorder: Arc<Recorder>,
    client: Client<HttpConnector, Full<Bytes>>,
    room: Semaphore,
    next: AtomicU32,
    stop: AtomicBool,
    told: Mutex<BTreeSet<Order>>,
    /// Things that were told and acknowledged: messages that the journal has.
    acknowledged: AtomicU64,
    /// Attempts without an acknowledgement.
    resent: AtomicU64,
}

impl Feeder {
    pub(crate) fn new(api: &str, dock: &str, recorder: Arc<Recorder>) -> Arc<Self> {
        Arc::new(Self {
            api: api.to_owned(),
            dock: dock.to_owned(),
            recorder,
            client: Client::builder(TokioExecutor::new()).build_http(),
            room: Semaphore::new(AT_A_TIME),
            next: AtomicU32::new(1),
            stop: AtomicBool::new(false),
            told: Mutex::default(),
            acknowledged: AtomicU64::new(0),
            resent: AtomicU64::new(0),
        })
    }

    /// Keeps so many orders on their way, one after the other in each place, until told to stop.
    pub(crate) fn run(self: &Arc<Self>, at_a_time: usize, seed: u64) -> JoinSet<()> {
        let mut places = JoinSet::new();
        for place in 0..at_a_time {
            let (feeder, mut dice) = (Arc::clone(self), Dice::new(seed).fork(place as u64));
            places.spawn(async move {
                // They do not all begin at once.
                tokio::time::sleep(Duration::from_millis(dice.below(1_000))).await;
                while !feeder.stop.load(Ordering::Relaxed) {
                    let order = Order(feeder.next.fetch_add(1, Ordering::Relaxed));
                    feeder.live(order, &mut dice).await;
                }
            });
        }
        places
    }

    /// No order begins any more; those that are on their way go on.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Orders that were acknowledged.
    pub(crate) fn told(&self) -> BTreeSet<Order> {
        self.told.lock().unwrap().clone()
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(crate) fn resent(&self) -> u64 {
        self.resent.load(Ordering::Relaxed)
    }

    /// One order from its first event to its last effect.
    async fn live(&self, order: Order, dice: &mut Dice) {
        let name = order.number();
        if order.is_received_early() {
            self.receive(order, "1").await;
        }
        if order.is_told_twice() && dice.below(2) == 0 {
            self.acknowledge(order, "early", true).await;
        }
        let data = order.data();
        self.start(&name, "1", &data).await;
        self.told.lock().unwrap().insert(order);
        if order.starts_again() {
            self.start(&name, "2", &data).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.below(300))).await;
        if !order.is_silent() {
            if order.is_told_twice() {
                // One that is not what the process waits for, and two that are.
                self.acknowledge(order, "no", false).await;
                self.acknowledge(order, "1", true).await;
            }
            self.acknowledge(order, "2", true).await;
        }
        if !order.is_received_early() {
            if order.is_received_late() {
                self.until(order, order.before_receipt()).await;
            }
            self.receive(order, "1").await;
            if order.is_told_twice() {
                self.receive(order, "2").await;
            }
        }
        self.until(order, order.last_effect()).await;
        if order.starts_again() {
            // Long after the first; the data is another's, the key is the same.
            self.start(&name, "3", &order.data()).await;
        }
    }

    async fn until(&self, order: Order, effect: &str) {
        while !self.recorder.is_done(order, effect) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn start(&self, name: &str, again: &str, data: &Value) {
        let key = format!("{name}-start-{again}");
        self.tell("/orders/v1/orders", &key, data).await;
    }

    async fn acknowledge(&self, order: Order, again: &str, promised: bool) {
        // An order that is silent is told nothing that it waits for.
        let promised = promised && !order.is_silent();
        let name = order.number();
        let data = json!({ "order": name, "promised": promised });
        let key = format!("{name}-acknowledge-{again}");
        self.tell("/orders/v1/acknowledgements", &key, &data).await;
    }

    /// Over HTTP, until it is acknowledged.
    async fn tell(&self, path: &str, key: &str, data: &Value) {
        loop {
            let room = self.room.acquire().await.unwrap();
            let answer = tokio::time::timeout(ANSWER, self.ask(path, key, data)).await;
            drop(room);
            match answer {
                Ok(Some(200..=202)) => {
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Ok(Some(400..=428 | 430..=499)) => panic!("{path} {key} was refused: {answer:?}"),
                _ => {
                    self.resent.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// The status of one attempt; `None` where no answer came.
    async fn ask(&self, path: &str, key: &str, data: &Value) -> Option<u16> {
        let request = Request::post(format!("http://{}{path}", self.api))
            .header("content-type", "application/json")
            .header("x-api-key", API_KEY)
            .header("idempotency-key", key)
            .body(Full::new(Bytes::from(data.to_string())))
            .unwrap();
        let answer = self.client.request(request).await.ok()?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await.ok()?;
        Some(status)
    }

    /// A receipt over MLLP, until it is acknowledged.
    async fn receive(&self, order: Order, again: &str) {
        let name = order.number();
        let text = format!(
            "\u{b}MSH|^~\\&|DOCK|N|W|N|20261127120000||ADT^A01^ADT_A01|{name}-{again}|P|2.5.1\r\
             EVN||20261127120000\rPID|1||1^^^N^MR||A^B\rPV1|1|I|D1{}{name}\r\u{1c}\r",
            "|".repeat(16)
        );
        loop {
            let room = self.room.acquire().await.unwrap();
            let answer = tokio::time::timeout(ANSWER, mllp(&self.dock, &text)).await;
            drop(room);
            match answer {
                Ok(Ok(answer)) if answer.contains("MSA|AA|") => {
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Ok(Ok(answer)) if answer.contains("MSA|A") => panic!("{name}: {answer}"),
                _ => {
                    self.resent.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

/// Sends one message and reads until its answer ends.
async fn mllp(address: &str, text: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(text.as_bytes()).await?;
    let (mut answer, mut some) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(b"\x1c\r") {
        let read = stream.read(&mut some).await?;
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&some[..read]);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

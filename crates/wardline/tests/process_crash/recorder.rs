//! The estate's systems: one server that outlives every kill and writes down what was asked of it.
//!
//! It behaves as systems do: takes its time, is sometimes unavailable, sometimes does what it is
//! asked and says nothing. What it is asked twice under one idempotency key it does once.

use crate::orders::Order;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use wardline_sim::Dice;

/// What arrived for one effect of one order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Under which idempotency keys it was asked for.
    pub(crate) asked: Vec<String>,
    /// Under which it was done.
    pub(crate) done: Vec<String>,
    /// Counts what was done, all together; that of its first time.
    pub(crate) order: u64,
    /// Requests.
    pub(crate) requests: u32,
}

/// Everything that arrived.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) effects: HashMap<(Order, String), Seen>,
    /// The effect that a key stands for.
    keys: HashMap<String, (Order, String)>,
    count: u64,
    /// What should never come: requests without a key, or one key for two effects.
    pub(crate) strange: Vec<String>,
    /// When something was last done.
    pub(crate) last: Option<Instant>,
}

impl Ledger {
    /// Notes a request; whether the effect happens, or had happened, now.
    pub(crate) fn note(&mut self, order: Order, effect: &str, key: &str, does: bool) {
        let place = (order, effect.to_owned());
        if key.is_empty() {
            self.strange
                .push(format!("{}: {effect} came without a key", order.number()));
        }
        let owner = self
            .keys
            .entry(key.to_owned())
            .or_insert_with(|| place.clone());
        if *owner != place {
            self.strange.push(format!(
                "{}: {effect} came under the key of {} of {}",
                order.number(),
                owner.1,
                owner.0.number()
            ));
        }
        let seen = self.effects.entry(place).or_default();
        seen.requests += 1;
        if !seen.asked.iter().any(|known| known == key) {
            seen.asked.push(key.to_owned());
        }
        if does && !seen.done.iter().any(|known| known == key) {
            self.count += 1;
            if seen.done.is_empty() {
                seen.order = self.count;
            }
            seen.done.push(key.to_owned());
            self.last = Some(Instant::now());
        }
    }

    pub(crate) fn is_done(&self, order: Order, effect: &str) -> bool {
        let seen = self.effects.get(&(order, effect.to_owned()));
        seen.is_some_and(|seen| !seen.done.is_empty())
    }

    /// Effects that happened.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    /// 503, and nothing happened.
    Unavailable,
    /// The connection breaks, and nothing happened.
    Breaks,
    /// The connection breaks, and it happened.
    Mute,
}

pub(crate) struct Recorder {
    pub(crate) address: String,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    task: JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Recorder {
    pub(crate) async fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let (shared, dice) = (Arc::clone(&ledger), Dice::new(seed));
        let task = tokio::spawn(async move {
            for part in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let ledger = Arc::clone(&shared);
                tokio::spawn(talk(stream, ledger, dice.fork(part)));
            }
        });
        Self {
            address,
            ledger,
            task,
        }
    }

    pub(crate) fn is_done(&self, order: Order, effect: &str) -> bool {
        self.ledger.lock().unwrap().is_done(order, effect)
    }
}

/// Answers one connection until either side ends it.
async fn talk(mut stream: TcpStream, ledger: Arc<Mutex<Ledger>>, mut dice: Dice) {
    let mut bytes = Vec::new();
    while let Some((head, body)) = request(&mut stream, &mut bytes).await {
        let mood = match dice.below(100) {
            0..=5 => Mood::Unavailable,
            6 | 7 => Mood::Breaks,
            8..=10 => Mood::Mute,
            _ => Mood::Well,
        };
        tokio::time::sleep(Duration::from_millis(dice.below(12))).await;
        let path = head.split(' ').nth(1).unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let Some(order) = body["order"].as_str().and_then(Order::of) else {
            let strange = format!("{path} without an order: {body}");
            ledger.lock().unwrap().strange.push(strange);
            return;
        };
        let effect = match body["line"].as_str() {
            Some(line) => format!("{}/{line}", path.trim_start_matches('/')),
            None => path.trim_start_matches('/').to_owned(),
        };
        let does = matches!(mood, Mood::Well | Mood::Mute);
        let key = header(&head, "idempotency-key").unwrap_or_default();
        ledger.lock().unwrap().note(order, &effect, key, does);
        tokio::time::sleep(Duration::from_millis(dice.below(6))).await;
        let (status, answer) = match mood {
            Mood::Breaks | Mood::Mute => return,
            Mood::Unavailable => ("503 Service Unavailable", json!({})),
            Mood::Well if effect == "books/settle" && order.is_refused() => {
                ("200 OK", json!({ "ok": false, "error": "closed period" }))
            }
            Mood::Well => ("200 OK", json!({ "ok": true })),
        };
        let answer = answer.to_string();
        let text = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request: its head and body. `None` at the end.
async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = header(&head, "content-length")
                .and_then(|length| length.parse().ok())
                .unwrap_or(0);
            let whole = end + 4 + length;
            if bytes.len() >= whole {
                let body = bytes[end + 4..whole].to_vec();
                bytes.drain(..whole);
                return Some((head, body));
            }
        }
        let mut some = [0; 4096];
        match stream.read(&mut some).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&some[..read]),
            _ => return None,
        }
    }
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value)
}

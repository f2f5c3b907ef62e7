//! HTTP both ways in a test's own process: a sender that goes on until it is told to stop, and a
//! receiver that remembers which tokens it was shown.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "several test programs include this file, and a helper fails like the test it serves"
)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One request on a connection of its own: its status and what came back.
pub(crate) fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok());
    (status.unwrap_or(0), answer)
}

/// Posts a message with a bearer token; the status.
pub(crate) fn ask(address: &str, token: &str, body: &str) -> u16 {
    request(
        address,
        "POST",
        "/hr",
        &format!("Authorization: Bearer {token}\r\n"),
        body,
    )
    .0
}

/// What a sender met.
#[derive(Debug, Default)]
pub(crate) struct Met {
    pub(crate) taken: usize,
    pub(crate) refused: usize,
}

/// Sends until it is told to stop.
pub(crate) struct Sender {
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicUsize>,
    thread: JoinHandle<Met>,
}

impl Sender {
    pub(crate) fn start(address: &str, token: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (address, token, stopped) = (address.to_owned(), token.to_owned(), Arc::clone(&stop));
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let thread = std::thread::spawn(move || {
            let mut met = Met::default();
            while !stopped.load(Ordering::SeqCst) {
                match ask(&address, &token, "{\"n\":1}") {
                    202 => {
                        met.taken += 1;
                        counted.fetch_add(1, Ordering::SeqCst);
                    }
                    _ => met.refused += 1,
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            met
        });
        Self {
            stop,
            taken,
            thread,
        }
    }

    /// How many were taken so far.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    pub(crate) fn stop(self) -> Met {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// Takes everything, or only what carries the newest token it was ever shown.
pub(crate) struct Receiver {
    pub(crate) address: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    by_token: BTreeMap<String, usize>,
    newest: Option<(String, Instant)>,
    strict: bool,
    refused: usize,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, seen }
    }

    /// From the next change of token on, the one before is refused.
    pub(crate) fn only_the_newest(&self) {
        self.seen.lock().unwrap().strict = true;
    }

    pub(crate) fn count(&self, token: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.by_token.get(token).copied().unwrap_or(0)
    }

    pub(crate) fn refused(&self) -> usize {
        self.seen.lock().unwrap().refused
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Seen>) {
    let mut bytes = Vec::new();
    let mut some = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut some) {
        bytes.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let header = |name: &str| {
            head.lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(found, _)| found.eq_ignore_ascii_case(name))
                .map_or("", |(_, value)| value)
                .to_owned()
        };
        if body.len() < header("content-length").parse().unwrap_or(0) {
            continue;
        }
        let token = header("authorization")
            .trim_start_matches("Bearer ")
            .to_owned();
        let good = {
            let mut seen = seen.lock().unwrap();
            let known = seen.by_token.contains_key(&token);
            *seen.by_token.entry(token.clone()).or_default() += 1;
            if !known {
                seen.newest = Some((token.clone(), Instant::now()));
            }
            // What was on its way when the token changed ends as it began.
            let good = !seen.strict
                || seen.newest.as_ref().is_none_or(|(newest, since)| {
                    *newest == token || since.elapsed() < Duration::from_secs(1)
                });
            seen.refused += usize::from(!good);
            good
        };
        let status = if good {
            "204 No Content"
        } else {
            "401 Unauthorized"
        };
        if write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
        bytes.clear();
    }
}

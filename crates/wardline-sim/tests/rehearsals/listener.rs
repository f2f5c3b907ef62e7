//! What stands in for Wardline: it writes down what it is told, and asks what it is told to ask.

use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wardline_sim::{CaseReport, Ended, Hospital, Rehearse, Scenario, Service, SimConfig};

/// One thing told.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) body: Value,
}

/// A hospital that tells a listener, a hundred times as fast as usual.
pub(crate) struct Stage {
    pub(crate) hospital: Hospital,
    heard: Arc<Mutex<Vec<Heard>>>,
}

pub(crate) fn scenario(name: &str) -> &'static Scenario {
    Scenario::named(name).unwrap()
}

impl Stage {
    pub(crate) async fn set(mllp: Option<String>) -> Self {
        Self::failing(mllp, 0).await
    }

    /// The first so many things are answered 503.
    pub(crate) async fn failing(mllp: Option<String>, failures: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(listen(listener, Arc::clone(&heard), failures));
        let hospital = Hospital::start(SimConfig {
            wardline: Some(url),
            mllp,
            speed: 100.0,
            tag: Some(77),
            ..SimConfig::for_tests()
        })
        .await
        .unwrap();
        Self { hospital, heard }
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }

    /// Begins one of this scenario; its subject.
    pub(crate) fn begin(&self, name: &str) -> String {
        let begun = self.hospital.rehearse(&Rehearse::one(scenario(name)));
        begun.unwrap().about.remove(0)
    }

    /// Waits until nothing is still to be told; what was told about the subject, in its order.
    pub(crate) async fn told(&self, about: &str) -> Vec<Heard> {
        let mut rounds = 0;
        while self.hospital.rehearsal().sent.waiting > 0 {
            rounds += 1;
            assert!(rounds < 1_000, "{:?}", self.hospital.sent(about));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let keys: Vec<String> = self
            .hospital
            .sent(about)
            .into_iter()
            .map(|sent| sent.key)
            .collect();
        let mut heard = self.heard();
        heard.retain(|one| keys.contains(&one.key));
        heard
    }

    pub(crate) fn case(&self, about: &str) -> CaseReport {
        let rehearsal = self.hospital.rehearsal();
        // What was picked for a requisition and its order has two cases; the last one is the order's.
        rehearsal.of(about).last().unwrap().clone()
    }

    pub(crate) fn ended(&self, about: &str) -> Ended {
        self.case(about).ended
    }

    pub(crate) fn system(&self, name: &str) -> &Service {
        self.hospital.service(name).unwrap()
    }

    /// Asks a system; status and document.
    pub(crate) async fn ask(
        &self,
        system: &str,
        line: &str,
        key: &str,
        body: &Value,
    ) -> (u16, Value) {
        ask(self.system(system).address(), line, key, body)
            .await
            .unwrap()
    }

    /// The same, and the answer has to be good.
    pub(crate) async fn done(&self, system: &str, line: &str, key: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(system, line, key, body).await;
        assert!(
            (200..300).contains(&status),
            "{system} {line}: {status} {answer}"
        );
        answer
    }
}

/// Asks on a connection of its own; `None` where the connection broke.
pub(crate) async fn ask(
    at: std::net::SocketAddr,
    line: &str,
    key: &str,
    body: &Value,
) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(at).await.ok()?;
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = format!(
        "{line} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-type: application/json\r\nidempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

async fn listen(listener: TcpListener, heard: Arc<Mutex<Vec<Heard>>>, mut failures: usize) {
    while let Ok((stream, _)) = listener.accept().await {
        let fails = failures > 0;
        failures = failures.saturating_sub(1);
        tokio::spawn(take(stream, Arc::clone(&heard), fails));
    }
}

/// Takes requests from one connection, one after the other.
async fn take(mut stream: TcpStream, heard: Arc<Mutex<Vec<Heard>>>, fails: bool) -> Option<()> {
    let mut text = Vec::new();
    loop {
        while let Some((one, length)) = whole(&text) {
            text.drain(..length);
            let status = if fails {
                "503 Service Unavailable"
            } else {
                "202 Accepted"
            };
            if !fails {
                heard.lock().push(one);
            }
            let close = if fails { "connection: close\r\n" } else { "" };
            let answer = format!("HTTP/1.1 {status}\r\n{close}content-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.ok()?;
            if fails {
                return None;
            }
        }
        if stream.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    }
}

/// The first request, once it is there in whole, and its length.
fn whole(text: &[u8]) -> Option<(Heard, usize)> {
    let end = text.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&text[..end]).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    };
    let length: usize = header("content-length")?.parse().unwrap();
    let body = text.get(end..end + length)?;
    let one = Heard {
        path: head.split(' ').nth(1).unwrap().to_owned(),
        key: header("idempotency-key").unwrap_or_default(),
        body: serde_json::from_slice(body).unwrap(),
    };
    Some((one, end + length))
}

//! The example estate with its ERPs, served by the real binary, and clients that hold keys: what
//! tests need that come to the gateway as strangers and as partners do.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "several test programs include this file, each uses its part, and a helper fails like the test it serves"
)]

use crate::house::{House, PATIENCE, Server, free_address};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Runtime;
use wardline_sim::{ClientKeys, Hospital, SimConfig};

/// The example's path of suppliers.
pub(crate) const SUPPLIERS: &str = "/supplier-master/v1/suppliers";
/// What the ERPs know of V-100 and only some may see.
pub(crate) const ACCOUNT: &str = "DE00123456784711";

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads one answer; `None` where the connection ends without one.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let rest = &bytes[end + 4..];
        let chunked = head
            .to_ascii_lowercase()
            .contains("transfer-encoding: chunked");
        let body = if chunked {
            unchunked(rest)
        } else {
            rest.to_vec()
        };
        Some(Self { status, head, body })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.head, self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The last part of a problem's type; empty where it is none.
    pub(crate) fn problem(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let kind = body["type"].as_str().unwrap_or_default();
        kind.rsplit(':').next().unwrap_or_default().to_owned()
    }

    /// The body without what is another for every answer.
    pub(crate) fn anonymous(&self) -> Value {
        let mut body = self.json();
        if let Some(fields) = body.as_object_mut() {
            fields.remove("correlation_id");
        }
        body
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.text());
        self
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
        let Ok(size @ 1..) = size else { break };
        whole.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[(end + 4 + size).min(rest.len())..];
    }
    whole
}

/// Sends bytes as they are and reads to the end of the connection.
pub(crate) fn raw(at: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A server that has refused reads no further, and may have closed.
    drop(stream.write_all(bytes));
    let mut all = Vec::new();
    let mut some = [0; 16 * 1024];
    // A reset after the answer takes nothing away from it.
    while let Ok(read @ 1..) = stream.read(&mut some) {
        all.extend_from_slice(&some[..read]);
    }
    all
}

/// One request on a connection of its own.
#[track_caller]
pub(crate) fn ask(
    at: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let length = if body.is_empty() && method == "GET" {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{}{length}Connection: close\r\n\r\n",
        lines.concat()
    );
    let answer = raw(at, &[head.as_bytes(), body].concat());
    Answer::of(&answer).unwrap_or_else(|| {
        panic!(
            "no answer to {method} {path}: {:?}",
            String::from_utf8_lossy(&answer)
        )
    })
}

/// The example, its ERPs and its clients.
pub(crate) struct Town {
    pub(crate) house: House,
    pub(crate) hospital: Hospital,
    pub(crate) internal: String,
    pub(crate) partner: String,
    keys: BTreeMap<String, ClientKeys>,
    runtime: Runtime,
}

impl Town {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let hospital = runtime
            .block_on(Hospital::start(SimConfig::for_tests()))
            .unwrap();
        let (internal, partner) = (free_address(), free_address());
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let house = House::example(&[
            pair("127.0.0.1:8420", "127.0.0.1:0"),
            pair("127.0.0.1:8421", &internal),
            pair("127.0.0.1:8422", &partner),
            pair(
                "127.0.0.1:18091",
                &hospital.erp_legacy().address().to_string(),
            ),
            pair(
                "127.0.0.1:18092",
                &hospital.erp_cloud().address().to_string(),
            ),
            pair("127.0.0.1:2575", "127.0.0.1:0"),
        ]);
        let mut town = Self {
            house,
            hospital,
            internal,
            partner,
            keys: BTreeMap::new(),
            runtime,
        };
        for known in ["ghx", "purchasing"] {
            town.give_key(known);
        }
        town
    }

    fn give_key(&mut self, client: &str) {
        let keys = ClientKeys::generate().unwrap();
        let file = format!("clients/{client}.jwks.json");
        self.house.write(&file, keys.jwks().as_bytes());
        self.keys.insert(client.to_owned(), keys);
    }

    /// Another client, known by a key that this town holds.
    pub(crate) fn client(&mut self, name: &str, rest: &str) {
        self.give_key(name);
        let text = format!(
            "client: {name}\nowner: tests\nauth: {{ oauth2: {{ method: private_key_jwt, jwks: clients/{name}.jwks.json }} }}\n{rest}\n"
        );
        self.house
            .write(&format!("clients/{name}.yaml"), text.as_bytes());
    }

    /// What a file of the estate holds now, with one part of it replaced.
    #[track_caller]
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.house.estate().join(file)).unwrap();
        assert!(text.contains(from), "`{from}` is not in {file}:\n{text}");
        self.house.write(file, text.replace(from, to).as_bytes());
    }

    pub(crate) fn serve(&self) -> Server {
        self.house.serve()
    }

    /// The form that asks for a token; `more` is added to it.
    pub(crate) fn form(&self, at: &str, client: &str, more: &str) -> String {
        let url = format!("http://{at}/oauth/token");
        let form = self.keys[client].token_request(client, &url).unwrap();
        format!("{form}{more}")
    }

    /// The form that asks for a token in the name of one, proven by the key of another.
    pub(crate) fn form_as(&self, at: &str, key_of: &str, claimed: &str) -> String {
        let url = format!("http://{at}/oauth/token");
        self.keys[key_of].token_request(claimed, &url).unwrap()
    }

    pub(crate) fn assertion(&self, client: &str, audience: &str) -> String {
        self.keys[client].assertion(client, audience).unwrap()
    }

    /// `Bearer …` for a client of this listener.
    #[track_caller]
    pub(crate) fn token(&self, at: &str, client: &str) -> String {
        self.token_for(at, client, "")
    }

    #[track_caller]
    pub(crate) fn token_for(&self, at: &str, client: &str, more: &str) -> String {
        let form = self.form(at, client, more);
        let answer = token_request(at, &form);
        assert_eq!(
            answer.status,
            200,
            "{}\n{}",
            answer.text(),
            self.house.log()
        );
        format!("Bearer {}", answer.json()["access_token"].as_str().unwrap())
    }

    /// How often the ERPs were asked.
    pub(crate) fn asked(&self) -> [u64; 2] {
        self.hospital.erps().map(|erp| erp.report().requests)
    }
}

/// Posts a form to the token endpoint.
#[track_caller]
pub(crate) fn token_request(at: &str, form: &str) -> Answer {
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    ask(at, "POST", "/oauth/token", &[kind], form.as_bytes())
}

/// A system that answers with the bytes that a function makes of a request's line.
pub(crate) struct Stub {
    pub(crate) address: String,
    asked: Arc<AtomicUsize>,
}

impl Stub {
    pub(crate) fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(answer));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (count, answer) = (Arc::clone(&count), Arc::clone(&answer));
                std::thread::spawn(move || serve_stub(stream, &count, &*answer));
            }
        });
        Self { address, asked }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn serve_stub(mut stream: TcpStream, count: &AtomicUsize, answer: &dyn Fn(&str) -> Vec<u8>) {
    let mut bytes = Vec::new();
    let mut some = [0; 16 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut some) {
        bytes.extend_from_slice(&some[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.parse().unwrap());
        if bytes.len() < end + 4 + length {
            continue;
        }
        bytes.drain(..end + 4 + length);
        let line = head.lines().next().unwrap_or_default();
        if !line.contains("/health") {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if stream.write_all(&answer(line)).is_err() {
            return;
        }
    }
}

/// An answer of a system.
pub(crate) fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

//! A stand-in for HashiCorp Vault and OpenBao: the parts of their HTTP API that Wardline uses,
//! as documented (AppRole, tokens, key-value version 2, Transit), each request checked as they
//! check it. That it speaks the protocol is proved by `hvac`, Python's client of theirs.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "several test programs include this file, and a helper fails like the test it serves"
)]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) const ROLE: &str = "0b1c2d3e-role";
pub(crate) const SECRET_ID: &str = "secret-id-ZQXCANARY";
pub(crate) const ROOT: &str = "hvs.root-ZQXCANARY";

/// A running server. Its state survives being away.
pub(crate) struct Vault {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
    away: Arc<AtomicBool>,
}

struct State {
    namespace: Option<String>,
    /// How long tokens of AppRole are good.
    life: Duration,
    tokens: BTreeMap<String, Instant>,
    /// Versions of each secret; `None` for a deleted one.
    secrets: BTreeMap<String, Vec<Option<Value>>>,
    /// Versions of each key of Transit.
    keys: BTreeMap<String, Vec<[u8; 32]>>,
    logins: usize,
    renewals: usize,
    asked: BTreeSet<String>,
}

struct Asked {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Value,
}

impl Vault {
    pub(crate) fn start(namespace: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State {
            namespace: namespace.map(str::to_owned),
            life: Duration::from_secs(3_600),
            tokens: BTreeMap::new(),
            secrets: BTreeMap::new(),
            keys: BTreeMap::new(),
            logins: 0,
            renewals: 0,
            asked: BTreeSet::new(),
        }));
        let away = Arc::new(AtomicBool::new(false));
        let (shared, gone) = (Arc::clone(&state), Arc::clone(&away));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if gone.load(Ordering::SeqCst) {
                    continue;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || connection(stream, &shared));
            }
        });
        Self {
            address,
            state,
            away,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes the next version of a secret.
    pub(crate) fn put(&self, path: &str, fields: Value) {
        let mut state = self.state.lock().unwrap();
        let versions = state.secrets.entry(path.to_owned()).or_default();
        versions.push(Some(fields));
    }

    pub(crate) fn life(&self, life: Duration) {
        self.state.lock().unwrap().life = life;
    }

    /// Forgets every token, as a restart without storage would.
    pub(crate) fn forget_tokens(&self) {
        self.state.lock().unwrap().tokens.clear();
    }

    /// Closes every connection at once, or serves again.
    pub(crate) fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    pub(crate) fn logins(&self) -> usize {
        self.state.lock().unwrap().logins
    }

    pub(crate) fn renewals(&self) -> usize {
        self.state.lock().unwrap().renewals
    }

    /// Method and path of everything that was asked.
    pub(crate) fn asked(&self) -> BTreeSet<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

/// Serves requests of one connection until it closes.
fn connection(mut stream: TcpStream, state: &Mutex<State>) {
    let mut bytes = Vec::new();
    let mut some = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut some) {
        bytes.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let headers: BTreeMap<String, String> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers
            .get("content-length")
            .map_or(0, |text| text.parse().unwrap());
        if body.len() < length {
            continue;
        }
        let mut line = head.lines().next().unwrap().split(' ');
        let asked = Asked {
            method: line.next().unwrap().to_owned(),
            path: line.next().unwrap().to_owned(),
            headers,
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        };
        let (status, answer) = state.lock().unwrap().answer(&asked);
        let answer = if status == 204 {
            String::new()
        } else {
            answer.to_string()
        };
        let written = write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        );
        let close = asked
            .headers
            .get("connection")
            .is_some_and(|word| word == "close");
        if written.is_err() || close {
            return;
        }
        bytes.clear();
    }
}

fn refuse(status: u16, why: &str) -> (u16, Value) {
    (status, json!({ "errors": [why] }))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).unwrap();
    bytes
}

impl State {
    fn answer(&mut self, asked: &Asked) -> (u16, Value) {
        self.asked
            .insert(format!("{} {}", asked.method, asked.path));
        let path = asked.path.split('?').next().unwrap();
        let Some(path) = path.strip_prefix("/v1/") else {
            return refuse(404, "no handler");
        };
        if path == "sys/health" {
            return (
                200,
                json!({ "initialized": true, "sealed": false, "standby": false }),
            );
        }
        if asked.headers.get("x-vault-request").map(String::as_str) != Some("true") {
            return refuse(400, "missing X-Vault-Request");
        }
        let namespace = asked.headers.get("x-vault-namespace");
        if namespace.map(|text| text.trim_matches('/')) != self.namespace.as_deref() {
            return refuse(403, "permission denied");
        }
        if path == "auth/approle/login" {
            return self.log_in(&asked.body);
        }
        let token = asked
            .headers
            .get("x-vault-token")
            .cloned()
            .unwrap_or_default();
        let good = token == ROOT
            || self
                .tokens
                .get(&token)
                .is_some_and(|until| *until > Instant::now());
        if !good {
            return refuse(403, "permission denied");
        }
        let parts: Vec<&str> = path.split('/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["auth", "token", "lookup-self"]) => {
                let ttl = self.tokens.get(&token).map_or(0, |until| {
                    until.saturating_duration_since(Instant::now()).as_secs()
                });
                (
                    200,
                    json!({ "data": { "id": token, "ttl": ttl, "renewable": token != ROOT } }),
                )
            }
            ("POST" | "PUT", ["auth", "token", "renew-self"]) => {
                self.renewals += 1;
                self.tokens
                    .insert(token.clone(), Instant::now() + self.life);
                (200, self.auth(&token))
            }
            (_, ["secret", "data", name @ ..]) => self.secret(asked, &name.join("/")),
            (_, ["transit", rest @ ..]) => self.transit(asked, rest),
            _ => refuse(404, "no handler for route"),
        }
    }

    fn log_in(&mut self, body: &Value) -> (u16, Value) {
        if body["role_id"] != ROLE || body["secret_id"] != SECRET_ID {
            return refuse(400, "invalid role or secret ID");
        }
        self.logins += 1;
        let token = format!("hvs.ZQXCANARY{}", STANDARD.encode(random::<12>()));
        self.tokens
            .insert(token.clone(), Instant::now() + self.life);
        (200, self.auth(&token))
    }

    fn auth(&self, token: &str) -> Value {
        json!({ "auth": {
            "client_token": token, "lease_duration": self.life.as_secs(), "renewable": true,
            "policies": ["wardline"], "token_policies": ["wardline"], "metadata": {},
        } })
    }

    fn secret(&mut self, asked: &Asked, name: &str) -> (u16, Value) {
        let versions = self.secrets.entry(name.to_owned()).or_default();
        match asked.method.as_str() {
            "POST" | "PUT" => {
                let Some(fields) = asked.body.get("data") else {
                    return refuse(400, "no data provided");
                };
                versions.push(Some(fields.clone()));
                (
                    200,
                    json!({ "data": { "version": versions.len(), "created_time": "2026-11-24T10:42:00.123456789Z", "destroyed": false, "deletion_time": "" } }),
                )
            }
            "DELETE" => {
                if let Some(last) = versions.last_mut() {
                    *last = None;
                }
                (204, Value::Null)
            }
            _ => {
                let metadata = json!({ "version": versions.len(), "created_time": "2026-11-24T10:42:00.123456789Z", "destroyed": false, "deletion_time": "" });
                match versions.last() {
                    None => (404, json!({ "errors": [] })),
                    Some(None) => (
                        404,
                        json!({ "data": { "data": null, "metadata": metadata } }),
                    ),
                    Some(Some(fields)) => (
                        200,
                        json!({ "request_id": "r", "lease_id": "", "renewable": false, "lease_duration": 0,
                            "data": { "data": fields, "metadata": metadata } }),
                    ),
                }
            }
        }
    }

    fn transit(&mut self, asked: &Asked, rest: &[&str]) -> (u16, Value) {
        let text = |name: &str| asked.body[name].as_str().map(str::to_owned);
        match (asked.method.as_str(), rest) {
            ("POST" | "PUT", ["keys", name]) => {
                self.keys
                    .entry((*name).to_owned())
                    .or_insert_with(|| vec![random()]);
                (204, Value::Null)
            }
            ("GET", ["keys", name]) => match self.keys.get(*name) {
                None => (404, json!({ "errors": [] })),
                Some(versions) => {
                    let keys: Map<String, Value> = (1..=versions.len())
                        .map(|version| (version.to_string(), json!(1_700_000_000)))
                        .collect();
                    (
                        200,
                        json!({ "data": { "name": name, "type": "aes256-gcm96", "latest_version": versions.len(), "keys": keys } }),
                    )
                }
            },
            ("POST" | "PUT", ["keys", name, "rotate"]) => match self.keys.get_mut(*name) {
                None => refuse(404, "key not found"),
                Some(versions) => {
                    versions.push(random());
                    (204, Value::Null)
                }
            },
            ("POST" | "PUT", ["encrypt", name]) => {
                // Whoever may create keys gets one by using it; Wardline's policy may not.
                let Some(versions) = self.keys.get(*name) else {
                    return refuse(403, "permission denied");
                };
                let Some(plain) = text("plaintext").and_then(|text| STANDARD.decode(text).ok())
                else {
                    return refuse(400, "failed to base64-decode plaintext");
                };
                let nonce: [u8; 12] = random();
                let mut sealed = plain;
                cipher(versions.last().unwrap())
                    .seal_in_place_append_tag(
                        Nonce::assume_unique_for_key(nonce),
                        Aad::empty(),
                        &mut sealed,
                    )
                    .unwrap();
                let whole = STANDARD.encode([nonce.to_vec(), sealed].concat());
                (
                    200,
                    json!({ "data": { "ciphertext": format!("vault:v{}:{whole}", versions.len()), "key_version": versions.len() } }),
                )
            }
            ("POST" | "PUT", ["decrypt", name]) => {
                let Some(versions) = self.keys.get(*name) else {
                    return refuse(400, "encryption key not found");
                };
                let plain = text("ciphertext").and_then(|text| {
                    let (version, sealed) = text.strip_prefix("vault:v")?.split_once(':')?;
                    let key = versions.get(version.parse::<usize>().ok()?.checked_sub(1)?)?;
                    let bytes = STANDARD.decode(sealed).ok()?;
                    let (nonce, sealed) = bytes.split_first_chunk::<12>()?;
                    let mut sealed = sealed.to_vec();
                    let nonce = Nonce::assume_unique_for_key(*nonce);
                    let opened = cipher(key)
                        .open_in_place(nonce, Aad::empty(), &mut sealed)
                        .ok()?;
                    Some(STANDARD.encode(opened))
                });
                match plain {
                    None => refuse(
                        400,
                        "invalid ciphertext: cipher: message authentication failed",
                    ),
                    Some(plain) => (200, json!({ "data": { "plaintext": plain } })),
                }
            }
            _ => refuse(404, "unsupported path"),
        }
    }
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap())
}

//! `Idempotency-Key`: the same write is carried out once, however often it is sent.
//!
//! A key belongs to one client and one operation. A write whose outcome is unknown (the system
//! did not answer in time) keeps that answer: who repeats it with the same key hears the same,
//! and nothing is written twice behind their back. Where the process ended before there was an
//! answer, who repeats it is told that nobody knows.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_lc_rs::digest;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use parking_lot::Mutex;
use std::sync::Arc;

use crate::problem::{Kind, Problem};

/// The request's header.
pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Set on an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST: usize = 255;

/// What a key belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The client; empty for public operations.
    pub client: Arc<str>,
    /// `api/version/operation`.
    pub operation: Arc<str>,
    /// The header's value.
    pub key: Box<str>,
}

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those of one connection.
    pub headers: HeaderMap,
    /// Its body, masked for the client that got it.
    pub body: Bytes,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: it is in flight from now on, for whoever asked.
    First,
    /// It was answered.
    Again(Answer),
    /// It is in flight.
    InFlight,
    /// It came with another request.
    Different,
    /// It was in flight when its process ended: whether it arrived is not known.
    Unknown,
}

/// Keeps answers. The journal is one such store; [`Memory`] another, which forgets on a restart.
#[async_trait]
pub trait Answers: Send + Sync {
    /// Looks a key up and, where it is new, marks it in flight, in one step.
    async fn begin(&self, key: &Key, digest: [u8; 32], keep: Duration) -> Result<Begun, Problem>;
    /// Keeps the answer; `None` forgets the key, since the request certainly did not arrive.
    async fn complete(&self, key: &Key, answer: Option<Answer>) -> Result<(), Problem>;
}

/// The key of a request: `Ok(None)` where there is none.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<Box<str>>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|text| {
        (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    });
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.into())),
        _ => Err(Kind::BadKey.into()),
    }
}

/// What makes two requests the same: method, path, query, content type and body.
pub(crate) fn digest(
    method: &str,
    path: &str,
    query: Option<&str>,
    content_type: Option<&HeaderValue>,
    body: &[u8],
) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    let parts = [
        method.as_bytes(),
        path.as_bytes(),
        query.unwrap_or_default().as_bytes(),
        content_type.map_or(&b""[..], HeaderValue::as_bytes),
        body,
    ];
    for part in parts {
        // With its length, so that no two different lists of parts are the same bytes.
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    bytes
}

/// The key as a system sees it. Callers choose theirs without knowing of each other, and a system
/// that hears the same from two of them would give one the other's answer.
pub(crate) fn outward(client: &str, operation: &str, key: &HeaderValue) -> Option<HeaderValue> {
    let of_client = HeaderValue::from_str(client).ok();
    let hash = digest("", operation, None, of_client.as_ref(), key.as_bytes());
    let mut text = String::with_capacity(32);
    for byte in &hash[..16] {
        use std::fmt::Write as _;
        write!(text, "{byte:02x}").ok()?;
    }
    HeaderValue::from_str(&text).ok()
}

struct Entry {
    digest: [u8; 32],
    until: Instant,
    answer: Option<Answer>,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    order: VecDeque<(Instant, Key)>,
    bytes: usize,
}

impl Kept {
    fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.answer.map_or(0, |answer| answer.body.len());
        }
    }

    fn expire(&mut self, now: Instant) {
        // Keys of different lives mix, so an early short one may wait behind a long one; what is
        // asked for is checked by its own time.
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((until, key)) = self.order.pop_front()
                && self
                    .entries
                    .get(&key)
                    .is_some_and(|entry| entry.until == until)
            {
                self.forget(&key);
            }
        }
    }
}

/// Answers in memory, bounded. Where it is full new keys are refused rather than old ones
/// forgotten, since a forgotten key is a write that happens twice.
pub struct Memory {
    kept: Mutex<Kept>,
    most: usize,
    most_bytes: usize,
}

impl Memory {
    /// At most so many keys, and so many bytes of answers.
    pub fn new(keys: usize, bytes: usize) -> Self {
        Self {
            kept: Mutex::default(),
            most: keys,
            most_bytes: bytes,
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(100_000, 64 << 20)
    }
}

#[async_trait]
impl Answers for Memory {
    async fn begin(&self, key: &Key, digest: [u8; 32], keep: Duration) -> Result<Begun, Problem> {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        kept.expire(now);
        if let Some(entry) = kept.entries.get(key).filter(|entry| entry.until > now) {
            return Ok(match &entry.answer {
                _ if entry.digest != digest => Begun::Different,
                Some(answer) => Begun::Again(answer.clone()),
                None => Begun::InFlight,
            });
        }
        kept.forget(key);
        if kept.entries.len() >= self.most || kept.bytes >= self.most_bytes {
            return Err(Problem::new(Kind::Busy).retry_after(Duration::from_secs(30)));
        }
        let until = now + keep;
        kept.entries.insert(
            key.clone(),
            Entry {
                digest,
                until,
                answer: None,
            },
        );
        kept.order.push_back((until, key.clone()));
        Ok(Begun::First)
    }

    async fn complete(&self, key: &Key, answer: Option<Answer>) -> Result<(), Problem> {
        let mut kept = self.kept.lock();
        let Some(answer) = answer else {
            kept.forget(key);
            return Ok(());
        };
        let bytes = answer.body.len();
        let new = match kept.entries.get_mut(key) {
            Some(entry) if entry.answer.is_none() => {
                entry.answer = Some(answer);
                bytes
            }
            _ => 0,
        };
        kept.bytes += new;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(key: &str) -> Key {
        Key {
            client: "ghx".into(),
            operation: "orders/1/place".into(),
            key: key.into(),
        }
    }

    fn answer(body: &'static str) -> Answer {
        Answer {
            status: StatusCode::CREATED,
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[tokio::test]
    async fn a_key_is_carried_out_once() {
        let (store, hour) = (Memory::default(), Duration::from_secs(3_600));
        let begin =
            async |key: &str, body: u8| store.begin(&name(key), [body; 32], hour).await.unwrap();
        assert_eq!(begin("a", 1).await, Begun::First);
        assert_eq!(begin("a", 1).await, Begun::InFlight);
        assert_eq!(begin("a", 2).await, Begun::Different);
        store
            .complete(&name("a"), Some(answer("first")))
            .await
            .unwrap();
        store
            .complete(&name("a"), Some(answer("late")))
            .await
            .unwrap();
        assert_eq!(begin("a", 1).await, Begun::Again(answer("first")));
        assert_eq!(begin("a", 2).await, Begun::Different);
        assert_eq!(begin("b", 1).await, Begun::First);
        store.complete(&name("b"), None).await.unwrap();
        assert_eq!(begin("b", 2).await, Begun::First);
    }

    #[tokio::test]
    async fn keys_expire_and_a_full_store_forgets_nothing() {
        let store = Memory::new(2, 1_000);
        let begin = async |key: &str, keep: u64| {
            store
                .begin(&name(key), [0; 32], Duration::from_secs(keep))
                .await
        };
        assert_eq!(begin("a", 0).await.unwrap(), Begun::First);
        assert_eq!(begin("a", 9_000).await.unwrap(), Begun::First);
        assert_eq!(begin("b", 9_000).await.unwrap(), Begun::First);
        assert_eq!(begin("c", 9_000).await.unwrap_err().kind(), Kind::Busy);
        assert_eq!(begin("a", 9_000).await.unwrap(), Begun::InFlight);
    }

    #[test]
    fn parts_cannot_be_shifted() {
        assert_ne!(
            digest("POST", "/ab", None, None, b"c"),
            digest("POST", "/a", None, None, b"bc")
        );
        assert_ne!(
            digest("POST", "/a", Some("b"), None, b""),
            digest("POST", "/a", None, None, b"b")
        );
    }
}

//! Answers of systems that may be given again (RFC 9111), where their operation declares it.
//!
//! Kept is what a system said in canonical words, before anything was masked for a caller: so one
//! answer serves all callers, and each sees of it what it may. The estate says for how long at
//! most; the system's own `Cache-Control` can only make that shorter, and its `Vary` says which
//! headers of the request belong to the question. Bounded in bytes; the oldest go first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_LENGTH, DATE, ETAG, HeaderName, SET_COOKIE, TRANSFER_ENCODING, VARY,
};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;

use crate::plan::Keep;

/// Bytes of all answers together.
const MOST: usize = 32 << 20;
/// Headers that one answer may vary by.
const MOST_VARY: usize = 8;
/// What an entry costs beside its texts.
const OVERHEAD: usize = 512;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// The plan that it is asked under: another may mean something else by it.
    pub(crate) plan: u64,
    pub(crate) endpoint: Arc<str>,
    pub(crate) binding: Arc<str>,
    pub(crate) facility: Option<Box<str>>,
    /// Path and query at the system.
    pub(crate) target: Box<str>,
}

impl Question {
    fn bytes(&self) -> usize {
        self.target.len() + self.facility.as_ref().map_or(0, |text| text.len()) + OVERHEAD
    }
}

/// An answer that was kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) headers: HeaderMap,
    /// Canonical, not masked.
    pub(crate) body: Bytes,
    /// How old it is.
    pub(crate) age: Duration,
    /// Whether it may be given without asking the system.
    pub(crate) fresh: bool,
}

struct Entry {
    headers: HeaderMap,
    body: Bytes,
    /// Values of the request's headers that the answer varies by.
    vary: Vec<(HeaderName, Option<Vec<u8>>)>,
    /// When it was as new as the system made it.
    made: Instant,
    fresh: Duration,
    stale: Duration,
    number: u64,
}

impl Entry {
    fn bytes(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 64)
            .sum();
        let vary: usize = self
            .vary
            .iter()
            .map(|(name, value)| name.as_str().len() + value.as_ref().map_or(0, Vec::len) + 64)
            .sum();
        headers + vary + self.body.len()
    }

    fn answers(&self, headers: &HeaderMap) -> bool {
        self.vary
            .iter()
            .all(|(name, value)| joined(headers, name) == *value)
    }
}

#[derive(Default)]
struct All {
    entries: HashMap<Question, Vec<Entry>>,
    order: VecDeque<(u64, Question)>,
    bytes: usize,
    count: u64,
}

/// Everything that is kept.
#[derive(Default)]
pub(crate) struct Answered(Mutex<All>);

impl Answered {
    /// What is kept for a question with these headers, fresh or not.
    pub(crate) fn get(&self, question: &Question, headers: &HeaderMap) -> Option<Kept> {
        let all = self.0.lock();
        let entries = all.entries.get(question)?;
        let entry = entries.iter().find(|entry| entry.answers(headers))?;
        let age = entry.made.elapsed();
        let fresh = age < entry.fresh;
        (fresh || age < entry.fresh + entry.stale).then(|| Kept {
            headers: entry.headers.clone(),
            body: entry.body.clone(),
            age,
            fresh,
        })
    }

    /// Keeps an answer, where both sides allow it.
    pub(crate) fn put(
        &self,
        question: Question,
        asked: &HeaderMap,
        keep: Keep,
        status: StatusCode,
        headers: &HeaderMap,
        body: Bytes,
    ) {
        let Some((fresh, already)) = allowed(keep, status, headers) else {
            return;
        };
        let Some(vary) = varying(asked, headers) else {
            return;
        };
        let mut headers = headers.clone();
        for name in [AGE, CONTENT_LENGTH, DATE, ETAG, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let mut entry = Entry {
            headers,
            body,
            vary,
            made: Instant::now()
                .checked_sub(already)
                .unwrap_or_else(Instant::now),
            fresh,
            stale: keep.stale_if_error,
            number: 0,
        };
        let size = entry.bytes() + question.bytes();
        if size > MOST / 8 {
            return;
        }
        let mut all = self.0.lock();
        all.count += 1;
        entry.number = all.count;
        let number = entry.number;
        let entries = all.entries.entry(question.clone()).or_default();
        let same = entries.iter().position(|kept| kept.vary == entry.vary);
        let replaced = same.map(|at| entries.swap_remove(at).bytes() + question.bytes());
        entries.push(entry);
        all.bytes = (all.bytes + size).saturating_sub(replaced.unwrap_or(0));
        all.order.push_back((number, question));
        while all.bytes > MOST {
            let Some((number, question)) = all.order.pop_front() else {
                break;
            };
            all.drop_one(number, &question);
        }
        // What was replaced leaves its place in the order behind; seldom, they are cleared.
        if all.order.len() > 1_024 + 4 * all.entries.len() {
            all.tidy();
        }
    }

    /// What was kept under a plan that is gone may be wrong.
    pub(crate) fn clear(&self) {
        *self.0.lock() = All::default();
    }
}

impl All {
    fn drop_one(&mut self, number: u64, question: &Question) {
        let Some(entries) = self.entries.get_mut(question) else {
            return;
        };
        if let Some(at) = entries.iter().position(|entry| entry.number == number) {
            let gone = entries.swap_remove(at).bytes() + question.bytes();
            self.bytes = self.bytes.saturating_sub(gone);
        }
        if entries.is_empty() {
            self.entries.remove(question);
        }
    }

    fn tidy(&mut self) {
        let entries = &self.entries;
        self.order.retain(|(number, question)| {
            entries
                .get(question)
                .is_some_and(|entries| entries.iter().any(|entry| entry.number == *number))
        });
    }
}

/// For how long an answer may be given again, and how old it is already; `None` where it may not.
fn allowed(keep: Keep, status: StatusCode, headers: &HeaderMap) -> Option<(Duration, Duration)> {
    if status != StatusCode::OK || headers.contains_key(SET_COOKIE) {
        return None;
    }
    let mut fresh = keep.fresh;
    let (mut age, mut shared_age) = (None, None);
    for value in headers.get_all(CACHE_CONTROL) {
        for part in value.to_str().ok()?.split(',') {
            let part = part.trim().to_ascii_lowercase();
            let (name, value) = part.split_once('=').unwrap_or((&part, ""));
            let seconds = || value.trim_matches('"').parse::<u64>().ok();
            match name {
                "no-store" | "private" | "no-cache" => return None,
                "max-age" => age = Some(seconds()?),
                "s-maxage" => shared_age = Some(seconds()?),
                _ => {}
            }
        }
    }
    if let Some(seconds) = shared_age.or(age) {
        fresh = fresh.min(Duration::from_secs(seconds));
    }
    let already = headers
        .get(AGE)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let already = Duration::from_secs(already.unwrap_or(0));
    (already < fresh).then_some((fresh, already))
}

/// The headers of the request that an answer varies by; `None` where it varies by anything.
fn varying(asked: &HeaderMap, headers: &HeaderMap) -> Option<Vec<(HeaderName, Option<Vec<u8>>)>> {
    let mut vary: Vec<(HeaderName, Option<Vec<u8>>)> = Vec::new();
    for value in headers.get_all(VARY) {
        for name in value.to_str().ok()?.split(',').map(str::trim) {
            if name.is_empty() {
                continue;
            }
            // `*` is no name.
            let name: HeaderName = name.parse().ok().filter(|_| name != "*")?;
            if vary.iter().all(|(known, _)| *known != name) {
                let value = joined(asked, &name);
                vary.push((name, value));
            }
        }
    }
    vary.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    (vary.len() <= MOST_VARY).then_some(vary)
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let values: Vec<&[u8]> = headers
        .get_all(name)
        .iter()
        .map(http::HeaderValue::as_bytes)
        .collect();
    (!values.is_empty()).then(|| values.join(&b','))
}

/// Whether a caller asks for what is new: `Cache-Control: no-cache` or `no-store`.
pub(crate) fn wants_new(headers: &HeaderMap) -> bool {
    headers.get_all(CACHE_CONTROL).iter().any(|value| {
        value.to_str().is_ok_and(|text| {
            text.split(',')
                .map(str::trim)
                .any(|part| matches!(part, "no-cache" | "no-store"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn question(target: &str) -> Question {
        Question {
            plan: 0,
            endpoint: "e".into(),
            binding: "b".into(),
            facility: None,
            target: target.into(),
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        });
        pairs.collect()
    }

    const KEEP: Keep = Keep {
        fresh: Duration::from_secs(300),
        stale_if_error: Duration::ZERO,
    };

    #[test]
    fn a_system_can_only_shorten_what_the_estate_allows() {
        let seconds = |pairs: &[(&'static str, &str)]| {
            allowed(KEEP, StatusCode::OK, &headers(pairs)).map(|(fresh, _)| fresh.as_secs())
        };
        for (pairs, expected) in [
            (&[][..], Some(300)),
            (&[("cache-control", "public, max-age=60")], Some(60)),
            (&[("cache-control", "max-age=9000")], Some(300)),
            (&[("cache-control", "max-age=9, s-maxage=20")], Some(20)),
            (&[("cache-control", "max-age=60"), ("age", "70")], None),
            (&[("cache-control", "no-store")], None),
            (&[("cache-control", "Private")], None),
            (&[("cache-control", "no-cache=\"x\"")], None),
            (&[("cache-control", "max-age=much")], None),
            (&[("set-cookie", "a=b")], None),
        ] {
            assert_eq!(seconds(pairs), expected, "{pairs:?}");
        }
        assert_eq!(allowed(KEEP, StatusCode::CREATED, &headers(&[])), None);
    }

    #[test]
    fn what_varies_is_another_question() {
        let kept = Answered::default();
        let (german, french) = (
            headers(&[("accept-language", "de")]),
            headers(&[("accept-language", "fr")]),
        );
        let varies = headers(&[("vary", "Accept-Language"), ("content-language", "de")]);
        let put = |asked: &HeaderMap, answer: &HeaderMap, body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            kept.put(question("/x"), asked, KEEP, StatusCode::OK, answer, body);
        };
        put(&german, &varies, "Hallo");
        assert!(kept.get(&question("/x"), &french).is_none());
        put(&french, &varies, "Salut");
        let get = |asked: &HeaderMap| kept.get(&question("/x"), asked).unwrap().body;
        assert_eq!(
            (get(&german), get(&french)),
            ("Hallo".into(), "Salut".into())
        );
        assert!(kept.get(&question("/x"), &HeaderMap::new()).is_none());
        kept.clear();
        put(&german, &headers(&[("vary", "*")]), "never");
        assert!(kept.get(&question("/x"), &german).is_none());
    }

    #[test]
    fn bytes_are_bounded_and_the_oldest_go() {
        let kept = Answered::default();
        let mib = Bytes::from(vec![0; 1 << 20]);
        for round in 0..3 {
            for at in 0..40 {
                let question = question(&format!("/{at}"));
                let none = HeaderMap::new();
                kept.put(question, &none, KEEP, StatusCode::OK, &none, mib.clone());
            }
            let all = kept.0.lock();
            assert!(all.bytes <= MOST, "round {round}: {}", all.bytes);
        }
        let get = |at: u32| kept.get(&question(&format!("/{at}")), &HeaderMap::new());
        assert!(get(0).is_none() && get(39).is_some());
        let huge = Bytes::from(vec![0; MOST / 4]);
        let none = HeaderMap::new();
        kept.put(question("/h"), &none, KEEP, StatusCode::OK, &none, huge);
        assert!(kept.get(&question("/h"), &none).is_none());
        let sum: usize = {
            let all = kept.0.lock();
            let entries = all.entries.iter();
            entries
                .flat_map(|(question, entries)| {
                    entries.iter().map(|entry| entry.bytes() + question.bytes())
                })
                .sum()
        };
        assert_eq!(kept.0.lock().bytes, sum, "the sum is that of what is there");
    }
}

//! Keys that are published somewhere else: an issuer's, or those of a client that names a URL.
//!
//! They are fetched in the background and served stale, so that a place that is down refuses
//! nobody. Each is fetched by one flight at a time, in a task of its own: whoever waits for it may
//! go away without ending it.

use super::external::{Fetch, MAX_KEY_SET};
use super::shelf::Shelf;
use super::{AccessEvent, AccessSink};
use crate::token::{KeySet, strict_object};
use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::{Host, Url};
use wardline_core::Clock;

/// How often keys are fetched again, in seconds.
const REFRESH_EVERY: i64 = 300;
/// How often while there are none, in seconds.
const FIRST_EVERY: i64 = 10;
/// How old keys may be, in seconds.
const MAX_AGE: i64 = 24 * 3600;
/// How often a key that is not known makes us ask, in seconds.
const ASK_EVERY: i64 = 60;
/// How long a call waits for keys.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a flight may take: a place that is slow is still one that answers.
const FLIGHT: Duration = Duration::from_secs(60);

/// Where keys are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// `jwks_uri` of this issuer's metadata.
    Issuer(String),
    /// At this URL.
    Url(String),
}

impl Place {
    /// What the shelf files them under.
    fn name(&self) -> String {
        match self {
            Self::Issuer(url) => format!("issuer {url}"),
            Self::Url(url) => format!("keys {url}"),
        }
    }
}

/// Keys of one place.
#[derive(Debug)]
pub(crate) struct Remote {
    /// Whose they are, for logs.
    label: Arc<str>,
    place: Place,
    fetch: ArcSwap<Fetch>,
    shelf: Option<Arc<Shelf>>,
    keys: ArcSwapOption<Keys>,
    flight: Mutex<Flight>,
    landed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Keys {
    set: KeySet,
    fetched: i64,
}

#[derive(Debug)]
struct Flight {
    begun: i64,
    /// When one began last because a key was not known.
    asked: i64,
    airborne: bool,
    /// Ended with the keys that it is for.
    tasks: JoinSet<()>,
}

impl Remote {
    /// Keys that are on the shelf; none otherwise, until they are fetched.
    pub(crate) fn new(
        label: Arc<str>,
        place: Place,
        fetch: Fetch,
        shelf: Option<Arc<Shelf>>,
    ) -> Self {
        let kept = shelf.as_ref().and_then(|shelf| {
            let (set, fetched) = shelf.read(&place.name())?;
            Some(Arc::new(Keys { set, fetched }))
        });
        Self {
            label,
            place,
            fetch: ArcSwap::from_pointee(fetch),
            shelf,
            keys: ArcSwapOption::new(kept),
            flight: Mutex::new(Flight {
                begun: i64::MIN / 2,
                asked: i64::MIN / 2,
                airborne: false,
                tasks: JoinSet::new(),
            }),
            landed: watch::Sender::new(0),
        }
    }

    /// Whether these are the keys of that place, under that name.
    pub(crate) fn is_of(&self, label: &str, place: &Place) -> bool {
        *self.label == *label && self.place == *place
    }

    /// Fetches otherwise from the next flight on.
    pub(crate) fn fetch_by(&self, fetch: Fetch) {
        self.fetch.store(Arc::new(fetch));
    }

    /// Gives the keys to `verify`; `None` where there are none that are young enough.
    pub(crate) fn with_keys<T>(&self, now: i64, verify: impl FnOnce(&KeySet) -> T) -> Option<T> {
        let keys = self.keys.load();
        let keys = keys.as_ref()?;
        (now - keys.fetched <= MAX_AGE).then(|| verify(&keys.set))
    }

    /// Fetches the keys because one is not known, unless that made us ask within a minute; waits
    /// for what that brings.
    pub(crate) async fn ask(self: &Arc<Self>, clock: &Arc<dyn Clock>, sink: &AccessSink) {
        let why = if self.keys.load().is_some() {
            Why::Unknown
        } else {
            Why::Time(FIRST_EVERY)
        };
        self.await_flight(why, PATIENCE, clock, sink).await;
    }

    /// Begins to fetch the keys where it is time to.
    pub(crate) fn keep(self: &Arc<Self>, clock: &Arc<dyn Clock>, sink: &AccessSink) {
        let every = if self.keys.load().is_some() {
            REFRESH_EVERY
        } else {
            FIRST_EVERY
        };
        self.is_airborne(Why::Time(every), clock, sink);
    }

    /// Fetches the keys now.
    pub(crate) async fn refresh(self: &Arc<Self>, clock: &Arc<dyn Clock>, sink: &AccessSink) {
        self.await_flight(Why::Time(0), FLIGHT, clock, sink).await;
    }

    async fn await_flight(
        self: &Arc<Self>,
        why: Why,
        patience: Duration,
        clock: &Arc<dyn Clock>,
        sink: &AccessSink,
    ) {
        let mut landed = self.landed.subscribe();
        if self.is_airborne(why, clock, sink) {
            // Whether it landed or not, who waits looks at the keys again.
            drop(timeout(patience, landed.changed()).await);
        }
    }

    /// Whether a flight is under way; begins one where there is a reason to.
    fn is_airborne(self: &Arc<Self>, why: Why, clock: &Arc<dyn Clock>, sink: &AccessSink) -> bool {
        let now = clock.now().0.div_euclid(1_000_000);
        let mut flight = self.flight.lock();
        if flight.airborne {
            return true;
        }
        let begins = match why {
            Why::Time(every) => now.saturating_sub(flight.begun) >= every,
            Why::Unknown => now.saturating_sub(flight.asked) >= ASK_EVERY,
        };
        if !begins {
            return false;
        }
        if matches!(why, Why::Unknown) {
            flight.asked = now;
        }
        flight.begun = now;
        flight.airborne = true;
        while flight.tasks.try_join_next().is_some() {}
        let errand = Errand {
            // Weak: a flight ends with the keys that it is for.
            remote: Arc::downgrade(self),
            label: Arc::clone(&self.label),
            place: self.place.clone(),
            fetch: self.fetch.load_full(),
            shelf: self.shelf.clone(),
            sink: sink.clone(),
        };
        flight.tasks.spawn(errand.fly(now));
        true
    }
}

/// One flight.
struct Errand {
    remote: Weak<Remote>,
    label: Arc<str>,
    place: Place,
    fetch: Arc<Fetch>,
    shelf: Option<Arc<Shelf>>,
    sink: AccessSink,
}

impl Drop for Errand {
    /// Lands, however the flight ended.
    fn drop(&mut self) {
        if let Some(remote) = self.remote.upgrade() {
            remote.flight.lock().airborne = false;
            remote.landed.send_modify(|count| *count += 1);
        }
    }
}

impl Errand {
    async fn fly(self, now: i64) {
        let fetched = timeout(FLIGHT, self.fetch_set()).await;
        let failure = match fetched {
            Ok(Ok((set, body))) => {
                if let Some(remote) = self.remote.upgrade() {
                    let keys = Arc::new(Keys { set, fetched: now });
                    remote.keys.store(Some(keys));
                }
                if let Some(shelf) = &self.shelf {
                    shelf.write(self.place.name(), body, now).await;
                }
                None
            }
            Ok(Err(reason)) => Some(reason),
            Err(_) => Some(format!("no answer within {} seconds", FLIGHT.as_secs())),
        };
        if let Some(reason) = &failure {
            tracing::warn!(keys_of = %self.label, reason, "keys cannot be fetched; those at hand stay in use for a day");
        }
        self.sink.tell(AccessEvent::IssuerKeys {
            issuer: Arc::clone(&self.label),
            failure,
        });
    }

    async fn fetch_set(&self) -> Result<(KeySet, Bytes), String> {
        let url = match &self.place {
            Place::Url(url) => url.clone(),
            Place::Issuer(issuer) => self.discover(issuer).await?,
        };
        let body = self.get(&url).await?;
        match KeySet::parse(&body) {
            Some(set) if !set.is_empty() => Ok((set, body)),
            // An empty set would refuse everybody: more likely a mistake than a wish.
            Some(_) => Err("its key set holds no key that can be used".to_owned()),
            None => Err("its key set is not one".to_owned()),
        }
    }

    /// OpenID Connect Discovery 1.0 §4.
    async fn discover(&self, issuer: &str) -> Result<String, String> {
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let body = self.get(&url).await?;
        let document = strict_object(&body).ok_or("its discovery document is not JSON")?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        if text("issuer") != Some(issuer) {
            return Err("its discovery document is that of another issuer".to_owned());
        }
        let keys = text("jwks_uri")
            .ok_or_else(|| "its discovery document names no jwks_uri".to_owned())?;
        let origin = |url: &str| Url::parse(url).ok().map(|url| url.origin());
        if origin(keys).is_none() || origin(keys) != origin(issuer) {
            // A document must not choose which of our neighbours we call.
            return Err(
                "its keys are at another origin: name that with `jwks` where it is right"
                    .to_owned(),
            );
        }
        Ok(keys.to_owned())
    }

    async fn get(&self, url: &str) -> Result<Bytes, String> {
        // Whom keys come from is all that they are worth.
        if !is_trustworthy(url) {
            return Err("its keys are not behind https".to_owned());
        }
        let answer = self.fetch.get(url).await?;
        if answer.status != 200 {
            return Err(format!("it answered with status {}", answer.status));
        }
        if answer.body.len() > MAX_KEY_SET {
            return Err(format!("its answer is larger than {MAX_KEY_SET} bytes"));
        }
        Ok(answer.body)
    }
}

/// Why keys are fetched.
#[derive(Debug, Clone, Copy)]
enum Why {
    /// The last flight began so many seconds ago.
    Time(i64),
    /// A key is named that is not known.
    Unknown,
}

/// Whether what is fetched from a URL is from whom it says: `https`, or this machine itself.
fn is_trustworthy(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

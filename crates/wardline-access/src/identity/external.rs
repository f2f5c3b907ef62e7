//! Issuers other than ourselves: their keys, fetched in the background and served stale, so
//! that an issuer that is down refuses nobody.

use super::{AccessEvent, AccessSink};
use crate::token::{Algorithm, KeySet, strict_object};
use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use serde_json::Value;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use wardline_core::Clock;

/// The largest answer that is read from an issuer: 256 KiB.
pub const MAX_KEY_SET: usize = 256 << 10;
/// How often keys are fetched in the background.
pub(crate) const REFRESH_EVERY: Duration = Duration::from_secs(300);
/// How old keys may be, in seconds.
const MAX_AGE: i64 = 24 * 3600;
/// How often a key that is not known makes us ask, in seconds.
const ASK_EVERY: i64 = 60;
/// How long one fetch may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub enum IssuerKeys {
    /// `jwks_uri` in `ISSUER/.well-known/openid-configuration`.
    Discovered,
    /// At this URL.
    At(String),
    /// In a file of the estate; nothing is fetched.
    Given(KeySet),
}

/// Which scopes a token of an issuer brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScopeSource {
    /// Those in its `scope` (or `scp`) that the client was granted.
    #[default]
    Token,
    /// All that the client was granted: for issuers that know nothing of our scopes.
    Granted,
}

/// An issuer whose tokens are accepted.
#[derive(Debug, Clone)]
pub struct ExternalIssuer {
    /// Its name in `wardline.yaml`.
    pub name: Arc<str>,
    /// Its `iss`, exactly.
    pub issuer: String,
    /// Where its keys are.
    pub keys: IssuerKeys,
    /// What must stand in `aud`: alone, or as one of several.
    pub audience: String,
    /// What it may sign with.
    pub algorithms: Vec<Algorithm>,
    /// Which scopes its tokens bring.
    pub scopes: ScopeSource,
}

/// An answer of an issuer.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// What a fetch becomes; the error is a short text for the log.
pub type FetchFuture = Pin<Box<dyn Future<Output = Result<Fetched, String>> + Send>>;

/// Fetches a URL by `GET`. Given by whoever may open sockets, which also guards where they
/// lead to, follows no redirect and reads no more than [`MAX_KEY_SET`].
#[derive(Clone)]
pub struct Fetch(Arc<dyn Fn(String) -> FetchFuture + Send + Sync>);

impl Fetch {
    /// Fetches by this function.
    pub fn new(fetch: impl Fn(String) -> FetchFuture + Send + Sync + 'static) -> Self {
        Self(Arc::new(fetch))
    }

    /// Fetches nothing.
    pub fn none() -> Self {
        Self::new(|_| Box::pin(std::future::ready(Err("nothing may be fetched".to_owned()))))
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetch")
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct External(ArcSwap<Vec<Arc<Known>>>);

impl Default for External {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(Vec::new()))
    }
}

/// An issuer and what is known of its keys.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) settings: ExternalIssuer,
    fetch: Fetch,
    keys: ArcSwapOption<Keys>,
    /// One fetch at a time; who waits for it uses what it brought.
    flight: tokio::sync::Mutex<()>,
    asked: AtomicI64,
    flights: AtomicU64,
}

#[derive(Debug)]
struct Keys {
    set: KeySet,
    fetched: i64,
}

impl External {
    pub(crate) fn replace(&self, issuers: Vec<ExternalIssuer>, fetch: Fetch) {
        let before = self.0.load();
        let known = issuers
            .into_iter()
            .map(|settings| {
                let kept = before
                    .iter()
                    .find(|known| known.is_same_source(&settings))
                    .and_then(|known| known.keys.load_full());
                Arc::new(Known {
                    settings,
                    fetch: fetch.clone(),
                    keys: ArcSwapOption::new(kept),
                    flight: tokio::sync::Mutex::new(()),
                    asked: AtomicI64::new(i64::MIN / 2),
                    flights: AtomicU64::new(0),
                })
            })
            .collect();
        self.0.store(Arc::new(known));
    }

    pub(crate) fn find(&self, issuer: &str) -> Option<Arc<Known>> {
        let all = self.0.load();
        all.iter()
            .find(|known| known.settings.issuer == issuer)
            .cloned()
    }

    pub(crate) async fn refresh_all(&self, clock: &dyn Clock, sink: &AccessSink) {
        let all = self.0.load_full();
        let each = all.iter().map(|known| known.refresh(clock, sink));
        futures::future::join_all(each).await;
    }
}

impl Known {
    fn is_same_source(&self, other: &ExternalIssuer) -> bool {
        let same_place = match (&self.settings.keys, &other.keys) {
            (IssuerKeys::Discovered, IssuerKeys::Discovered) => true,
            (IssuerKeys::At(a), IssuerKeys::At(b)) => a == b,
            _ => false,
        };
        same_place && self.settings.issuer == other.issuer
    }

    /// Gives the keys to `verify`; `None` where there are none that are young enough.
    pub(crate) fn with_keys<T>(&self, now: i64, verify: impl FnOnce(&KeySet) -> T) -> Option<T> {
        if let IssuerKeys::Given(set) = &self.settings.keys {
            return Some(verify(set));
        }
        let keys = self.keys.load();
        let keys = keys.as_ref()?;
        (now - keys.fetched <= MAX_AGE).then(|| verify(&keys.set))
    }

    /// Fetches the keys because one is not known, unless somebody asked within a minute.
    pub(crate) async fn ask(&self, clock: &dyn Clock, sink: &AccessSink) {
        let flights = self.flights.load(Ordering::SeqCst);
        let waited = tokio::time::timeout(PATIENCE, self.flight.lock()).await;
        let Ok(_one) = waited else { return };
        let landed = self.flights.load(Ordering::SeqCst) != flights;
        let now = clock.now().0.div_euclid(1_000_000);
        if !landed && now - self.asked.load(Ordering::SeqCst) >= ASK_EVERY {
            self.fetch_now(now, sink).await;
        }
    }

    async fn refresh(&self, clock: &dyn Clock, sink: &AccessSink) {
        let _one = self.flight.lock().await;
        self.fetch_now(clock.now().0.div_euclid(1_000_000), sink)
            .await;
    }

    async fn fetch_now(&self, now: i64, sink: &AccessSink) {
        if matches!(self.settings.keys, IssuerKeys::Given(_)) {
            return;
        }
        self.asked.store(now, Ordering::SeqCst);
        let fetched = tokio::time::timeout(PATIENCE, self.fetch_set()).await;
        let failure = match fetched {
            Ok(Ok(set)) => {
                self.keys.store(Some(Arc::new(Keys { set, fetched: now })));
                None
            }
            Ok(Err(reason)) => Some(reason),
            Err(_) => Some("no answer within ten seconds".to_owned()),
        };
        self.flights.fetch_add(1, Ordering::SeqCst);
        if let Some(reason) = &failure {
            tracing::warn!(issuer = %self.settings.name, reason, "the keys of an issuer cannot be fetched; those at hand stay in use for a day");
        }
        sink.tell(AccessEvent::IssuerKeys {
            issuer: Arc::clone(&self.settings.name),
            failure,
        });
    }

    async fn fetch_set(&self) -> Result<KeySet, String> {
        let url = match &self.settings.keys {
            IssuerKeys::At(url) => url.clone(),
            _ => self.discover().await?,
        };
        let body = self.get(&url).await?;
        match KeySet::parse(&body) {
            Some(set) if !set.is_empty() => Ok(set),
            // An empty set would refuse everybody: more likely a mistake than a wish.
            Some(_) => Err("its key set holds no key that can be used".to_owned()),
            None => Err("its key set is not one".to_owned()),
        }
    }

    /// OpenID Connect Discovery 1.0 §4.
    async fn discover(&self) -> Result<String, String> {
        let issuer = &self.settings.issuer;
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
        text("jwks_uri")
            .map(str::to_owned)
            .ok_or_else(|| "its discovery document names no jwks_uri".to_owned())
    }

    async fn get(&self, url: &str) -> Result<Bytes, String> {
        // Whom keys come from is all that they are worth. An issuer on this machine, for
        // tests, says so in its own name.
        let plain = self.settings.issuer.starts_with("http://");
        if !(url.starts_with("https://") || plain && url.starts_with("http://")) {
            return Err("its keys are not behind https".to_owned());
        }
        let answer = (self.fetch.0)(url.to_owned()).await?;
        if answer.status != 200 {
            return Err(format!("it answered with status {}", answer.status));
        }
        if answer.body.len() > MAX_KEY_SET {
            return Err(format!("its answer is larger than {MAX_KEY_SET} bytes"));
        }
        Ok(answer.body)
    }
}

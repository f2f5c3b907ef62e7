//! Issuers other than ourselves, and clients that publish their own keys.

use super::remote::{Place, Remote};
use super::shelf::Shelf;
use super::{AccessSink, ClientDirectory};
use crate::token::{Algorithm, KeySet};
use ahash::AHashMap;
use arc_swap::ArcSwap;
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use wardline_core::Clock;

/// The largest answer that is read from an issuer: 256 KiB.
pub const MAX_KEY_SET: usize = 256 << 10;

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

impl Fetch {
    pub(crate) async fn get(&self, url: &str) -> Result<Fetched, String> {
        (self.0)(url.to_owned()).await
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetch")
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct External {
    issuers: ArcSwap<Vec<Arc<Known>>>,
    clients: ArcSwap<AHashMap<Arc<str>, Arc<Remote>>>,
    fetch: ArcSwap<Fetch>,
    shelf: Option<Arc<Shelf>>,
}

/// An issuer and what is known of its keys.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) settings: ExternalIssuer,
    /// `None` where its keys are a file of the estate.
    remote: Option<Arc<Remote>>,
}

impl External {
    pub(crate) fn new(shelf: Option<Arc<Shelf>>) -> Self {
        Self {
            issuers: ArcSwap::default(),
            clients: ArcSwap::default(),
            fetch: ArcSwap::from_pointee(Fetch::none()),
            shelf,
        }
    }

    pub(crate) fn replace(&self, issuers: Vec<ExternalIssuer>, fetch: Fetch) {
        let before = self.issuers.load_full();
        let before: Vec<&Arc<Remote>> = before
            .iter()
            .filter_map(|known| known.remote.as_ref())
            .collect();
        let known = issuers
            .into_iter()
            .map(|settings| {
                let place = match &settings.keys {
                    IssuerKeys::Discovered => Some(Place::Issuer(settings.issuer.clone())),
                    IssuerKeys::At(url) => Some(Place::Url(url.clone())),
                    IssuerKeys::Given(_) => None,
                };
                let remote = place.map(|place| self.remote(&settings.name, place, &fetch, &before));
                Arc::new(Known { settings, remote })
            })
            .collect();
        self.issuers.store(Arc::new(known));
        // Clients' keys are fetched in the same way.
        for remote in self.clients.load().values() {
            remote.fetch_by(fetch.clone());
        }
        self.fetch.store(Arc::new(fetch));
    }

    /// Keeps the keys that clients of this directory publish.
    pub(crate) fn replace_clients(&self, directory: &ClientDirectory) {
        let (before, fetch) = (self.clients.load_full(), self.fetch.load_full());
        let before: Vec<&Arc<Remote>> = before.values().collect();
        let clients = directory.publishing().map(|(name, url)| {
            let label: Arc<str> = format!("client {name}").into();
            let place = Place::Url(url.to_owned());
            (
                Arc::clone(name),
                self.remote(&label, place, &fetch, &before),
            )
        });
        self.clients.store(Arc::new(clients.collect()));
    }

    /// The keys of a place: those of `before` where it stays.
    fn remote(
        &self,
        label: &Arc<str>,
        place: Place,
        fetch: &Fetch,
        before: &[&Arc<Remote>],
    ) -> Arc<Remote> {
        match before.iter().find(|one| one.is_of(label, &place)) {
            Some(same) => {
                same.fetch_by(fetch.clone());
                Arc::clone(same)
            }
            None => Arc::new(Remote::new(
                Arc::clone(label),
                place,
                fetch.clone(),
                self.shelf.clone(),
            )),
        }
    }

    pub(crate) fn find(&self, issuer: &str) -> Option<Arc<Known>> {
        let all = self.issuers.load();
        all.iter()
            .find(|known| known.settings.issuer == issuer)
            .cloned()
    }

    /// The keys that a client publishes.
    pub(crate) fn of_client(&self, client: &str) -> Option<Arc<Remote>> {
        self.clients.load().get(client).cloned()
    }

    fn all(&self) -> Vec<Arc<Remote>> {
        let (issuers, clients) = (self.issuers.load(), self.clients.load());
        let issuers = issuers.iter().filter_map(|known| known.remote.as_ref());
        issuers.chain(clients.values()).cloned().collect()
    }

    pub(crate) async fn refresh_all(&self, clock: &Arc<dyn Clock>, sink: &AccessSink) {
        let all = self.all();
        let each = all.iter().map(|remote| remote.refresh(clock, sink));
        futures::future::join_all(each).await;
    }

    /// Fetches what it is time to fetch; called every second.
    pub(crate) fn keep(&self, clock: &Arc<dyn Clock>, sink: &AccessSink) {
        for remote in self.all() {
            remote.keep(clock, sink);
        }
    }
}

impl Known {
    /// Gives the keys to `verify`; `None` where there are none that are young enough.
    pub(crate) fn with_keys<T>(&self, now: i64, verify: impl FnOnce(&KeySet) -> T) -> Option<T> {
        match (&self.settings.keys, &self.remote) {
            (IssuerKeys::Given(set), _) => Some(verify(set)),
            (_, Some(remote)) => remote.with_keys(now, verify),
            (_, None) => None,
        }
    }

    /// Fetches the keys because one is not known, unless somebody asked within a minute.
    pub(crate) async fn ask(&self, clock: &Arc<dyn Clock>, sink: &AccessSink) {
        if let Some(remote) = &self.remote {
            remote.ask(clock, sink).await;
        }
    }
}

//! Identity: who calls, proven by a token, an API key or a certificate.
//!
//! Start with [`Identity`]: [`Identity::recognise`] turns the headers of a call into a
//! [`Caller`](crate::Caller), and [`Identity::serve`] answers the OAuth endpoints.

mod certificate;
mod client;
mod estate;
mod event;
mod external;
mod recognise;
mod remote;
mod settings;
mod shelf;

pub use certificate::{CertificateMatch, PeerCertificate};
pub use client::{ApiKey, ClientCredentials, ClientDirectory, HashedSecret, IssuerMatch};
pub use estate::{clients_of_estate, issuers_of_estate};
pub(crate) use event::claimed_name;
pub use event::{AccessEvent, AccessSink};
pub use external::{
    ExternalIssuer, Fetch, FetchFuture, Fetched, IssuerKeys, MAX_KEY_SET, ScopeSource,
};
pub use recognise::{Recognised, Refusal};
pub(crate) use settings::Authority;
pub use settings::{MAX_LIFE, Settings};

use crate::AccessError;
use crate::token::cache::Cache;
use crate::token::replay::Replays;
use crate::token::{Revocations, Rotation, SigningKeys};
use arc_swap::ArcSwap;
use external::External;
use shelf::Shelf;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use wardline_core::{Clock, Zone};
use wardline_vault::KeyProvider;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its address: of the connection, or what a trusted proxy says.
    pub address: IpAddr,
    /// The zone of the listener.
    pub zone: Zone,
    /// Its certificate, where TLS asked for one and verified it.
    pub certificate: Option<Arc<PeerCertificate>>,
}

impl Peer {
    /// A peer without a certificate.
    pub fn new(address: IpAddr, zone: Zone) -> Self {
        Self {
            address,
            zone,
            certificate: None,
        }
    }

    /// With the certificate that TLS verified.
    #[must_use]
    pub fn with_certificate(mut self, certificate: Arc<PeerCertificate>) -> Self {
        self.certificate = Some(certificate);
        self
    }
}

/// Recognises callers and issues tokens, for one estate. Cheap to share; everything in it may
/// be exchanged while calls are served.
pub struct Identity {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: AccessSink,
    pub(crate) signing: SigningKeys,
    pub(crate) revocations: Revocations,
    pub(crate) replays: Replays,
    /// Stands in for the secret of a client that does not exist, so that asking about one
    /// takes as long.
    pub(crate) nobody: HashedSecret,
    directory: ArcSwap<ClientDirectory>,
    /// Clients that are refused until somebody lets them in again.
    held: ArcSwap<BTreeSet<Arc<str>>>,
    directory_generation: AtomicU64,
    external: External,
    cache: Cache,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What an [`Identity`] is opened with.
#[derive(Debug)]
pub struct IdentitySource<'a> {
    /// Name of the estate.
    pub estate: &'a str,
    /// The data directory, where signing keys and revocations are kept.
    pub data: &'a Path,
    /// Keeper of the master key, which wraps the signing keys.
    pub provider: Arc<dyn KeyProvider>,
    /// When signing keys change.
    pub rotation: Rotation,
}

impl Identity {
    /// Opens the signing keys (or makes the first) and the revocations of a data directory.
    /// No client is known and no issuer trusted until [`Identity::replace_clients`] and
    /// [`Identity::replace_issuers`].
    ///
    /// # Errors
    /// As [`SigningKeys::open`] and [`Revocations::open`].
    pub fn open(
        source: IdentitySource<'_>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        sink: AccessSink,
    ) -> Result<Self, AccessError> {
        let shelf = Shelf::new(source.estate, source.data, Arc::clone(&source.provider));
        let shelf = Arc::new(shelf);
        let (signing, events) = SigningKeys::open(
            SigningKeys::file_in(source.data),
            source.estate,
            source.provider,
            settings.algorithm,
            source.rotation,
            clock.now(),
        )?;
        for event in events {
            sink.tell(event);
        }
        Ok(Self {
            settings,
            clock,
            sink,
            signing,
            revocations: Revocations::open(Revocations::file_in(source.data))?,
            replays: Replays::default(),
            nobody: HashedSecret::new(b"")?,
            directory: ArcSwap::default(),
            held: ArcSwap::default(),
            directory_generation: AtomicU64::new(0),
            external: External::new(Some(shelf)),
            cache: Cache::default(),
        })
    }

    /// Exchanges the clients, after the estate or a secret changed. Holds for the next call.
    pub fn replace_clients(&self, clients: ClientDirectory) {
        self.external.replace_clients(&clients);
        self.directory.store(Arc::new(clients));
        self.directory_generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Exchanges the external issuers. The keys of one that stays are kept.
    pub fn replace_issuers(&self, issuers: Vec<ExternalIssuer>, fetch: Fetch) {
        self.external.replace(issuers, fetch);
        self.directory_generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Refuses every token issued until now: of one client, or of all. New ones are issued
    /// to whoever is still declared.
    ///
    /// # Errors
    /// [`AccessError::Vault`] when it cannot be written down.
    pub fn stop_tokens(&self, client: Option<&str>) -> Result<(), AccessError> {
        self.revocations.stop(client, self.now())?;
        self.sink.tell(AccessEvent::TokensStopped {
            client: client.map(Arc::from),
        });
        Ok(())
    }

    /// Refuses these clients and no others, whatever they show, from the next call on.
    pub fn hold(&self, clients: BTreeSet<Arc<str>>) {
        self.held.store(Arc::new(clients));
    }

    pub(crate) fn is_held(&self, client: &str) -> bool {
        let held = self.held.load();
        !held.is_empty() && held.contains(client)
    }

    /// For a signing key that somebody else may know: replaces it at once, and with it all
    /// that it signed.
    ///
    /// # Errors
    /// As [`SigningKeys::replace`]; what is in use stays in use then.
    pub fn replace_keys(&self) -> Result<(), AccessError> {
        let events = self.signing.replace(self.clock.now())?;
        self.tell(events);
        // Verified tokens are remembered apart from keys.
        self.stop_tokens(None)
    }

    /// Tells the audit log of something that whoever judges calls has decided.
    pub fn judged(&self, event: AccessEvent) {
        self.sink.tell(event);
    }

    /// The signing keys, for `wardline keys`. What another process does to them is seen
    /// within a minute.
    pub fn signing_keys(&self) -> &SigningKeys {
        &self.signing
    }

    /// Does what time demands: rotates signing keys, reads revocations of other processes,
    /// refreshes the keys of external issuers. Runs until it is dropped.
    pub async fn keep(self: Arc<Self>) {
        let mut ticks = ticks(Duration::from_secs(1));
        let mut count = 0_u64;
        loop {
            ticks.tick().await;
            self.upkeep(count.is_multiple_of(60));
            self.external.keep(&self.clock, &self.sink);
            count += 1;
        }
    }

    /// Fetches the keys of all external issuers now.
    pub async fn refresh_issuers(&self) {
        self.external.refresh_all(&self.clock, &self.sink).await;
    }

    /// One step of [`Identity::keep`] that needs no network.
    pub fn upkeep(&self, keys_too: bool) {
        if let Err(error) = self.revocations.reload() {
            tracing::error!(code = %error.code(), %error, "revocations cannot be read");
        }
        if keys_too {
            match self.signing.advance(self.clock.now()) {
                Ok(events) => self.tell(events),
                Err(error) => {
                    tracing::error!(code = %error.code(), %error, "signing keys cannot be kept");
                }
            }
        }
    }

    fn tell(&self, events: Vec<AccessEvent>) {
        for event in events {
            self.sink.tell(event);
        }
    }

    /// Now, in whole seconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().0.div_euclid(1_000_000)
    }

    /// The keys that a client publishes, where it does.
    pub(crate) fn published_keys(&self, client: &str) -> Option<Arc<remote::Remote>> {
        self.external.of_client(client)
    }

    pub(crate) fn directory(&self) -> arc_swap::Guard<Arc<ClientDirectory>> {
        self.directory.load()
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

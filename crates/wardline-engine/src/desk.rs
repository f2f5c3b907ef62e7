//! The operators' desk: everything that people read and decide, for the console, the command
//! line and the API alike. Each look at a payload and each act is an audit entry, committed
//! together with what it changes.

mod act;
mod applied;
mod audit;
mod balance;
mod boards;
mod figures;
mod instances;
mod jobs;
mod keys;
mod look;
mod overview;
mod payload;
mod reconcile;
mod register;
mod replay;
mod select;
mod tasks;
mod trace;
mod transactions;
mod webhooks;
mod words;

pub use applied::ReloadRequest;
pub use balance::Balance;
pub use look::Found;
pub use register::RegisterError;

use crate::accept::{Acceptor, KEY_DOMAIN};
use crate::certs::{CertificateState, CertificateView};
use crate::codes;
use crate::dispatch::Dispatcher;
use crate::process::Book;
use crate::webhook::Endpoint;
use arc_swap::ArcSwap;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;
use wardline_core::{BlindIndex, Code, Sym};
use wardline_estate::model::Estate;
use wardline_store::StoreError;
use wardline_vault::{AuditLog, VaultError};

/// Why the desk could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeskError {
    /// Nothing has this id or name.
    #[error(
        "{what} `{id}` is not in the journal: search with `wardline messages`; retention may have removed it"
    )]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its id or name.
        id: String,
    },
    /// The request cannot be carried out as given.
    #[error("{0}")]
    Invalid(String),
    /// The payload is gone.
    #[error("the payload is gone: {0}")]
    Gone(String),
    /// The journal did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Sealing or opening failed.
    #[error("{0}")]
    Vault(String, Code),
}

impl DeskError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => codes::NOT_FOUND,
            Self::Invalid(_) => codes::INVALID_REQUEST,
            Self::Gone(_) => codes::PAYLOAD_GONE,
            Self::Store(error) => error.code(),
            Self::Vault(_, code) => *code,
        }
    }
}

impl From<VaultError> for DeskError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Destroyed { .. } => Self::Gone(error.to_string()),
            error => Self::Vault(error.to_string(), error.code()),
        }
    }
}

impl From<crate::accept::AcceptError> for DeskError {
    fn from(error: crate::accept::AcceptError) -> Self {
        match error {
            crate::accept::AcceptError::Store(error) => Self::Store(error),
            crate::accept::AcceptError::Vault(text, code) => Self::Vault(text, code),
        }
    }
}

/// Clients' endpoints by name.
pub(crate) type Endpoints = BTreeMap<Arc<str>, Arc<Endpoint>>;

/// Bulk jobs by name.
pub(crate) type Jobs = BTreeMap<Arc<str>, Arc<crate::bulk::Book>>;

/// The operators' desk.
pub struct Desk {
    /// The estate's name, for the life of its journal.
    name: String,
    pub(crate) acceptor: Arc<Acceptor>,
    dispatcher: Arc<Dispatcher>,
    book: Arc<Book>,
    audit: tokio::sync::Mutex<AuditLog>,
    places: RwLock<BTreeMap<String, String>>,
    certificates: RwLock<Vec<CertificateView>>,
    /// Entries that the last stored checkpoint covers.
    signed: AtomicU64,
    /// Clients' endpoints that are sent to; none where no engine runs.
    endpoints: ArcSwap<Endpoints>,
    /// Bulk jobs that run here; none where no engine runs.
    jobs: ArcSwap<Jobs>,
    /// Whoever reads the estate again; nobody where no server runs.
    reloads: OnceLock<mpsc::Sender<ReloadRequest>>,
}

impl Desk {
    pub(crate) async fn open(
        acceptor: Arc<Acceptor>,
        dispatcher: Arc<Dispatcher>,
        book: Arc<Book>,
    ) -> Result<Self, crate::StartError> {
        let audit = audit::restore(&acceptor).await?;
        Ok(Self {
            name: acceptor.plan().estate.name.clone(),
            acceptor,
            dispatcher,
            book,
            audit: tokio::sync::Mutex::new(audit),
            signed: AtomicU64::new(0),
            jobs: ArcSwap::default(),
            reloads: OnceLock::new(),
            places: RwLock::default(),
            certificates: RwLock::default(),
            endpoints: ArcSwap::default(),
        })
    }

    pub(crate) fn set_places(&self, places: BTreeMap<String, String>) {
        *self.places.write() = places;
    }

    /// From now on these endpoints are sent to.
    pub(crate) fn set_endpoints(&self, endpoints: Endpoints) {
        self.endpoints.store(Arc::new(endpoints));
    }

    /// From now on these jobs run here.
    pub(crate) fn set_jobs(&self, jobs: Jobs) {
        self.jobs.store(Arc::new(jobs));
    }

    fn endpoint(&self, name: &str) -> Option<Arc<Endpoint>> {
        self.endpoints.load().get(name).cloned()
    }

    /// The estate in force.
    pub fn in_force(&self) -> Arc<Estate> {
        Arc::clone(&self.acceptor.plan().estate)
    }

    /// Says how the estate's certificates stand; those that need somebody are shown.
    pub fn set_certificates(&self, mut all: Vec<CertificateView>) {
        all.retain(|one| one.state != CertificateState::Good);
        *self.certificates.write() = all;
    }

    /// The estate's name.
    pub fn estate(&self) -> &str {
        &self.name
    }

    fn name(&self, sym: Sym) -> String {
        self.acceptor
            .store
            .name(sym)
            .map_or_else(|| "?".to_owned(), |name| name.to_string())
    }

    fn blind(&self, value: &str) -> BlindIndex {
        self.acceptor.vault.blind(KEY_DOMAIN, value)
    }
}

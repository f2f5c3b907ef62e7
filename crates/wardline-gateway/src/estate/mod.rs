//! From an estate to what is served.
//!
//! [`Front::compile`] compiles what the estate's Apis say in VRL and Cedar and reports what is
//! wrong at its place in the files, so that `check` finds it. [`Front::plan`] joins it with what
//! runs (keys, secrets, the journal) to a [`Plan`] that a [`Gateway`](crate::Gateway) serves.

mod clients;
mod documents;
mod doors;
mod keeper;
mod programs;
mod promises;
mod tls;
mod upstreams;
mod work;
mod world;

use crate::Plan;
use crate::plan;
use std::collections::BTreeMap;
use std::sync::Arc;
use wardline_access::AccessError;
use wardline_access::identity::{
    AccessSink, ClientDirectory, Identity, IdentitySource, clients_of_estate, issuers_of_estate,
};
use wardline_access::policy::Policies;
use wardline_access::quota::Limiter;
use wardline_access::token::Rotation;
use wardline_connect::http::Inlet;
use wardline_core::Clock;
use wardline_engine::{WireError, Wiring};
use wardline_estate::Diagnostics;
use wardline_estate::model::Estate;
use wardline_vault::{KeyProvider, Secrets};

pub use documents::description;
pub use keeper::Keeper;
use programs::Programs;
pub use tls::KnownTls;

/// Why an estate's Apis cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// Keys, clients or issuers cannot be used.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A secret, certificate or header of a connection cannot be used.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A listener's TLS cannot be set up.
    #[error(transparent)]
    Connect(#[from] wardline_connect::ConnectError),
    /// An address of a system is no URL.
    #[error("connection {connection}: `{url}` is not an address that can be called")]
    Url {
        /// `system.connection`.
        connection: String,
        /// What is declared.
        url: String,
    },
    /// An Api's document cannot be written.
    #[error(transparent)]
    Document(#[from] wardline_contract::GenerateError),
}

/// The compiled Apis of an estate.
pub struct Front {
    estate: Arc<Estate>,
    programs: Programs,
    policies: Arc<Policies>,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").finish_non_exhaustive()
    }
}

/// What runs beside the Apis.
pub struct Running<'a> {
    /// What `secret:…` stands for.
    pub secrets: &'a Secrets,
    /// Who calls.
    pub identity: Arc<Identity>,
    /// How much callers may do.
    pub limiter: Arc<Limiter>,
    /// The secret that pseudonyms are made with.
    pub root: [u8; 32],
    /// Routes of inbound connections at the same listeners, by the listener's name.
    pub inlets: &'a BTreeMap<String, Arc<Inlet>>,
    /// TLS towards systems, as built for the plans before.
    pub tls: &'a KnownTls,
}

impl Front {
    /// Compiles maps, conditions and policies of Apis. Problems are added to `diagnostics`;
    /// `None` where one is an error.
    pub fn compile(estate: &Arc<Estate>, diagnostics: &mut Diagnostics) -> Option<Self> {
        let (programs, mut found) = Programs::compile(estate);
        let (policies, problems) = wardline_access::policy::compile(&world::of(estate));
        found.extend(problems.iter().filter_map(|problem| {
            let mut files = estate.policies.values();
            let file = files.find(|file| file.path.to_str() == Some(&*problem.file))?;
            Some(problem.diagnostic(file.file))
        }));
        found.extend(work::not_served_yet(estate));
        let failed = found
            .iter()
            .any(|one| one.severity == wardline_estate::Severity::Error);
        for one in found {
            diagnostics.push(one);
        }
        let policies = policies.filter(|_| !failed)?;
        Some(Self {
            estate: Arc::clone(estate),
            programs,
            policies: Arc::new(policies),
        })
    }

    /// Whether there is anything to serve.
    pub fn is_empty(&self) -> bool {
        let estate = &self.estate;
        !estate
            .listeners
            .values()
            .any(|listener| estate.has_apis_at(listener))
    }

    /// The compiled policies: who may do what.
    pub fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// Opens signing keys and revocations in the data directory and registers the clients.
    ///
    /// # Errors
    /// What of the files or secrets cannot be used.
    pub fn identity(
        &self,
        data: &std::path::Path,
        provider: Arc<dyn KeyProvider>,
        secrets: &Secrets,
        clock: Arc<dyn Clock>,
        sink: AccessSink,
    ) -> Result<Arc<Identity>, FrontError> {
        let source = IdentitySource {
            estate: &self.estate.name,
            data,
            provider,
            rotation: Rotation::default(),
        };
        let identity = Identity::open(source, clients::settings(&self.estate)?, clock, sink)?;
        let (issuers, errors) = issuers_of_estate(&self.estate, &self.estate.root);
        for error in errors {
            // Nobody is refused for another's mistake.
            tracing::error!(code = %error.code(), %error, "an issuer cannot be used");
        }
        identity.replace_clients(self.clients(secrets)?);
        if !issuers.is_empty() {
            tracing::warn!(
                "tokens of external issuers are taken once their keys are fetched, which this release does not do"
            );
        }
        Ok(Arc::new(identity))
    }

    /// The clients, with their secrets, for [`Identity::replace_clients`].
    ///
    /// # Errors
    /// Where two of them could not be told apart.
    pub fn clients(&self, secrets: &Secrets) -> Result<ClientDirectory, FrontError> {
        let (clients, errors) = clients_of_estate(&self.estate, secrets);
        for error in errors {
            // Nobody is refused for another's mistake.
            tracing::error!(code = %error.code(), %error, "a client cannot be used");
        }
        Ok(ClientDirectory::new(clients)?)
    }

    /// Everything that listeners serve.
    ///
    /// # Errors
    /// What of the files or secrets cannot be used.
    pub fn plan(&self, running: &Running<'_>) -> Result<Plan, FrontError> {
        let estate = &self.estate;
        let wiring = Wiring {
            estate,
            secrets: running.secrets,
        };
        let keeper = Arc::new(Keeper::new(
            Arc::clone(&running.identity),
            Arc::clone(&self.policies),
            Arc::clone(&running.limiter),
            running.root,
            estate,
        ));
        let mut apis: Vec<plan::Api> = Vec::new();
        for api in estate.apis.values().filter(|api| api.state.is_served()) {
            apis.push(work::api(estate, api, &self.programs)?);
        }
        apis.extend(doors::oauth(estate, &running.identity));
        apis.extend(doors::inlets(estate, running.inlets));
        Ok(Plan {
            listeners: doors::listeners(estate, &wiring)?,
            apis,
            upstreams: upstreams::all(estate, &wiring, running.tls)?,
            gatekeeper: keeper,
            ..Plan::default()
        })
    }
}

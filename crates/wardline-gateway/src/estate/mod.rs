//! From an estate to what is served.
//!
//! [`Front::compile`] compiles what the estate's Apis say in VRL and Cedar and reports what is
//! wrong at its place in the files, so that `check` finds it. [`Front::plan`] joins it with what
//! runs (keys, secrets, the journal) to a [`Plan`] that a [`Gateway`](crate::Gateway) serves.

mod answers;
mod audience;
mod clients;
mod documents;
mod doors;
mod events;
mod fetch;
mod given;
mod keeper;
mod later;
mod locks;
mod lookout;
mod observer;
mod paths;
mod process;
mod programs;
mod promises;
mod record;
mod renewing;
mod soap;
mod upstreams;
mod work;
mod world;

use crate::Plan;
use crate::plan;
use crate::seam::Gatekeeper;
use crate::shadow::ledger::Ledger;
use std::collections::BTreeMap;
use std::sync::Arc;
use wardline_access::AccessError;
use wardline_access::identity::{
    AccessSink, ClientDirectory, ExternalIssuer, Fetch, Identity, IdentitySource,
    clients_of_estate, issuers_of_estate,
};
use wardline_access::policy::Policies;
use wardline_access::quota::Limiter;
use wardline_access::token::Rotation;
use wardline_connect::http::Inlet;
use wardline_core::Clock;
use wardline_engine::{
    Audience, CallGates, Deferral, Desk, KeyBook, ProcessDoor, Recorder, Renewals, WireError,
    Wiring,
};
use wardline_estate::Diagnostics;
use wardline_estate::model::Estate;
use wardline_vault::{KeyProvider, Secrets};

pub use documents::{contract, description, document};
pub use keeper::Keeper;
pub use locks::{Lock, broken, entity_diff, locks};
pub use lookout::{Lookout, Newcomers, Seen, Told};
pub use observer::Observers;
use programs::Programs;
pub use upstreams::KnownUpstreams;

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
    audience: Arc<audience::Receivers>,
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
    /// What is made again when a secret or certificate changes.
    pub renewals: &'a Renewals,
    /// Who calls.
    pub identity: Arc<Identity>,
    /// How much callers may do.
    pub limiter: Arc<Limiter>,
    /// The secret that pseudonyms are made with.
    pub root: [u8; 32],
    /// Where calls go that are carried out later.
    pub deferral: Deferral,
    /// Where calls go that processes serve.
    pub processes: ProcessDoor,
    /// Where idempotency keys and their answers are kept.
    pub keys: Arc<KeyBook>,
    /// Where what callers see and get is recorded.
    pub recorder: Arc<Recorder>,
    /// Routes of inbound connections at the same listeners, by the listener's name.
    pub inlets: &'a BTreeMap<String, Arc<Inlet>>,
    /// Where differences of systems in the shadow are added up.
    pub shadows: &'a Arc<Ledger>,
    /// What connections allow to calls and deliveries together.
    pub gates: &'a CallGates,
    /// Who is told of every call.
    pub observers: Observers,
    /// Who has the events that clients were sent the id of.
    pub desk: Arc<Desk>,
    /// Credentials and TLS towards systems that are in use.
    pub upstreams: &'a KnownUpstreams,
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
        found.extend(given::problems(estate));
        found.extend(work::not_served_yet(estate));
        found.extend(paths::unusable(estate));
        let failed = found
            .iter()
            .any(|one| one.severity == wardline_estate::Severity::Error);
        for one in found {
            diagnostics.push(one);
        }
        let policies = Arc::new(policies.filter(|_| !failed)?);
        let audience = audience::Receivers::new(Arc::clone(&policies), estate);
        for one in audience.deaf(estate) {
            diagnostics.push(one);
        }
        Some(Self {
            estate: Arc::clone(estate),
            programs,
            policies,
            audience: Arc::new(audience),
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

    /// Who may receive events by webhooks, for [`Plan::with_audience`](wardline_engine::Plan::with_audience).
    pub fn audience(&self) -> Arc<dyn Audience> {
        Arc::clone(&self.audience) as Arc<dyn Audience>
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
        let (issuers, fetch) = self.issuers();
        identity.replace_issuers(issuers, fetch);
        identity.replace_clients(self.clients(secrets)?);
        Ok(Arc::new(identity))
    }

    /// Others whose tokens are believed, and how their keys are fetched, for
    /// [`Identity::replace_issuers`].
    pub fn issuers(&self) -> (Vec<ExternalIssuer>, Fetch) {
        let (issuers, errors) = issuers_of_estate(&self.estate, &self.estate.root);
        for error in errors {
            // Nobody is refused for another's mistake.
            tracing::error!(code = %error.code(), %error, "an issuer cannot be used");
        }
        (issuers, fetch::of(&self.estate))
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
        let wiring = Wiring::new(estate, running.secrets);
        let keeper = Arc::new(Keeper::new(
            Arc::clone(&running.identity),
            Arc::clone(&self.policies),
            Arc::clone(&running.limiter),
            running.root,
            estate,
        ));
        let speakers = soap::speakers(estate, running.renewals)?;
        let mut apis: Vec<plan::Api> = Vec::new();
        for api in estate.apis.values().filter(|api| api.state.is_served()) {
            apis.push(work::api(
                estate,
                api,
                &self.programs,
                (&running.deferral, &running.processes),
                (running.shadows, &speakers),
            )?);
        }
        apis.extend(doors::oauth(estate, &running.identity, &running.recorder));
        apis.extend(doors::inlets(estate, running.inlets));
        let gatekeeper: Arc<dyn Gatekeeper> = Arc::clone(&keeper) as _;
        apis.extend(events::api(estate, &gatekeeper, &running.desk));
        Ok(Plan {
            listeners: doors::listeners(estate, &wiring)?,
            apis,
            upstreams: upstreams::all(estate, running.renewals, running.gates, running.upstreams)?,
            gatekeeper: keeper,
            observer: Arc::new(
                running
                    .observers
                    .clone()
                    .with(Arc::new(record::Records(Arc::clone(&running.recorder)))),
            ),
            answers: Some(Arc::new(answers::Kept(Arc::clone(&running.keys)))),
            ..Plan::default()
        })
    }
}

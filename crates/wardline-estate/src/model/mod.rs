//! The estate as the rest of the platform sees it: plain data, every reference resolved to names
//! that exist, every default filled in. Nothing here can be wrong in a way that [`crate::load`]
//! could have noticed.

mod api;
mod as2;
mod broker;
mod client;
mod connection;
mod data;
mod dicom;
mod dropbox;
mod fhir_in;
mod figure;
mod flow;
mod identity;
mod job;
mod people;
mod policy;
mod process;
mod remote;
mod scim_in;
mod secrets;
mod smtp;
mod soap_in;
mod sql;
mod system;
mod test;
mod x12;

pub use api::{
    Api, ApiCall, ApiLimits, ApiOperation, Binding, BodyContent, ByHeader, Idempotency, Later,
    Layer, Lifecycle, QueryType, Quota, ResponseValidation, Sending, Shadow, Share, Validation,
    Version, Work,
};
pub use as2::{As2Content, As2Identity, As2In, As2Out};
pub use broker::{
    Broker, BrokerContent, BrokerIn, BrokerOut, CloudEvents, Compression, PublishInto, Sasl,
    Through,
};
pub use client::{
    ApiKey, CertificateMatch, Client, ClientAuth, ClientKind, ClientLimits, ClientWebhook,
    DisableRule, IssuerClaim, OAuth2,
};
pub use connection::{
    AckMode, AckPolicy, AckWhen, AfterTaking, Auth, Breaker, Charset, ClientTls, Connection,
    ConnectionKind, Direction, Duplicate, FhirOut, FileContent, FilesIn, FilesOut, HeaderValue,
    Health, Hedge, HmacFields, HttpAck, HttpContent, HttpIn, HttpOut, KeyField, LayoutRef, Limits,
    Method, MllpConnect, MllpListen, Network, ServerTls, SmartClient, SoapOut, VendorHmac,
    WebhookSigning, WsSecurity,
};
pub use data::{CodeEntry, CodeTable, Entity, Otherwise, RecordOwner};
pub use dicom::{DicomEntries, DicomIn, DicomOut, DicomWeb};
pub use dropbox::{DropBox, DropBoxes};
pub use fhir_in::{FhirIn, FhirKept, FhirResource};
pub use figure::{Figure, FigureOf, Goal, Limit, Measure};
pub use flow::{
    AlertKind, AlertSource, Exhausted, Flow, Jitter, MapRef, Retry, Schedule, Source, Target,
    TargetKind, Then, Validate,
};
pub use identity::{
    Identity, Issuer, IssuerKeys, IssuerScopes, TokenAlgorithm, TokenSettings, WatchAction,
    WatchSettings,
};
pub use job::{Job, JobFile, JobPage, JobPaging, JobRead, JobWindow, JobWrite};
pub use people::{BUILT_IN_ROLES, GroupRoles, Oidc, People, SessionSettings};
pub use policy::PolicyFile;
pub use process::{
    CallStep, Data, Deadline, Escalate, Process, Reconciliation, Step, StepKind, TaskStep, Undo,
    Until, WaitStep,
};
pub use remote::{FtpsReach, Reach, S3Reach, SftpReach};
pub use scim_in::ScimIn;
pub use secrets::{Secrets, VaultLogin, VaultServer};
pub use smtp::{SmtpOut, SmtpSecurity};
pub use soap_in::{CarriedHl7, SoapEcho, SoapIn, WsGuard};
pub use sql::{SqlAccess, SqlExpect, SqlFollow, SqlIn, SqlOut, SqlOverlap, SqlProcedure, SqlText};
pub use system::{Caching, FhirAsked, Operation, OperationKind, System};
pub use test::{
    ActKind, Expect, ExpectedCall, ExpectedDelivery, ExpectedEvent, ExpectedResult, ExpectedState,
    ExpectedTask, Fixture, Given, Intervention, MapInput, MapTest, ProcessTest, Scene, SceneKind,
    ScriptedAnswer, TaskAnswer, TestCase, TestKind,
};

pub use x12::{GuideRef, X12Answer, X12Duties};

use crate::origin::Origins;
use crate::source::{SourceMap, Span, Spanned};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::Zone;
use wardline_soap::xsd::Library;

/// One organisation's integrations, read from a directory.
#[derive(Clone, Debug)]
pub struct Estate {
    /// The directory it was read from.
    pub root: PathBuf,
    /// `estate:` in `wardline.yaml`.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// The sites that share the estate.
    pub facilities: Vec<String>,
    /// Where the journal is kept.
    pub store: StoreUrl,
    /// Where master keys come from.
    pub keys: KeySource,
    /// Where secrets come from.
    pub secrets: Secrets,
    /// The time zone for messages and schedules that name none (IANA name).
    pub time_zone: String,
    /// Doors for HTTP, by name.
    pub listeners: BTreeMap<String, Listener>,
    /// Where clients bring and fetch files.
    pub dropboxes: Option<DropBoxes>,
    /// How long recorded things are kept.
    pub retention: Retention,
    /// By whom tokens are issued, and whose are believed.
    pub identity: Identity,
    /// How people sign in to the console.
    pub people: People,
    /// Applications, by name.
    pub systems: BTreeMap<String, System>,
    /// Canonical entities, by name.
    pub entities: BTreeMap<String, Entity>,
    /// Flows, by name.
    pub flows: BTreeMap<String, Flow>,
    /// Processes, by name.
    pub processes: BTreeMap<String, Process>,
    /// Bulk jobs, by name.
    pub jobs: BTreeMap<String, Job>,
    /// Apis by `name/vMAJOR`.
    pub apis: BTreeMap<String, Api>,
    /// Clients, by name.
    pub clients: BTreeMap<String, Client>,
    /// Files of Cedar policies, by name.
    pub policies: BTreeMap<String, PolicyFile>,
    /// Code tables, by name.
    pub codes: BTreeMap<String, CodeTable>,
    /// XML Schemas of the files below `schemas/`, each compiled when a map first names it.
    pub xml: Arc<Library>,
    /// The estate's own tests, in the order of their files.
    pub tests: Vec<TestCase>,
    /// Which declaration each effective setting came from.
    pub origins: Origins,
    /// Every file that was read.
    pub sources: SourceMap,
}

impl Estate {
    /// The connection called `system.connection`.
    pub fn connection(&self, reference: &str) -> Option<(&System, &Connection)> {
        let (system, connection) = reference.split_once('.')?;
        let system = self.systems.get(system)?;
        Some((system, system.connections.get(connection)?))
    }

    /// The operation called `system.operation`.
    pub fn operation(&self, reference: &str) -> Option<(&System, &Operation)> {
        let (system, operation) = reference.split_once('.')?;
        let system = self.systems.get(system)?;
        Some((system, system.operations.get(operation)?))
    }

    /// Whether a listener shows an Api, so that a gateway opens it.
    pub fn has_apis_at(&self, listener: &Listener) -> bool {
        listener.zone != Zone::Admin
            && self
                .apis
                .values()
                .any(|api| api.state.is_served() && api.visible_in(listener.zone))
    }

    /// All major versions of an Api, oldest first.
    pub fn versions(&self, name: &str) -> Vec<&Api> {
        // `v10` sorts before `v2` as text, so the order of names is not the order of versions.
        let mut all: Vec<_> = self.apis.values().filter(|api| api.name == name).collect();
        all.sort_by_key(|api| api.version);
        all
    }

    /// The Api of a name that callers within the estate mean: the newest that is served, else the
    /// newest.
    pub fn api(&self, name: &str) -> Option<&Api> {
        let all = self.versions(name);
        let served = all.iter().rev().find(|api| api.state.is_served());
        served.or(all.last()).copied()
    }

    /// The operation called `api.operation`, of the Api that callers within the estate mean.
    pub fn api_operation(&self, reference: &str) -> Option<(&Api, &ApiOperation)> {
        let (api, operation) = reference.split_once('.')?;
        let api = self.api(api)?;
        Some((api, api.operations.get(operation)?))
    }

    /// All connections with the name of their system.
    pub fn connections(&self) -> impl Iterator<Item = (&System, &Connection)> {
        self.systems.values().flat_map(|system| {
            system
                .connections
                .values()
                .map(move |connection| (system, connection))
        })
    }

    /// The flows that start at `system.connection`.
    pub fn flows_from<'a>(&'a self, reference: &'a str) -> impl Iterator<Item = &'a Flow> {
        self.flows.values().filter(
            move |flow| matches!(&flow.source, Source::Connection(connection) if connection.value == reference),
        )
    }

    /// The flows that hear an event.
    pub fn flows_on<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Flow> {
        self.flows.values().filter(
            move |flow| matches!(&flow.source, Source::Event(events) if events.iter().any(|heard| heard.value == event)),
        )
    }
}

/// Where the journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite database in the data directory.
    Sqlite,
    /// PostgreSQL at this URL, which never holds a password.
    Postgres(String),
}

/// Where master keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A directory of key files; relative paths are below the estate.
    File {
        /// The directory, as written.
        path: PathBuf,
    },
    /// The environment variable `WARDLINE_MASTER_KEY`.
    Env,
    /// A key of the Transit engine of the Vault under `secrets`.
    Vault {
        /// Where the engine is mounted.
        mount: String,
        /// The key's name.
        key: String,
    },
}

/// A door for HTTP.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Who may reach it.
    pub zone: Zone,
    /// The local address.
    pub bind: Spanned<SocketAddr>,
    /// TLS, if the door speaks it.
    pub tls: Option<ServerTls>,
    /// How much of anybody it bears.
    pub limits: ListenerLimits,
}

/// How much a door bears, whoever knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Most connections at a time.
    pub connections: u32,
    /// Largest head of a request (request line and headers), in bytes.
    pub head: u64,
    /// Largest body, in bytes, whatever an Api allows.
    pub body: u64,
    /// How long a head or a piece of a body may be on its way.
    pub slow: Duration,
    /// A connection without a request is closed after so long.
    pub idle: Duration,
}

/// How long recorded things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Payloads; after this their keys are destroyed.
    pub payloads: Duration,
    /// Messages and deliveries without their payloads.
    pub records: Duration,
    /// The audit log.
    pub audit: Duration,
}

/// A reference to a secret, as written: `secret:erp/ws`. Never the secret.
#[derive(Clone, Debug)]
pub struct SecretRef {
    /// The reference with its prefix: `secret:erp/ws`.
    pub text: String,
    /// Where it stands.
    pub at: Span,
}

impl SecretRef {
    /// The name without the prefix: `erp/ws`.
    pub fn name(&self) -> &str {
        self.text.strip_prefix("secret:").unwrap_or(&self.text)
    }
}

/// A file of the estate that something refers to.
#[derive(Clone, Debug)]
pub struct FileRef {
    /// Path relative to the estate directory, as written, free of `..`.
    pub path: PathBuf,
    /// Where the reference stands.
    pub at: Span,
}

//! What there is to decide about, as plain data: made from the estate, or by a test.
//!
//! From the estate's model it is made so: an [`Api`] for each one that is served (neither draft
//! nor retired), `major` from its version; an [`Operation`]'s scope is none only where it is `public`;
//! a [`Client`] for each that is a partner or a service and not disabled (groups of people are
//! roles: they go to [`World::roles`]); owners that are not given are empty texts; a
//! [`PolicyText`] for each policy file, whose path finds the file again for
//! [`Problem::diagnostic`](super::Problem::diagnostic).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wardline_core::{Sensitivity, Zone};

use crate::CallerKind;

/// Everything that policies may speak of. Names are those of the estate.
///
/// People are not listed: they are known once they have signed in, and policies speak of their
/// roles.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Apis, one entry a major version. Versions of one name are one `Api` to policies, which
    /// tell them apart by `context.version`.
    pub apis: Vec<Api>,
    /// Entities of the estate's data.
    pub entities: Vec<Entity>,
    /// Who may call.
    pub clients: Vec<Client>,
    /// Flows, so that replaying one may be granted and another not.
    pub flows: Vec<Flow>,
    /// Roles beyond the built-in ones that people may be given by the identity provider.
    pub roles: BTreeSet<Arc<str>>,
    /// The estate's policy files.
    pub policies: Vec<PolicyText>,
}

/// An Api in one major version.
#[derive(Debug, Clone)]
pub struct Api {
    /// Its name: `supplier-master`.
    pub name: Arc<str>,
    /// Major version.
    pub major: u32,
    /// `system`, `process` or `experience`.
    pub layer: Arc<str>,
    /// Who answers for it.
    pub owner: Arc<str>,
    /// Zones whose listeners show it.
    pub zones: BTreeSet<Zone>,
    /// Its operations.
    pub operations: Vec<Operation>,
}

/// An operation of an Api.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its name within the Api: `get-supplier`.
    pub name: Arc<str>,
    /// The scope that a caller has to hold; none where the operation is public.
    pub scope: Option<Arc<str>>,
    /// `realtime`, `normal` or `bulk`.
    pub lane: Arc<str>,
    /// Whether it changes something.
    pub writes: bool,
}

/// An entity and the classes of its sensitive paths.
#[derive(Debug, Clone)]
pub struct Entity {
    /// Its name: `supplier`.
    pub name: Arc<str>,
    /// Who answers for it.
    pub owner: Arc<str>,
    /// Paths and their classes, as `sensitivity:` gives them.
    pub sensitivity: BTreeMap<Arc<str>, Sensitivity>,
}

/// A flow.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Its name.
    pub name: Arc<str>,
    /// Who answers for it.
    pub owner: Arc<str>,
}

/// A client as its file grants it things. What a caller holds *now* may be less.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its name: `ghx`.
    pub name: Arc<str>,
    /// Partner or service; a person never is a client.
    pub kind: CallerKind,
    /// Its zone.
    pub zone: Zone,
    /// Who answers for it.
    pub owner: Arc<str>,
    /// Sites whose data it may see; empty means all.
    pub facilities: BTreeSet<Arc<str>>,
    /// Roles given to it.
    pub roles: BTreeSet<Arc<str>>,
    /// Scopes granted to it.
    pub scopes: BTreeSet<Arc<str>>,
    /// Purposes it may state; empty means that it need not state one.
    pub purposes: BTreeSet<Arc<str>>,
    /// Classes that it sees unmasked.
    pub reveal: BTreeSet<Sensitivity>,
}

/// A policy file.
#[derive(Debug, Clone)]
pub struct PolicyText {
    /// Where it is, relative to the estate: `policies/base.cedar`.
    pub path: Arc<str>,
    /// What it says.
    pub text: Arc<str>,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Call an operation of an Api.
    Call,
    /// Be told of an entity's events, by a webhook.
    Receive,
    /// Look at something in the console, payloads masked.
    View,
    /// Search the journal.
    Search,
    /// See values of a sensitivity class unmasked.
    Reveal,
    /// Send again what was sent before.
    Replay,
    /// Change a payload and send it.
    Edit,
    /// Give up a delivery.
    Cancel,
    /// Read the audit log.
    Audit,
    /// Change how the platform runs: park connections, rotate keys, sign in others.
    Administer,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Call,
        Self::Receive,
        Self::View,
        Self::Search,
        Self::Reveal,
        Self::Replay,
        Self::Edit,
        Self::Cancel,
        Self::Audit,
        Self::Administer,
    ];

    /// The one of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Its name in policies: `Action::"call"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Receive => "receive",
            Self::View => "view",
            Self::Search => "search",
            Self::Reveal => "reveal",
            Self::Replay => "replay",
            Self::Edit => "edit",
            Self::Cancel => "cancel",
            Self::Audit => "audit",
            Self::Administer => "administer",
        }
    }
}

/// What it is to be done to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resource {
    /// An operation in a major version of its Api.
    Operation {
        /// Name of the Api.
        api: Arc<str>,
        /// Major version.
        major: u32,
        /// Name of the operation.
        operation: Arc<str>,
    },
    /// An Api as a whole.
    Api(Arc<str>),
    /// An entity.
    Entity(Arc<str>),
    /// A flow.
    Flow(Arc<str>),
    /// The whole estate: what belongs to no single part of it.
    Estate,
}

/// What is known at the moment of asking, beside who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The zone of the listener that was asked.
    pub zone: Zone,
    /// The site whose data is asked for, where the request names one.
    pub facility: Option<Arc<str>>,
    /// Hour of the day where the hospital is, 0–23.
    pub hour: u8,
    /// Day of the week where the hospital is, 1 (Monday) – 7.
    pub weekday: u8,
    /// Whether the connection has a client certificate.
    pub mtls: bool,
    /// The class to be revealed; for [`Action::Reveal`] only.
    pub class: Option<Sensitivity>,
}

impl Facts {
    /// A request on a listener of a zone on Monday at noon, with nothing else known.
    ///
    /// ```
    /// use wardline_access::policy::Facts;
    /// use wardline_core::Zone;
    /// assert_eq!(Facts::at(Zone::Partner).hour, 12);
    /// ```
    pub const fn at(zone: Zone) -> Self {
        Self {
            zone,
            facility: None,
            hour: 12,
            weekday: 1,
            mtls: false,
            class: None,
        }
    }
}

/// The roles that the built-in policies know, and what they may do.
pub const ROLES: [(&str, &str); 6] = [
    (
        "integration-engineer",
        "everything technical: look, search, replay, edit, cancel, reveal for a stated purpose",
    ),
    (
        "support",
        "look and search masked, replay, cancel, reveal who a record is about for a stated purpose",
    ),
    (
        "process-owner",
        "look, search, replay and cancel, reveal business and personal data for a stated purpose",
    ),
    (
        "data-steward",
        "look, search, edit records of entities, reveal business and personal data for a stated purpose",
    ),
    (
        "security-auditor",
        "look and search, always masked, and read the audit log; changes nothing",
    ),
    (
        "administrator",
        "look, search, replay, cancel, read the audit log and change how the platform runs; sees masked data",
    ),
];

/// A class as policies name it.
pub(crate) const fn class_name(class: Sensitivity) -> &'static str {
    match class {
        Sensitivity::Public => "public",
        Sensitivity::Internal => "internal",
        Sensitivity::Financial => "financial",
        Sensitivity::Pii => "pii",
        Sensitivity::Phi => "phi",
        Sensitivity::Secret => "secret",
    }
}

/// A zone as policies name it.
pub(crate) const fn zone_name(zone: Zone) -> &'static str {
    match zone {
        Zone::Internal => "internal",
        Zone::Partner => "partner",
        Zone::Admin => "admin",
    }
}

/// A kind of caller as policies name it.
pub(crate) const fn kind_name(kind: CallerKind) -> &'static str {
    match kind {
        CallerKind::Partner => "partner",
        CallerKind::Service => "service",
        CallerKind::Person => "person",
    }
}

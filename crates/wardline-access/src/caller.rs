//! Who calls, once it is known.

use std::collections::BTreeSet;
use std::sync::Arc;
use wardline_core::{Timestamp, Zone};

/// What kind of principal a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallerKind {
    /// An organisation outside, declared in `clients/`.
    Partner,
    /// A machine of our own, declared in `clients/`.
    Service,
    /// A person with roles.
    Person,
}

/// How the caller proved who it is; later ones are stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// An API key.
    ApiKey,
    /// A shared secret, or a bearer token got with one.
    Secret,
    /// A signature with a private key (RFC 7523), or a bearer token got with one.
    PrivateKey,
    /// A client certificate, or a token bound to one (RFC 8705).
    Certificate,
}

/// A caller that was recognised. Being recognised permits nothing yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Name of the client file, or of the person.
    pub name: Arc<str>,
    /// What kind of principal it is.
    pub kind: CallerKind,
    /// The zone that it belongs to: a partner is heard on listeners of its zone only.
    pub zone: Zone,
    /// Scopes that it holds now: those granted to it, asked for, and in its token.
    pub scopes: BTreeSet<Arc<str>>,
    /// Roles, for people and for machines that were given some.
    pub roles: BTreeSet<Arc<str>>,
    /// Sites whose data it may see; empty means that no site restricts it.
    pub facilities: BTreeSet<Arc<str>>,
    /// How it proved who it is.
    pub strength: Strength,
    /// What it says the data is for, as in HL7's `v3-PurposeOfUse` (`TREAT`, `HPAYMT`, …).
    pub purpose: Option<Arc<str>>,
    /// When what it showed stops being valid.
    pub until: Option<Timestamp>,
}

//! Clients: who may come in, how they prove who they are, and what they may do.

use super::{ClientTls, Exhausted, FileRef, Network, Quota, Retry, SecretRef, WatchAction};
use crate::source::{Span, Spanned};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{Lane, Sensitivity, Timestamp, Zone};

/// An application, a partner or a group of people that calls Apis.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name, which is also its `client_id`.
    pub name: String,
    /// Where the name stands.
    pub at: Span,
    /// What people call it.
    pub title: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it is.
    pub kind: ClientKind,
    /// The only zone through whose listeners it may come.
    pub zone: Zone,
    /// The sites whose data it may see; empty means all.
    pub facilities: Vec<Spanned<String>>,
    /// Its roles, for policies.
    pub roles: Vec<Spanned<String>>,
    /// How it proves who it is. At least one of the ways is there.
    pub auth: ClientAuth,
    /// What it may be granted.
    pub scopes: Vec<Spanned<String>>,
    /// Purposes of use it may name.
    pub purpose: Vec<Spanned<String>>,
    /// Classes of values that it sees unmasked, besides public and internal ones.
    pub reveal: BTreeSet<Sensitivity>,
    /// Networks it may come from; empty means all.
    pub addresses: Vec<Network>,
    /// How much it may do.
    pub limits: ClientLimits,
    /// Where it is told of events.
    pub webhooks: Vec<ClientWebhook>,
    /// It is refused from then on.
    pub expires: Option<Spanned<Timestamp>>,
    /// Whether it is refused.
    pub disabled: bool,
    /// What happens when its calls stand out; what `identity.watch` says where absent.
    pub watch: Option<WatchAction>,
}

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientKind {
    /// An application of somebody else.
    Partner,
    /// An application of this organisation.
    Service,
    /// People, by their group at an issuer.
    PersonGroup,
}

impl ClientKind {
    /// The word used in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Service => "service",
            Self::PersonGroup => "person-group",
        }
    }
}

/// The ways in which a client proves who it is. Each that is there is enough, except that `mtls`
/// beside `oauth2` is required as well and binds tokens to the certificate (RFC 8705).
#[derive(Clone, Debug, Default)]
pub struct ClientAuth {
    /// A token of Wardline's own, by client credentials.
    pub oauth2: Option<OAuth2>,
    /// A client certificate.
    pub mtls: Option<Spanned<CertificateMatch>>,
    /// A key in a header.
    pub api_key: Option<ApiKey>,
    /// A token of somebody else.
    pub issuer: Option<IssuerClaim>,
    /// The file of the public keys of SSH that open its drop box.
    pub ssh: Option<FileRef>,
}

impl ClientAuth {
    /// Whether there is no way at all.
    pub const fn is_empty(&self) -> bool {
        self.oauth2.is_none()
            && self.mtls.is_none()
            && self.api_key.is_none()
            && self.issuer.is_none()
            && self.ssh.is_none()
    }
}

/// How a client authenticates at `/oauth/token`.
#[derive(Clone, Debug)]
pub enum OAuth2 {
    /// It signs an assertion (RFC 7523, as SMART Backend Services uses it).
    PrivateKeyJwt {
        /// The file of its public keys.
        file: FileRef,
        /// The keys: a JWK Set (RFC 7517) without private members.
        jwks: Arc<serde_json::Value>,
    },
    /// It signs an assertion with a key that it publishes itself.
    PublishedKeys {
        /// Where: a JWK Set behind `https`.
        url: Spanned<String>,
    },
    /// It knows a secret (RFC 6749, 2.3.1).
    ClientSecretBasic {
        /// Where the secret is.
        secret: SecretRef,
    },
    /// It shows a certificate (RFC 8705), which `mtls` describes.
    TlsClientAuth,
}

/// What a client certificate must say. Its chain is verified by the listener's `client_ca`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateMatch {
    /// Its subject, as RFC 4514 writes it: `CN=ghx`.
    Subject(String),
    /// One of its subject alternative names: a DNS name or a URI.
    San(String),
    /// The SHA-256 digest of the whole certificate.
    Thumbprint([u8; 32]),
}

/// A key in a header, for callers that can do no better.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The SHA-256 digest of the key; the key itself is nowhere.
    pub sha256: [u8; 32],
    /// It is refused from then on.
    pub expires: Spanned<Timestamp>,
    /// The Apis it opens; empty means all that the client's scopes open.
    pub apis: Vec<Spanned<String>>,
}

/// A token of an external issuer that stands for the client.
#[derive(Clone, Debug)]
pub struct IssuerClaim {
    /// The issuer's name in `identity.issuers` of `wardline.yaml`.
    pub name: Spanned<String>,
    /// The claim that tells.
    pub claim: String,
    /// What it must equal, or contain where it is a list.
    pub equals: Spanned<String>,
}

/// How much a client may do, over all Apis.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct ClientLimits {
    /// Requests per second; `None` is no limit.
    pub rate: Option<f64>,
    /// How many requests may be saved up while idle; one second's worth where absent.
    pub burst: Option<u32>,
    /// Requests in a longer time.
    pub quota: Option<Quota>,
    /// Requests in flight at a time; `None` is no limit.
    pub concurrent: Option<u32>,
    /// Largest request body, in bytes, where that is less than the Api's.
    pub body: Option<u64>,
}

/// Where a client is told of events (Standard Webhooks).
#[derive(Clone, Debug)]
pub struct ClientWebhook {
    /// The endpoint's name: the client's for `webhook`, `CLIENT.NAME` for one of `webhooks`.
    pub name: String,
    /// Where the file says where they are sent.
    pub at: Span,
    /// Where they are sent; always `https`. `None` where the client registers that itself.
    pub url: Option<Spanned<String>>,
    /// What signs them.
    pub secret: SecretRef,
    /// Further secrets that sign too: those before while they are changed, or one of the other kind.
    pub previous: Vec<SecretRef>,
    /// Their types.
    pub events: Vec<Spanned<String>>,
    /// A predicate in VRL over the event's data; it is not told where that is false.
    pub when: Option<Spanned<String>>,
    /// What the client needs them for, of the purposes that its file names.
    pub purpose: Option<Spanned<String>>,
    /// Whether only an id and an address are sent; where absent, for entities that hold phi.
    pub thin: Option<bool>,
    /// The address of our gateway as the client knows it, for what thin events leave out.
    pub fetch: Option<Spanned<String>>,
    /// How urgent.
    pub lane: Lane,
    /// How failed sends are tried again; by the schedule of Standard Webhooks where absent.
    pub retry: Option<Retry>,
    /// What becomes of an event that exhausted its retries.
    pub on_exhausted: Exhausted,
    /// When nothing is sent any more until a person says so.
    pub disable: DisableRule,
    /// Limit for one whole exchange.
    pub timeout: Duration,
    /// Sends at the same time.
    pub concurrent: u32,
    /// Whether only public addresses may be reached.
    pub public_only: bool,
    /// How the receiver is verified, and who we are to it.
    pub tls: Option<ClientTls>,
}

/// When an endpoint is given up until a person enables it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisableRule {
    /// It has failed for so long without a success.
    pub after: Duration,
    /// It has failed so often without a success; `None` for however often.
    pub failures: Option<u32>,
}

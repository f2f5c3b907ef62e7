//! What the audit log hears.

use crate::token::Reason;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use wardline_core::{Timestamp, Zone};
use wardline_vault::AuditEntry;

/// Something happened that the audit log must know. Holds names, ids, addresses and reasons;
/// never a token, a secret or a key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessEvent {
    /// A known caller asked for what it may not do.
    CallForbidden {
        /// Who.
        client: Arc<str>,
        /// `api.operation`.
        operation: String,
        /// Names of the policies that forbade it; empty where none permits it.
        policies: String,
        /// Where it came from.
        address: IpAddr,
    },
    /// A client got a token.
    TokenIssued {
        /// The client.
        client: Arc<str>,
        /// The token's id.
        jti: String,
        /// Its scopes.
        scopes: Vec<String>,
        /// How the client proved who it is: `private_key_jwt`, …
        method: &'static str,
        /// Whether the token is bound to a certificate.
        bound: bool,
        /// When it expires.
        until: Timestamp,
        /// Where the client called from.
        address: IpAddr,
    },
    /// A client was refused at one of the OAuth endpoints.
    ClientRefused {
        /// Who it said to be, where that has the form of a name. Not proven.
        claimed: Option<String>,
        /// Why it was refused.
        reason: Reason,
        /// Which endpoint: `token`, `introspect`, `revoke`.
        endpoint: &'static str,
        /// The zone of the listener.
        zone: Zone,
        /// Where it called from.
        address: IpAddr,
    },
    /// A call was refused because of its credential.
    CallRefused {
        /// Whose credential it is, where that was proven before it was refused.
        client: Option<Arc<str>>,
        /// Why it was refused.
        reason: Reason,
        /// The zone of the listener.
        zone: Zone,
        /// Where it called from.
        address: IpAddr,
    },
    /// A token was revoked by the client it was issued to.
    TokenRevoked {
        /// The client.
        client: Arc<str>,
        /// The token's id.
        jti: String,
        /// Where it called from.
        address: IpAddr,
    },
    /// All tokens of a client (or, without one, all tokens) issued until now were refused.
    TokensStopped {
        /// The client.
        client: Option<Arc<str>>,
    },
    /// A signing key went from one state of its life to the next.
    SigningKey {
        /// Its id.
        kid: String,
        /// The state it is in now: `published`, `active`, `retired`, `destroyed`.
        state: &'static str,
    },
    /// The keys of an external issuer were fetched, or could not be.
    IssuerKeys {
        /// The issuer's name in `wardline.yaml`.
        issuer: Arc<str>,
        /// What went wrong; `None` where nothing did.
        failure: Option<String>,
    },
}

impl AccessEvent {
    /// Whether somebody was refused, which anybody can cause at any rate. Everything else gives
    /// something or takes it away, and is rare or paid for.
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::CallForbidden { .. } | Self::ClientRefused { .. } | Self::CallRefused { .. }
        )
    }

    /// The entry for the audit log.
    pub fn to_audit(&self) -> AuditEntry {
        match self {
            Self::CallForbidden {
                client,
                operation,
                policies,
                address,
            } => AuditEntry::new(format!("client:{client}"), "call.forbid", &**operation)
                .because(if policies.is_empty() {
                    "no policy permits it".to_owned()
                } else {
                    format!("forbidden by {policies}")
                })
                .with("address", address.to_string()),
            Self::TokenIssued {
                client,
                jti,
                scopes,
                method,
                bound,
                until,
                address,
            } => AuditEntry::new(format!("client:{client}"), "token.issue", jti)
                .with("scopes", scopes.clone())
                .with("method", *method)
                .with("bound", *bound)
                .with("until", until.to_string())
                .with("address", address.to_string()),
            Self::ClientRefused {
                claimed,
                reason,
                endpoint,
                zone,
                address,
            } => AuditEntry::new(anonymous(*address), "token.refuse", *endpoint)
                .because(reason.to_string())
                .with("claimed", claimed.clone().unwrap_or_default())
                .with("zone", zone.to_string())
                .with("address", address.to_string()),
            Self::CallRefused {
                client,
                reason,
                zone,
                address,
            } => {
                let actor = match client {
                    Some(client) => format!("client:{client}"),
                    None => anonymous(*address),
                };
                AuditEntry::new(actor, "call.refuse", zone.to_string())
                    .because(reason.to_string())
                    .with("address", address.to_string())
            }
            Self::TokenRevoked {
                client,
                jti,
                address,
            } => AuditEntry::new(format!("client:{client}"), "token.revoke", jti)
                .with("address", address.to_string()),
            Self::TokensStopped { client } => {
                let target = client.as_deref().unwrap_or("all clients");
                AuditEntry::new("system:access", "token.stop", target)
            }
            Self::SigningKey { kid, state } => {
                AuditEntry::new("system:access", "signing-key.change", kid).with("state", *state)
            }
            Self::IssuerKeys { issuer, failure } => {
                AuditEntry::new("system:access", "issuer-keys.fetch", &**issuer)
                    .because(failure.clone().unwrap_or_default())
            }
        }
    }
}

fn anonymous(address: IpAddr) -> String {
    format!("address:{address}")
}

/// Where events go: a function that must not block for long. The gateway writes them to the
/// audit log; where that is full it holds callers up rather than lose one.
#[derive(Clone)]
pub struct AccessSink(Arc<dyn Fn(AccessEvent) + Send + Sync>);

impl AccessSink {
    /// Hands every event to this function.
    pub fn new(hear: impl Fn(AccessEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    /// Hands over one event.
    pub(crate) fn tell(&self, event: AccessEvent) {
        (self.0)(event);
    }
}

impl fmt::Debug for AccessSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessSink")
    }
}

/// A name that somebody claimed, if it has the form of one: whatever else was written there
/// (a secret in the wrong field) must not reach a log.
pub(crate) fn claimed_name(text: &str) -> Option<String> {
    let named = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)
        });
    named.then(|| text.to_owned())
}

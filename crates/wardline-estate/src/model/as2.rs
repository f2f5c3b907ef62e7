//! AS2 connections.

use super::{Auth, ClientTls, FileRef, Network, SecretRef, ServerTls};
use crate::source::Spanned;
use std::net::SocketAddr;
use std::time::Duration;

/// A certificate of ours and its key.
#[derive(Clone, Debug)]
pub struct As2Identity {
    /// The certificate.
    pub cert: FileRef,
    /// Its key.
    pub key: SecretRef,
}

/// A partner to whom payloads are sent.
#[derive(Clone, Debug)]
pub struct As2Out {
    /// Where the partner receives.
    pub url: Spanned<String>,
    /// Our AS2 name.
    pub from: String,
    /// The partner's AS2 name.
    pub to: String,
    /// What signs; nothing is signed where absent.
    pub identity: Option<As2Identity>,
    /// The partner's certificates.
    pub partner: Option<FileRef>,
    /// Whether payloads are encrypted.
    pub encrypt: bool,
    /// Whether receipts must be signed; none are asked for where absent.
    pub receipt: Option<bool>,
    /// What messages are about.
    pub subject: String,
    /// The media type of payloads, where not that of the delivery.
    pub content: Option<String>,
    /// How Wardline proves who it is to the server.
    pub auth: Auth,
    /// How long the partner may take.
    pub timeout: Duration,
    /// TLS, where the system's roots do not do.
    pub tls: Option<ClientTls>,
}

/// A port on which a partner's messages are received.
#[derive(Clone, Debug)]
pub struct As2In {
    /// The local address.
    pub bind: Spanned<SocketAddr>,
    /// The path that the partner posts to.
    pub path: String,
    /// Our AS2 name.
    pub to: String,
    /// The partner's AS2 name.
    pub from: String,
    /// What decrypts and signs receipts; the newest first.
    pub identities: Vec<As2Identity>,
    /// The partner's certificates.
    pub partner: Option<FileRef>,
    /// Whether messages must be signed.
    pub signed: bool,
    /// Whether messages must be encrypted.
    pub encrypted: bool,
    /// Where receipts may be sent that a message wants afterwards.
    pub receipts: Option<String>,
    /// What payloads are.
    pub content: As2Content,
    /// The largest message, in bytes.
    pub max_size: u64,
    /// Most connections at a time.
    pub max_connections: u32,
    /// Networks that may connect; empty means all.
    pub allow: Vec<Network>,
    /// TLS, if the port speaks it.
    pub tls: Option<ServerTls>,
    /// How long a message's name is remembered.
    pub remember: Duration,
}

/// What payloads of AS2 are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As2Content {
    /// X12 interchanges.
    X12,
    /// JSON.
    Json,
    /// Any text.
    Text,
}

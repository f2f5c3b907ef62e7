//! What can be set.

use std::sync::Arc;
use std::time::Duration;

use crate::Secret;
use crate::tls::ClientTls;
use wardline_core::mail::{Address, Recipients};

/// How mail leaves.
#[derive(Debug, Clone)]
pub struct OutboundConfig {
    /// The connection, `system.connection`.
    pub name: Arc<str>,
    /// The server's host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How TLS is begun.
    pub security: Security,
    /// How the server is verified.
    pub tls: ClientTls,
    /// `user:password`.
    pub login: Option<Secret>,
    /// Who it is from.
    pub from: Address,
    /// Who gets it where the payload does not say.
    pub to: Vec<Address>,
    /// Who may get mail.
    pub recipients: Recipients,
    /// The name that we greet with.
    pub greeting: String,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// Limit for one whole mail.
    pub timeout: Duration,
    /// The largest mail, in bytes.
    pub max_size: usize,
}

/// How TLS is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// After `STARTTLS`; without it nothing is sent.
    StartTls,
    /// From the first byte.
    Implicit,
    /// Not at all.
    None,
}

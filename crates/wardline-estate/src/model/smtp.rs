//! Mail out.

use super::{ClientTls, SecretRef};
use crate::source::{Span, Spanned};
use std::time::Duration;
use wardline_core::mail::Address;

/// A mail server.
#[derive(Clone, Debug)]
pub struct SmtpOut {
    /// `host:port`.
    pub server: Spanned<String>,
    /// How TLS is begun.
    pub security: SmtpSecurity,
    /// How the server is verified.
    pub tls: ClientTls,
    /// `user:password`.
    pub login: Option<SecretRef>,
    /// Who mail is from.
    pub from: Address,
    /// Who gets it where the payload does not say.
    pub to: Vec<(Address, Span)>,
    /// Who may get mail: addresses and domains.
    pub recipients: Vec<String>,
    /// How long to wait for a session.
    pub connect_timeout: Duration,
    /// Limit for one whole mail.
    pub timeout: Duration,
    /// The largest mail, in bytes.
    pub max_size: u64,
    /// Whether it was said what mails may hold.
    pub classified: bool,
}

/// How TLS is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// By `STARTTLS`.
    StartTls,
    /// From the first byte.
    Implicit,
    /// Not at all.
    None,
}

//! Where partners bring and fetch files.

use super::{Network, SecretRef};
use crate::source::{Span, Spanned};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A server of SFTP with a directory for each client.
#[derive(Clone, Debug)]
pub struct DropBoxes {
    /// The local address.
    pub bind: Spanned<SocketAddr>,
    /// The private keys by which it is known.
    pub host_keys: Vec<SecretRef>,
    /// Networks that may connect; empty means all.
    pub allow: Vec<Network>,
    /// Most connections at a time.
    pub max_connections: u32,
    /// A connection that is silent for so long is closed.
    pub idle_timeout: Duration,
    /// The boxes, by client.
    pub boxes: BTreeMap<String, DropBox>,
}

/// The directory of one client.
#[derive(Clone, Debug)]
pub struct DropBox {
    /// Where the client's name stands.
    pub at: Span,
    /// Where it is; relative to the estate.
    pub directory: Spanned<String>,
    /// Bytes that may lie in `in`.
    pub quota: u64,
    /// Files that may lie in `in`.
    pub files: u32,
    /// Most connections of the client at a time.
    pub sessions: u32,
}

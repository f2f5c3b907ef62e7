//! What can be set.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::Network;
use crate::files::Directory;
use crate::tls::{ClientTls, ServerTls};

/// A listener.
#[derive(Clone)]
pub struct InboundConfig {
    /// The connection it belongs to, such as `imaging.modalities`.
    pub source: Arc<str>,
    /// Address and port.
    pub bind: String,
    /// TLS; plain where absent.
    pub tls: Option<ServerTls>,
    /// Networks that may connect; everyone where empty.
    pub allow: Vec<Network>,
    /// Our AE title.
    pub title: String,
    /// AE titles that may call.
    pub callers: Vec<String>,
    /// Where objects are put; none are taken where absent.
    pub objects: Option<PathBuf>,
    /// Where entries of the worklist lie; it is not offered where absent.
    pub worklist: Option<Arc<dyn Directory>>,
    /// Where the state of steps is kept; MPPS is not offered where absent.
    pub steps: Option<Arc<dyn Directory>>,
    /// The largest object, in bytes.
    pub max_object: u64,
    /// Associations at a time.
    pub max_connections: usize,
    /// How long a peer may be silent between operations.
    pub idle_timeout: Duration,
    /// How long anything that has begun may take to go on.
    pub stall_timeout: Duration,
    /// How long a message waits for room before its peer is told to come later.
    pub busy_limit: Duration,
    /// How long associations may take to end at shutdown.
    pub drain: Duration,
}

impl InboundConfig {
    /// A plain listener that lets nobody in and offers nothing but C-ECHO; the usual limits.
    pub fn new(source: impl Into<Arc<str>>, bind: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            bind: bind.into(),
            tls: None,
            allow: Vec::new(),
            title: "WARDLINE".into(),
            callers: Vec::new(),
            objects: None,
            worklist: None,
            steps: None,
            max_object: 4 << 30,
            max_connections: 32,
            idle_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(30),
            busy_limit: Duration::from_secs(10),
            drain: Duration::from_secs(20),
        }
    }
}

/// A peer that objects are sent to.
#[derive(Clone)]
pub struct OutboundConfig {
    /// The connection's name, for errors.
    pub name: Arc<str>,
    /// Host and port.
    pub address: String,
    /// TLS; plain where absent.
    pub tls: Option<ClientTls>,
    /// The peer's AE title.
    pub called: String,
    /// Our AE title.
    pub calling: String,
    /// Where the objects lie that payloads name.
    pub objects: Arc<dyn Directory>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the peer may take for anything.
    pub timeout: Duration,
}

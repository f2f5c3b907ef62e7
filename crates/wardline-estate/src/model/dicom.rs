//! DICOM connections.

use super::{Auth, ClientTls, Network, ServerTls};
use crate::source::Spanned;
use std::net::SocketAddr;
use std::time::Duration;

/// A DICOM port that Wardline listens on.
#[derive(Clone, Debug)]
pub struct DicomIn {
    /// The local address.
    pub bind: Spanned<SocketAddr>,
    /// Our AE title.
    pub title: String,
    /// AE titles that may call.
    pub callers: Vec<Spanned<String>>,
    /// Where objects are put; none are taken where absent.
    pub objects: Option<Spanned<String>>,
    /// Where entries of the worklist lie.
    pub worklist: Option<Spanned<String>>,
    /// Where the state of performed steps is kept.
    pub steps: Option<Spanned<String>>,
    /// The largest object, in bytes.
    pub max_object: u64,
    /// An association on which nothing is asked for so long is ended.
    pub idle_timeout: Duration,
    /// How long anything that has begun may take to go on.
    pub stall_timeout: Duration,
    /// Most associations at a time.
    pub max_connections: u32,
    /// Networks that may connect; empty means all.
    pub allow: Vec<Network>,
    /// TLS, if the port speaks it.
    pub tls: Option<ServerTls>,
    /// How long it is remembered what came.
    pub remember: Duration,
}

/// A DICOM peer that objects are sent to.
#[derive(Clone, Debug)]
pub struct DicomOut {
    /// `host:port`.
    pub address: Spanned<String>,
    /// The peer's AE title.
    pub called: String,
    /// Our AE title.
    pub calling: String,
    /// Where the objects lie.
    pub objects: Spanned<String>,
    /// How long the peer may take for anything.
    pub timeout: Duration,
    /// How long to wait for the connection.
    pub connect_timeout: Duration,
    /// TLS, if the other side wants it.
    pub tls: Option<ClientTls>,
}

/// A DICOMweb server that objects are sent to.
#[derive(Clone, Debug)]
pub struct DicomWeb {
    /// The service's URL.
    pub url: Spanned<String>,
    /// How Wardline proves who it is.
    pub auth: Auth,
    /// Where the objects lie.
    pub objects: Spanned<String>,
    /// How long one object may take.
    pub timeout: Duration,
    /// How long to wait for the connection.
    pub connect_timeout: Duration,
    /// TLS, where the system's roots do not do.
    pub tls: Option<ClientTls>,
}

/// Entries of a worklist.
#[derive(Clone, Debug)]
pub struct DicomEntries {
    /// Where they lie.
    pub entries: Spanned<String>,
}

//! What can be set on either side of MLLP.

use std::sync::Arc;
use std::time::Duration;

use crate::Network;
use crate::tls::{ClientTls, ServerTls};

/// Which acknowledgements a listener gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AckMode {
    /// By MSH-15 and MSH-16: original mode where both are empty, else what they ask for.
    #[default]
    Auto,
    /// Always exactly one of AA, AE, AR, whatever MSH-15 and MSH-16 say.
    Original,
    /// Enhanced also where MSH-15 and MSH-16 are empty: then exactly one of CA, CE, CR.
    Enhanced,
}

/// One MLLP listener.
#[derive(Debug, Clone)]
pub struct InboundConfig {
    /// The connection it belongs to, such as `ehr.adt`.
    pub source: Arc<str>,
    /// Address and port, such as `0.0.0.0:2575`; port 0 picks a free one.
    pub bind: String,
    /// TLS; plain where absent.
    pub tls: Option<ServerTls>,
    /// Networks that may connect; everyone where empty.
    pub allow: Vec<Network>,
    /// Which acknowledgements are given.
    pub ack_mode: AckMode,
    /// Largest message in bytes; a larger one is answered AR and skipped.
    pub max_size: usize,
    /// Connections open at the same time; further ones are closed at once.
    pub max_connections: usize,
    /// Messages of one connection in hand at the same time, for senders that pipeline.
    pub read_ahead: usize,
    /// Bytes that all messages in hand may have together; past it reading pauses. At least
    /// `max_size` and 64 KiB.
    pub in_flight_bytes: usize,
    /// A connection on which nothing came for so long is closed.
    pub idle_timeout: Duration,
    /// A message that began and did not go on for so long is given up and the connection closed.
    pub frame_timeout: Duration,
    /// How long a message waits for room before it is answered AE.
    pub busy_limit: Duration,
    /// How long a peer may take to read an acknowledgement.
    pub write_timeout: Duration,
    /// How long messages in hand may take at shutdown.
    pub drain: Duration,
}

impl InboundConfig {
    /// A plain listener with the usual limits: 16 MiB a message, 256 connections, 64 messages
    /// of read-ahead, 128 MiB in hand, 1 h idle, 60 s within a message, 30 s busy, 30 s to
    /// write, 20 s to drain.
    pub fn new(source: impl Into<Arc<str>>, bind: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            bind: bind.into(),
            tls: None,
            allow: Vec::new(),
            ack_mode: AckMode::Auto,
            max_size: 16 << 20,
            max_connections: 256,
            read_ahead: 64,
            in_flight_bytes: 128 << 20,
            idle_timeout: Duration::from_hours(1),
            frame_timeout: Duration::from_mins(1),
            busy_limit: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(20),
        }
    }
}

/// How strictly an acknowledgement must name the message that it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Correlation {
    /// MSA-2 must be the message's MSH-10.
    #[default]
    Strict,
    /// An empty MSA-2 is taken too, for receivers that never fill it.
    AllowEmpty,
}

/// What AE and CE mean for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The receiver had a fault of its own: try again.
    #[default]
    Transient,
    /// The receiver reports bad content this way: do not.
    Permanent,
}

/// One MLLP receiver that is sent to.
#[derive(Debug, Clone)]
pub struct OutboundConfig {
    /// The connection's name in the estate, for logs and errors.
    pub name: Arc<str>,
    /// Host and port, such as `ehr.example:2576`.
    pub address: String,
    /// TLS; plain where absent.
    pub tls: Option<ClientTls>,
    /// Connections to hold. One keeps all messages in order and suits receivers that allow one.
    pub sessions: usize,
    /// Whether a connection carries message after message. Without, each message gets one of its
    /// own, which is closed after the acknowledgement: for receivers that close it themselves
    /// then, since a message that crosses their close counts as a failed attempt.
    pub reuse: bool,
    /// How long connecting (with the TLS handshake) may take.
    pub connect_timeout: Duration,
    /// How long to wait for each acknowledgement.
    pub ack_timeout: Duration,
    /// How long an error may take to arrive where MSH-15 asks for errors only (`ER`).
    pub error_window: Duration,
    /// Whether to wait for the application acknowledgement too where MSH-16 asks for one.
    pub wait_for_application: bool,
    /// How strictly acknowledgements are matched.
    pub correlation: Correlation,
    /// What AE and CE mean.
    pub on_error: OnError,
    /// Largest acknowledgement in bytes.
    pub max_reply: usize,
    /// A connection unused for so long is closed and made anew; firewalls forget them silently.
    pub idle_limit: Duration,
    /// After a failed connect, attempts fail at once for so long; doubles with each failure.
    pub first_backoff: Duration,
    /// Most that the pause after a failed connect grows to.
    pub max_backoff: Duration,
}

impl OutboundConfig {
    /// One plain connection that stays open; 10 s to connect, 30 s for an acknowledgement, 1 MiB a reply, 5 min
    /// idle, pauses of 100 ms to 5 s after failed connects.
    pub fn new(name: impl Into<Arc<str>>, address: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            tls: None,
            sessions: 1,
            reuse: true,
            connect_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(30),
            error_window: Duration::from_secs(2),
            wait_for_application: true,
            correlation: Correlation::Strict,
            on_error: OnError::Transient,
            max_reply: 1 << 20,
            idle_limit: Duration::from_mins(5),
            first_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
        }
    }
}

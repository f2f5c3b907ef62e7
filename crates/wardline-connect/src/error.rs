//! Why a connector could not be set up. Failures of single sends are [`crate::Failure`].

use std::path::PathBuf;

use thiserror::Error;

/// Why a listener or a sender could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A listener's address could not be bound.
    #[error(
        "cannot listen on {address} for {name}: {source}; check that no other program holds the port and that the address belongs to this machine"
    )]
    Bind {
        /// The listener's name in the estate.
        name: String,
        /// The address as configured.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A PEM file could not be read.
    #[error(
        "cannot read {what} from {path}: {source}; check that the file exists and that this process may read it"
    )]
    ReadPem {
        /// Certificate, key or CA.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// PEM text held nothing usable.
    #[error(
        "cannot find {what} in {origin}: it must be PEM text with at least one such entry ({detail})"
    )]
    BadPem {
        /// Certificate, key or CA.
        what: &'static str,
        /// The file, or `the secret`.
        origin: String,
        /// What is wrong with it; never its content.
        detail: String,
    },
    /// Certificate, key and CA do not make a TLS configuration.
    #[error(
        "cannot set up TLS for {name}: {detail}; check that the key belongs to the certificate and that both are current"
    )]
    Tls {
        /// The connection's name.
        name: String,
        /// What rustls said.
        detail: String,
    },
    /// The system has no trusted root certificates.
    #[error(
        "cannot verify servers for {name}: the system holds no root certificates; install ca-certificates or name a CA file in the connection"
    )]
    NoRoots {
        /// The connection's name.
        name: String,
    },
    /// An address or URL cannot be used.
    #[error("cannot use {value:?} as {what} of {name}: {detail}")]
    BadSetting {
        /// The connection's name.
        name: String,
        /// Which setting.
        what: &'static str,
        /// The value as configured; never a secret.
        value: String,
        /// What is expected instead.
        detail: String,
    },
    /// Two routes of one listener answer the same method and path.
    #[error(
        "cannot serve {method} {path} twice: both {first} and {second} claim it; give one another path"
    )]
    RouteClash {
        /// HTTP method.
        method: String,
        /// Path.
        path: String,
        /// Source of the first route.
        first: String,
        /// Source of the second.
        second: String,
    },
    /// A single exchange of the command line's client failed.
    #[error("cannot exchange a message with {peer}: {detail}")]
    Exchange {
        /// The peer's address.
        peer: String,
        /// What happened.
        detail: String,
    },
}

/// An error with what it comes from, which is where the reason is.
pub(crate) fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

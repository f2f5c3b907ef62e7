//! FTPS: files on other machines, over FTP with TLS.
//!
//! [`Remote`] is a [`Directory`](crate::files::Directory) of another machine: whatever is promised of
//! files holds for those, too. What is added:
//! - Neither a name nor a file is sent before TLS is up, on both kinds of connections; a server that wants them
//!   without is refused.
//! - Files come from the address that was logged in at: another one that a server names for a transfer is not
//!   listened to.
//! - A file whose transfer does not end as TLS ends (`close_notify`), or that the server does not confirm, is
//!   not whole. It is taken up where it was.
//! - Lines and lists are bounded.
//!
//! Sources: RFC 959 (FTP), RFC 2228 and 4217 (TLS), RFC 2428 (EPSV), RFC 3659 (MLSD, MDTM, SIZE, REST).

mod control;
mod data;
mod listing;
mod remote;

use std::sync::Arc;
use std::time::Duration;

use crate::tls::ClientTls;
use crate::{ConnectError, Secret};

pub use remote::Remote;

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// When `AUTH TLS` asked for it; port 21.
    Explicit,
    /// With the first byte; port 990.
    Implicit,
}

/// How another machine is reached.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The connection's name, for errors.
    pub name: String,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// When TLS begins.
    pub mode: Mode,
    /// Who we are there.
    pub user: String,
    /// What proves it.
    pub password: Secret,
    /// The directory, relative to where one is after logging in; empty for that itself.
    pub directory: String,
    /// How the server's certificate is verified.
    pub tls: ClientTls,
    /// How long connecting may take, for each of the server's addresses.
    pub connect_timeout: Duration,
    /// How long the server may be silent.
    pub timeout: Duration,
}

/// A machine that can be connected to.
#[derive(Debug, Clone)]
pub struct Place {
    config: ClientConfig,
    /// Shared by all connections, so that one for a transfer takes up the session of the one that asked for
    /// it: most servers take that as the proof that both are the same client's.
    tls: Arc<rustls::ClientConfig>,
    server: rustls_pki_types::ServerName<'static>,
    may_log_in: bool,
}

impl Place {
    /// Connects to nothing before it is asked.
    ///
    /// # Errors
    /// Where a certificate, user or password cannot be used.
    pub fn new(config: ClientConfig) -> Result<Self, ConnectError> {
        let bad = |what| ConnectError::BadSetting {
            name: config.name.clone(),
            what,
            value: "…".into(),
            detail: "it is no text that fits on a line of FTP".into(),
        };
        if !control::fits(config.user.as_bytes()) {
            return Err(bad("user"));
        }
        if !control::fits(config.password.expose()) {
            return Err(bad("password"));
        }
        Ok(Self {
            tls: Arc::new(config.tls.build(&config.name)?),
            server: config.tls.verified_name(&config.name, &config.host)?,
            may_log_in: true,
            config,
        })
    }

    /// The same, and logs in nowhere any more.
    #[must_use]
    pub fn without_credentials(&self) -> Self {
        let mut withheld = self.clone();
        withheld.config.password = Secret::from("");
        withheld.may_log_in = false;
        withheld
    }
}

/// Lines of directories and answers of servers, for the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        let _read = (listing::machine(line), listing::for_people(line));
        let _told = (listing::time(line), listing::quoted(line));
        let _port = (listing::epsv(line), listing::pasv(line));
    }
}

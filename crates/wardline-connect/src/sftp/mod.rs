//! SFTP: files on other machines, and a place where others put theirs.
//!
//! [`Remote`] is a [`Directory`](crate::files::Directory) of another machine: whatever is promised of
//! files holds for those, too. What is added:
//! - Nothing is sent to a server, not even a user's name, before it has shown the host key that the
//!   estate names.
//! - A file that is being read when its connection breaks is taken up where it was.
//! - Memory is bounded: a read asks for 4 MiB ahead at most, and whatever a server sends that was not
//!   asked for ends the connection.

mod keys;
mod login;
mod remote;
pub mod server;
mod session;
mod wire;

use std::time::Duration;

pub use keys::{Credentials, HostKey, NoHostKey, Written};
pub use remote::Remote;

/// How another machine is reached.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Its name or address.
    pub host: String,
    /// Its port, mostly 22.
    pub port: u16,
    /// Who we are there.
    pub user: String,
    /// By which keys it is known; any of them.
    pub host_keys: Vec<HostKey>,
    /// What proves who we are.
    pub credentials: Credentials,
    /// The directory, relative to where one is after logging in; empty for that itself.
    pub directory: String,
    /// How long connecting may take, and again logging in.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl ClientConfig {
    /// The same, and logs in nowhere any more.
    #[must_use]
    pub fn without_credentials(&self) -> Self {
        Self {
            credentials: Credentials::default(),
            ..self.clone()
        }
    }

    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

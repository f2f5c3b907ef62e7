//! How other machines are reached, on which files lie.

use super::{FileRef, SecretRef};
use crate::source::Spanned;
use std::time::Duration;

/// How another machine is reached.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Over SFTP.
    Sftp(SftpReach),
}

impl Reach {
    /// The key that declares it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Sftp(_) => "sftp",
        }
    }
}

/// How another machine is reached over SFTP.
#[derive(Clone, Debug)]
pub struct SftpReach {
    /// Its name or address.
    pub host: Spanned<String>,
    /// Its port.
    pub port: u16,
    /// Who we are there.
    pub user: Spanned<String>,
    /// By which keys it is known: fingerprints, or lines of public keys.
    pub host_keys: Vec<Spanned<String>>,
    /// Our private key.
    pub key: Option<SecretRef>,
    /// What opens it.
    pub passphrase: Option<SecretRef>,
    /// Its certificate.
    pub certificate: Option<FileRef>,
    /// Our password.
    pub password: Option<SecretRef>,
    /// Limit for connecting.
    pub connect_timeout: Duration,
    /// Limit for each answer.
    pub timeout: Duration,
}

//! How other machines are reached, on which files lie.

use super::{ClientTls, FileRef, SecretRef};
use crate::source::Spanned;
use std::time::Duration;

/// How another machine is reached.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Over SFTP.
    Sftp(SftpReach),
    /// Over FTP with TLS.
    Ftps(FtpsReach),
    /// An object store.
    S3(S3Reach),
}

impl Reach {
    /// The key that declares it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Sftp(_) => "sftp",
            Self::Ftps(_) => "ftps",
            Self::S3(_) => "s3",
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

/// How another machine is reached over FTP with TLS.
#[derive(Clone, Debug)]
pub struct FtpsReach {
    /// Its name or address.
    pub host: Spanned<String>,
    /// Its port.
    pub port: u16,
    /// Whether TLS begins with the first byte.
    pub implicit: bool,
    /// Who we are there.
    pub user: Spanned<String>,
    /// What proves it; always there in an estate that is sound.
    pub password: Option<SecretRef>,
    /// How its certificate is verified.
    pub tls: Option<ClientTls>,
    /// Limit for connecting.
    pub connect_timeout: Duration,
    /// Limit for each answer.
    pub timeout: Duration,
}

/// How a bucket of an object store is reached.
#[derive(Clone, Debug)]
pub struct S3Reach {
    /// The service.
    pub url: Spanned<String>,
    /// The bucket.
    pub bucket: Spanned<String>,
    /// Its region.
    pub region: String,
    /// Whether the bucket's name stands in the path of addresses.
    pub in_path: bool,
    /// The id of our access key; always there in an estate that is sound.
    pub key_id: Option<SecretRef>,
    /// The access key; as `key_id`.
    pub key: Option<SecretRef>,
    /// How the service's certificate is verified.
    pub tls: Option<ClientTls>,
    /// Limit for connecting.
    pub connect_timeout: Duration,
    /// Limit for each answer.
    pub timeout: Duration,
}

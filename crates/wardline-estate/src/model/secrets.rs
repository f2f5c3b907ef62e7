//! `secrets:` of `wardline.yaml`.

use super::{FileRef, SecretRef};
use crate::source::Spanned;
use std::path::PathBuf;
use std::time::Duration;

/// Where secrets come from beside the environment and the secrets directory.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// One file for many secrets, encrypted with age; below the estate where relative.
    pub file: Option<PathBuf>,
    /// The file of age identities; below the estate where relative.
    pub identities: Option<PathBuf>,
    /// Recipients that new values are encrypted to, beside the identities' own.
    pub recipients: Vec<Spanned<String>>,
    /// How long the value before a change is accepted of callers.
    pub overlap: Duration,
    /// Vault or OpenBao.
    pub vault: Option<VaultServer>,
    /// Every reference to a secret in the estate, in the order of its files.
    pub used: Vec<SecretRef>,
}

/// Vault or OpenBao.
#[derive(Clone, Debug)]
pub struct VaultServer {
    /// Where it is.
    pub address: Spanned<String>,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Authorities to trust instead of the system's, PEM.
    pub ca: Option<FileRef>,
    /// As whom to ask.
    pub login: Option<VaultLogin>,
    /// Where its key-value engine (version 2) is mounted.
    pub mount: String,
    /// The path below it that holds the estate's secrets.
    pub path: String,
    /// How often values are read again.
    pub every: Duration,
    /// How long the last value is used while it does not answer.
    pub stale: Duration,
}

/// As whom to ask Vault. What proves it is never in Vault itself.
#[derive(Clone, Debug)]
pub enum VaultLogin {
    /// A token.
    Token(SecretRef),
    /// AppRole.
    AppRole {
        /// Where the method is mounted.
        mount: String,
        /// The role's id.
        role: String,
        /// Its secret id.
        secret: SecretRef,
    },
}

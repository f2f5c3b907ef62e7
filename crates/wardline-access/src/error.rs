//! Why access could not be set up or kept.

use std::path::PathBuf;
use wardline_core::Code;
use wardline_vault::VaultError;

/// What was attempted, on what, and what the reader can do. For operators; a caller never
/// sees one of these.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A file of the data directory or a master key could not be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A file of ours in the data directory is not what was written there.
    #[error("{} cannot be used ({reason}): restore it from a backup, or remove it; tokens issued until now are refused then", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Keys could not be made.
    #[error(
        "the operating system or the cryptographic library gave no new key: nothing can be signed"
    )]
    NoKey,
    /// The URL of an issuer cannot be one.
    #[error(
        "`{url}` cannot be the URL of an issuer ({reason}): write https://HOST or https://HOST:PORT"
    )]
    IssuerUrl {
        /// What was written.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Tokens may not live that long.
    #[error("tokens may live for 1 to 300 seconds, not {seconds}: set identity.token.life")]
    TokenLife {
        /// What was asked for.
        seconds: u64,
    },
    /// Two clients cannot be told apart, or one has a credential that cannot be used.
    #[error("client `{client}` cannot be used: {reason}")]
    Client {
        /// Name of the client.
        client: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The accounts of people are not what was written.
    #[error("{} cannot be used ({reason}): restore it from a backup; until then nobody comes in by an account", path.display())]
    Accounts {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate that somebody shows is not one.
    #[error("the certificate cannot be read: it is not X.509 in DER form")]
    Certificate,
}

impl AccessError {
    /// The stable code of this error.
    pub const fn code(&self) -> Code {
        match self {
            Self::Vault(error) => error.code(),
            Self::Malformed { .. } => Code("W6401"),
            Self::NoKey => Code("W6402"),
            Self::IssuerUrl { .. } => Code("W6403"),
            Self::TokenLife { .. } => Code("W6404"),
            Self::Client { .. } => Code("W6405"),
            Self::Certificate => Code("W6406"),
            Self::Accounts { .. } => Code("W6407"),
        }
    }
}

//! Identity: by whom tokens are issued, and whose tokens are believed.

use super::FileRef;
use crate::source::{Span, Spanned};
use std::collections::BTreeMap;
use std::time::Duration;

/// `identity:` of `wardline.yaml`.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The issuer's URL, which stands in tokens as `iss`. Without one in the file it is that of the
    /// first internal listener.
    pub issuer: String,
    /// Where the file says it.
    pub issuer_at: Option<Span>,
    /// Tokens that Wardline issues.
    pub token: TokenSettings,
    /// Others whose tokens are believed, by name.
    pub issuers: BTreeMap<String, Issuer>,
    /// When calls of a client stand out.
    pub watch: WatchSettings,
}

/// Tokens that Wardline issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// How long one is good.
    pub life: Duration,
    /// How it is signed.
    pub algorithm: TokenAlgorithm,
}

/// How tokens of Wardline are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl TokenAlgorithm {
    /// Its name in JOSE (RFC 7518, RFC 8037).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// Somebody else whose tokens are believed.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub at: Span,
    /// Its URL: what `iss` must equal, and where its metadata is discovered.
    pub url: Spanned<String>,
    /// Where its keys come from.
    pub keys: IssuerKeys,
    /// What `aud` must contain.
    pub audience: Spanned<String>,
    /// The algorithms that its tokens may have; asymmetric ones only.
    pub algorithms: Vec<String>,
    /// Which scopes its tokens bring.
    pub scopes: IssuerScopes,
    /// The authorities that its certificate is verified by, where they are not the system's.
    pub ca: Option<FileRef>,
}

/// Which scopes a token of somebody else brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerScopes {
    /// Those that stand in it and were granted to the client.
    Token,
    /// All that were granted to the client.
    Granted,
}

/// `identity.watch`: when calls of a client stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchSettings {
    /// What happens then.
    pub action: WatchAction,
    /// Days of a client's life in which only denials past the ceiling stand out.
    pub learning_days: u16,
    /// Days on which it must have called besides.
    pub active_days: u16,
    /// Calls an hour below which no volume is unusual.
    pub quiet_calls: u32,
    /// How many times the most that was seen before is too much.
    pub times_most: u32,
    /// Denials an hour below which they are mistakes.
    pub few_denials: u32,
    /// Denials an hour that stand out also while learning.
    pub denials_ceiling: u32,
}

/// What happens when calls of a client stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchAction {
    /// Nothing: they are not watched.
    Off,
    /// People are told.
    Alert,
    /// People are told, and the client is refused until one of them lets it in again.
    Quarantine,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug)]
pub enum IssuerKeys {
    /// Its metadata (OpenID Connect Discovery).
    Discovered,
    /// This URL.
    Url(Spanned<String>),
    /// A file of the estate: a JWK Set.
    File(FileRef),
}

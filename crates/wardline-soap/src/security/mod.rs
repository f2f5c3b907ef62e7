//! WS-Security 1.1: who sent a message, that it is fresh, and that nobody changed it.
//!
//! [`Protection`] adds to what is sent: a timestamp, a user name with the digest of its password, a
//! signature over body, timestamp and tokens. [`Guard`] holds what comes against what is asked
//! for. Signatures are `rsa-sha256` or `ecdsa-sha256` (P-256) over exclusive canonical XML with
//! SHA-256; nothing weaker is verified, and no other transform: most attacks on XML signatures
//! need one.
//!
//! Signature wrapping is met by looking the other way round: it is not asked what a signature covers, but
//! whether it covers *these* elements, the body of this envelope and the timestamp and user token of its one
//! security header, by their place. Two elements with the same id are refused.

mod guard;
mod protect;
mod replay;
mod signature;
mod token;

pub use guard::{Credential, Guard, Policy, Verified};
pub use protect::{Protection, Username};
pub use signature::Signer;

/// The namespace of tokens.
pub const WSSE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
/// The namespace of ids and times.
pub const WSU: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
/// The namespace of signatures.
pub const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Exclusive canonical XML.
pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
pub(crate) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub(crate) const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
pub(crate) const X509: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
pub(crate) const BASE64: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";
pub(crate) const DIGEST: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest";
pub(crate) const TEXT: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText";

/// Why a message's security does not hold, or cannot be made. Peers are not told which it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// There is no security header, or more than one.
    #[error("there is not exactly one Security header")]
    Header,
    /// A part that is asked for is not there, or is there twice.
    #[error("the Security header has not exactly one {0}")]
    Part(&'static str),
    /// User or password are wrong.
    #[error("the user is not known, or the password is not right")]
    Credential,
    /// The password came as text where only its digest is taken.
    #[error("the password is not sent as a digest with nonce and time")]
    PlainPassword,
    /// It is too old, or from the future.
    #[error("the message is not fresh: its time is too far from ours, or it has expired")]
    Stale,
    /// It came before.
    #[error("the same nonce or signature came before")]
    Replayed,
    /// The memory for nonces is full.
    #[error("more messages are fresh than can be remembered")]
    Full,
    /// The certificate is none of those that are trusted, or not good now.
    #[error("the certificate is none that is trusted, or is not good at this time")]
    Certificate,
    /// An algorithm or transform that is not taken.
    #[error("the signature uses an algorithm or a transform that is not taken")]
    Algorithm,
    /// Two elements have the same id.
    #[error("two elements have the same id")]
    TwiceId,
    /// Something that must be signed is not.
    #[error("the signature does not cover the {0}")]
    NotCovered(&'static str),
    /// What was signed is not what is there.
    #[error("the signature does not verify")]
    Signature,
    /// It says nothing sensible.
    #[error("the Security header is not built as it should be")]
    Malformed,
    /// A key or certificate of ours cannot be used.
    #[error(
        "the key or certificate cannot be used: an RSA key of 2048 bits or more, or one of P-256, in PKCS#8"
    )]
    Key,
    /// The message cannot be written.
    #[error("the message cannot be written")]
    Unwritable,
}

#[cfg(test)]
mod tests;

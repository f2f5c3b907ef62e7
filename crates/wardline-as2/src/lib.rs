//! AS2 without a network: what is sent and what came, signed, encrypted, and acknowledged.
//!
//! What the crate promises:
//! - What is handed on is what was signed: the signature is verified over the very bytes that are then
//!   read, by a certificate that was given for the partner, never by one that came along.
//! - A message that cannot be decrypted or verified is refused in the words of RFC 4130, alike for
//!   every reason, so that nobody learns anything by trying.
//! - No input panics; nesting, parts and lengths are bounded.
//!
//! Start with [`Message`] (what is to be sent), [`receive`] (what came) and [`Receipt`].

mod cms;
mod der;
mod keys;
mod message;
mod mime;
mod receipt;

pub use keys::{Certificate, Identity, KeyError};
pub use message::{Message, Received, Refusal, RefusedBecause, Sent, Wants, receive, wants};
pub use receipt::{Disposition, Fields, Receipt, ReceiptError};

/// Digests that signatures and receipts use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256; what this side uses itself.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SHA-1, for receipts that partners ask for; never for signatures that protect anything.
    Sha1,
}

impl Digest {
    /// As `micalg` and receipts name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
            Self::Sha1 => "sha1",
        }
    }

    /// Of any of the names that are met.
    pub fn named(name: &str) -> Option<Self> {
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|one| one.to_ascii_lowercase())
            .collect();
        Some(match plain.as_str() {
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            "sha1" => Self::Sha1,
            _ => return None,
        })
    }

    /// The digest of bytes.
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        use aws_lc_rs::digest;
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }
}

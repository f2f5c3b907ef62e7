//! Tokens: signing and verifying them, the keys for both, and what was revoked.
//!
//! Signatures are verified by `aws-lc-rs`; everything around them is read here and strictly,
//! because it is there that libraries differ and tokens are forged: a header that brings its
//! own key, a date that is a text, a claim that stands twice.

mod algorithm;
pub(crate) mod b64;
pub(crate) mod cache;
mod jwk;
mod jws;
pub(crate) mod replay;
mod revocation;
mod signing;
mod strict;

pub use algorithm::Algorithm;
pub use jwk::{KeySet, VerifyingKey};
pub use jws::Reason;
pub(crate) use jws::{Claims, Jws, LEEWAY, MAX_KID, MAX_TOKEN};
pub use revocation::Revocations;
pub use signing::{KeyInfo, KeyState, Rotation, SigningAlgorithm, SigningKeys};
pub(crate) use strict::object as strict_object;

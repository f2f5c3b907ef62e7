//! Names that stand for values.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use wardline_core::Sensitivity;

/// Makes pseudonyms for one caller: equal values of one field have equal ones, so that a caller
/// can count and join its own data, and values cannot be had back without the key. Callers
/// have different ones, so that two of them cannot join theirs.
///
/// HMAC-SHA-256 over caller, class, field and value, each with its length in front, cut to
/// 128 bits.
#[derive(Clone)]
pub struct Pseudonyms {
    key: hmac::Key,
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}

impl Pseudonyms {
    /// For a caller, from a key that is kept as the sealing keys are. Make it once a caller.
    pub fn new(root: &[u8; 32], caller: &str) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, root);
        let mut hash = hmac::Context::with_key(&root);
        part(&mut hash, b"wardline pseudonym v1");
        part(&mut hash, caller.as_bytes());
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, hash.sign().as_ref()),
        }
    }

    /// The pseudonym of a value: `~` and 22 characters.
    pub(super) fn of(&self, class: Sensitivity, field: &str, value: &str) -> String {
        let mut hash = hmac::Context::with_key(&self.key);
        part(&mut hash, &[class as u8]);
        part(&mut hash, field.as_bytes());
        part(&mut hash, value.as_bytes());
        let tag = hash.sign();
        let mut text = String::with_capacity(23);
        text.push('~');
        URL_SAFE_NO_PAD.encode_string(&tag.as_ref()[..16], &mut text);
        text
    }
}

/// Length first, so that `("ab", "c")` and `("a", "bc")` differ.
fn part(hash: &mut hmac::Context, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

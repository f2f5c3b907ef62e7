//! Passwords: argon2id (RFC 9106), slow on purpose, and so bounded in how many are worked on.

use crate::AccessError;
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

/// The least length (NIST SP 800-63B §3.1.1.2 asks for 15 where it stands alone, 8 beside a
/// second factor).
pub const LEAST_PASSWORD: usize = 12;
/// More is nobody's password, and costs time to hash.
const LONGEST: usize = 256;
/// OWASP's first choice: 19 MiB, two passes, one lane.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const SALT: usize = 16;
const HASH: usize = 32;

/// A password that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Too short, or too long to be one.
    #[error("a password has {LEAST_PASSWORD} to {LONGEST} characters")]
    Length,
    /// The first that is tried.
    #[error("this password is among the first that are tried")]
    Common,
}

/// Whether a password may be chosen. Length is what counts (NIST SP 800-63B); of words that
/// everybody tries the longest few are refused, the shorter ones by their length.
pub(crate) fn may_be_chosen(name: &str, password: &str) -> Result<(), WeakPassword> {
    let letters = password.chars().count();
    if !(LEAST_PASSWORD..=LONGEST).contains(&letters) {
        return Err(WeakPassword::Length);
    }
    let plain = password.to_lowercase();
    let alphanumeric: String = plain.chars().filter(|c| c.is_alphanumeric()).collect();
    let first = plain.chars().next();
    let common = [
        "password", "passwort", "qwerty", "letmein", "wardline", "123456", "changeme", "welcome",
    ];
    let mostly =
        |word: &str| !word.is_empty() && alphanumeric.replace(word, "").chars().count() < 5;
    if plain.chars().all(|c| Some(c) == first)
        || common.iter().any(|word| mostly(word))
        || mostly(&name.to_lowercase())
    {
        return Err(WeakPassword::Common);
    }
    Ok(())
}

/// A password as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hashed {
    /// KiB of memory, passes: what this one was made with, so that more may be asked of the next.
    memory: u32,
    passes: u32,
    salt: String,
    hash: String,
}

impl Hashed {
    /// Hashes a password with a salt of its own. Takes tens of milliseconds.
    pub(crate) fn new(password: &str) -> Result<Self, AccessError> {
        let mut salt = [0; SALT];
        SystemRandom::new()
            .fill(&mut salt)
            .map_err(|_| AccessError::NoKey)?;
        let hash = hash(password, &salt, MEMORY, PASSES).ok_or(AccessError::NoKey)?;
        Ok(Self {
            memory: MEMORY,
            passes: PASSES,
            salt: STANDARD_NO_PAD.encode(salt),
            hash: STANDARD_NO_PAD.encode(hash),
        })
    }

    /// Whether this is the password. Takes as long as making it did.
    pub(crate) fn fits(&self, password: &str) -> bool {
        // A file that somebody edited must not make the process take all memory there is.
        let bounded = self.memory <= 1 << 20 && self.passes <= 16 && password.len() <= 4 * LONGEST;
        let parts = (
            STANDARD_NO_PAD.decode(&self.salt),
            STANDARD_NO_PAD.decode(&self.hash),
        );
        let (true, (Ok(salt), Ok(kept))) = (bounded, parts) else {
            return false;
        };
        hash(password, &salt, self.memory, self.passes)
            .is_some_and(|given| verify_slices_are_equal(&given, &kept).is_ok())
    }
}

fn hash(password: &str, salt: &[u8], memory: u32, passes: u32) -> Option<[u8; HASH]> {
    let parameters = Params::new(memory, passes, 1, Some(HASH)).ok()?;
    let mut out = [0; HASH];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into(password.as_bytes(), salt, &mut out)
        .ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_fits_and_no_two_hashes_are_alike() {
        let kept = Hashed::new("correct horse battery").unwrap();
        assert!(kept.fits("correct horse battery"));
        for wrong in ["", "correct horse batter", "Correct horse battery"] {
            assert!(!kept.fits(wrong), "{wrong}");
        }
        assert_ne!(kept, Hashed::new("correct horse battery").unwrap());
        let shown = serde_json::to_string(&kept).unwrap();
        assert!(!shown.contains("horse"), "{shown}");
        let huge = Hashed {
            memory: u32::MAX,
            ..kept
        };
        assert!(!huge.fits("correct horse battery"));
    }

    #[test]
    fn weak_passwords_are_refused() {
        for (password, why) in [
            ("short", WeakPassword::Length),
            ("elevenchars", WeakPassword::Length),
            ("aaaaaaaaaaaaaaaa", WeakPassword::Common),
            ("Password1234", WeakPassword::Common),
            ("123456123456", WeakPassword::Common),
        ] {
            assert_eq!(may_be_chosen("anna", password), Err(why), "{password}");
        }
        assert_eq!(
            may_be_chosen("annadiaz", "annadiaz-2026"),
            Err(WeakPassword::Common)
        );
        assert_eq!(may_be_chosen("anna", "correct horse battery"), Ok(()));
        assert_eq!(
            may_be_chosen("anna", &"x y".repeat(100)),
            Err(WeakPassword::Length)
        );
    }
}

//! Master keys and who keeps them.
//!
//! A master key never touches a payload: it only wraps the data keys in the key ring. So it
//! can live elsewhere (a directory that is not backed up with the data, an environment
//! variable set by the service manager, a key service) and be rotated by wrapping a
//! handful of keys again.

mod env;
mod file;
mod transit;

pub use env::EnvProvider;
pub use file::{FileProvider, Initialised};
pub use transit::TransitProvider;

use crate::VaultError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Keeps master keys and wraps other keys with them. Calls are rare (a few at start, one a
/// day), so an implementation may take its time.
pub trait KeyProvider: Send + Sync + fmt::Debug {
    /// What kind of provider this is, for messages: `file`, `env`, `vault`.
    fn name(&self) -> &'static str;

    /// Wraps `key` with the newest master key. `purpose` is authenticated, not stored: a
    /// wrapped key opens only for the purpose it was wrapped for.
    ///
    /// # Errors
    /// [`VaultError::Randomness`], or whatever keeps the provider from its master key.
    fn wrap(&self, purpose: &str, key: &[u8; 32]) -> Result<WrappedKey, VaultError>;

    /// Unwraps a key, whichever master key wrapped it.
    ///
    /// # Errors
    /// [`VaultError::UnknownMasterKey`] when that master key is not held,
    /// [`VaultError::Unwrap`] when the wrapped key was changed or the purpose differs.
    fn unwrap(
        &self,
        purpose: &str,
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<[u8; 32]>, VaultError>;

    /// Id of the master key that [`KeyProvider::wrap`] uses now.
    fn newest(&self) -> &str;
}

/// A key as the ring keeps it: readable only with the master key that wrapped it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// Id of the master key.
    pub by: String,
    /// Base64 of a 96-bit nonce, 32 encrypted bytes and a 128-bit tag (AES-256-GCM); of a
    /// key service, its own text.
    pub sealed: String,
}

/// A master key in memory: wiped when dropped, never printed.
pub(crate) struct MasterKey {
    id: String,
    bytes: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

impl MasterKey {
    pub(crate) fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        // The id must reveal nothing about the key and name it wherever its file is moved.
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        hash.update(b"wardline master key id v1\0");
        hash.update(bytes.as_slice());
        let id = hex(&hash.finish().as_ref()[..6]);
        Self { id, bytes }
    }

    /// Reads 32 bytes of base64; `None` where the text is anything else.
    pub(crate) fn from_base64(text: &str) -> Option<Self> {
        let decoded = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
        let mut bytes = Zeroizing::new([0; 32]);
        if decoded.len() != bytes.len() {
            return None;
        }
        bytes.copy_from_slice(&decoded);
        Some(Self::new(bytes))
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    fn cipher(&self) -> LessSafeKey {
        let unbound = UnboundKey::new(&AES_256_GCM, self.bytes.as_slice())
            .expect("AES-256-GCM takes 32 bytes");
        LessSafeKey::new(unbound)
    }

    pub(crate) fn wrap(&self, purpose: &str, key: &[u8; 32]) -> Result<WrappedKey, VaultError> {
        let mut out = [0_u8; NONCE_LEN + 32 + 16];
        let nonce: [u8; NONCE_LEN] = random()?;
        out[..NONCE_LEN].copy_from_slice(&nonce);
        out[NONCE_LEN..NONCE_LEN + 32].copy_from_slice(key);
        let tag = self
            .cipher()
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose.as_bytes()),
                &mut out[NONCE_LEN..NONCE_LEN + 32],
            )
            .expect("32 bytes are within what AES-256-GCM seals");
        out[NONCE_LEN + 32..].copy_from_slice(tag.as_ref());
        Ok(WrappedKey {
            by: self.id.clone(),
            sealed: STANDARD.encode(out),
        })
    }

    pub(crate) fn unwrap(
        &self,
        purpose: &str,
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let refused = || VaultError::Unwrap {
            what: purpose.to_owned(),
        };
        let mut bytes = STANDARD.decode(&wrapped.sealed).map_err(|_| refused())?;
        if bytes.len() != NONCE_LEN + 32 + 16 {
            return Err(refused());
        }
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&bytes[..NONCE_LEN]);
        let mut key = Zeroizing::new([0; 32]);
        let opened = self
            .cipher()
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose.as_bytes()),
                &mut bytes[NONCE_LEN..],
            )
            .map_err(|_| refused())?;
        key.copy_from_slice(opened);
        bytes.zeroize();
        Ok(key)
    }
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| VaultError::Randomness)?;
    Ok(bytes)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|half| char::from(b"0123456789abcdef"[usize::from(half)]))
        .collect()
}

/// A fresh 256-bit key.
pub(crate) fn fresh_key() -> Result<Zeroizing<[u8; 32]>, VaultError> {
    random().map(Zeroizing::new)
}

/// Picks the key that wrapped something out of those a provider holds.
pub(crate) fn unwrap_with<'a>(
    mut keys: impl Iterator<Item = &'a MasterKey>,
    provider: &'static str,
    purpose: &str,
    wrapped: &WrappedKey,
) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    match keys.find(|key| key.id() == wrapped.by) {
        Some(key) => key.unwrap(purpose, wrapped),
        None => Err(VaultError::UnknownMasterKey {
            what: purpose.to_owned(),
            by: wrapped.by.chars().take(16).collect(),
            provider,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_only_for_its_purpose_and_unchanged() {
        let master = MasterKey::new(fresh_key().unwrap());
        let key = fresh_key().unwrap();
        let wrapped = master.wrap("data 2026-11-24", &key).unwrap();
        assert_eq!(*master.unwrap("data 2026-11-24", &wrapped).unwrap(), *key);
        assert!(matches!(
            master.unwrap("data 2026-11-25", &wrapped),
            Err(VaultError::Unwrap { .. })
        ));

        let bytes = STANDARD.decode(&wrapped.sealed).unwrap();
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            let changed = WrappedKey {
                by: wrapped.by.clone(),
                sealed: STANDARD.encode(bytes),
            };
            assert!(
                master.unwrap("data 2026-11-24", &changed).is_err(),
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_master_key_never_prints() {
        let master = MasterKey::new(Zeroizing::new([0xAB; 32]));
        let shown = format!("{master:?}");
        assert!(
            !shown.contains("171") && !shown.to_lowercase().contains("abab"),
            "{shown}"
        );
        assert!(MasterKey::from_base64("c2hvcnQ=").is_none());
        assert!(MasterKey::from_base64("not base64 at all").is_none());
    }
}

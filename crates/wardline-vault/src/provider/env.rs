//! A master key in an environment variable, for containers whose platform injects secrets.

use super::{KeyProvider, MasterKey, WrappedKey, unwrap_with};
use crate::VaultError;
use zeroize::Zeroizing;

/// Takes the master key from [`EnvProvider::VARIABLE`], and older ones, which still unwrap,
/// from [`EnvProvider::PREVIOUS`].
#[derive(Debug)]
pub struct EnvProvider {
    /// Newest first; never empty.
    keys: Vec<MasterKey>,
}

impl EnvProvider {
    /// Holds 32 bytes of base64 (`openssl rand -base64 32` makes one).
    pub const VARIABLE: &'static str = "WARDLINE_MASTER_KEY";
    /// Earlier master keys, separated by commas, kept until `wardline keys rewrap` has run.
    pub const PREVIOUS: &'static str = "WARDLINE_MASTER_KEY_PREVIOUS";

    /// Reads the process's environment.
    ///
    /// # Errors
    /// [`VaultError::NoMasterKey`] when the variable is not set,
    /// [`VaultError::MasterKeyMalformed`] when it is not 32 bytes of base64.
    pub fn from_environment() -> Result<Self, VaultError> {
        Self::from_lookup(|name| std::env::var(name).ok().map(Zeroizing::new))
    }

    /// A provider with a random key that is nowhere else.
    pub(crate) fn random() -> Result<Self, VaultError> {
        Ok(Self {
            keys: vec![MasterKey::new(super::fresh_key()?)],
        })
    }

    /// Reads an environment given as a function.
    ///
    /// # Errors
    /// As [`EnvProvider::from_environment`].
    pub fn from_lookup(
        lookup: impl Fn(&str) -> Option<Zeroizing<String>>,
    ) -> Result<Self, VaultError> {
        let malformed = |name: &str| VaultError::MasterKeyMalformed {
            place: name.to_owned(),
        };
        let newest = lookup(Self::VARIABLE).ok_or_else(|| VaultError::NoMasterKey {
            place: Self::VARIABLE.to_owned(),
        })?;
        let mut keys =
            vec![MasterKey::from_base64(&newest).ok_or_else(|| malformed(Self::VARIABLE))?];
        if let Some(previous) = lookup(Self::PREVIOUS) {
            for text in previous.split(',').filter(|text| !text.trim().is_empty()) {
                keys.push(MasterKey::from_base64(text).ok_or_else(|| malformed(Self::PREVIOUS))?);
            }
        }
        Ok(Self { keys })
    }
}

impl KeyProvider for EnvProvider {
    fn name(&self) -> &'static str {
        "env"
    }

    fn wrap(&self, purpose: &str, key: &[u8; 32]) -> Result<WrappedKey, VaultError> {
        self.keys[0].wrap(purpose, key)
    }

    fn unwrap(
        &self,
        purpose: &str,
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        unwrap_with(self.keys.iter(), self.name(), purpose, wrapped)
    }

    fn newest(&self) -> &str {
        self.keys[0].id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    fn provider(newest: Option<&str>, previous: Option<&str>) -> Result<EnvProvider, VaultError> {
        EnvProvider::from_lookup(|name| {
            let value = if name == EnvProvider::VARIABLE {
                newest
            } else {
                previous
            };
            value.map(|text| Zeroizing::new(text.to_owned()))
        })
    }

    #[test]
    fn an_older_key_still_unwraps() {
        let (old, new) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        let wrapped = provider(Some(&old), None)
            .unwrap()
            .wrap("p", &[9; 32])
            .unwrap();
        let both = provider(Some(&new), Some(&old)).unwrap();
        assert_eq!(*both.unwrap("p", &wrapped).unwrap(), [9; 32]);
        assert_ne!(both.newest(), wrapped.by);
        let only_new = provider(Some(&new), None).unwrap();
        assert!(matches!(
            only_new.unwrap("p", &wrapped),
            Err(VaultError::UnknownMasterKey { .. })
        ));
    }

    #[test]
    fn absent_and_malformed_are_told_apart() {
        assert!(matches!(
            provider(None, None),
            Err(VaultError::NoMasterKey { .. })
        ));
        let error = provider(Some("hunter2"), None).unwrap_err();
        assert!(matches!(error, VaultError::MasterKeyMalformed { .. }));
        assert!(!error.to_string().contains("hunter2"));
    }
}

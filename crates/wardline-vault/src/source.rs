//! Which estate, which master key, which ring: what a vault is opened with.

use crate::{EnvProvider, FileProvider, KeyProvider, KeyStore, VaultError};
use std::path::Path;
use std::sync::Arc;

/// Whose keys, who wraps them and where they are kept.
#[derive(Debug)]
pub struct KeySource {
    /// Name of the estate; everything sealed is bound to it.
    pub estate: String,
    /// Keeper of the master key.
    pub provider: Arc<dyn KeyProvider>,
    /// Keeper of the wrapped keys.
    pub store: KeyStore,
}

impl KeySource {
    /// Master keys in the directory `keys`, the ring in the directory `data`.
    ///
    /// # Errors
    /// As [`FileProvider::open`].
    pub fn file(estate: &str, keys: &Path, data: &Path) -> Result<Self, VaultError> {
        let provider = Arc::new(FileProvider::open(keys)?);
        Ok(Self {
            estate: estate.to_owned(),
            provider,
            store: KeyStore::in_directory(data),
        })
    }

    /// The master key in `WARDLINE_MASTER_KEY`, the ring in the directory `data`.
    ///
    /// # Errors
    /// As [`EnvProvider::from_environment`].
    pub fn env(estate: &str, data: &Path) -> Result<Self, VaultError> {
        let provider = Arc::new(EnvProvider::from_environment()?);
        Ok(Self {
            estate: estate.to_owned(),
            provider,
            store: KeyStore::in_directory(data),
        })
    }
}

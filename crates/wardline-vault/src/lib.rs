//! What Wardline knows about secrecy: keys, sealing, blind indexes, references to secrets,
//! masking, and the audit chain. It knows neither SQL nor protocols.
//!
//! It promises that payloads are encrypted wherever they rest and cannot be opened once
//! their day's key is destroyed; that keys can be searched without being stored; that no
//! error or `Debug` text of its types holds a payload, key or secret; and that a change
//! to the audit log does not go unnoticed.
//!
//! Start with [`Vault`] (seal, open, index), [`Secrets`] (what `secret:erp/ws` stands for)
//! and [`AuditLog`] (one entry for every look).
//!
//! ```
//! use std::sync::Arc;
//! use wardline_core::RealClock;
//! use wardline_vault::{Kind, Vault};
//!
//! let vault = Vault::ephemeral("st-brigid", Arc::new(RealClock))?;
//! let sealed = vault.seal(Kind::Message, b"MSH|^~\\&|EHR")?;
//! assert_eq!(&vault.open_sealed(Kind::Message, &sealed)?[..], b"MSH|^~\\&|EHR");
//! assert_eq!(vault.blind("account", "ACC-77 "), vault.blind("account", "ACC-77"));
//! # Ok::<(), wardline_vault::VaultError>(())
//! ```

pub mod audit;
mod blind;
mod data_key;
mod day;
mod durable;
mod envelope;
mod error;
mod keyring;
pub mod mask;
mod packing;
mod private_file;
mod provider;
mod remote;
mod secrets;
mod source;
mod vault;

pub use audit::{AuditEntry, AuditLog, AuditRecord};
pub use day::Day;
pub use error::VaultError;
pub use keyring::KeyStore;
pub use private_file::PrivateFile;
pub use provider::{
    EnvProvider, FileProvider, Initialised, KeyProvider, TransitProvider, WrappedKey,
};
pub use remote::{VaultClient, VaultKv, VaultLogin, VaultSettings};
pub use secrets::age::{AgeIdentity, AgeRecipient};
pub use secrets::{
    Identities, Origin, Secret, SecretEvent, SecretFacts, SecretPlaces, SecretRef, Secrets,
};
pub use source::KeySource;
pub use vault::{Destroyed, KeyInfo, KeyList, Kind, MAX_PLAIN, Rewrapped, Vault};

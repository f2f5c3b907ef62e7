//! The stored form of an entry: what the log's hashes are over.
//!
//! ```text
//! 0        2: sealed
//! 1..9     when, microseconds since 1970-01-01 UTC, little-endian
//! 9..      the canonical JSON of the entry, sealed with the month's audit key (`Kind::Audit`)
//! ```
//!
//! A leaf of the tree is the hash of these bytes, not of what they say. So the month's key can
//! be destroyed, after which nobody can read who did what, and every proof about the log
//! still holds. Logs begun before this form have plain JSON there, which begins with `{`; both
//! forms may stand in one log.

use super::AuditEntry;
use crate::envelope::{Header, OVERHEAD};
use crate::{Kind, Vault, VaultError};
use bytes::Bytes;
use wardline_core::{Sealed, Timestamp};

const SEALED: u8 = 2;
/// Before the sealed bytes.
const HEAD: usize = 9;

/// Makes the stored form.
pub(super) fn seal(
    vault: &Vault,
    entry: &AuditEntry,
    at: Timestamp,
) -> Result<Vec<u8>, VaultError> {
    let sealed = vault.seal(Kind::Audit, &entry.to_canonical(at))?;
    let sealed = sealed.as_sealed_bytes();
    let mut body = Vec::with_capacity(HEAD + sealed.len());
    body.push(SEALED);
    body.extend_from_slice(&at.0.to_le_bytes());
    body.extend_from_slice(sealed);
    Ok(body)
}

/// Splits a sealed body into its moment and its sealed bytes; `None` for any other.
fn split(body: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (&SEALED, rest) = body.split_first()? else {
        return None;
    };
    let (at, sealed) = rest.split_first_chunk()?;
    Some((Timestamp(i64::from_le_bytes(*at)), sealed))
}

/// Whether this is the body of an entry of this moment, as far as can be seen without keys.
pub(super) fn is_of(body: &[u8], at: Timestamp) -> bool {
    match split(body) {
        Some((said, sealed)) => {
            said == at && sealed.len() >= OVERHEAD && Header::decode(Kind::Audit, sealed).is_ok()
        }
        None => matches!(AuditEntry::from_body(body), Ok((said, _)) if said == at),
    }
}

impl Vault {
    /// Reads the body of an audit record: the entry and its moment.
    ///
    /// # Errors
    /// [`VaultError::Destroyed`] when the month's audit key was destroyed,
    /// [`VaultError::Malformed`] and [`VaultError::Tampered`] when it is not what was sealed.
    pub fn open_audit(&self, body: &[u8]) -> Result<(Timestamp, AuditEntry), VaultError> {
        let malformed = |reason| VaultError::Malformed {
            kind: Kind::Audit,
            reason,
        };
        let Some((at, sealed)) = split(body) else {
            return AuditEntry::from_body(body).map_err(|_| malformed("it is not an audit entry"));
        };
        let sealed = Sealed::from_sealed_bytes(Bytes::copy_from_slice(sealed));
        let plain = self.open_sealed(Kind::Audit, &sealed)?;
        let (said, entry) =
            AuditEntry::from_body(&plain).map_err(|_| malformed("it is not an audit entry"))?;
        if said == at {
            Ok((at, entry))
        } else {
            Err(malformed("it says another time than its record"))
        }
    }
}

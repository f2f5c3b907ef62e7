//! Keys of others kept on disk, so that a restart while their issuer is down refuses nobody.
//!
//! They are public, but whoever could put one there could sign for everybody. So the file bears a
//! MAC whose key is wrapped by the estate's master key: what somebody else wrote there is not
//! believed, and keys are fetched again.

use super::external::MAX_KEY_SET;
use crate::AccessError;
use crate::token::KeySet;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use wardline_vault::{KeyProvider, PrivateFile, WrappedKey};

const VERSION: u32 = 1;
/// Key sets that are kept; the oldest goes first.
const MOST: usize = 64;
/// What the MAC's key is wrapped for.
const PURPOSE: &str = "wardline issuer keys";

/// `issuer-keys.json` of a data directory.
pub(crate) struct Shelf {
    file: PrivateFile,
    provider: Arc<dyn KeyProvider>,
    purpose: String,
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("file", &self.file.path())
            .finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    key: WrappedKey,
    /// Base64 of HMAC-SHA-256 over `sets`.
    mac: String,
    /// JSON of the sets, as it was when it was written: one text has one MAC.
    sets: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Set {
    fetched: i64,
    jwks: String,
}

type Sets = BTreeMap<String, Set>;

impl Shelf {
    pub(crate) fn new(estate: &str, data: &Path, provider: Arc<dyn KeyProvider>) -> Self {
        Self {
            file: PrivateFile::new(data.join("issuer-keys.json"), 64 << 20),
            provider,
            purpose: format!("{PURPOSE} of {estate}"),
        }
    }

    /// The keys of a place, and the second at which they were fetched.
    pub(crate) fn read(&self, place: &str) -> Option<(KeySet, i64)> {
        let bytes = match self.file.read() {
            Ok(bytes) => bytes?,
            Err(error) => {
                tracing::warn!(%error, "keys of issuers that were kept cannot be read; they are fetched again");
                return None;
            }
        };
        let set = self.parse(&bytes)?.remove(place)?;
        let keys = KeySet::parse(set.jwks.as_bytes())?;
        (!keys.is_empty()).then_some((keys, set.fetched))
    }

    /// Keeps the keys of a place. Where that fails they are only in memory, and the log says so.
    pub(crate) async fn write(self: &Arc<Self>, place: String, body: Bytes, fetched: i64) {
        let shelf = Arc::clone(self);
        // Writing waits for the disk.
        let written = tokio::task::spawn_blocking(move || {
            let jwks = String::from_utf8(body.to_vec()).ok()?;
            Some(shelf.put(place, Set { fetched, jwks }))
        })
        .await;
        if let Ok(Some(Err(error))) = written {
            tracing::warn!(code = %error.code(), %error, "keys of an issuer are not kept on disk; after a restart they must be fetched");
        }
    }

    fn put(&self, place: String, set: Set) -> Result<(), AccessError> {
        self.file.update(|before| {
            let mut sets = before
                .and_then(|bytes| self.parse(bytes))
                .unwrap_or_default();
            sets.insert(place, set);
            while sets.len() > MOST {
                let oldest = sets.iter().min_by_key(|(_, set)| set.fetched);
                let Some(oldest) = oldest.map(|(place, _)| place.clone()) else {
                    break;
                };
                sets.remove(&oldest);
            }
            Ok((Some(self.text(&sets)?), ()))
        })
    }

    fn text(&self, sets: &Sets) -> Result<Vec<u8>, AccessError> {
        let malformed = |error: serde_json::Error| AccessError::Malformed {
            path: self.file.path().to_owned(),
            reason: error.to_string(),
        };
        let mut key = zeroize::Zeroizing::new([0; 32]);
        SystemRandom::new()
            .fill(&mut *key)
            .map_err(|_| AccessError::NoKey)?;
        let sets = serde_json::to_string(sets).map_err(malformed)?;
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key), sets.as_bytes());
        let written = Written {
            version: VERSION,
            key: self.provider.wrap(&self.purpose, &key)?,
            mac: STANDARD.encode(mac),
            sets,
        };
        serde_json::to_vec(&written).map_err(malformed)
    }

    /// What was written, if it was written by us.
    fn parse(&self, bytes: &[u8]) -> Option<Sets> {
        let sets = self.verified(bytes);
        if sets.is_none() {
            tracing::warn!(
                file = %self.file.path().display(),
                "keys of issuers that were kept are not ours or cannot be read; they are fetched again"
            );
        }
        sets
    }

    fn verified(&self, bytes: &[u8]) -> Option<Sets> {
        let written: Written = serde_json::from_slice(bytes).ok()?;
        let key = self.provider.unwrap(&self.purpose, &written.key).ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*key);
        let mac = STANDARD.decode(&written.mac).ok()?;
        hmac::verify(&key, written.sets.as_bytes(), &mac).ok()?;
        let mut sets: Sets = serde_json::from_str(&written.sets).ok()?;
        sets.retain(|_, set| set.jwks.len() <= MAX_KEY_SET);
        (written.version == VERSION).then_some(sets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardline_vault::FileProvider;

    const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    fn shelf(keys: &Path, data: &Path) -> Shelf {
        FileProvider::init(keys).unwrap();
        let provider = Arc::new(FileProvider::open(keys).unwrap());
        Shelf::new("test", data, provider)
    }

    fn set(fetched: i64) -> Set {
        Set {
            fetched,
            jwks: JWKS.to_owned(),
        }
    }

    #[test]
    fn only_what_was_written_here_is_believed() {
        let (keys, other, data) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        let mine = shelf(keys.path(), data.path());
        assert!(mine.read("issuer a").is_none(), "nothing is there");
        mine.put("issuer a".to_owned(), set(7)).unwrap();
        mine.put("issuer b".to_owned(), set(8)).unwrap();
        let (found, fetched) = mine.read("issuer a").unwrap();
        assert_eq!((found.len(), fetched), (1, 7));
        assert!(mine.read("issuer c").is_none());

        // A byte changed, a key of its own put there, or another estate's file.
        let path = mine.file.path().to_owned();
        let good = std::fs::read_to_string(&path).unwrap();
        for bad in [
            good.replace("11qY", "21qY"),
            good.replace("\"version\":1", "\"version\":2"),
            good.replace("fetched\\\":7", "fetched\\\":9"),
            "{}".to_owned(),
        ] {
            assert_ne!(bad, good);
            std::fs::write(&path, bad).unwrap();
            assert!(mine.read("issuer a").is_none());
        }
        std::fs::write(&path, &good).unwrap();
        assert!(mine.read("issuer a").is_some());
        let stranger = shelf(other.path(), data.path());
        assert!(stranger.read("issuer a").is_none(), "another master key");
    }

    #[test]
    fn it_holds_so_many() {
        let (keys, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let shelf = shelf(keys.path(), data.path());
        for n in 0..=MOST {
            let fetched = i64::try_from(n).unwrap();
            shelf.put(format!("issuer {n}"), set(fetched)).unwrap();
        }
        assert!(shelf.read("issuer 0").is_none());
        assert!(shelf.read("issuer 1").is_some() && shelf.read("issuer 64").is_some());
    }
}

//! The keys that tokens are signed with, and their life: published (so that everybody who
//! caches the JWKS knows a key before its first signature), active, retired (it verifies, and
//! its private half is gone), destroyed.

use super::{Algorithm, KeySet, VerifyingKey, b64};
use crate::{AccessError, AccessEvent};
use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::Timestamp;
use wardline_vault::{KeyProvider, PrivateFile, WrappedKey};
use zeroize::Zeroizing;

/// The form written by this version.
const VERSION: u32 = 1;
/// Destroyed keys whose names and dates are kept.
const TOMBSTONES: usize = 16;

/// What tokens are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256: every library knows it, and it is fastest to verify here.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SigningAlgorithm {
    /// The algorithm as tokens name it.
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::Es256,
            Self::EdDsa => Algorithm::EdDsa,
        }
    }
}

/// When keys change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// How long a key is published before it signs. At least a day, so that whoever caches
    /// the JWKS has fetched it.
    pub publish_ahead: Duration,
    /// How long a key signs.
    pub active_for: Duration,
    /// How long a key verifies after it signed last: the life of a token and more.
    pub keep_retired: Duration,
}

impl Default for Rotation {
    /// A day, ninety days, ten minutes.
    fn default() -> Self {
        Self {
            publish_ahead: Duration::from_secs(24 * 3600),
            active_for: Duration::from_secs(90 * 24 * 3600),
            keep_retired: Duration::from_secs(600),
        }
    }
}

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// In the JWKS, and signs nothing yet.
    Published,
    /// Signs.
    Active,
    /// Verifies what it signed.
    Retired,
    /// Gone.
    Destroyed,
}

impl KeyState {
    /// The state in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Destroyed => "destroyed",
        }
    }
}

/// A key as people may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its id: the thumbprint of RFC 7638.
    pub kid: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// Where it stands.
    pub state: KeyState,
    /// When it was made.
    pub published: Timestamp,
    /// When it began, or will begin, to sign.
    pub active: Timestamp,
    /// When it stopped.
    pub retired: Option<Timestamp>,
    /// When it was destroyed.
    pub destroyed: Option<Timestamp>,
}

/// The signing keys of one estate, kept in a private file and wrapped by the master key.
pub struct SigningKeys {
    file: PrivateFile,
    estate: String,
    provider: Arc<dyn KeyProvider>,
    algorithm: SigningAlgorithm,
    rotation: Rotation,
    now: ArcSwap<Snapshot>,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys")
            .field("file", &self.file.path())
            .finish_non_exhaustive()
    }
}

/// Keys as they are between two changes.
pub(crate) struct Snapshot {
    pub(crate) signer: Signer,
    pub(crate) keys: KeySet,
    pub(crate) jwks: Bytes,
    pub(crate) etag: String,
    info: Vec<KeyInfo>,
}

impl SigningKeys {
    /// `signing-keys.json` of a data directory.
    pub fn file_in(data: &std::path::Path) -> PrivateFile {
        PrivateFile::new(data.join("signing-keys.json"), 256 << 10)
    }

    /// Reads the keys, or makes the first.
    ///
    /// # Errors
    /// [`AccessError::Vault`] when the file or the master key cannot be used,
    /// [`AccessError::Malformed`] when the file is not one of keys, [`AccessError::NoKey`].
    pub fn open(
        file: PrivateFile,
        estate: &str,
        provider: Arc<dyn KeyProvider>,
        algorithm: SigningAlgorithm,
        rotation: Rotation,
        now: Timestamp,
    ) -> Result<(Self, Vec<AccessEvent>), AccessError> {
        let opened = Self {
            file,
            estate: estate.to_owned(),
            provider,
            algorithm,
            rotation,
            now: ArcSwap::from_pointee(Snapshot::nothing()?),
        };
        let events = opened.advance(now)?;
        Ok((opened, events))
    }

    /// Does what is due, reads what another process did, and tells what changed. Call it
    /// every minute.
    ///
    /// # Errors
    /// As [`SigningKeys::open`]; the keys in use stay as they are then.
    pub fn advance(&self, now: Timestamp) -> Result<Vec<AccessEvent>, AccessError> {
        self.change(now, |_, _| Ok(()))
    }

    /// Begins a rotation: a new key is published and becomes active in its time.
    ///
    /// # Errors
    /// As [`SigningKeys::open`].
    pub fn rotate(&self, now: Timestamp) -> Result<Vec<AccessEvent>, AccessError> {
        self.change(now, |keys, ring| {
            if !ring
                .keys
                .iter()
                .any(|key| key.state(now) == KeyState::Published)
            {
                let active = now.after(keys.rotation.publish_ahead);
                ring.keys.push(keys.make(now, active)?);
            }
            Ok(())
        })
    }

    /// For a key that somebody else may know: a new one signs at once, and every other is
    /// destroyed at once, so that what was issued until now is worth nothing.
    ///
    /// # Errors
    /// As [`SigningKeys::open`].
    pub fn replace(&self, now: Timestamp) -> Result<Vec<AccessEvent>, AccessError> {
        self.change(now, |keys, ring| {
            for key in &mut ring.keys {
                key.destroy(now);
            }
            ring.keys.push(keys.make(now, now)?);
            Ok(())
        })
    }

    /// All keys that are remembered, oldest first.
    pub fn list(&self) -> Vec<KeyInfo> {
        self.now.load().info.clone()
    }

    /// The public keys, as `/oauth/jwks` serves them, and the tag of this version of them.
    pub fn jwks(&self) -> (Bytes, String) {
        let now = self.now.load();
        (now.jwks.clone(), now.etag.clone())
    }

    pub(crate) fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.now.load()
    }

    fn change(
        &self,
        now: Timestamp,
        also: impl FnOnce(&Self, &mut Ring) -> Result<(), AccessError>,
    ) -> Result<Vec<AccessEvent>, AccessError> {
        let (ring, states) = self.file.update(|before| {
            let mut ring = match before {
                Some(bytes) => self.parse(bytes)?,
                None => Ring {
                    version: VERSION,
                    estate: self.estate.clone(),
                    keys: Vec::new(),
                },
            };
            let states = ring.told();
            also(self, &mut ring)?;
            self.due(&mut ring, now)?;
            let mut text = serde_json::to_vec_pretty(&ring)
                .map_err(|error| self.malformed(&error.to_string()))?;
            text.push(b'\n');
            let unchanged = before == Some(&text[..]);
            Ok::<_, AccessError>(((!unchanged).then_some(text), (ring, states)))
        })?;
        self.now.store(Arc::new(self.snapshot_of(&ring, now)?));
        let earlier = |kid: &str| {
            states
                .iter()
                .find(|(known, _)| known == kid)
                .map(|(_, state)| *state)
        };
        // A state that began by the mere passing of time is told when it is first acted upon,
        // which is why the states that were stored are compared and not those of the clock.
        Ok(ring
            .keys
            .iter()
            .filter(|key| earlier(&key.kid) != Some(key.told))
            .map(|key| AccessEvent::SigningKey {
                kid: key.kid.clone(),
                state: key.told.name(),
            })
            .collect())
    }

    /// What the time demands.
    fn due(&self, ring: &mut Ring, now: Timestamp) -> Result<(), AccessError> {
        ring.keys.sort_by_key(|key| (key.active, key.published));
        let active = ring
            .keys
            .iter()
            .rposition(|key| key.state(now) == KeyState::Active);
        if let Some(active) = active {
            let since = ring.keys[active].active;
            for key in &mut ring.keys[..active] {
                if key.state(now) == KeyState::Active {
                    key.retired = Some(since.max(key.active));
                    key.key = None;
                }
            }
            let newest = &ring.keys[active];
            let due = newest.active.after(
                self.rotation
                    .active_for
                    .saturating_sub(self.rotation.publish_ahead),
            );
            let follows = ring
                .keys
                .iter()
                .any(|key| key.state(now) == KeyState::Published);
            if !follows && (now >= due || newest.algorithm != self.algorithm) {
                let begins = now.after(self.rotation.publish_ahead);
                ring.keys.push(self.make(now, begins)?);
            }
        } else {
            // The first key, or the first after all were destroyed: nothing to wait for.
            ring.keys.push(self.make(now, now)?);
        }
        for key in &mut ring.keys {
            let over = key
                .retired
                .is_some_and(|retired| now >= retired.after(self.rotation.keep_retired));
            if over {
                key.destroy(now);
            }
            if let Some(wrapped) = &key.key
                && wrapped.by != self.provider.newest()
            {
                let purpose = self.purpose(&key.kid);
                let bytes = self.provider.unwrap(&purpose, wrapped)?;
                key.key = Some(self.provider.wrap(&purpose, &bytes)?);
            }
            key.told = key.state(now);
        }
        let destroyed = ring
            .keys
            .iter()
            .filter(|key| key.destroyed.is_some())
            .count();
        let mut surplus = destroyed.saturating_sub(TOMBSTONES);
        ring.keys.retain(|key| {
            let drop = key.destroyed.is_some() && surplus > 0;
            surplus -= usize::from(drop);
            !drop
        });
        ring.keys.sort_by_key(|key| (key.active, key.published));
        Ok(())
    }

    fn make(&self, now: Timestamp, active: Timestamp) -> Result<Record, AccessError> {
        let (private, public) = generate(self.algorithm)?;
        let kid = thumbprint(self.algorithm, &public);
        Ok(Record {
            algorithm: self.algorithm,
            public: b64::encode(&public),
            published: now,
            active,
            retired: None,
            destroyed: None,
            told: KeyState::Published,
            key: Some(self.provider.wrap(&self.purpose(&kid), &private)?),
            kid,
        })
    }

    fn snapshot_of(&self, ring: &Ring, now: Timestamp) -> Result<Snapshot, AccessError> {
        let active = ring
            .keys
            .iter()
            .rfind(|key| key.state(now) == KeyState::Active)
            .ok_or(AccessError::NoKey)?;
        let wrapped = active.key.as_ref().ok_or(AccessError::NoKey)?;
        let public = |key: &Record| {
            b64::decode(&key.public).ok_or_else(|| self.malformed("a public key is not base64url"))
        };
        let private = self.provider.unwrap(&self.purpose(&active.kid), wrapped)?;
        let signer = Signer::new(&active.kid, active.algorithm, &private, &public(active)?)
            .ok_or_else(|| self.malformed("the two halves of a key do not belong together"))?;
        let mut jwks = Vec::new();
        for key in ring.keys.iter().filter(|key| key.destroyed.is_none()) {
            jwks.push(jwk(key.algorithm, &key.kid, &public(key)?));
        }
        let jwks = Bytes::from(json!({ "keys": jwks }).to_string());
        let keys =
            KeySet::parse(&jwks).ok_or_else(|| self.malformed("two keys have the same id"))?;
        let info = ring.keys.iter().map(|key| key.info(now)).collect();
        Ok(Snapshot {
            etag: format!(
                "\"{}\"",
                b64::encode(&digest(&SHA256, &jwks).as_ref()[..12])
            ),
            signer,
            keys,
            jwks,
            info,
        })
    }

    fn parse(&self, bytes: &[u8]) -> Result<Ring, AccessError> {
        let ring: Ring =
            serde_json::from_slice(bytes).map_err(|error| self.malformed(&error.to_string()))?;
        if ring.version != VERSION {
            return Err(self.malformed("it was written by a newer wardline"));
        }
        if ring.estate != self.estate {
            return Err(self.malformed("it belongs to another estate"));
        }
        Ok(ring)
    }

    fn purpose(&self, kid: &str) -> String {
        format!("{} token signing {kid}", self.estate)
    }

    fn malformed(&self, reason: &str) -> AccessError {
        AccessError::Malformed {
            path: self.file.path().to_owned(),
            reason: reason.to_owned(),
        }
    }
}

impl Snapshot {
    /// Stands in until the file was read; signs with a key that nobody publishes.
    fn nothing() -> Result<Self, AccessError> {
        let (private, public) = generate(SigningAlgorithm::EdDsa)?;
        Ok(Self {
            signer: Signer::new("", SigningAlgorithm::EdDsa, &private, &public)
                .ok_or(AccessError::NoKey)?,
            keys: KeySet::default(),
            jwks: Bytes::from_static(b"{\"keys\":[]}"),
            etag: "\"\"".to_owned(),
            info: Vec::new(),
        })
    }
}

/// The file's content.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ring {
    version: u32,
    estate: String,
    keys: Vec<Record>,
}

impl Ring {
    fn told(&self) -> Vec<(String, KeyState)> {
        let told = |key: &Record| (key.kid.clone(), key.told);
        self.keys.iter().map(told).collect()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    kid: String,
    algorithm: SigningAlgorithm,
    public: String,
    published: Timestamp,
    active: Timestamp,
    retired: Option<Timestamp>,
    destroyed: Option<Timestamp>,
    /// The state that the audit log was last told.
    told: KeyState,
    /// The private half; gone when the key retires.
    key: Option<WrappedKey>,
}

impl Record {
    fn state(&self, now: Timestamp) -> KeyState {
        if self.destroyed.is_some() {
            KeyState::Destroyed
        } else if self.retired.is_some() {
            KeyState::Retired
        } else if self.active <= now {
            KeyState::Active
        } else {
            KeyState::Published
        }
    }

    fn destroy(&mut self, now: Timestamp) {
        self.key = None;
        self.retired.get_or_insert(now);
        self.destroyed.get_or_insert(now);
    }

    fn info(&self, now: Timestamp) -> KeyInfo {
        KeyInfo {
            kid: self.kid.clone(),
            algorithm: self.algorithm,
            state: self.state(now),
            published: self.published,
            active: self.active,
            retired: self.retired,
            destroyed: self.destroyed,
        }
    }
}

/// Signs tokens.
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Signer {
    fn new(
        kid: &str,
        algorithm: SigningAlgorithm,
        private: &[u8; 32],
        public: &[u8],
    ) -> Option<Self> {
        let pair = match algorithm {
            SigningAlgorithm::Es256 => Pair::Es256(
                EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    private,
                    public,
                )
                .ok()?,
            ),
            SigningAlgorithm::EdDsa => {
                Pair::EdDsa(Ed25519KeyPair::from_seed_and_public_key(private, public).ok()?)
            }
        };
        Some(Self {
            kid: kid.to_owned(),
            algorithm: algorithm.algorithm(),
            pair,
        })
    }

    /// A token in compact form.
    pub(crate) fn sign(&self, typ: &str, claims: &Value) -> Result<String, AccessError> {
        let header = json!({ "alg": self.algorithm.name(), "typ": typ, "kid": self.kid });
        let mut token = b64::encode(header.to_string());
        token.push('.');
        token.push_str(&b64::encode(claims.to_string()));
        let signature = match &self.pair {
            Pair::Es256(pair) => pair
                .sign(&SystemRandom::new(), token.as_bytes())
                .map_err(|_| AccessError::NoKey)?,
            Pair::EdDsa(pair) => pair
                .try_sign(token.as_bytes())
                .map_err(|_| AccessError::NoKey)?,
        };
        token.push('.');
        token.push_str(&b64::encode(signature.as_ref()));
        Ok(token)
    }
}

/// A new private key and its public half.
fn generate(algorithm: SigningAlgorithm) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>), AccessError> {
    let mut private = Zeroizing::new([0; 32]);
    let mut keep = |bytes: &[u8]| -> Result<(), AccessError> {
        if bytes.len() != private.len() {
            return Err(AccessError::NoKey);
        }
        private.copy_from_slice(bytes);
        Ok(())
    };
    let public = match algorithm {
        SigningAlgorithm::Es256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .map_err(|_| AccessError::NoKey)?;
            let scalar = pair
                .private_key()
                .as_be_bytes()
                .map_err(|_| AccessError::NoKey)?;
            keep(scalar.as_ref())?;
            pair.public_key().as_ref().to_vec()
        }
        SigningAlgorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate().map_err(|_| AccessError::NoKey)?;
            let seed = pair.seed().map_err(|_| AccessError::NoKey)?;
            let seed = seed.as_be_bytes().map_err(|_| AccessError::NoKey)?;
            keep(seed.as_ref())?;
            pair.public_key().as_ref().to_vec()
        }
    };
    debug_assert!(VerifyingKey::from_raw(None, algorithm.algorithm(), &public).is_some());
    Ok((private, public))
}

/// The public key as a JWK.
fn jwk(algorithm: SigningAlgorithm, kid: &str, public: &[u8]) -> Value {
    let mut jwk = bare_jwk(algorithm, public);
    jwk["kid"] = kid.into();
    jwk["use"] = "sig".into();
    jwk["alg"] = algorithm.algorithm().name().into();
    jwk
}

/// Only the members that make the key, in the order of RFC 7638 §3.3.
fn bare_jwk(algorithm: SigningAlgorithm, public: &[u8]) -> Value {
    match algorithm {
        SigningAlgorithm::Es256 if public.len() == 65 => json!({
            "crv": "P-256",
            "kty": "EC",
            "x": b64::encode(&public[1..33]),
            "y": b64::encode(&public[33..]),
        }),
        _ => json!({ "crv": "Ed25519", "kty": "OKP", "x": b64::encode(public) }),
    }
}

fn thumbprint(algorithm: SigningAlgorithm, public: &[u8]) -> String {
    let text = bare_jwk(algorithm, public).to_string();
    b64::encode(digest(&SHA256, text.as_bytes()))
}

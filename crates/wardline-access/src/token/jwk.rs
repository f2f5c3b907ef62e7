//! Public keys of others (RFC 7517): of clients that sign assertions, and of issuers.

use super::strict;
use super::{Algorithm, b64};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Keys of one set that are read; more are not a set of one party's keys.
const MAX_KEYS: usize = 64;
/// The largest RSA modulus in bytes (8192 bits).
const MAX_MODULUS: usize = 1024;

/// A public key, bound to the algorithms it may verify. Parsed once: parsing costs as much
/// as a fifth of a check.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: Option<Arc<str>>,
    /// One for each algorithm; an RSA key has several unless its JWK says which.
    parsed: Vec<(Algorithm, ParsedPublicKey)>,
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl VerifyingKey {
    /// Its id, where it has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it may verify signatures of this algorithm.
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.parsed.iter().any(|(known, _)| *known == algorithm)
    }

    /// Whether `signature` over `message` was made with this key by this algorithm.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.parsed
            .iter()
            .find(|(known, _)| *known == algorithm)
            .is_some_and(|(_, key)| key.verify_sig(message, signature).is_ok())
    }

    /// An elliptic key from its uncompressed point, or an Ed25519 key from its 32 bytes.
    pub(crate) fn from_raw(
        kid: Option<Arc<str>>,
        algorithm: Algorithm,
        raw: &[u8],
    ) -> Option<Self> {
        let parsed = match algorithm {
            Algorithm::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, raw),
            Algorithm::Es384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, raw),
            Algorithm::EdDsa => ParsedPublicKey::new(&ED25519, raw),
            _ => return None,
        };
        Some(Self {
            kid,
            parsed: vec![(algorithm, parsed.ok()?)],
        })
    }

    fn from_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(b64::decode);
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        // A key that says what it is for is used for nothing else.
        let declared = match jwk.get("alg") {
            None => None,
            Some(alg) => Some(Algorithm::from_name(alg.as_str()?)?),
        };
        let kid = text("kid")
            .filter(|kid| kid.len() <= super::MAX_KID)
            .map(Arc::from);
        let fits = |algorithm| declared.is_none_or(|declared| declared == algorithm);
        match (text("kty")?, text("crv")) {
            ("EC", Some(curve)) => {
                let (algorithm, size) = match curve {
                    "P-256" => (Algorithm::Es256, 32),
                    "P-384" => (Algorithm::Es384, 48),
                    _ => return None,
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != size || y.len() != size || !fits(algorithm) {
                    return None;
                }
                Self::from_raw(kid, algorithm, &[&[4], &x[..], &y[..]].concat())
            }
            ("OKP", Some("Ed25519")) if fits(Algorithm::EdDsa) => {
                Self::from_raw(kid, Algorithm::EdDsa, &bytes("x")?)
            }
            ("RSA", _) => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                // Leading zeros are not part of a number that some issuers write.
                let n = &n[n.iter().position(|byte| *byte != 0)?..];
                if n.len() > MAX_MODULUS || n.len() < 256 || e.is_empty() || e.len() > 8 {
                    return None;
                }
                let components = RsaPublicKeyComponents { n, e: &e[..] };
                let parsed: Vec<_> = RSA
                    .iter()
                    .filter(|(algorithm, _)| fits(*algorithm))
                    .filter_map(|(algorithm, parameters)| {
                        Some((
                            *algorithm,
                            components.to_parsed_public_key(parameters).ok()?,
                        ))
                    })
                    .collect();
                (!parsed.is_empty()).then_some(Self { kid, parsed })
            }
            _ => None,
        }
    }
}

const RSA: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
];

/// A set of public keys.
///
/// ```
/// use wardline_access::token::KeySet;
/// assert!(KeySet::parse(br#"{"keys":[]}"#).is_some_and(|set| set.is_empty()));
/// assert!(KeySet::parse(b"not a set").is_none());
/// ```
#[derive(Debug, Clone, Default)]
pub struct KeySet(Vec<VerifyingKey>);

impl KeySet {
    /// Reads a JWKS. Keys that cannot verify what is known here (other curves, encryption,
    /// symmetric ones) are passed over, as RFC 7517 §5 wants; `None` where the bytes are not
    /// a set, or two keys have the same id.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut set = strict::object(bytes)?;
        let Some(Value::Array(keys)) = set.remove("keys") else {
            return None;
        };
        if keys.len() > MAX_KEYS {
            return None;
        }
        let keys: Vec<_> = keys
            .iter()
            .filter_map(|key| VerifyingKey::from_jwk(key.as_object()?))
            .collect();
        let mut seen = BTreeSet::new();
        keys.iter()
            .filter_map(VerifyingKey::kid)
            .all(|kid| seen.insert(kid))
            .then_some(Self(keys.clone()))
    }

    /// Whether it holds no key that can be used.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The key that a header names; without a name, the only one there is.
    pub fn find(&self, kid: Option<&str>) -> Option<&VerifyingKey> {
        match kid {
            Some(kid) => self.0.iter().find(|key| key.kid() == Some(kid)),
            None if self.0.len() == 1 => self.0.first(),
            None => None,
        }
    }
}

//! Which signatures are known. All are asymmetric: a caller can never present a public key
//! as the secret of an HMAC, since there is no HMAC to choose.

use std::fmt;

/// A signature algorithm of JOSE (RFC 7518 §3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    Rs384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    Rs512,
    /// RSA-PSS with SHA-256.
    Ps256,
    /// RSA-PSS with SHA-384.
    Ps384,
    /// RSA-PSS with SHA-512.
    Ps512,
}

impl Algorithm {
    /// What clients may sign assertions with: SMART Backend Services names RS384 and ES384
    /// (2.2.0, "Asymmetric Authentication"), newer libraries prefer the other two.
    pub const FOR_ASSERTIONS: [Self; 4] = [Self::Rs384, Self::Es384, Self::Es256, Self::EdDsa];

    /// The name that stands in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    /// The algorithm of this name; `None` for `none`, `HS256` and all that is not known.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Es256,
            Self::Es384,
            Self::EdDsa,
            Self::Rs256,
            Self::Rs384,
            Self::Rs512,
            Self::Ps256,
            Self::Ps384,
            Self::Ps512,
        ]
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

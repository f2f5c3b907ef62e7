//! Keys of SSH: how a server is known, and how we prove who we are.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PrivateKey, PublicKey};

use crate::{ConnectError, Secret};

/// A key by which a server is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKey {
    /// The SHA-256 fingerprint of a key, as `ssh-keygen -l` prints it.
    Fingerprint(String),
    /// The key itself.
    Key(PublicKey),
}

/// A text is no host key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `SHA256:…` as `ssh-keygen -l` prints it, or a line such as `ssh-ed25519 AAAA…`")]
pub struct NoHostKey;

impl FromStr for HostKey {
    type Err = NoHostKey;

    fn from_str(text: &str) -> Result<Self, NoHostKey> {
        let text = text.trim();
        if let Some(digest) = text.strip_prefix("SHA256:") {
            let digest = digest.trim_end_matches('=');
            let plain = digest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
            return if digest.len() == 43 && plain {
                Ok(Self::Fingerprint(format!("SHA256:{digest}")))
            } else {
                Err(NoHostKey)
            };
        }
        PublicKey::from_openssh(text)
            .map(Self::Key)
            .map_err(|_| NoHostKey)
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fingerprint(text) => f.write_str(text),
            Self::Key(key) => write!(f, "{} ({})", fingerprint(key), key.algorithm()),
        }
    }
}

impl HostKey {
    pub(super) fn is(&self, shown: &PublicKey) -> bool {
        match self {
            Self::Fingerprint(text) => *text == fingerprint(shown),
            Self::Key(key) => key.key_data() == shown.key_data(),
        }
    }
}

/// `SHA256:…`
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

const ECDSA: [Algorithm; 3] = [
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
];
/// Never with SHA-1, which nobody should believe any more.
const RSA: [Algorithm; 2] = [
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// Which kinds of host keys are asked for, one list after the other: a server shows one of its
/// keys, and a fingerprint does not say of which kind the pinned one is.
pub(super) fn asked_for(pins: &[HostKey]) -> Vec<Vec<Algorithm>> {
    let of = |key: &PublicKey| match key.algorithm() {
        Algorithm::Rsa { .. } => RSA.to_vec(),
        other => vec![other],
    };
    let mut known = Vec::new();
    for pin in pins {
        if let HostKey::Key(key) = pin {
            for one in of(key) {
                if !known.contains(&one) {
                    known.push(one);
                }
            }
        }
    }
    let mut all = Vec::new();
    if !known.is_empty() {
        all.push(known);
    }
    if pins
        .iter()
        .any(|pin| matches!(pin, HostKey::Fingerprint(_)))
    {
        all.extend([vec![Algorithm::Ed25519], ECDSA.to_vec(), RSA.to_vec()]);
    }
    all
}

/// What proves who we are. What is there is tried in this order: certificate, key, password.
#[derive(Clone, Default)]
pub struct Credentials {
    pub(super) key: Option<Arc<PrivateKey>>,
    pub(super) certificate: Option<Certificate>,
    pub(super) password: Option<Secret>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("key", &self.key.is_some())
            .field("certificate", &self.certificate.is_some())
            .field("password", &self.password.is_some())
            .finish()
    }
}

/// Credentials as they are kept.
#[derive(Debug, Default)]
pub struct Written<'a> {
    /// A private key: OpenSSH's form, or PEM.
    pub key: Option<&'a Secret>,
    /// What opens the key.
    pub passphrase: Option<&'a Secret>,
    /// The certificate of the key, one line as `ssh-keygen -s` writes it.
    pub certificate: Option<&'a str>,
    /// A password.
    pub password: Option<&'a Secret>,
}

impl Credentials {
    /// Reads what was written.
    ///
    /// # Errors
    /// [`ConnectError::BadPem`] where it is no key, or no certificate of the key.
    pub fn read(written: &Written<'_>) -> Result<Self, ConnectError> {
        let key = written
            .key
            .map(|key| private_key(key, written.passphrase))
            .transpose()?;
        let certificate = written
            .certificate
            .map(|text| {
                let bad = |detail: &str| ConnectError::BadPem {
                    what: "a certificate of SSH",
                    origin: "the file".into(),
                    detail: detail.into(),
                };
                let certificate = Certificate::from_openssh(text.trim()).map_err(|_| {
                    bad("expected one line, such as `ssh-ed25519-cert-v01@openssh.com AAAA…`")
                })?;
                match &key {
                    Some(key) if key.public_key().key_data() == certificate.public_key() => {
                        Ok(certificate)
                    }
                    _ => Err(bad("it is not that of the key")),
                }
            })
            .transpose()?;
        Ok(Self {
            key: key.map(Arc::new),
            certificate,
            password: written.password.cloned(),
        })
    }
}

/// Reads a private key.
///
/// # Errors
/// [`ConnectError::BadPem`] where it is none, or is locked and the passphrase does not open it.
pub(super) fn private_key(
    key: &Secret,
    passphrase: Option<&Secret>,
) -> Result<PrivateKey, ConnectError> {
    let bad = |detail: &str| ConnectError::BadPem {
        what: "a private key of SSH",
        origin: "the secret".into(),
        detail: detail.into(),
    };
    let text = std::str::from_utf8(key.expose()).map_err(|_| bad("it is no text"))?;
    let passphrase = passphrase
        .map(|one| std::str::from_utf8(one.expose()))
        .transpose()
        .map_err(|_| bad("the passphrase is no text"))?;
    russh::keys::decode_secret_key(text, passphrase.map(|text| text.trim_end_matches('\n'))).map_err(
        |error| match error {
            russh::keys::Error::KeyIsEncrypted => bad("it is locked: name its `passphrase`"),
            _ => bad("expected `-----BEGIN OPENSSH PRIVATE KEY-----` or a PEM key; where it is locked, the passphrase may be wrong"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ erp";

    #[test]
    fn a_server_is_known_by_its_key_or_its_fingerprint() {
        let key: HostKey = LINE.parse().unwrap();
        let HostKey::Key(shown) = &key else {
            panic!("{key:?}");
        };
        assert!(key.is(shown));
        let print: HostKey = fingerprint(shown).parse().unwrap();
        assert!(print.is(shown));
        let other: HostKey = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            .parse()
            .unwrap();
        assert!(!other.is(shown));
        assert_eq!(asked_for(&[key]).len(), 1);
        assert_eq!(asked_for(&[other]).len(), 3);
        for wrong in ["", "SHA256:abc", "MD5:aa:bb", "ssh-ed25519", "ssh-rsa AAAA"] {
            assert_eq!(wrong.parse::<HostKey>(), Err(NoHostKey), "{wrong}");
        }
    }

    #[test]
    fn nothing_of_a_bad_key_is_told() {
        let secret = Secret::from("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n");
        let error = private_key(&secret, None).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

//! A second party that vouches for a checkpoint: C2SP tlog-cosignature, version 1.
//!
//! A witness keeps a key of its own, in another hospital or another department, and signs
//! each checkpoint it is shown, after making sure that it continues the last one it signed
//! ([`verify_consistency`](super::verify_consistency)). Whoever runs this estate cannot show two
//! histories then without the witness's help. The signature is one more line of the note:
//!
//! ```text
//! — witness.st-olaf.example LcHC2ABlG…
//! ```
//!
//! It covers the time of signing, and the key's number (4) keeps it from passing for a
//! signature of the log itself.

use super::checkpoint::{Checkpoint, CheckpointError, key_id};
use crate::provider::random;
use crate::{Secret, VaultError};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;
use wardline_core::Timestamp;

/// C2SP signed-note: the number of Ed25519 cosignatures with a time.
const ALGORITHM: u8 = 4;
const PRIVATE: &str = "PRIVATE+KEY+";
/// Names are shown and compared; no host name is longer.
const MAX_NAME: usize = 253;

/// A witness's private key. Not printed; [`Witness::to_secret`] is the only way out.
pub struct Witness {
    key: WitnessKey,
    pair: Ed25519KeyPair,
    seed: Secret,
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Witness({})", self.key)
    }
}

impl Witness {
    /// A new key. `name` is what the witness is known by, such as `witness.st-olaf.example`.
    ///
    /// # Errors
    /// [`VaultError::AuditKey`] for a name that is empty, long, or has blanks or `+`;
    /// [`VaultError::Randomness`].
    pub fn generate(name: &str) -> Result<Self, VaultError> {
        check_name(name).map_err(|error| VaultError::AuditKey {
            reason: error.reason,
        })?;
        let seed = Secret::new(random::<32>()?.to_vec());
        Ok(Self::from_seed(name, seed).expect("a seed of 32 bytes makes a key"))
    }

    fn from_seed(name: &str, seed: Secret) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok()?;
        let public = pair.public_key().as_ref().try_into().ok()?;
        Some(Self {
            key: WitnessKey {
                name: name.to_owned(),
                public,
            },
            pair,
            seed,
        })
    }

    /// Reads what [`Witness::to_secret`] wrote.
    ///
    /// # Errors
    /// [`VaultError::AuditKey`] when it is not one.
    pub fn from_secret(secret: &Secret) -> Result<Self, VaultError> {
        let malformed = || VaultError::AuditKey {
            reason: "it is not a witness key PRIVATE+KEY+NAME+ID+KEY",
        };
        let text = secret.expose_text().ok_or_else(malformed)?.trim();
        let mut parts = text
            .strip_prefix(PRIVATE)
            .ok_or_else(malformed)?
            .splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        check_name(name).map_err(|_| malformed())?;
        let bytes = Secret::new(STANDARD.decode(key).map_err(|_| malformed())?);
        let seed = match bytes.expose() {
            [ALGORITHM, seed @ ..] if seed.len() == 32 => Secret::new(seed.to_vec()),
            _ => return Err(malformed()),
        };
        let witness = Self::from_seed(name, seed).ok_or_else(malformed)?;
        if witness.key.written_id() == id {
            Ok(witness)
        } else {
            Err(malformed())
        }
    }

    /// The private key as text, in the form that Go's `sumdb/note` uses; for a file of mode 0600.
    #[must_use]
    pub fn to_secret(&self) -> Secret {
        let bytes = Secret::new([&[ALGORITHM], self.seed.expose()].concat());
        let text = format!(
            "{PRIVATE}{}+{}+{}\n",
            self.key.name,
            self.key.written_id(),
            STANDARD.encode(bytes.expose())
        );
        Secret::new(text.into_bytes())
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn key(&self) -> WitnessKey {
        self.key.clone()
    }

    /// Adds this witness's signature to a checkpoint, in place of an earlier one of the same
    /// key. The caller has verified the checkpoint and that it continues the last one.
    pub fn cosign(&self, checkpoint: &mut Checkpoint, at: Timestamp) {
        let seconds = u64::try_from(at.0.div_euclid(1_000_000)).unwrap_or(0);
        let text = signed_text(checkpoint, seconds);
        let id = self.key.id();
        let mut signature = id.to_vec();
        signature.extend_from_slice(&seconds.to_be_bytes());
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        checkpoint
            .signatures
            .retain(|(name, old)| *name != self.key.name || !old.starts_with(&id));
        checkpoint
            .signatures
            .push((self.key.name.clone(), signature));
    }
}

/// Verifies a witness's signatures. Public: printed as a C2SP verifier key.
#[derive(Clone, PartialEq, Eq)]
pub struct WitnessKey {
    name: String,
    public: [u8; 32],
}

impl WitnessKey {
    /// What the witness is known by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> [u8; 4] {
        key_id(&self.name, ALGORITHM, &self.public)
    }

    fn written_id(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id()))
    }

    /// When this witness signed the checkpoint; `None` where it did not, or not validly.
    #[must_use]
    pub fn cosigned(&self, checkpoint: &Checkpoint) -> Option<Timestamp> {
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        checkpoint.signatures.iter().find_map(|(name, signature)| {
            if *name != self.name {
                return None;
            }
            let rest = signature.strip_prefix(&self.id())?;
            let (seconds, signature) = rest.split_first_chunk()?;
            let seconds = u64::from_be_bytes(*seconds);
            key.verify(signed_text(checkpoint, seconds).as_bytes(), signature)
                .ok()?;
            let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
            Some(Timestamp(micros))
        })
    }
}

fn signed_text(checkpoint: &Checkpoint, seconds: u64) -> String {
    format!(
        "cosignature/v1\ntime {seconds}\n{}",
        checkpoint.signed_text()
    )
}

fn check_name(name: &str) -> Result<(), CheckpointError> {
    if name.is_empty()
        || name.len() > MAX_NAME
        || name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
    {
        return Err(CheckpointError {
            reason: "a witness's name has 1 to 253 characters, without blanks or `+`",
        });
    }
    Ok(())
}

impl fmt::Display for WitnessKey {
    /// `witness.st-olaf.example+1a2b3c4d+BAbC…=`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ALGORITHM], &self.public[..]].concat();
        let (name, id) = (&self.name, self.written_id());
        write!(f, "{name}+{id}+{}", STANDARD.encode(key))
    }
}

impl fmt::Debug for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for WitnessKey {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let malformed = || CheckpointError {
            reason: "it is not a witness's verifier key NAME+ID+KEY",
        };
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        check_name(name)?;
        let public = match STANDARD.decode(key).map_err(|_| malformed())?.split_first() {
            Some((&ALGORITHM, public)) => public.try_into().map_err(|_| malformed())?,
            _ => return Err(malformed()),
        };
        let key = Self {
            name: name.to_owned(),
            public,
        };
        if key.written_id() == id {
            Ok(key)
        } else {
            Err(malformed())
        }
    }
}

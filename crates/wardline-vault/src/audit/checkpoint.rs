//! Signed statements of how long the log is and what its root is.
//!
//! The form is that of transparency logs (C2SP tlog-checkpoint in a C2SP signed note,
//! Ed25519), so that others' tools can keep and verify them:
//!
//! ```text
//! wardline/st-brigid
//! 42
//! kR3q…=
//! at 2026-11-24T10:42:03.120000Z
//! tree kR3q…= V5t0…= …
//!
//! — wardline/st-brigid 5oUy…=
//! ```
//!
//! The line `tree` holds the roots of the complete subtrees, from which the log goes on after
//! a restart without being read from its beginning.

use super::tree::{Hash, Tree};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use wardline_core::Timestamp;

/// 64 subtree roots and the rest fit; anything longer is not a checkpoint.
const MAX_TEXT: usize = 8 << 10;
/// C2SP signed-note: the number of Ed25519.
const ALGORITHM: u8 = 1;

/// Signs checkpoints. The key stays in memory and is not printed.
#[derive(Clone)]
pub struct AuditSigner {
    pair: Arc<Ed25519KeyPair>,
    key: AuditKey,
}

impl fmt::Debug for AuditSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditSigner({})", self.key)
    }
}

impl AuditSigner {
    pub(crate) fn new(estate: &str, seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("a seed has 32 bytes");
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Self {
            pair: Arc::new(pair),
            key: AuditKey {
                origin: origin(estate),
                public,
            },
        }
    }

    /// The key that verifies what this one signs.
    pub fn key(&self) -> AuditKey {
        self.key.clone()
    }

    pub(crate) fn sign(&self, tree: &Tree, at: Timestamp) -> Checkpoint {
        let mut checkpoint = Checkpoint {
            origin: self.key.origin.clone(),
            tree: tree.clone(),
            root: tree.root(),
            at,
            signatures: Vec::new(),
        };
        let mut signature = self.key.id().to_vec();
        signature.extend_from_slice(self.pair.sign(checkpoint.signed_text().as_bytes()).as_ref());
        checkpoint
            .signatures
            .push((self.key.origin.clone(), signature));
        checkpoint
    }
}

/// Spaces and line ends would break the note's form; estates are not named with them.
fn origin(estate: &str) -> String {
    let name: String = estate
        .chars()
        .map(|c| {
            if c.is_whitespace() || c == '+' {
                '-'
            } else {
                c
            }
        })
        .collect();
    format!("wardline/{name}")
}

/// C2SP signed-note: the first four bytes of SHA-256(name, line feed, algorithm, key).
pub(super) fn key_id(name: &str, algorithm: u8, public: &[u8; 32]) -> [u8; 4] {
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    hash.update(name.as_bytes());
    hash.update(&[b'\n', algorithm]);
    hash.update(public);
    let mut id = [0; 4];
    id.copy_from_slice(&hash.finish().as_ref()[..4]);
    id
}

/// Verifies checkpoints. Public: printed as a C2SP verifier key, for auditors to keep.
#[derive(Clone, PartialEq, Eq)]
pub struct AuditKey {
    origin: String,
    public: [u8; 32],
}

impl AuditKey {
    fn id(&self) -> [u8; 4] {
        key_id(&self.origin, ALGORITHM, &self.public)
    }

    /// Whether a checkpoint carries this key's valid signature.
    pub fn verifies(&self, checkpoint: &Checkpoint) -> bool {
        let text = checkpoint.signed_text();
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        checkpoint.origin == self.origin
            && checkpoint.signatures.iter().any(|(name, signature)| {
                *name == self.origin
                    && signature
                        .strip_prefix(&self.id())
                        .is_some_and(|s| key.verify(text.as_bytes(), s).is_ok())
            })
    }
}

impl fmt::Display for AuditKey {
    /// `wardline/st-brigid+1a2b3c4d+AbCd…=`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ALGORITHM];
        key.extend_from_slice(&self.public);
        write!(
            f,
            "{}+{:08x}+{}",
            self.origin,
            u32::from_be_bytes(self.id()),
            STANDARD.encode(key)
        )
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AuditKey {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let malformed = || CheckpointError {
            reason: "it is not a verifier key NAME+ID+KEY",
        };
        let mut parts = text.trim().splitn(3, '+');
        let (Some(origin), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let key = STANDARD.decode(key).map_err(|_| malformed())?;
        let public = match key.split_first() {
            Some((&ALGORITHM, public)) => public.try_into().map_err(|_| malformed())?,
            _ => return Err(malformed()),
        };
        let key = Self {
            origin: origin.to_owned(),
            public,
        };
        if format!("{:08x}", u32::from_be_bytes(key.id())) == id {
            Ok(key)
        } else {
            Err(malformed())
        }
    }
}

/// A signed statement: at this moment the log had so many entries and this root.
/// [`Display`](fmt::Display) writes the note, [`FromStr`] reads it; reading does not verify,
/// [`AuditKey::verifies`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    pub(crate) tree: Tree,
    pub(crate) root: Hash,
    at: Timestamp,
    /// Name of a key, and its id followed by its signature. Witnesses may have added theirs.
    pub(super) signatures: Vec<(String, Vec<u8>)>,
}

impl Checkpoint {
    /// How many entries it covers.
    pub const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Sequence of the record to read from for [`AuditLog::restore`](super::AuditLog::restore):
    /// the last one covered.
    pub const fn resume_from(&self) -> u64 {
        self.tree.size().saturating_sub(1)
    }

    /// The root of the tree of those entries.
    pub const fn root(&self) -> [u8; 32] {
        self.root
    }

    /// When it was signed.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// What signatures are over: the note without them.
    pub(super) fn signed_text(&self) -> String {
        let mut text = format!(
            "{}\n{}\n{}\nat {:.6}\ntree",
            self.origin,
            self.tree.size(),
            STANDARD.encode(self.root),
            self.at.to_jiff()
        );
        for subtree in self.tree.subtrees() {
            text.push(' ');
            text.push_str(&STANDARD.encode(subtree));
        }
        text.push('\n');
        text
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.signed_text())?;
        for (name, signature) in &self.signatures {
            writeln!(f, "\u{2014} {name} {}", STANDARD.encode(signature))?;
        }
        Ok(())
    }
}

/// A text that is not a checkpoint or key of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint of an audit log: {reason}")]
pub struct CheckpointError {
    pub(super) reason: &'static str,
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let bad = |reason| CheckpointError { reason };
        if text.len() > MAX_TEXT {
            return Err(bad("it is too long"));
        }
        let (signed, signatures) = text
            .split_once("\n\n")
            .ok_or_else(|| bad("it has no signature"))?;
        let mut lines = signed.lines();
        let mut line = |what| lines.next().ok_or(CheckpointError { reason: what });
        let origin = line("its origin is missing")?.to_owned();
        let size = line("its size is missing")?
            .parse()
            .map_err(|_| bad("its size is not a number"))?;
        let root =
            hash(line("its root is missing")?).ok_or_else(|| bad("its root is not a hash"))?;
        let at = line("its time is missing")?
            .strip_prefix("at ")
            .and_then(|at| Timestamp::try_from(at.to_owned()).ok())
            .ok_or_else(|| bad("its time is malformed"))?;
        let subtrees = line("its tree is missing")?
            .strip_prefix("tree")
            .and_then(|hashes| {
                hashes
                    .split_whitespace()
                    .map(hash)
                    .collect::<Option<Vec<_>>>()
            })
            .ok_or_else(|| bad("its tree is malformed"))?;
        let tree = Tree::from_parts(size, subtrees)
            .ok_or_else(|| bad("its tree does not fit its size"))?;
        if tree.root() != root {
            return Err(bad("its tree does not have its root"));
        }
        let signatures = signatures
            .lines()
            .map(|line| {
                let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
                Some((name.to_owned(), STANDARD.decode(signature).ok()?))
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| bad("a signature is malformed"))?;
        Ok(Self {
            origin,
            tree,
            root,
            at,
            signatures,
        })
    }
}

fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(leaves: u64) -> (AuditSigner, Checkpoint) {
        let signer = AuditSigner::new("st-brigid", &[3; 32]);
        let mut tree = Tree::default();
        for n in 0..leaves {
            tree.push(super::super::tree::leaf(&n.to_le_bytes()));
        }
        let checkpoint = signer.sign(&tree, Timestamp(1_700_000_000_123_456));
        (signer, checkpoint)
    }

    #[test]
    fn text_round_trips_and_verifies() {
        for leaves in [0, 1, 2, 7, 8, 1000] {
            let (signer, checkpoint) = signed(leaves);
            let read: Checkpoint = checkpoint.to_string().parse().unwrap();
            assert_eq!(read, checkpoint);
            assert!(signer.key().verifies(&read));
            assert_eq!(
                signer.key().to_string().parse::<AuditKey>().unwrap(),
                signer.key()
            );
        }
    }

    #[test]
    fn no_character_can_be_changed() {
        let (signer, checkpoint) = signed(5);
        let text = checkpoint.to_string();
        let signature_line = text.find('\u{2014}').unwrap();
        for (at, old) in text.char_indices() {
            let mut changed = text.clone();
            let new = if old == 'B' { "C" } else { "B" };
            changed.replace_range(at..at + old.len_utf8(), new);
            let accepted = changed
                .parse::<Checkpoint>()
                .is_ok_and(|read| signer.key().verifies(&read));
            assert!(
                !accepted,
                "changed {old:?} at {at} of {signature_line}:\n{changed}"
            );
        }
    }

    #[test]
    fn another_key_or_estate_does_not_verify() {
        let (_, checkpoint) = signed(5);
        assert!(
            !AuditSigner::new("st-brigid", &[4; 32])
                .key()
                .verifies(&checkpoint)
        );
        assert!(
            !AuditSigner::new("st-olaf", &[3; 32])
                .key()
                .verifies(&checkpoint)
        );
    }

    #[test]
    fn a_witness_may_add_its_signature() {
        let (signer, checkpoint) = signed(5);
        let witnessed = format!("{checkpoint}\u{2014} witness.example AAAA\n");
        assert!(signer.key().verifies(&witnessed.parse().unwrap()));
    }
}

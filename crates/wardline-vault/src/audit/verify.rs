//! Reading the log with suspicion.

use super::AuditRecord;
use super::checkpoint::{AuditKey, Checkpoint};
use super::tree::{self, Tree};
use std::fmt;

/// A log without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Entries read.
    pub count: u64,
    /// How many of them lie under a signed checkpoint; the rest is consistent but unsigned.
    pub signed: u64,
    /// Root of the tree of all entries.
    pub root: [u8; 32],
}

/// The first place where the log is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log breaks at entry {at}: {why}")]
pub struct Break {
    /// Sequence of the first entry that does not fit; for a log that was cut short, how
    /// many entries there are.
    pub at: u64,
    /// In which way.
    pub why: Broken,
}

/// In which way a log is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broken {
    /// The entry has another sequence: one was removed, inserted, or they were reordered.
    Sequence {
        /// The sequence that would follow.
        expected: u64,
    },
    /// The root does not follow from the entries: this entry was edited or exchanged, or
    /// its recorded hash was.
    Root,
    /// The body is not an audit entry, or says another time than the record.
    Body,
    /// Entries fit each other but not a signed checkpoint: they were rewritten together
    /// with their hashes.
    Checkpoint {
        /// Entries the checkpoint covers.
        size: u64,
    },
    /// Fewer entries than a signed checkpoint covers: the end was cut off.
    Truncated {
        /// Entries the checkpoint covers.
        size: u64,
    },
    /// A checkpoint is not signed by this estate's key.
    Signature,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequence { expected } => {
                write!(
                    f,
                    "entry {expected} should stand here: entries were removed, inserted or reordered"
                )
            }
            Self::Root => f.write_str(
                "its hash does not follow from the entries: this entry or its hash was changed",
            ),
            Self::Body => f.write_str("its body is not an audit entry of the recorded time"),
            Self::Checkpoint { size } => {
                write!(
                    f,
                    "the first {size} entries are not those that were signed: the log was rewritten"
                )
            }
            Self::Truncated { size } => write!(
                f,
                "a signed checkpoint covers {size} entries: the end was cut off"
            ),
            Self::Signature => {
                f.write_str("a checkpoint that covers it is not signed by this estate")
            }
        }
    }
}

/// Takes the next record into the tree, if it fits.
pub(super) fn follow(tree: &mut Tree, record: &AuditRecord) -> Result<(), Break> {
    let at = tree.size();
    if record.sequence != at {
        return Err(Break {
            at,
            why: Broken::Sequence { expected: at },
        });
    }
    tree.push(tree::leaf(&record.body));
    if tree.root() != record.hash {
        return Err(Break {
            at,
            why: Broken::Root,
        });
    }
    if super::body::is_of(&record.body, record.at) {
        Ok(())
    } else {
        Err(Break {
            at,
            why: Broken::Body,
        })
    }
}

/// Verifies a whole log, read from its first entry on, against checkpoints from the store,
/// from a printout, from wherever they were kept; in any order. [`Verifier`] does the same
/// for a log that arrives page by page.
///
/// # Errors
/// The first [`Break`]. An edit, removal, insertion or reordering is found by the hashes; a
/// rewritten or truncated log by any checkpoint that covers it.
pub fn verify(
    records: impl IntoIterator<Item = AuditRecord>,
    checkpoints: &[Checkpoint],
    key: &AuditKey,
) -> Result<Verified, Break> {
    let mut verifier = Verifier::new(checkpoints, key)?;
    for record in records {
        verifier.read(&record)?;
    }
    verifier.finish()
}

/// Verifies a log one record at a time: a log of any length takes constant memory.
#[derive(Debug)]
pub struct Verifier {
    tree: Tree,
    /// Size and root of each checkpoint not yet reached, the nearest last.
    ahead: Vec<(u64, [u8; 32])>,
    signed: u64,
}

impl Verifier {
    /// Begins before the first entry.
    ///
    /// # Errors
    /// A [`Break`] when a checkpoint is not signed by this key.
    pub fn new(checkpoints: &[Checkpoint], key: &AuditKey) -> Result<Self, Break> {
        if let Some(forged) = checkpoints
            .iter()
            .find(|checkpoint| !key.verifies(checkpoint))
        {
            return Err(Break {
                at: forged.resume_from(),
                why: Broken::Signature,
            });
        }
        let mut ahead: Vec<_> = checkpoints
            .iter()
            .map(|checkpoint| (checkpoint.size(), checkpoint.root()))
            .collect();
        ahead.sort_unstable_by(|a, b| b.cmp(a));
        let mut verifier = Self {
            tree: Tree::default(),
            ahead,
            signed: 0,
        };
        verifier.compare()?;
        Ok(verifier)
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// The [`Break`], if the log breaks here; nothing that follows is worth reading then.
    pub fn read(&mut self, record: &AuditRecord) -> Result<(), Break> {
        follow(&mut self.tree, record)?;
        self.compare()
    }

    /// Says how the log fared, now that there are no more records.
    ///
    /// # Errors
    /// A [`Break`] when a checkpoint covers more entries than there were.
    pub fn finish(self) -> Result<Verified, Break> {
        let count = self.tree.size();
        match self.ahead.first() {
            Some(&(size, _)) => Err(Break {
                at: count,
                why: Broken::Truncated { size },
            }),
            None => Ok(Verified {
                count,
                signed: self.signed,
                root: self.tree.root(),
            }),
        }
    }

    /// Compares the root with every checkpoint of the size reached.
    fn compare(&mut self) -> Result<(), Break> {
        let reached = self.tree.size();
        while let Some(&(size, root)) = self.ahead.last().filter(|(size, _)| *size == reached) {
            if root != self.tree.root() {
                return Err(Break {
                    at: size.saturating_sub(1),
                    why: Broken::Checkpoint { size },
                });
            }
            self.signed = size;
            self.ahead.pop();
        }
        Ok(())
    }
}

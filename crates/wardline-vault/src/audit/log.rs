//! Writing the log: what comes next, and going on after a restart.

use super::checkpoint::{AuditSigner, Checkpoint};
use super::tree::{self, Tree};
use super::{AuditEntry, Break, Broken, body};
use crate::{Vault, VaultError};
use std::sync::Arc;
use wardline_core::{Clock, Timestamp};

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// 0, 1, 2, …
    pub sequence: u64,
    /// When; the body says it too.
    pub at: Timestamp,
    /// The sealed entry; of old logs its canonical JSON. Opened by [`Vault::open_audit`].
    pub body: Vec<u8>,
    /// Root of the Merkle tree that ends with this entry.
    pub hash: [u8; 32],
}

/// The end of the log, where entries are appended. One writer holds it (in a mutex).
#[derive(Debug)]
pub struct AuditLog {
    tree: Tree,
    last_at: Timestamp,
    signer: AuditSigner,
    clock: Arc<dyn Clock>,
    vault: Arc<Vault>,
}

/// A record that is not part of the log until the store has it.
#[derive(Debug)]
#[must_use = "give it to `AuditLog::accept` once the record is committed"]
pub struct Proposal {
    record: AuditRecord,
    tree: Tree,
}

impl Proposal {
    /// What to commit.
    pub const fn record(&self) -> &AuditRecord {
        &self.record
    }
}

/// Records that follow one another, not part of the log until the store has them all.
#[derive(Debug)]
#[must_use = "give it to `AuditLog::accept_all` once the records are committed"]
pub struct Proposals {
    records: Vec<AuditRecord>,
    tree: Tree,
}

impl Proposals {
    /// What to commit, in order.
    pub fn records(&self) -> &[AuditRecord] {
        &self.records
    }
}

impl AuditLog {
    /// An empty log, whose entries this vault seals and whose checkpoints it signs.
    pub fn new(vault: Arc<Vault>, clock: Arc<dyn Clock>) -> Self {
        Self {
            tree: Tree::default(),
            last_at: Timestamp(i64::MIN),
            signer: vault.audit_signer(),
            clock,
            vault,
        }
    }

    /// Goes on where the stored log ends: after all `records`, or, given a checkpoint, after
    /// the records from [`Checkpoint::resume_from`] on, so that a restart reads little.
    /// What is read is verified on the way; [`verify`](super::verify) verifies everything.
    ///
    /// # Errors
    /// A [`Break`] when the checkpoint is not signed by this estate, or the records do not
    /// reach it or do not follow from it.
    pub fn restore(
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
        checkpoint: Option<&Checkpoint>,
        records: impl IntoIterator<Item = AuditRecord>,
    ) -> Result<Self, Break> {
        let mut log = Self::new(vault, clock);
        let mut records = records.into_iter();
        if let Some(checkpoint) = checkpoint {
            let size = checkpoint.size();
            if !log.signer.key().verifies(checkpoint) {
                return Err(Break {
                    at: size.saturating_sub(1),
                    why: Broken::Signature,
                });
            }
            if let Some(last) = size.checked_sub(1) {
                // The last entry the checkpoint covers must be there and have its root.
                match records.next() {
                    None => {
                        return Err(Break {
                            at: last,
                            why: Broken::Truncated { size },
                        });
                    }
                    Some(record) if record.sequence != last => {
                        return Err(Break {
                            at: record.sequence,
                            why: Broken::Sequence { expected: last },
                        });
                    }
                    Some(record) if record.hash != checkpoint.root() => {
                        return Err(Break {
                            at: last,
                            why: Broken::Checkpoint { size },
                        });
                    }
                    Some(record) => log.last_at = record.at,
                }
            }
            log.tree = checkpoint.tree.clone();
        }
        for record in records {
            super::verify::follow(&mut log.tree, &record)?;
            log.last_at = record.at;
        }
        Ok(log)
    }

    /// How many entries the log has; the next one's sequence.
    pub const fn len(&self) -> u64 {
        self.tree.size()
    }

    /// Whether nothing was ever logged.
    pub const fn is_empty(&self) -> bool {
        self.tree.size() == 0
    }

    /// The record that would come next. The log does not change: when the commit fails, the
    /// proposal is dropped and nothing has happened.
    ///
    /// # Errors
    /// What keeps the vault from sealing it ([`Vault::seal`]).
    pub fn propose(&self, entry: &AuditEntry) -> Result<Proposal, VaultError> {
        // Time never runs backwards in the log, whatever the machine's clock does.
        let at = self.clock.now().max(self.last_at);
        let body = body::seal(&self.vault, entry, at)?;
        let mut tree = self.tree.clone();
        tree.push(tree::leaf(&body));
        let record = AuditRecord {
            sequence: self.tree.size(),
            at,
            body,
            hash: tree.root(),
        };
        Ok(Proposal { record, tree })
    }

    /// The records that would come next, to be committed together.
    ///
    /// # Errors
    /// As [`AuditLog::propose`].
    pub fn propose_all(&self, entries: &[AuditEntry]) -> Result<Proposals, VaultError> {
        let at = self.clock.now().max(self.last_at);
        let mut tree = self.tree.clone();
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            let body = body::seal(&self.vault, entry, at)?;
            let sequence = tree.size();
            tree.push(tree::leaf(&body));
            records.push(AuditRecord {
                sequence,
                at,
                body,
                hash: tree.root(),
            });
        }
        Ok(Proposals { records, tree })
    }

    /// Makes committed proposals part of the log.
    ///
    /// # Errors
    /// As [`AuditLog::accept`].
    pub fn accept_all(&mut self, proposals: Proposals) -> Result<(), Break> {
        let Proposals { records, tree } = proposals;
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Ok(());
        };
        if first.sequence != self.tree.size() {
            return Err(Break {
                at: first.sequence,
                why: Broken::Sequence {
                    expected: self.tree.size(),
                },
            });
        }
        self.last_at = last.at;
        self.tree = tree;
        Ok(())
    }

    /// Makes a committed proposal part of the log.
    ///
    /// # Errors
    /// A [`Break`] when another proposal was accepted since this one was made: two writers.
    pub fn accept(&mut self, proposal: Proposal) -> Result<AuditRecord, Break> {
        let Proposal { record, tree } = proposal;
        if record.sequence != self.tree.size() {
            return Err(Break {
                at: record.sequence,
                why: Broken::Sequence {
                    expected: self.tree.size(),
                },
            });
        }
        self.tree = tree;
        self.last_at = record.at;
        Ok(record)
    }

    /// Proposes and accepts at once, for a caller that queues records in order and restores
    /// the log from the store should a commit fail.
    ///
    /// # Errors
    /// As [`AuditLog::propose`].
    pub fn append(&mut self, entry: &AuditEntry) -> Result<AuditRecord, VaultError> {
        let Proposal { record, tree } = self.propose(entry)?;
        self.tree = tree;
        self.last_at = record.at;
        Ok(record)
    }

    /// Signs how the log stands now.
    pub fn checkpoint(&self) -> Checkpoint {
        self.signer.sign(&self.tree, self.clock.now())
    }
}

//! The audit log's end: what is written with every act, and how it is read back.

use super::{Desk, DeskError};
use crate::accept::Acceptor;
use crate::view::{AuditEntryView, AuditRecordView, AuditStateView, AuditView};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use wardline_store::{AuditRecord, Change, Outcome, Store, StoreError};
use wardline_vault::audit::{Break, Checkpoint, Verified, Verifier};
use wardline_vault::{AuditEntry, AuditLog, Vault, VaultError};

/// Name of the stored value that holds the last signed checkpoint.
const CHECKPOINT: &str = "audit/checkpoint";
/// Records read at a time.
const READ: usize = 1_000;

fn of_store(record: AuditRecord) -> wardline_vault::AuditRecord {
    wardline_vault::AuditRecord {
        sequence: record.sequence,
        at: record.at,
        body: record.body,
        hash: record.hash,
    }
}

fn of_vault(record: &wardline_vault::AuditRecord) -> AuditRecord {
    AuditRecord {
        sequence: record.sequence,
        at: record.at,
        body: record.body.clone(),
        hash: record.hash,
    }
}

/// Continues the log where the journal ends it.
pub(super) async fn restore(acceptor: &Acceptor) -> Result<AuditLog, crate::StartError> {
    let checkpoint = last_checkpoint(&*acceptor.store).await?;
    let from = checkpoint.as_ref().map_or(0, Checkpoint::resume_from);
    let mut records = Vec::new();
    loop {
        let page = acceptor
            .store
            .audit(from + records.len() as u64, READ)
            .await?;
        let more = page.len() == READ;
        records.extend(page.into_iter().map(of_store));
        if !more {
            break;
        }
    }
    Ok(AuditLog::restore(
        Arc::clone(&acceptor.vault),
        Arc::clone(&acceptor.clock),
        checkpoint.as_ref(),
        records,
    )?)
}

async fn last_checkpoint(store: &dyn Store) -> Result<Option<Checkpoint>, StoreError> {
    let Some(bytes) = store.meta(CHECKPOINT).await? else {
        return Ok(None);
    };
    std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or(StoreError::Database {
            doing: "reading the audit checkpoint",
            reason: "it is not one: it was edited, or is of a newer version".to_owned(),
        })
}

impl Desk {
    /// Commits changes together with the audit entry that explains them.
    pub(super) async fn commit_audited(
        &self,
        entry: &AuditEntry,
        changes: Vec<Change>,
    ) -> Result<Vec<Outcome>, DeskError> {
        let mut log = self.audit.lock().await;
        let proposal = log.propose(entry)?;
        let mut all = vec![Change::Audit(of_vault(proposal.record()))];
        all.extend(changes);
        let mut outcomes = self.acceptor.store.commit(all).await?;
        log.accept(proposal).map_err(|broken| {
            DeskError::Invalid(format!("the audit log moved on meanwhile: {broken}"))
        })?;
        outcomes.remove(0);
        Ok(outcomes)
    }

    /// Writes an entry that no change of the journal goes with: somebody was let in, or was not.
    ///
    /// # Errors
    /// Where it cannot be made durable.
    pub async fn record(&self, entry: &AuditEntry) -> Result<(), DeskError> {
        self.commit_audited(entry, Vec::new()).await.map(drop)
    }

    /// Writes several entries in one commit, in order; all of them or none.
    ///
    /// # Errors
    /// Where they cannot be made durable.
    pub async fn record_all(&self, entries: &[AuditEntry]) -> Result<(), DeskError> {
        let mut log = self.audit.lock().await;
        let proposals = log.propose_all(entries)?;
        let changes = proposals.records().iter();
        let changes = changes
            .map(|record| Change::Audit(of_vault(record)))
            .collect();
        self.acceptor.store.commit(changes).await?;
        log.accept_all(proposals).map_err(|broken| {
            DeskError::Invalid(format!("the audit log moved on meanwhile: {broken}"))
        })
    }

    /// Lines of the audit log, newest first, ending before `before`.
    pub async fn audit(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditView>, DeskError> {
        let end = match before {
            Some(before) => before,
            None => self
                .acceptor
                .store
                .audit_head()
                .await?
                .map_or(0, |head| head.sequence + 1),
        };
        let limit = limit.clamp(1, READ);
        let from = end.saturating_sub(limit as u64);
        let records = self
            .acceptor
            .store
            .audit(from, (end - from) as usize)
            .await?;
        let mut lines: Vec<AuditView> = records
            .iter()
            .map(|record| line(&self.acceptor.vault, record))
            .collect();
        lines.reverse();
        Ok(lines)
    }

    /// Records as they are stored, from sequence `from` on: what proofs are made of and what an
    /// export holds.
    pub async fn audit_records(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<AuditRecordView>, DeskError> {
        let limit = limit.clamp(1, READ);
        let records = self.acceptor.store.audit(from, limit).await?;
        Ok(records
            .into_iter()
            .map(|record| self.record_view(record))
            .collect())
    }

    fn record_view(&self, record: AuditRecord) -> AuditRecordView {
        let (entry, unreadable) = match self.acceptor.vault.open_audit(&record.body) {
            Ok((_, entry)) => (
                Some(AuditEntryView {
                    actor: entry.actor,
                    act: entry.act,
                    target: entry.target,
                    reason: entry.reason,
                    detail: entry.detail,
                }),
                None,
            ),
            Err(error) => (None, Some(error.to_string())),
        };
        AuditRecordView {
            sequence: record.sequence,
            at: record.at,
            at_us: record.at.0,
            body: STANDARD.encode(&record.body),
            hash: hex(&record.hash),
            entry,
            unreadable,
        }
    }

    /// How long the log is, the key that verifies it, and its last signed checkpoint. `sign`
    /// signs what came since; without it nothing changes.
    pub async fn audit_state(&self, sign: bool) -> Result<AuditStateView, DeskError> {
        if sign {
            self.checkpoint().await;
        }
        let store = &self.acceptor.store;
        Ok(AuditStateView {
            estate: self.estate().to_owned(),
            size: store
                .audit_head()
                .await?
                .map_or(0, |head| head.sequence + 1),
            key: self.acceptor.vault.audit_key().to_string(),
            checkpoint: last_checkpoint(&**store)
                .await?
                .map(|last| last.to_string()),
        })
    }

    /// Reads the whole log, page by page, and checks every hash and the signed checkpoint.
    pub async fn verify_audit(&self) -> Result<Result<Verified, Break>, DeskError> {
        let checkpoint = last_checkpoint(&*self.acceptor.store).await?;
        let key = self.acceptor.vault.audit_key();
        let mut verifier = match Verifier::new(&checkpoint.into_iter().collect::<Vec<_>>(), &key) {
            Ok(verifier) => verifier,
            Err(broken) => return Ok(Err(broken)),
        };
        let mut from = 0u64;
        loop {
            let page = self.acceptor.store.audit(from, READ).await?;
            let count = page.len();
            from += count as u64;
            for record in page {
                if let Err(broken) = verifier.read(&of_store(record)) {
                    return Ok(Err(broken));
                }
            }
            if count < READ {
                return Ok(verifier.finish());
            }
        }
    }

    /// Signs and stores how the log stands, so that a cut end is noticed and a start is quick.
    pub(crate) async fn checkpoint(&self) {
        let log = self.audit.lock().await;
        if log.is_empty() || self.signed.load(Ordering::Relaxed) == log.len() {
            return;
        }
        let value = log.checkpoint().to_string().into_bytes();
        let change = Change::SetMeta {
            name: CHECKPOINT.to_owned(),
            value,
        };
        match self.acceptor.store.commit(vec![change]).await {
            Ok(_) => self.signed.store(log.len(), Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(code = %error.code(), %error, "the audit checkpoint was not stored; the log itself is complete");
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

fn line(vault: &Vault, record: &AuditRecord) -> AuditView {
    match vault.open_audit(&record.body) {
        Ok((at, entry)) => AuditView {
            sequence: record.sequence,
            at,
            actor: entry.actor,
            act: entry.act,
            target: entry.target,
            reason: entry.reason,
        },
        Err(error) => AuditView {
            sequence: record.sequence,
            at: record.at,
            actor: String::new(),
            act: "unreadable".to_owned(),
            target: String::new(),
            reason: match error {
                VaultError::Destroyed { .. } => "its keys were destroyed".to_owned(),
                _ => "this line cannot be read; run `wardline audit verify`".to_owned(),
            },
        },
    }
}

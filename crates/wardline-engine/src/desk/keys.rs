//! Destroying keys by hand: what retention does by itself, earlier, for a reason that somebody
//! gives. The entry that says so is in the audit log before a key is gone.

use super::{Desk, DeskError};
use crate::view::{DestroyKeys, DestroyedKeys};
use std::sync::Arc;
use wardline_core::Timestamp;
use wardline_vault::{AuditEntry, Day, KeyInfo, KeyList};

impl Desk {
    /// Destroys the sealing keys of days before one, or says what that would destroy.
    ///
    /// Payloads of those days cannot be opened again by anyone, from any copy whose key ring
    /// has gone too. That the messages were there stays in the journal, and the audit log
    /// still verifies.
    pub async fn destroy_keys(
        &self,
        request: &DestroyKeys,
        actor: &str,
    ) -> Result<DestroyedKeys, DeskError> {
        let before: Day = request.before.parse().map_err(|_| {
            DeskError::Invalid(format!(
                "`{}` is not a day: write it as 2026-11-24",
                request.before
            ))
        })?;
        let today = Day::of(self.acceptor.clock.now());
        if before > today {
            return Err(DeskError::Invalid(format!(
                "keys of {today} and later are in use: name {today} at the latest"
            )));
        }
        if !request.preview && request.reason.trim().is_empty() {
            return Err(DeskError::Invalid(
                "a reason is needed: it goes into the audit log".to_owned(),
            ));
        }
        let vault = Arc::clone(&self.acceptor.vault);
        let list = vault.key_list()?;
        let mut report = report(&list, before, request);
        if request.preview {
            return Ok(report);
        }
        let act = if request.audit {
            "keys.destroy-audit"
        } else {
            "keys.destroy"
        };
        let entry = AuditEntry::new(actor, act, report.before.clone())
            .because(request.reason.trim())
            .with("keys", report.keys)
            .with("ring", list.ring);
        self.record(&entry).await?;
        let audit = request.audit;
        // The ring is written to the disk, and a lock on it waited for.
        let destroyed = tokio::task::spawn_blocking(move || {
            if audit {
                vault.destroy_audit_before(before)
            } else {
                vault.destroy_before(before)
            }
        })
        .await
        .map_err(|error| DeskError::Invalid(error.to_string()))??;
        report.before = destroyed.before.to_string();
        Ok(report)
    }
}

fn report(list: &KeyList, before: Day, request: &DestroyKeys) -> DestroyedKeys {
    let (all, before) = if request.audit {
        (&list.audit, before.month())
    } else {
        (&list.payloads, before)
    };
    let gone: Vec<&KeyInfo> = all.iter().filter(|key| key.period < before).collect();
    let end = |key: Option<&&KeyInfo>| key.map(|key| key.period.to_string());
    DestroyedKeys {
        preview: request.preview,
        before: before.to_string(),
        audit: request.audit,
        keys: gone.len() as u64,
        left: (all.len() - gone.len()) as u64,
        first: end(gone.first()),
        last: end(gone.last()),
        at: Timestamp::now(),
    }
}

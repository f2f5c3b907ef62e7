//! Which estate is in force: its number, who applied it and why; and the way to whoever reads
//! the files again.

use super::{Desk, DeskError};
use crate::live::Change;
use crate::view::{AppliedView, ReloadView};
use tokio::sync::{mpsc, oneshot};
use wardline_store::Change as Write;
use wardline_vault::AuditEntry;

/// Name of the stored value that says which estate is in force.
const APPLIED: &str = "estate/applied";
/// Reloads that may wait for their turn.
const WAITING: usize = 8;
/// Changes that stand in the audit entry one by one; it tells how many there were.
const LISTED: usize = 50;

/// Somebody asks for the estate to be read again.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Why, for the audit log.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// Where the answer goes.
    pub answer: oneshot::Sender<ReloadView>,
}

impl Desk {
    /// The estate that was applied last; `None` before the first.
    ///
    /// # Errors
    /// Where the journal does not answer.
    pub async fn applied(&self) -> Result<Option<AppliedView>, DeskError> {
        let Some(bytes) = self.acceptor.store.meta(APPLIED).await? else {
            return Ok(None);
        };
        // One that a newer version wrote is as good as none: the next is counted by the log.
        Ok(serde_json::from_slice(&bytes).ok())
    }

    /// Records that an estate is in force from now on, with an entry in the audit log. Does
    /// nothing where the one that was applied last has the same hash, and tells that one.
    ///
    /// # Errors
    /// Where it cannot be made durable: then it must not be put in force.
    pub async fn record_applied(
        &self,
        hash: &str,
        changes: &[Change],
        reason: &str,
        actor: &str,
    ) -> Result<AppliedView, DeskError> {
        let before = self.applied().await?;
        if let Some(same) = before.as_ref().filter(|before| before.hash == hash) {
            return Ok(same.clone());
        }
        let applied = AppliedView {
            number: before.map_or(0, |before| before.number) + 1,
            hash: hash.to_owned(),
            at: self.acceptor.clock.now(),
            actor: actor.to_owned(),
            reason: reason.to_owned(),
        };
        let value = serde_json::to_vec(&applied)
            .map_err(|error| DeskError::Invalid(format!("the estate's version: {error}")))?;
        let listed: Vec<String> = changes
            .iter()
            .take(LISTED)
            .map(ToString::to_string)
            .collect();
        let entry = AuditEntry::new(
            actor,
            "estate.apply",
            format!("{} version {}", self.name, applied.number),
        )
        .because(reason)
        .with("hash", hash)
        .with("changes", changes.len())
        .with("changed", listed);
        let write = Write::SetMeta {
            name: APPLIED.to_owned(),
            value,
        };
        self.commit_audited(&entry, vec![write]).await?;
        Ok(applied)
    }

    /// Where requests to read the estate again arrive. Called once, by whoever runs the engine.
    pub fn reload_requests(&self) -> mpsc::Receiver<ReloadRequest> {
        let (ask, asked) = mpsc::channel(WAITING);
        // A second one would never hear anything: the first has the way.
        if self.reloads.set(ask).is_err() {
            tracing::warn!("requests to reload go to whoever asked for them first");
        }
        asked
    }

    /// Reads the estate again and, where nothing in it is wrong, puts it in force.
    ///
    /// # Errors
    /// [`DeskError::Invalid`] where no server runs here, or too many ask at once.
    pub async fn reload(&self, reason: &str, actor: &str) -> Result<ReloadView, DeskError> {
        let refused = |text: &str| DeskError::Invalid(text.to_owned());
        let Some(ask) = self.reloads.get() else {
            return Err(refused(
                "no server runs here, so there is nothing to reload: `wardline serve` reads the estate when it starts",
            ));
        };
        let (answer, answered) = oneshot::channel();
        let request = ReloadRequest {
            reason: reason.to_owned(),
            actor: actor.to_owned(),
            answer,
        };
        ask.try_send(request).map_err(|_| {
            refused("too many reloads wait, or the server is stopping: try again in a moment")
        })?;
        answered
            .await
            .map_err(|_| refused("the server is stopping; nothing was changed"))
    }
}

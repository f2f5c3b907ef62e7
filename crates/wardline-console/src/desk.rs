//! What the console asks of the engine. A trait rather than the engine's type because there
//! are several implementations: the engine's desk (`engine_desk.rs`), a running server's
//! API as the command line asks it, and the made-up hospital that the pages are tested on.

use async_trait::async_trait;
use serde::Serialize;
use wardline_core::{Code, DeliveryId, Id};
use wardline_engine::Found;
use wardline_engine::view::{
    AppliedView, AuditRecordView, AuditStateView, AuditView, DeliveryView, DestroyKeys,
    DestroyedKeys, ErrorGroupView, JobAct, JobView, MessageQuery, MessageView, Overview, PageView,
    Part, PayloadView, ReloadView, ReplayReport, ReplayRequest, Selection, TraceView,
    WebhookTrialView, WebhookView,
};
use wardline_vault::AuditEntry;

use crate::process_desk::ProcessDesk;

/// The engine's read model and the acts that people may do on it; what it has of processes is
/// in [`ProcessDesk`].
///
/// `actor` is who asks, as it belongs in the audit log; `reason` is why, never empty.
#[async_trait]
pub trait ConsoleDesk: ProcessDesk {
    /// The dashboard.
    async fn overview(&self) -> Result<Overview, DeskError>;
    /// Messages, newest first.
    async fn messages(&self, query: MessageQuery) -> Result<PageView<MessageView>, DeskError>;
    /// Deliveries of a selection, newest first, below `before`, at most `limit`.
    async fn deliveries(
        &self,
        select: Selection,
        before: Option<Id>,
        limit: usize,
    ) -> Result<PageView<DeliveryView>, DeskError>;
    /// The whole trace that a message or delivery belongs to; `None` where there is no such id.
    async fn trace(&self, id: Id) -> Result<Option<TraceView>, DeskError>;
    /// What a person meant by a bare text: an id, or a business key.
    async fn find(&self, text: &str) -> Result<Found, DeskError>;
    /// A payload: masked where `reveal` is `None`, else whole, with an audit entry that
    /// holds the actor and the given reason. `None` where there is nothing (any more).
    async fn payload(
        &self,
        part: Part,
        id: Id,
        reveal: Option<String>,
        actor: &str,
    ) -> Result<Option<PayloadView>, DeskError>;
    /// Dead and held deliveries, grouped by what went wrong.
    async fn dead(&self) -> Result<Vec<ErrorGroupView>, DeskError>;
    /// Repeats deliveries, or only says what that would do.
    async fn replay(&self, request: ReplayRequest, actor: &str) -> Result<ReplayReport, DeskError>;
    /// Tries open deliveries now; returns how many.
    async fn release(
        &self,
        select: Selection,
        reason: String,
        actor: &str,
    ) -> Result<u64, DeskError>;
    /// Withdraws open deliveries; returns how many.
    async fn cancel(
        &self,
        select: Selection,
        reason: String,
        actor: &str,
    ) -> Result<u64, DeskError>;
    /// Gives open deliveries up so that the followers of their keys pass; returns how many.
    async fn park(&self, select: Selection, reason: String, actor: &str) -> Result<u64, DeskError>;
    /// Sends an edited copy of a delivery's body; the original stays as it was.
    async fn resubmit(
        &self,
        delivery: DeliveryId,
        body: String,
        reason: String,
        actor: &str,
    ) -> Result<DeliveryId, DeskError>;
    /// Clients' endpoints and how they stand, by name.
    async fn webhooks(&self) -> Result<Vec<WebhookView>, DeskError> {
        Ok(Vec::new())
    }
    /// Sends to a client's endpoint again, or stops it; how it stands then.
    async fn set_webhook(
        &self,
        name: &str,
        enabled: bool,
        reason: String,
        actor: &str,
    ) -> Result<WebhookView, DeskError> {
        let _ = (enabled, reason, actor);
        Err(DeskError::no_webhook(name))
    }
    /// Sends one request without data to a client's endpoint.
    async fn try_webhook(&self, name: &str, actor: &str) -> Result<WebhookTrialView, DeskError> {
        let _ = actor;
        Err(DeskError::no_webhook(name))
    }
    /// Bulk jobs and their runs, by name.
    async fn jobs(&self) -> Result<Vec<JobView>, DeskError> {
        Ok(Vec::new())
    }
    /// Acts on a bulk job; how it stands then.
    async fn act_on_job(
        &self,
        name: &str,
        act: JobAct,
        reason: String,
        actor: &str,
    ) -> Result<JobView, DeskError> {
        let _ = (act, reason, actor);
        Err(DeskError {
            kind: DeskErrorKind::Invalid,
            code: Code("W7002"),
            text: format!("there is no job `{name}` here"),
            help: None,
        })
    }
    /// The audit log, newest first, below the entry with sequence `before` (from the newest
    /// where `None`), at most `limit`.
    async fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditView>, DeskError>;
    /// Stored records of the audit log, oldest first, from sequence `from` on, at most `limit`.
    async fn audit_records(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<AuditRecordView>, DeskError>;
    /// Writes an entry of the console's own into the audit log: who came in, who did not.
    async fn record(&self, entry: &AuditEntry) -> Result<(), DeskError>;
    /// The estate that was applied last; `None` before the first.
    async fn applied(&self) -> Result<Option<AppliedView>, DeskError>;
    /// Reads the estate's files again and puts them in force where nothing in them is wrong.
    async fn reload(&self, reason: String, actor: &str) -> Result<ReloadView, DeskError>;
    /// How long the audit log is, its key and its last signed checkpoint; with `sign`, signed now.
    async fn audit_state(&self, sign: bool) -> Result<AuditStateView, DeskError>;
    /// Destroys sealing keys of days before one, or only says which that would be.
    async fn destroy_keys(
        &self,
        request: DestroyKeys,
        actor: &str,
    ) -> Result<DestroyedKeys, DeskError>;
}

/// What sort of "no" the engine said; decides the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeskErrorKind {
    /// There is no such thing (404).
    NotFound,
    /// It was there once: retention has removed it (410).
    Gone,
    /// The actor may not (403).
    Forbidden,
    /// The request makes no sense (422).
    Invalid,
    /// Not now: the store is in trouble or the engine is stopping (503).
    Unavailable,
}

/// The engine could not do what was asked. Holds no payload and no key.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {text}")]
pub struct DeskError {
    /// What sort of refusal it is.
    pub kind: DeskErrorKind,
    /// Stable code.
    pub code: Code,
    /// What was attempted, on what, and why it failed.
    pub text: String,
    /// What the reader can do.
    pub help: Option<String>,
}

impl DeskError {
    /// What a desk without endpoints says of each.
    fn no_webhook(name: &str) -> Self {
        Self {
            kind: DeskErrorKind::Invalid,
            code: Code("W7002"),
            text: format!("there is no webhook `{name}` here"),
            help: None,
        }
    }
}

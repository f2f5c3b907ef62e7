//! The engine's own desk behind the console.

use async_trait::async_trait;
use wardline_core::{DeliveryId, Id};
use wardline_engine::view::{
    AppliedView, AuditRecordView, AuditStateView, AuditView, DeliveryView, DestroyKeys,
    DestroyedKeys, ErrorGroupView, JobAct, JobView, MessageQuery, MessageView, Overview, PageView,
    Part, PayloadView, ReloadView, ReplayReport, ReplayRequest, Selection, TraceView,
    WebhookTrialView, WebhookView,
};
use wardline_engine::{Desk, Found};
use wardline_vault::AuditEntry;

use crate::desk::{ConsoleDesk, DeskError, DeskErrorKind};

#[async_trait]
impl ConsoleDesk for Desk {
    async fn overview(&self) -> Result<Overview, DeskError> {
        Ok(Self::overview(self).await?)
    }

    async fn messages(&self, query: MessageQuery) -> Result<PageView<MessageView>, DeskError> {
        Ok(Self::messages(self, &query).await?)
    }

    async fn deliveries(
        &self,
        select: Selection,
        before: Option<Id>,
        limit: usize,
    ) -> Result<PageView<DeliveryView>, DeskError> {
        Ok(Self::deliveries(self, &select, before, limit).await?)
    }

    async fn trace(&self, id: Id) -> Result<Option<TraceView>, DeskError> {
        Ok(Self::trace(self, id).await?)
    }

    async fn find(&self, text: &str) -> Result<Found, DeskError> {
        Ok(Self::find(self, text).await?)
    }

    async fn payload(
        &self,
        part: Part,
        id: Id,
        reveal: Option<String>,
        actor: &str,
    ) -> Result<Option<PayloadView>, DeskError> {
        Ok(Self::payload(self, part, id, reveal.as_deref(), actor).await?)
    }

    async fn dead(&self) -> Result<Vec<ErrorGroupView>, DeskError> {
        Ok(Self::dead(self).await?)
    }

    async fn replay(&self, request: ReplayRequest, actor: &str) -> Result<ReplayReport, DeskError> {
        Ok(Self::replay(self, &request, actor).await?)
    }

    async fn release(
        &self,
        select: Selection,
        reason: String,
        actor: &str,
    ) -> Result<u64, DeskError> {
        Ok(Self::release(self, &select, &reason, actor).await?)
    }

    async fn cancel(
        &self,
        select: Selection,
        reason: String,
        actor: &str,
    ) -> Result<u64, DeskError> {
        Ok(Self::cancel(self, &select, &reason, actor).await?)
    }

    async fn park(&self, select: Selection, reason: String, actor: &str) -> Result<u64, DeskError> {
        Ok(Self::park(self, &select, &reason, actor).await?)
    }

    async fn resubmit(
        &self,
        delivery: DeliveryId,
        body: String,
        reason: String,
        actor: &str,
    ) -> Result<DeliveryId, DeskError> {
        Ok(Self::resubmit(self, delivery, &body, &reason, actor).await?)
    }

    async fn webhooks(&self) -> Result<Vec<WebhookView>, DeskError> {
        Ok(Self::webhooks(self).await?)
    }

    async fn set_webhook(
        &self,
        name: &str,
        enabled: bool,
        reason: String,
        actor: &str,
    ) -> Result<WebhookView, DeskError> {
        Ok(if enabled {
            self.enable_webhook(name, &reason, actor).await?
        } else {
            self.disable_webhook(name, &reason, actor).await?
        })
    }

    async fn try_webhook(&self, name: &str, actor: &str) -> Result<WebhookTrialView, DeskError> {
        Ok(Self::try_webhook(self, name, actor).await?)
    }

    async fn jobs(&self) -> Result<Vec<JobView>, DeskError> {
        Ok(Self::jobs(self).await?)
    }

    async fn act_on_job(
        &self,
        name: &str,
        act: JobAct,
        reason: String,
        actor: &str,
    ) -> Result<JobView, DeskError> {
        Ok(Self::act_on_job(self, name, act, &reason, actor).await?)
    }

    async fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditView>, DeskError> {
        Ok(Self::audit(self, before, limit).await?)
    }

    async fn audit_records(
        &self,
        from: u64,
        limit: usize,
    ) -> Result<Vec<AuditRecordView>, DeskError> {
        Ok(Self::audit_records(self, from, limit).await?)
    }

    async fn record(&self, entry: &AuditEntry) -> Result<(), DeskError> {
        Ok(Self::record(self, entry).await?)
    }

    async fn applied(&self) -> Result<Option<AppliedView>, DeskError> {
        Ok(Self::applied(self).await?)
    }

    async fn reload(&self, reason: String, actor: &str) -> Result<ReloadView, DeskError> {
        Ok(Self::reload(self, &reason, actor).await?)
    }

    async fn audit_state(&self, sign: bool) -> Result<AuditStateView, DeskError> {
        Ok(Self::audit_state(self, sign).await?)
    }

    async fn destroy_keys(
        &self,
        request: DestroyKeys,
        actor: &str,
    ) -> Result<DestroyedKeys, DeskError> {
        Ok(Self::destroy_keys(self, &request, actor).await?)
    }
}

impl From<wardline_engine::DeskError> for DeskError {
    fn from(error: wardline_engine::DeskError) -> Self {
        use wardline_engine::DeskError as Engine;
        let kind = match &error {
            Engine::NotFound { .. } => DeskErrorKind::NotFound,
            Engine::Invalid(_) => DeskErrorKind::Invalid,
            Engine::Gone(_) => DeskErrorKind::Gone,
            Engine::Store(_) | Engine::Vault(..) => DeskErrorKind::Unavailable,
        };
        Self {
            kind,
            code: error.code(),
            text: error.to_string(),
            help: None,
        }
    }
}

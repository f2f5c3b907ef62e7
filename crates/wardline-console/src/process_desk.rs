//! What the console asks of the engine about processes: instances that run over days, questions
//! to people, and business transactions. Apart from [`ConsoleDesk`](crate::ConsoleDesk), which
//! has messages and deliveries, so that either can be read in one go.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use wardline_core::{InstanceId, TaskId, Timestamp};
use wardline_engine::Desk;
use wardline_engine::view::{
    BoardView, Decision, FigureQuery, Figures, InstanceDetail, InstanceQuery, InstanceView,
    PageView, ProcessAct, ProcessView, Reconcile, ReconciliationQuery, Reconciliations, TaskQuery,
    TaskView, TransactionQuery, TransactionView,
};

use crate::desk::DeskError;

/// Processes, and what people do about them.
///
/// `actor` is who asks, as it belongs in the audit log; `reason` is why, never empty. Whether
/// somebody may is decided before a desk is asked.
#[async_trait]
pub trait ProcessDesk: Send + Sync + 'static {
    /// Every process, with how many instances stand where.
    async fn processes(&self) -> Result<Vec<ProcessView>, DeskError>;
    /// Instances, newest first.
    async fn instances(&self, query: InstanceQuery) -> Result<PageView<InstanceView>, DeskError>;
    /// Everything about one instance; its variables only where a reason is given, with an audit
    /// entry that holds it.
    async fn instance(
        &self,
        id: InstanceId,
        reveal: Option<String>,
        actor: &str,
    ) -> Result<InstanceDetail, DeskError>;
    /// Acts on an instance; how it stands then.
    async fn act_on(
        &self,
        id: InstanceId,
        act: ProcessAct,
        reason: String,
        actor: &str,
    ) -> Result<InstanceView, DeskError>;
    /// Questions, newest first.
    async fn tasks(&self, query: TaskQuery) -> Result<PageView<TaskView>, DeskError>;
    /// One question.
    async fn task(&self, id: TaskId) -> Result<TaskView, DeskError>;
    /// Takes a question on.
    async fn claim_task(&self, id: TaskId, actor: &str) -> Result<TaskView, DeskError>;
    /// Gives a question back.
    async fn release_task(&self, id: TaskId, actor: &str) -> Result<TaskView, DeskError>;
    /// Asks somebody else.
    async fn reassign_task(
        &self,
        id: TaskId,
        change: Reassign,
        reason: String,
        actor: &str,
    ) -> Result<TaskView, DeskError>;
    /// Answers a question; the first answer counts.
    async fn answer_task(
        &self,
        id: TaskId,
        decision: Decision,
        actor: &str,
    ) -> Result<TaskView, DeskError>;
    /// Business transactions, newest first.
    async fn transactions(
        &self,
        query: TransactionQuery,
    ) -> Result<PageView<TransactionView>, DeskError>;
    /// Figures that owners are judged by.
    async fn figures(&self, query: FigureQuery) -> Result<Figures, DeskError>;
    /// The names of all boards.
    async fn boards(&self) -> Result<Vec<String>, DeskError>;
    /// One board, of one facility where that is said.
    async fn board(&self, name: &str, facility: Option<&str>) -> Result<BoardView, DeskError>;
    /// Reconciliations, newest first.
    async fn reconciliations(
        &self,
        query: ReconciliationQuery,
    ) -> Result<Reconciliations, DeskError>;
    /// Begins one now.
    async fn reconcile(&self, asked: Reconcile, actor: &str) -> Result<(), DeskError>;
}

/// Whom a question is put to instead, and until when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reassign {
    /// Another role.
    pub role: Option<String>,
    /// One person, as the audit log has them (`user:anna`); empty for nobody in particular.
    pub to: String,
    /// When it is due from now on.
    pub due: Option<Timestamp>,
}

#[async_trait]
impl ProcessDesk for Desk {
    async fn processes(&self) -> Result<Vec<ProcessView>, DeskError> {
        Ok(Self::processes(self).await?)
    }

    async fn instances(&self, query: InstanceQuery) -> Result<PageView<InstanceView>, DeskError> {
        Ok(Self::instances(self, &query).await?)
    }

    async fn instance(
        &self,
        id: InstanceId,
        reveal: Option<String>,
        actor: &str,
    ) -> Result<InstanceDetail, DeskError> {
        Ok(Self::instance(self, id, reveal.as_deref(), actor).await?)
    }

    async fn act_on(
        &self,
        id: InstanceId,
        act: ProcessAct,
        reason: String,
        actor: &str,
    ) -> Result<InstanceView, DeskError> {
        Ok(Self::act_on(self, id, &act, &reason, actor).await?)
    }

    async fn tasks(&self, query: TaskQuery) -> Result<PageView<TaskView>, DeskError> {
        Ok(Self::tasks(self, &query).await?)
    }

    async fn task(&self, id: TaskId) -> Result<TaskView, DeskError> {
        Ok(Self::task(self, id).await?)
    }

    async fn claim_task(&self, id: TaskId, actor: &str) -> Result<TaskView, DeskError> {
        Ok(Self::claim(self, id, actor).await?)
    }

    async fn release_task(&self, id: TaskId, actor: &str) -> Result<TaskView, DeskError> {
        Ok(Self::unclaim(self, id, actor).await?)
    }

    async fn reassign_task(
        &self,
        id: TaskId,
        change: Reassign,
        reason: String,
        actor: &str,
    ) -> Result<TaskView, DeskError> {
        let Reassign { role, to, due } = change;
        let role = role.as_deref();
        Ok(Self::reassign(self, id, role, &to, due, &reason, actor).await?)
    }

    async fn answer_task(
        &self,
        id: TaskId,
        decision: Decision,
        actor: &str,
    ) -> Result<TaskView, DeskError> {
        Ok(Self::answer_task(self, id, &decision, actor).await?)
    }

    async fn transactions(
        &self,
        query: TransactionQuery,
    ) -> Result<PageView<TransactionView>, DeskError> {
        Ok(Self::transactions(self, &query).await?)
    }

    async fn figures(&self, query: FigureQuery) -> Result<Figures, DeskError> {
        Ok(Self::figures(self, &query).await?)
    }

    async fn boards(&self) -> Result<Vec<String>, DeskError> {
        Ok(Self::boards(self))
    }

    async fn board(&self, name: &str, facility: Option<&str>) -> Result<BoardView, DeskError> {
        Ok(Self::board(self, name, facility).await?)
    }

    async fn reconciliations(
        &self,
        query: ReconciliationQuery,
    ) -> Result<Reconciliations, DeskError> {
        Ok(Self::reconciliations(self, &query).await?)
    }

    async fn reconcile(&self, asked: Reconcile, actor: &str) -> Result<(), DeskError> {
        Ok(Self::reconcile(self, &asked, actor).await?)
    }
}

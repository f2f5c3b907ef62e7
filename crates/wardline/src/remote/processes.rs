//! Processes, questions and transactions of a running server.

use super::{RemoteDesk, gone};
use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};
use wardline_console::{DeskError, ProcessDesk, Reassign};
use wardline_core::{InstanceId, TaskId};
use wardline_engine::view::{
    BoardView, Decision, FigureQuery, Figures, InstanceDetail, InstanceQuery, InstanceView,
    PageView, ProcessAct, ProcessView, Reconcile, ReconciliationQuery, Reconciliations, TaskQuery,
    TaskView, TransactionQuery, TransactionView,
};

impl RemoteDesk {
    /// Asks for a change that needs nothing further said.
    async fn turn(&self, id: TaskId, what: &str) -> Result<TaskView, DeskError> {
        self.call(Method::POST, &format!("/api/tasks/{id}/{what}"), None)
            .await?
            .ok_or_else(gone)
    }
}

#[async_trait]
impl ProcessDesk for RemoteDesk {
    async fn processes(&self) -> Result<Vec<ProcessView>, DeskError> {
        self.get("/api/processes").await
    }
    async fn instances(&self, query: InstanceQuery) -> Result<PageView<InstanceView>, DeskError> {
        self.post("/api/instances", json!(query)).await
    }
    async fn instance(
        &self,
        id: InstanceId,
        reveal: Option<String>,
        _actor: &str,
    ) -> Result<InstanceDetail, DeskError> {
        match reveal {
            None => self.get(&format!("/api/instances/{id}")).await,
            Some(reason) => {
                let path = format!("/api/instances/{id}/reveal");
                self.post(&path, json!({ "reason": reason })).await
            }
        }
    }
    async fn act_on(
        &self,
        id: InstanceId,
        act: ProcessAct,
        reason: String,
        _actor: &str,
    ) -> Result<InstanceView, DeskError> {
        let mut body = json!(act);
        body["reason"] = Value::from(reason);
        self.post(&format!("/api/instances/{id}/act"), body).await
    }
    async fn tasks(&self, query: TaskQuery) -> Result<PageView<TaskView>, DeskError> {
        self.post("/api/tasks", json!(query)).await
    }
    async fn task(&self, id: TaskId) -> Result<TaskView, DeskError> {
        self.get(&format!("/api/tasks/{id}")).await
    }
    async fn claim_task(&self, id: TaskId, _actor: &str) -> Result<TaskView, DeskError> {
        self.turn(id, "claim").await
    }
    async fn release_task(&self, id: TaskId, _actor: &str) -> Result<TaskView, DeskError> {
        self.turn(id, "release").await
    }
    async fn reassign_task(
        &self,
        id: TaskId,
        change: Reassign,
        reason: String,
        _actor: &str,
    ) -> Result<TaskView, DeskError> {
        let mut body = json!(change);
        body["reason"] = Value::from(reason);
        self.post(&format!("/api/tasks/{id}/reassign"), body).await
    }
    async fn answer_task(
        &self,
        id: TaskId,
        decision: Decision,
        _actor: &str,
    ) -> Result<TaskView, DeskError> {
        let path = format!("/api/tasks/{id}/answer");
        self.post(&path, json!(decision)).await
    }
    async fn transactions(
        &self,
        query: TransactionQuery,
    ) -> Result<PageView<TransactionView>, DeskError> {
        self.post("/api/transactions", json!(query)).await
    }
    async fn figures(&self, query: FigureQuery) -> Result<Figures, DeskError> {
        self.post("/api/figures", json!(query)).await
    }
    async fn boards(&self) -> Result<Vec<String>, DeskError> {
        self.get("/api/boards").await
    }
    async fn board(&self, name: &str, facility: Option<&str>) -> Result<BoardView, DeskError> {
        let body = json!({ "name": name, "facility": facility });
        self.post("/api/board", body).await
    }
    async fn reconciliations(
        &self,
        query: ReconciliationQuery,
    ) -> Result<Reconciliations, DeskError> {
        self.post("/api/reconciliations", json!(query)).await
    }
    async fn reconcile(&self, asked: Reconcile, _actor: &str) -> Result<(), DeskError> {
        self.post::<Value>("/api/reconcile", json!(asked)).await?;
        Ok(())
    }
}

//! Questions that only people can answer.

use super::{Desk, DeskError};
use crate::view::{Decision, PageView, TaskQuery, TaskView};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wardline_core::{TaskId, Timestamp};
use wardline_store::{Change, Outcome, TaskAct, TaskFilter, TaskRow};
use wardline_vault::{AuditEntry, Kind};

/// Bytes of a note or of what is filled into a form.
const MOST_TEXT: usize = 4_096;

impl Desk {
    /// Questions that match, newest first.
    ///
    /// # Errors
    /// Where the journal does not answer.
    pub async fn tasks(&self, query: &TaskQuery) -> Result<PageView<TaskView>, DeskError> {
        let store = &self.acceptor.store;
        let nothing = PageView {
            rows: Vec::new(),
            scanned: 0,
            next: None,
        };
        let roles: Vec<_> = query
            .roles
            .iter()
            .filter_map(|role| store.lookup(role))
            .collect();
        if roles.is_empty() && !query.roles.is_empty() {
            return Ok(nothing);
        }
        let process = match &query.process {
            None => None,
            Some(process) => match store.lookup(process) {
                Some(sym) => Some(sym),
                None => return Ok(nothing),
            },
        };
        let filter = TaskFilter {
            roles,
            instance: query.instance,
            process,
            claimed: query.claimed.clone(),
            open: query.open,
            due_before: query.overdue.then(|| self.acceptor.clock.now()),
            before: query.before,
            limit: query.limit.clamp(1, 1_000),
        };
        let page = store.tasks(&filter).await?;
        Ok(PageView {
            rows: page.rows.iter().map(|row| self.task_view(row)).collect(),
            scanned: page.scanned,
            next: page.next,
        })
    }

    /// One question.
    ///
    /// # Errors
    /// Where there is none, or the journal does not answer.
    pub async fn task(&self, id: TaskId) -> Result<TaskView, DeskError> {
        let row = self.task_row(id).await?;
        Ok(self.task_view(&row))
    }

    async fn task_row(&self, id: TaskId) -> Result<TaskRow, DeskError> {
        self.acceptor
            .store
            .task(id)
            .await?
            .ok_or_else(|| DeskError::NotFound {
                what: "task",
                id: id.to_string(),
            })
    }

    fn task_view(&self, row: &TaskRow) -> TaskView {
        let body = self
            .acceptor
            .vault
            .open_sealed(Kind::Variables, &row.body)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
            .unwrap_or(Value::Null);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let now = self.acceptor.clock.now();
        TaskView {
            id: row.id,
            instance: row.instance,
            process: self.name(row.process),
            key: row.key.shown.as_deref().map(str::to_owned),
            step: self.name(row.step),
            role: self.name(row.role),
            facility: row.facility.map(|facility| self.name(facility)),
            claimed: row.claimed.clone(),
            asked: row.asked,
            due: row.due,
            overdue: row.ended.is_none() && row.due.is_some_and(|due| due < now),
            ended: row.ended,
            by: row.by.clone(),
            choice: row.choice.clone(),
            ask: text(&body["ask"]),
            choices: body["choices"]
                .as_array()
                .map(|all| all.iter().map(text).collect())
                .unwrap_or_default(),
            form: body["form"]
                .as_object()
                .map(|all| {
                    all.iter()
                        .map(|(name, label)| (name.clone(), text(label)))
                        .collect()
                })
                .unwrap_or_default(),
            show: body["show"].clone(),
            runbook: body["runbook"].as_str().map(str::to_owned),
            escalated: body["escalated"].as_bool().unwrap_or_default(),
        }
    }

    /// Takes a question on; refused where somebody else has.
    ///
    /// # Errors
    /// Where it has ended or is somebody else's, or the journal does not answer.
    pub async fn claim(&self, id: TaskId, actor: &str) -> Result<TaskView, DeskError> {
        let act = TaskAct::Claim {
            by: actor.to_owned(),
        };
        self.on_task(id, act, "task.claim", None, actor).await
    }

    /// Gives a question back.
    ///
    /// # Errors
    /// Where it has ended, or the journal does not answer.
    pub async fn unclaim(&self, id: TaskId, actor: &str) -> Result<TaskView, DeskError> {
        self.on_task(id, TaskAct::Release, "task.release", None, actor)
            .await
    }

    /// Asks another role, or one person.
    ///
    /// # Errors
    /// Where it has ended, no reason is given, or the journal does not answer.
    pub async fn reassign(
        &self,
        id: TaskId,
        role: Option<&str>,
        to: &str,
        due: Option<Timestamp>,
        reason: &str,
        actor: &str,
    ) -> Result<TaskView, DeskError> {
        super::act::demand_reason(reason)?;
        let role = match role {
            Some(role) => Some(self.acceptor.sym(role).await?),
            None => None,
        };
        let act = TaskAct::Reassign {
            role,
            to: to.to_owned(),
            due,
        };
        self.on_task(id, act, "task.reassign", Some(reason), actor)
            .await
    }

    async fn on_task(
        &self,
        id: TaskId,
        act: TaskAct,
        word: &'static str,
        reason: Option<&str>,
        actor: &str,
    ) -> Result<TaskView, DeskError> {
        let row = self.task_row(id).await?;
        if row.ended.is_some() {
            return Err(DeskError::Invalid(format!("task {id} has ended already")));
        }
        let mut entry = AuditEntry::new(actor, word, id.to_string());
        if let Some(reason) = reason {
            entry = entry.because(reason);
        }
        let outcomes = self
            .commit_audited(&entry, vec![Change::Task { task: id, act }])
            .await?;
        if !matches!(outcomes.first(), Some(Outcome::Task(true))) {
            let row = self.task_row(id).await?;
            return Err(DeskError::Invalid(match &row.claimed {
                Some(other) if other != actor => format!("task {id} was taken on by {other}"),
                _ => format!("task {id} has ended already"),
            }));
        }
        self.task(id).await
    }

    /// Answers a question. The first answer counts; the instance goes on in the same commit.
    ///
    /// # Errors
    /// Where it has ended, somebody else has taken it on, the answer is none of the choices or is
    /// not accepted from this person, or the journal does not answer.
    pub async fn answer_task(
        &self,
        id: TaskId,
        decision: &Decision,
        actor: &str,
    ) -> Result<TaskView, DeskError> {
        let row = self.task_row(id).await?;
        if let Some(other) = row.claimed.as_deref().filter(|other| *other != actor) {
            return Err(DeskError::Invalid(format!(
                "task {id} was taken on by {other}: ask them, or have it reassigned"
            )));
        }
        let long = decision.note.len()
            + decision
                .form
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>();
        if long > MOST_TEXT {
            return Err(DeskError::Invalid(format!(
                "note and form are longer than {MOST_TEXT} bytes"
            )));
        }
        let known = self.task_view(&row).form;
        if let Some(name) = decision.form.keys().find(|name| !known.contains_key(*name)) {
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            return Err(DeskError::Invalid(format!(
                "the form has no `{name}`; it has {}",
                if known.is_empty() {
                    "nothing to fill in".to_owned()
                } else {
                    known.join(", ")
                }
            )));
        }
        let form: BTreeMap<&str, &str> = decision
            .form
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let _one_at_a_time = self.book.lock(row.instance).await;
        let plan = self.acceptor.plan();
        let instance = self.instance_row(row.instance).await?;
        if !instance.phase.is_open() {
            return Err(DeskError::Invalid(format!("task {id} has ended already")));
        }
        let loaded = self.book.read(&plan, &instance).await?;
        let said = json!({
            "choice": decision.choice, "by": actor, "note": decision.note, "form": form,
        });
        let ready = self
            .book
            .decided(&plan, &loaded, row.number, &said)
            .await?
            .map_err(DeskError::Invalid)?;
        let mut entry = AuditEntry::new(actor, "task.answer", id.to_string())
            .with("choice", decision.choice.as_str());
        if !decision.note.trim().is_empty() {
            entry = entry.because(&decision.note);
        }
        let (change, after) = ready.parts();
        let outcomes = self
            .commit_audited(&entry, vec![Change::Advance(Box::new(change))])
            .await?;
        if !self.book.acted_on(&plan, &loaded, after, outcomes).await? {
            return Err(DeskError::Invalid(format!(
                "task {id} changed in this moment: look again, then decide"
            )));
        }
        self.task(id).await
    }
}

//! Purchase orders of the made-up hospital: one that waits for a person, one that is stuck, one
//! that is paid, and the questions that they ask.

use super::{Hospital, SECOND};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wardline_console::{DeskError, DeskErrorKind, ProcessDesk, Reassign};
use wardline_core::{Code, DeliveryState, Id, InstanceId, TaskId, Timestamp};
use wardline_engine::view::{
    AgeBucket, BoardView, BreakView, Decision, FigureQuery, FigureView, Figures, HistoryView,
    HopView, InstanceDetail, InstanceQuery, InstanceView, Measured, PageView, ProcessAct,
    ProcessView, Reconcile, ReconciliationQuery, ReconciliationView, Reconciliations, TaskQuery,
    TaskView, TransactionQuery, TransactionView,
};

/// A key that finds one order.
pub(crate) const ORDER: &str = "4500012";
/// What must never be on a page before it is revealed.
pub(crate) const BANK: &str = "DE02120300000000202051";
/// What a question shows to those who are asked.
pub(crate) const VARIANCE: &str = "4.18 %";

const HOUR: i64 = 3_600 * SECOND;

#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) instances: Vec<InstanceDetail>,
    pub(crate) tasks: Vec<TaskView>,
}

impl Hospital {
    fn at(&self, hours: i64) -> Timestamp {
        Timestamp(self.began.0 + hours * HOUR)
    }

    fn order(&self, key: &str, phase: &str, status: &str, at: &[&str], hours: i64) -> InstanceView {
        let began = self.at(-hours);
        let ended = (!matches!(phase, "running" | "asking" | "stuck")).then(|| self.at(-1));
        InstanceView {
            id: InstanceId(self.id(hours * 3_600)),
            process: "procure-to-pay".into(),
            definition: "procure-to-pay@3:a1b2c3d4".into(),
            key: Some(key.into()),
            phase: phase.into(),
            status: Some(status.into()),
            at: at.iter().map(|at| (*at).to_owned()).collect(),
            reason: None,
            owner: Some("supply-chain".into()),
            facility: Some("north".into()),
            due: Some(self.at(if hours > 70 { -5 } else { 26 })).filter(|_| ended.is_none()),
            overdue: hours > 70 && ended.is_none(),
            began,
            advanced: self.at(-1),
            since: self.at(-2),
            ended,
            show: BTreeMap::from([
                ("supplier".to_owned(), Value::Null),
                (
                    "value".to_owned(),
                    json!({ "amount": "12480.00", "currency": "USD" }),
                ),
            ]),
            hidden: vec!["supplier".into()],
        }
    }

    fn story(&self, hours: i64, lines: &[(&str, &str, &str)]) -> Vec<HistoryView> {
        let step = hours * HOUR / (lines.len() as i64 + 1);
        let lines = lines.iter().enumerate();
        lines
            .map(|(at, (step_name, what, text))| HistoryView {
                at: Timestamp(self.at(-hours).0 + step * at as i64),
                step: (*step_name).to_owned(),
                what: (*what).to_owned(),
                text: (*text).to_owned(),
            })
            .collect()
    }

    fn question(&self, order: &InstanceView, role: &str, ask: &str, due: i64) -> TaskView {
        TaskView {
            id: TaskId(self.id(7_200)),
            instance: order.id,
            process: order.process.clone(),
            key: order.key.clone(),
            step: "match/variance".into(),
            role: role.into(),
            facility: order.facility.clone(),
            claimed: None,
            asked: self.at(-2),
            due: Some(self.at(due)),
            overdue: due < 0,
            ended: None,
            by: None,
            choice: None,
            ask: ask.into(),
            choices: vec!["approve".into(), "reject".into(), "ask-supplier".into()],
            form: BTreeMap::from([("cost_centre".to_owned(), "Cost centre".to_owned())]),
            show: json!({
                "variance": VARIANCE,
                "ordered": { "amount": "12480.00", "currency": "USD" },
                "invoiced": { "amount": "13002.00", "currency": "USD" },
            }),
            runbook: Some("runbooks/invoice-variance.md".into()),
            escalated: due < 0,
        }
    }

    /// The orders of an ordinary week.
    pub(super) fn purchase(&self) {
        let asks = self.order(ORDER, "asking", "received", &["match/variance"], 74);
        let mut stuck = self.order("4500013", "stuck", "validating", &["publish"], 5);
        stuck.reason = Some("W4107: supplier-network: 503 Service Unavailable".into());
        let runs = self.order("4500014", "running", "acknowledged", &["receive/await"], 30);
        let mut again = self.order("4500015", "running", "validating", &["publish"], 1);
        again.due = None;
        let paid = self.order("4500009", "completed", "paid", &[], 400);
        let tasks = vec![
            self.question(
                &asks,
                "process-owner",
                "Invoice 88-1 differs from order 4500012 by 4.18 %. Pay it?",
                -5,
            ),
            self.question(
                &runs,
                "night-desk",
                "Is dock 2 open for order 4500014 tonight?",
                20,
            ),
        ];
        let call = |state| {
            self.every()
                .into_iter()
                .find(|delivery| delivery.state == state)
                .into_iter()
                .collect::<Vec<_>>()
        };
        let common = [
            ("", "began", "by purchase_order.approved"),
            ("validate", "done", ""),
        ];
        let detail = |instance: InstanceView, hours, lines: &[(&str, &str, &str)], calls| {
            let all = [&common, lines].concat();
            InstanceDetail {
                runbook: (instance.phase == "stuck").then(|| "runbooks/order-stuck.md".into()),
                history: self.story(hours, &all),
                calls,
                tasks: Vec::new(),
                vars: None,
                instance,
            }
        };
        let instances = vec![
            detail(
                asks,
                74,
                &[
                    ("publish", "done", "200 after 2 attempts"),
                    (
                        "acknowledge/await",
                        "waiting",
                        "purchase_order.acknowledged",
                    ),
                    ("acknowledge/await", "done", ""),
                    ("match/variance", "asked", "process-owner"),
                ],
                call(DeliveryState::Delivered),
            ),
            detail(
                stuck,
                5,
                &[("publish", "failed", "W4107: 503 Service Unavailable")],
                call(DeliveryState::Dead),
            ),
            detail(runs, 30, &[("publish", "done", "")], Vec::new()),
            detail(again, 1, &[], call(DeliveryState::Retrying)),
            detail(
                paid,
                400,
                &[("pay", "done", ""), ("", "completed", "")],
                Vec::new(),
            ),
        ];
        *self.orders.lock() = Orders { instances, tasks };
    }

    fn changed(
        &self,
        id: InstanceId,
        change: impl FnOnce(&mut InstanceDetail) -> Result<(), DeskError>,
    ) -> Result<InstanceView, DeskError> {
        let mut orders = self.orders.lock();
        let found = orders.instances.iter_mut();
        let detail = found
            .into_iter()
            .find(|detail| detail.instance.id == id)
            .ok_or_else(|| missing("instance", id.0))?;
        change(detail)?;
        Ok(detail.instance.clone())
    }

    fn asked(
        &self,
        id: TaskId,
        change: impl FnOnce(&mut TaskView) -> Result<(), DeskError>,
    ) -> Result<TaskView, DeskError> {
        self.up()?;
        let mut orders = self.orders.lock();
        let task = orders
            .tasks
            .iter_mut()
            .find(|task| task.id == id)
            .ok_or_else(|| missing("task", id.0))?;
        if task.ended.is_some() {
            return Err(invalid(format!("task {id} has ended already")));
        }
        change(task)?;
        Ok(task.clone())
    }
}

fn missing(what: &str, id: Id) -> DeskError {
    DeskError {
        kind: DeskErrorKind::NotFound,
        code: Code("W7001"),
        text: format!("{what} `{id}` is not in the journal"),
        help: None,
    }
}

fn invalid(text: String) -> DeskError {
    DeskError {
        kind: DeskErrorKind::Invalid,
        code: Code("W7002"),
        text,
        help: None,
    }
}

fn page<T>(rows: Vec<T>) -> PageView<T> {
    PageView {
        scanned: rows.len() as u64,
        rows,
        next: None,
    }
}

#[async_trait]
impl ProcessDesk for Hospital {
    async fn processes(&self) -> Result<Vec<ProcessView>, DeskError> {
        self.up()?;
        let orders = self.orders.lock();
        let mut view = ProcessView {
            name: "procure-to-pay".into(),
            title: Some("Purchase order to payment".into()),
            owner: Some("supply-chain".into()),
            // So that who may reveal is told from the entity that people's tests know.
            entity: Some("encounter".into()),
            version: 4,
            definition: "procure-to-pay@4:e5f60718".into(),
            declared: true,
            phases: BTreeMap::new(),
            retrying: 0,
            statuses: BTreeMap::new(),
            older: 0,
        };
        for detail in &orders.instances {
            let one = &detail.instance;
            *view.phases.entry(one.phase.clone()).or_default() += 1;
            if one.ended.is_none() {
                let status = one.status.clone().unwrap_or_default();
                *view.statuses.entry(status).or_default() += 1;
                view.older += 1;
            }
        }
        Ok(vec![view])
    }

    async fn instances(&self, query: InstanceQuery) -> Result<PageView<InstanceView>, DeskError> {
        self.up()?;
        let orders = self.orders.lock();
        let all = orders.instances.iter().map(|detail| &detail.instance);
        let rows = all
            .filter(|one| {
                query
                    .process
                    .as_ref()
                    .is_none_or(|name| *name == one.process)
            })
            .filter(|one| query.key.is_none() || query.key == one.key)
            .filter(|one| query.status.is_none() || query.status == one.status)
            .filter(|one| !query.overdue || one.overdue)
            .filter(|one| {
                query.phases.is_empty()
                    || query
                        .phases
                        .iter()
                        .any(|word| *word == one.phase || (word == "open" && one.ended.is_none()))
            });
        Ok(page(rows.cloned().collect()))
    }

    async fn instance(
        &self,
        id: InstanceId,
        reveal: Option<String>,
        actor: &str,
    ) -> Result<InstanceDetail, DeskError> {
        self.up()?;
        let orders = self.orders.lock();
        let found = orders
            .instances
            .iter()
            .find(|detail| detail.instance.id == id);
        let mut detail = found.cloned().ok_or_else(|| missing("instance", id.0))?;
        let tasks = orders.tasks.iter().filter(|task| task.instance == id);
        detail.tasks = tasks.cloned().collect();
        if let Some(reason) = reveal {
            self.note(actor, "process.reveal", &id.to_string(), &reason);
            detail.vars = Some(json!({ "order": { "number": detail.instance.key }, "bank": BANK }));
        }
        Ok(detail)
    }

    async fn act_on(
        &self,
        id: InstanceId,
        act: ProcessAct,
        reason: String,
        actor: &str,
    ) -> Result<InstanceView, DeskError> {
        self.up()?;
        let now = self.changed(id, |detail| {
            let one = &mut detail.instance;
            if one.ended.is_some() {
                return Err(invalid(format!("instance {id} has ended")));
            }
            let phase = match &act {
                ProcessAct::Cancel => "cancelled",
                ProcessAct::Compensate => "failed",
                ProcessAct::Retry { .. } if one.phase != "stuck" => {
                    return Err(invalid("nothing of it has failed".into()));
                }
                ProcessAct::Set { .. } => one.phase.as_str(),
                _ => "running",
            };
            let phase = phase.to_owned();
            if matches!(phase.as_str(), "cancelled" | "failed") {
                one.ended = Some(Timestamp::now());
            }
            one.phase = phase;
            one.reason = None;
            Ok(())
        })?;
        let word = match act {
            ProcessAct::Retry { .. } => "process.retry",
            ProcessAct::Skip { .. } => "process.skip",
            ProcessAct::Set { .. } => "process.set",
            ProcessAct::Cancel => "process.cancel",
            ProcessAct::Compensate => "process.compensate",
            ProcessAct::Migrate => "process.migrate",
        };
        self.note(actor, word, &id.to_string(), &reason);
        Ok(now)
    }

    async fn tasks(&self, query: TaskQuery) -> Result<PageView<TaskView>, DeskError> {
        self.up()?;
        let orders = self.orders.lock();
        let rows = orders
            .tasks
            .iter()
            .filter(|task| query.roles.is_empty() || query.roles.contains(&task.role))
            .filter(|task| query.claimed.is_none() || query.claimed == task.claimed)
            .filter(|task| query.open.is_none_or(|open| open == task.ended.is_none()))
            .filter(|task| !query.overdue || task.overdue);
        Ok(page(rows.cloned().collect()))
    }

    async fn task(&self, id: TaskId) -> Result<TaskView, DeskError> {
        self.up()?;
        let orders = self.orders.lock();
        let found = orders.tasks.iter().find(|task| task.id == id);
        found.cloned().ok_or_else(|| missing("task", id.0))
    }

    async fn claim_task(&self, id: TaskId, actor: &str) -> Result<TaskView, DeskError> {
        let now = self.asked(id, |task| match &task.claimed {
            Some(other) if other != actor => {
                Err(invalid(format!("task {id} was taken on by {other}")))
            }
            _ => {
                task.claimed = Some(actor.to_owned());
                Ok(())
            }
        })?;
        self.note(actor, "task.claim", &id.to_string(), "");
        Ok(now)
    }

    async fn release_task(&self, id: TaskId, actor: &str) -> Result<TaskView, DeskError> {
        let now = self.asked(id, |task| {
            task.claimed = None;
            Ok(())
        })?;
        self.note(actor, "task.release", &id.to_string(), "");
        Ok(now)
    }

    async fn reassign_task(
        &self,
        id: TaskId,
        change: Reassign,
        reason: String,
        actor: &str,
    ) -> Result<TaskView, DeskError> {
        let now = self.asked(id, |task| {
            if let Some(role) = change.role {
                task.role = role;
            }
            task.claimed = Some(change.to).filter(|to| !to.is_empty());
            Ok(())
        })?;
        self.note(actor, "task.reassign", &id.to_string(), &reason);
        Ok(now)
    }

    async fn answer_task(
        &self,
        id: TaskId,
        decision: Decision,
        actor: &str,
    ) -> Result<TaskView, DeskError> {
        let now = self.asked(id, |task| {
            if let Some(other) = task.claimed.as_deref().filter(|other| *other != actor) {
                return Err(invalid(format!("task {id} was taken on by {other}")));
            }
            if !task.choices.contains(&decision.choice) {
                return Err(invalid(format!("`{}` is no choice", decision.choice)));
            }
            task.choice = Some(decision.choice);
            task.by = Some(actor.to_owned());
            task.ended = Some(Timestamp::now());
            task.overdue = false;
            Ok(())
        })?;
        let form: Vec<String> = decision
            .form
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let why = [&[decision.note], form.as_slice()].concat().join(" ");
        self.note(actor, "task.answer", &id.to_string(), &why);
        Ok(now)
    }

    async fn transactions(
        &self,
        query: TransactionQuery,
    ) -> Result<PageView<TransactionView>, DeskError> {
        self.up()?;
        let orders = self.orders.lock();
        let rows = orders.instances.iter().map(|detail| {
            let one = &detail.instance;
            let again = detail
                .calls
                .iter()
                .any(|call| call.state == DeliveryState::Retrying);
            let state = match one.phase.as_str() {
                "stuck" | "failed" => "failed",
                "completed" => "completed",
                "cancelled" => "cancelled",
                _ if again => "retrying",
                _ => "pending",
            };
            TransactionView {
                kind: "encounter".into(),
                key: one.key.clone(),
                state: state.into(),
                status: one.status.clone(),
                value: one.show.get("value").cloned(),
                facility: one.facility.clone(),
                owner: one.owner.clone(),
                reason: one.reason.clone(),
                next: one.at.clone(),
                began: one.began,
                since: one.since,
                due: one.due,
                overdue: one.overdue,
                asked: one.phase == "asking",
                process: one.process.clone(),
                instance: one.id,
            }
        });
        let rows = rows
            .filter(|row| query.state.as_ref().is_none_or(|state| *state == row.state))
            .filter(|row| query.key.is_none() || query.key == row.key)
            .filter(|row| query.facility.is_none() || query.facility == row.facility)
            .filter(|row| query.owner.is_none() || query.owner == row.owner)
            .filter(|row| !query.overdue || row.overdue);
        Ok(page(rows.collect()))
    }

    async fn figures(&self, query: FigureQuery) -> Result<Figures, DeskError> {
        self.up()?;
        let rows = vec![
            FigureView {
                name: "perfect-order".into(),
                title: "Perfect order lines".into(),
                process: "procure-to-pay".into(),
                owner: Some("process-owner".into()),
                facility: query.facility.clone(),
                of: "completed".into(),
                restricted: false,
                n: 200,
                measured: Measured::Share {
                    percent: Some(91.5),
                },
                goal: Some("≥ 95 %".into()),
                met: Some(false),
            },
            FigureView {
                name: "grni".into(),
                title: "Received, not invoiced".into(),
                process: "procure-to-pay".into(),
                owner: Some("process-owner".into()),
                facility: query.facility,
                of: "open".into(),
                restricted: true,
                n: 3,
                measured: Measured::Sum {
                    sums: Some([("USD".to_owned(), "7310.25".to_owned())].into()),
                },
                goal: None,
                met: None,
            },
        ];
        Ok(Figures {
            rows,
            ..Figures::default()
        })
    }

    async fn boards(&self) -> Result<Vec<String>, DeskError> {
        self.up()?;
        Ok(vec!["accounts-payable".into(), "supply-chain".into()])
    }

    async fn board(&self, name: &str, facility: Option<&str>) -> Result<BoardView, DeskError> {
        if !self.boards().await?.iter().any(|known| known == name) {
            return Err(invalid(format!("there is no board `{name}`")));
        }
        let query = FigureQuery {
            facility: facility.map(str::to_owned),
            ..FigureQuery::default()
        };
        let rows = self.transactions(TransactionQuery::default()).await?.rows;
        Ok(BoardView {
            name: name.to_owned(),
            processes: vec!["procure-to-pay".into()],
            figures: self.figures(query).await?,
            states: [("failed".to_owned(), 2), ("late".to_owned(), 1)].into(),
            ageing: vec![AgeBucket {
                title: "1–3 d".into(),
                count: 4,
                late: 1,
            }],
            at_risk: [("USD".to_owned(), "48.00".to_owned())].into(),
            rows,
            partial: false,
        })
    }

    async fn reconciliations(
        &self,
        query: ReconciliationQuery,
    ) -> Result<Reconciliations, DeskError> {
        self.up()?;
        let orders = self.orders.lock();
        let (detail, ask) = (&orders.instances[0], &orders.tasks[0]);
        let day = ReconciliationView {
            name: "charges".into(),
            date: Some("2026-11-24".into()),
            scope: Some("north".into()),
            facility: Some("north".into()),
            status: "breaks".into(),
            owner: Some("patient-finance".into()),
            done: false,
            reason: None,
            instance: detail.instance.id,
            began: detail.instance.began,
            ended: None,
            hops: vec![
                hop("charged", 2, "10.00", None),
                hop("posted", 1, "6.00", Some("-4.00")),
            ],
            ties: false,
            breaks: vec![BreakView {
                code: "NOT_POSTED".into(),
                subject: Some("charge C-2".into()),
                owner: Some("process-owner".into()),
                state: "assigned".into(),
                by: None,
                detail: json!({ "expected": "4.00", "difference": { "amount": "4.00", "currency": "USD" } }),
                since: Some(ask.asked),
                closed: None,
                task: Some(ask.id),
            }],
            breaks_total: 1,
            breaks_open: 1,
            amount_open: Some("4.00 USD".into()),
            signed_by: None,
            signed_at: None,
        };
        let wanted = query.instance.is_none_or(|id| id == day.instance)
            && query.date.is_none_or(|date| day.date == Some(date))
            && query.name.is_none_or(|name| day.name == name);
        Ok(Reconciliations {
            names: vec!["charges".into(), "payroll".into()],
            rows: if wanted { vec![day] } else { Vec::new() },
            partial: false,
        })
    }

    async fn reconcile(&self, asked: Reconcile, actor: &str) -> Result<(), DeskError> {
        self.up()?;
        if asked.name != "charges" {
            return Err(invalid(format!(
                "there is no reconciliation `{}`",
                asked.name
            )));
        }
        self.note(
            actor,
            "reconcile",
            &format!("{} {}", asked.name, asked.date),
            &asked.reason,
        );
        Ok(())
    }
}

fn hop(name: &str, count: u64, amount: &str, more: Option<&str>) -> HopView {
    HopView {
        hop: name.into(),
        count: Some(count),
        amount: Some(amount.into()),
        count_difference: more.map(|_| -1),
        amount_difference: more.map(str::to_owned),
    }
}

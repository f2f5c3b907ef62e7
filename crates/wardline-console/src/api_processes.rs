//! Processes over the API: instances, questions to people, business transactions. Queries are
//! POSTs, as all that may hold a business key.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use wardline_access::policy::Action;
use wardline_core::{InstanceId, TaskId, Timestamp};
use wardline_engine::view::{
    BoardView, Decision, FigureQuery, Figures, InstanceDetail, InstanceQuery, InstanceView,
    Measured, PageView, ProcessAct, ProcessView, Reconcile, ReconciliationQuery, Reconciliations,
    TaskQuery, TaskView, TransactionQuery, TransactionView,
};

use crate::api::{Answer, Body, needed, rows, with_purpose};
use crate::app::{App, Shared};
use crate::entrance::Asked;
use crate::guard::Caller;
use crate::problem::Problem;
use crate::process_desk::Reassign;
use crate::session::Who;
use crate::tasks::{holds, person, seen};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/processes", get(processes))
        .route("/api/instances", post(instances))
        .route("/api/instances/{id}", get(instance))
        .route("/api/instances/{id}/reveal", post(reveal))
        .route("/api/instances/{id}/act", post(act))
        .route("/api/tasks", post(tasks))
        .route("/api/tasks/{id}", get(task))
        .route("/api/tasks/{id}/claim", post(claim))
        .route("/api/tasks/{id}/release", post(release))
        .route("/api/tasks/{id}/reassign", post(reassign))
        .route("/api/tasks/{id}/answer", post(answer))
        .route("/api/transactions", post(transactions))
        .route("/api/figures", post(figures))
        .route("/api/boards", get(boards))
        .route("/api/board", post(board))
        .route("/api/reconciliations", post(reconciliations))
        .route("/api/reconcile", post(reconcile))
}

/// The id of an instance in an address.
pub(crate) fn instance_id(id: &str) -> Result<InstanceId, Problem> {
    id.parse()
        .map_err(|_| Problem::not_found("instance with that id"))
}

/// The id of a question in an address.
pub(crate) fn task_id(id: &str) -> Result<TaskId, Problem> {
    id.parse()
        .map_err(|_| Problem::not_found("task with that id"))
}

/// What policies are asked for before an act on an instance. Variables are as much as payloads.
pub(crate) const fn action(act: &ProcessAct) -> Action {
    match act {
        ProcessAct::Retry { .. } | ProcessAct::Migrate => Action::Replay,
        ProcessAct::Skip { .. } | ProcessAct::Cancel | ProcessAct::Compensate => Action::Cancel,
        ProcessAct::Set { .. } => Action::Edit,
    }
}

impl App {
    /// May somebody see the variables of an instance: as payloads of the entity that its process
    /// is about.
    pub(crate) async fn permit_variables(
        &self,
        who: &Who,
        process: &str,
        purpose: Option<&str>,
    ) -> Result<(), Problem> {
        let all = self.desk.processes().await?;
        let entity = all
            .into_iter()
            .find(|one| one.name == process)
            .and_then(|one| one.entity);
        self.permit_reveal_of(who, entity.as_deref(), purpose).await
    }

    /// An instance with its questions as somebody may see them.
    pub(crate) async fn instance_for(
        &self,
        who: &Who,
        id: InstanceId,
        reveal: Option<String>,
        actor: &str,
    ) -> Result<InstanceDetail, Problem> {
        let mut detail = self.desk.instance(id, reveal, actor).await?;
        let tasks = detail.tasks.into_iter();
        detail.tasks = tasks.map(|task| seen(who, task)).collect();
        Ok(detail)
    }
}

async fn processes(State(app): State<Shared>, _: Caller) -> Answer<Vec<ProcessView>> {
    Ok(Json(app.desk.processes().await?))
}

async fn instances(
    State(app): State<Shared>,
    _: Caller,
    Body(mut query): Body<InstanceQuery>,
) -> Answer<PageView<InstanceView>> {
    query.limit = rows(query.limit);
    Ok(Json(app.desk.instances(query).await?))
}

async fn instance(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<InstanceDetail> {
    let id = instance_id(&id)?;
    Ok(Json(
        app.instance_for(&caller.who, id, None, &caller.actor)
            .await?,
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevealBody {
    #[serde(default)]
    reason: String,
    /// What it is for (`HOPERAT`, `TREAT`, …), which policies may ask for.
    #[serde(default)]
    purpose: Option<String>,
}

async fn reveal(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<RevealBody>,
) -> Answer<InstanceDetail> {
    let id = instance_id(&id)?;
    let reason = needed(body.reason)?;
    let purpose = body.purpose.as_deref();
    let found = app.desk.instance(id, None, &caller.actor).await?;
    app.permit_variables(&caller.who, &found.instance.process, purpose)
        .await?;
    let reason = with_purpose(purpose, &reason);
    Ok(Json(
        app.instance_for(&caller.who, id, Some(reason), &caller.actor)
            .await?,
    ))
}

/// `{"act": "retry", "step": "…", "reason": "…"}`: what is to be done, and why.
async fn act(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Body(mut body): Body<serde_json::Map<String, serde_json::Value>>,
) -> Answer<InstanceView> {
    let id = instance_id(&id)?;
    let reason = match body.remove("reason") {
        Some(serde_json::Value::String(reason)) => reason,
        _ => String::new(),
    };
    let act: ProcessAct = serde_json::from_value(body.into()).map_err(|_| {
        // The parser's own words would repeat what was sent.
        Problem::bad_json(
            "`act` is one of retry, skip, set, cancel, compensate, migrate; retry and skip may have `step`, set has `vars`",
        )
    })?;
    app.permit(&caller.who, &Asked::of(action(&act))).await?;
    let reason = needed(reason)?;
    Ok(Json(app.desk.act_on(id, act, reason, &caller.actor).await?))
}

async fn tasks(
    State(app): State<Shared>,
    caller: Caller,
    Body(mut query): Body<TaskQuery>,
) -> Answer<PageView<TaskView>> {
    query.limit = rows(query.limit);
    let Some(query) = app.within_roles(&caller.who, &caller.actor, query) else {
        return Ok(Json(PageView {
            rows: Vec::new(),
            scanned: 0,
            next: None,
        }));
    };
    let mut page = app.desk.tasks(query).await?;
    let rows = page.rows.into_iter();
    page.rows = rows.map(|task| seen(&caller.who, task)).collect();
    Ok(Json(page))
}

async fn task(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<TaskView> {
    let task = app.desk.task(task_id(&id)?).await?;
    app.permit_task(&caller.who, &task).await?;
    Ok(Json(seen(&caller.who, task)))
}

async fn claim(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<TaskView> {
    let id = task_id(&id)?;
    let task = app.desk.task(id).await?;
    app.permit_answer(&caller.who, &task).await?;
    Ok(Json(app.desk.claim_task(id, &caller.actor).await?))
}

async fn release(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<TaskView> {
    let id = task_id(&id)?;
    let task = app.desk.task(id).await?;
    app.permit_reassign(&caller.who, &task).await?;
    let task = app.desk.release_task(id, &caller.actor).await?;
    Ok(Json(seen(&caller.who, task)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReassignBody {
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    to: String,
    #[serde(default)]
    due: Option<Timestamp>,
    #[serde(default)]
    reason: String,
}

async fn reassign(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<ReassignBody>,
) -> Answer<TaskView> {
    let id = task_id(&id)?;
    let task = app.desk.task(id).await?;
    app.permit_reassign(&caller.who, &task).await?;
    let reason = needed(body.reason)?;
    let change = Reassign {
        role: body.role,
        to: person(&body.to),
        due: body.due,
    };
    let task = app
        .desk
        .reassign_task(id, change, reason, &caller.actor)
        .await?;
    Ok(Json(seen(&caller.who, task)))
}

async fn answer(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Body(decision): Body<Decision>,
) -> Answer<TaskView> {
    let id = task_id(&id)?;
    let task = app.desk.task(id).await?;
    app.permit_answer(&caller.who, &task).await?;
    Ok(Json(
        app.desk.answer_task(id, decision, &caller.actor).await?,
    ))
}

async fn transactions(
    State(app): State<Shared>,
    _: Caller,
    Body(mut query): Body<TransactionQuery>,
) -> Answer<PageView<TransactionView>> {
    query.limit = rows(query.limit);
    Ok(Json(app.desk.transactions(query).await?))
}

async fn figures(
    State(app): State<Shared>,
    caller: Caller,
    Body(query): Body<FigureQuery>,
) -> Answer<Figures> {
    let mut found = app.desk.figures(query).await?;
    veil(&caller.who, &mut found);
    Ok(Json(found))
}

async fn boards(State(app): State<Shared>, _: Caller) -> Answer<Vec<String>> {
    Ok(Json(app.desk.boards().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneBoard {
    name: String,
    #[serde(default)]
    facility: Option<String>,
}

async fn board(
    State(app): State<Shared>,
    caller: Caller,
    Body(one): Body<OneBoard>,
) -> Answer<BoardView> {
    let board = app.board_for(&caller.who, &one.name, one.facility.as_deref());
    Ok(Json(board.await?))
}

/// Amounts are for the role that answers for them.
fn veil(who: &Who, figures: &mut Figures) {
    for row in &mut figures.rows {
        let answers = row.owner.as_deref().is_some_and(|role| holds(who, role));
        if row.restricted
            && !answers
            && let Measured::Sum { sums } = &mut row.measured
        {
            *sums = None;
        }
    }
}

impl App {
    /// A board as somebody may see it.
    pub(crate) async fn board_for(
        &self,
        who: &Who,
        name: &str,
        facility: Option<&str>,
    ) -> Result<BoardView, Problem> {
        let mut board = self.desk.board(name, facility).await?;
        veil(who, &mut board.figures);
        Ok(board)
    }

    /// Reconciliations as somebody may see them: what a break is about is for the role that
    /// answers for it, amounts are for the roles that answer for any of it.
    pub(crate) async fn reconciliations_for(
        &self,
        who: &Who,
        query: ReconciliationQuery,
    ) -> Result<Reconciliations, Problem> {
        let mut found = self.desk.reconciliations(query).await?;
        let answers = |role: &Option<String>| role.as_deref().is_some_and(|role| holds(who, role));
        for row in &mut found.rows {
            if !answers(&row.owner) && !row.breaks.iter().any(|one| answers(&one.owner)) {
                row.amount_open = None;
                for hop in &mut row.hops {
                    (hop.amount, hop.amount_difference) = (None, None);
                }
            }
            for one in &mut row.breaks {
                if !answers(&one.owner) {
                    one.subject = None;
                    one.detail = serde_json::Value::Null;
                }
            }
        }
        Ok(found)
    }
}

async fn reconciliations(
    State(app): State<Shared>,
    caller: Caller,
    Body(mut query): Body<ReconciliationQuery>,
) -> Answer<Reconciliations> {
    query.limit = rows(query.limit);
    Ok(Json(app.reconciliations_for(&caller.who, query).await?))
}

async fn reconcile(
    State(app): State<Shared>,
    caller: Caller,
    Body(mut asked): Body<Reconcile>,
) -> Answer<serde_json::Value> {
    asked.reason = needed(asked.reason)?;
    app.desk.reconcile(asked, &caller.actor).await?;
    Ok(Json(serde_json::json!({ "begun": true })))
}

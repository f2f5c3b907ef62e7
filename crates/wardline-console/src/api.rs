//! The JSON API: every method of the desk, under `/api/`. The command line is its first
//! user; the pages can do nothing that is not here. Searches are POSTs so that a key never
//! stands in an address. Errors are `application/problem+json`.

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wardline_access::policy::Action;
use wardline_core::{DeliveryId, Id};
use wardline_engine::Found;
use wardline_engine::view::{
    AppliedView, AuditRecordView, AuditStateView, AuditView, DeliveryView, DestroyKeys,
    DestroyedKeys, ErrorGroupView, JobAct, JobView, MessageQuery, MessageView, Overview, PageView,
    Part, PayloadView, ReloadOutcome, ReloadView, ReplayReport, ReplayRequest, Selection,
    TraceItem, TraceView, WebhookTrialView, WebhookView,
};

use crate::app::{App, Shared};
use crate::entrance::PURPOSES;
use crate::guard::Caller;
use crate::live::Feed;
use crate::problem::{ApiProblem, Problem};
use crate::session::Who;

/// Rows of a listing where nothing is said, and at most.
const ROWS: usize = 50;
const MOST_ROWS: usize = 1_000;

pub(crate) type Answer<T> = Result<Json<T>, ApiProblem>;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/overview", get(overview))
        .route("/api/live", get(live))
        .route("/api/messages", post(messages))
        .route("/api/deliveries", post(deliveries))
        .route("/api/trace/{id}", get(trace))
        .route("/api/find", post(find))
        .route("/api/payload", post(payload))
        .route("/api/dead", get(dead))
        .route("/api/replay", post(replay))
        .route("/api/release", decide(Act::Release))
        .route("/api/cancel", decide(Act::Cancel))
        .route("/api/park", decide(Act::Park))
        .route("/api/keys/destroy", post(destroy_keys))
        .route("/api/webhooks", get(webhooks).post(set_webhook))
        .route("/api/webhooks/test", post(try_webhook))
        .route("/api/jobs", get(jobs).post(act_on_job))
        .route("/api/estate", get(estate))
        .route("/api/reload", post(reload))
        .route("/api/audit", get(audit))
        .route("/api/audit/records", get(audit_records))
        .route("/api/audit/state", get(audit_state).post(audit_sign))
}

/// A JSON body whose refusal is problem+json too.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, ApiProblem> {
        Json::<T>::from_request(request, app)
            .await
            .map(|Json(body)| Self(body))
            .map_err(|rejection: JsonRejection| Problem::bad_json(rejection.body_text()).into())
    }
}

async fn overview(State(app): State<Shared>, _: Caller) -> Answer<Overview> {
    Ok(Json(app.desk.overview().await?))
}

async fn live(State(app): State<Shared>, caller: Caller) -> Response {
    match app.live.follow(Feed::Json, app.alive(caller.session)) {
        Some(stream) => Sse::new(stream)
            .keep_alive(KeepAlive::default())
            .into_response(),
        None => Problem::too_many_streams().json(),
    }
}

async fn messages(
    State(app): State<Shared>,
    _: Caller,
    Body(mut query): Body<MessageQuery>,
) -> Answer<PageView<MessageView>> {
    query.limit = rows(query.limit);
    Ok(Json(app.desk.messages(query).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveriesBody {
    select: Selection,
    before: Option<Id>,
    #[serde(default)]
    limit: usize,
}

async fn deliveries(
    State(app): State<Shared>,
    _: Caller,
    Body(body): Body<DeliveriesBody>,
) -> Answer<PageView<DeliveryView>> {
    Ok(Json(
        app.desk
            .deliveries(body.select, body.before, rows(body.limit))
            .await?,
    ))
}

async fn trace(State(app): State<Shared>, _: Caller, Path(id): Path<String>) -> Answer<TraceView> {
    let id: Id = id
        .parse()
        .map_err(|_| Problem::not_found("message or delivery with that id"))?;
    let trace = app.desk.trace(id).await?;
    Ok(Json(trace.ok_or_else(|| {
        Problem::not_found("message or delivery with that id")
    })?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FindBody {
    text: String,
}

async fn find(State(app): State<Shared>, _: Caller, Body(body): Body<FindBody>) -> Answer<Found> {
    Ok(Json(app.desk.find(&body.text).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PayloadBody {
    part: Part,
    id: Id,
    /// The reason; without one the payload is masked.
    reveal: Option<String>,
    /// What it is for (`HOPERAT`, `TREAT`, …), which policies may ask for.
    #[serde(default)]
    purpose: Option<String>,
}

async fn payload(
    State(app): State<Shared>,
    caller: Caller,
    Body(body): Body<PayloadBody>,
) -> Answer<PayloadView> {
    let mut reveal = body.reveal.map(needed).transpose()?;
    if let Some(reason) = &mut reveal {
        let purpose = body.purpose.as_deref();
        permit_reveal(&app, &caller.who, body.id, purpose).await?;
        *reason = with_purpose(purpose, reason);
    }
    let payload = app
        .desk
        .payload(body.part, body.id, reveal, &caller.actor)
        .await?;
    Ok(Json(
        payload.ok_or_else(|| Problem::not_found("payload (any more)"))?,
    ))
}

/// Asks whether somebody may see what is in a hop: the type of its message says what that is.
pub(crate) async fn permit_reveal(
    app: &App,
    who: &Who,
    hop: Id,
    purpose: Option<&str>,
) -> Result<(), Problem> {
    if matches!(who, Who::Token) {
        return Ok(());
    }
    let trace = app.desk.trace(hop).await?;
    let kind = trace.as_ref().and_then(|trace| kind_of(trace, hop));
    app.permit_reveal(who, kind.unwrap_or_default(), purpose)
        .await
}

/// The type of a message, or of the message that a delivery is made of.
pub(crate) fn kind_of(trace: &TraceView, hop: Id) -> Option<&str> {
    let message = trace.nodes.iter().find_map(|node| match &node.item {
        TraceItem::Message(message) if message.id.0 == hop => Some(message.id),
        TraceItem::Delivery(delivery) if delivery.id.0 == hop => Some(delivery.message),
        _ => None,
    })?;
    trace.nodes.iter().find_map(|node| match &node.item {
        TraceItem::Message(found) if found.id == message => Some(found.kind.as_str()),
        _ => None,
    })
}

/// A reason as it stands in the audit log, its purpose in front.
pub(crate) fn with_purpose(purpose: Option<&str>, reason: &str) -> String {
    // Only a word of the vocabulary: what else stands there does not go into a log.
    match PURPOSES.iter().find(|(code, _)| Some(*code) == purpose) {
        Some((code, _)) => format!("{code}: {reason}"),
        None => reason.to_owned(),
    }
}

async fn dead(State(app): State<Shared>, _: Caller) -> Answer<Vec<ErrorGroupView>> {
    Ok(Json(app.desk.dead().await?))
}

async fn replay(
    State(app): State<Shared>,
    caller: Caller,
    Body(mut request): Body<ReplayRequest>,
) -> Answer<ReplayReport> {
    if !request.preview {
        request.reason = needed(request.reason)?;
    }
    app.permit_on(&caller.who, Action::Replay, request.select.flow.as_deref())
        .await?;
    Ok(Json(app.desk.replay(request, &caller.actor).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActBody {
    select: Selection,
    #[serde(default)]
    reason: String,
}

/// How many deliveries an act touched.
#[derive(Serialize)]
pub(crate) struct Count {
    count: u64,
}

/// What may be decided about the deliveries of a selection, for a reason.
#[derive(Clone, Copy)]
enum Act {
    Release,
    Cancel,
    Park,
}

fn decide(act: Act) -> MethodRouter<Shared> {
    post(
        async move |State(app): State<Shared>,
                    caller: Caller,
                    Body(body): Body<ActBody>|
                    -> Answer<Count> {
            let reason = needed(body.reason)?;
            let action = match act {
                Act::Release => Action::Replay,
                Act::Cancel | Act::Park => Action::Cancel,
            };
            app.permit_on(&caller.who, action, body.select.flow.as_deref())
                .await?;
            let (desk, select, actor) = (&app.desk, body.select, &caller.actor);
            let count = match act {
                Act::Release => desk.release(select, reason, actor).await?,
                Act::Cancel => desk.cancel(select, reason, actor).await?,
                Act::Park => desk.park(select, reason, actor).await?,
            };
            Ok(Json(Count { count }))
        },
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResubmitBody {
    delivery: DeliveryId,
    body: String,
    #[serde(default)]
    reason: String,
}

/// The delivery that an edited copy became.
#[derive(Serialize)]
pub(crate) struct Made {
    delivery: DeliveryId,
}

pub(crate) async fn resubmit(
    State(app): State<Shared>,
    caller: Caller,
    Body(body): Body<ResubmitBody>,
) -> Answer<Made> {
    let delivery = app
        .desk
        .resubmit(
            body.delivery,
            body.body,
            needed(body.reason)?,
            &caller.actor,
        )
        .await?;
    Ok(Json(Made { delivery }))
}

async fn destroy_keys(
    State(app): State<Shared>,
    caller: Caller,
    Body(body): Body<DestroyKeys>,
) -> Answer<DestroyedKeys> {
    Ok(Json(app.desk.destroy_keys(body, &caller.actor).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    before: Option<u64>,
    #[serde(default)]
    limit: usize,
}

async fn audit(
    State(app): State<Shared>,
    _: Caller,
    query: Query<AuditQuery>,
) -> Answer<Vec<AuditView>> {
    Ok(Json(app.desk.audit(query.before, rows(query.limit)).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordsQuery {
    from: u64,
    #[serde(default)]
    limit: usize,
}

async fn audit_records(
    State(app): State<Shared>,
    _: Caller,
    query: Query<RecordsQuery>,
) -> Answer<Vec<AuditRecordView>> {
    let limit = rows(query.limit);
    Ok(Json(app.desk.audit_records(query.from, limit).await?))
}

async fn audit_state(State(app): State<Shared>, _: Caller) -> Answer<AuditStateView> {
    Ok(Json(app.desk.audit_state(false).await?))
}

/// A POST, since signing writes to the journal.
async fn audit_sign(State(app): State<Shared>, _: Caller) -> Answer<AuditStateView> {
    Ok(Json(app.desk.audit_state(true).await?))
}

async fn webhooks(State(app): State<Shared>, _: Caller) -> Answer<Vec<WebhookView>> {
    Ok(Json(app.desk.webhooks().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetWebhookBody {
    name: String,
    enabled: bool,
    #[serde(default)]
    reason: String,
}

async fn set_webhook(
    State(app): State<Shared>,
    caller: Caller,
    Body(body): Body<SetWebhookBody>,
) -> Answer<WebhookView> {
    let reason = needed(body.reason)?;
    let (desk, actor) = (&app.desk, &caller.actor);
    Ok(Json(
        desk.set_webhook(&body.name, body.enabled, reason, actor)
            .await?,
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TryWebhookBody {
    name: String,
}

async fn try_webhook(
    State(app): State<Shared>,
    caller: Caller,
    Body(body): Body<TryWebhookBody>,
) -> Answer<WebhookTrialView> {
    Ok(Json(app.desk.try_webhook(&body.name, &caller.actor).await?))
}

async fn jobs(State(app): State<Shared>, _: Caller) -> Answer<Vec<JobView>> {
    Ok(Json(app.desk.jobs().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobActBody {
    name: String,
    act: JobAct,
    #[serde(default)]
    reason: String,
}

async fn act_on_job(
    State(app): State<Shared>,
    caller: Caller,
    Body(body): Body<JobActBody>,
) -> Answer<JobView> {
    let reason = needed(body.reason)?;
    let (desk, actor) = (&app.desk, &caller.actor);
    Ok(Json(
        desk.act_on_job(&body.name, body.act, reason, actor).await?,
    ))
}

async fn estate(State(app): State<Shared>, _: Caller) -> Answer<AppliedView> {
    let applied = app.desk.applied().await?;
    Ok(Json(
        applied.ok_or_else(|| Problem::not_found("applied estate"))?,
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReloadBody {
    /// Why; goes into the audit log.
    #[serde(default)]
    reason: String,
}

/// 200 where the files are in force, 422 with what is wrong in them where they are not.
async fn reload(
    State(app): State<Shared>,
    caller: Caller,
    Body(body): Body<ReloadBody>,
) -> Result<(StatusCode, Json<ReloadView>), ApiProblem> {
    let reason = needed(body.reason)?;
    let view = app.desk.reload(reason, &caller.actor).await?;
    let status = match view.outcome {
        ReloadOutcome::Applied | ReloadOutcome::Unchanged => StatusCode::OK,
        ReloadOutcome::Refused => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok((status, Json(view)))
}

/// How many rows a listing has.
pub(crate) const fn rows(asked: usize) -> usize {
    match asked {
        0 => ROWS,
        asked if asked > MOST_ROWS => MOST_ROWS,
        asked => asked,
    }
}

pub(crate) fn needed(reason: String) -> Result<String, Problem> {
    if reason.trim().is_empty() {
        return Err(Problem::bad_json(
            "`reason` is needed: it goes into the audit log with your name",
        ));
    }
    Ok(reason)
}

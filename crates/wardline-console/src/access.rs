//! What the console asks about callers: who calls what, what stands out, and who is refused for
//! it. Apart from [`ConsoleDesk`](crate::ConsoleDesk), since an estate without Apis has none of it.

use async_trait::async_trait;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use wardline_core::{Timestamp, Zone};

use crate::api::{Answer, Body, needed};
use crate::app::Shared;
use crate::desk::DeskError;
use crate::guard::Caller;
use crate::problem::{ApiProblem, Problem};

/// Callers, as a running server knows them.
#[async_trait]
pub trait AccessDesk: Send + Sync + 'static {
    /// Every client, by name.
    async fn clients(&self) -> Result<Vec<ClientView>, DeskError>;
    /// What stood out, newest first.
    async fn alerts(&self) -> Result<Vec<AlertView>, DeskError>;
    /// Notes that somebody looked at an alert, and what they found; with an audit entry. `None`
    /// where there is no such alert.
    async fn acknowledge(
        &self,
        id: u64,
        reason: &str,
        actor: &str,
    ) -> Result<Option<AlertView>, DeskError>;
    /// Refuses a client whatever it shows, and all its tokens, or lets it in again; with an audit
    /// entry. Whether that was not so already; `None` where there is no such client.
    async fn quarantine(
        &self,
        client: &str,
        refused: bool,
        reason: &str,
        actor: &str,
    ) -> Result<Option<bool>, DeskError>;
}

/// So many calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountsView {
    /// All of them.
    pub calls: u64,
    /// Refused for lack of rights.
    pub denied: u64,
    /// Refused because they were more than agreed.
    pub throttled: u64,
    /// Failed on our side, or on that of a system behind.
    pub failed: u64,
}

/// A client, and what it calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientView {
    /// Its name.
    pub client: String,
    /// What people call it.
    pub title: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// `partner`, `service` or `person-group`.
    pub kind: String,
    /// The zone through which it comes.
    pub zone: Zone,
    /// Whether its file switches it off.
    pub disabled: bool,
    /// Since when it is refused because of what it did.
    pub quarantined: Option<Timestamp>,
    /// Alerts about it that nobody has looked at.
    pub alerts: u64,
    /// When it called last.
    pub last: Option<Timestamp>,
    /// From where.
    pub address: Option<String>,
    /// Today's calls.
    pub today: CountsView,
    /// All calls that are known of.
    pub total: CountsView,
    /// How much of its quota is used.
    pub quota: Option<QuotaView>,
    /// What it proves itself by.
    pub credentials: Vec<CredentialView>,
    /// The operations that it calls.
    pub operations: Vec<OperationView>,
}

/// How much of a quota is used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuotaView {
    /// `hour`, `day` or `week`.
    pub per: String,
    /// Calls that it may make in that time.
    pub calls: u64,
    /// Calls that it made.
    pub used: u64,
}

/// Something that a client proves itself by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CredentialView {
    /// `private_key_jwt`, `mtls`, `api_key`, …
    pub kind: String,
    /// When it expires, where its file says so.
    pub expires: Option<Timestamp>,
}

/// An operation that a client calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OperationView {
    /// The Api's name.
    pub api: String,
    /// Its version.
    pub version: String,
    /// Where that version is in its life; `gone` where the estate does not have it any more.
    pub state: String,
    /// The operation.
    pub operation: String,
    /// When it was called last.
    pub last: Timestamp,
    /// Today's calls.
    pub today: CountsView,
    /// All calls that are known of.
    pub total: CountsView,
    /// What 99 of 100 calls today did not exceed, in milliseconds; up to a fifth too much.
    pub p99_ms: Option<f64>,
}

/// An alert about a client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlertView {
    /// Its number.
    pub id: u64,
    /// About whom.
    pub client: String,
    /// When.
    pub at: Timestamp,
    /// What was seen and what is usual, for people.
    pub text: String,
    /// The same for programs: one object a sign, with its numbers.
    pub evidence: serde_json::Value,
    /// Further ones of the same hour that are not told one by one.
    pub more: u64,
    /// Whether the client was refused because of it.
    pub quarantined: bool,
    /// Who looked at it.
    pub acknowledged: Option<AcknowledgedView>,
}

/// Who looked at an alert, and what they found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AcknowledgedView {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What they say to it.
    pub reason: String,
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/clients", get(clients))
        .route("/api/clients/{client}/quarantine", post(quarantine))
        .route("/api/clients/{client}/release", post(release))
        .route("/api/alerts", get(alerts))
        .route("/api/alerts/{id}/acknowledge", post(acknowledge))
}

async fn clients(State(app): State<Shared>, _: Caller) -> Answer<Vec<ClientView>> {
    match &app.access {
        None => Ok(Json(Vec::new())),
        Some(access) => Ok(Json(access.clients().await?)),
    }
}

async fn alerts(State(app): State<Shared>, _: Caller) -> Answer<Vec<AlertView>> {
    match &app.access {
        None => Ok(Json(Vec::new())),
        Some(access) => Ok(Json(access.alerts().await?)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasonBody {
    #[serde(default)]
    reason: String,
}

async fn acknowledge(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<ReasonBody>,
) -> Answer<AlertView> {
    let nothing = || ApiProblem::from(Problem::not_found("alert with that number"));
    let reason = needed(body.reason)?;
    let id = id.parse().map_err(|_| nothing())?;
    let access = app.access.as_ref().ok_or_else(nothing)?;
    let alert = access.acknowledge(id, &reason, &caller.actor).await?;
    Ok(Json(alert.ok_or_else(nothing)?))
}

/// Whether anything was changed.
#[derive(Serialize)]
pub(crate) struct Changed {
    changed: bool,
}

async fn quarantine(
    app: State<Shared>,
    caller: Caller,
    client: Path<String>,
    body: Body<ReasonBody>,
) -> Answer<Changed> {
    hold(app, caller, client, body, true).await
}

async fn release(
    app: State<Shared>,
    caller: Caller,
    client: Path<String>,
    body: Body<ReasonBody>,
) -> Answer<Changed> {
    hold(app, caller, client, body, false).await
}

async fn hold(
    State(app): State<Shared>,
    caller: Caller,
    Path(client): Path<String>,
    Body(body): Body<ReasonBody>,
    refused: bool,
) -> Answer<Changed> {
    let nothing = || ApiProblem::from(Problem::not_found("client of that name"));
    let reason = needed(body.reason)?;
    let access = app.access.as_ref().ok_or_else(nothing)?;
    let changed = access
        .quarantine(&client, refused, &reason, &caller.actor)
        .await?
        .ok_or_else(nothing)?;
    Ok(Json(Changed { changed }))
}

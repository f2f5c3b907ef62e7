//! What an HTTP system answers: faults first, then the check of the body, then the effect.

use super::door::Connection;
use super::hears::heard;
use super::{Department, Desk, Operation};
use crate::Fault;
use crate::cleaning::Cleaning;
use crate::fault::Fate;
use crate::ledger::{Effect, Outcome};
use crate::office::BackOffice;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Json, RawPathParams, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::sync::Arc;

/// Bodies are small; a larger one is answered 413.
const BODY_LIMIT: usize = 64 * 1024;

/// What one operation's handler knows.
#[derive(Clone)]
struct Counter {
    department: &'static Department,
    operation: &'static Operation,
    desk: Arc<Desk>,
    cleaning: Option<Cleaning>,
    back: Arc<BackOffice>,
}

/// All routes of one system, `/_fault`, `/_report` and `/_health` included.
pub(crate) fn routes(
    department: &'static Department,
    desk: Arc<Desk>,
    cleaning: Option<Cleaning>,
    back: &Arc<BackOffice>,
) -> Router {
    let mut router = Router::new();
    for operation in department.operations {
        let counter = Counter {
            department,
            operation,
            desk: desk.clone(),
            cleaning: cleaning.clone(),
            back: Arc::clone(back),
        };
        router = router.route(operation.path, post(serve).with_state(counter));
    }
    router
        .merge(fault_routes("", desk))
        .route("/_health", get(|| async { "well\n" }))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}

/// The routes below `prefix` by which a system's faults are set and its book is read.
pub(crate) fn fault_routes(prefix: &str, desk: Arc<Desk>) -> Router {
    Router::new()
        .route(
            &format!("{prefix}/_fault"),
            get(show_fault).post(set_fault).delete(heal),
        )
        .route(
            &format!("{prefix}/_report"),
            get(|State(desk): State<Arc<Desk>>| async move { Json(desk.ledger.report()) }),
        )
        .with_state(desk)
}

async fn show_fault(State(desk): State<Arc<Desk>>) -> Json<Fault> {
    Json(desk.faults.get())
}

async fn set_fault(State(desk): State<Arc<Desk>>, Json(fault): Json<Fault>) -> Response {
    match desk.faults.set(fault) {
        Ok(()) => Json(desk.faults.get()).into_response(),
        Err(error) => problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string(), &[]),
    }
}

async fn heal(state: State<Arc<Desk>>) -> Response {
    set_fault(state, Json(Fault::default())).await
}

async fn serve(
    State(counter): State<Counter>,
    Extension(connection): Extension<Connection>,
    path: RawPathParams,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let desk = &counter.desk;
    desk.ledger.count(|report| &mut report.requests);
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let path_key = path.iter().next().map(|(_, value)| value);
    let key = body
        .get(counter.operation.key)
        .and_then(Value::as_str)
        .or(path_key)
        .unwrap_or_default();
    let lose_reply = match desk.faults.fate(key).await {
        Fate::Serve => false,
        Fate::ServeButLoseReply => true,
        fate => return suffer(desk, fate),
    };
    let problems = counter.operation.problems(&body, path_key);
    if !problems.is_empty() {
        desk.ledger.count(|report| &mut report.refused);
        return problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the request makes no sense",
            &problems,
        );
    }
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    let outcome = desk.ledger.apply(&Effect {
        operation: counter.operation.name,
        key,
        idempotency_key: headers
            .get("idempotency-key")
            .and_then(|value| value.to_str().ok()),
        message_id: text("message_id"),
    });
    let number = match outcome {
        Outcome::Applied(number) => {
            let news = heard(
                &counter.back,
                desk.system,
                counter.operation.name,
                key,
                &body,
            );
            if let Some(cleaning) = counter.cleaning.as_ref().filter(|_| news) {
                cleaning.heard(counter.operation.name, key, number);
            }
            number
        }
        Outcome::Repeated(number) => number,
        Outcome::Conflict => {
            return problem(
                StatusCode::CONFLICT,
                "this idempotency key was used for another request",
                &[],
            );
        }
    };
    if lose_reply {
        desk.ledger.count(|report| &mut report.lost_replies);
        connection.hang_up().await;
    }
    let reference = format!("{}-{number:06}", counter.department.reference);
    Json(json!({ "operation": counter.operation.name, "reference": reference })).into_response()
}

/// The answer of a system that is not well.
pub(crate) fn suffer(desk: &Desk, fate: Fate) -> Response {
    let (status, text, retry_after_s) = match fate {
        Fate::RefuseKey => {
            desk.ledger.count(|report| &mut report.refused);
            return problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                "this record is refused",
                &[],
            );
        }
        Fate::Busy { retry_after_s } => (
            StatusCode::TOO_MANY_REQUESTS,
            "too many requests",
            Some(retry_after_s),
        ),
        Fate::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "down for maintenance",
            None,
        ),
        Fate::Fail | Fate::Serve | Fate::ServeButLoseReply => {
            (StatusCode::INTERNAL_SERVER_ERROR, "internal error", None)
        }
    };
    desk.ledger.count(|report| &mut report.failed);
    let mut response = problem(status, text, &[]);
    if let Some(seconds) = retry_after_s {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// A problem document (RFC 9457).
pub(crate) fn problem(status: StatusCode, title: &str, details: &[String]) -> Response {
    let mut body = json!({ "type": "about:blank", "status": status.as_u16(), "title": title });
    if !details.is_empty() {
        body["errors"] = json!(details);
    }
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/problem+json"),
    );
    response
}

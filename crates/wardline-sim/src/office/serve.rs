//! What a back-office system answers: faults first, then what it answered before, then the duty.

use super::books::Given;
use super::{Ask, BackOffice, Doc, Duty, Office, Reply, Verb};
use crate::fault::Fate;
use crate::ledger::{Effect, Outcome};
use crate::service::{Connection, Desk, fault_routes, suffer};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Json, Query, RawPathParams, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use serde_json::Value;
use std::sync::Arc;

/// A price file or an order of many lines is larger than a bed.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// Idempotency keys are the delivery ids of Wardline: short.
const KEY_LIMIT: usize = 255;

/// What one duty's handler knows.
#[derive(Clone)]
struct Counter {
    office: &'static Office,
    duty: &'static Duty,
    desk: Arc<Desk>,
    back: Arc<BackOffice>,
}

/// All routes of one system. `own` adds `/_fault`, `/_report` and `/_health`; a system that has them already does without.
pub(crate) fn routes(
    office: &'static Office,
    desk: &Arc<Desk>,
    back: &Arc<BackOffice>,
    own: bool,
) -> Router {
    let mut router = Router::new();
    for duty in office.duties {
        let counter = Counter {
            office,
            duty,
            desk: Arc::clone(desk),
            back: Arc::clone(back),
        };
        let route = match duty.verb {
            Verb::Get => get(serve),
            Verb::Post => post(serve),
            Verb::Put => put(serve),
            Verb::Patch => patch(serve),
            Verb::Delete => delete(serve),
        };
        router = router.route(duty.path, route.with_state(counter));
    }
    if own {
        router = router
            .merge(fault_routes("", Arc::clone(desk)))
            .route("/_health", get(|| async { "well\n" }));
    }
    router.layer(DefaultBodyLimit::max(BODY_LIMIT))
}

async fn serve(
    State(counter): State<Counter>,
    Extension(connection): Extension<Connection>,
    path: RawPathParams,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (duty, desk) = (counter.duty, &counter.desk);
    desk.ledger.count(|report| &mut report.requests);
    let asked = Query::<Vec<(String, String)>>::try_from_uri(&uri);
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let ask = Ask {
        params: path
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain(asked)
            .collect(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let subject = ask.subject(duty).to_owned();
    let lose_reply = match desk.faults.fate(&subject).await {
        Fate::Serve => false,
        Fate::ServeButLoseReply => true,
        fate => return suffer(desk, fate),
    };
    let missing: Vec<String> = duty
        .needs
        .iter()
        .filter(|need| ask.body.pointer(need).is_none_or(Value::is_null))
        .map(|need| format!("`{}` is missing", need.trim_start_matches('/')))
        .collect();
    if !missing.is_empty() {
        return counter.refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the request makes no sense",
            &missing,
        );
    }
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok())
        .filter(|key| !key.is_empty() && key.len() <= KEY_LIMIT);
    let answered = counter.answer(&ask, &subject, key);
    if lose_reply && answered.effect {
        desk.ledger.count(|report| &mut report.lost_replies);
        connection.hang_up().await;
    }
    answered.response
}

struct Answered {
    response: Response,
    effect: bool,
}

impl Counter {
    fn refuse(&self, status: StatusCode, text: &str, details: &[String]) -> Response {
        self.desk.ledger.count(|report| &mut report.refused);
        (self.office.refuse)(status, text, details)
    }

    fn answer(&self, ask: &Ask, subject: &str, key: Option<&str>) -> Answered {
        let (system, duty) = (self.office.system, self.duty);
        let purpose = format!("{} {subject}", duty.name);
        let (response, effect) = self.back.work(system, |room| {
            if let Some(given) = key.and_then(|key| room.books.given(system, key)) {
                if given.purpose != purpose {
                    let text = "this idempotency key was used for another request";
                    return (self.refuse(StatusCode::CONFLICT, text, &[]), false);
                }
                self.desk.ledger.count(|report| &mut report.repeated);
                return (respond(given.made, given.body.clone()), true);
            }
            let (made, body) = match (duty.run)(room, ask) {
                Reply::Read(body) => return (Json(body).into_response(), false),
                Reply::No(status, text) => return (self.refuse(status, text, &[]), false),
                Reply::Refused(status, body) => {
                    self.desk.ledger.count(|report| &mut report.refused);
                    return ((status, Json(body)).into_response(), false);
                }
                Reply::Done(body) => (false, body),
                Reply::Made(body) => (true, body),
            };
            let outcome = self.desk.ledger.apply(&Effect {
                operation: duty.name,
                key: subject,
                idempotency_key: key,
                message_id: Some(ask.body.text("/message_id")).filter(|id| !id.is_empty()),
            });
            if matches!(outcome, Outcome::Applied(_)) {
                room.books.count_effect(system, duty.name, subject);
            }
            if let Some(key) = key {
                let given = Given {
                    purpose,
                    made,
                    body: body.clone(),
                };
                room.books.give(system, key, given);
            }
            (respond(made, body), true)
        });
        Answered { response, effect }
    }
}

fn respond(made: bool, body: Value) -> Response {
    let status = if made {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    (status, Json(body)).into_response()
}

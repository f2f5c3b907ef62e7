//! What a client asks about its webhooks, with its own credentials: an event of which it was sent
//! the id (what it may see is decided when it looks, and each look is an audit entry), where its
//! endpoints are, and where it wants to be told.

use super::doors::{beside, operation};
use crate::correlation;
use crate::plan::{Api, Serve};
use crate::problem::{Kind, Problem, Violation};
use crate::seam::{Gatekeeper, Handler, Peer};
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{DeliveryId, Id, Zone};
use wardline_engine::view::WebhookView;
use wardline_engine::{Desk, DeskError, EVENTS_PATH, RegisterError};
use wardline_estate::model::Estate;

/// Largest body of a registration.
const LARGEST: usize = 8 << 10;

#[derive(Clone, Copy)]
enum What {
    Event,
    Own,
    Register,
    Unregister,
}

struct Events {
    what: What,
    gatekeeper: Arc<dyn Gatekeeper>,
    desk: Arc<Desk>,
}

impl Events {
    async fn answer(&self, request: &Request<Bytes>, peer: &Peer) -> Result<Bytes, Problem> {
        let caller = self.gatekeeper.identify(peer, request.headers()).await?;
        let last = request.uri().path().rsplit('/').next().unwrap_or_default();
        match self.what {
            What::Event => self.event(&caller.name, last).await,
            What::Own => self.own(&caller.name).await,
            What::Register => self.register(&caller.name, last, request.body()).await,
            What::Unregister => {
                let done = self.desk.unregister_webhook(&caller.name, last).await;
                done.map(|()| Bytes::new()).map_err(refused)
            }
        }
    }

    async fn own(&self, client: &str) -> Result<Bytes, Problem> {
        let all = self.desk.webhooks_of(client).await.map_err(unanswered)?;
        let all: Vec<Value> = all.iter().map(shown).collect();
        Ok(Bytes::from(Value::from(all).to_string()))
    }

    async fn register(&self, client: &str, name: &str, body: &Bytes) -> Result<Bytes, Problem> {
        let asked: Registration = serde_json::from_slice(body).map_err(|_| {
            Problem::new(Kind::NotJson).detail("Send `{\"url\": \"https://…\"}` and nothing else.")
        })?;
        let registered = self.desk.register_webhook(client, name, &asked.url).await;
        let registered = registered.map_err(refused)?;
        Ok(Bytes::from(shown(&registered).to_string()))
    }

    async fn event(&self, client: &str, id: &str) -> Result<Bytes, Problem> {
        let id: Id = id.parse().map_err(|_| Kind::NotFound)?;
        match self.desk.event_of(client, DeliveryId(id)).await {
            Ok(Some(body)) => Ok(body),
            // Another's, unknown, forbidden by now: all the same to who asks.
            Ok(None) => Err(Kind::NotFound.into()),
            Err(error) => Err(unanswered(error)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    url: String,
}

/// What a client sees of an endpoint of its own.
fn shown(endpoint: &WebhookView) -> Value {
    json!({
        "name": endpoint.name,
        "url": endpoint.url,
        "events": endpoint.events,
        "state": endpoint.state,
        "since": endpoint.since,
        "waiting": endpoint.waiting,
        "public_keys": endpoint.public_keys,
    })
}

fn unanswered(error: DeskError) -> Problem {
    tracing::error!(code = %error.code(), %error, "the journal did not answer a client");
    Kind::Busy.into()
}

fn refused(error: RegisterError) -> Problem {
    match error {
        RegisterError::NotFound => Kind::NotFound.into(),
        RegisterError::Refused(_) => Problem::new(Kind::Contract).errors(vec![Violation {
            pointer: "/url".to_owned(),
            rule: "public".to_owned(),
            detail: error.to_string(),
        }]),
        RegisterError::Busy => Problem::new(Kind::TooMany).retry_after(Duration::from_secs(1)),
        RegisterError::Desk(error) => unanswered(error),
    }
}

#[async_trait]
impl Handler for Events {
    async fn handle(&self, request: Request<Bytes>, peer: &Peer) -> Response<Bytes> {
        match self.answer(&request, peer).await {
            Err(problem) => {
                let correlation = request.headers().get(correlation::HEADER);
                let correlation = correlation
                    .and_then(|value| value.to_str().ok())
                    .filter(|text| text.len() <= 64);
                problem.into_answer(correlation.unwrap_or_default())
            }
            Ok(body) => {
                let mut answer = Response::new(body);
                let headers = answer.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                answer
            }
        }
    }
}

/// `GET /webhooks`, `PUT` and `DELETE /webhooks/{name}`, `GET /webhooks/events/{id}`, in the zones
/// of clients that have webhooks.
pub(super) fn api(
    estate: &Estate,
    gatekeeper: &Arc<dyn Gatekeeper>,
    desk: &Arc<Desk>,
) -> Option<Api> {
    let told: BTreeSet<Zone> = estate
        .clients
        .values()
        .filter(|client| !client.webhooks.is_empty())
        .map(|client| client.zone)
        .collect();
    let zones: BTreeSet<Zone> = estate
        .listeners
        .values()
        .filter(|listener| told.contains(&listener.zone) && estate.has_apis_at(listener))
        .map(|listener| listener.zone)
        .collect();
    if zones.is_empty() {
        return None;
    }
    let made = |name, method, path: &str, what| {
        let handler = Arc::new(Events {
            what,
            gatekeeper: Arc::clone(gatekeeper),
            desk: Arc::clone(desk),
        });
        operation(name, method, path, Serve::Handler(handler))
    };
    let mut register = made("register", Method::PUT, "/webhooks/{name}", What::Register);
    register.content_types = vec!["application/json".into()];
    register.limits.body = LARGEST;
    let operations = vec![
        made(
            "event",
            Method::GET,
            &format!("{EVENTS_PATH}/{{id}}"),
            What::Event,
        ),
        made("own", Method::GET, "/webhooks", What::Own),
        register,
        made(
            "unregister",
            Method::DELETE,
            "/webhooks/{name}",
            What::Unregister,
        ),
    ];
    Some(beside("webhooks", zones.into_iter().collect(), operations))
}

//! Paths that speak FHIR: what comes changes resources that are kept, and is answered by them.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, ETAG, HeaderValue, LOCATION, RETRY_AFTER};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::super::config::Route;
use super::{Answer, LATER, Shared};
use crate::fhir::{Answered, Asked, Became, Endpoint, service_outcome};
use crate::http::problem::come_later;
use crate::{Received, codes};

/// The media type of answers.
const JSON: &str = "application/fhir+json";

impl Shared {
    /// The service that a path belongs to, and what of the path is below it.
    fn service<'a>(&'a self, path: &'a str) -> Option<(&'a str, &'a str)> {
        self.services.iter().find_map(|at| {
            let rest = path.strip_prefix(at.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some((at.as_str(), rest))
        })
    }

    /// Whether what goes wrong at a path is told in FHIR.
    pub(super) fn speaks_fhir(&self, path: &str) -> bool {
        self.service(path).is_some()
    }

    /// Routes of the service that a path belongs to; those of one depth are one pattern.
    pub(super) fn fhir_routes(&self, path: &str) -> Option<&Vec<Route>> {
        let (at, rest) = self.service(path)?;
        let depth = rest.matches('/').count();
        self.routes.iter().find_map(|(pattern, routes)| {
            let of = routes.first().and_then(|route| route.fhir.as_ref())?;
            let below = pattern.strip_prefix(at)?;
            (of.path == at && below.matches('/').count() == depth).then_some(routes)
        })
    }

    /// Answers a request, in a task of its own: a client that hangs up must not tear a commit in
    /// two.
    pub(super) async fn fhir(
        &self,
        endpoint: &Arc<Endpoint>,
        head: &Parts,
        received: Received,
        held: Option<OwnedSemaphorePermit>,
    ) -> Answer {
        let asked = match Asked::read(endpoint, head) {
            Ok(asked) => asked,
            Err(problem) => {
                self.counters.refused(1);
                return written(problem.into());
            }
        };
        let (endpoint, intake) = (Arc::clone(endpoint), Arc::clone(&self.intake));
        let task = self.tracker.spawn(async move {
            let resources = intake.resources()?;
            let answered = endpoint.answer(resources, &asked, received).await;
            drop(held);
            Some(answered)
        });
        match task.await {
            Ok(Some(answered)) => {
                match answered.became {
                    Became::Nothing => 0,
                    Became::Accepted => self.counters.accepted(1),
                    Became::Refused => self.counters.refused(1),
                    Became::Busy => self.counters.busy(1),
                };
                written(answered)
            }
            Ok(None) => {
                told(*come_later(
                    codes::FHIR_NOT_KEPT,
                    "no resources are kept here",
                    LATER,
                ))
                .await
            }
            Err(_) => {
                tracing::error!("answering a request of FHIR panicked; nothing was acknowledged");
                let what = "no answer could be made; send it again";
                told(*come_later(codes::FHIR_NOT_KEPT, what, LATER)).await
            }
        }
    }
}

/// What the listener itself has against a request, in FHIR.
pub(super) async fn told(answer: Answer) -> Answer {
    let (mut head, body) = answer.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
    };
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    let code = match head.status {
        StatusCode::UNAUTHORIZED => "login",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not-found",
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNSUPPORTED_MEDIA_TYPE => "not-supported",
        StatusCode::PAYLOAD_TOO_LARGE => "too-long",
        StatusCode::SERVICE_UNAVAILABLE => "transient",
        _ => "invalid",
    };
    let said = service_outcome(
        "error",
        code,
        &format!("{}: {}", text("code"), text("detail")),
    );
    head.headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    Response::from_parts(head, Full::from(said.to_string()))
}

fn written(answered: Answered) -> Answer {
    let filled = answered.body.is_some();
    let mut response = Response::new(Full::from(answered.body.unwrap_or_default()));
    *response.status_mut() = answered.status;
    let headers = response.headers_mut();
    if filled {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    for (name, value) in [(ETAG, answered.etag), (LOCATION, answered.location)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
    if let Some(after) = answered.retry_after {
        let seconds = after.as_millis().div_ceil(1000).max(1);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}

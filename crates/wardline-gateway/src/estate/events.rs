//! Events that a client was sent the id of, for it to fetch with its own credentials: what it may
//! see is decided when it looks, and each look is an audit entry.

use super::doors::{beside, operation};
use crate::correlation;
use crate::plan::{Api, Serve};
use crate::problem::{Kind, Problem};
use crate::seam::{Gatekeeper, Handler, Peer};
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use std::collections::BTreeSet;
use std::sync::Arc;
use wardline_core::{DeliveryId, Id, Zone};
use wardline_engine::{Desk, EVENTS_PATH};
use wardline_estate::model::Estate;

struct Events {
    gatekeeper: Arc<dyn Gatekeeper>,
    desk: Arc<Desk>,
}

impl Events {
    async fn answer(&self, request: &Request<Bytes>, peer: &Peer) -> Result<Bytes, Problem> {
        let caller = self.gatekeeper.identify(peer, request.headers()).await?;
        let id = request.uri().path().rsplit('/').next().unwrap_or_default();
        let id: Id = id.parse().map_err(|_| Kind::NotFound)?;
        match self.desk.event_of(&caller.name, DeliveryId(id)).await {
            Ok(Some(body)) => Ok(body),
            // Another's, unknown, forbidden by now: all the same to who asks.
            Ok(None) => Err(Kind::NotFound.into()),
            Err(error) => {
                tracing::error!(code = %error.code(), %error, "an event could not be read for its client");
                Err(Kind::Busy.into())
            }
        }
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

/// `GET /webhooks/events/{id}`, in the zones of clients that have webhooks.
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
    let handler = Arc::new(Events {
        gatekeeper: Arc::clone(gatekeeper),
        desk: Arc::clone(desk),
    });
    let path = format!("{EVENTS_PATH}/{{id}}");
    let fetch = operation("event", Method::GET, &path, Serve::Handler(handler));
    Some(beside("webhooks", zones.into_iter().collect(), vec![fetch]))
}

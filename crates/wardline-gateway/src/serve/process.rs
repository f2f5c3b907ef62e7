//! Served by a process: it is started, told something, or asked how far it is.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::json;
use std::time::Duration;

use super::inbound::Inbound;
use super::{Visit, json_response};
use crate::body::Body;
use crate::idempotency::REPLAYED;
use crate::plan::{Process, ProcessAct, Serve};
use crate::problem::{Kind, Problem};
use crate::route::{Found, Params, encoded};
use crate::seam::{Instance, Once, ProcessCall};
use crate::snapshot::{Endpoint, joined};

/// The parameter of a path that names an instance.
const INSTANCE: &str = "id";

impl Visit {
    pub(super) async fn process(
        &mut self,
        endpoint: &Endpoint,
        found: &Found,
        inbound: &mut Inbound,
        key: Option<(&str, Duration)>,
    ) -> Result<Response<Body>, Problem> {
        let operation = endpoint.operation();
        let Serve::Process(process) = &operation.serve else {
            return Err(Kind::Internal.into());
        };
        inbound.read(&endpoint.api, operation).await?;
        let body = inbound.bytes();
        let once = key.map(|(key, keep)| Once {
            key,
            digest: self.digest(&body),
            keep,
        });
        let params = Params::new(&endpoint.params, &found.spans, self.uri.path());
        let call = ProcessCall {
            process: &process.name,
            api: &endpoint.api.name,
            operation: &operation.name,
            caller: self.trail.caller.as_deref(),
            correlation: self.correlation.as_str(),
            facility: self.trail.facility.as_deref(),
            params,
            body,
            once,
        };
        let instance = params.get(INSTANCE);
        let instance = || instance.as_deref().ok_or(Kind::BadPath);
        let (status, instance) = match process.act {
            ProcessAct::Start => {
                let started = process.engine.start(call).await?;
                // What is over when it has begun has its answer already.
                let status = if started.done {
                    StatusCode::OK
                } else {
                    StatusCode::ACCEPTED
                };
                (status, started)
            }
            ProcessAct::Signal => {
                let told = process.engine.signal(instance()?, call).await?;
                (StatusCode::ACCEPTED, told.ok_or(Kind::NotFound)?)
            }
            ProcessAct::Status => {
                let known = process.engine.status(instance()?, call).await?;
                (StatusCode::OK, known.ok_or(Kind::NotFound)?)
            }
        };
        answered(endpoint, process, status, instance)
    }
}

fn answered(
    endpoint: &Endpoint,
    process: &Process,
    status: StatusCode,
    instance: Instance,
) -> Result<Response<Body>, Problem> {
    let place = process.status.as_ref().map(|path| {
        let path = path.replace("{id}", &encoded(&instance.id));
        joined(&endpoint.api.base, &path)
    });
    let mut body = json!({
        "id": instance.id, "state": instance.state, "done": instance.done,
    });
    if let Some(result) = instance.result {
        body["result"] = result;
    }
    if let Some(place) = &place {
        body["status_url"] = json!(place);
    }
    let mut response = json_response(status, Bytes::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(place) = place.filter(|_| status == StatusCode::ACCEPTED) {
        let place = HeaderValue::try_from(place).map_err(|_| Problem::from(Kind::Internal))?;
        headers.insert(LOCATION, place);
    }
    if let Some(again) = instance.again.filter(|_| !instance.done) {
        headers.insert(RETRY_AFTER, HeaderValue::from(again.as_secs().max(1)));
    }
    if instance.known {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

//! Served by other Apis: their answers gathered in order, then made one.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value, json};

use wardline_access::{Caller, CallerKind};

use super::cache::View;
use super::inbound::Inbound;
use super::system::map_failed;
use super::{Visit, json_response};
use crate::body::Body;
use crate::plan::{Compose, Part, Serve, Transform};
use crate::problem::{Kind, Problem};
use crate::route::{Found, Params, decoded, encoded};
use crate::seam::Facts;
use crate::snapshot::{Endpoint, Target};

impl Visit {
    pub(super) async fn compose(
        &mut self,
        endpoint: &Endpoint,
        found: &Found,
        compose: &Compose,
        parts: &[Arc<Endpoint>],
        inbound: &mut Inbound,
        mask: Option<Transform>,
    ) -> Result<Response<Body>, Problem> {
        inbound
            .read_json(&endpoint.api, endpoint.operation())
            .await?;
        let caller = self.trail.caller.clone();
        for inner in parts {
            let gatekeeper = &self.snapshot.plan.gatekeeper;
            let (api, operation) = (&inner.api, inner.operation());
            for class in gatekeeper
                .part_reveals(api, operation, caller.as_deref())
                .iter()
            {
                self.trail.reveals.insert(class);
            }
        }
        let view = compose
            .cache
            .filter(|_| self.method.is_safe() && !inbound.is_read_with_body());
        let view = view.map(|keep| (self.view(endpoint), keep));
        if let Some((view, _)) = &view
            && let Some(body) = self.shared.cache.get(view)
        {
            return Ok(json_response(http::StatusCode::OK, body));
        }
        let params = Params::new(&endpoint.params, &found.spans, self.uri.path());
        let mut input = json!({
            "params": values(params),
            "query": query(self.uri.query()),
            "body": inbound.json(),
            "client": self.trail.caller.as_deref().map(client),
            "answers": {},
        });
        for (part, inner) in compose.calls.iter().zip(parts) {
            if let Some(when) = &part.when
                && !when(&input).map_err(|error| map_failed(&part.name, &error))?
            {
                input["answers"][&*part.name] = Value::Null;
                continue;
            }
            let answer = match self.gather(part, inner, &input).await {
                Err(problem) if part.optional && missing(&problem) => Value::Null,
                answer => answer?,
            };
            input["answers"][&*part.name] = answer;
        }
        let mut value = match &compose.map {
            Some(map) => map(input).map_err(|error| map_failed(&endpoint.id, &error))?,
            None => input["answers"].take(),
        };
        if let Some(mask) = mask {
            value = mask(value).map_err(|error| map_failed(&endpoint.id, &error))?;
        }
        let body = Bytes::from(value.to_string());
        if let Some((view, keep)) = view {
            self.shared.cache.put(view, body.clone(), keep);
        }
        Ok(json_response(http::StatusCode::OK, body))
    }

    async fn gather(&self, part: &Part, inner: &Endpoint, input: &Value) -> Result<Value, Problem> {
        let mut asked = match &part.with {
            Some(with) => with(input.clone()).map_err(|error| map_failed(&part.name, &error))?,
            None => json!({ "params": input["params"] }),
        };
        let (path, spans) = filled(inner, &asked["params"])?;
        let query = asked["query"]
            .as_object()
            .filter(|query| !query.is_empty())
            .map(written);
        let body = Some(asked["body"].take()).filter(|body| !body.is_null());
        let caller = self.trail.caller.as_deref();
        let gatekeeper = &self.snapshot.plan.gatekeeper;
        let mask = gatekeeper.part(&inner.api, inner.operation(), caller)?;
        let facts = Facts {
            peer: &self.peer,
            caller,
            method: &inner.operation().method,
            path: &path,
            query: query.as_deref(),
            headers: &self.headers,
            params: Params::new(&inner.params, &spans, &path),
            facility: self.trail.facility.as_deref(),
            body: body.as_ref(),
            now: self.now,
        };
        let (Target::Systems { bindings, .. }, Serve::Systems(declared)) =
            (&inner.target, &inner.operation().serve)
        else {
            return Err(Kind::Internal.into());
        };
        self.part(
            inner,
            declared,
            bindings,
            &facts,
            body.as_ref(),
            mask.as_ref(),
        )
        .await
    }

    /// Callers see different things, and so does one caller with another token.
    fn view(&self, endpoint: &Endpoint) -> View {
        let caller = self.trail.caller.as_deref().map(|caller| {
            (
                &caller.name,
                caller.kind,
                &caller.scopes,
                &caller.roles,
                &caller.facilities,
                caller.strength,
                &caller.purpose,
            )
        });
        View {
            plan: self.snapshot.generation,
            endpoint: Arc::clone(&endpoint.id),
            caller: format!("{caller:?} {:?} {:?}", self.peer.zone, self.trail.facility),
            target: self.uri.to_string(),
        }
    }
}

/// Who calls, as maps see it: nothing that proves who it is.
pub(crate) fn client(caller: &Caller) -> Value {
    json!({
        "name": caller.name,
        "kind": match caller.kind {
            CallerKind::Partner => "partner",
            CallerKind::Service => "service",
            CallerKind::Person => "person",
        },
        "facilities": caller.facilities,
        "roles": caller.roles,
    })
}

/// Whether the answer is absent rather than wrong.
fn missing(problem: &Problem) -> bool {
    problem.is_status(http::StatusCode::NOT_FOUND)
        || matches!(problem.kind(), Kind::Unreachable | Kind::TooLate)
}

fn values(params: Params<'_>) -> Map<String, Value> {
    let decode =
        |(name, raw): (&str, &str)| Some((name.to_owned(), decoded(raw)?.into_owned().into()));
    params.iter().filter_map(decode).collect()
}

fn query(query: Option<&str>) -> Map<String, Value> {
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let decode = |(name, value): (&str, &str)| {
        let value = value.replace('+', " ");
        Some((
            decoded(name)?.into_owned(),
            Value::from(decoded(&value)?.into_owned()),
        ))
    };
    pairs.filter_map(decode).collect()
}

fn written(query: &Map<String, Value>) -> String {
    let pairs = query.iter().filter(|(_, value)| !value.is_null());
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(&text(value))))
        .collect();
    pairs.join("&")
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A path of the operation with these values, and where they stand in it.
fn filled(endpoint: &Endpoint, values: &Value) -> Result<(String, Vec<(u16, u16)>), Problem> {
    let mut path = String::new();
    let mut spans = Vec::new();
    for segment in endpoint.path.split('/').skip(1) {
        path.push('/');
        let Some(name) = segment
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        else {
            path.push_str(segment);
            continue;
        };
        let value = values
            .get(name)
            .filter(|value| value.is_string() || value.is_number())
            .map(text);
        let value = value
            .filter(|value| value.len() <= 1_024 && !matches!(value.as_str(), "" | "." | ".."));
        let value = value.ok_or_else(|| {
            map_failed(&endpoint.id, "a parameter of the path has no usable value")
        })?;
        let from = path.len();
        path.push_str(&encoded(&value));
        let span = u16::try_from(from).ok().zip(u16::try_from(path.len()).ok());
        spans.push(span.ok_or(Kind::Internal)?);
    }
    Ok((path, spans))
}

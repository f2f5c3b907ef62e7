//! The way of one request: recognise, judge, read, serve, answer.

pub(crate) mod cache;
mod compose;
mod headers;
mod inbound;
pub(crate) mod kept;
mod process;
mod system;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, LINK, LOCATION, VARY,
};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;
use smallvec::SmallVec;
use wardline_access::mask::Classes;
use wardline_access::{Caller, CallerKind};
use wardline_core::Timestamp;

pub(crate) use compose::client;

use crate::body::Body;
use crate::correlation::{self, Correlation};
use crate::framing::Refused;
use crate::gateway::Shared;
use crate::guard::{REFUSED_PATH, Watch};
use crate::idempotency::{self, Answer, Answers, Begun};
use crate::lanes::Place;
use crate::plan::{FacilityFrom, Serve, Transform};
use crate::problem::{Kind, Problem, Violation};
use crate::route::{Found, Miss, Params, decoded, encoded};
use crate::seam::{Accepted, Ended, Facts, Once, Peer, Receipt};
use crate::snapshot::{Endpoint, Snapshot, Target};
use inbound::Inbound;
pub(crate) use system::fits;

/// The rule of a body that is not XML that is taken.
pub(crate) const XML: &str = "xml";

/// A request, and what is found out about it on its way.
pub(crate) struct Visit {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
    peer: Arc<Peer>,
    correlation: Correlation,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    begun: Instant,
    now: Timestamp,
    trail: Trail,
}

#[derive(Default)]
struct Trail {
    endpoint: Option<Arc<Endpoint>>,
    binding: Option<Arc<str>>,
    caller: Option<Arc<Caller>>,
    facility: Option<String>,
    broken: Vec<Violation>,
    reveals: Classes,
    headers: SmallVec<[(HeaderName, HeaderValue); 2]>,
    place: Place,
    held: Option<Box<dyn Send + Sync>>,
}

/// Answers one request; whatever is wrong becomes a problem.
pub(crate) async fn handle(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    watch: &Arc<Watch>,
    request: Request<Incoming>,
) -> Response<Body> {
    let in_hand = watch.begin();
    let (parts, body) = request.into_parts();
    let plain = parts.version < http::Version::HTTP_2;
    // In one place from here on: it is large, and everything that follows holds it.
    let mut visit = Box::new(Visit {
        shared: Arc::clone(shared),
        snapshot: shared.current.load_full(),
        peer: Arc::clone(peer),
        correlation: Correlation::of(&parts.headers),
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        begun: Instant::now(),
        now: Timestamp::now(),
        trail: Trail::default(),
    });
    let refused = watch.refused().filter(|_| visit.uri.path() == REFUSED_PATH);
    let found = match refused {
        Some(Refused::Framing) => Err(Kind::Framing.into()),
        Some(Refused::TooLarge) => Err(Kind::HeadTooLarge.into()),
        None => visit.find(),
    };
    let served = match found {
        Err(problem) => Err(problem),
        Ok((endpoint, found)) => {
            let writes = endpoint.operation().idempotent.is_some()
                && visit.headers.contains_key(idempotency::HEADER);
            if writes {
                let served;
                (visit, served) = Box::pin(detached(visit, endpoint, found, body)).await;
                served
            } else {
                visit.serve(endpoint, &found, body).await
            }
        }
    };
    let (mut response, held) = visit.finish(served).await;
    // What is left of a body that is too large is not read, so that the connection ends: a caller
    // that is not told so sends its next request into it and gets no answer.
    let unread = plain && response.status() == StatusCode::PAYLOAD_TOO_LARGE;
    if refused.is_some() || unread {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| body.holding(Box::new((in_hand, held))))
}

/// Serves in a task of its own, so that a write whose caller went away is still carried through
/// and its answer kept.
async fn detached(
    mut visit: Box<Visit>,
    endpoint: Arc<Endpoint>,
    found: Found,
    body: Incoming,
) -> (Box<Visit>, Result<Response<Body>, Problem>) {
    let tasks = visit.shared.tasks.clone();
    let serving = async move {
        let served = visit.serve(endpoint, &found, body).await;
        (visit, served)
    };
    match tasks.spawn(serving).await {
        Ok(served) => served,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// A system that spoke of its own credentials says nothing to the caller about theirs.
fn own_credentials(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED
    )
}

/// Whether a request is of a kind that has content, and says what it is.
fn declares_content(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
        && headers.contains_key(CONTENT_TYPE)
}

impl Visit {
    fn find(&self) -> Result<(Arc<Endpoint>, Found), Problem> {
        match self
            .snapshot
            .find(self.peer.zone, &self.method, self.uri.path(), &self.headers)
        {
            Ok((endpoint, found)) => Ok((Arc::clone(endpoint), found)),
            Err(Miss::BadPath) => Err(Kind::BadPath.into()),
            Err(Miss::NotFound) => Err(Kind::NotFound.into()),
            Err(Miss::Version { header, known }) => Err(Problem::new(Kind::UnknownVersion)
                .detail(format!("`{header}` names one of: {}", known.join(", ")))
                .header(VARY, header.into())),
            Err(Miss::Method(methods)) => {
                let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
                let problem = Problem::new(Kind::MethodNotAllowed);
                Err(match HeaderValue::from_str(&names.join(", ")) {
                    Ok(allow) => problem.header(ALLOW, allow),
                    Err(_) => problem,
                })
            }
        }
    }

    async fn serve(
        &mut self,
        endpoint: Arc<Endpoint>,
        found: &Found,
        body: Incoming,
    ) -> Result<Response<Body>, Problem> {
        self.trail.endpoint = Some(Arc::clone(&endpoint));
        self.judged(&endpoint, found, body).await
    }

    fn facts<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        found: &'a Found,
        inbound: &'a Inbound,
    ) -> Facts<'a> {
        Facts {
            peer: &self.peer,
            caller: self.trail.caller.as_deref(),
            method: &self.method,
            path: self.uri.path(),
            query: self.uri.query(),
            headers: &self.headers,
            params: Params::new(&endpoint.params, &found.spans, self.uri.path()),
            facility: self.trail.facility.as_deref(),
            body: inbound.json(),
            now: self.now,
        }
    }

    async fn judged(
        &mut self,
        endpoint: &Endpoint,
        found: &Found,
        body: Incoming,
    ) -> Result<Response<Body>, Problem> {
        let snapshot = Arc::clone(&self.snapshot);
        let (api, operation) = (&*endpoint.api, endpoint.operation());
        if !operation.public {
            let caller = snapshot
                .plan
                .gatekeeper
                .identify(&self.peer, &self.headers)
                .await?;
            // A partner is heard in its own zone only, whatever the gatekeeper thinks.
            if caller.kind == CallerKind::Partner && caller.zone != self.peer.zone {
                return Err(Kind::Unauthenticated.into());
            }
            self.trail.caller = Some(caller);
        }
        self.trail.place = snapshot.lanes.enter(operation.lane).await?;
        let mut inbound = Inbound::new(body, operation, &self.headers)?;
        for from in &api.facility {
            if let FacilityFrom::Body(_) = from {
                inbound.read_json(api, operation).await?;
            }
            if let FacilityFrom::Caller = from
                && self.trail.facility.is_some()
            {
                continue;
            }
            let mut named = self.trail.facility.take();
            let noted = self.facility(from, endpoint, found, &inbound, &mut named);
            self.trail.facility = named;
            noted?;
        }
        let facts = self.facts(endpoint, found, &inbound);
        let pass = snapshot
            .plan
            .gatekeeper
            .admit(api, operation, &facts)
            .await?;
        self.trail.headers = pass.headers;
        self.trail.reveals = pass.reveals;
        self.trail.held = pass.held;
        // Asking how far a request is brings neither a body nor a key.
        let asks = matches!(endpoint.target, Target::Status);
        if operation.validate.request
            && !asks
            && let Some(contract) = &api.contract
        {
            inbound.read(api, operation).await?;
            let body = inbound.bytes();
            // Said to be JSON, and no text at all is none.
            if body.is_empty() && declares_content(&self.method, &self.headers) {
                return Err(Kind::NotJson.into());
            }
            contract
                .request(operation, &self.facts(endpoint, found, &inbound), &body)
                .map_err(broken)?;
        }
        let key = match operation.idempotent {
            Some(keep) if !asks => idempotency::key(&self.headers)?.map(|key| (key, keep)),
            _ => None,
        };
        match key {
            // The journal knows such keys by itself, in the commit that accepts the request.
            Some((key, keep)) if matches!(operation.serve, Serve::Accept(_)) => {
                Box::pin(self.accept(endpoint, found, &mut inbound, Some((&key, keep)))).await
            }
            Some((key, keep)) if matches!(operation.serve, Serve::Process(_)) => {
                Box::pin(self.process(endpoint, found, &mut inbound, Some((&key, keep)))).await
            }
            None => {
                self.target(endpoint, found, &mut inbound, pass.mask, false)
                    .await
            }
            Some((key, keep)) => {
                inbound.read(api, operation).await?;
                let client = self
                    .trail
                    .caller
                    .as_ref()
                    .map_or_else(|| "".into(), |caller| Arc::clone(&caller.name));
                let key = idempotency::Key {
                    client,
                    operation: Arc::clone(&endpoint.id),
                    key,
                };
                Box::pin(self.once(endpoint, found, &mut inbound, pass.mask, key, keep)).await
            }
        }
    }

    /// Notes the facilities that stand at this place of the request; there may be several.
    fn facility(
        &self,
        from: &FacilityFrom,
        endpoint: &Endpoint,
        found: &Found,
        inbound: &Inbound,
        named: &mut Option<String>,
    ) -> Result<(), Problem> {
        let mut note = |value: &str| {
            if value.is_empty() || value.len() > 128 {
                return Ok(());
            }
            // Judged by one and carried out for the other: whoever names two gets neither.
            if named.get_or_insert_with(|| value.to_owned()) == value {
                return Ok(());
            }
            Err(Problem::new(Kind::Forbidden).detail("The request names two facilities; name one."))
        };
        match from {
            FacilityFrom::Header(name) => {
                let mut values = self.headers.get_all(name).iter();
                values.try_for_each(|value| value.to_str().map_or(Ok(()), &mut note))
            }
            FacilityFrom::Param(name) => {
                let params = Params::new(&endpoint.params, &found.spans, self.uri.path());
                params.get(name).map_or(Ok(()), |value| note(&value))
            }
            FacilityFrom::Query(name) => match self.uri.query() {
                Some(query) => query_values(query, name).try_for_each(|value| note(&value)),
                None => Ok(()),
            },
            FacilityFrom::Body(pointer) => {
                let value = inbound.json().and_then(|body| body.pointer(pointer));
                let value = value.and_then(serde_json::Value::as_str);
                value.map_or(Ok(()), note)
            }
            FacilityFrom::Caller => match &self.trail.caller {
                Some(caller) if caller.facilities.len() == 1 => caller
                    .facilities
                    .first()
                    .map_or(Ok(()), |value| note(value)),
                _ => Ok(()),
            },
        }
    }

    /// Carries a write with a key out once.
    async fn once(
        &mut self,
        endpoint: &Endpoint,
        found: &Found,
        inbound: &mut Inbound,
        mask: Option<Transform>,
        key: idempotency::Key,
        keep: Duration,
    ) -> Result<Response<Body>, Problem> {
        let answers: Arc<dyn Answers> = match &self.snapshot.plan.answers {
            Some(answers) => Arc::clone(answers),
            None => Arc::clone(&self.shared.answers),
        };
        let digest = self.digest(&inbound.bytes());
        match answers.begin(&key, digest, keep).await? {
            Begun::First => {}
            Begun::Different => return Err(Kind::KeyReused.into()),
            Begun::Unknown => return Err(Kind::OutcomeUnknown.into()),
            Begun::InFlight => {
                return Err(Problem::new(Kind::KeyInFlight).retry_after(Duration::from_secs(1)));
            }
            Begun::Again(answer) => {
                let mut response = Response::new(Body::full(answer.body));
                *response.status_mut() = answer.status;
                *response.headers_mut() = answer.headers;
                response
                    .headers_mut()
                    .insert(idempotency::REPLAYED, HeaderValue::from_static("true"));
                return Ok(response);
            }
        }
        let served = self.target(endpoint, found, inbound, mask, true).await;
        let kept = match served {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                // Held in memory already: with a key nothing is streamed.
                let body = body
                    .collect()
                    .await
                    .map_err(|_| Problem::from(Kind::BadAnswer))?
                    .to_bytes();
                Ok(Answer {
                    status: parts.status,
                    headers: parts.headers,
                    body,
                })
            }
            Err(problem) => Err(problem),
        };
        match kept {
            Ok(answer) => {
                answers.complete(&key, Some(answer.clone())).await?;
                let mut response = Response::new(Body::full(answer.body));
                *response.status_mut() = answer.status;
                *response.headers_mut() = answer.headers;
                Ok(response)
            }
            Err(problem) if matches!(problem.kind(), Kind::BadAnswer | Kind::TooLate) => {
                // It may have arrived, so the key is used up.
                let (parts, body) = problem
                    .clone()
                    .into_response(self.correlation.as_str())
                    .into_parts();
                let body = body
                    .collect()
                    .await
                    .map_err(|_| Problem::from(Kind::Internal))?
                    .to_bytes();
                answers
                    .complete(
                        &key,
                        Some(Answer {
                            status: parts.status,
                            headers: parts.headers,
                            body,
                        }),
                    )
                    .await?;
                Err(problem)
            }
            Err(problem) => {
                answers.complete(&key, None).await?;
                Err(problem)
            }
        }
    }

    /// What makes two requests with a key the same.
    pub(super) fn digest(&self, body: &[u8]) -> [u8; 32] {
        idempotency::digest(
            self.method.as_str(),
            self.uri.path(),
            self.uri.query(),
            self.headers.get(CONTENT_TYPE),
            body,
        )
    }

    async fn target(
        &mut self,
        endpoint: &Endpoint,
        found: &Found,
        inbound: &mut Inbound,
        mask: Option<Transform>,
        keyed: bool,
    ) -> Result<Response<Body>, Problem> {
        let operation = endpoint.operation();
        match (&endpoint.target, &operation.serve) {
            (Target::Systems { bindings, shadow }, Serve::Systems(declared)) => {
                let asked = system::Asked {
                    endpoint,
                    found,
                    bindings,
                    shadow: shadow.as_deref(),
                    declared,
                };
                self.systems(asked, inbound, mask, keyed).await
            }
            (Target::Compose(parts), Serve::Compose(compose)) => {
                Box::pin(self.compose(endpoint, found, compose, parts, inbound, mask)).await
            }
            (Target::Status, Serve::Accept(_)) => Box::pin(self.status(endpoint, found)).await,
            (_, Serve::Accept(_)) => Box::pin(self.accept(endpoint, found, inbound, None)).await,
            (_, Serve::Process(_)) => Box::pin(self.process(endpoint, found, inbound, None)).await,
            (_, Serve::Document { content_type, body }) => {
                let mut response = Response::new(Body::full(body.clone()));
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, content_type.clone());
                Ok(response)
            }
            (_, Serve::Handler(handler)) => {
                let handler = Arc::clone(handler);
                inbound.read(&endpoint.api, operation).await?;
                let mut request = Request::new(inbound.bytes());
                *request.method_mut() = self.method.clone();
                *request.uri_mut() = self.uri.clone();
                *request.headers_mut() = self.headers.clone();
                let answer = handler.handle(request, &self.peer).await;
                Ok(answer.map(Body::full))
            }
            _ => Err(Kind::Internal.into()),
        }
    }

    /// 202 once the message is durable, with where to ask what became of it.
    async fn accept(
        &mut self,
        endpoint: &Endpoint,
        found: &Found,
        inbound: &mut Inbound,
        key: Option<(&str, Duration)>,
    ) -> Result<Response<Body>, Problem> {
        let Serve::Accept(acceptor) = &endpoint.operation().serve else {
            return Err(Kind::Internal.into());
        };
        inbound
            .read_json(&endpoint.api, endpoint.operation())
            .await?;
        let body = inbound.bytes();
        let once = key.map(|(key, keep)| Once {
            key,
            digest: self.digest(&body),
            keep,
        });
        let accepted = Accepted {
            api: &endpoint.api.name,
            operation: &endpoint.operation().name,
            facts: self.facts(endpoint, found, inbound),
            correlation: self.correlation.as_str(),
            body,
            once,
        };
        let Receipt { id, binding, again } = acceptor.accept(accepted).await?;
        self.trail.binding = binding;
        let base = endpoint.api.base.trim_end_matches('/');
        let place = format!(
            "{base}/-/requests/{}/{}",
            endpoint.operation().name,
            encoded(&id)
        );
        let location = HeaderValue::from_str(&place).map_err(|_| Problem::from(Kind::Internal))?;
        let body = json!({ "id": id, "state": "accepted", "status_url": place });
        let mut response = json_response(StatusCode::ACCEPTED, body.to_string().into());
        response.headers_mut().insert(LOCATION, location);
        if again {
            response
                .headers_mut()
                .insert(idempotency::REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }

    async fn status(
        &mut self,
        endpoint: &Endpoint,
        found: &Found,
    ) -> Result<Response<Body>, Problem> {
        let Serve::Accept(acceptor) = &endpoint.operation().serve else {
            return Err(Kind::Internal.into());
        };
        let params = Params::new(&endpoint.params, &found.spans, self.uri.path());
        let id = params.get("id").ok_or(Kind::BadPath)?;
        let status = acceptor
            .status(&id, self.trail.caller.as_deref())
            .await?
            .ok_or(Kind::NotFound)?;
        let body = json!({ "id": id, "state": status.state, "done": status.done });
        let mut response = json_response(StatusCode::OK, body.to_string().into());
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(again) = status.again {
            response.headers_mut().insert(
                http::header::RETRY_AFTER,
                HeaderValue::from(again.as_secs().max(1)),
            );
        }
        Ok(response)
    }

    /// Tells the observer, adds what every answer bears.
    async fn finish(
        mut self: Box<Self>,
        served: Result<Response<Body>, Problem>,
    ) -> (Response<Body>, impl Send + use<>) {
        let (mut response, problem) = match served {
            Ok(response) => (response, None),
            Err(problem) => {
                let kind = problem.kind();
                (problem.into_response(self.correlation.as_str()), Some(kind))
            }
        };
        let trail = &self.trail;
        let api = trail.endpoint.as_ref().map(|endpoint| &endpoint.api);
        let mut ended = Ended {
            api: api.map(|api| &api.name),
            version: api.map(|api| &api.version),
            operation: trail
                .endpoint
                .as_ref()
                .map(|endpoint| &endpoint.operation().name),
            binding: trail.binding.as_ref(),
            caller: trail.caller.as_ref(),
            peer: &self.peer,
            method: &self.method,
            facility: trail.facility.as_deref(),
            status: response.status(),
            reveals: trail.reveals,
            problem,
            correlation: self.correlation.as_str(),
            took: self.begun.elapsed(),
            broken: &trail.broken,
        };
        let observer = &self.snapshot.plan.observer;
        if observer.waits(&ended)
            && let Err(problem) = observer.before_answer(&ended).await
        {
            ended.problem = Some(problem.kind());
            response = problem.into_response(ended.correlation);
            ended.status = response.status();
        }
        observer.ended(&ended);
        let headers = response.headers_mut();
        headers.insert(correlation::HEADER, self.correlation.header());
        if let Some(api) = api {
            for (name, value) in &api.headers {
                // Of these there may be several, some of them the system's.
                if [LINK, VARY].contains(name) {
                    headers.append(name.clone(), value.clone());
                } else {
                    headers.insert(name.clone(), value.clone());
                }
            }
        }
        for (name, value) in self.trail.headers.drain(..) {
            headers.insert(name, value);
        }
        (response, (self.trail.place, self.trail.held))
    }
}

/// A request that breaks its contract, or is not even in its language.
fn broken(errors: Vec<Violation>) -> Problem {
    match errors.as_slice() {
        [only] if only.rule == XML => Problem::new(Kind::NotXml).detail(&only.detail),
        _ => Problem::new(Kind::Contract).errors(errors),
    }
}

fn json_response(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The values of a query's parameter, decoded.
fn query_values<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(move |(have, _)| decoded(have).as_deref() == Some(name))
        .filter_map(|(_, value)| decoded(&value.replace('+', " ")).map(Cow::into_owned))
}

//! Served by a system: which binding fits, the call, the answer, and the shadow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AGE, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::inbound::Inbound;
use super::kept::{Kept, Question};
use super::{Visit, headers, kept, own_credentials};
use crate::body::{Body, OutBody, Stopped};
use crate::correlation;
use crate::idempotency;
use crate::plan::{Operation, Share, Systems, Transform, When};
use crate::problem::{Kind, Problem};
use crate::route::{Found, Params};
use crate::seam::Facts;
use crate::shadow::{Difference, Outcome, compare};
use crate::snapshot::{Bit, Bound, Endpoint};
use crate::speech::{self, Speech};
use crate::upstream::{Answering, Miss, Outgoing};

/// One operation that is bound to systems.
pub(super) struct Asked<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) found: &'a Found,
    pub(super) bindings: &'a [Bound],
    pub(super) shadow: Option<&'a (Bound, Arc<Semaphore>)>,
    pub(super) declared: &'a Systems,
}

impl Visit {
    pub(super) async fn systems(
        &mut self,
        asked: Asked<'_>,
        inbound: &mut Inbound,
        mask: Option<Transform>,
        keyed: bool,
    ) -> Result<Response<Body>, Problem> {
        let Asked {
            endpoint,
            found,
            bindings,
            shadow,
            declared,
        } = asked;
        let (api, operation) = (&*endpoint.api, endpoint.operation());
        if declared
            .bindings
            .iter()
            .any(|binding| binding.when.reads_body)
        {
            inbound.read_json(api, operation).await?;
        }
        let at = choose(declared, &self.facts(endpoint, found, inbound)).ok_or(Kind::NoBinding)?;
        let bound = &bindings[at];
        self.trail.binding = Some(Arc::clone(&bound.name));
        // A system is not compared with itself.
        let other = |(other, _): &&(Bound, _)| !Arc::ptr_eq(&other.remote, &bound.remote);
        let shadow = shadow.filter(other).filter(|_| self.sampled(declared));
        let call = &bound.call;
        if call.request.is_some() || call.speech.is_some() {
            inbound.read_json(api, operation).await?;
        } else if inbound.is_packed() || shadow.is_some() {
            inbound.read(api, operation).await?;
        }
        let checked = api.contract.is_some()
            && sample(u32::from(operation.validate.response_permille), 1_000);
        let keep = call
            .keep
            .filter(|_| self.method == Method::GET && !keyed && !inbound.has_body());
        let held = mask.is_some()
            || call.response.is_some()
            || call.speech.is_some()
            || checked
            || keyed
            || shadow.is_some()
            || keep.is_some();
        let params = Params::new(&endpoint.params, &found.spans, self.uri.path());
        let target = target(bound, params, self.uri.query());
        let question = keep.map(|keep| (self.question(endpoint, bound, &target), keep));
        let kept = question
            .as_ref()
            .and_then(|(question, _)| self.shared.kept.get(question, &self.headers));
        if let Some(kept) = &kept
            && kept.fresh
            && !kept::wants_new(&self.headers)
        {
            return again(kept, mask.as_ref(), bound);
        }
        let shadowed = shadow
            .map(|(bound, room)| self.shadowed(bound, room, params, inbound, operation, declared));
        let (mut body, stopped) = inbound.outward(&operation.limits);
        let mut outward = std::mem::take(&mut self.headers);
        if call.speech.is_some() {
            let value = match inbound.json() {
                Some(value) => value.clone(),
                None => speech::parameters(params, self.uri.query()),
            };
            body = OutBody::full(asked_for(bound, value, &mut outward)?);
        } else if let Some(map) = &call.request
            && let Some(value) = inbound.json()
        {
            body = OutBody::full(mapped(map, value.clone(), &bound.name)?);
        }
        let read = stopped.is_none();
        let asked = question.is_some().then(|| outward.clone());
        let outgoing = self.outgoing(
            bound,
            target,
            &mut outward,
            (body, stopped),
            operation,
            (read, held),
        );
        let begun = Instant::now();
        let answer = match bound.remote.call(outgoing).await {
            Err(miss) => match &kept {
                Some(kept) => return again(kept, mask.as_ref(), bound),
                None => return Err(missed(miss)),
            },
            Ok(answer) => answer,
        };
        if let Some(kept) = kept.filter(|_| answer.status().is_server_error()) {
            return again(&kept, mask.as_ref(), bound);
        }
        if own_credentials(answer.status()) {
            return Err(Kind::BadAnswer.into());
        }
        // Callers were promised which refusals there are; a redirect is none of them.
        let status = answer.status();
        let refuses = call.speech.is_none()
            && api.contract.is_some()
            && !status.is_success()
            && status != StatusCode::NOT_MODIFIED;
        if !held && !refuses {
            let mut response = answer.map(Body::streamed);
            headers::inward(response.headers_mut());
            return Ok(response);
        }
        let served = Box::pin(self.held(endpoint, bound, answer, mask, checked)).await?;
        let Held {
            response,
            canonical,
        } = served;
        if let (Some((question, keep)), Some(asked)) = (question, asked) {
            let (status, headers) = (response.status(), response.headers());
            let body = canonical.clone();
            let kept = &self.shared.kept;
            kept.put(question, &asked, keep, status, headers, body);
        }
        if let Some(shadowed) = shadowed {
            let serving = Serving {
                status: response.status(),
                canonical,
                took: begun.elapsed(),
            };
            shadowed.ask(self, endpoint, serving);
        }
        Ok(response)
    }

    fn question(&self, endpoint: &Endpoint, bound: &Bound, target: &str) -> Question {
        Question {
            plan: self.snapshot.generation,
            endpoint: Arc::clone(&endpoint.id),
            binding: Arc::clone(&bound.name),
            facility: self.trail.facility.as_deref().map(Box::from),
            target: target.into(),
        }
    }

    /// The call as it goes out.
    fn outgoing(
        &self,
        bound: &Bound,
        target: String,
        headers: &mut HeaderMap,
        (body, stopped): (OutBody, Option<Stopped>),
        operation: &Operation,
        (read, held): (bool, bool),
    ) -> Outgoing {
        let method = bound
            .call
            .method
            .clone()
            .unwrap_or_else(|| self.method.clone());
        let mut headers = std::mem::take(headers);
        headers::outward(&mut headers, &self.snapshot.plan.withheld, read, held);
        headers.insert(correlation::HEADER, self.correlation.header());
        if bound.call.request.is_some() && bound.call.speech.is_none() && !body_is_empty(&body) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let own = headers.remove(idempotency::HEADER);
        let keyed = operation.idempotent.is_some() && own.is_some();
        if let Some(own) = own {
            let client = self.trail.caller.as_ref();
            let client = client.map_or("", |caller| &*caller.name);
            let operation = self.trail.endpoint.as_ref().map_or("", |at| &*at.id);
            if let Some(key) = idempotency::outward(client, operation, &own) {
                headers.insert(idempotency::HEADER, key);
            }
        }
        let repeatable = method.is_idempotent() || keyed;
        Outgoing {
            method,
            target,
            headers,
            body,
            stopped,
            repeatable,
            time: operation.limits.time,
        }
    }

    /// An answer that is read, held against the contract, mapped and masked.
    async fn held(
        &mut self,
        endpoint: &Endpoint,
        bound: &Bound,
        answer: Response<Answering>,
        mask: Option<Transform>,
        checked: bool,
    ) -> Result<Held, Problem> {
        let operation = endpoint.operation();
        let (mut parts, body) = answer.into_parts();
        let mut body = Unread::Coming(body);
        if let Some(speech) = &bound.call.speech {
            let bytes = body.whole(operation.limits.answer).await.map_err(missed)?;
            let bytes = understood(speech, &mut parts, bytes, &bound.name)?;
            body = Unread::Here(bytes);
        }
        let changed =
            mask.is_some() || bound.call.response.is_some() || bound.call.speech.is_some();
        let refuses = !parts.status.is_success() && parts.status != StatusCode::NOT_MODIFIED;
        let refusal = || refused(parts.status, &parts.headers, &operation.method);
        if changed && refuses {
            return Err(refusal());
        }
        if refuses && let Some(contract) = &endpoint.api.contract {
            let bytes = body
                .whole(operation.limits.answer)
                .await
                .map_err(|_| refusal())?;
            let kept = contract.response(operation, parts.status, &parts.headers, &bytes);
            if kept.is_err() {
                return Err(refusal());
            }
            headers::inward(&mut parts.headers);
            parts.headers.remove(CONTENT_LENGTH);
            return Ok(Held {
                response: Response::from_parts(parts, Body::full(bytes.clone())),
                canonical: bytes,
            });
        }
        headers::inward(&mut parts.headers);
        let mut bytes = body.whole(operation.limits.answer).await.map_err(missed)?;
        if let Some(map) = &bound.call.response
            && !bytes.is_empty()
        {
            bytes = mapped(map, answered(&bytes)?, &bound.name)?;
        }
        if checked
            && let Some(contract) = &endpoint.api.contract
            && let Err(broken) = contract.response(operation, parts.status, &parts.headers, &bytes)
        {
            self.trail.broken = broken;
            if operation.validate.response_permille >= 1_000 {
                return Err(Kind::BadAnswer.into());
            }
        }
        let canonical = bytes.clone();
        if let Some(mask) = &mask
            && !bytes.is_empty()
        {
            bytes = mapped(mask, answered(&bytes)?, &bound.name)?;
        }
        if changed {
            parts.headers.remove(ETAG);
            parts
                .headers
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        // The length of what was read is known; of a HEAD only the system knows it.
        if self.method != Method::HEAD {
            parts.headers.remove(CONTENT_LENGTH);
        }
        Ok(Held {
            response: Response::from_parts(parts, Body::full(bytes)),
            canonical,
        })
    }

    /// Asks one operation that a composition is made of; gives its canonical, masked answer.
    pub(super) async fn part(
        &self,
        endpoint: &Endpoint,
        declared: &Systems,
        bindings: &[Bound],
        facts: &Facts<'_>,
        body: Option<&Value>,
        mask: Option<&Transform>,
    ) -> Result<Value, Problem> {
        let operation = endpoint.operation();
        let at = choose(declared, facts).ok_or(Kind::NoBinding)?;
        let bound = &bindings[at];
        let mut headers = HeaderMap::new();
        let bytes = match (body, &bound.call.request) {
            (given, _) if bound.call.speech.is_some() => {
                let value = given.cloned();
                let value = value.unwrap_or_else(|| speech::parameters(facts.params, facts.query));
                asked_for(bound, value, &mut headers)?
            }
            (None, _) => Bytes::new(),
            (Some(value), Some(map)) => mapped(map, value.clone(), &bound.name)?,
            (Some(value), None) => value.to_string().into(),
        };
        let target = target(bound, facts.params, facts.query);
        let keep = bound
            .call
            .keep
            .filter(|_| operation.method == Method::GET && body.is_none());
        let question = keep.map(|keep| (self.question(endpoint, bound, &target), keep));
        let none = HeaderMap::new();
        let kept = question
            .as_ref()
            .and_then(|(question, _)| self.shared.kept.get(question, &none));
        if let Some(kept) = kept.as_ref().filter(|kept| kept.fresh) {
            return shown(answered(&kept.body)?, mask, bound);
        }
        if !bytes.is_empty() && bound.call.speech.is_none() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let mut outgoing = self.outgoing(
            bound,
            target,
            &mut headers,
            (OutBody::full(bytes), None),
            operation,
            (true, true),
        );
        outgoing.method = bound
            .call
            .method
            .clone()
            .unwrap_or_else(|| operation.method.clone());
        outgoing.repeatable = outgoing.method.is_idempotent();
        let answer = match (bound.remote.call(outgoing).await, kept) {
            (Ok(answer), kept) if !answer.status().is_server_error() || kept.is_none() => answer,
            (_, Some(kept)) => return shown(answered(&kept.body)?, mask, bound),
            (Err(miss), None) => return Err(missed(miss)),
            (Ok(answer), None) => answer,
        };
        let status = answer.status();
        let spoken = bound.call.speech.as_ref();
        if own_credentials(status) || (spoken.is_none() && !status.is_success()) {
            return Err(refused(status, answer.headers(), &operation.method));
        }
        let (mut parts, body) = answer.into_parts();
        let mut bytes = body.whole(operation.limits.answer).await.map_err(missed)?;
        if let Some(speech) = spoken {
            bytes = understood(speech, &mut parts, bytes, &bound.name)?;
        }
        let status = parts.status;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        let mut value = answered(&bytes)?;
        if let Some(map) = &bound.call.response {
            value = map(value).map_err(|error| map_failed(&bound.name, &error))?;
        }
        if let Some((question, keep)) = question {
            let body = Bytes::from(value.to_string());
            let all = &self.shared.kept;
            all.put(question, &none, keep, status, &parts.headers, body);
        }
        shown(value, mask, bound)
    }

    fn sampled(&self, declared: &Systems) -> bool {
        declared.shadow.as_ref().is_some_and(|shadow| {
            (shadow.writes || self.method.is_safe()) && sample(u32::from(shadow.per_myriad), 10_000)
        })
    }

    fn shadowed(
        &self,
        bound: &Bound,
        room: &Arc<Semaphore>,
        params: Params<'_>,
        inbound: &Inbound,
        operation: &Operation,
        declared: &Systems,
    ) -> Shadowed {
        let mut headers = self.headers.clone();
        let body = match (&bound.call.request, inbound.json()) {
            (_, given) if bound.call.speech.is_some() => {
                let value = given.cloned();
                let value = value.unwrap_or_else(|| speech::parameters(params, self.uri.query()));
                asked_for(bound, value, &mut headers).map_err(|_| String::new())
            }
            (Some(map), Some(value)) => {
                map(value.clone()).map(|value| Bytes::from(value.to_string()))
            }
            _ => Ok(inbound.bytes()),
        };
        let outgoing = body.ok().map(|body| {
            let target = target(bound, params, self.uri.query());
            let mut outgoing = self.outgoing(
                bound,
                target,
                &mut headers,
                (OutBody::full(body), None),
                operation,
                (true, true),
            );
            outgoing.repeatable = false;
            outgoing
        });
        Shadowed {
            room: Arc::clone(room),
            remote: Arc::clone(&bound.remote),
            name: Arc::clone(&bound.name),
            map: bound.call.response.clone(),
            speech: bound.call.speech.clone(),
            outgoing,
            most: operation.limits.answer,
            declared: declared.shadow.clone(),
        }
    }
}

struct Held {
    response: Response<Body>,
    /// The answer before it was masked.
    canonical: Bytes,
}

/// What the shadow is compared with.
struct Serving {
    status: StatusCode,
    canonical: Bytes,
    took: Duration,
}

/// A call that is made in the shadow.
struct Shadowed {
    room: Arc<Semaphore>,
    remote: Arc<crate::upstream::Remote>,
    name: Arc<str>,
    map: Option<Transform>,
    speech: Option<Speech>,
    outgoing: Option<Outgoing>,
    most: usize,
    declared: Option<crate::plan::Shadow>,
}

impl Shadowed {
    /// In a task of its own: nothing of it reaches the caller, neither answer nor failure nor delay.
    fn ask(self, visit: &Visit, endpoint: &Endpoint, serving: Serving) {
        let Some(shadow) = self.declared else {
            return;
        };
        let mut difference = Difference {
            api: Arc::clone(&endpoint.api.name),
            operation: Arc::clone(&endpoint.operation().name),
            serving: visit.trail.binding.clone().unwrap_or_else(|| "".into()),
            shadow: self.name,
            correlation: visit.correlation.as_str().to_owned(),
            outcome: Outcome::Skipped,
            status: (serving.status.as_u16(), 0),
            took: (serving.took, None),
            places: Vec::new(),
            more: false,
        };
        let Ok(permit) = self.room.try_acquire_owned() else {
            return (shadow.sink)(difference);
        };
        let (remote, map, most, outgoing) = (self.remote, self.map, self.most, self.outgoing);
        let speech = self.speech;
        visit.shared.tasks.spawn(async move {
            let _permit = permit;
            difference.outcome = Outcome::Failed;
            let begun = Instant::now();
            if let Some(outgoing) = outgoing
                && let Ok(answer) = remote.call(outgoing).await
            {
                let (mut parts, body) = answer.into_parts();
                let mut bytes = body.whole(most).await.ok();
                if let Some(speech) = &speech {
                    bytes = bytes.and_then(|bytes| {
                        understood(speech, &mut parts, bytes, &difference.shadow).ok()
                    });
                }
                difference.status.1 = parts.status.as_u16();
                let success = parts.status.is_success();
                difference.took.1 = Some(begun.elapsed());
                let value = bytes.and_then(|bytes| json_or_null(&bytes));
                let value = match (value, &map) {
                    (Some(value), Some(map)) if success => map(value).ok(),
                    (value, _) => value,
                };
                if let (Some(value), Some(serving)) = (value, json_or_null(&serving.canonical)) {
                    (difference.places, difference.more) = compare(&serving, &value, &shadow.rules);
                    let same =
                        difference.places.is_empty() && difference.status.0 == difference.status.1;
                    difference.outcome = if same {
                        Outcome::Same
                    } else {
                        Outcome::Differs
                    };
                }
            }
            (shadow.sink)(difference);
        });
    }
}

/// A canonical answer as a caller may see it.
fn shown(value: Value, mask: Option<&Transform>, bound: &Bound) -> Result<Value, Problem> {
    match mask {
        Some(mask) => mask(value).map_err(|error| map_failed(&bound.name, &error)),
        None => Ok(value),
    }
}

/// An answer that is given again, as this caller may see it.
fn again(kept: &Kept, mask: Option<&Transform>, bound: &Bound) -> Result<Response<Body>, Problem> {
    let mut body = kept.body.clone();
    if let Some(mask) = mask
        && !body.is_empty()
    {
        body = mapped(mask, answered(&body)?, &bound.name)?;
    }
    let mut response = Response::new(Body::full(body));
    *response.headers_mut() = kept.headers.clone();
    let age = HeaderValue::from(kept.age.as_secs());
    response.headers_mut().insert(AGE, age);
    Ok(response)
}

fn json_or_null(bytes: &Bytes) -> Option<Value> {
    if bytes.is_empty() {
        Some(Value::Null)
    } else {
        serde_json::from_slice(bytes).ok()
    }
}

/// The first binding that fits.
fn choose(declared: &Systems, facts: &Facts<'_>) -> Option<usize> {
    declared
        .bindings
        .iter()
        .position(|binding| fits(&binding.name, &binding.when, facts))
}

pub(crate) fn fits(name: &str, when: &When, facts: &Facts<'_>) -> bool {
    let facility = || {
        facts
            .facility
            .is_some_and(|here| when.facilities.iter().any(|wanted| **wanted == *here))
    };
    if !when.facilities.is_empty() && !facility() {
        return false;
    }
    if when.from.is_some_and(|from| facts.now < from)
        || when.until.is_some_and(|until| facts.now >= until)
    {
        return false;
    }
    if !when
        .headers
        .iter()
        .all(|(name, value)| facts.headers.get(name) == Some(value))
    {
        return false;
    }
    if when
        .share
        .as_ref()
        .is_some_and(|share| !in_share(share, facts))
    {
        return false;
    }
    match &when.predicate {
        None => true,
        Some(predicate) => predicate(facts).unwrap_or_else(|error| {
            tracing::warn!(
                binding = name,
                error,
                "a binding's predicate failed; the binding does not serve this request"
            );
            false
        }),
    }
}

fn in_share(share: &Share, facts: &Facts<'_>) -> bool {
    let key = match &share.key {
        Some(key) => key(facts),
        None => Some(facts.caller.map_or_else(
            || facts.peer.address.ip().to_string(),
            |caller| caller.name.to_string(),
        )),
    };
    // Without a key nothing can stick; such a request stays with what serves the rest.
    key.is_some_and(|key| slot(key.as_bytes()) < u64::from(share.per_myriad))
}

/// The same on every node and after every restart: FNV-1a, then spread over ten thousand.
fn slot(key: &[u8]) -> u64 {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed ^ (mixed >> 33)) % 10_000
}

fn sample(share: u32, of: u32) -> bool {
    share > 0 && (share >= of || rand::random_range(0..of) < share)
}

fn target(bound: &Bound, params: Params<'_>, query: Option<&str>) -> String {
    let mut target = String::with_capacity(96);
    for bit in &bound.path {
        match bit {
            Bit::Text(text) => target.push_str(text),
            Bit::Param(at) => target.push_str(params.at(*at).unwrap_or_default()),
        }
    }
    if let Some(query) = query.filter(|_| bound.call.query) {
        target.push('?');
        target.push_str(query);
    }
    target
}

fn body_is_empty(body: &OutBody) -> bool {
    matches!(body, OutBody::Full(None))
}

fn answered(bytes: &Bytes) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|_| Kind::BadAnswer.into())
}

fn mapped(map: &Transform, value: Value, name: &str) -> Result<Bytes, Problem> {
    let value = map(value).map_err(|error| map_failed(name, &error))?;
    Ok(value.to_string().into())
}

/// What is asked of a system in its own words, with the headers that say what it is.
fn asked_for(bound: &Bound, value: Value, headers: &mut HeaderMap) -> Result<Bytes, Problem> {
    let Some(speech) = &bound.call.speech else {
        return Err(Kind::Internal.into());
    };
    let json = match &bound.call.request {
        Some(map) => mapped(map, value, &bound.name)?,
        None => value.to_string().into(),
    };
    let (own, body) = (speech.ask)(&json).map_err(|why| speech::unsaid(&bound.name, &why))?;
    for (name, value) in &own {
        headers.insert(name, value.clone());
    }
    Ok(body)
}

/// An answer in a system's own words as JSON.
fn understood(
    speech: &Speech,
    parts: &mut http::response::Parts,
    bytes: Bytes,
    name: &str,
) -> Result<Bytes, Problem> {
    let kind = parts.headers.get(CONTENT_TYPE);
    let kind = kind
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let json = (speech.understand)(parts.status, &kind, bytes)
        .map_err(|why| speech::unsaid(name, &why))?;
    parts.status = StatusCode::OK;
    let kind = HeaderValue::from_static("application/json");
    parts.headers.insert(CONTENT_TYPE, kind);
    Ok(json)
}

/// A body of an answer.
enum Unread {
    Coming(Answering),
    Here(Bytes),
}

impl Unread {
    async fn whole(self, most: usize) -> Result<Bytes, Miss> {
        match self {
            Self::Coming(body) => body.whole(most).await,
            Self::Here(bytes) => Ok(bytes),
        }
    }
}

pub(super) fn map_failed(name: &str, error: &str) -> Problem {
    tracing::warn!(
        binding = name,
        error,
        "a map or mask failed; the call is refused"
    );
    Kind::Internal.into()
}

/// A system's refusal, without its words. A status that no contract of ours has becomes 422.
fn refused(status: StatusCode, headers: &HeaderMap, method: &Method) -> Problem {
    if !status.is_client_error() || own_credentials(status) {
        return Kind::BadAnswer.into();
    }
    let told = match status.as_u16() {
        400 | 403 | 404 | 422 | 429 => true,
        409 => !method.is_safe(),
        413 | 415 => matches!(*method, Method::POST | Method::PUT | Method::PATCH),
        _ => false,
    };
    let problem = Problem::new(Kind::RefusedBySystem).status(if told {
        status
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    });
    match headers.get(RETRY_AFTER) {
        Some(wait) if status == StatusCode::TOO_MANY_REQUESTS => {
            problem.header(RETRY_AFTER, wait.clone())
        }
        _ => problem,
    }
}

fn missed(miss: Miss) -> Problem {
    match miss {
        Miss::Unreachable => Problem::new(Kind::Unreachable).retry_after(Duration::from_secs(2)),
        Miss::Closed(wait) => Problem::new(Kind::Unreachable).retry_after(wait),
        Miss::TooLate => Kind::TooLate.into(),
        Miss::Broken => Kind::BadAnswer.into(),
        Miss::Body(kind) => kind.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_sticks_and_is_about_as_large_as_declared() {
        let inside = (0..20_000)
            .filter(|at| slot(format!("supplier-{at}").as_bytes()) < 1_000)
            .count();
        assert!((1_700..2_300).contains(&inside), "{inside}");
        assert_eq!(slot(b"supplier-7"), slot(b"supplier-7"));
    }
}

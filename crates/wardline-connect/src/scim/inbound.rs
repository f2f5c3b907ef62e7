//! SCIM in: a service of ours that others keep people and groups at. Each change is a message
//! before it is answered; what is read is what was taken.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use wardline_core::Code;
use wardline_scim::discovery::{self, Proof};
use wardline_scim::filter::fold;
use wardline_scim::schema::ResourceType;
use wardline_scim::view::View;
use wardline_scim::{Error, Why, patch, resource};

use super::asked::{Asked, tagged};
use super::list;
use crate::resources::{Kept, Resource, ResourceBy, ResourceChange, ResourceState, Resources};
use crate::{ContentType, OPERATION, Received, Verdict};

/// How often a change is tried again by what somebody else left in between.
const TURNS: u32 = 8;
/// Lists that are searched through at the same time.
const SEARCHES: usize = 2;

/// A service at a path.
#[derive(Debug)]
pub struct Endpoint {
    /// The path, without a `/` at its end.
    pub path: String,
    /// Its address, where the one that a request names is not the right one.
    pub address: Option<String>,
    /// Whether it is reached by https.
    pub secured: bool,
    /// How senders prove who they are.
    pub proof: Proof,
    pub(super) searches: Semaphore,
}

impl Endpoint {
    /// A service at a path.
    pub fn new(path: &str, address: Option<String>, secured: bool, proof: Proof) -> Self {
        Self {
            path: path.trim_end_matches('/').to_owned(),
            address,
            secured,
            proof,
            searches: Semaphore::new(SEARCHES),
        }
    }

    /// The methods and paths that it is served at; `{…}` is any one segment.
    pub fn routes(&self) -> Vec<(Method, String)> {
        let at = |below: &str| format!("{}{below}", self.path);
        let mut all = vec![
            (Method::GET, at("/{name}")),
            (Method::POST, at("/{name}")),
            (Method::GET, at("/Schemas/{id}")),
            (Method::GET, at("/ResourceTypes/{id}")),
        ];
        for of in ResourceType::ALL {
            for method in [
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ] {
                all.push((method, at(&format!("{}/{{id}}", of.endpoint))));
            }
        }
        all
    }
}

/// What is answered.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) body: Option<Value>,
    pub(crate) etag: Option<String>,
    pub(crate) location: Option<String>,
    /// What became of the message, where there was one.
    pub(crate) became: Became,
}

/// What is counted of a request.
pub(crate) enum Became {
    /// Nothing was to be taken.
    Nothing,
    /// A message was taken.
    Accepted,
    /// It was refused, for good.
    Refused,
    /// It was not taken now.
    Away(Verdict),
}

/// What went wrong.
pub(super) enum Failed {
    Said(Error),
    Verdict(Verdict),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

impl From<Verdict> for Failed {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict(verdict)
    }
}

impl Answered {
    fn of(status: StatusCode, body: Value) -> Self {
        Self {
            status,
            body: Some(body),
            etag: None,
            location: None,
            became: Became::Nothing,
        }
    }

    /// A request that is wrong.
    pub(crate) fn refused(error: Error) -> Self {
        Failed::Said(error).into()
    }

    fn empty(status: StatusCode) -> Self {
        Self {
            body: None,
            ..Self::of(status, Value::Null)
        }
    }
}

impl From<Failed> for Answered {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Said(error) => {
                let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
                Self {
                    became: Became::Refused,
                    ..Self::of(status, error.body())
                }
            }
            Failed::Verdict(verdict) => {
                let said = |status: u16, code: Code, text: &str| {
                    Error::new(status, Why::Other, format!("{code}: {text}"))
                };
                let error = match &verdict {
                    Verdict::Refused {
                        code,
                        text,
                        permanent: true,
                    } => said(422, *code, text),
                    Verdict::Refused { code, text, .. } | Verdict::Busy { code, text, .. } => {
                        said(503, *code, text)
                    }
                    // Taken after all, and so no failure.
                    Verdict::Accepted { .. } | Verdict::Duplicate { .. } => {
                        Error::new(500, Why::Other, "no answer could be made")
                    }
                };
                let status =
                    StatusCode::from_u16(error.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                Self {
                    became: Became::Away(verdict),
                    ..Self::of(status, error.body())
                }
            }
        }
    }
}

/// Everything that a request is answered by.
pub(super) struct Desk<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) resources: &'a dyn Resources,
    pub(super) source: Arc<str>,
    pub(super) asked: &'a Asked,
}

impl Endpoint {
    /// Answers a request; what it changes is taken first.
    pub(crate) async fn answer(
        &self,
        resources: &dyn Resources,
        asked: &Asked,
        received: Received,
    ) -> Answered {
        let desk = Desk {
            endpoint: self,
            resources,
            source: Arc::clone(&received.source),
            asked,
        };
        desk.answer(received).await.unwrap_or_else(Answered::from)
    }
}

fn not_found() -> Failed {
    Error::new(404, Why::Other, "there is no such resource").into()
}

fn tag(version: u64) -> String {
    format!("W/\"{version}\"")
}

impl Desk<'_> {
    async fn answer(&self, received: Received) -> Result<Answered, Failed> {
        let method = &self.asked.method;
        let (first, second) = self.asked.place();
        if let Some(of) = ResourceType::at(first) {
            return match (method, second) {
                (&Method::POST, None) => self.create(of, received).await,
                (&Method::GET, None) => self.list(of, &self.asked.query).await,
                (&Method::POST, Some(".search")) => {
                    let query = super::asked::Query::of_search(&json_of(&received.body)?)?;
                    self.list(of, &query).await
                }
                (&Method::GET, Some(id)) => self.read(of, id).await,
                (&Method::PUT | &Method::PATCH | &Method::DELETE, Some(id)) => {
                    self.change(of, id, received).await
                }
                _ => Err(not_found()),
            };
        }
        let base = &self.asked.base;
        let one_of = |all: Vec<Value>| match second {
            None => {
                let total = all.len() as u64;
                Ok(Answered::of(
                    StatusCode::OK,
                    wardline_scim::view::page(total, 1, all),
                ))
            }
            Some(id) => {
                let found = all.into_iter().find(|one| one["id"] == id);
                found
                    .map(|one| Answered::of(StatusCode::OK, one))
                    .ok_or_else(not_found)
            }
        };
        match (method, first) {
            // RFC 7644, 4: what the service is like is asked for whole.
            (&Method::GET, "ServiceProviderConfig" | "Schemas" | "ResourceTypes")
                if self.asked.query.get("filter").is_some() =>
            {
                Err(Error::new(403, Why::Other, "what the service is like is not filtered").into())
            }
            (&Method::GET, "ServiceProviderConfig") if second.is_none() => {
                let config = discovery::config(base, self.endpoint.proof, list::MOST);
                Ok(Answered::of(StatusCode::OK, config))
            }
            (&Method::GET, "Schemas") => one_of(discovery::schemas(base)),
            (&Method::GET, "ResourceTypes") => one_of(discovery::types(base)),
            (_, "ServiceProviderConfig" | "Schemas" | "ResourceTypes") => {
                Err(Error::new(405, Why::Other, "what the service is like is only read").into())
            }
            (_, "Bulk" | "Me" | ".search") => {
                Err(Error::new(501, Why::Other, "this service does not do that").into())
            }
            _ => Err(not_found()),
        }
    }

    async fn list(
        &self,
        of: &'static ResourceType,
        query: &super::asked::Query,
    ) -> Result<Answered, Failed> {
        let (body, count) = list::list(self, of, query).await?;
        self.given(of, count).await?;
        Ok(Answered::of(StatusCode::OK, body))
    }

    /// Writes down that resources leave, before they do.
    async fn given(&self, of: &ResourceType, count: usize) -> Result<(), Failed> {
        if count > 0 {
            let what = format!("{count} {} by SCIM", of.endpoint.trim_start_matches('/'));
            self.resources.given(&self.source, what).await?;
        }
        Ok(())
    }

    fn view(&self, of: &'static ResourceType) -> Result<View, Error> {
        let query = &self.asked.query;
        View::read(of, query.get("attributes"), query.get("excludedAttributes"))
    }

    /// A resource as it is given back.
    pub(super) fn shown(
        &self,
        of: &'static ResourceType,
        view: &View,
        version: u64,
        mut whole: Map<String, Value>,
    ) -> Value {
        let location = self.location(of, &whole);
        if let Some(meta) = whole.get_mut("meta").and_then(Value::as_object_mut) {
            meta.insert("location".to_owned(), location.into());
            meta.insert("version".to_owned(), tag(version).into());
        }
        Value::Object(view.of(of, whole))
    }

    fn location(&self, of: &ResourceType, whole: &Map<String, Value>) -> String {
        let id = whole.get("id").and_then(Value::as_str).unwrap_or_default();
        format!("{}{}/{id}", self.asked.base, of.endpoint)
    }

    async fn find(&self, of: &ResourceType, id: &str) -> Result<Resource, Failed> {
        let id = id_of(id).ok_or_else(not_found)?;
        let by = ResourceBy::Id(id);
        let mut found = self.resources.find(&self.source, of.number, by).await?;
        found.pop().ok_or_else(not_found)
    }

    async fn read(&self, of: &'static ResourceType, id: &str) -> Result<Answered, Failed> {
        let view = self.view(of)?;
        let found = self.find(of, id).await?;
        let etag = tag(found.version);
        if let Some(known) = &self.asked.if_none_match
            && tagged(known, &etag)
        {
            return Ok(Answered {
                etag: Some(etag),
                ..Answered::empty(StatusCode::NOT_MODIFIED)
            });
        }
        let whole = whole(&found.body)?;
        self.given(of, 1).await?;
        Ok(self.answered(of, StatusCode::OK, &view, found.version, whole))
    }

    fn answered(
        &self,
        of: &'static ResourceType,
        status: StatusCode,
        view: &View,
        version: u64,
        whole: Map<String, Value>,
    ) -> Answered {
        let location = self.location(of, &whole);
        Answered {
            etag: Some(tag(version)),
            location: Some(location),
            ..Answered::of(status, self.shown(of, view, version, whole))
        }
    }

    async fn create(
        &self,
        of: &'static ResourceType,
        received: Received,
    ) -> Result<Answered, Failed> {
        let view = self.view(of)?;
        let mut made = resource::read(of, &json_of(&received.body)?)?;
        let id = new_id();
        let now = received.received.to_string();
        made.insert("id".to_owned(), id_text(&id).into());
        made.insert(
            "meta".to_owned(),
            json!({ "resourceType": of.name, "created": now, "lastModified": now }),
        );
        let change = ResourceChange {
            kind: of.number,
            id,
            was: None,
            now: Some(state(of, &made)),
        };
        let told = told(of, "created", 1, &made, &Map::new());
        match self
            .resources
            .keep(message(received, of, "created", &told), change)
            .await
        {
            Kept::Accepted(_) => {}
            // Nobody else has an id that was made a moment ago.
            Kept::Changed | Kept::Taken => return Err(taken(of)),
            Kept::Full => return Err(full()),
            Kept::Not(verdict) => return Err(verdict.into()),
        }
        let mut answered = self.answered(of, StatusCode::CREATED, &view, 1, made);
        answered.became = Became::Accepted;
        Ok(answered)
    }

    async fn change(
        &self,
        of: &'static ResourceType,
        id: &str,
        received: Received,
    ) -> Result<Answered, Failed> {
        let view = self.view(of)?;
        let body = if self.asked.method == Method::DELETE {
            Value::Null
        } else {
            json_of(&received.body)?
        };
        for _ in 0..TURNS {
            let found = self.find(of, id).await?;
            if let Some(known) = &self.asked.if_match
                && !tagged(known, &tag(found.version))
            {
                let what = "the resource has another version";
                return Err(Error::new(412, Why::Other, what).into());
            }
            let before = whole(&found.body)?;
            let mut after = match self.asked.method {
                Method::PATCH => patch::apply(of, &before, &body)?,
                Method::PUT => {
                    let mut after = resource::read(of, &body)?;
                    for name in ["id", "meta"] {
                        let kept = before.get(name).cloned().unwrap_or_default();
                        after.insert(name.to_owned(), kept);
                    }
                    after
                }
                _ => Map::new(),
            };
            let gone = self.asked.method == Method::DELETE;
            if !gone && resource::differences(&before, &after).is_empty() {
                return Ok(self.answered(of, StatusCode::OK, &view, found.version, before));
            }
            if let Some(meta) = after.get_mut("meta").and_then(Value::as_object_mut) {
                let now = received.received.to_string();
                meta.insert("lastModified".to_owned(), now.into());
            }
            let version = found.version + 1;
            let change = ResourceChange {
                kind: of.number,
                id: found.id,
                was: Some(found.version),
                now: (!gone).then(|| state(of, &after)),
            };
            let (word, told) = if gone {
                ("deleted", told(of, "deleted", version, &before, &before))
            } else {
                ("changed", told(of, "changed", version, &after, &before))
            };
            let message = message(received.clone(), of, word, &told);
            match self.resources.keep(message, change).await {
                Kept::Accepted(_) => {
                    let mut answered = if gone {
                        Answered::empty(StatusCode::NO_CONTENT)
                    } else {
                        self.answered(of, StatusCode::OK, &view, version, after)
                    };
                    answered.became = Became::Accepted;
                    return Ok(answered);
                }
                // Somebody else was first: by what is there now.
                Kept::Changed => {}
                Kept::Taken => return Err(taken(of)),
                Kept::Full => return Err(full()),
                Kept::Not(verdict) => return Err(verdict.into()),
            }
        }
        let what = "others change the resource all the time; try it again";
        Err(Error::new(409, Why::Other, what).into())
    }
}

fn taken(of: &ResourceType) -> Failed {
    let what = match of.unique {
        Some(name) => format!("another has this `{name}`"),
        None => "another is there already".to_owned(),
    };
    Error::new(409, Why::Uniqueness, what).into()
}

fn full() -> Failed {
    Error::new(507, Why::Other, "no further resources are kept here").into()
}

pub(super) fn json_of(body: &[u8]) -> Result<Value, Failed> {
    let broken = |_| Error::bad(Why::InvalidSyntax, "the body is not JSON").into();
    serde_json::from_slice(body).map_err(broken)
}

/// What was kept of a resource.
pub(super) fn whole(body: &[u8]) -> Result<Map<String, Value>, Failed> {
    let broken = |_| Error::new(500, Why::Other, "a resource that is kept cannot be read").into();
    serde_json::from_slice(body).map_err(broken)
}

/// What may not be that of another, as it is compared.
pub(super) fn unique(text: &str) -> String {
    fold(text)
}

fn state(of: &ResourceType, whole: &Map<String, Value>) -> ResourceState {
    let text = |name: &str| whole.get(name).and_then(Value::as_str);
    ResourceState {
        unique: of.unique.and_then(text).map(unique),
        known: text("externalId").map(str::to_owned),
        body: Value::Object(whole.clone()).to_string().into(),
    }
}

/// The message that a change is: the whole resource, what changed, and how that was before.
fn told(
    of: &ResourceType,
    event: &str,
    version: u64,
    whole: &Map<String, Value>,
    before: &Map<String, Value>,
) -> Value {
    let changed = resource::differences(before, whole);
    let was = changed
        .iter()
        .filter_map(|name| Some((name.clone(), before.get(name)?.clone())));
    let was: Map<String, Value> = was.collect();
    json!({
        "event": event,
        "type": of.name,
        "id": whole.get("id"),
        "version": version,
        "changed": changed,
        "before": was,
        "resource": whole,
    })
}

fn message(mut received: Received, of: &ResourceType, event: &str, told: &Value) -> Received {
    received.content_type = ContentType::Json;
    received.body = Bytes::from(told.to_string());
    let operation = format!("{}.{event}", of.name);
    received.headers.push((OPERATION.to_owned(), operation));
    received.answer = Bytes::new();
    received
}

fn new_id() -> [u8; 16] {
    let mut id: [u8; 16] = rand::random();
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    id
}

fn id_text(id: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in id.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

pub(super) fn id_of(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|one| *one != '-')
        .map(|one| one.to_digit(16))
        .collect::<Option<_>>()?;
    if digits.len() != 32 || text.len() != 36 {
        return None;
    }
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(pair[0] * 16 + pair[1]).ok()?;
    }
    // Only as it was written by us.
    (id_text(&id) == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_were_written_and_no_other_way() {
        let id = new_id();
        let text = id_text(&id);
        assert_eq!(id_of(&text), Some(id));
        for other in [
            &text[1..],
            &text.to_uppercase().replace('A', "B"),
            "",
            "é",
            "../1",
        ] {
            assert!(id_of(other).is_none_or(|read| read != id || *other == text));
        }
    }
}

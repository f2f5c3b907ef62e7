//! Where resources are kept: each change is a message, made durable with it or not at all.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use wardline_fhir::{Offered, Raw};

use super::answer::Problem;
use crate::resources::{Kept, Resource, ResourceBy, ResourceChange, ResourceState, Resources};
use crate::{ContentType, OPERATION, Received};

/// How often a change is tried again by what somebody else left in between.
const TURNS: u32 = 8;

/// A type of resources that a service keeps.
#[derive(Clone, Debug)]
pub struct Kind {
    /// What is done with them.
    pub offered: Offered,
    /// Its number in the journal.
    pub number: u8,
    /// Elements that are never given out.
    pub hidden: Vec<String>,
    /// The system of the identifier that no two of them share.
    pub unique: Option<String>,
}

/// A resource as it is kept.
pub(super) struct Found {
    pub(super) version: u64,
    pub(super) raw: Raw,
    pub(super) value: Value,
    pub(super) bytes: usize,
}

impl Found {
    pub(super) fn id(&self) -> &str {
        self.value["id"].as_str().unwrap_or_default()
    }
}

/// What became of a resource that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Created,
    Changed,
    /// It was so already; no message was made.
    Same,
}

/// What must be so for a change.
#[derive(Default)]
pub(super) struct Terms<'a> {
    /// The versions of which one is to be there.
    pub(super) if_match: Option<&'a str>,
    /// Whether it may be made where it is not there.
    pub(super) create: bool,
    /// Whether it may be changed where it is there.
    pub(super) update: bool,
}

/// The resources of one connection.
pub(super) struct Shelf<'a> {
    pub(super) resources: &'a dyn Resources,
    pub(super) source: &'a Arc<str>,
}

impl Shelf<'_> {
    fn name(&self, of: &Kind, id: &str) -> [u8; 16] {
        let text = [&**self.source, of.offered.kind, id].join("\0");
        let mut name = [0; 16];
        name.copy_from_slice(&digest(&SHA256, text.as_bytes()).as_ref()[..16]);
        name
    }

    /// A resource by its id.
    pub(super) async fn find(&self, of: &Kind, id: &str) -> Result<Option<Found>, Problem> {
        if !is_id(id) {
            return Ok(None);
        }
        let by = ResourceBy::Id(self.name(of, id));
        let found = self.resources.find(self.source, of.number, by).await?;
        found.into_iter().next().map(read).transpose()
    }

    /// The one resource that has an identifier of the system that no two share.
    pub(super) async fn identified(
        &self,
        of: &Kind,
        value: &str,
    ) -> Result<Option<Found>, Problem> {
        let by = ResourceBy::Unique(value);
        let found = self.resources.find(self.source, of.number, by).await?;
        found.into_iter().next().map(read).transpose()
    }

    /// Puts a resource, which is right, under its id.
    pub(super) async fn put(
        &self,
        of: &Kind,
        id: &str,
        given: (&Raw, &Value),
        received: &Received,
        terms: &Terms<'_>,
    ) -> Result<(Done, Found), Problem> {
        let unique = unique(of, given.1)?;
        for _ in 0..TURNS {
            let found = self.find(of, id).await?;
            let tag = found.as_ref().map(|found| tag(found.version));
            if let Some(known) = terms.if_match
                && !tag
                    .as_deref()
                    .is_some_and(|tag| crate::scim::tagged(known, tag))
            {
                let what = "the resource has another version, or is not there";
                return Err(Problem::new(412, "conflict", what));
            }
            let allowed = match &found {
                None => terms.create,
                Some(_) => terms.update,
            };
            if !allowed {
                let what = match &found {
                    None => "there is no such resource, and none is made here",
                    Some(_) => "resources of this type are not changed here",
                };
                return Err(Problem::new(405, "not-supported", what));
            }
            let mut after = Found {
                version: found.as_ref().map_or(1, |found| found.version + 1),
                raw: given.0.clone(),
                value: given.1.clone(),
                bytes: 0,
            };
            let meta = meta(given.1);
            let before = found.as_ref().map(|found| self::meta(&found.value));
            after.set("id", Value::from(id));
            after.set("meta", Value::Object(meta.clone()));
            if let Some(found) = found.as_ref()
                && before == Some(meta.clone())
                && changed(&found.raw, &after.raw).is_empty()
            {
                let same = Found {
                    version: found.version,
                    raw: found.raw.clone(),
                    value: found.value.clone(),
                    bytes: found.bytes,
                };
                return Ok((Done::Same, same));
            }
            let mut meta = meta;
            meta.insert(
                "lastUpdated".to_owned(),
                received.received.to_string().into(),
            );
            after.set("meta", Value::Object(meta));
            let text = after.raw.to_string();
            after.bytes = text.len();
            let change = ResourceChange {
                kind: of.number,
                id: self.name(of, id),
                was: found.as_ref().map(|found| found.version),
                now: Some(ResourceState {
                    unique: unique.clone(),
                    known: None,
                    body: Bytes::from(text),
                }),
            };
            let none = Raw::default();
            let (done, word) = match &found {
                None => (Done::Created, "created"),
                Some(_) => (Done::Changed, "changed"),
            };
            let before = found.as_ref().map_or(&none, |found| &found.raw);
            let told = told(of, word, id, after.version, &after.raw, before);
            let kept = self
                .resources
                .keep(self.message(received, of, word, told), change);
            match kept.await {
                Kept::Accepted(_) => return Ok((done, after)),
                // Somebody else was first: by what is there now.
                Kept::Changed => {}
                other => return Err(not_kept(other)),
            }
        }
        Err(contended())
    }

    /// Takes a resource away; says whether it was there.
    pub(super) async fn remove(
        &self,
        of: &Kind,
        id: &str,
        received: &Received,
        if_match: Option<&str>,
    ) -> Result<bool, Problem> {
        for _ in 0..TURNS {
            let Some(found) = self.find(of, id).await? else {
                return Ok(false);
            };
            if let Some(known) = if_match
                && !crate::scim::tagged(known, &tag(found.version))
            {
                let what = "the resource has another version";
                return Err(Problem::new(412, "conflict", what));
            }
            let change = ResourceChange {
                kind: of.number,
                id: self.name(of, id),
                was: Some(found.version),
                now: None,
            };
            let version = found.version + 1;
            let told = told(of, "deleted", id, version, &found.raw, &found.raw);
            let kept = self
                .resources
                .keep(self.message(received, of, "deleted", told), change);
            match kept.await {
                Kept::Accepted(_) => return Ok(true),
                Kept::Changed => {}
                other => return Err(not_kept(other)),
            }
        }
        Err(contended())
    }

    fn message(&self, received: &Received, of: &Kind, event: &str, told: String) -> Received {
        let mut message = received.clone();
        message.source = Arc::clone(self.source);
        message.content_type = ContentType::Json;
        message.body = Bytes::from(told);
        let operation = format!("{}.{event}", of.offered.kind);
        message.headers.push((OPERATION.to_owned(), operation));
        message.answer = Bytes::new();
        message
    }
}

impl Found {
    fn set(&mut self, name: &str, value: Value) {
        self.raw.set(name, &value);
        self.value[name] = value;
    }
}

pub(super) fn read(kept: Resource) -> Result<Found, Problem> {
    let bytes = kept.body.len();
    let read = Raw::read(&kept.body, usize::MAX);
    let broken = |_| Problem::new(500, "exception", "a resource that is kept cannot be read");
    let (raw, value) = read.map_err(broken)?;
    Ok(Found {
        version: kept.version,
        raw,
        value,
        bytes,
    })
}

/// The entity tag of a version.
pub(super) fn tag(version: u64) -> String {
    format!("W/\"{version}\"")
}

/// Whether a text can be the id of a resource.
pub(super) fn is_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    (1..=64).contains(&text.len())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// What a sender says in `meta`, without what is ours to say.
fn meta(resource: &Value) -> Map<String, Value> {
    let mut meta = resource["meta"].as_object().cloned().unwrap_or_default();
    for ours in ["versionId", "lastUpdated"] {
        meta.remove(ours);
    }
    meta
}

/// Names of elements that are other than before; `meta` is compared by itself.
fn changed(before: &Raw, after: &Raw) -> Vec<String> {
    let mut all = after.differences(before);
    all.retain(|name| name != "meta");
    all
}

/// The identifier that no two share, as it is compared.
fn unique(of: &Kind, resource: &Value) -> Result<Option<String>, Problem> {
    let Some(system) = &of.unique else {
        return Ok(None);
    };
    let all = match &resource["identifier"] {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    let own = all.iter().filter(|one| one["system"] == system.as_str());
    let mut own = own.filter_map(|one| one["value"].as_str());
    let first = own.next().map(str::to_owned);
    if own.next().is_some() {
        let what = "it has two identifiers of the system that each resource has one of";
        return Err(Problem::new(422, "business-rule", what));
    }
    Ok(first)
}

/// The message that a change is: what happened, what changed and how that was, and the whole resource.
fn told(of: &Kind, event: &str, id: &str, version: u64, now: &Raw, before: &Raw) -> String {
    let changed = if event == "created" {
        now.names().map(str::to_owned).collect()
    } else {
        changed(before, now)
    };
    let was: Vec<String> = changed
        .iter()
        .filter_map(|name| Some(format!("{}:{}", json!(name), before.get(name)?)))
        .collect();
    format!(
        "{{\"event\":{},\"type\":{},\"id\":{},\"version\":{version},\"changed\":{},\"before\":{{{}}},\"resource\":{now}}}",
        json!(event),
        json!(of.offered.kind),
        json!(id),
        json!(changed),
        was.join(",")
    )
}

fn not_kept(kept: Kept) -> Problem {
    match kept {
        Kept::Taken => Problem::new(
            409,
            "duplicate",
            "another resource has this identifier, which no two share",
        ),
        Kept::Full => Problem::new(507, "too-costly", "no further resources are kept here"),
        Kept::Not(verdict) => verdict.into(),
        Kept::Accepted(_) | Kept::Changed => contended(),
    }
}

fn contended() -> Problem {
    let what = "others change the resource all the time; try it again";
    Problem::new(409, "lock-error", what)
}

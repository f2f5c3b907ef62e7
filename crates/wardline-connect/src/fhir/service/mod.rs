//! FHIR in: resources that are kept here, read, searched and changed by R4's REST. Each change is a
//! message before it is answered; what is read is what was taken.

mod answer;
mod asked;
mod keeper;
mod list;
mod shelf;

use std::sync::Arc;

use http::uri::Authority;
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore};
use wardline_core::Timestamp;
use wardline_fhir::{Raw, capability};

use answer::Problem;
pub(crate) use answer::{Answered, Became, outcome};
pub(crate) use asked::Asked;
pub use keeper::Keeper;
pub use shelf::Kind;
use shelf::{Done, Found, Shelf, Terms, tag};

use crate::Received;
use crate::resources::Resources;

/// Searches that look through resources at the same time.
const SEARCHES: usize = 2;
/// Bytes of one resource that is taken.
const LARGEST: usize = 16 << 20;

/// A service at a path.
#[derive(Debug)]
pub struct Endpoint {
    /// The path, without a `/` at its end.
    pub path: String,
    /// Its address, where the one that a request names is not the right one.
    pub address: Option<String>,
    /// Whether it is reached by https.
    pub secured: bool,
    /// The connection whose resources they are.
    pub kept: Arc<str>,
    /// What is offered.
    pub kinds: Vec<Kind>,
    /// How senders prove who they are, in words.
    pub proof: &'static str,
    since: Timestamp,
    searches: Semaphore,
    /// Who looks whether a resource is there, to make or change it, does so alone.
    turn: Mutex<()>,
}

impl Endpoint {
    /// A service at a path.
    pub fn new(
        path: &str,
        address: Option<String>,
        secured: bool,
        kept: Arc<str>,
        kinds: Vec<Kind>,
        proof: &'static str,
    ) -> Self {
        Self {
            path: path.trim_end_matches('/').to_owned(),
            address,
            secured,
            kept,
            kinds,
            proof,
            since: Timestamp::now(),
            searches: Semaphore::new(SEARCHES),
            turn: Mutex::new(()),
        }
    }

    /// The methods and paths that it is served at; `{…}` is any one segment.
    pub fn routes(&self) -> Vec<(Method, String)> {
        let mut all = Vec::new();
        for (below, methods) in [
            ("", &[Method::POST][..]),
            ("/{type}", &[Method::GET, Method::POST, Method::PUT]),
            (
                "/{type}/{id}",
                &[Method::GET, Method::POST, Method::PUT, Method::DELETE],
            ),
            ("/{type}/{id}/{more}", &[Method::GET]),
            ("/{type}/{id}/{more}/{version}", &[Method::GET]),
        ] {
            for method in methods {
                all.push((method.clone(), format!("{}{below}", self.path)));
            }
        }
        all
    }

    fn base(&self, authority: Option<&Authority>, host: Option<String>) -> String {
        let scheme = if self.secured { "https" } else { "http" };
        let host = authority
            .map(|authority| authority.as_str().to_owned())
            .or(host)
            .filter(|host| host.parse::<Authority>().is_ok());
        match (&self.address, host) {
            (Some(address), _) => address.trim_end_matches('/').to_owned(),
            (None, Some(host)) => format!("{scheme}://{host}{}", self.path),
            (None, None) => self.path.clone(),
        }
    }

    fn kind(&self, name: &str) -> Result<&Kind, Problem> {
        let found = self.kinds.iter().find(|kind| kind.offered.kind == name);
        found.ok_or_else(|| {
            let what = "resources of this type are not offered here; /metadata says which are";
            Problem::new(404, "not-supported", what)
        })
    }

    /// Answers a request; what it changes is taken first.
    pub(crate) async fn answer(
        &self,
        resources: &dyn Resources,
        asked: &Asked,
        received: Received,
    ) -> Answered {
        let desk = Desk {
            endpoint: self,
            shelf: Shelf {
                resources,
                source: &self.kept,
            },
            asked,
        };
        desk.answer(received).await.unwrap_or_else(Answered::from)
    }
}

/// Everything that a request is answered by.
struct Desk<'a> {
    endpoint: &'a Endpoint,
    shelf: Shelf<'a>,
    asked: &'a Asked,
}

/// Refuses what is not offered.
fn offered(there: bool) -> Result<(), Problem> {
    if there {
        return Ok(());
    }
    let what = "this is not offered for resources of this type; /metadata says what is";
    Err(Problem::new(405, "not-supported", what))
}

impl Desk<'_> {
    async fn answer(&self, received: Received) -> Result<Answered, Problem> {
        let segments: Vec<&str> = self.asked.segments.iter().map(String::as_str).collect();
        let method = &self.asked.method;
        match (method, segments.as_slice()) {
            (&Method::GET, ["metadata"]) => Ok(self.statement()),
            (&Method::POST, []) => {
                let what = "batches and transactions are not carried out here";
                Err(Problem::new(501, "not-supported", what))
            }
            (&Method::GET, [kind]) => {
                self.list(
                    self.endpoint.kind(kind)?,
                    &self.asked.query,
                    &received,
                    false,
                )
                .await
            }
            (&Method::POST, [kind, "_search"]) => {
                let mut query = self.asked.query.clone();
                if self.asked.form {
                    let form = std::str::from_utf8(&received.body);
                    let broken = |_| Problem::new(400, "invalid", "the form is not text");
                    query.0.extend(asked::Query::read(form.map_err(broken)?)?.0);
                }
                self.list(self.endpoint.kind(kind)?, &query, &received, true)
                    .await
            }
            (&Method::POST, [kind]) => self.create(self.endpoint.kind(kind)?, received).await,
            (&Method::PUT, [kind]) => self.update(self.endpoint.kind(kind)?, None, received).await,
            (&Method::GET, [kind, id]) => {
                self.read(self.endpoint.kind(kind)?, id, None, &received)
                    .await
            }
            (&Method::GET, [kind, id, "_history", version]) => {
                self.read(self.endpoint.kind(kind)?, id, Some(*version), &received)
                    .await
            }
            (&Method::PUT, [kind, id]) => {
                self.update(self.endpoint.kind(kind)?, Some(*id), received)
                    .await
            }
            (&Method::DELETE, [kind, id]) => {
                self.delete(self.endpoint.kind(kind)?, id, received).await
            }
            (_, [kind, ..]) => {
                self.endpoint.kind(kind)?;
                let what = "this interaction is not offered; /metadata says which are";
                Err(Problem::new(404, "not-supported", what))
            }
            _ => Err(Problem::not_found()),
        }
    }

    fn statement(&self) -> Answered {
        let offered: Vec<_> = self
            .endpoint
            .kinds
            .iter()
            .map(|kind| kind.offered.clone())
            .collect();
        let said = capability(
            &self.asked.base,
            env!("CARGO_PKG_VERSION"),
            &self.endpoint.since.to_string(),
            self.endpoint.proof,
            &offered,
        );
        Answered::of(StatusCode::OK, Some(said.to_string()))
    }

    /// Writes down that resources leave, before they do.
    async fn given(&self, of: &Kind, count: usize, received: &Received) -> Result<(), Problem> {
        if count > 0 {
            let what = format!("{count} {} by FHIR", of.offered.kind);
            let source = &received.source;
            self.shelf.resources.given(source, what).await?;
        }
        Ok(())
    }

    fn location(&self, of: &Kind, found: &Found) -> String {
        format!("{}/{}/{}", self.asked.base, of.offered.kind, found.id())
    }

    /// A resource as it is given out.
    fn shown(of: &Kind, found: &Found) -> String {
        let mut raw = found.raw.clone();
        let mut meta = found.value["meta"].clone();
        meta["versionId"] = found.version.to_string().into();
        let mut hidden = false;
        for name in &of.hidden {
            hidden |= raw.get(name).is_some();
            raw.remove(name);
            raw.remove(&format!("_{name}"));
        }
        if hidden {
            let part = serde_json::json!({
                "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"
            });
            match meta["tag"].as_array_mut() {
                Some(tags) => tags.push(part),
                None => meta["tag"] = Value::Array(vec![part]),
            }
        }
        raw.set("meta", &meta);
        raw.to_string()
    }

    async fn read(
        &self,
        of: &Kind,
        id: &str,
        version: Option<&str>,
        received: &Received,
    ) -> Result<Answered, Problem> {
        offered(of.offered.read)?;
        let found = self.shelf.find(of, id).await?;
        let found = found.ok_or_else(Problem::not_found)?;
        if version.is_some_and(|version| version != found.version.to_string()) {
            let what = "only the version that is now is kept";
            return Err(Problem::new(404, "not-found", what));
        }
        let etag = tag(found.version);
        if let Some(known) = &self.asked.if_none_match
            && crate::scim::tagged(known, &etag)
        {
            return Ok(Answered {
                etag: Some(etag),
                ..Answered::of(StatusCode::NOT_MODIFIED, None)
            });
        }
        self.given(of, 1, received).await?;
        Ok(Answered {
            etag: Some(etag),
            ..Answered::of(StatusCode::OK, Some(Self::shown(of, &found)))
        })
    }

    /// A resource of a request, held against the definitions.
    fn resource(of: &Kind, received: &Received) -> Result<(Raw, Value), Problem> {
        let broken = |error: wardline_fhir::ReadError| {
            Problem::new(
                400,
                "structure",
                format!("the body is no resource: {error}"),
            )
        };
        let (raw, value) = Raw::read(&received.body, LARGEST).map_err(broken)?;
        if value["resourceType"] != of.offered.kind {
            let what = "the resource is of another type than the address";
            return Err(Problem::new(400, "invalid", what));
        }
        let outcome = wardline_fhir::check(&value);
        if outcome.ok() {
            Ok((raw, value))
        } else {
            Err(Problem::invalid(&outcome))
        }
    }

    async fn create(&self, of: &Kind, received: Received) -> Result<Answered, Problem> {
        offered(of.offered.create)?;
        let (raw, value) = Self::resource(of, &received)?;
        let _turn = self.endpoint.turn.lock().await;
        if let Some(condition) = &self.asked.if_none_exist {
            let mut found = self.matching(of, &asked::Query::read(condition)?).await?;
            match (found.pop(), found.is_empty()) {
                (None, _) => {}
                (Some(one), true) => return self.changed(of, Done::Same, &one, &received).await,
                (Some(_), false) => return Err(several()),
            }
        }
        let id = new_id();
        let terms = Terms {
            create: true,
            ..Terms::default()
        };
        let put = self.shelf.put(of, &id, (&raw, &value), &received, &terms);
        let (done, found) = put.await?;
        self.changed(of, done, &found, &received).await
    }

    async fn update(
        &self,
        of: &Kind,
        id: Option<&str>,
        received: Received,
    ) -> Result<Answered, Problem> {
        offered(of.offered.update)?;
        let (raw, value) = Self::resource(of, &received)?;
        let said = value["id"].as_str();
        let _turn = self.endpoint.turn.lock().await;
        let id = match id {
            Some(id) if said == Some(id) && shelf::is_id(id) => id.to_owned(),
            Some(_) => {
                let what = "the resource has another id than the address, or none";
                return Err(Problem::new(400, "invalid", what));
            }
            None => {
                let mut found = self.matching(of, &self.asked.query).await?;
                match (found.pop(), found.is_empty(), said) {
                    (Some(_), false, _) => return Err(several()),
                    (Some(one), true, Some(said)) if said != one.id() => {
                        let what = "the resource has another id than the one that was found";
                        return Err(Problem::new(400, "invalid", what));
                    }
                    (Some(one), true, _) => one.id().to_owned(),
                    (None, _, Some(said)) => said.to_owned(),
                    (None, _, None) => new_id(),
                }
            }
        };
        let terms = Terms {
            if_match: self.asked.if_match.as_deref(),
            create: of.offered.create,
            update: true,
        };
        let put = self.shelf.put(of, &id, (&raw, &value), &received, &terms);
        let (done, found) = put.await?;
        self.changed(of, done, &found, &received).await
    }

    /// The answer to a change. What was there already leaves, and so is written down.
    async fn changed(
        &self,
        of: &Kind,
        done: Done,
        found: &Found,
        received: &Received,
    ) -> Result<Answered, Problem> {
        let (status, became) = match done {
            Done::Created => (StatusCode::CREATED, Became::Accepted),
            Done::Changed => (StatusCode::OK, Became::Accepted),
            Done::Same => (StatusCode::OK, Became::Nothing),
        };
        let readable = !self.asked.minimal && (of.offered.read || done != Done::Same);
        if readable && done == Done::Same {
            self.given(of, 1, received).await?;
        }
        let version = found.version;
        let location = format!("{}/_history/{version}", self.location(of, found));
        Ok(Answered {
            etag: Some(tag(version)),
            location: Some(location),
            became,
            ..Answered::of(status, readable.then(|| Self::shown(of, found)))
        })
    }

    async fn delete(&self, of: &Kind, id: &str, received: Received) -> Result<Answered, Problem> {
        offered(of.offered.delete)?;
        let if_match = self.asked.if_match.as_deref();
        let gone = self.shelf.remove(of, id, &received, if_match).await?;
        let became = if gone {
            Became::Accepted
        } else {
            Became::Nothing
        };
        Ok(Answered {
            became,
            ..Answered::of(StatusCode::NO_CONTENT, None)
        })
    }
}

fn new_id() -> String {
    uuid::Builder::from_random_bytes(rand::random())
        .into_uuid()
        .to_string()
}

fn several() -> Problem {
    Problem::new(
        412,
        "multiple-matches",
        "more than one resource is like this",
    )
}

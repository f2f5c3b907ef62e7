//! What operations ask of a FHIR server: one resource, a page of a search, a piece of an export.
//!
//! | path of the request | asked for | answer |
//! | --- | --- | --- |
//! | `/read/Patient` | the resource of the member `id` | the resource |
//! | `/search/Patient` | what matches the other members, or the page `next` | `{ resources, included, next, total }` |
//! | `/export/`, `/export/Patient`, `/export/Group/ID` | the members as parameters, or the piece `next` | `{ resources, next }` |
//!
//! Resources are handed on as they came, so that decimals keep their digits. `next` stands for a
//! place below the base of the connection and nowhere else: a server cannot send us to another one.
//! Source: FHIR R4 (3.1.1 Search, 3.1.0.6 Paging), Bulk Data Access 2.0.

use http::Method;
use http::header::{ACCEPT, CONTENT_LOCATION, HeaderMap, HeaderName, HeaderValue, RANGE};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::time::Duration;

use super::encode;
use super::outbound::{JSON, Outbound};
use crate::http::later;
use crate::{Failure, FailureKind, Reply, Request, codes};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PROGRESS: HeaderName = HeaderName::from_static("x-progress");
/// Resources of one piece of an export where nothing else is said.
const PIECE: u64 = 1_000;
/// How long to wait for an export where the server does not say it.
const LOOK: Duration = Duration::from_secs(10);
/// Bytes of a place of the server.
const LONGEST_PLACE: usize = 4_096;

/// What an operation asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Call<'a> {
    Read(&'a str),
    Search(&'a str),
    /// Of all, of a type, or of a group.
    Export(&'a str),
}

impl<'a> Call<'a> {
    /// What a path stands for.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let (verb, of) = path.strip_prefix('/')?.split_once('/')?;
        Some(match verb {
            "read" => Self::Read(of),
            "search" => Self::Search(of),
            "export" => Self::Export(of),
            _ => return None,
        })
    }
}

/// A page of a search.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(rename = "resourceType")]
    kind: String,
    #[serde(default)]
    link: Vec<Link>,
    total: Option<u64>,
    #[serde(borrow, default)]
    entry: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    relation: String,
    #[serde(default)]
    url: String,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    search: Option<Mode>,
}

#[derive(Deserialize)]
struct Mode {
    mode: Option<String>,
}

/// What an export came to.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    output: Vec<Output>,
    #[serde(default)]
    error: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    url: String,
}

/// Where an export stands: what its status is asked at, and what of its files was read.
struct Standing<'a> {
    status: &'a str,
    /// `None` as long as nothing was read.
    read: Option<(usize, u64)>,
}

impl<'a> Standing<'a> {
    /// `FILE:OFFSET:PLACE`, or `PLACE`.
    fn of(text: &'a str) -> Self {
        let mut parts = text.splitn(3, ':');
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<u64>().ok());
        if let (Some(file), Some(offset), Some(status)) =
            (number(parts.next()), number(parts.next()), parts.next())
            && let Ok(file) = usize::try_from(file)
        {
            return Self {
                status,
                read: Some((file, offset)),
            };
        }
        Self {
            status: text,
            read: None,
        }
    }
}

impl Outbound {
    /// Does what an operation asks for.
    pub(super) async fn call(
        &self,
        call: Call<'_>,
        request: &Request<'_>,
    ) -> Result<Reply, Failure> {
        let asked = asked(&request.body)
            .ok_or_else(|| self.unsendable("an operation of FHIR takes an object of parameters"))?;
        match call {
            Call::Read(kind) => {
                let id = asked.get("id").map(text_of).unwrap_or_default();
                if id.is_empty() {
                    return Err(
                        self.unsendable("the member `id` is missing, which says what is read")
                    );
                }
                let path = format!("/{kind}/{}", encode(&id));
                let what = format!("the reading of a {kind}");
                Ok(self.get(request, &path, &what, &[], 0).await?.1)
            }
            Call::Search(kind) => self.search(kind, &asked, request).await,
            Call::Export(of) => self.export(of, &asked, request).await,
        }
    }

    /// One question. Gives head and answer.
    async fn get(
        &self,
        request: &Request<'_>,
        path: &str,
        what: &str,
        more: &[(HeaderName, HeaderValue)],
        skip: u64,
    ) -> Result<(HeaderMap, Reply), Failure> {
        let asked = Request {
            body: bytes::Bytes::new(),
            content_type: JSON,
            method: Some(Method::GET),
            path: (!path.is_empty()).then_some(path),
            ..*request
        };
        self.sent(asked, what, more, skip).await
    }

    async fn search(
        &self,
        kind: &str,
        asked: &Map<String, Value>,
        request: &Request<'_>,
    ) -> Result<Reply, Failure> {
        let what = format!("a search for {kind}");
        let path = match place(asked) {
            Some(next) => self.within(next, &what)?.to_owned(),
            None => format!("/{kind}{}", self.query(asked)?),
        };
        // Rather no answer than one to another question.
        let strict = [(PREFER, HeaderValue::from_static("handling=strict"))];
        let (_, reply) = self.get(request, &path, &what, &strict, 0).await?;
        self.whole(&reply, &what)?;
        let page: Page<'_> = serde_json::from_slice(&reply.body)
            .ok()
            .filter(|page: &Page<'_>| page.kind == "Bundle")
            .ok_or_else(|| self.odd(&what, "the answer is no Bundle"))?;
        let next = page.link.iter().find(|link| link.relation == "next");
        let next = next.map(|link| self.below(&link.url, &what)).transpose()?;
        let (mut resources, mut included) = (Vec::new(), Vec::new());
        for entry in &page.entry {
            let Some(resource) = entry.resource else {
                continue;
            };
            match entry
                .search
                .as_ref()
                .and_then(|search| search.mode.as_deref())
            {
                Some("include") => included.push(resource),
                Some("outcome") => {}
                _ => resources.push(resource),
            }
        }
        Ok(answer(
            reply.status,
            &resources,
            &[("included", &included)],
            next.as_deref(),
            page.total,
        ))
    }

    async fn export(
        &self,
        of: &str,
        asked: &Map<String, Value>,
        request: &Request<'_>,
    ) -> Result<Reply, Failure> {
        let what = "an export";
        let Some(next) = place(asked) else {
            return self.begin_export(of, asked, request).await;
        };
        let standing = Standing::of(next);
        let status = self.within(standing.status, what)?;
        let (head, reply) = self.get(request, status, what, &[], 0).await?;
        if reply.status == "202" {
            let told = head.get(PROGRESS).and_then(|told| told.to_str().ok());
            // What a server says of its work is not repeated beyond figures.
            let told = told.filter(|told| {
                told.len() <= 32
                    && told
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b" %.".contains(&b))
            });
            let kind = FailureKind::Busy {
                retry_after: Some(later(&head).unwrap_or(LOOK)),
            };
            let text = format!(
                "the export is still being made ({})",
                told.unwrap_or("no progress told")
            );
            return Err(self.failed(kind, codes::FHIR_EXPORTING, &text));
        }
        self.whole(&reply, what)?;
        let manifest: Manifest = serde_json::from_slice(&reply.body)
            .map_err(|_| self.odd(what, "its manifest cannot be read"))?;
        if !manifest.error.is_empty() && standing.read.is_none() {
            tracing::warn!(connection = %self.name, files = manifest.error.len(), "an export says that parts of it failed");
        }
        let (file, offset) = standing.read.unwrap_or_default();
        let Some(output) = manifest.output.get(file) else {
            return Ok(answer(reply.status, &[], &[], None, None));
        };
        let path = self.below(&output.url, what)?;
        let size = asked.get("size").and_then(Value::as_u64).unwrap_or(PIECE);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let status = status.to_owned();
        self.piece(request, &path, offset, size, |read| {
            let (file, offset) = match read {
                Some(read) => (file, offset + read),
                None => (file + 1, 0),
            };
            let more = file < manifest.output.len();
            more.then(|| format!("{file}:{offset}:{status}"))
        })
        .await
    }

    async fn begin_export(
        &self,
        of: &str,
        asked: &Map<String, Value>,
        request: &Request<'_>,
    ) -> Result<Reply, Failure> {
        let what = "the beginning of an export";
        let mut asked = asked.clone();
        asked.remove("size");
        asked.insert("_outputFormat".to_owned(), "application/fhir+ndjson".into());
        let of = if of.is_empty() {
            String::new()
        } else {
            format!("/{of}")
        };
        let path = format!("{of}/$export{}", self.query(&asked)?);
        let later = [(PREFER, HeaderValue::from_static("respond-async"))];
        let (head, reply) = self.get(request, &path, what, &later, 0).await?;
        let status = head.get(CONTENT_LOCATION).and_then(|at| at.to_str().ok());
        let Some(status) = status.filter(|_| reply.status == "202") else {
            return Err(self.odd(what, "it was not taken on (202 and `Content-Location`)"));
        };
        let status = self.below(status, what)?;
        Ok(answer(reply.status, &[], &[], Some(&status), None))
    }

    /// Some lines of a file from a byte on.
    async fn piece(
        &self,
        request: &Request<'_>,
        path: &str,
        offset: u64,
        size: usize,
        next: impl FnOnce(Option<u64>) -> Option<String>,
    ) -> Result<Reply, Failure> {
        let what = "a file of an export";
        let mut more = vec![(ACCEPT, HeaderValue::from_static("application/fhir+ndjson"))];
        if offset > 0 {
            let from = HeaderValue::from_str(&format!("bytes={offset}-"));
            more.extend(from.ok().map(|from| (RANGE, from)));
        }
        let (_, reply) = self.get(request, path, what, &more, offset).await?;
        let mut resources = Vec::new();
        let mut read = 0;
        let mut rest = &reply.body[..];
        while resources.len() < size && !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            // What is cut is read with the next piece.
            if end.is_none() && reply.truncated {
                break;
            }
            let line = &rest[..end.unwrap_or(rest.len())];
            if !line.trim_ascii().is_empty() {
                let resource: &RawValue = serde_json::from_slice(line)
                    .map_err(|_| self.odd(what, "a line is no JSON"))?;
                resources.push(resource);
            }
            read += line.len() + usize::from(end.is_some());
            rest = &reply.body[read..];
        }
        if read == 0 && reply.truncated {
            return Err(self.odd(what, "a resource is larger than an answer may be"));
        }
        let more = !rest.is_empty() || reply.truncated;
        let next = next(more.then_some(read as u64));
        let resources: Vec<_> = resources.into_iter().collect();
        Ok(answer(
            "200".to_owned(),
            &resources,
            &[],
            next.as_deref(),
            None,
        ))
    }

    /// Parameters as a query.
    fn query(&self, asked: &Map<String, Value>) -> Result<String, Failure> {
        let mut query = String::new();
        for (name, value) in asked {
            let name = if name == "size" { "_count" } else { name };
            let known = |b: u8| b.is_ascii_alphanumeric() || b"_-:.".contains(&b);
            if name.is_empty() || !name.bytes().all(known) {
                return Err(self.unsendable("the name of a parameter holds what none may hold"));
            }
            let several = match value {
                Value::Null => continue,
                Value::Array(several) => several.as_slice(),
                one => std::slice::from_ref(one),
            };
            for value in several {
                if value.is_object() || value.is_array() {
                    return Err(self.unsendable(&format!(
                        "the parameter `{name}` is no text, number or list of them"
                    )));
                }
                query.push(if query.is_empty() { '?' } else { '&' });
                query.push_str(&format!("{}={}", encode(name), encode(&text_of(value))));
            }
        }
        Ok(query)
    }

    /// An address of the server as a place below its base.
    fn below(&self, url: &str, what: &str) -> Result<String, Failure> {
        let place = self
            .web
            .below(url)
            .filter(|place| place.len() <= LONGEST_PLACE);
        place.ok_or_else(|| {
            self.odd(what, "it leads to an address that is not below the one of this connection, and is not followed")
        })
    }

    /// A place that we gave ourselves.
    fn within<'a>(&self, place: &'a str, what: &str) -> Result<&'a str, Failure> {
        let fits =
            place.len() <= LONGEST_PLACE && (place.starts_with('/') || place.starts_with('?'));
        fits.then_some(place)
            .ok_or_else(|| self.unsendable(&format!("the member `next` is no place of {what}")))
    }

    fn whole(&self, reply: &Reply, what: &str) -> Result<(), Failure> {
        if reply.truncated {
            return Err(self.odd(
                what,
                "the answer is larger than one may be: ask for fewer (`size`)",
            ));
        }
        Ok(())
    }

    fn odd(&self, what: &str, why: &str) -> Failure {
        self.failed(
            FailureKind::Permanent,
            codes::FHIR_ODD_ANSWER,
            &format!("{what}: {why}"),
        )
    }
}

/// The parameters; an empty body has none.
fn asked(body: &[u8]) -> Option<Map<String, Value>> {
    if body.trim_ascii().is_empty() {
        return Some(Map::new());
    }
    serde_json::from_slice(body).ok()
}

fn place(asked: &Map<String, Value>) -> Option<&str> {
    asked
        .get("next")
        .and_then(Value::as_str)
        .filter(|next| !next.is_empty())
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn answer(
    status: String,
    resources: &[&RawValue],
    more: &[(&str, &Vec<&RawValue>)],
    next: Option<&str>,
    total: Option<u64>,
) -> Reply {
    let list = |all: &[&RawValue]| {
        all.iter()
            .map(|one| one.get())
            .collect::<Vec<_>>()
            .join(",")
    };
    let mut body = format!("{{\"resources\":[{}]", list(resources));
    for (name, all) in more {
        if !all.is_empty() {
            body.push_str(&format!(",\"{name}\":[{}]", list(all)));
        }
    }
    if let Some(next) = next {
        body.push_str(&format!(",\"next\":{}", Value::from(next)));
    }
    if let Some(total) = total {
        body.push_str(&format!(",\"total\":{total}"));
    }
    body.push('}');
    Reply {
        status,
        content_type: "application/json".to_owned(),
        body: body.into(),
        truncated: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_say_what_is_asked_for() {
        assert_eq!(Call::of("/read/Patient"), Some(Call::Read("Patient")));
        assert_eq!(Call::of("/search/Patient"), Some(Call::Search("Patient")));
        assert_eq!(Call::of("/export/"), Some(Call::Export("")));
        assert_eq!(Call::of("/export/Group/7"), Some(Call::Export("Group/7")));
        assert_eq!(Call::of("/shoe/7"), None);
    }

    #[test]
    fn where_an_export_stands_is_told_by_a_place() {
        let begun = Standing::of("/status?job=1:2");
        assert_eq!((begun.status, begun.read), ("/status?job=1:2", None));
        let read = Standing::of("3:4096:/status?job=1:2");
        assert_eq!(
            (read.status, read.read),
            ("/status?job=1:2", Some((3, 4096)))
        );
    }
}

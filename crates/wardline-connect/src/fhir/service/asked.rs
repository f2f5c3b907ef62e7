//! A request, read from its head.

use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, Method};

use super::Endpoint;
use super::answer::Problem;
use crate::scim::{segments, unescaped};

/// What is asked for.
pub(crate) struct Asked {
    pub(super) method: Method,
    /// The segments below the service's address.
    pub(super) segments: Vec<String>,
    pub(super) query: Query,
    pub(super) if_match: Option<String>,
    pub(super) if_none_match: Option<String>,
    pub(super) if_none_exist: Option<String>,
    /// Whether what is not understood is refused.
    pub(super) strict: bool,
    /// Whether the answer to a change needs no resource.
    pub(super) minimal: bool,
    /// Whether the body is a form, and not JSON.
    pub(super) form: bool,
    /// The service's address, as answers name it.
    pub(super) base: String,
}

/// The parameters of a question, in their order.
#[derive(Debug, Default, Clone)]
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    /// Reads what stands behind the `?`.
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let all = text.split('&').filter(|one| !one.is_empty()).map(|one| {
            let (name, value) = one.split_once('=').unwrap_or((one, ""));
            Some((unescaped(name, true)?, unescaped(value, true)?))
        });
        let all: Option<Vec<_>> = all.collect();
        all.map(Self)
            .ok_or_else(|| Problem::new(400, "invalid", "the query is not escaped as it should be"))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn text(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Option<String> {
    // What cannot be read is there all the same, and is like nothing.
    let value = headers.get(name)?;
    Some(value.to_str().unwrap_or_default().to_owned())
}

/// Whether a media type is JSON of FHIR.
fn is_json(kind: &str) -> bool {
    matches!(
        essence(kind).as_str(),
        "application/fhir+json"
            | "application/fhir json"
            | "application/json"
            | "application/json+fhir"
            | "text/json"
            | "json"
    )
}

fn essence(kind: &str) -> String {
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

impl Asked {
    /// Reads the head of a request.
    pub(crate) fn read(endpoint: &Endpoint, head: &Parts) -> Result<Self, Problem> {
        let headers = &head.headers;
        let query = Query::read(head.uri.query().unwrap_or_default())?;
        let wanted = match query.get("_format") {
            Some(format) => is_json(format),
            None => text(headers, ACCEPT).is_none_or(|accept| {
                accept.split(',').any(|one| {
                    is_json(one) || matches!(essence(one).as_str(), "*/*" | "application/*" | "")
                })
            }),
        };
        if !wanted {
            let what = "answers are JSON (application/fhir+json) and nothing else";
            return Err(Problem::new(406, "not-supported", what));
        }
        let kind = text(headers, CONTENT_TYPE).unwrap_or_default();
        let form = essence(&kind) == "application/x-www-form-urlencoded";
        let sends = matches!(head.method, Method::POST | Method::PUT);
        let path = head.uri.path();
        let below = path.strip_prefix(&endpoint.path).unwrap_or(path);
        let segments = segments(below).ok_or_else(Problem::not_found)?;
        let searches = segments.get(1).is_some_and(|one| one == "_search");
        if sends && !(kind.is_empty() || is_json(&kind)) && !(form && searches) {
            let what = "resources are taken as JSON (application/fhir+json) and nothing else";
            return Err(Problem::new(415, "not-supported", what));
        }
        let prefer = text(headers, "prefer").unwrap_or_default();
        let prefers = |word: &str| {
            let mut all = prefer.split([',', ';']);
            all.any(|one| one.trim().eq_ignore_ascii_case(word))
        };
        Ok(Self {
            method: head.method.clone(),
            segments,
            query,
            if_match: text(headers, IF_MATCH),
            if_none_match: text(headers, IF_NONE_MATCH),
            if_none_exist: text(headers, HeaderName::from_static("if-none-exist")),
            strict: prefers("handling=strict"),
            minimal: prefers("return=minimal"),
            form,
            base: endpoint.base(head.uri.authority(), text(headers, HOST)),
        })
    }
}

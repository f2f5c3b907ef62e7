//! The contract of an Api, held while it is served.

use super::documents;
use crate::plan::Operation;
use crate::problem::{Kind, Problem, Violation};
use crate::seam::{Contract, Facts, Scanner};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use wardline_contract::json::{Limits, Scanner as JsonScanner};
use wardline_contract::{Compiled, Options, Payload, xml};
use wardline_estate::model::{Api, Estate};

/// The compiled contract of an Api and what its bodies may be.
struct Held {
    compiled: Compiled,
    limits: Limits,
    xml: xml::Limits,
}

/// The contract of an Api; `None` where none can be made, which `check` has told.
pub(super) fn of(estate: &Estate, api: &Api) -> Option<Arc<dyn Contract>> {
    let contract = documents::contract(estate, api).ok()?;
    let compiled = Compiled::new(&contract, Options::default()).ok()?;
    let limits = Limits {
        depth: api.limits.depth,
        keys: api.limits.keys,
        // Keys and items are what a document's values are.
        nodes: api.limits.keys.saturating_add(1),
        string: u32::try_from(api.limits.string).unwrap_or(u32::MAX),
        bytes: api.limits.body,
        ..Limits::default()
    };
    let xml = xml::Limits {
        depth: limits.depth,
        nodes: limits.keys,
        string: limits.string,
        bytes: limits.bytes,
    };
    Some(Arc::new(Held {
        compiled,
        limits,
        xml,
    }))
}

/// Whether an operation's bodies are XML.
fn is_xml(operation: &Operation) -> bool {
    let mut types = operation.content_types.iter();
    types.any(|media| xml::MEDIA.contains(&&**media))
}

fn told(violations: Vec<wardline_contract::Violation>) -> Vec<Violation> {
    violations
        .into_iter()
        .map(|one| Violation {
            pointer: one.pointer,
            rule: one.rule.into_owned(),
            detail: one.detail.into_owned(),
        })
        .collect()
}

impl Contract for Held {
    fn scanner(&self, operation: &Operation) -> Option<Box<dyn Scanner>> {
        if is_xml(operation) {
            return Some(Box::new(WatchingXml(xml::Scanner::new(self.xml))));
        }
        Some(Box::new(Watching(Some(JsonScanner::new(&self.limits)))))
    }

    fn request(
        &self,
        operation: &Operation,
        facts: &Facts<'_>,
        body: &Bytes,
    ) -> Result<(), Vec<Violation>> {
        if is_xml(operation) && !body.is_empty() {
            well_formed(facts.headers, body)?;
        }
        let Some(id) = self.compiled.operation(&operation.name) else {
            return Ok(());
        };
        let params: Vec<(&str, &str)> = facts.params.iter().collect();
        let payload = Payload::Bytes(body);
        let found = self
            .compiled
            .request(id, &params, facts.query, facts.headers, payload);
        if found.is_empty() {
            Ok(())
        } else {
            Err(told(found))
        }
    }

    fn response(
        &self,
        operation: &Operation,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<(), Vec<Violation>> {
        let Some(id) = self.compiled.operation(&operation.name) else {
            return Ok(());
        };
        let found = self
            .compiled
            .response(id, status, headers, Payload::Bytes(body));
        if found.is_empty() {
            Ok(())
        } else {
            Err(told(found))
        }
    }
}

/// What the scanner could not see while the body arrived.
fn well_formed(headers: &HeaderMap, body: &[u8]) -> Result<(), Vec<Violation>> {
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let judged = match kind {
        Some(kind) if !xml::is_utf8(kind) => Err(xml::Refusal::Encoding),
        _ => xml::judge(body),
    };
    judged.map_err(|refusal| {
        vec![Violation {
            pointer: String::new(),
            rule: crate::serve::XML.to_owned(),
            detail: refusal.to_string(),
        }]
    })
}

/// Looks at XML while it arrives.
struct WatchingXml(xml::Scanner);

impl Scanner for WatchingXml {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.0.feed(bytes).map_err(refused_xml)
    }

    fn finish(&mut self) -> Result<(), Problem> {
        self.0.finish().map_err(refused_xml)
    }
}

fn refused_xml(refusal: xml::Refusal) -> Problem {
    match refusal.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Kind::BodyTooLarge.into(),
        _ => Problem::new(Kind::NotXml).detail(refusal.to_string()),
    }
}

/// Looks at a body while it arrives.
struct Watching(Option<JsonScanner>);

impl Scanner for Watching {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        match &mut self.0 {
            Some(scanner) => scanner.feed(bytes).map_err(refused),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), Problem> {
        match self.0.take() {
            Some(scanner) => scanner.finish().map(drop).map_err(refused),
            None => Ok(()),
        }
    }
}

fn refused(refusal: wardline_contract::json::Refusal) -> Problem {
    match refusal.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Kind::BodyTooLarge.into(),
        _ => Problem::new(Kind::NotJson).detail(refusal.to_string()),
    }
}

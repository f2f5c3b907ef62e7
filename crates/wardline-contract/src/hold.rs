//! Requests and answers held against a contract, on the way of every call.
//!
//! Everything is compiled once ([`Compiled::new`]); holding what is right costs the parsing of its
//! JSON and one pass of the validator. What is wrong is told by place and rule and **never by
//! value**, so that violations may be answered, logged and counted.
//!
//! [`Compiled::request`] takes a body that is at hand. Limits belong before it, while the body is
//! read: [`json::Scanner`](crate::json::Scanner).

mod body;
mod parameter;
mod violation;

pub use body::Payload;
pub use violation::{Violation, Wrong};

use ahash::AHashMap;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::codes;
use crate::description::{Method, Place};
use crate::read::{Contract, Finding, Promise, Status};
use body::{Content, HeldContent};
use parameter::HeldParameter;

/// At most so many violations are told of one request or answer.
pub const VIOLATIONS: usize = 20;

/// How strictly requests are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What becomes of query parameters that the contract does not name.
    pub unknown_query: UnknownQuery,
}

/// What becomes of query parameters that the contract does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownQuery {
    /// The request is refused: a misspelt filter would otherwise silently mean no filter.
    #[default]
    Refuse,
    /// They are let through.
    Ignore,
}

/// An operation of a [`Compiled`] contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationId(usize);

/// A contract that requests and answers can be held against.
#[derive(Debug)]
pub struct Compiled {
    operations: Vec<Held>,
    names: AHashMap<Box<str>, OperationId>,
    options: Options,
}

#[derive(Debug)]
struct Held {
    method: Method,
    template: Vec<Segment>,
    parameters: Vec<HeldParameter>,
    body: Option<HeldContent>,
    body_required: bool,
    answers: Vec<HeldAnswer>,
}

#[derive(Debug)]
struct HeldAnswer {
    status: Status,
    content: HeldContent,
    required_headers: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    // Literals sort first, and so win.
    Literal(Box<str>),
    Name(Box<str>),
}

/// An operation that a path belongs to, and the values in the path, percent-encoded as they came.
pub type Found<'c, 'p> = (OperationId, Vec<(&'c str, &'p str)>);

impl Compiled {
    /// Compiles every schema of a contract.
    ///
    /// # Errors
    /// With a [`Finding`] for each schema that is none, or has a pattern that cannot be matched in
    /// linear time.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use wardline_contract::{Compiled, Contract, Options, Payload};
    /// let document = serde_json::json!({
    ///     "openapi": "3.1.0",
    ///     "info": { "title": "Beds", "version": "1.0.0" },
    ///     "paths": { "/beds/{ward}": { "get": {
    ///         "operationId": "list",
    ///         "parameters": [
    ///             { "name": "ward", "in": "path", "required": true, "schema": { "maxLength": 3 } },
    ///             { "name": "limit", "in": "query", "schema": { "type": "integer" } }
    ///         ],
    ///         "responses": { "204": { "description": "Nothing." } }
    ///     } } }
    /// });
    /// let contract = Contract::read(&document).0.expect("it is usable");
    /// let compiled = Compiled::new(&contract, Options::default()).expect("its schemas compile");
    /// let list = compiled.operation("list").expect("it is there");
    /// let violations = compiled.request(
    ///     list, &[("ward", "4W")], Some("limit=ten"), &HeaderMap::new(), Payload::Bytes(b""),
    /// );
    /// assert_eq!(violations[0].to_string(), "query:limit: must be an integer");
    /// ```
    pub fn new(contract: &Contract, options: Options) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut operations = Vec::new();
        let mut names = AHashMap::new();
        for promise in &contract.promises {
            let held = hold(promise, &contract.root, &mut findings);
            if let Some(name) = &promise.name {
                names.insert(name.clone().into_boxed_str(), OperationId(operations.len()));
            }
            operations.push(held);
        }
        if findings.is_empty() {
            Ok(Self {
                operations,
                names,
                options,
            })
        } else {
            Err(findings)
        }
    }

    /// The operation with this `operationId`.
    pub fn operation(&self, name: &str) -> Option<OperationId> {
        self.names.get(name).copied()
    }

    /// The operation that a method and a path (without the base) belong to. Where more than one
    /// template fits, the one whose first differing segment is literal wins: `/users/me` before
    /// `/users/{id}`. For checks and tools; a gateway has routes of its own.
    pub fn find<'c, 'p>(&'c self, method: Method, path: &'p str) -> Option<Found<'c, 'p>> {
        let segments: Vec<&str> = path.split('/').collect();
        let fits = |held: &&(usize, &Held)| {
            let held = held.1;
            held.method == method
                && held.template.len() == segments.len()
                && held.template.iter().zip(&segments).all(|pair| match pair {
                    (Segment::Literal(literal), segment) => **literal == **segment,
                    (Segment::Name(_), segment) => !segment.is_empty(),
                })
        };
        let all = self.operations.iter().enumerate();
        let kind = |held: &Held| -> Vec<bool> {
            let template = held.template.iter();
            template
                .map(|segment| matches!(segment, Segment::Name(_)))
                .collect()
        };
        let (index, held) = all
            .collect::<Vec<_>>()
            .into_iter()
            .filter(|held| fits(&held))
            .min_by_key(|(_, held)| kind(held))?;
        let params = held.template.iter().zip(segments);
        let params = params.filter_map(|(segment, value)| match segment {
            Segment::Name(name) => Some((&**name, value)),
            Segment::Literal(_) => None,
        });
        Some((OperationId(index), params.collect()))
    }

    /// What is wrong with a request; empty where nothing is.
    ///
    /// `params` are the values in the path by name, percent-encoded as they came; `query` is what
    /// follows the `?`.
    pub fn request(
        &self,
        operation: OperationId,
        params: &[(&str, &str)],
        query: Option<&str>,
        headers: &HeaderMap,
        payload: Payload<'_>,
    ) -> Vec<Violation> {
        let mut found = Vec::new();
        let Some(held) = self.operations.get(operation.0) else {
            return found;
        };
        parameter::path(&held.parameters, params, &mut found);
        let ignore = self.options.unknown_query == UnknownQuery::Ignore;
        parameter::query(&held.parameters, query, ignore, &mut found);
        parameter::headers(&held.parameters, headers, &mut found);
        match &held.body {
            Some(content) => {
                if payload.is_empty() {
                    if held.body_required {
                        found.push(Violation::contract("", "required", "a body is required"));
                    }
                } else {
                    content.hold(headers, payload, &mut found);
                }
            }
            None if payload.is_empty() => {}
            None => found.push(Violation::contract(
                "",
                "body",
                "this operation takes no body",
            )),
        }
        found.truncate(VIOLATIONS);
        found
    }

    /// What is wrong with an answer; empty where nothing is.
    pub fn response(
        &self,
        operation: OperationId,
        status: StatusCode,
        headers: &HeaderMap,
        payload: Payload<'_>,
    ) -> Vec<Violation> {
        let mut found = Vec::new();
        let Some(held) = self.operations.get(operation.0) else {
            return found;
        };
        let code = status.as_u16();
        let class = (code / 100) as u8;
        let answer = [Status::Exactly(code), Status::Class(class), Status::Default]
            .iter()
            .find_map(|wanted| held.answers.iter().find(|answer| answer.status == *wanted));
        let Some(answer) = answer else {
            found.push(Violation::contract(
                "",
                "status",
                format!("the contract has no answer {code}"),
            ));
            return found;
        };
        for name in &answer.required_headers {
            if !headers.contains_key(name.as_str()) {
                found.push(Violation::contract(
                    format!("header:{name}"),
                    "required",
                    "this header is required",
                ));
            }
        }
        let bare = held.method == Method::Head || matches!(code, 204 | 304);
        match (payload.is_empty(), bare || answer.content.is_empty()) {
            (true, true) => {}
            (false, true) => found.push(Violation::contract(
                "",
                "body",
                "the contract has no content here",
            )),
            (true, false) => found.push(Violation::contract("", "required", "content is missing")),
            (false, false) => answer.content.hold(headers, payload, &mut found),
        }
        found.truncate(VIOLATIONS);
        found
    }
}

fn hold(promise: &Promise, root: &Value, findings: &mut Vec<Finding>) -> Held {
    let template = promise.path.split('/').map(|segment| {
        let name = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) => Segment::Name(name.into()),
            None => Segment::Literal(segment.into()),
        }
    });
    let parameters = promise.parameters.iter().filter_map(|parameter| {
        HeldParameter::new(parameter, root)
            .map_err(|error| findings.push(uncompiled(&parameter.pointer, &error)))
            .ok()
    });
    let parameters = parameters.collect();
    let mut content = |content: &Content, way, at: &str| {
        HeldContent::new(content, root, way)
            .map_err(|error| findings.push(uncompiled(at, &error)))
            .unwrap_or_default()
    };
    let body = promise
        .body
        .as_ref()
        .map(|body| content(&body.content, body::Way::Request, &body.pointer));
    let answers = promise.answers.iter().map(|answer| HeldAnswer {
        status: answer.status,
        content: content(&answer.content, body::Way::Answer, &answer.pointer),
        required_headers: answer.required_headers.clone(),
    });
    Held {
        method: promise.method,
        template: template.collect(),
        parameters,
        body,
        body_required: promise.body.as_ref().is_some_and(|body| body.required),
        answers: answers.collect(),
    }
}

fn uncompiled(at: &str, error: &str) -> Finding {
    Finding::error(
        codes::SCHEMA,
        at,
        format!("the schema cannot be compiled: {error}"),
    )
}

/// The word of a place in a violation: `query:limit`.
fn place(place: Place, name: &str) -> String {
    format!("{}:{name}", place.key())
}

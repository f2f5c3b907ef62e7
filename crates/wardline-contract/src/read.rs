//! OpenAPI documents, 3.0 and 3.1, as the promises they hold.
//!
//! References among parameters, bodies and answers are followed; schemas keep theirs, into
//! `#/components/schemas`. What 3.0 says in its own way (`nullable`, boolean `exclusiveMinimum`) is
//! rewritten as 3.1, so that nobody after this cares which it was. Nothing is fetched.

mod dialect;
mod parts;

pub(crate) use parts::essence;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value, json};
use wardline_core::Code;

use crate::codes;
use crate::description::{ApiDescription, Method, Place};
use crate::generate::{GenerateError, generate};
use crate::schema::{component, escape, follow, references};

/// What an OpenAPI document promises.
#[derive(Clone, Debug)]
pub struct Contract {
    /// `info.title`.
    pub title: String,
    /// `info.version`.
    pub version: String,
    /// The path of the first server, without a slash at its end: what all paths begin with.
    pub base: String,
    /// Each path and method, in the order of the document.
    pub promises: Vec<Promise>,
    /// `{"components": {"schemas": …}}`, which the schemas of promises refer to.
    pub(crate) root: Value,
}

/// One path and method of a contract.
#[derive(Clone, Debug)]
pub struct Promise {
    /// `operationId`.
    pub name: Option<String>,
    /// Method.
    pub method: Method,
    /// Path template without the base.
    pub path: String,
    /// Parameters of the operation and its path.
    pub parameters: Vec<PromisedParameter>,
    /// The body it takes.
    pub body: Option<PromisedBody>,
    /// The answers it gives.
    pub answers: Vec<PromisedAnswer>,
    /// Scopes that any of its security requirements names.
    pub scopes: BTreeSet<String>,
    /// Whether a caller must prove who they are.
    pub secured: bool,
    /// Whether it is deprecated.
    pub deprecated: bool,
    /// JSON Pointer to it in the document.
    pub pointer: String,
}

impl Promise {
    /// `POST /suppliers`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// How a parameter that is a list or an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// One value; lists are separated by this character.
    Separated(char),
    /// Lists repeat the parameter.
    Repeated,
    /// `name[key]=value`.
    DeepObject,
    /// One JSON text (`content`).
    Json,
}

/// A parameter of a promise.
#[derive(Clone, Debug)]
pub struct PromisedParameter {
    /// Name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it may be there without a value.
    pub may_be_empty: bool,
    /// What its value must be.
    pub schema: Value,
    pub(crate) style: Style,
    /// JSON Pointer to it in the document.
    pub pointer: String,
}

/// A body that a promise takes.
#[derive(Clone, Debug)]
pub struct PromisedBody {
    /// Whether it must be there.
    pub required: bool,
    /// Media types or ranges, lower case and without parameters, each with its schema if it has one.
    pub content: Vec<(String, Option<Value>)>,
    /// JSON Pointer to it in the document.
    pub pointer: String,
}

/// For which statuses an answer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Exactly this.
    Exactly(u16),
    /// All of this hundred: 2 for `2XX`.
    Class(u8),
    /// All that no other answer stands for.
    Default,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(status) => write!(f, "{status}"),
            Self::Class(class) => write!(f, "{class}XX"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// An answer of a promise.
#[derive(Clone, Debug)]
pub struct PromisedAnswer {
    /// When it comes.
    pub status: Status,
    /// Media types or ranges, each with its schema if it has one. Empty: no content is promised.
    pub content: Vec<(String, Option<Value>)>,
    /// Headers that must be there.
    pub required_headers: Vec<String>,
    /// JSON Pointer to it in the document.
    pub pointer: String,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; the contract is usable.
    Warning,
    /// The contract cannot be used as it is.
    Error,
}

/// Something that is wrong with a contract.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Stable code, explained in [`codes::ALL`].
    pub code: Code,
    /// JSON Pointer into the document; the place in the file is that of the longest part of it
    /// that exists there.
    pub pointer: String,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub help: Option<String>,
}

impl Finding {
    pub(crate) fn error(code: Code, pointer: &str, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            pointer: pointer.to_owned(),
            text: text.into(),
            help: None,
        }
    }

    pub(crate) fn warning(code: Code, pointer: &str, text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, pointer, text)
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "/"
        } else {
            &self.pointer
        };
        write!(f, "{} at {place}: {}", self.code, self.text)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl Contract {
    /// Reads a document. Also gives what is wrong with it; `None` where nothing of it is usable.
    ///
    /// ```
    /// use wardline_contract::Contract;
    /// let document = serde_json::json!({
    ///     "openapi": "3.1.0",
    ///     "info": { "title": "Beds", "version": "1.0.0" },
    ///     "paths": { "/beds": { "get": { "responses": { "200": { "description": "All." } } } } }
    /// });
    /// let (contract, findings) = Contract::read(&document);
    /// assert!(findings.is_empty());
    /// assert_eq!(contract.expect("it is usable").promises[0].line(), "GET /beds");
    /// ```
    pub fn read(document: &Value) -> (Option<Self>, Vec<Finding>) {
        let mut reader = Reader {
            document,
            three_zero: false,
            findings: Vec::new(),
        };
        let contract = reader.contract();
        (contract, reader.findings)
    }

    /// The contract of an Api that gives none: what [`generate`] writes, read.
    ///
    /// # Errors
    /// Where the description contradicts itself.
    pub fn of(api: &ApiDescription) -> Result<Self, GenerateError> {
        let (contract, findings) = Self::read(&generate(api)?);
        debug_assert!(
            findings.iter().all(|f| f.severity != Severity::Error),
            "{findings:?}"
        );
        Ok(contract.unwrap_or_else(|| Self {
            title: api.title.clone(),
            version: api.version.clone(),
            base: api.base.clone(),
            promises: Vec::new(),
            root: json!({}),
        }))
    }

    /// The promise with this `operationId`.
    pub fn promise(&self, name: &str) -> Option<&Promise> {
        self.promises
            .iter()
            .find(|promise| promise.name.as_deref() == Some(name))
    }
}

struct Reader<'a> {
    document: &'a Value,
    three_zero: bool,
    findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    fn contract(&mut self) -> Option<Contract> {
        let version = self.document.get("openapi").and_then(Value::as_str);
        match version {
            Some(version) if version.starts_with("3.1") => {}
            Some(version) if version.starts_with("3.0") => self.three_zero = true,
            _ => {
                let (at, text) = if self.document.get("swagger").is_some() {
                    (
                        "/swagger",
                        "this is Swagger 2.0; OpenAPI 3.0 and 3.1 are read",
                    )
                } else if version.is_some() {
                    ("/openapi", "only OpenAPI 3.0 and 3.1 are read")
                } else {
                    ("", "this is not an OpenAPI document: it has no `openapi`")
                };
                self.findings
                    .push(Finding::error(codes::NOT_A_CONTRACT, at, text));
                return None;
            }
        }
        let Some(paths) = self.document.get("paths").and_then(Value::as_object) else {
            self.findings.push(Finding::error(
                codes::NOT_A_CONTRACT,
                "/paths",
                "the document has no `paths`",
            ));
            return None;
        };
        let root = self.components();
        let mut promises = Vec::new();
        for (path, item) in paths {
            if !path.starts_with('/') {
                if !path.starts_with("x-") {
                    let at = format!("/paths/{}", escape(path));
                    self.malformed(&at, "a path begins with `/`");
                }
                continue;
            }
            let at = format!("/paths/{}", escape(path));
            let Some((item, at)) = self.resolve(item, at) else {
                continue;
            };
            for method in Method::ALL {
                if let Some(operation) = item.get(method.key()) {
                    let at = format!("{at}/{}", method.key());
                    let promise = self.promise(path, method, item, operation, at);
                    promises.extend(promise);
                }
            }
        }
        self.references(&promises, &root);
        let text = |key: &str| {
            let text = self.document.get("info").and_then(|info| info.get(key));
            text.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Some(Contract {
            title: text("title"),
            version: text("version"),
            base: self.base(),
            promises,
            root,
        })
    }

    /// The path of the first server.
    fn base(&self) -> String {
        let url = self.document.pointer("/servers/0/url");
        let url = url.and_then(Value::as_str).unwrap_or_default();
        let path = match url.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
            None => url,
        };
        path.trim_end_matches('/').to_owned()
    }

    fn components(&mut self) -> Value {
        let mut schemas = Map::new();
        let given = self.document.pointer("/components/schemas");
        for (name, schema) in given.and_then(Value::as_object).into_iter().flatten() {
            let at = format!("/components/schemas/{}", escape(name));
            schemas.insert(name.clone(), self.schema(schema, &at));
        }
        json!({ "components": { "schemas": schemas } })
    }

    /// A schema as 3.1 has it.
    fn schema(&mut self, schema: &Value, at: &str) -> Value {
        let mut schema = schema.clone();
        if !schema.is_object() && !schema.is_boolean() {
            self.malformed(at, "a schema is an object");
            return Value::Bool(true);
        }
        if let Some(what) = dialect::to_three_one(&mut schema, self.three_zero) {
            self.findings.push(
                Finding::error(
                    codes::UNSUPPORTED,
                    at,
                    format!("`{what}` is not supported in a contract's schema"),
                )
                .help("refer by `#/components/schemas/…`"),
            );
        }
        schema
    }

    /// Whether every reference of a schema leads somewhere.
    fn references(&mut self, promises: &[Promise], root: &Value) {
        let mut all: Vec<(String, BTreeSet<String>)> = Vec::new();
        let schemas = root.pointer("/components/schemas");
        for (name, schema) in schemas.and_then(Value::as_object).into_iter().flatten() {
            let at = format!("/components/schemas/{}", escape(name));
            all.push((at, references(schema)));
        }
        for promise in promises {
            for parameter in &promise.parameters {
                all.push((parameter.pointer.clone(), references(&parameter.schema)));
            }
            let bodies = promise
                .body
                .iter()
                .map(|body| (&body.pointer, &body.content));
            let answers = promise.answers.iter().map(|a| (&a.pointer, &a.content));
            for (at, content) in bodies.chain(answers) {
                for (media, schema) in content {
                    let at = format!("{at}/content/{}", escape(media));
                    all.extend(schema.as_ref().map(|schema| (at, references(schema))));
                }
            }
        }
        let mut told = BTreeSet::new();
        for (at, targets) in all {
            for target in targets {
                if !told.insert((at.clone(), target.clone())) {
                    continue;
                }
                if component(&target).is_none() {
                    self.findings.push(
                        Finding::error(
                            codes::UNSUPPORTED,
                            &at,
                            format!("the schema refers to `{target}`, and nothing but the document's components is read"),
                        )
                        .help("put it under components/schemas and refer by `#/components/schemas/…`"),
                    );
                } else if follow(root, &target).is_none() {
                    self.malformed(&at, format!("`{target}` leads nowhere"));
                }
            }
        }
    }

    /// An object of the document, after the references that may stand for it.
    fn resolve(&mut self, value: &'a Value, at: String) -> Option<(&'a Value, String)> {
        let (mut value, mut at) = (value, at);
        for _ in 0..8 {
            let Some(target) = value.get("$ref").and_then(Value::as_str) else {
                if value.is_object() {
                    return Some((value, at));
                }
                self.malformed(&at, "expected an object");
                return None;
            };
            match follow(self.document, target) {
                Some(found) => {
                    value = found;
                    target.trim_start_matches('#').clone_into(&mut at);
                }
                None if target.starts_with('#') => {
                    self.malformed(&at, format!("`{target}` leads nowhere"));
                    return None;
                }
                None => {
                    self.findings.push(Finding::error(
                        codes::UNSUPPORTED,
                        &at,
                        format!("`{target}` is another document, and nothing is fetched"),
                    ));
                    return None;
                }
            }
        }
        self.malformed(
            &at,
            "references lead in a circle or through too many others",
        );
        None
    }

    fn malformed(&mut self, at: &str, text: impl Into<String>) {
        self.findings
            .push(Finding::error(codes::MALFORMED, at, text));
    }
}

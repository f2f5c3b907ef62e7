//! What an Api is, as far as its contract is concerned: the input of this crate.
//!
//! The estate's own model is richer. Whoever joins the two fills an [`ApiDescription`] from an Api
//! of the estate: `name`, `title`, `version`, `base`; an [`Operation`] for each of its operations
//! (`accepts`/`returns` are names of entities); an [`Entity`] for each entity that an operation
//! names, with the JSON Schema that the estate has already read.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// A method that OpenAPI can describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Replaces.
    Put,
    /// Creates or acts.
    Post,
    /// Removes.
    Delete,
    /// Asks what is possible.
    Options,
    /// Reads, without the content.
    Head,
    /// Changes in part.
    Patch,
    /// Echoes.
    Trace,
}

impl Method {
    /// All of them, in the order in which OpenAPI names them.
    pub const ALL: [Self; 8] = [
        Self::Get,
        Self::Put,
        Self::Post,
        Self::Delete,
        Self::Options,
        Self::Head,
        Self::Patch,
        Self::Trace,
    ];

    /// The key that OpenAPI has for it: `get`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Post => "post",
            Self::Delete => "delete",
            Self::Options => "options",
            Self::Head => "head",
            Self::Patch => "patch",
            Self::Trace => "trace",
        }
    }

    /// Whether it may change something: not GET, HEAD, OPTIONS, TRACE (RFC 9110, 9.2.1).
    pub const fn writes(self) -> bool {
        matches!(self, Self::Put | Self::Post | Self::Delete | Self::Patch)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.key().to_ascii_uppercase())
    }
}

/// A word that is no method of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of GET, PUT, POST, DELETE, OPTIONS, HEAD, PATCH, TRACE")]
pub struct UnknownMethod;

impl FromStr for Method {
    type Err = UnknownMethod;

    /// Reads `get` or `GET`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|method| method.key().eq_ignore_ascii_case(text))
            .ok_or(UnknownMethod)
    }
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In the path, as `{name}`.
    Path,
    /// After the `?`.
    Query,
    /// Among the headers.
    Header,
}

impl Place {
    /// The word that OpenAPI has for it.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// An Api, one version of it.
#[derive(Clone, Debug, Default)]
pub struct ApiDescription {
    /// Its name in the estate.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its version (semver).
    pub version: String,
    /// What all its paths begin with: `/supplier-master/v1`. Empty or without a slash at its end.
    pub base: String,
    /// Addresses it is served at, without `base`: `https://api.example.org`. Empty: the address
    /// from which the document was read.
    pub servers: Vec<String>,
    /// Where clients get tokens. A path is relative to the server.
    pub token_url: Option<String>,
    /// Whether the whole version is deprecated (a `Deprecation` header is sent).
    pub deprecated: bool,
    /// Its operations.
    pub operations: Vec<Operation>,
    /// The entities that its operations name.
    pub entities: Vec<Entity>,
}

/// One operation of an Api.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    /// Its name in the estate; `operationId` in the contract.
    pub name: String,
    /// What it does, in few words.
    pub title: String,
    /// How it is called. `None` stands for GET.
    pub method: Option<Method>,
    /// Path template without `base`: `/suppliers/{id}`.
    pub path: String,
    /// Parameters. Those of the path that are not listed are texts that can stand in one segment.
    pub parameters: Vec<Parameter>,
    /// Entity in the request.
    pub accepts: Option<String>,
    /// Entity in the answer.
    pub returns: Option<String>,
    /// The answer is a list of the entity.
    pub list: bool,
    /// Bodies are XML ([`crate::xml::MEDIA`]) and not held against the entities.
    pub xml: bool,
    /// Scope that a caller needs; `None` where anybody may call.
    pub scope: Option<String>,
    /// Answered 202 once durable, with the address of a status.
    pub asynchronous: bool,
    /// Takes an `Idempotency-Key`.
    pub idempotency_key: bool,
    /// On its way out.
    pub deprecated: bool,
    /// Statuses of success. Empty: what [`Operation::success`] says.
    pub statuses: Vec<u16>,
}

impl Operation {
    /// How it is called.
    pub fn method(&self) -> Method {
        self.method.unwrap_or(Method::Get)
    }

    /// Statuses of success: as declared; otherwise 202 where asynchronous, 200 (and 201 where it
    /// creates) with an entity, 204 (and 200, 201 without content) without.
    pub fn success(&self) -> Vec<u16> {
        if !self.statuses.is_empty() {
            return self.statuses.clone();
        }
        match (self.asynchronous, &self.returns, self.method()) {
            (true, ..) => vec![202],
            (_, Some(_), Method::Post | Method::Put) => vec![200, 201],
            (_, Some(_), _) => vec![200],
            (_, None, Method::Post | Method::Put) => vec![200, 201, 204],
            (_, None, _) => vec![200, 204],
        }
    }
}

/// A parameter of an operation.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Whether it must be there; always so in a path.
    pub required: bool,
    /// What it is for.
    pub description: Option<String>,
    /// What its value must be.
    pub schema: Value,
}

/// An entity and its schema.
#[derive(Clone, Debug)]
pub struct Entity {
    /// Its name in the estate; its name among the components of the contract.
    pub name: String,
    /// JSON Schema, draft 2020-12, that refers only within itself.
    pub schema: Value,
}

/// The names in a path template, in order: `/a/{b}/c/{d}` has `b` and `d`.
///
/// ```
/// let names: Vec<_> = wardline_contract::template_names("/a/{b}/c/{d}").collect();
/// assert_eq!(names, ["b", "d"]);
/// ```
pub fn template_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// A path template without the names: `/a/{}/c/{}`. Two templates of one shape are one path.
pub(crate) fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    let mut inside = false;
    for character in path.trim_end_matches('/').chars() {
        match character {
            '{' => inside = true,
            '}' => inside = false,
            _ if inside => continue,
            _ => {}
        }
        shape.push(character);
    }
    shape
}

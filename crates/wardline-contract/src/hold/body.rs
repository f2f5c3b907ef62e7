//! Bodies: their content type against the list of the contract, their JSON against its schema.

use ahash::AHashSet;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use super::violation::{Violation, Wrong};
use crate::read::essence;
use crate::schema::{bundle, walk};

/// Media types or ranges, each with its schema if it has one.
pub(super) type Content = Vec<(String, Option<Value>)>;

/// A body, as it came or as it was read already.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// The bytes after content codings are undone. No bytes: no body.
    Bytes(&'a [u8]),
    /// The value, where somebody has parsed it already.
    Json(&'a Value),
}

impl Payload<'_> {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Payload::Bytes([]))
    }
}

/// Which way a body goes: what is `readOnly` need not be in a request, what is `writeOnly` need not
/// be in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Request,
    Answer,
}

/// A schema that is compiled, and the names it knows.
#[derive(Debug)]
pub(super) struct HeldSchema {
    validator: Validator,
    names: AHashSet<Box<str>>,
}

impl HeldSchema {
    pub(super) fn new(schema: &Value, root: &Value, way: Way) -> Result<Self, String> {
        let mut schema = bundle(schema, root);
        let mut names = AHashSet::new();
        let flag = match way {
            Way::Request => "readOnly",
            Way::Answer => "writeOnly",
        };
        let mut visit = |map: &mut serde_json::Map<String, Value>| {
            let Some(Value::Object(properties)) = map.get("properties") else {
                return;
            };
            names.extend(properties.keys().map(|name| name.clone().into_boxed_str()));
            let absent: Vec<_> = properties
                .iter()
                .filter(|(_, schema)| schema.get(flag) == Some(&Value::Bool(true)))
                .map(|(name, _)| name.clone())
                .collect();
            if let Some(Value::Array(required)) = map.get_mut("required") {
                required.retain(|name| {
                    let name = name.as_str().unwrap_or_default();
                    !absent.iter().any(|absent| absent == name)
                });
            }
        };
        walk(&mut schema, &mut visit);
        if let Some(Value::Object(components)) = schema.pointer_mut("/components/schemas") {
            for component in components.values_mut() {
                walk(component, &mut visit);
            }
        }
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            // Linear time: contracts may be written by partners, values by anyone.
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(&schema)
            .map_err(|error| error.to_string())?;
        Ok(Self { validator, names })
    }

    pub(super) fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// What is wrong with a value.
    pub(super) fn hold(&self, value: &Value, prefix: &str, found: &mut Vec<Violation>) {
        if self.validator.is_valid(value) {
            return;
        }
        let errors = self.validator.iter_errors(value).take(super::VIOLATIONS);
        found.extend(errors.map(|error| Violation::of(&error, prefix, &self.names)));
    }
}

/// The content of a body or an answer.
#[derive(Debug, Default)]
pub(super) struct HeldContent {
    media: Vec<(String, Option<HeldSchema>)>,
}

impl HeldContent {
    pub(super) fn new(content: &Content, root: &Value, way: Way) -> Result<Self, String> {
        let mut media = Vec::new();
        for (name, schema) in content {
            let schema = match schema {
                Some(schema) if is_json(name) || name.ends_with("/*") => {
                    Some(HeldSchema::new(schema, root, way)?)
                }
                _ => None,
            };
            media.push((name.clone(), schema));
        }
        Ok(Self { media })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.media.is_empty()
    }

    pub(super) fn hold(
        &self,
        headers: &HeaderMap,
        payload: Payload<'_>,
        found: &mut Vec<Violation>,
    ) {
        let refuse = |detail: &'static str| {
            Violation::contract("header:content-type", "content-type", detail)
                .wrong(Wrong::MediaType)
        };
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        let (Some(given), None) = (types.next(), types.next()) else {
            found.push(refuse("exactly one content type is required"));
            return;
        };
        let Ok(given) = given.to_str() else {
            found.push(refuse("the content type cannot be read"));
            return;
        };
        let kind = essence(given);
        let Some((_, schema)) = self.find(&kind) else {
            found.push(refuse("the contract does not take this content type"));
            return;
        };
        if !is_json(&kind) {
            return;
        }
        if !utf8(given) {
            found.push(refuse("JSON is UTF-8"));
            return;
        }
        let parsed;
        let value = match payload {
            Payload::Json(value) => value,
            Payload::Bytes(bytes) => {
                let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
                    let violation = Violation::contract("", "json", "this is not JSON");
                    found.push(violation.wrong(Wrong::Unreadable));
                    return;
                };
                parsed = value;
                &parsed
            }
        };
        if let Some(schema) = schema {
            schema.hold(value, "", found);
        }
    }

    /// The closest of the list: the type itself, then `type/*`, then `*/*`.
    fn find(&self, kind: &str) -> Option<&(String, Option<HeldSchema>)> {
        let exact = self.media.iter().find(|(name, _)| name == kind);
        exact
            .or_else(|| {
                self.media.iter().find(|(name, _)| {
                    let range = name.strip_suffix('*').filter(|range| range.len() > 2);
                    range.is_some_and(|range| kind.starts_with(range))
                })
            })
            .or_else(|| self.media.iter().find(|(name, _)| name == "*/*"))
    }
}

/// `application/json` and all that end with `+json` (RFC 6839).
fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json")
}

/// Whether a content type names no charset but UTF-8.
fn utf8(given: &str) -> bool {
    given.split(';').skip(1).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset")
            || value.eq_ignore_ascii_case("utf-8")
            || value.eq_ignore_ascii_case("us-ascii")
    })
}

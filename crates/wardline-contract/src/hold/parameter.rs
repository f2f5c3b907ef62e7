//! Parameters: text that becomes what its schema expects, and is then held against it.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::body::{HeldSchema, Way};
use super::place;
use super::violation::{Violation, Wrong};
use crate::description::Place;
use crate::read::{PromisedParameter, Style};
use crate::schema::follow;

/// A query may have no more parameters.
const PARAMETERS: usize = 1_000;

/// JSON types as bits.
#[derive(Clone, Copy, Debug, Default)]
struct Types(u8);

impl Types {
    const STRING: u8 = 1;
    const NUMBER: u8 = 2;
    const BOOLEAN: u8 = 4;
    const NULL: u8 = 8;
    const ARRAY: u8 = 16;
    const OBJECT: u8 = 32;

    fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// Of a schema and all that it is composed of.
    fn of(schema: &Value, root: &Value, depth: usize) -> Self {
        let mut types = 0;
        if depth > 16 {
            return Self(types);
        }
        let named = |name: &Value| match name.as_str() {
            Some("string") => Self::STRING,
            Some("number" | "integer") => Self::NUMBER,
            Some("boolean") => Self::BOOLEAN,
            Some("null") => Self::NULL,
            Some("array") => Self::ARRAY,
            Some("object") => Self::OBJECT,
            _ => 0,
        };
        match schema.get("type") {
            Some(Value::Array(names)) => types |= names.iter().map(named).fold(0, |a, b| a | b),
            Some(name) => types |= named(name),
            None => {
                let values = schema.get("enum").and_then(Value::as_array);
                for value in values.into_iter().flatten().chain(schema.get("const")) {
                    types |= match value {
                        Value::String(_) => Self::STRING,
                        Value::Number(_) => Self::NUMBER,
                        Value::Bool(_) => Self::BOOLEAN,
                        Value::Null => Self::NULL,
                        Value::Array(_) => Self::ARRAY,
                        Value::Object(_) => Self::OBJECT,
                    };
                }
            }
        }
        for inner in parts(schema, root) {
            types |= Self::of(inner, root, depth + 1).0;
        }
        Self(types)
    }

    /// The text as the first type that it can be.
    fn read(self, text: &str) -> Value {
        if self.has(Self::NULL) && text.is_empty() {
            return Value::Null;
        }
        let number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if self.has(Self::NUMBER)
            && number
            && let Ok(number @ Value::Number(_)) = serde_json::from_str(text)
        {
            return number;
        }
        match text {
            "true" if self.has(Self::BOOLEAN) => Value::Bool(true),
            "false" if self.has(Self::BOOLEAN) => Value::Bool(false),
            _ => Value::String(text.to_owned()),
        }
    }
}

/// What a schema is composed of.
fn parts<'a>(schema: &'a Value, root: &'a Value) -> Vec<&'a Value> {
    let mut parts = Vec::new();
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        parts.extend(follow(root, target));
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        parts.extend(
            schema
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten(),
        );
    }
    parts
}

/// A keyword of a schema or of what it is composed of.
fn keyword<'a>(schema: &'a Value, root: &'a Value, key: &str, depth: usize) -> Option<&'a Value> {
    if depth > 16 {
        return None;
    }
    schema.get(key).or_else(|| {
        let parts = parts(schema, root);
        parts
            .into_iter()
            .find_map(|inner| keyword(inner, root, key, depth + 1))
    })
}

/// A parameter whose schema is compiled.
#[derive(Debug)]
pub(super) struct HeldParameter {
    name: String,
    place: Place,
    required: bool,
    may_be_empty: bool,
    style: Style,
    types: Types,
    items: Types,
    fields: Vec<(String, Types)>,
    schema: HeldSchema,
}

impl HeldParameter {
    pub(super) fn new(parameter: &PromisedParameter, root: &Value) -> Result<Self, String> {
        let schema = &parameter.schema;
        let items = keyword(schema, root, "items", 0);
        let fields = keyword(schema, root, "properties", 0).and_then(Value::as_object);
        let fields = fields.into_iter().flatten();
        Ok(Self {
            name: match parameter.place {
                Place::Header => parameter.name.to_ascii_lowercase(),
                _ => parameter.name.clone(),
            },
            place: parameter.place,
            required: parameter.required,
            may_be_empty: parameter.may_be_empty,
            style: parameter.style,
            types: Types::of(schema, root, 0),
            items: items.map_or(Types::default(), |items| Types::of(items, root, 0)),
            fields: fields
                .map(|(name, schema)| (name.clone(), Types::of(schema, root, 0)))
                .collect(),
            schema: HeldSchema::new(schema, root, Way::Request)?,
        })
    }

    /// Holds the values that were given for it, at least one.
    fn hold(&self, values: &[Cow<'_, str>], found: &mut Vec<Violation>) {
        let at = || place(self.place, &self.name);
        let repeats = self.style == Style::Repeated && self.types.has(Types::ARRAY);
        if values.len() > 1 && !repeats {
            found.push(Violation::contract(at(), "once", "must be given once"));
            return;
        }
        let text = values.first().map_or("", |value| value);
        if text.is_empty() && self.may_be_empty {
            return;
        }
        let value = match self.style {
            Style::Json => {
                let Ok(value) = serde_json::from_str(text) else {
                    let violation = Violation::contract(at(), "json", "must be JSON");
                    found.push(violation.wrong(Wrong::Unreadable));
                    return;
                };
                value
            }
            _ if repeats => values.iter().map(|value| self.items.read(value)).collect(),
            Style::Separated(separator) if self.types.has(Types::ARRAY) => {
                let items = text.split(separator);
                items.map(|item| self.items.read(item)).collect()
            }
            _ => {
                let value = self.types.read(text);
                // `anyOf` a number or a text: where it is not that number, it may be that text.
                if self.types.has(Types::STRING)
                    && !value.is_string()
                    && !self.schema.is_valid(&value)
                {
                    Value::String(text.to_owned())
                } else {
                    value
                }
            }
        };
        self.schema.hold(&value, &at(), found);
    }

    fn missing(&self, found: &mut Vec<Violation>) {
        if self.required {
            let at = place(self.place, &self.name);
            found.push(Violation::contract(at, "required", "is required"));
        }
    }
}

fn unreadable(at: String) -> Violation {
    Violation::contract(at, "encoding", "must be percent-encoded UTF-8").wrong(Wrong::Unreadable)
}

/// Undoes percent-encoding; `None` where what comes out is not text.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let broken = text.match_indices('%').any(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if broken {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok()
}

/// The same for a query, where `+` is a blank.
fn decode_form(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        let text = text.replace('+', " ");
        return Some(Cow::Owned(decode(&text)?.into_owned()));
    }
    decode(text)
}

/// Holds what stands in the path.
pub(super) fn path(
    parameters: &[HeldParameter],
    params: &[(&str, &str)],
    found: &mut Vec<Violation>,
) {
    let known = parameters.iter().filter(|p| p.place == Place::Path);
    for parameter in known {
        match params.iter().find(|(name, _)| *name == parameter.name) {
            None => parameter.missing(found),
            Some((name, value)) => match decode(value) {
                Some(value) => parameter.hold(&[value], found),
                None => found.push(unreadable(place(Place::Path, name))),
            },
        }
    }
}

/// Holds the query.
pub(super) fn query(
    parameters: &[HeldParameter],
    query: Option<&str>,
    ignore_unknown: bool,
    found: &mut Vec<Violation>,
) {
    let query = query.unwrap_or_default();
    let mut given: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if given.len() == PARAMETERS {
            found.push(Violation::contract(
                "query:*",
                "count",
                "too many parameters",
            ));
            return;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (decode_form(name), decode_form(value)) else {
            found.push(unreadable("query:*".to_owned()));
            return;
        };
        given.push((name, value));
    }
    let mut known = vec![false; given.len()];
    for parameter in parameters.iter().filter(|p| p.place == Place::Query) {
        if parameter.style == Style::DeepObject {
            deep_object(parameter, &given, &mut known, found);
            continue;
        }
        let mut values = Vec::new();
        for (index, (name, value)) in given.iter().enumerate() {
            if *name == parameter.name {
                known[index] = true;
                values.push(value.clone());
            }
        }
        if values.is_empty() {
            parameter.missing(found);
        } else {
            parameter.hold(&values, found);
        }
    }
    // The name is the caller's: it is not repeated.
    if !ignore_unknown && known.contains(&false) {
        let text = "the contract has no such parameter";
        found.push(Violation::contract("query:*", "unknown", text));
    }
}

/// `filter[status]=open&filter[age]=3`.
fn deep_object(
    parameter: &HeldParameter,
    given: &[(Cow<'_, str>, Cow<'_, str>)],
    known: &mut [bool],
    found: &mut Vec<Violation>,
) {
    let mut object = Map::new();
    for (index, (name, value)) in given.iter().enumerate() {
        let key = name
            .strip_prefix(parameter.name.as_str())
            .and_then(|rest| rest.strip_prefix('['))
            .and_then(|rest| rest.strip_suffix(']'));
        let Some(key) = key else { continue };
        known[index] = true;
        let types = parameter.fields.iter().find(|(name, _)| name == key);
        let types = types.map_or(Types(Types::STRING), |(_, types)| *types);
        if object.insert(key.to_owned(), types.read(value)).is_some() {
            let at = place(Place::Query, &parameter.name);
            found.push(Violation::contract(at, "once", "must be given once"));
        }
    }
    if object.is_empty() {
        parameter.missing(found);
    } else {
        let at = place(Place::Query, &parameter.name);
        parameter.schema.hold(&Value::Object(object), &at, found);
    }
}

/// Holds the headers that the contract names; others are nobody's business here.
pub(super) fn headers(
    parameters: &[HeldParameter],
    headers: &HeaderMap,
    found: &mut Vec<Violation>,
) {
    for parameter in parameters.iter().filter(|p| p.place == Place::Header) {
        let mut values = Vec::new();
        for value in headers.get_all(parameter.name.as_str()) {
            let Ok(value) = value.to_str() else {
                let at = place(Place::Header, &parameter.name);
                let text = "must be visible ASCII";
                found.push(Violation::contract(at, "encoding", text).wrong(Wrong::Unreadable));
                return;
            };
            values.push(Cow::Borrowed(value));
        }
        if values.is_empty() {
            parameter.missing(found);
        } else {
            parameter.hold(&values, found);
        }
    }
}

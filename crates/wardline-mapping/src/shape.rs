//! What is known about a value before it exists: which fields it has and of which types.
//!
//! A shape comes from an entity's JSON Schema or from the map before; with it the compiler can
//! tell that `.amount > 100` cannot fail, or that `.amuont` is never there.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use vrl::value::Kind;
use vrl::value::kind::Collection;

/// How deep a schema is followed; below, anything may be.
const DEPTH: usize = 12;

/// Types of a value and of its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape(pub(crate) Kind);

impl Shape {
    /// What a JSON Schema (draft 2020-12) says about a value's types. Only what holds for every
    /// valid value is used: `type`, `properties`, `required`, `additionalProperties`, `items`,
    /// `enum`, `const` and local `$ref`; anything else widens to "anything".
    pub(crate) fn of_schema(schema: &Json) -> Self {
        Self(kind(schema, schema, DEPTH))
    }

    /// A text.
    pub fn text() -> Self {
        Self(Kind::bytes())
    }

    /// An object with these fields among others: what is known of each, if anything, and whether
    /// it is certainly there.
    pub fn of_fields(fields: impl IntoIterator<Item = (String, Option<Self>, bool)>) -> Self {
        let mut all = Collection::json();
        for (name, shape, there) in fields {
            let kind = shape.map_or_else(Kind::json, |shape| shape.0);
            let kind = if there { kind } else { kind.or_undefined() };
            all = all.with_known(name, kind);
        }
        Self(Kind::object(all))
    }
}

fn kind(schema: &Json, root: &Json, depth: usize) -> Kind {
    let Some(object) = schema.as_object().filter(|_| depth > 0) else {
        return Kind::json();
    };
    if let Some(reference) = object.get("$ref").and_then(Json::as_str) {
        return match reference
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer))
        {
            Some(target) => kind(target, root, depth - 1),
            None => Kind::json(),
        };
    }
    if let Some(constant) = object.get("const") {
        return of_value(constant);
    }
    if let Some(values) = object.get("enum").and_then(Json::as_array) {
        return values
            .iter()
            .map(of_value)
            .reduce(|all, next| all.union(next))
            .unwrap_or_else(Kind::json);
    }
    let types: Vec<&str> = match object.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        _ => return Kind::json(),
    };
    let mut all = Kind::never();
    for name in types {
        all = all.union(match name {
            "string" => Kind::bytes(),
            // 1.0 is an integer to JSON Schema and a float to VRL.
            "integer" | "number" => Kind::integer().or_float(),
            "boolean" => Kind::boolean(),
            "null" => Kind::null(),
            "array" => Kind::array(Collection::from_unknown(
                object
                    .get("items")
                    .map_or_else(Kind::json, |items| kind(items, root, depth - 1)),
            )),
            "object" => Kind::object(fields(object, root, depth)),
            _ => Kind::json(),
        });
    }
    all
}

fn fields(
    object: &serde_json::Map<String, Json>,
    root: &Json,
    depth: usize,
) -> Collection<vrl::value::kind::Field> {
    let required: Vec<&str> = object
        .get("required")
        .and_then(Json::as_array)
        .map(|names| names.iter().filter_map(Json::as_str).collect())
        .unwrap_or_default();
    let mut known = BTreeMap::new();
    for (name, schema) in object
        .get("properties")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
    {
        let mut field = kind(schema, root, depth - 1);
        if !required.contains(&name.as_str()) {
            field = field.or_undefined();
        }
        known.insert(name.as_str().into(), field);
    }
    let closed = object.get("additionalProperties") == Some(&Json::Bool(false))
        && !object.contains_key("patternProperties");
    let rest = if closed {
        Kind::undefined()
    } else {
        Kind::json().or_undefined()
    };
    Collection::from_parts(known, rest)
}

fn of_value(value: &Json) -> Kind {
    match value {
        Json::Null => Kind::null(),
        Json::Bool(_) => Kind::boolean(),
        Json::Number(_) => Kind::integer().or_float(),
        Json::String(_) => Kind::bytes(),
        Json::Array(_) => Kind::array(Collection::json()),
        Json::Object(_) => Kind::object(Collection::json()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn follows_types_and_references() {
        let shape = Shape::of_schema(&json!({
            "type": "object", "required": ["amount"], "additionalProperties": false,
            "properties": {"amount": {"$ref": "#/$defs/money"}, "note": {"type": ["string", "null"]}},
            "$defs": {"money": {"type": "number"}}
        }));
        let fields = shape.0.into_object().unwrap();
        assert_eq!(
            fields.known().get(&"amount".into()),
            Some(&Kind::integer().or_float())
        );
        assert_eq!(
            fields.known().get(&"note".into()),
            Some(&Kind::bytes().or_null().or_undefined())
        );
        assert_eq!(fields.unknown_kind(), Kind::undefined());
    }

    #[test]
    fn endless_references_end() {
        let shape = Shape::of_schema(&json!({"$ref": "#"}));
        assert_eq!(shape.0, Kind::json());
    }
}

//! JSON Schemas as trees: where in them schemas stand, what they refer to, and how to move them.
//!
//! Only places that hold schemas are walked: a property that happens to be called `$ref`, or an
//! `enum` that lists an object with such a key, is data.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Keywords whose value is a schema.
const ONE: [&str; 12] = [
    "items",
    "additionalItems",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
/// Keywords whose value is a list of schemas.
const LIST: [&str; 5] = ["allOf", "anyOf", "oneOf", "prefixItems", "items"];
/// Keywords whose value is a mapping of names to schemas.
const MAPPING: [&str; 5] = [
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
];

/// Schemas nest no deeper; what does is left as it is, so that recursion is safe.
pub(crate) const DEEPEST: usize = 64;

/// Calls `visit` for the schema and every schema inside of it, outermost first.
pub(crate) fn walk(schema: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    walk_at(schema, visit, 0);
}

fn walk_at(schema: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>), depth: usize) {
    let Value::Object(map) = schema else {
        return;
    };
    if depth >= DEEPEST {
        return;
    }
    visit(map);
    for (key, value) in map.iter_mut() {
        let key = key.as_str();
        match value {
            Value::Object(inner) if MAPPING.contains(&key) => {
                for inner in inner.values_mut() {
                    walk_at(inner, visit, depth + 1);
                }
            }
            Value::Array(inner) if LIST.contains(&key) => {
                for inner in inner {
                    walk_at(inner, visit, depth + 1);
                }
            }
            Value::Object(_) if ONE.contains(&key) => walk_at(value, visit, depth + 1),
            _ => {}
        }
    }
}

/// Every `$ref` in a schema.
pub(crate) fn references(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(&mut schema.clone(), &mut |map| {
        if let Some(Value::String(target)) = map.get("$ref") {
            found.insert(target.clone());
        }
    });
    found
}

/// What the components are called that a reference leads into: `#/components/schemas/NAME…`.
pub(crate) fn component(reference: &str) -> Option<String> {
    let rest = reference.strip_prefix("#/components/schemas/")?;
    let name = rest.split('/').next().unwrap_or(rest);
    Some(unescape(name))
}

/// One token of a JSON Pointer as the name that it stands for (RFC 6901; as a URI fragment, 6).
pub(crate) fn unescape(token: &str) -> String {
    let token = percent_encoding::percent_decode_str(token).decode_utf8_lossy();
    token.replace("~1", "/").replace("~0", "~")
}

/// A name as a token of a JSON Pointer.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What a local reference leads to.
pub(crate) fn follow<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    if pointer.is_empty() {
        return Some(root);
    }
    let mut here = root;
    for token in pointer.strip_prefix('/')?.split('/') {
        let name = unescape(token);
        here = match here {
            Value::Object(map) => map.get(&name)?,
            Value::Array(list) => list.get(name.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(here)
}

/// The schema as a document of its own: with those components that it leads to, however indirectly.
pub(crate) fn bundle(schema: &Value, root: &Value) -> Value {
    let mut needed = BTreeSet::new();
    let mut open: Vec<String> = references(schema)
        .iter()
        .filter_map(|r| component(r))
        .collect();
    let schemas = root.pointer("/components/schemas");
    let mut taken = Map::new();
    while let Some(name) = open.pop() {
        if !needed.insert(name.clone()) {
            continue;
        }
        if let Some(found) = schemas.and_then(|schemas| schemas.get(&name)) {
            open.extend(references(found).iter().filter_map(|r| component(r)));
            taken.insert(name, found.clone());
        }
    }
    taken.sort_keys();
    match schema {
        Value::Object(map) => {
            let mut map = map.clone();
            if !taken.is_empty() {
                map.insert("components".to_owned(), json!({ "schemas": taken }));
            }
            Value::Object(map)
        }
        other => other.clone(),
    }
}

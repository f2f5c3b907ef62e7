//! A schema as one level of keywords: references followed, `allOf` merged.

use serde_json::{Map, Value, json};

use crate::schema::follow;

/// References and `allOf` are followed no deeper.
const DEEPEST: usize = 16;

/// The schema's own keywords and those of everything it must fulfil as well. `None`: nothing fits.
pub(super) fn flat(schema: &Value, root: &Value) -> Option<Map<String, Value>> {
    flat_at(schema, root, 0)
}

fn flat_at(schema: &Value, root: &Value, depth: usize) -> Option<Map<String, Value>> {
    let map = match schema {
        Value::Bool(false) => return None,
        Value::Object(map) if depth < DEEPEST => map,
        _ => return Some(Map::new()),
    };
    let mut all = Map::new();
    for (key, value) in map {
        match key.as_str() {
            "$ref" | "allOf" => {}
            "const" => merge(&mut all, "enum", &json!([value])),
            _ => merge(&mut all, key, value),
        }
    }
    let target = map.get("$ref").and_then(Value::as_str);
    let target = target.and_then(|target| follow(root, target));
    let others = map.get("allOf").and_then(Value::as_array);
    for other in target.into_iter().chain(others.into_iter().flatten()) {
        for (key, value) in flat_at(other, root, depth + 1)? {
            merge(&mut all, &key, &value);
        }
    }
    Some(all)
}

/// Adds a keyword to others that hold at the same time.
pub(super) fn merge(all: &mut Map<String, Value>, key: &str, value: &Value) {
    let Some(present) = all.get_mut(key) else {
        all.insert(key.to_owned(), value.clone());
        return;
    };
    if present == value {
        return;
    }
    match key {
        "type" | "enum" => {
            let other = list(value);
            let both = list(present).into_iter();
            let both: Vec<_> = both.filter(|one| other.contains(one)).collect();
            *present = Value::Array(both);
        }
        "required" => {
            let mut names = list(present);
            names.extend(list(value));
            names.dedup();
            *present = Value::Array(names);
        }
        "properties" => {
            if let (Value::Object(present), Value::Object(more)) = (present, value) {
                for (name, schema) in more {
                    let both = present
                        .get(name)
                        .map(|old| json!({ "allOf": [old, schema] }));
                    present.insert(name.clone(), both.unwrap_or_else(|| schema.clone()));
                }
            }
        }
        "additionalProperties" | "items" => *present = json!({ "allOf": [present, value] }),
        _ if key.starts_with("min") || key == "exclusiveMinimum" => {
            if value.as_f64() > present.as_f64() {
                *present = value.clone();
            }
        }
        _ if key.starts_with("max") || key == "exclusiveMaximum" => {
            if value.as_f64() < present.as_f64() {
                *present = value.clone();
            }
        }
        // Both hold; compared as one.
        _ => *present = json!([present, value]),
    }
}

pub(super) fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values.clone(),
        value => vec![value.clone()],
    }
}

//! Schemas of OpenAPI 3.0 said as 3.1 says them, which is JSON Schema 2020-12.

use serde_json::{Map, Value, json};

use crate::schema::walk;

/// Rewrites a schema. Gives the first keyword that a contract cannot have.
pub(super) fn to_three_one(schema: &mut Value, three_zero: bool) -> Option<String> {
    let mut wrong = None;
    walk(schema, &mut |map| {
        for keyword in ["$id", "$anchor", "$dynamicAnchor", "$dynamicRef"] {
            if map.contains_key(keyword) {
                wrong.get_or_insert_with(|| keyword.to_owned());
            }
        }
        if three_zero {
            rewrite(map);
        }
    });
    wrong
}

fn rewrite(map: &mut Map<String, Value>) {
    if map.contains_key("$ref") {
        // 3.0: whatever stands beside a reference is ignored.
        map.retain(|key, _| key == "$ref");
        return;
    }
    for (flag, bound) in [
        ("exclusiveMinimum", "minimum"),
        ("exclusiveMaximum", "maximum"),
    ] {
        if let Some(Value::Bool(exclusive)) = map.get(flag).cloned() {
            map.shift_remove(flag);
            if exclusive && let Some(limit) = map.shift_remove(bound) {
                map.insert(flag.to_owned(), limit);
            }
        }
    }
    if map.shift_remove("nullable") == Some(json!(true)) {
        nullable(map);
    }
}

/// Lets a schema take `null` as well.
fn nullable(map: &mut Map<String, Value>) {
    if let Some(Value::Array(values)) = map.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    match map.get_mut("type") {
        Some(kind @ Value::String(_)) => *kind = json!([kind, "null"]),
        Some(_) => {}
        // `nullable` beside `allOf: [{$ref}]` is how people write a nullable reference.
        None => {
            let composed = ["allOf", "anyOf", "oneOf"]
                .iter()
                .any(|key| map.contains_key(*key));
            if composed {
                let inner = Value::Object(std::mem::take(map));
                map.insert("anyOf".to_owned(), json!([inner, { "type": "null" }]));
            }
        }
    }
}

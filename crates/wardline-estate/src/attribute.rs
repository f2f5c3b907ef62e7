//! Whether a JSON Schema describes an attribute that something else speaks of.

use crate::suggest::did_you_mean;
use serde_json::Value;

/// What keeps a schema from saying all about its attributes in one place.
const COMPOSED: [&str; 6] = ["$ref", "allOf", "anyOf", "oneOf", "if", "patternProperties"];

/// An attribute that is not there, and what may be meant.
pub(crate) struct Missing {
    pub(crate) near: Option<String>,
}

/// Reports an attribute (`lines.amount`; items of lists have no name) that the schema certainly
/// does not describe; `None` where it does, or may.
pub(crate) fn missing(schema: &Value, path: &str) -> Option<Missing> {
    let mut here = schema;
    for part in path.split('.') {
        // Schemas composed of others, or of references, may describe it elsewhere.
        let plain = COMPOSED.iter().all(|key| here.get(key).is_none());
        let items = here.get("items").unwrap_or(here);
        let properties = items.get("properties").and_then(Value::as_object);
        let properties = properties.filter(|_| plain)?;
        let Some(next) = properties.get(part) else {
            let near = did_you_mean(part, properties.keys().map(String::as_str));
            return Some(Missing { near });
        };
        here = next;
    }
    None
}

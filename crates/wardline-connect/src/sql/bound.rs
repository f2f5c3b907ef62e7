//! Values on their way into a statement.

use serde_json::Value;

/// A value that is bound to a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bound {
    Null,
    Bool(bool),
    Integer(i64),
    /// Text, and everything that the database reads from text: decimals, times, uuids, documents.
    Text(String),
    /// A list, where a database has lists.
    List(Vec<Value>),
}

impl Bound {
    /// Of a value of a payload. Numbers that are no whole ones go as their text, so that nothing is
    /// rounded on the way.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => number
                .as_i64()
                .map_or_else(|| Self::Text(number.to_string()), Self::Integer),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.clone()),
            Value::Object(_) => Self::Text(value.to_string()),
        }
    }

    /// Of what a payload holds at `a.b`; nothing there is NULL.
    pub(super) fn at(payload: &Value, path: &str) -> Self {
        let found = path
            .split('.')
            .try_fold(payload, |value, key| value.get(key));
        found.map_or(Self::Null, Self::of)
    }

    /// Of a mark: a whole number where it looks like one.
    pub(super) fn of_mark(mark: &str) -> Self {
        mark.parse()
            .map_or_else(|_| Self::Text(mark.to_owned()), Self::Integer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_found_and_kept_exact() {
        let payload = json!({ "a": { "b": 5, "c": "0.10" }, "d": null, "e": [1], "f": { "g": true }, "h": true });
        for (path, expected) in [
            ("a.b", Bound::Integer(5)),
            ("a.c", Bound::Text("0.10".into())),
            ("d", Bound::Null),
            ("nothing.here", Bound::Null),
            ("e", Bound::List(vec![json!(1)])),
            ("f", Bound::Text("{\"g\":true}".into())),
            ("h", Bound::Bool(true)),
        ] {
            assert_eq!(Bound::at(&payload, path), expected, "{path}");
        }
    }
}

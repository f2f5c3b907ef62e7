//! What is shown to those who may not see: the same dots for everything.
//!
//! Every way out (console, API, errors, exports) goes through here. A mask has one length,
//! so that it does not tell a short name from a long one; only an empty value stays empty,
//! because whether a field was sent at all is what an engineer needs to see.

mod hl7;

pub use hl7::is_sensitive_hl7;

use serde_json::Value;
use std::collections::BTreeMap;

/// What stands for any hidden value.
pub const MASK: &str = "\u{2022}\u{2022}\u{2022}\u{2022}";

/// What to show for a value that may not be seen.
///
/// ```
/// use wardline_vault::mask::mask;
/// assert_eq!(mask("Ann"), mask("Bartholomew"));
/// assert_eq!(mask(""), "");
/// ```
pub const fn mask(value: &str) -> &'static str {
    if value.is_empty() { "" } else { MASK }
}

/// Which attributes of an entity are sensitive, by their paths as `sensitivity:` gives them:
/// `tax_id`, `bank.account_number`. A path goes through lists as if they were not there
/// (`contacts.phone` is the phone of each contact); `*` is any attribute.
///
/// ```
/// use serde_json::json;
/// use wardline_vault::mask::{MASK, SensitivePaths, mask_json};
/// let paths: SensitivePaths = ["tax_id", "bank.account"].into_iter().collect();
/// let shown = mask_json(&json!({"name": "Acme", "tax_id": 12, "bank": [{"account": "DE1", "bic": "X"}]}), &paths);
/// assert_eq!(shown, json!({"name": "Acme", "tax_id": MASK, "bank": [{"account": MASK, "bic": "X"}]}));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SensitivePaths {
    /// Whether the attribute that this level stands for is sensitive as a whole.
    whole: bool,
    below: BTreeMap<String, SensitivePaths>,
}

impl SensitivePaths {
    /// The paths that hide everything: for payloads of which nothing is known.
    pub fn everything() -> Self {
        Self {
            whole: true,
            below: BTreeMap::new(),
        }
    }

    /// Adds a path; parts may be quoted (`"bank"."account.number"`), a leading dot is allowed.
    pub fn add(&mut self, path: &str) {
        let mut level = self;
        for part in parts(path) {
            level = level.below.entry(part).or_default();
        }
        level.whole = true;
    }

    /// Whether nothing is sensitive.
    pub fn is_empty(&self) -> bool {
        !self.whole && self.below.is_empty()
    }
}

impl<'a> FromIterator<&'a str> for SensitivePaths {
    fn from_iter<I: IntoIterator<Item = &'a str>>(paths: I) -> Self {
        let mut all = Self::default();
        for path in paths {
            all.add(path);
        }
        all
    }
}

/// Splits `a."b.c".d`. Empty parts are dropped, so `.a` is `a`.
fn parts(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in path.chars() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            _ => parts.last_mut().expect("never empty").push(c),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// A copy of a value with its sensitive attributes hidden. What lies at a sensitive path is
/// hidden whole, so that not even its shape shows; absent and `null` stay so.
pub fn mask_json(value: &Value, paths: &SensitivePaths) -> Value {
    mask_level(value, &[paths])
}

/// Goes down a value along all paths that may still lead to something sensitive: with `*`
/// there can be more than one at a time.
fn mask_level(value: &Value, levels: &[&SensitivePaths]) -> Value {
    if levels.iter().any(|level| level.whole) {
        return match value {
            Value::Null => Value::Null,
            Value::String(text) if text.is_empty() => value.clone(),
            _ => Value::from(MASK),
        };
    }
    if levels.is_empty() {
        return value.clone();
    }
    match value {
        Value::Array(items) => items.iter().map(|item| mask_level(item, levels)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let below: Vec<&SensitivePaths> = levels
                    .iter()
                    .flat_map(|level| [level.below.get(name), level.below.get("*")])
                    .flatten()
                    .collect();
                (name.clone(), mask_level(value, &below))
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn masked(paths: &[&str], value: &Value) -> Value {
        mask_json(value, &paths.iter().copied().collect())
    }

    #[test]
    fn paths_go_through_lists_and_stars() {
        let value = json!({"patients": [{"name": {"family": "Doe", "given": "Jo"}, "ward": "3"}, {"name": "Roe"}]});
        assert_eq!(
            masked(&[".patients.name"], &value),
            json!({"patients": [{"name": MASK, "ward": "3"}, {"name": MASK}]})
        );
        assert_eq!(
            masked(&["patients.*.family"], &value),
            json!({"patients": [{"name": {"family": MASK, "given": "Jo"}, "ward": "3"}, {"name": "Roe"}]})
        );
        assert_eq!(
            masked(&["a.b", "*.c"], &json!({"a": {"b": 1, "c": 2, "d": 3}})),
            json!({"a": {"b": MASK, "c": MASK, "d": 3}})
        );
    }

    #[test]
    fn quoted_parts_keep_their_dots() {
        assert_eq!(
            masked(&["\"a.b\".c"], &json!({"a.b": {"c": "x"}})),
            json!({"a.b": {"c": MASK}})
        );
    }

    #[test]
    fn neither_type_nor_shape_nor_length_shows() {
        for value in [
            json!("x"),
            json!("a much longer one"),
            json!(0),
            json!(true),
            json!([1, 2]),
            json!({"a": 1}),
        ] {
            assert_eq!(masked(&["v"], &json!({ "v": value })), json!({"v": MASK}));
        }
        assert_eq!(
            masked(&["v"], &json!({"v": null, "w": ""})),
            json!({"v": null, "w": ""})
        );
        assert_eq!(
            mask_json(&json!([{"a": 1}, 2]), &SensitivePaths::everything()),
            json!(MASK)
        );
    }

    #[test]
    fn no_paths_change_nothing() {
        let value = json!({"a": [1, {"b": null}]});
        assert_eq!(masked(&[], &value), value);
    }
}

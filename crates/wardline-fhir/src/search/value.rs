//! The values in a resource that a parameter looks at.

use serde_json::{Map, Value};

use super::{Parameter, Step};

/// Calls back for each value below the paths of a parameter, until one is right.
pub(super) fn any(
    parameter: &Parameter,
    resource: &Value,
    right: &mut dyn FnMut(&Value) -> bool,
) -> bool {
    parameter
        .paths
        .iter()
        .any(|path| below(path, resource, right))
}

fn below(path: &[Step], value: &Value, right: &mut dyn FnMut(&Value) -> bool) -> bool {
    if let Value::Array(all) = value {
        return all.iter().any(|one| below(path, one, right));
    }
    let Some((step, rest)) = path.split_first() else {
        return right(value);
    };
    let Value::Object(map) = value else {
        return false;
    };
    children(step, map).any(|child| match child {
        Value::Array(all) => all
            .iter()
            .any(|one| admitted(step, one) && below(rest, one, right)),
        one => admitted(step, one) && below(rest, one, right),
    })
}

fn children<'a>(step: &'a Step, map: &'a Map<String, Value>) -> impl Iterator<Item = &'a Value> {
    let plain = map.get(step.name).filter(|_| !step.choice);
    let chosen = map.iter().filter(|(name, _)| {
        step.choice
            && name
                .strip_prefix(step.name)
                .is_some_and(|rest| rest.starts_with(|one: char| one.is_ascii_uppercase()))
    });
    plain.into_iter().chain(chosen.map(|(_, value)| value))
}

fn admitted(step: &Step, value: &Value) -> bool {
    step.only
        .is_none_or(|(name, wanted)| value.get(name).and_then(Value::as_str) == Some(wanted))
}

/// Whether a text of an element, or of its parts, is right: the parts of names and addresses are
/// looked at one by one.
pub(super) fn any_text(value: &Value, right: &mut dyn FnMut(&str) -> bool) -> bool {
    match value {
        Value::String(text) => right(text),
        Value::Array(all) => all.iter().any(|one| any_text(one, right)),
        Value::Object(map) => map
            .iter()
            .filter(|(name, _)| {
                !matches!(
                    name.as_str(),
                    "use" | "type" | "period" | "extension" | "id"
                )
            })
            .any(|(_, one)| any_text(one, right)),
        _ => false,
    }
}

/// Systems and codes of an element.
pub(super) fn any_code(value: &Value, right: &mut dyn FnMut(Option<&str>, &str) -> bool) -> bool {
    match value {
        Value::Bool(word) => right(None, if *word { "true" } else { "false" }),
        Value::String(code) => right(None, code),
        Value::Object(map) => {
            if let Some(Value::Array(all)) = map.get("coding") {
                return all.iter().any(|one| any_code(one, right));
            }
            let text = |name: &str| map.get(name).and_then(Value::as_str);
            if let Some(code) = text("code") {
                return right(Some(text("system").unwrap_or_default()), code);
            }
            let Some(of) = text("value") else {
                return false;
            };
            // What `system` is of a number to call is no system of codes.
            let contact = matches!(
                text("system"),
                Some("phone" | "fax" | "email" | "pager" | "url" | "sms" | "other")
            );
            if contact {
                right(None, of)
            } else {
                right(Some(text("system").unwrap_or_default()), of)
            }
        }
        _ => false,
    }
}

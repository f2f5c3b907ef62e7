//! Elements of which no schema says anything: as they come.

use serde_json::{Map, Value};

use super::{Path, TypeError};
use crate::xml::{Element, Name, Node, XSI};

/// An element as it comes: text, or an object. `around` is the namespace that needs no saying.
pub(crate) fn decode(element: &Element, around: &str) -> Value {
    if element.is_nil() {
        return Value::Null;
    }
    let mut object = Map::new();
    if &*element.name.namespace != around {
        object.insert("@xmlns".into(), element.name.namespace.as_ref().into());
    }
    for attribute in &element.attributes {
        if &*attribute.name.namespace != XSI {
            object.insert(
                format!("@{}", attribute.name.local),
                attribute.value.as_str().into(),
            );
        }
    }
    let leaf = element.elements().next().is_none();
    if leaf && object.is_empty() {
        return Value::String(element.text());
    }
    for child in element.elements() {
        let value = decode(child, &element.name.namespace);
        add(&mut object, &child.name.local, value);
    }
    if element.has_text() {
        object.insert("$".into(), element.text().into());
    }
    Value::Object(object)
}

/// Puts a value behind those of the same name.
pub(crate) fn add(object: &mut Map<String, Value>, name: &str, value: Value) {
    match object.get_mut(name) {
        None => {
            object.insert(name.to_owned(), value);
        }
        Some(Value::Array(all)) => all.push(value),
        Some(one) => {
            let first = one.take();
            *one = Value::Array(vec![first, value]);
        }
    }
}

/// The reverse. Nothing tells numbers from text any more, so all becomes text.
pub(crate) fn encode(
    local: &str,
    around: &str,
    value: &Value,
    path: &Path<'_>,
) -> Result<Element, TypeError> {
    if !crate::xml::is_name(local) {
        return Err(path.error("is not a name that XML can hold"));
    }
    let namespace = value
        .get("@xmlns")
        .and_then(Value::as_str)
        .unwrap_or(around)
        .to_owned();
    let mut element = Element::of(&namespace, local);
    fill(&mut element, &namespace, value, path)?;
    Ok(element)
}

/// Fills an element with what a value holds.
pub(crate) fn fill(
    element: &mut Element,
    namespace: &str,
    value: &Value,
    path: &Path<'_>,
) -> Result<(), TypeError> {
    match value {
        Value::Null => element.set(Name::new(XSI, "nil"), "true"),
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => element.children.push(Node::Text(text.clone())),
        Value::Bool(_) | Value::Number(_) => {
            element.children.push(Node::Text(value.to_string()));
        }
        Value::Array(_) => return Err(path.error("is a list within a list")),
        Value::Object(object) => {
            for (key, value) in object {
                if key == "@xmlns" {
                    continue;
                }
                let text = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                if key == "$" {
                    if !text.is_empty() {
                        element.children.push(Node::Text(text));
                    }
                } else if let Some(name) = key.strip_prefix('@') {
                    if !crate::xml::is_name(name) {
                        return Err(path.error("has an attribute whose name XML cannot hold"));
                    }
                    element.set(Name::new("", name), text);
                } else {
                    let all = match value {
                        Value::Array(all) => all.as_slice(),
                        one => std::slice::from_ref(one),
                    };
                    for (index, one) in all.iter().enumerate() {
                        let child = encode(key, namespace, one, &path.down(key, Some(index)))?;
                        element.children.push(Node::Element(child));
                    }
                }
            }
        }
    }
    Ok(())
}

//! A resource as a sender gives it, and as the schemas know it.

use crate::schema::{Attribute, Mutability, ResourceType, Schema, Type};
use crate::{Error, Why};
use serde_json::{Map, Value};

/// Elements of one list at most.
const MOST: usize = 20_000;

/// What senders may say and we neither keep nor refuse: passwords, which are dropped before
/// anything is recorded, and what services say of users.
const DROPPED: [&str; 2] = ["password", "groups"];

/// Reads a whole resource: names as the schemas write them, types held, what the service says
/// left out. What is empty is not there.
///
/// # Errors
/// Where it holds what the schemas do not know, or lacks what they want.
pub fn read(of: &'static ResourceType, body: &Value) -> Result<Map<String, Value>, Error> {
    let Value::Object(given) = body else {
        return Err(Error::bad(
            Why::InvalidSyntax,
            "a resource is a JSON object",
        ));
    };
    let named = given
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("schemas"))
        .and_then(|(_, value)| value.as_array());
    let known = |urn: &Value| {
        urn.as_str()
            .is_some_and(|urn| of.schemas().any(|one| one.id.eq_ignore_ascii_case(urn)))
    };
    match named {
        Some(all) if !all.is_empty() && all.iter().all(known) => {}
        Some(_) => {
            return Err(Error::bad(
                Why::InvalidValue,
                "`schemas` names a schema that is not kept here",
            ));
        }
        None => return Err(Error::bad(Why::InvalidSyntax, "`schemas` is missing")),
    }
    let mut made = Map::new();
    for (name, value) in given {
        put(of, &mut made, name, value)?;
    }
    finish(of, &mut made)?;
    Ok(made)
}

/// Whether an attribute is dropped in silence.
pub(crate) fn dropped(name: &str) -> bool {
    let name = name.rsplit(':').next().unwrap_or(name);
    DROPPED.iter().any(|one| one.eq_ignore_ascii_case(name))
}

fn put(
    of: &'static ResourceType,
    into: &mut Map<String, Value>,
    name: &str,
    value: &Value,
) -> Result<(), Error> {
    if let Some(schema) = of.extension(name) {
        return extension(schema, into, value);
    }
    if dropped(name) {
        return Ok(());
    }
    let attribute = of.attribute(name).ok_or_else(unknown)?;
    if attribute.mutability == Mutability::ReadOnly {
        return Ok(());
    }
    set(into, attribute, value)
}

fn extension(
    schema: &'static Schema,
    into: &mut Map<String, Value>,
    value: &Value,
) -> Result<(), Error> {
    let given = match value {
        Value::Null => return Ok(()),
        Value::Object(given) => given,
        _ => {
            return Err(Error::bad(
                Why::InvalidValue,
                "an extension is a JSON object",
            ));
        }
    };
    let mut made = Map::new();
    for (name, value) in given {
        let attribute = schema.attribute(name).ok_or_else(unknown)?;
        set(&mut made, attribute, value)?;
    }
    if !made.is_empty() {
        into.insert(schema.id.to_owned(), Value::Object(made));
    }
    Ok(())
}

fn unknown() -> Error {
    Error::bad(
        Why::InvalidSyntax,
        "the resource has an attribute that no schema knows",
    )
}

fn set(
    into: &mut Map<String, Value>,
    attribute: &'static Attribute,
    value: &Value,
) -> Result<(), Error> {
    if let Some(value) = whole(attribute, value)? {
        into.insert(attribute.name.to_owned(), value);
    }
    Ok(())
}

/// The value of an attribute; `None` where it says nothing.
pub(crate) fn whole(attribute: &'static Attribute, value: &Value) -> Result<Option<Value>, Error> {
    if !attribute.multi {
        return single(attribute, value);
    }
    let given = match value {
        Value::Null => return Ok(None),
        Value::Array(given) if given.len() <= MOST => given,
        Value::Array(_) => return Err(bad(attribute, "has too many values")),
        _ => return Err(bad(attribute, "is a list")),
    };
    let mut all = Vec::with_capacity(given.len());
    for one in given {
        all.extend(single(attribute, one)?);
    }
    Ok((!all.is_empty()).then_some(Value::Array(all)))
}

/// One value of an attribute.
pub(crate) fn single(attribute: &'static Attribute, value: &Value) -> Result<Option<Value>, Error> {
    let made = match (attribute.kind, value) {
        (_, Value::Null) => return Ok(None),
        (Type::Complex, Value::Object(given)) => return complex(attribute, given),
        // Some write a list of values instead of a list of objects that have one.
        (Type::Complex, Value::String(_)) if attribute.sub("value").is_some() => {
            return complex(
                attribute,
                &Map::from_iter([("value".to_owned(), value.clone())]),
            );
        }
        // Some write them as texts.
        (Type::Boolean, Value::String(word)) => match word.to_ascii_lowercase().as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        (Type::DateTime, Value::String(at)) => {
            at.parse::<jiff::Timestamp>().ok().map(|_| value.clone())
        }
        (Type::Binary, Value::String(bytes)) => bytes
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte))
            .then(|| value.clone()),
        (Type::Boolean, Value::Bool(_)) | (Type::String | Type::Reference, Value::String(_)) => {
            Some(value.clone())
        }
        _ => None,
    };
    made.map(Some)
        .ok_or_else(|| bad(attribute, "has another type"))
}

fn complex(
    attribute: &'static Attribute,
    given: &Map<String, Value>,
) -> Result<Option<Value>, Error> {
    let mut made = Map::new();
    for (name, value) in given {
        let sub = attribute.sub(name).ok_or_else(unknown)?;
        if sub.mutability != Mutability::ReadOnly {
            set(&mut made, sub, value)?;
        }
    }
    Ok((!made.is_empty()).then_some(Value::Object(made)))
}

fn bad(attribute: &Attribute, what: &str) -> Error {
    Error::bad(Why::InvalidValue, format!("`{}` {what}", attribute.name))
}

/// What must be true of a whole resource; says which schemas it has.
pub(crate) fn finish(
    of: &'static ResourceType,
    made: &mut Map<String, Value>,
) -> Result<(), Error> {
    for attribute in of.schema.attributes {
        let value = made.get(attribute.name);
        let missing =
            value.is_none_or(|value| value.as_str().is_some_and(|text| text.trim().is_empty()));
        if attribute.required && missing {
            return Err(bad(attribute, "must have a value"));
        }
        if let Some(Value::Array(all)) = value
            && all.len() > MOST
        {
            return Err(bad(attribute, "has too many values"));
        }
        let primary = |one: &&Value| one.get("primary") == Some(&Value::Bool(true));
        if let Some(Value::Array(all)) = value
            && all.iter().filter(primary).count() > 1
        {
            return Err(bad(attribute, "has more than one primary value"));
        }
    }
    let urns = of
        .schemas()
        .filter(|one| one.id == of.schema.id || made.contains_key(one.id))
        .map(|one| one.id.into());
    let urns = Value::Array(urns.collect());
    made.insert("schemas".to_owned(), urns);
    Ok(())
}

/// The attributes in which two resources differ, by their names.
pub fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let changed = before
        .iter()
        .filter(|(name, value)| after.get(*name) != Some(value));
    let added = after.iter().filter(|(name, _)| !before.contains_key(*name));
    changed
        .chain(added)
        .map(|(name, _)| name.clone())
        .filter(|name| !["id", "meta", "schemas"].contains(&name.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{GROUP, USER, USER_SCHEMA};
    use serde_json::json;

    #[test]
    fn names_are_written_as_the_schemas_do_and_nothing_else_stays() {
        let read = read(
            &USER,
            &json!({
                "Schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "id": "mine", "meta": { "version": "x" }, "USERNAME": "jane", "password": "sesame", "groups": [{ "value": "1" }],
                "Name": { "familyname": "Doe" }, "emails": [], "title": null, "active": "True",
                "URN:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "Manager": { "value": "7", "displayName": "Boss" } }
            }),
        );
        let read = Value::Object(read.unwrap());
        assert_eq!(
            read,
            json!({
                "userName": "jane", "name": { "familyName": "Doe" }, "active": true,
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "manager": { "value": "7" } },
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]
            })
        );
    }

    #[test]
    fn what_the_schemas_do_not_know_is_refused_without_quoting_it() {
        let user = |more: Value| {
            let mut user = json!({ "schemas": [USER_SCHEMA.id], "userName": "jane" });
            for (name, value) in more.as_object().unwrap() {
                user[name] = value.clone();
            }
            user
        };
        for body in [
            json!([]),
            json!({ "userName": "jane" }),
            json!({ "schemas": [USER_SCHEMA.id] }),
            user(json!({ "userName": " " })),
            user(json!({ "schemas": ["urn:hidden"] })),
            user(json!({ "hidden": 1 })),
            user(json!({ "title": { "hidden": 1 } })),
            user(json!({ "active": "hidden" })),
            user(json!({ "name": "hidden" })),
            user(json!({ "emails": { "value": "hidden" } })),
            user(
                json!({ "emails": [{ "value": "a", "primary": true }, { "value": "b", "primary": true }] }),
            ),
            user(json!({ "x509Certificates": [{ "value": "hidden!" }] })),
        ] {
            let refused = read(&USER, &body).expect_err("it was read");
            assert_eq!(refused.status, 400);
            assert!(!refused.detail.contains("hidden"), "{refused}");
        }
        assert!(
            read(
                &GROUP,
                &json!({ "schemas": [USER_SCHEMA.id], "displayName": "x" })
            )
            .is_err()
        );
    }
}

//! PATCH (RFC 7644, 3.5.2): operations that change a resource, all or none.

use crate::path::{Path, Target};
use crate::resource::{dropped, finish, single, whole};
use crate::schema::{Attribute, Mutability, ResourceType};
use crate::{Error, Why};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Operations of one request at most.
const MOST: usize = 1000;
/// Elements that are looked for one by one; more are put into a set.
const FEW: usize = 8;
const URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Replace,
    Remove,
}

/// The resource as the operations leave it.
///
/// # Errors
/// Where an operation cannot be carried out; nothing is changed then.
pub fn apply(
    of: &'static ResourceType,
    resource: &Map<String, Value>,
    body: &Value,
) -> Result<Map<String, Value>, Error> {
    let syntax = |what: &str| Error::bad(Why::InvalidSyntax, what);
    let member = |of: &Value, name: &str| {
        let found = of
            .as_object()?
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    };
    let named = member(body, "schemas").is_some_and(|all| {
        let all = all.as_array().into_iter().flatten();
        all.filter_map(Value::as_str)
            .any(|one| one.eq_ignore_ascii_case(URN))
    });
    if !named {
        return Err(syntax("`schemas` does not say that it is a PATCH"));
    }
    let operations = match member(body, "Operations") {
        Some(Value::Array(all)) if all.len() <= MOST => all,
        Some(Value::Array(_)) => return Err(syntax("too many operations")),
        _ => return Err(syntax("`Operations` is missing")),
    };
    let mut after = resource.clone();
    for operation in &operations {
        let op = match member(operation, "op").as_ref().and_then(Value::as_str) {
            Some(word) if word.eq_ignore_ascii_case("add") => Op::Add,
            Some(word) if word.eq_ignore_ascii_case("replace") => Op::Replace,
            Some(word) if word.eq_ignore_ascii_case("remove") => Op::Remove,
            _ => return Err(syntax("an operation is `add`, `replace` or `remove`")),
        };
        let value = member(operation, "value");
        match member(operation, "path") {
            Some(Value::String(path)) => at(of, &mut after, op, &path, value.as_ref())?,
            Some(_) => return Err(Error::bad(Why::InvalidPath, "a path is a text")),
            None if op == Op::Remove => {
                return Err(Error::bad(
                    Why::NoTarget,
                    "nothing says what is to be removed",
                ));
            }
            None => {
                let Some(Value::Object(all)) = value else {
                    return Err(Error::bad(
                        Why::InvalidValue,
                        "without a path the value is an object",
                    ));
                };
                for (path, value) in &all {
                    if !path.eq_ignore_ascii_case("schemas") {
                        at(of, &mut after, op, path, Some(value))?;
                    }
                }
            }
        }
    }
    finish(of, &mut after)?;
    Ok(after)
}

fn at(
    of: &'static ResourceType,
    after: &mut Map<String, Value>,
    op: Op,
    path: &str,
    value: Option<&Value>,
) -> Result<(), Error> {
    if dropped(path) {
        return Ok(());
    }
    if op != Op::Remove && value.is_none() {
        return Err(Error::bad(Why::InvalidValue, "an operation has no value"));
    }
    match Target::read(of, path)? {
        Target::Extension(schema) => {
            if op != Op::Add {
                after.remove(schema.id);
            }
            match value {
                _ if op == Op::Remove => Ok(()),
                Some(Value::Object(all)) => {
                    for (name, value) in all {
                        // Some say of the extension itself of which schema it is.
                        if !name.eq_ignore_ascii_case("schemas") {
                            at(of, after, op, &format!("{}:{name}", schema.id), Some(value))?;
                        }
                    }
                    Ok(())
                }
                _ => Err(Error::bad(
                    Why::InvalidValue,
                    "an extension is a JSON object",
                )),
            }
        }
        Target::Attribute { path, filter } => {
            let leaf = path.sub.unwrap_or(path.attribute);
            if path.attribute.mutability == Mutability::ReadOnly
                || leaf.mutability == Mutability::ReadOnly
            {
                return Err(Error::bad(
                    Why::Mutability,
                    "the attribute is the service's own",
                ));
            }
            let mut place = match path.extension {
                None => std::mem::take(after),
                Some(schema) => match after.remove(schema.id) {
                    Some(Value::Object(all)) => all,
                    _ => Map::new(),
                },
            };
            let changed = match filter {
                Some(filter) => elements(
                    &mut place,
                    &path,
                    op,
                    value,
                    &|one| filter.admits(one),
                    &mut |made| filter.element(made),
                ),
                None if path.attribute.multi && path.sub.is_some() => {
                    elements(&mut place, &path, op, value, &|_| true, &mut |_| {
                        op == Op::Add
                    })
                }
                None => attribute(&mut place, &path, op, value),
            };
            match path.extension {
                None => *after = place,
                Some(schema) if !place.is_empty() => {
                    after.insert(schema.id.to_owned(), Value::Object(place));
                }
                Some(_) => {}
            }
            changed
        }
    }
}

/// A whole attribute, or one of a single complex one.
fn attribute(
    place: &mut Map<String, Value>,
    path: &Path,
    op: Op,
    value: Option<&Value>,
) -> Result<(), Error> {
    let name = path.attribute.name;
    if let Some(sub) = path.sub {
        let mut whole = match place.remove(name) {
            Some(Value::Object(all)) => all,
            _ => Map::new(),
        };
        let done = put(&mut whole, sub, op, value);
        if !whole.is_empty() {
            place.insert(name.to_owned(), Value::Object(whole));
        }
        return done;
    }
    put(place, path.attribute, op, value)
}

fn put(
    place: &mut Map<String, Value>,
    attribute: &'static Attribute,
    op: Op,
    value: Option<&Value>,
) -> Result<(), Error> {
    let name = attribute.name;
    let given = value.unwrap_or(&Value::Null);
    if op == Op::Remove {
        if attribute.required {
            return Err(Error::bad(Why::Mutability, format!("`{name}` must stay")));
        }
        // Some name the elements to be removed in the value.
        let named = attribute.multi && !given.is_null();
        if let (true, Some(Value::Array(all))) = (named, place.get_mut(name)) {
            let gone = list(attribute, given)?;
            let gone: HashSet<String> = gone.iter().map(known_by).collect();
            all.retain(|one| !gone.contains(&known_by(one)));
            if !all.is_empty() {
                return Ok(());
            }
        }
        place.remove(name);
        return Ok(());
    }
    if attribute.multi {
        let mut added = list(attribute, given)?;
        let mut all = match place.remove(name) {
            Some(Value::Array(all)) if op == Op::Add => all,
            _ => Vec::new(),
        };
        if added.len() > FEW {
            let mut seen: HashSet<String> = all.iter().map(Value::to_string).collect();
            added.retain(|one| seen.insert(one.to_string()));
        } else {
            added.retain(|one| !all.contains(one));
        }
        if added.iter().any(is_primary) {
            all.iter_mut().for_each(lower);
        }
        all.append(&mut added);
        if !all.is_empty() {
            place.insert(name.to_owned(), Value::Array(all));
        }
        return Ok(());
    }
    match (single(attribute, given)?, place.get_mut(name)) {
        // What is added to a complex attribute is put beside what it has.
        (Some(Value::Object(added)), Some(Value::Object(all))) if op == Op::Add => {
            all.extend(added);
        }
        (Some(made), _) => {
            place.insert(name.to_owned(), made);
        }
        (None, _) => {
            place.remove(name);
        }
    }
    Ok(())
}

/// One value or several of a list.
fn list(attribute: &'static Attribute, given: &Value) -> Result<Vec<Value>, Error> {
    let made = match given {
        Value::Array(_) | Value::Null => whole(attribute, given)?,
        one => whole(attribute, &Value::Array(vec![one.clone()]))?,
    };
    Ok(match made {
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    })
}

/// An element's value; the whole of one that has none.
fn known_by(one: &Value) -> String {
    one.get("value").unwrap_or(one).to_string()
}

fn is_primary(one: &Value) -> bool {
    one.get("primary") == Some(&Value::Bool(true))
}

fn lower(one: &mut Value) {
    if is_primary(one)
        && let Some(one) = one.as_object_mut()
    {
        one.insert("primary".to_owned(), Value::Bool(false));
    }
}

/// Chosen elements of a list, or an attribute of each.
fn elements(
    place: &mut Map<String, Value>,
    path: &Path,
    op: Op,
    value: Option<&Value>,
    chosen: &dyn Fn(&Map<String, Value>) -> bool,
    absent: &mut dyn FnMut(&mut Map<String, Value>) -> bool,
) -> Result<(), Error> {
    let attribute = path.attribute;
    let mut all = match place.remove(attribute.name) {
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    };
    let mut found = false;
    let mut kept = Vec::with_capacity(all.len() + 1);
    let mut first = None;
    for one in all.drain(..) {
        let Value::Object(mut one) = one else {
            continue;
        };
        if !chosen(&one) {
            kept.push(Value::Object(one));
            continue;
        }
        found = true;
        if op == Op::Remove && path.sub.is_none() {
            continue;
        }
        change(&mut one, path, op, value)?;
        if !one.is_empty() {
            first.get_or_insert(kept.len());
            kept.push(Value::Object(one));
        }
    }
    if !found && op != Op::Remove {
        // What is added where nothing fits is made as the filter wants it.
        let mut one = Map::new();
        if op != Op::Add || !absent(&mut one) {
            return Err(Error::bad(
                Why::NoTarget,
                "the path fits nothing that is there",
            ));
        }
        change(&mut one, path, op, value)?;
        first = Some(kept.len());
        kept.push(Value::Object(one));
    }
    // One that became the primary makes the others none.
    if let Some(now) = first.filter(|at| kept.get(*at).is_some_and(is_primary)) {
        for (at, one) in kept.iter_mut().enumerate() {
            if at != now {
                lower(one);
            }
        }
    }
    if !kept.is_empty() {
        place.insert(attribute.name.to_owned(), Value::Array(kept));
    }
    Ok(())
}

fn change(
    one: &mut Map<String, Value>,
    path: &Path,
    op: Op,
    value: Option<&Value>,
) -> Result<(), Error> {
    let fixed = |sub: &Attribute, before: Option<&Value>, after: Option<&Value>| {
        if sub.mutability == Mutability::Immutable && before.is_some() && before != after {
            return Err(Error::bad(
                Why::Mutability,
                format!("`{}` is said once", sub.name),
            ));
        }
        Ok(())
    };
    if let Some(sub) = path.sub {
        let before = one.get(sub.name).cloned();
        put(one, sub, op, value)?;
        return fixed(sub, before.as_ref(), one.get(sub.name));
    }
    let Some(Value::Object(given)) = single(path.attribute, value.unwrap_or(&Value::Null))? else {
        return Err(Error::bad(Why::InvalidValue, "the value has another type"));
    };
    for sub in path.attribute.sub {
        if let Some(after) = given.get(sub.name) {
            fixed(sub, one.get(sub.name), Some(after))?;
        }
    }
    if op == Op::Replace {
        *one = given;
    } else {
        one.extend(given);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{GROUP, USER, USER_SCHEMA};
    use serde_json::json;

    fn jane() -> Map<String, Value> {
        let jane = json!({
            "schemas": [USER_SCHEMA.id], "userName": "jane", "name": { "givenName": "Jane" },
            "emails": [{ "value": "a@x", "type": "work", "primary": true }, { "value": "b@x", "type": "home" }],
        });
        jane.as_object().unwrap().clone()
    }

    fn patched(operations: Value) -> Result<Value, Error> {
        let body = json!({ "schemas": [URN], "Operations": operations });
        apply(&USER, &jane(), &body).map(Value::Object)
    }

    #[test]
    fn operations_change_what_they_name() {
        let after = patched(json!([
            { "op": "Replace", "path": "name.familyName", "value": "Doe" },
            { "op": "add", "path": "emails", "value": [{ "value": "c@x", "primary": true }, { "value": "b@x", "type": "home" }] },
            { "op": "replace", "path": "emails[type eq \"home\"].value", "value": "d@x" },
            { "op": "remove", "path": "emails[value eq \"a@x\"]" },
            { "op": "add", "value": { "active": "False", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "3" }, "name.middleName": "Q" } },
            { "op": "add", "path": "phoneNumbers[type eq \"work\"].value", "value": "1" },
        ]));
        let after = after.unwrap();
        assert_eq!(
            after["name"],
            json!({ "givenName": "Jane", "familyName": "Doe", "middleName": "Q" })
        );
        assert_eq!(
            after["emails"],
            json!([{ "value": "d@x", "type": "home" }, { "value": "c@x", "primary": true }])
        );
        assert_eq!(after["active"], false);
        assert_eq!(
            after["phoneNumbers"],
            json!([{ "type": "work", "value": "1" }])
        );
        assert_eq!(
            after["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
            json!({ "department": "3" })
        );
        assert_eq!(after["schemas"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn members_come_and_go() {
        let group = json!({ "displayName": "g", "members": [{ "value": "1" }, { "value": "2" }] });
        let group = group.as_object().unwrap();
        let patched = |operations: Value| {
            let after = apply(
                &GROUP,
                group,
                &json!({ "schemas": [URN], "Operations": operations }),
            );
            after.map(|after| after.get("members").cloned().unwrap_or_default())
        };
        let gone =
            patched(json!([{ "op": "remove", "path": "members", "value": [{ "value": "2" }] }]));
        assert_eq!(gone.unwrap(), json!([{ "value": "1" }]));
        let gone = patched(json!([{ "op": "remove", "path": "members" }]));
        assert_eq!(gone.unwrap(), Value::Null);
        let more = patched(
            json!([{ "op": "add", "path": "members", "value": { "value": "3" } }, { "op": "add", "path": "members", "value": [{ "value": "1" }] }]),
        );
        assert_eq!(
            more.unwrap(),
            json!([{ "value": "1" }, { "value": "2" }, { "value": "3" }])
        );
        let other = patched(
            json!([{ "op": "replace", "path": "members[value eq \"1\"].value", "value": "9" }]),
        );
        assert_eq!(other.unwrap_err().why, Why::Mutability);
    }

    #[test]
    fn what_cannot_be_done_changes_nothing() {
        for (operations, why) in [
            (json!([{ "op": "remove" }]), Why::NoTarget),
            (
                json!([{ "op": "remove", "path": "userName" }]),
                Why::Mutability,
            ),
            (
                json!([{ "op": "replace", "path": "userName", "value": "" }]),
                Why::InvalidValue,
            ),
            (
                json!([{ "op": "replace", "path": "id", "value": "7" }]),
                Why::Mutability,
            ),
            (
                json!([{ "op": "replace", "path": "hidden", "value": "7" }]),
                Why::InvalidPath,
            ),
            (
                json!([{ "op": "replace", "path": "emails[type eq \"other\"].value", "value": "7" }]),
                Why::NoTarget,
            ),
            (
                json!([{ "op": "replace", "path": "emails[type eq", "value": "7" }]),
                Why::InvalidPath,
            ),
            (
                json!([{ "op": "replace", "path": "active", "value": "7" }]),
                Why::InvalidValue,
            ),
            (json!([{ "op": "add", "path": "title" }]), Why::InvalidValue),
            (
                json!([{ "op": "move", "path": "title" }]),
                Why::InvalidSyntax,
            ),
            (json!({}), Why::InvalidSyntax),
        ] {
            let refused = patched(operations.clone()).expect_err("it was done");
            assert_eq!(refused.why, why, "{operations}");
            assert!(!refused.detail.contains("hidden"));
        }
        assert!(apply(&USER, &jane(), &json!({ "Operations": [] })).is_err());
    }
}

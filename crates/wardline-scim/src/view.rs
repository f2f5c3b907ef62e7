//! What of resources is given back, and in which order.

use crate::path::Path;
use crate::schema::{Attribute, ResourceType, Schema};
use crate::{Error, Why, filter};
use serde_json::{Map, Value, json};

/// Names of one list at most.
const MOST: usize = 200;

/// Which attributes are given back.
#[derive(Debug, Clone, Default)]
pub struct View {
    only: Option<Vec<Named>>,
    without: Vec<Named>,
}

#[derive(Debug, Clone)]
enum Named {
    Extension(&'static Schema),
    Attribute(Path),
}

impl View {
    /// Reads `attributes` and `excludedAttributes`. Names that no schema knows name nothing.
    ///
    /// # Errors
    /// Where both are given, or far too many.
    pub fn read(
        of: &'static ResourceType,
        only: Option<&str>,
        without: Option<&str>,
    ) -> Result<Self, Error> {
        if only.is_some() && without.is_some() {
            let what = "`attributes` and `excludedAttributes` exclude each other";
            return Err(Error::bad(Why::InvalidValue, what));
        }
        let names = |text: &str| {
            let all = text.split(',').map(str::trim);
            if all.clone().count() > MOST {
                return Err(Error::bad(
                    Why::InvalidValue,
                    "too many attributes are named",
                ));
            }
            let known = all.filter_map(|name| match of.extension(name) {
                Some(schema) => Some(Named::Extension(schema)),
                None => Path::read(of, name).map(Named::Attribute),
            });
            Ok(known.collect())
        };
        Ok(Self {
            only: only.map(names).transpose()?,
            without: without.map(names).transpose()?.unwrap_or_default(),
        })
    }

    /// The part of a resource that is given back.
    pub fn of(&self, of: &ResourceType, resource: Map<String, Value>) -> Map<String, Value> {
        let Some(only) = &self.only else {
            let mut resource = resource;
            for named in &self.without {
                leave_out(&mut resource, named);
            }
            return resource;
        };
        let mut made = Map::new();
        for (name, value) in &resource {
            if of.attribute(name).is_some_and(|attribute| attribute.always) {
                made.insert(name.clone(), value.clone());
            }
        }
        for named in only {
            match named {
                Named::Extension(schema) => {
                    if let Some(whole) = resource.get(schema.id) {
                        made.insert(schema.id.to_owned(), whole.clone());
                    }
                }
                Named::Attribute(path) => take(&resource, &mut made, path),
            }
        }
        made
    }
}

fn leave_out(resource: &mut Map<String, Value>, named: &Named) {
    let path = match named {
        Named::Extension(schema) => {
            resource.shift_remove(schema.id);
            return;
        }
        Named::Attribute(path) => path,
    };
    if path.attribute.always {
        return;
    }
    let within = match path.extension {
        None => Some(resource),
        Some(schema) => resource.get_mut(schema.id).and_then(Value::as_object_mut),
    };
    let Some(within) = within else {
        return;
    };
    let Some(sub) = path.sub else {
        within.shift_remove(path.attribute.name);
        return;
    };
    match within.get_mut(path.attribute.name) {
        Some(Value::Object(one)) => {
            one.shift_remove(sub.name);
        }
        Some(Value::Array(all)) => {
            for one in all.iter_mut().filter_map(Value::as_object_mut) {
                one.shift_remove(sub.name);
            }
        }
        _ => {}
    }
}

fn take(resource: &Map<String, Value>, made: &mut Map<String, Value>, path: &Path) {
    let Some(value) = path.whole(resource) else {
        return;
    };
    let within = match path.extension {
        None => made,
        Some(schema) => {
            let within = made
                .entry(schema.id.to_owned())
                .or_insert_with(|| json!({}));
            match within.as_object_mut() {
                Some(within) => within,
                None => return,
            }
        }
    };
    let name = path.attribute.name.to_owned();
    let Some(sub) = path.sub else {
        within.insert(name, value.clone());
        return;
    };
    let part = |one: &Value| {
        one.get(sub.name)
            .map(|part| (sub.name.to_owned(), part.clone()))
    };
    match value {
        Value::Object(_) => {
            let there = within.entry(name).or_insert_with(|| json!({}));
            if let (Some(there), Some((name, part))) = (there.as_object_mut(), part(value)) {
                there.insert(name, part);
            }
        }
        Value::Array(all) => {
            let there = within
                .entry(name)
                .or_insert_with(|| Value::Array(vec![json!({}); all.len()]));
            for (there, one) in there.as_array_mut().into_iter().flatten().zip(all) {
                if let (Some(there), Some((name, part))) = (there.as_object_mut(), part(one)) {
                    there.insert(name, part);
                }
            }
        }
        _ => {}
    }
}

/// The attribute that a list is ordered by.
///
/// # Errors
/// Where no schema knows it, or it has no order.
pub fn order(of: &'static ResourceType, name: &str) -> Result<Path, Error> {
    let path = Path::read(of, name).filter(|path| path.leaf().is_some());
    path.ok_or_else(|| {
        Error::bad(
            Why::InvalidPath,
            "`sortBy` names no attribute that has an order",
        )
    })
}

/// What stands for a resource while a list is ordered; what has no value stands last.
pub fn order_by(path: &Path, resource: &Map<String, Value>) -> (bool, String) {
    let leaf: Option<&Attribute> = path.leaf();
    let whole = path.whole(resource);
    let primary = whole.and_then(Value::as_array).and_then(|all| {
        let primary = all
            .iter()
            .find(|one| one.get("primary") == Some(&Value::Bool(true)));
        primary?.get(leaf?.name)
    });
    match primary.or_else(|| path.values(resource).into_iter().next()) {
        Some(Value::String(text)) if leaf.is_some_and(|leaf| leaf.case_exact) => {
            (false, text.clone())
        }
        Some(Value::String(text)) => (false, filter::fold(text)),
        Some(other) => (false, other.to_string()),
        None => (true, String::new()),
    }
}

/// A page of a list.
pub fn page(total: u64, start: u64, resources: Vec<Value>) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::USER;

    #[test]
    fn what_is_asked_for_is_given_and_what_must_be() {
        let jane = json!({
            "schemas": ["x"], "id": "1", "userName": "jane", "name": { "givenName": "J", "familyName": "D" },
            "emails": [{ "value": "a", "type": "work" }, { "value": "b" }],
        });
        let seen = |only: Option<&str>, without: Option<&str>| {
            let view = View::read(&USER, only, without).unwrap();
            Value::Object(view.of(&USER, jane.as_object().unwrap().clone()))
        };
        assert_eq!(
            seen(
                Some("name.givenname, emails.value,emails.type,nonsense"),
                None
            ),
            json!({ "schemas": ["x"], "id": "1", "name": { "givenName": "J" }, "emails": [{ "value": "a", "type": "work" }, { "value": "b" }] })
        );
        let left = seen(None, Some("id,emails.value,name"));
        assert_eq!(
            left,
            json!({ "schemas": ["x"], "id": "1", "userName": "jane", "emails": [{ "type": "work" }, {}] })
        );
        assert!(View::read(&USER, Some("a"), Some("b")).is_err());
    }

    #[test]
    fn lists_are_ordered_by_the_primary_value_and_what_has_none_is_last() {
        let path = order(&USER, "emails").unwrap();
        let of = |value: Value| order_by(&path, value.as_object().unwrap());
        let first = of(json!({ "emails": [{ "value": "Z" }, { "value": "a", "primary": true }] }));
        let second = of(json!({ "emails": [{ "value": "B" }] }));
        assert!(first < second && second < of(json!({})));
        assert!(order(&USER, "name").is_err());
    }
}

//! What is wanted of a service, and how it is said.

use serde_json::{Map, Value, json};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Makes the user, or replaces what is there.
    PutUser,
    /// Changes attributes of a user; `null` removes one.
    PatchUser,
    /// Takes a user's access away and keeps the account.
    DeactivateUser,
    /// Removes a user.
    DeleteUser,
    /// Makes the group, or replaces what is there.
    PutGroup,
    /// Adds and removes members of a group, and changes its attributes.
    PatchGroup,
    /// Removes a group.
    DeleteGroup,
}

impl Verb {
    /// All, with the words for them.
    pub const ALL: [(&'static str, Self); 7] = [
        ("put-user", Self::PutUser),
        ("patch-user", Self::PatchUser),
        ("deactivate-user", Self::DeactivateUser),
        ("delete-user", Self::DeleteUser),
        ("put-group", Self::PutGroup),
        ("patch-group", Self::PatchGroup),
        ("delete-group", Self::DeleteGroup),
    ];

    /// Of a word.
    pub fn of(word: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(known, _)| *known == word);
        found.map(|(_, verb)| verb)
    }

    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::PutUser | Self::PatchUser | Self::DeactivateUser | Self::DeleteUser => Kind::User,
            Self::PutGroup | Self::PatchGroup | Self::DeleteGroup => Kind::Group,
        }
    }
}

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Group,
}

impl Kind {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    const fn schema(self) -> &'static str {
        match self {
            Self::User => "urn:ietf:params:scim:schemas:core:2.0:User",
            Self::Group => "urn:ietf:params:scim:schemas:core:2.0:Group",
        }
    }
}

/// What a service keeps.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) id: String,
    pub(super) version: Option<String>,
    pub(super) active: Option<bool>,
}

/// A payload, apart from who it is about.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) external_id: String,
    pub(super) attributes: Map<String, Value>,
    pub(super) add_members: Vec<String>,
    pub(super) remove_members: Vec<String>,
}

impl Wanted {
    /// Reads a payload; the error quotes nothing of it.
    pub(super) fn read(body: &[u8], verb: Verb) -> Result<Self, &'static str> {
        let payload: Value = serde_json::from_slice(body).map_err(|_| "the payload is not JSON")?;
        let Value::Object(mut attributes) = payload else {
            return Err("the payload is no object");
        };
        let external_id = match attributes.remove("externalId") {
            Some(Value::String(id)) if !id.is_empty() && id.len() <= 256 => id,
            _ => {
                return Err(
                    "the payload has no `externalId`, by which people and groups are known",
                );
            }
        };
        // The service says these.
        attributes.remove("id");
        attributes.remove("meta");
        let mut names = |key: &str| match attributes.remove(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(all)) => all
                .into_iter()
                .map(|one| match one {
                    Value::String(id) => Ok(id),
                    _ => Err("members are named by their `externalId`"),
                })
                .collect(),
            Some(_) => Err("members are a list"),
        };
        let (mut add_members, remove_members) = (names("add_members")?, names("remove_members")?);
        if verb == Verb::PutGroup {
            if !add_members.is_empty() || !remove_members.is_empty() {
                return Err("a group that is put has `members`");
            }
            add_members = names("members")?;
        }
        if verb.kind() == Kind::User && !(add_members.is_empty() && remove_members.is_empty()) {
            return Err("a user has no members");
        }
        if add_members.len() + remove_members.len() > 1_000 {
            return Err("more than 1,000 members at a time");
        }
        Ok(Self {
            external_id,
            attributes,
            add_members,
            remove_members,
        })
    }

    /// The whole resource, as it is put.
    pub(super) fn whole(&self, kind: Kind, members: &[String]) -> Value {
        let mut whole = self.attributes.clone();
        whole
            .entry("schemas")
            .or_insert_with(|| json!([kind.schema()]));
        whole.insert("externalId".into(), self.external_id.clone().into());
        if kind == Kind::Group {
            let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
            whole.insert("members".into(), members.into());
        }
        whole.into()
    }

    /// Operations of a PATCH.
    pub(super) fn operations(&self, add: &[String], remove: &[String]) -> Vec<Value> {
        let mut operations = Vec::new();
        let (gone, set): (Vec<_>, Vec<_>) = self
            .attributes
            .iter()
            .filter(|(name, _)| *name != "schemas")
            .partition(|(_, value)| value.is_null());
        if !set.is_empty() {
            let value: Map<String, Value> = set
                .into_iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            operations.push(json!({ "op": "replace", "value": value }));
        }
        for (name, _) in gone {
            operations.push(json!({ "op": "remove", "path": name }));
        }
        if !add.is_empty() {
            let members: Vec<Value> = add.iter().map(|id| json!({ "value": id })).collect();
            operations.push(json!({ "op": "add", "path": "members", "value": members }));
        }
        for id in remove {
            let path = format!("members[value eq {}]", Value::from(id.as_str()));
            operations.push(json!({ "op": "remove", "path": path }));
        }
        operations
    }
}

/// A PATCH with these operations.
pub(super) fn patch(operations: Vec<Value>) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": operations,
    })
}

/// The query that finds a resource.
pub(super) fn query(external_id: &str) -> String {
    // As JSON quotes it, which is how a filter does.
    let filter = format!("externalId eq {}", Value::from(external_id));
    let mut query = String::from("?filter=");
    for byte in filter.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            query.push(char::from(byte));
        } else {
            query.push_str(&format!("%{byte:02X}"));
        }
    }
    query
}

/// What an answer to a search holds of somebody: nobody, one, or why neither can be said.
pub(super) fn found(answer: &[u8], external_id: &str) -> Result<Option<Kept>, &'static str> {
    let answer: Value = serde_json::from_slice(answer).map_err(|_| "the answer is not JSON")?;
    let all = match answer.get("Resources") {
        Some(Value::Array(all)) => all.as_slice(),
        None if answer.get("totalResults") == Some(&json!(0)) => &[],
        _ => return Err("the answer is no list of resources"),
    };
    let mut same = all
        .iter()
        .filter(|one| one.get("externalId").and_then(Value::as_str) == Some(external_id));
    let Some(one) = same.next() else {
        return if all.is_empty() {
            Ok(None)
        } else {
            Err("it answers with others than were asked for: it does not filter by `externalId`")
        };
    };
    if same.next().is_some() {
        return Err("it knows several by the same `externalId`");
    }
    kept(one).map(Some)
}

/// What a resource says of itself.
pub(super) fn kept(resource: &Value) -> Result<Kept, &'static str> {
    let id = resource
        .get("id")
        .and_then(Value::as_str)
        .filter(|id| !id.is_empty() && id.len() <= 256)
        .ok_or("a resource of the answer has no `id`")?;
    // It becomes a part of a path.
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'@' | b'+' | b'=')
    };
    if !id.bytes().all(plain) || id == "." || id == ".." {
        return Err("a resource of the answer has an `id` that is no part of a path");
    }
    Ok(Kept {
        id: id.to_owned(),
        version: resource
            .pointer("/meta/version")
            .and_then(Value::as_str)
            .map(str::to_owned),
        active: resource.get("active").and_then(Value::as_bool),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_read() {
        let body =
            json!({ "externalId": "E1", "id": "7", "meta": {}, "active": true, "title": null });
        let wanted = Wanted::read(body.to_string().as_bytes(), Verb::PatchUser).unwrap();
        assert_eq!(wanted.external_id, "E1");
        assert_eq!(
            wanted.operations(&[], &[]),
            [
                json!({ "op": "replace", "value": { "active": true } }),
                json!({ "op": "remove", "path": "title" })
            ]
        );
        let body = json!({ "externalId": "g", "add_members": ["a"], "remove_members": ["b"] });
        let wanted = Wanted::read(body.to_string().as_bytes(), Verb::PatchGroup).unwrap();
        assert_eq!(
            wanted.operations(&["1".into()], &["2\"".into()]),
            [
                json!({ "op": "add", "path": "members", "value": [{ "value": "1" }] }),
                json!({ "op": "remove", "path": "members[value eq \"2\\\"\"]" })
            ]
        );
        for (body, verb) in [
            (json!([]), Verb::PutUser),
            (json!({}), Verb::PutUser),
            (json!({ "externalId": "" }), Verb::PutUser),
            (json!({ "externalId": 7 }), Verb::PutUser),
            (
                json!({ "externalId": "a", "add_members": ["b"] }),
                Verb::PutUser,
            ),
            (
                json!({ "externalId": "a", "add_members": ["b"] }),
                Verb::PutGroup,
            ),
            (
                json!({ "externalId": "a", "members": [{ "value": "b" }] }),
                Verb::PutGroup,
            ),
        ] {
            assert!(
                Wanted::read(body.to_string().as_bytes(), verb).is_err(),
                "{body}"
            );
        }
    }

    #[test]
    fn answers_are_not_believed() {
        let find = |answer: Value| found(answer.to_string().as_bytes(), "E1");
        assert!(find(json!({ "totalResults": 0 })).unwrap().is_none());
        assert!(
            find(json!({ "totalResults": 0, "Resources": [] }))
                .unwrap()
                .is_none()
        );
        let one = json!({ "id": "7", "externalId": "E1", "meta": { "version": "W/\"a\"" } });
        let kept = find(json!({ "Resources": [one] })).unwrap().unwrap();
        assert_eq!(
            (kept.id.as_str(), kept.version.as_deref()),
            ("7", Some("W/\"a\""))
        );
        for answer in [
            json!({ "Resources": [one, one] }),
            json!({ "Resources": [{ "id": "8", "externalId": "E2" }] }),
            json!({ "Resources": [{ "id": "8/../9", "externalId": "E1" }] }),
            json!({ "Resources": [{ "id": "..", "externalId": "E1" }] }),
            json!({ "Resources": [{ "externalId": "E1" }] }),
            json!([]),
        ] {
            assert!(find(answer.clone()).is_err(), "{answer}");
        }
        assert_eq!(query("a\"b"), "?filter=externalId%20eq%20%22a%5C%22b%22");
    }
}

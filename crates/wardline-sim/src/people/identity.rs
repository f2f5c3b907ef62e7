//! Identity: users by SCIM 2.0 (RFC 7643, 7644); what SCIM has no word for by doors of its own.

use crate::office::{Ask, Doc, Duty, Office, Reply, Room, Verb};
use axum::http::StatusCode;
use serde_json::{Value, json};

const SYSTEM: &str = "identity";

/// The identity system.
pub(crate) const IDENTITY: Office = Office {
    system: SYSTEM,
    place: 52,
    duties: &[
        Duty {
            name: "create-user",
            verb: Verb::Post,
            path: "/scim/v2/Users",
            subject: "/externalId",
            needs: &["/externalId", "/userName"],
            run: create,
        },
        Duty {
            name: "find-user",
            verb: Verb::Get,
            path: "/scim/v2/Users",
            subject: "filter",
            needs: &[],
            run: find,
        },
        Duty {
            name: "replace-user",
            verb: Verb::Put,
            path: "/scim/v2/Users/{number}",
            subject: "/externalId",
            needs: &["/externalId", "/userName"],
            run: replace,
        },
        Duty {
            name: "patch-user",
            verb: Verb::Patch,
            path: "/scim/v2/Users/{number}",
            subject: "number",
            needs: &["/Operations"],
            run: patch,
        },
        Duty {
            name: "delete-user",
            verb: Verb::Delete,
            path: "/scim/v2/Users/{number}",
            subject: "number",
            needs: &[],
            run: remove,
        },
        Duty {
            name: "match-person",
            verb: Verb::Post,
            path: "/matches",
            subject: "/employee_id",
            needs: &["/family_name"],
            run: match_person,
        },
        Duty {
            name: "set-roles",
            verb: Verb::Put,
            path: "/users/{employee_id}/roles",
            subject: "employee_id",
            needs: &["/roles"],
            run: |room, ask| {
                let id = ask.param("employee_id");
                room.keep("roles", id, ask.body["roles"].clone());
                Reply::Done(json!({ "employee_id": id, "roles": ask.body["roles"] }))
            },
        },
        Duty {
            name: "list-owned",
            verb: Verb::Get,
            path: "/users/{employee_id}/owned-accounts",
            subject: "employee_id",
            needs: &[],
            run: |_, ask| {
                let id = ask.param("employee_id");
                // One worker runs a feed under a name that is not theirs.
                let accounts = if id == "E1008" {
                    vec!["svc-labfeed"]
                } else {
                    Vec::new()
                };
                Reply::Read(json!({ "employee_id": id, "accounts": accounts }))
            },
        },
    ],
    refuse: crate::service::problem,
    furnish: |_| {},
};

/// Whether somebody else has this login.
fn is_taken(room: &Room<'_>, id: &str, user_name: &str) -> bool {
    let mut users = room.books.all(SYSTEM, "users");
    users.any(|(other, user)| other != id && user.text("/userName") == user_name)
}

fn create(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let id = ask.text("/externalId");
    let there = room.find("users", id).is_some_and(|user| !is_gone(user));
    if there || is_taken(room, id, ask.text("/userName")) {
        return Reply::No(StatusCode::CONFLICT, "this user exists");
    }
    Reply::Made(keep(room, id, &ask.body))
}

fn is_gone(user: &Value) -> bool {
    user["removed"] == json!(true)
}

/// The key of a user by the number that SCIM has for it.
fn key(room: &Room<'_>, ask: &Ask) -> Option<String> {
    let number = ask.param("number");
    let mut users = room.books.all(SYSTEM, "users");
    let found = users.find(|(_, user)| user.text("/id") == number && !is_gone(user));
    found.map(|(key, _)| key.to_owned())
}

/// Users by the only filter that is asked: `externalId eq "…"`.
fn find(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let wanted = ask.param("filter").strip_prefix("externalId eq ");
    let wanted = wanted.and_then(|text| serde_json::from_str::<String>(text).ok());
    let Some(wanted) = wanted else {
        return Reply::No(StatusCode::BAD_REQUEST, "this filter is not understood");
    };
    let found: Vec<Value> = room
        .find("users", &wanted)
        .filter(|user| !is_gone(user))
        .into_iter()
        .cloned()
        .collect();
    Reply::Read(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": found.len(),
        "Resources": found,
    }))
}

fn replace(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let Some(id) = key(room, ask) else {
        return Reply::UNKNOWN;
    };
    if is_taken(room, &id, ask.text("/userName")) {
        return Reply::No(StatusCode::CONFLICT, "this login is taken");
    }
    Reply::Done(keep(room, &id, &ask.body))
}

/// Sets attributes of the first level; nothing else is asked of it.
fn patch(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let Some(id) = key(room, ask) else {
        return Reply::UNKNOWN;
    };
    let Some(user) = room.books.change(SYSTEM, "users", &id) else {
        return Reply::UNKNOWN;
    };
    for operation in ask.body["Operations"].as_array().into_iter().flatten() {
        user[operation.text("/path")] = operation["value"].clone();
    }
    Reply::Done(user.clone())
}

fn remove(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let Some(id) = key(room, ask) else {
        return Reply::UNKNOWN;
    };
    if let Some(user) = room.books.change(SYSTEM, "users", &id) {
        user["active"] = json!(false);
        user["removed"] = json!(true);
    }
    Reply::Done(json!({}))
}

/// Keeps a user under the number that it has or gets.
fn keep(room: &mut Room<'_>, id: &str, user: &Value) -> Value {
    let known = room.find("users", id).map(|user| user["id"].clone());
    let number = room.books.count(SYSTEM, "users") + 1;
    let mut user = user.clone();
    user["id"] = known.unwrap_or_else(|| json!(format!("U-{number}")));
    user["meta"] = json!({ "resourceType": "User", "lastModified": room.instant() });
    room.keep("users", id, user.clone());
    user
}

/// Somebody who may be the same: known to this system since a rehearsal said so.
fn match_person(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let id = ask.text("/employee_id");
    let known = room.find("persons", id).map(|person| {
        json!([{ "employee_id": person.text("/employee_id"), "user_name": person.text("/user_name"), "score": "0.90" }])
    });
    Reply::Done(json!({ "candidates": known.unwrap_or_else(|| json!([])) }))
}

//! Identity: users by SCIM 2.0 (RFC 7643, 7644) and by a door for administrators.

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
            name: "replace-user",
            verb: Verb::Put,
            path: "/users/{employee_id}",
            subject: "employee_id",
            needs: &["/userName"],
            run: replace,
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
            name: "disable-user",
            verb: Verb::Post,
            path: "/users/{employee_id}/disable",
            subject: "employee_id",
            needs: &[],
            run: disable,
        },
        Duty {
            name: "remove-user",
            verb: Verb::Post,
            path: "/users/{employee_id}/remove",
            subject: "employee_id",
            needs: &[],
            run: |room, ask| {
                let id = ask.param("employee_id");
                if let Some(user) = room.books.change(SYSTEM, "users", id) {
                    user["active"] = json!(false);
                    user["removed"] = json!(true);
                }
                Reply::Done(json!({ "employee_id": id, "removed": true }))
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
    if room.find("users", id).is_some() || is_taken(room, id, ask.text("/userName")) {
        return Reply::No(StatusCode::CONFLICT, "this user exists");
    }
    Reply::Made(keep(room, id, &ask.body))
}

fn replace(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let id = ask.param("employee_id");
    if is_taken(room, id, ask.text("/userName")) {
        return Reply::No(StatusCode::CONFLICT, "this login is taken");
    }
    Reply::Done(keep(room, id, &ask.body))
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

fn disable(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let id = ask.param("employee_id");
    let mut sessions = 0;
    if let Some(user) = room.books.change(SYSTEM, "users", id) {
        if user["active"] == json!(true) {
            sessions = 2;
        }
        user["active"] = json!(false);
    }
    Reply::Done(json!({ "employee_id": id, "active": false, "sessions_revoked": sessions }))
}

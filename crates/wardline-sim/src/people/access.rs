//! What a worker may enter, when they work, and what they may see in the clinical record.

use crate::office::{Ask, Duty, Office, Reply, Room, Verb};
use serde_json::{Value, json};

/// Doors.
pub(crate) const BADGE: Office = Office {
    system: "badge",
    place: 53,
    duties: &[
        Duty {
            name: "put-badge",
            verb: Verb::Put,
            path: "/badges/{employee_id}",
            subject: "employee_id",
            needs: &["/active"],
            run: |room, ask| put(room, ask, "badges"),
        },
        Duty {
            name: "revoke-badge",
            verb: Verb::Post,
            path: "/badges/{employee_id}/revoke",
            subject: "employee_id",
            needs: &[],
            run: |room, ask| end(room, ask, "badges"),
        },
    ],
    refuse: crate::service::problem,
    furnish: |_| {},
};

/// Who works when.
pub(crate) const SCHEDULING: Office = Office {
    system: "scheduling",
    place: 54,
    duties: &[
        Duty {
            name: "put-worker",
            verb: Verb::Put,
            path: "/workers/{employee_id}",
            subject: "employee_id",
            needs: &["/active"],
            run: |room, ask| put(room, ask, "workers"),
        },
        Duty {
            name: "end-worker",
            verb: Verb::Post,
            path: "/workers/{employee_id}/end",
            subject: "employee_id",
            needs: &[],
            run: |room, ask| {
                let Reply::Done(mut body) = end(room, ask, "workers") else {
                    return Reply::UNKNOWN;
                };
                body["open_shifts"] = json!(3);
                Reply::Done(body)
            },
        },
        Duty {
            name: "put-demand",
            verb: Verb::Put,
            path: "/demand/{facility}/{unit}",
            subject: "unit",
            needs: &["/census_change"],
            run: |room, ask| {
                let (facility, unit) = (ask.param("facility"), ask.param("unit"));
                let id = format!("{facility}/{unit}");
                let before = room
                    .find("demand", &id)
                    .map_or(0, |it| it["change"].as_i64().unwrap_or(0));
                let change = before + ask.body["census_change"].as_i64().unwrap_or(0);
                room.keep("demand", &id, json!({ "change": change }));
                Reply::Done(json!({ "facility": facility, "unit": unit, "recomputed": true }))
            },
        },
    ],
    refuse: crate::service::problem,
    furnish: |_| {},
};

/// Accounts of the clinical record.
pub(crate) const EHR_ACCOUNTS: Office = Office {
    system: "ehr-accounts",
    place: 57,
    duties: &[
        Duty {
            name: "put-user",
            verb: Verb::Put,
            path: "/users/{employee_id}",
            subject: "employee_id",
            needs: &["/active"],
            run: |room, ask| put(room, ask, "users"),
        },
        Duty {
            name: "disable-user",
            verb: Verb::Post,
            path: "/users/{employee_id}/disable",
            subject: "employee_id",
            needs: &[],
            run: |room, ask| end(room, ask, "users"),
        },
    ],
    refuse: crate::service::problem,
    furnish: |_| {},
};

fn answer(id: &str, active: &Value) -> Value {
    json!({ "employee_id": id, "active": active })
}

fn put(room: &mut Room<'_>, ask: &Ask, kind: &str) -> Reply {
    let id = ask.param("employee_id");
    room.keep(kind, id, ask.body.clone());
    Reply::Done(answer(id, &ask.body["active"]))
}

/// Ends access, also of whoever never had any: it is off afterwards, and that was asked.
fn end(room: &mut Room<'_>, ask: &Ask, kind: &str) -> Reply {
    let id = ask.param("employee_id");
    let mut line = room.find(kind, id).cloned().unwrap_or_else(|| json!({}));
    line["active"] = json!(false);
    line["reason"] = json!(ask.text("/reason"));
    room.keep(kind, id, line);
    Reply::Done(answer(id, &json!(false)))
}

//! HR: keeps what was done with every worker, in its own words, and tells it one by one.

use crate::office::{Ask, Books, Doc, Duty, Office, Reply, Room, Verb};
use jiff::Timestamp;
use serde_json::{Value, json};

const SYSTEM: &str = "hr";

/// The system of record for people.
pub(crate) const HR: Office = Office {
    system: SYSTEM,
    place: 51,
    duties: &[
        Duty {
            name: "get-worker",
            verb: Verb::Get,
            path: "/workers/{employee_id}",
            subject: "employee_id",
            needs: &[],
            run: get_worker,
        },
        Duty {
            name: "list-pay-group",
            verb: Verb::Get,
            path: "/pay-groups/{pay_group}/workers",
            subject: "pay_group",
            needs: &[],
            run: |room, ask| {
                let group = ask.param("pay_group");
                let found = room.find("pay-groups", group).cloned();
                found.map_or(Reply::UNKNOWN, |workers| {
                    Reply::Read(json!({ "payGroup": group, "workers": workers }))
                })
            },
        },
        Duty {
            name: "write-user-name",
            verb: Verb::Put,
            path: "/workers/{employee_id}/user-name",
            subject: "employee_id",
            needs: &["/user_name"],
            run: |room, ask| {
                let id = ask.param("employee_id");
                room.keep("user-names", id, ask.body.clone());
                Reply::Done(json!({ "workerId": id, "userName": ask.text("/user_name") }))
            },
        },
    ],
    refuse: crate::service::problem,
    furnish: |books: &mut Books| {
        for (group, place) in [("BIWEEKLY-N", "north"), ("BIWEEKLY-S", "south")] {
            let ids = ["E1007", "E1008", "E0900"];
            keep_pay_group(books, group, &ids.map(str::to_owned));
            for id in ids {
                // The same three work in both hospitals; whoever is asked first has told of the north.
                if books.find(SYSTEM, "workers", id).is_none() {
                    let hired = event(id, 1, "hire", "2022-03-01", &somebody(id, place));
                    record(books, id, Timestamp::UNIX_EPOCH, hired);
                }
            }
        }
    },
};

/// Workers of one pay group, as HR lists them.
pub(super) fn keep_pay_group(books: &mut Books, group: &str, ids: &[String]) {
    let workers: Vec<Value> = ids
        .iter()
        .enumerate()
        .map(|(place, id)| {
            json!({ "workerId": id, "status": "active", "payGroup": group, "costCenter": super::sheet::CENTERS[place % 3],
                "taxSetup": true, "paymentMethod": super::sheet::METHODS[place % 3] })
        })
        .collect();
    books.keep(SYSTEM, "pay-groups", group, json!(workers));
}

/// Enters an event that is known to HR from `at` on.
pub(super) fn record(books: &mut Books, id: &str, at: Timestamp, event: Value) {
    let line = json!({ "at": at.to_string(), "event": event });
    match books.change(SYSTEM, "workers", id) {
        Some(Value::Array(lines)) => lines.push(line),
        _ => books.keep(SYSTEM, "workers", id, json!([line])),
    }
}

/// What HR knows by now, in its order.
fn get_worker(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let id = ask.param("employee_id");
    let now = room.now;
    let Some(lines) = room.find("workers", id) else {
        return Reply::UNKNOWN;
    };
    let mut events: Vec<&Value> = lines
        .list("")
        .iter()
        .filter(|line| {
            line.text("/at")
                .parse()
                .is_ok_and(|at: Timestamp| at <= now)
        })
        .map(|line| &line["event"])
        .collect();
    events.sort_by_key(|event| event["sequence"].as_u64());
    Reply::Read(json!({ "workerId": id, "events": events }))
}

/// Names that nobody has, by the number of the worker.
const NAMES: [(&str, &str); 8] = [
    ("Ines", "Okafor"),
    ("Tomas", "Reyes"),
    ("Mina", "Larsen"),
    ("Jon", "Abernathy"),
    ("Rosa", "Quispe"),
    ("Emeka", "Brooks"),
    ("Leila", "Haddad"),
    ("Piet", "Vos"),
];

/// A nurse of a facility: always the same for the same number.
pub(super) fn somebody(id: &str, facility: &str) -> Value {
    let number = crate::office::number_of(id);
    let (first, last) = NAMES[(number % 8) as usize];
    let (entity, group) = if facility == "south" {
        ("SBH-S", "BIWEEKLY-S")
    } else {
        ("SBH-N", "BIWEEKLY-N")
    };
    json!({
        "legalEntity": entity, "facility": facility, "firstName": first, "lastName": last, "workerType": "employee",
        "job": "RN", "jobTitle": "Registered nurse", "department": "4W", "costCenters": [{ "costCenter": "CC-4100", "percent": "100" }],
        "fte": "1.0", "manager": "E0900", "payGroup": group, "shift": "days", "hireDate": "2022-03-01",
        "dateOfBirth": format!("19{:02}-04-{:02}", 60 + number % 40, 1 + number % 28),
        // Numbers that begin with 9 are never given to a person.
        "ssn": format!("9{:02}-{:02}-{:04}", number % 50, 1 + number % 60, 1 + number % 9_998),
        "homeAddress": format!("{} Almond Street, Wexley, IL 60094", 1 + number % 900),
    })
}

/// One event, in HR's words.
pub(super) fn event(id: &str, sequence: u64, kind: &str, effective: &str, worker: &Value) -> Value {
    json!({
        "eventId": format!("HR-{}-{sequence:03}", id.trim_start_matches('E')), "sequence": sequence, "type": kind, "workerId": id,
        "effectiveDate": effective, "recordedAt": "2022-02-01T09:00:00-06:00", "immediate": false, "worker": worker,
    })
}

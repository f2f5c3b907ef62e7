//! The service desk, with tickets as the market leader's table of incidents has them, and patient relations with its cases.

use crate::office::{Ask, Duty, Office, Reply, Room, Verb, number_of};
use serde_json::json;

/// The service desk.
pub(crate) const ITSM: Office = Office {
    system: "itsm",
    place: 31,
    duties: &[
        Duty {
            name: "open-incident",
            verb: Verb::Post,
            path: "/api/now/table/incident",
            subject: "/correlation_id",
            needs: &["/short_description", "/correlation_id", "/urgency"],
            run: open,
        },
        Duty {
            name: "resolve-incident",
            verb: Verb::Put,
            path: "/api/now/table/incident/{sys_id}",
            subject: "sys_id",
            needs: &["/state", "/close_code"],
            run: resolve,
        },
    ],
    refuse: crate::service::problem,
    furnish: |_| {},
};

/// Patient relations.
pub(crate) const CRM: Office = Office {
    system: "crm",
    place: 32,
    duties: &[Duty {
        name: "update-case",
        verb: Verb::Put,
        path: "/cases/{case}",
        subject: "case",
        needs: &["/state"],
        run: |room, ask| {
            let case = ask.param("case");
            room.keep("cases", case, ask.body.clone());
            Reply::Done(json!({ "case": case, "state": ask.text("/state") }))
        },
    }],
    refuse: crate::service::problem,
    furnish: |_| {},
};

fn open(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let number = format!(
        "INC{:07}",
        10_001 + room.books.count(room.system, "incidents")
    );
    let sys_id = format!("{:032x}", number_of(ask.text("/correlation_id")));
    let mut incident = ask.body.clone();
    incident["number"] = json!(number);
    incident["state"] = json!("1");
    room.keep("incidents", &sys_id, incident);
    Reply::Made(json!({ "result": { "number": number, "sys_id": sys_id, "state": "1" } }))
}

fn resolve(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let sys_id = ask.param("sys_id");
    let (system, state) = (room.system, ask.body["state"].clone());
    let Some(incident) = room.books.change(system, "incidents", sys_id) else {
        return Reply::UNKNOWN;
    };
    incident["state"] = state.clone();
    let number = incident["number"].clone();
    Reply::Done(json!({ "result": { "number": number, "sys_id": sys_id, "state": state } }))
}

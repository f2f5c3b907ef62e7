//! Payroll: who is enrolled, and whether a run may be paid.

use super::sheet;
use crate::office::{Ask, Doc, Duty, Office, Reply, Room, Verb};
use crate::rehearsal::Group;
use axum::http::StatusCode;
use serde_json::json;
use std::time::Duration;

const SYSTEM: &str = "payroll";

/// From approval to money, at speed 1.
const PAID: Duration = Duration::from_secs(3);

/// Payroll.
pub(crate) const PAYROLL: Office = Office {
    system: SYSTEM,
    place: 55,
    duties: &[
        Duty {
            name: "put-employee",
            verb: Verb::Put,
            path: "/employees/{employee_id}",
            subject: "employee_id",
            needs: &["/pay_group"],
            run: enroll,
        },
        Duty {
            name: "withdraw-employee",
            verb: Verb::Post,
            path: "/employees/{employee_id}/withdraw",
            subject: "employee_id",
            needs: &[],
            run: |room, ask| {
                let id = ask.param("employee_id");
                if let Some(employee) = room.books.change(SYSTEM, "employees", id) {
                    if employee["paid"] == json!(true) {
                        return Reply::No(StatusCode::CONFLICT, "paid already");
                    }
                    employee["enrolled"] = json!(false);
                }
                Reply::Done(json!({ "employee_id": id, "enrolled": false }))
            },
        },
        Duty {
            name: "final-pay",
            verb: Verb::Post,
            path: "/employees/{employee_id}/final-pay",
            subject: "employee_id",
            needs: &[],
            run: |room, ask| {
                let id = ask.param("employee_id");
                let period = sheet::period(room.now, 0);
                if let Some(employee) = room.books.change(SYSTEM, "employees", id) {
                    employee["status"] = json!("terminated");
                    employee["final_period"] = json!(period);
                }
                Reply::Done(json!({ "employee_id": id, "final_period": period }))
            },
        },
        Duty {
            name: "get-run",
            verb: Verb::Get,
            path: "/runs/{run}",
            subject: "run",
            needs: &[],
            run: get_run,
        },
        Duty {
            name: "approve-run",
            verb: Verb::Post,
            path: "/runs/{run}/approve",
            subject: "run",
            needs: &[],
            run: |room, ask| set(room, ask, "approved"),
        },
        Duty {
            name: "reopen-run",
            verb: Verb::Post,
            path: "/runs/{run}/reopen",
            subject: "run",
            needs: &[],
            run: |room, ask| set(room, ask, "open"),
        },
    ],
    refuse: crate::service::problem,
    furnish: |_| {},
};

fn enroll(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let id = ask.param("employee_id");
    let known = room.find("employees", id).is_some();
    let pick = room.picks.of(Group::Payroll, id, room.dice(id));
    if !known && pick.scenario.name == "cutoff-missed" {
        let next = sheet::period(room.now, 14);
        return Reply::Refused(
            StatusCode::UNPROCESSABLE_ENTITY,
            json!({ "code": "CUTOFF_MISSED", "next_period": next }),
        );
    }
    let mut employee = ask.body.clone();
    employee["enrolled"] = json!(true);
    // What the tax office wants to know of a person is not kept: nothing here asks for it.
    if let Some(fields) = employee.as_object_mut() {
        fields.remove("tax_id");
        fields.remove("birth_date");
    }
    room.keep("employees", id, employee);
    let first = sheet::period(room.now, 14);
    Reply::Done(json!({ "employee_id": id, "enrolled": true, "first_period": first }))
}

/// A run that was begun, or one of a pay group that HR knows, in which everything adds up.
fn get_run(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let run = ask.param("run");
    if let Some(sheet) = room.find("runs", run) {
        return Reply::Read(sheet.clone());
    }
    let group = run.split(':').next().unwrap_or_default().to_owned();
    let Some(workers) = room.books.find("hr", "pay-groups", &group) else {
        return Reply::UNKNOWN;
    };
    let ids: Vec<String> = workers
        .list("")
        .iter()
        .map(|worker| worker.text("/workerId").to_owned())
        .collect();
    let facility = if group.ends_with("-S") {
        "south"
    } else {
        "north"
    };
    let pick = room.picks.of(Group::Payroll, run, room.dice(run));
    let sheet = sheet::write(run, &group, facility, &ids, pick.scenario, room.now);
    room.keep("runs", run, sheet.clone());
    Reply::Read(sheet)
}

fn set(room: &mut Room<'_>, ask: &Ask, status: &str) -> Reply {
    let run = ask.param("run");
    // A run that nobody looked at yet is there all the same.
    if let Some(sheet) = room.books.change(SYSTEM, "runs", run) {
        sheet["status"] = json!(status);
        if status == "approved" {
            let mut told = sheet::told(sheet, &crate::dates::instant(room.now));
            told["status"] = json!("paid");
            room.tell("/in/payroll/runs", format!("{run}-paid"), run, PAID, told);
        }
    }
    Reply::Done(json!({ "run": run, "status": status }))
}

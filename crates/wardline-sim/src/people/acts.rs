//! What HR does in each scenario, and how the other systems should look afterwards.

use super::hr::{event, keep_pay_group, record, somebody};
use super::sheet;
use crate::dates;
use crate::office::{Post, Room};
use crate::rehearsal::{Case, Check, Pick, Scenario};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Between two acts of HR, at speed 1.
const PAUSE: Duration = Duration::from_secs(5);

/// What HR does with one worker.
struct File<'a, 'r> {
    room: &'a mut Room<'r>,
    id: String,
    worker: Value,
    sequence: u64,
    /// When the next act is told, after the one before.
    after: Duration,
    /// When it is known to HR.
    at: Timestamp,
    posts: Vec<Post>,
}

impl File<'_, '_> {
    /// Writes an act down, and tells it.
    fn act(&mut self, kind: &str, effective: &str, more: &[(&str, Value)]) -> Value {
        self.sequence += 1;
        let told = self.write(self.sequence, kind, effective, more);
        self.tell(&told);
        told
    }

    fn write(
        &mut self,
        sequence: u64,
        kind: &str,
        effective: &str,
        more: &[(&str, Value)],
    ) -> Value {
        let mut told = event(&self.id, sequence, kind, effective, &self.worker);
        told["recordedAt"] = json!(dates::instant(self.at));
        for (field, value) in more {
            told[*field] = value.clone();
        }
        record(self.room.books, &self.id, self.at, told.clone());
        told
    }

    fn tell(&mut self, told: &Value) {
        let key = told["eventId"].as_str().unwrap_or_default().to_owned();
        self.posts.push(Post {
            from: "hr",
            path: "/in/hr/events",
            key,
            about: self.id.clone(),
            after: self.after,
            body: told.clone(),
        });
    }

    /// The next act is a while later.
    fn later(&mut self) {
        self.after = PAUSE;
        let pause = self.room.pace(PAUSE);
        self.at = self
            .at
            .saturating_add(jiff::SignedDuration::try_from(pause).unwrap_or_default())
            .unwrap_or(self.at);
    }

    fn hire(&mut self, effective: &str) -> Value {
        self.worker["hireDate"] = json!(effective);
        self.act("hire", effective, &[])
    }

    fn end(&mut self, last_day: &str, immediate: bool) -> Value {
        self.worker["lastDayWorked"] = json!(last_day);
        self.act("terminate", last_day, &[("immediate", json!(immediate))])
    }
}

/// Begins a scenario of HR.
pub(crate) fn begin(room: &mut Room<'_>, scenario: &'static Scenario, id: &str, facility: &str) {
    let day = |room: &Room<'_>, later: i64| room.day(later);
    let (long_ago, yesterday, today) = ("2022-03-01", day(room, -1), day(room, 0));
    let at = room.now;
    let mut file = File {
        worker: somebody(id, facility),
        id: id.to_owned(),
        sequence: 0,
        after: Duration::ZERO,
        at,
        posts: Vec::new(),
        room,
    };
    let checks = match scenario.name {
        "future-hire" => {
            let soon = day(file.room, 21);
            file.hire(&soon);
            nothing_active(id)
        }
        "rescind" => {
            let soon = day(file.room, 10);
            let hired = file.hire(&soon);
            file.later();
            file.act("rescind", &soon, &[("corrects", hired["eventId"].clone())]);
            nothing_active(id)
        }
        "transfer" => {
            file.hire(long_ago);
            file.later();
            file.worker["department"] = json!("ICU");
            file.worker["costCenters"] = json!([{ "costCenter": "CC-4200", "percent": "100" }]);
            file.act("transfer", &today, &[]);
            vec![
                holds("badge", "badges", id, "/zones/0", json!("ICU")),
                holds("scheduling", "workers", id, "/unit", json!("ICU")),
                holds(
                    "payroll",
                    "employees",
                    id,
                    "/cost_centers/0/cost_center",
                    json!("CC-4200"),
                ),
                holds("identity", "users", id, "/active", json!(true)),
            ]
        }
        "leave" => {
            file.hire(long_ago);
            file.later();
            file.act("leave", &today, &[("reason", json!("family"))]);
            vec![
                holds("payroll", "employees", id, "/status", json!("leave")),
                holds("identity", "users", id, "/active", json!(false)),
            ]
        }
        "rehire" => {
            // Somebody whom the identity system knows by another family name.
            let known = json!({ "employee_id": "E0311", "birth_date": file.worker["dateOfBirth"], "user_name": "jdoe" });
            file.room.books.keep("identity", "persons", id, known);
            file.worker["lastName"] = json!("Doe-Marsh");
            file.worker["hireDate"] = json!(today);
            file.act("rehire", &today, &[]);
            vec![
                effects("identity", "match-person", id, 1, 100),
                holds_not("identity", "users", id, "/active", json!(true)),
            ]
        }
        "name-change" => {
            file.hire(long_ago);
            file.later();
            file.worker["lastName"] = json!("Marsh");
            file.act("name-change", &today, &[]);
            vec![holds(
                "identity",
                "users",
                id,
                "/name/familyName",
                json!("Marsh"),
            )]
        }
        "terminate" => {
            file.hire(long_ago);
            file.later();
            file.end(&yesterday, false);
            all_off(id)
        }
        "terminate-now" => {
            file.hire(long_ago);
            file.later();
            file.end(&today, true);
            all_off(id)
        }
        "out-of-order" => {
            file.hire(long_ago);
            file.later();
            // HR changed the job first (8) and ended the work then (9); the second is told first.
            file.worker["shift"] = json!("nights");
            let changed = file.write(8, "job-change", &yesterday, &[]);
            file.sequence = 8;
            file.end(&today, true);
            file.later();
            file.tell(&changed);
            all_off(id)
        }
        _ => {
            file.hire(&today);
            vec![
                holds("identity", "users", id, "/active", json!(true)),
                holds("badge", "badges", id, "/active", json!(true)),
                holds("scheduling", "workers", id, "/active", json!(true)),
                holds("payroll", "employees", id, "/enrolled", json!(true)),
                holds("ehr-accounts", "users", id, "/active", json!(true)),
            ]
        }
    };
    let posts = file.posts;
    room.posts.push(posts);
    room.open(Case {
        scenario,
        about: id.to_owned(),
        checks,
    });
}

/// A run of payroll in a pay group of its own, and whether it may be approved.
pub(crate) fn begin_run(
    room: &mut Room<'_>,
    pick: Pick,
    tag: u64,
    number: u64,
    facility: &str,
) -> String {
    let scenario = pick.scenario;
    if scenario.name == "cutoff-missed" {
        let id = format!("E{}", tag * 1_000 + 500 + number);
        room.picks.pick(&id, pick);
        let hire = Scenario::named("people/hire").unwrap_or(scenario);
        begin(room, hire, &id, facility);
        room.picks.cases.drop(&id, hire);
        room.open(Case {
            scenario,
            about: id.clone(),
            checks: vec![holds_not(
                "payroll",
                "employees",
                &id,
                "/enrolled",
                json!(true),
            )],
        });
        return id;
    }
    let group = format!("PG-{tag:06}-{number}");
    let run = format!("{group}:{}", room.day(0).get(..7).unwrap_or_default());
    let ids = [1, 2, 3].map(|place| format!("E{}", 8_000_000 + tag * 10 + number * 3 + place));
    keep_pay_group(room.books, &group, &ids);
    if scenario.name == "terminated-paid"
        && let Some(workers) = room.books.change("hr", "pay-groups", &group)
    {
        workers[2]["status"] = json!("terminated");
        workers[2]["lastDayWorked"] = json!("2026-01-31");
    }
    let sheet = sheet::write(&run, &group, facility, &ids, scenario, room.now);
    let told = sheet::told(&sheet, &room.instant());
    room.books.keep("payroll", "runs", &run, sheet);
    room.tell(
        "/in/payroll/runs",
        format!("{run}-calculated"),
        &run,
        Duration::ZERO,
        told,
    );
    let (least, most) = match scenario.name {
        "ties" => (1, 1),
        "variance" => (0, 1),
        _ => (0, 0),
    };
    room.open(Case {
        scenario,
        about: run.clone(),
        checks: vec![effects("payroll", "approve-run", &run, least, most)],
    });
    run
}

fn holds(
    system: &'static str,
    kind: &'static str,
    id: &str,
    field: &'static str,
    value: Value,
) -> Check {
    Check::Holds {
        system,
        kind,
        id: id.to_owned(),
        field,
        value,
    }
}

fn holds_not(
    system: &'static str,
    kind: &'static str,
    id: &str,
    field: &'static str,
    value: Value,
) -> Check {
    Check::HoldsNot {
        system,
        kind,
        id: id.to_owned(),
        field,
        value,
    }
}

fn effects(
    system: &'static str,
    duty: &'static str,
    subject: &str,
    least: u64,
    most: u64,
) -> Check {
    Check::Effects {
        system,
        duty,
        subject: subject.to_owned(),
        least,
        most,
    }
}

/// Whoever is not here yet has no access, and is not paid.
fn nothing_active(id: &str) -> Vec<Check> {
    vec![
        holds_not("identity", "users", id, "/active", json!(true)),
        holds_not("badge", "badges", id, "/active", json!(true)),
        holds_not("ehr-accounts", "users", id, "/active", json!(true)),
        holds_not("payroll", "employees", id, "/enrolled", json!(true)),
    ]
}

/// Whoever has left has no access any more, and gets a final pay.
fn all_off(id: &str) -> Vec<Check> {
    vec![
        holds("identity", "users", id, "/active", json!(false)),
        holds("badge", "badges", id, "/active", json!(false)),
        holds("scheduling", "workers", id, "/active", json!(false)),
        holds("ehr-accounts", "users", id, "/active", json!(false)),
        effects("payroll", "final-pay", id, 1, 1),
    ]
}

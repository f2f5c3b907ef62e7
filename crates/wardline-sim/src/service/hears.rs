//! What the bed board, housekeeping and patient accounting know after what they were told.
//!
//! The books of [`crate::ledger`] say whether everything came once and in order; this says how things stand, which is
//! what a rehearsal looks at and what the bed board is asked.

use crate::office::{BackOffice, Doc, Duty, Office, Reply, Room, Verb};
use serde_json::{Value, json};

const BEDS: (&str, &str) = ("bed-board", "beds");
/// Clean requests remembered by their reference; later ones are remembered only in rehearsals.
const REQUESTS: usize = 40_000;

/// What the bed board is asked, beside what it is told.
pub(crate) const BED_BOARD_OFFICE: Office = Office {
    system: BEDS.0,
    place: 2,
    duties: &[Duty {
        name: "get-bed",
        verb: Verb::Get,
        path: "/beds/{bed}",
        subject: "bed",
        needs: &[],
        run: |room, ask| {
            let bed = ask.param("bed");
            let unknown = json!({ "bed": bed, "state": "clean", "visit": null });
            Reply::Read(room.find(BEDS.1, bed).cloned().unwrap_or(unknown))
        },
    }],
    refuse: crate::service::problem,
    furnish: |_| {},
};

/// Something took effect. False where it is no news: the same clean was asked for before.
pub(super) fn heard(
    back: &BackOffice,
    system: &'static str,
    operation: &'static str,
    key: &str,
    body: &Value,
) -> bool {
    back.work(system, |room| {
        // What is rehearsed is counted by itself; everything else only in the ledger.
        if room.books.find("ehr", "subjects", key).is_some() {
            room.books.count_effect(system, operation, key);
        }
        match operation {
            "occupy-bed" => occupy(room, key, body),
            "release-bed" => release(room, key, body),
            "bed-cleaned" => clean(room, key),
            "request-clean" => return request(room, key, body),
            // An admission that is told after its discharge opens nothing again: that is what `reopen-account` is for.
            "open-account" if room.find("accounts", key).is_some() => {}
            "open-account" | "reopen-account" => account(room, key, "open"),
            "close-account" => account(room, key, "closed"),
            _ => {}
        }
        true
    })
}

fn keep_bed(room: &mut Room<'_>, bed: &str, state: &str, visit: Value) {
    let since = room.instant();
    let line = json!({ "bed": bed, "state": state, "visit": visit, "since": since });
    room.keep(BEDS.1, bed, line);
}

fn occupy(room: &mut Room<'_>, bed: &str, body: &Value) {
    let visit = body.text("/visit");
    let holder = room.find(BEDS.1, bed).map_or("", |bed| bed.text("/visit"));
    let only_if_free = body["only_if_free"] == json!(true);
    if only_if_free && !holder.is_empty() && holder != visit {
        return;
    }
    keep_bed(room, bed, "occupied", json!(visit));
}

/// Only whoever lies there can leave: a late word does not turn out the next patient.
fn release(room: &mut Room<'_>, bed: &str, body: &Value) {
    let holder = room.find(BEDS.1, bed).map_or("", |bed| bed.text("/visit"));
    if holder == body.text("/visit") {
        keep_bed(room, bed, "dirty", Value::Null);
    }
}

fn clean(room: &mut Room<'_>, bed: &str) {
    let state = room.find(BEDS.1, bed).map_or("", |bed| bed.text("/state"));
    if state != "occupied" {
        keep_bed(room, bed, "clean", Value::Null);
    }
}

fn request(room: &mut Room<'_>, bed: &str, body: &Value) -> bool {
    let reference = body.text("/request_ref");
    if !reference.is_empty() && room.find("requests", reference).is_some() {
        return false;
    }
    let count = room.books.count("housekeeping", "requests");
    if count < REQUESTS || room.books.find("ehr", "subjects", bed).is_some() {
        let id = match reference {
            "" => format!("{bed}/{count}"),
            reference => reference.to_owned(),
        };
        room.keep("requests", &id, json!({ "bed": bed }));
    }
    true
}

/// Only accounts of rehearsals: a busy EHR has more than are kept.
fn account(room: &mut Room<'_>, account: &str, state: &str) {
    if room.books.find("ehr", "subjects", account).is_some() {
        room.keep("accounts", account, json!({ "state": state }));
    }
}

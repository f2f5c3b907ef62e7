//! Patient billing, and charge capture beside it: the two sides of a day that somebody compares.

use super::{day, legal_entity};
use crate::dates;
use crate::office::{Ask, Doc, Duty, Office, Reply, Room, Verb};
use crate::rehearsal::{Case, Check, Group, Pick};
use serde_json::{Value, json};
use std::time::Duration;

const SYSTEM: &str = "billing";
const CAPTURE: &str = "charge-capture";

/// Patient billing.
pub(crate) const BILLING: Office = Office {
    system: SYSTEM,
    place: 50,
    duties: &[
        Duty {
            name: "hold-bill",
            verb: Verb::Put,
            path: "/accounts/{account}/bill-hold",
            subject: "account",
            needs: &[],
            run: |room, ask| set(room, ask, "held"),
        },
        Duty {
            name: "lift-bill-hold",
            verb: Verb::Post,
            path: "/accounts/{account}/bill-hold/lift",
            subject: "account",
            needs: &[],
            run: |room, ask| set(room, ask, "open"),
        },
        Duty {
            name: "finalize-bill",
            verb: Verb::Post,
            path: "/accounts/{account}/final-bill",
            subject: "account",
            needs: &[],
            run: |room, ask| {
                let Reply::Done(mut body) = set(room, ask, "final") else {
                    return Reply::UNKNOWN;
                };
                let generation = ask.body["generation"].as_u64().unwrap_or(1);
                body["bill"] = json!(format!("B-{}-{generation}", ask.param("account")));
                Reply::Done(body)
            },
        },
        Duty {
            name: "correct-account",
            verb: Verb::Post,
            path: "/accounts/{account}/corrections",
            subject: "account",
            needs: &[],
            run: |_, ask| {
                Reply::Done(json!({ "account": ask.param("account"), "state": "corrected" }))
            },
        },
        Duty {
            name: "void-account",
            verb: Verb::Post,
            path: "/accounts/{account}/void",
            subject: "account",
            needs: &[],
            run: |room, ask| set(room, ask, "void"),
        },
        Duty {
            name: "merge-patient",
            verb: Verb::Post,
            path: "/patients/{prior_mrn}/merge",
            subject: "prior_mrn",
            needs: &["/mrn"],
            run: merge,
        },
        Duty {
            name: "post-charge",
            verb: Verb::Post,
            path: "/charges",
            subject: "/charge_id",
            needs: &["/charge_id", "/code", "/amount/amount"],
            run: post_charge,
        },
        Duty {
            name: "list-postings",
            verb: Verb::Get,
            path: "/days/{facility}/{day}/postings",
            subject: "day",
            needs: &[],
            run: list_postings,
        },
        Duty {
            name: "post-remittance",
            verb: Verb::Post,
            path: "/remittances",
            subject: "/trace",
            needs: &["/trace", "/claims"],
            run: |room, ask| {
                let trace = ask.text("/trace");
                room.keep("remittances", trace, ask.body.clone());
                let claims = ask.body.list("/claims").iter();
                let posted: crate::amount::Amount =
                    claims.filter_map(|claim| claim.amount("/paid")).sum();
                Reply::Done(json!({ "trace": trace, "posted": posted.to_string() }))
            },
        },
        Duty {
            name: "get-claim-payments",
            verb: Verb::Get,
            path: "/claims/{claim_number}/payments",
            subject: "claim_number",
            needs: &[],
            run: |room, ask| {
                let number = ask.param("claim_number");
                let remittances = room.books.all(SYSTEM, "remittances");
                let claims = remittances.flat_map(|(_, remittance)| remittance.list("/claims"));
                let paid: crate::amount::Amount = claims
                    .filter(|claim| claim.text("/claim") == number)
                    .filter_map(|claim| claim.amount("/paid"))
                    .sum();
                Reply::Read(json!({ "claim_number": number, "paid": paid.to_string() }))
            },
        },
    ],
    refuse: crate::service::problem,
    furnish: |_| {},
};

/// What was done and charged, before billing.
pub(crate) const CHARGE_CAPTURE: Office = Office {
    system: CAPTURE,
    place: 59,
    duties: &[Duty {
        name: "list-day",
        verb: Verb::Get,
        path: "/days/{facility}/{day}",
        subject: "day",
        needs: &[],
        run: |room, ask| {
            let mut capture = day(room, ask.param("facility"), ask.param("day")).0;
            let id = format!("{}/{}", ask.param("facility"), ask.param("day"));
            let more = room.books.find(CAPTURE, "told", &id).cloned();
            if let (Some(Value::Array(more)), Some(charges)) =
                (more, capture["charges"].as_array_mut())
            {
                charges.extend(more);
            }
            Reply::Read(capture)
        },
    }],
    refuse: crate::service::problem,
    furnish: |_| {},
};

fn set(room: &mut Room<'_>, ask: &Ask, state: &str) -> Reply {
    let account = ask.param("account");
    let mut kept = ask.body.clone();
    if !kept.is_object() {
        kept = json!({});
    }
    kept["state"] = json!(state);
    room.keep("accounts", account, kept);
    Reply::Done(json!({ "account": account, "state": state }))
}

fn merge(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let (prior, mrn) = (ask.param("prior_mrn"), ask.text("/mrn"));
    let visits = |room: &Room<'_>, mrn: &str| -> Vec<Value> {
        let found = room.find("patients", mrn);
        found.map_or_else(Vec::new, |visits| visits.list("").to_vec())
    };
    let moved = visits(room, prior);
    let mut all = visits(room, mrn);
    all.extend(moved.iter().cloned());
    room.keep("patients", prior, json!([]));
    room.keep("patients", mrn, json!(all));
    Reply::Done(json!({ "mrn": mrn, "visits": moved }))
}

fn post_charge(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let posting = format!("P-{:07}", room.books.count(SYSTEM, "postings") + 1);
    let charge = &ask.body;
    let credit = charge.text("/type") == "credit";
    let mut line = json!({
        "posting": posting, "charge_id": charge["charge_id"], "sender": charge["sender"], "visit": charge["visit_number"],
        "account": charge["account_number"], "type": if credit { "CD" } else { "CG" }, "code": charge["code"],
        "service_date": charge["service_date"], "post_date": charge["post_date"], "department": charge["department"],
        "quantity": charge["quantity"], "amount": charge.text("/amount/amount"), "currency": charge.text("/amount/currency"),
        "facility": charge["facility"],
    });
    // A charge that takes another one back takes back its posting.
    let original = charge.text("/reverses");
    if !original.is_empty() {
        let mut postings = room.books.all(SYSTEM, "postings");
        let found = postings.find(|(_, posting)| posting.text("/charge_id") == original);
        let found = found.map_or_else(|| original.to_owned(), |(id, _)| id.to_owned());
        line["reverses"] = json!(found);
    }
    room.keep("postings", &posting, line);
    Reply::Made(json!({ "posting": posting, "state": "posted" }))
}

/// Both sides of a day as its scenario says: what was charged, and what was posted.
fn day(room: &mut Room<'_>, facility: &str, day: &str) -> (Value, Value) {
    let about = scope(facility, day);
    let dice = room.dice(&about);
    let pick = room.picks.of(Group::Charges, &about, dice.clone());
    day::write(facility, day, pick.scenario, dice.fork(1))
}

fn scope(facility: &str, day: &str) -> String {
    format!("charges:{facility}:{day}")
}

fn list_postings(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let (facility, date) = (ask.param("facility"), ask.param("day"));
    let mut postings = day(room, facility, date).1;
    let told = room.books.all(SYSTEM, "postings").map(|(_, line)| line);
    let told = told
        .filter(|line| line.text("/facility") == facility && line.text("/service_date") == date);
    if let Some(list) = postings.as_array_mut() {
        list.extend(told.cloned());
    }
    Reply::Read(json!({ "facility": facility, "day": date, "postings": postings }))
}

/// Asks for the comparison of a day that is long enough ago for every rule.
pub(crate) fn begin_day(room: &mut Room<'_>, pick: Pick, number: u64, facility: &str) -> String {
    let day = dates::day(room.now, -20 - (number % 300) as i64).to_string();
    let about = scope(facility, &day);
    room.picks.pick(&about, pick);
    let body = json!({ "facilities": [facility], "day": day, "asked_by": "rehearsal", "legal_entity": legal_entity(facility) });
    let key = format!("{about}-{}", room.now.as_millisecond());
    room.tell(
        "/in/billing/reconciliations",
        key,
        &about,
        Duration::ZERO,
        body,
    );
    // A difference becomes a fact when it is found, and one more when it is closed.
    let facts = day::fact(&about, facility, &day, pick.scenario.name).map(|fact| Check::Count {
        system: "analytics",
        kind: "facts",
        fields: vec![("/break_ref", json!(fact))],
        least: 1,
        most: 2,
    });
    room.open(Case {
        scenario: pick.scenario,
        about: about.clone(),
        checks: facts.into_iter().collect(),
    });
    about
}

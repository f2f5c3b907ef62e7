//! Those whom others ask: who is excluded, whose account this is, and the warehouse for figures.

use crate::office::{Ask, Duty, Office, Reply, Room, Verb};
use serde_json::{Value, json};

/// Looks for suppliers in lists of excluded parties.
///
/// A name with `EXCLUDED` in it is on a list, one with `REVIEW` may be.
pub(crate) const COMPLIANCE: Office = Office {
    system: "compliance",
    place: 25,
    duties: &[Duty {
        name: "screen-supplier",
        verb: Verb::Post,
        path: "/screenings",
        subject: "/request_id",
        needs: &["/name"],
        run: screen,
    }],
    refuse: crate::service::problem,
    furnish: |_| {},
};

/// Says whether an account belongs to who says so.
///
/// Account numbers that end in 9 belong to somebody else, those that end in 0 are not known.
pub(crate) const BANK_VERIFICATION: Office = Office {
    system: "bank-verification",
    place: 26,
    duties: &[Duty {
        name: "verify-account",
        verb: Verb::Post,
        path: "/verifications",
        subject: "/reference",
        needs: &["/routing_number", "/account_number"],
        run: verify,
    }],
    refuse: crate::service::problem,
    furnish: |_| {},
};

/// The warehouse for figures.
pub(crate) const ANALYTICS: Office = Office {
    system: "analytics",
    place: 27,
    duties: &[Duty {
        name: "record-fact",
        verb: Verb::Post,
        path: "/facts",
        subject: "/fact",
        needs: &["/fact"],
        run: |room, ask| {
            let id = format!("{:09}", room.books.count("analytics", "facts") + 1);
            room.keep("facts", &id, ask.body.clone());
            Reply::Done(json!({ "status": "recorded" }))
        },
    }],
    refuse: crate::service::problem,
    furnish: |_| {},
};

fn screen(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let name = ask.text("/name").to_uppercase();
    let result = if name.contains("EXCLUDED") {
        "hit"
    } else if name.contains("REVIEW") {
        "review"
    } else {
        "clear"
    };
    let lists: Vec<Value> = ["LEIE", "SAM", "OFAC"]
        .iter()
        .map(|list| json!({ "list": list, "result": if *list == "LEIE" { result } else { "clear" }, "at": room.instant() }))
        .collect();
    let id = format!(
        "SCR-{:06}",
        room.books.count("compliance", "screenings") + 1
    );
    let body = json!({ "screening_id": id, "result": result, "lists": lists, "screened_at": room.instant() });
    room.keep("screenings", &id, body.clone());
    Reply::Done(body)
}

fn verify(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let result = match ask.text("/account_number").chars().last() {
        Some('9') => "mismatch",
        Some('0') | None => "unknown",
        Some(_) => "match",
    };
    let number = room.books.count("bank-verification", "verifications") + 1;
    let id = format!("VER-{number:06}");
    // What was asked is a secret of the supplier: only the answer is kept.
    let body = json!({ "verification_id": id, "result": result });
    room.keep("verifications", &id, body.clone());
    Reply::Done(body)
}

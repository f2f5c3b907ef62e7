//! The clearinghouse: takes claims, and lets payer and bank answer as the scenario says.

use super::{answers, legal_entity};
use crate::amount::Amount;
use crate::office::{Ask, Doc, Duty, Office, Post, Reply, Room, Verb};
use crate::rehearsal::{Case, Check, Group, Pick};
use serde_json::json;
use std::time::Duration;

const SYSTEM: &str = "clearinghouse";

/// The clearinghouse.
pub(crate) const CLEARINGHOUSE: Office = Office {
    system: SYSTEM,
    place: 56,
    duties: &[Duty {
        name: "submit-claim",
        verb: Verb::Post,
        path: "/claims",
        subject: "/CLM/01",
        needs: &["/CLM/01", "/CLM/02", "/payer"],
        run: submit,
    }],
    refuse: crate::service::problem,
    furnish: |_| {},
};

fn submit(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let claim = ask.text("/CLM/01");
    let Some(charged) = ask.body.amount("/CLM/02") else {
        return Reply::Read(json!({ "claim": claim, "accepted": false }));
    };
    let control = format!("{:09}", 900 + room.books.count(SYSTEM, "claims"));
    let dice = room.dice(claim);
    let pick = room.picks.of(Group::Claims, claim, dice);
    let of = answers::Claim {
        number: claim.to_owned(),
        payer: ask.text("/payer").to_owned(),
        facility: ask.text("/facility").to_owned(),
        control: control.clone(),
        charged,
    };
    let (posts, checks) = answers::play(pick.scenario, &of, room.now);
    room.keep("claims", claim, ask.body.clone());
    room.posts.push(posts);
    room.open(Case {
        scenario: pick.scenario,
        about: claim.to_owned(),
        checks,
    });
    Reply::Made(json!({ "claim": claim, "control": control, "accepted": true }))
}

/// Billing makes a claim.
pub(crate) fn begin_claim(room: &mut Room<'_>, pick: Pick, claim: &str, facility: &str) {
    room.picks.pick(claim, pick);
    let charged = Amount::whole(1_000);
    let body = json!({
        "legal_entity": legal_entity(facility), "facility": facility, "claim_number": claim, "account_number": format!("ACC-{claim}"),
        "payer": "HRT02", "form": "837I", "status": "created", "amount": { "amount": charged.to_string(), "currency": "USD" },
        "statement_from": room.day(-9), "statement_to": room.day(-5), "at": room.instant(),
        "lines": [{ "line": 1, "procedure": "99223", "charge": charged.to_string(), "units": "1" }],
    });
    let post = Post {
        from: "billing",
        path: "/in/billing/claims",
        key: claim.to_owned(),
        about: claim.to_owned(),
        after: Duration::ZERO,
        body,
    };
    room.posts.push(vec![post]);
    // What the payer does is known once the claim is there; until then it is missing.
    let submitted = Check::Effects {
        system: SYSTEM,
        duty: "submit-claim",
        subject: claim.to_owned(),
        least: 1,
        most: 1,
    };
    room.open(Case {
        scenario: pick.scenario,
        about: claim.to_owned(),
        checks: vec![submitted],
    });
}

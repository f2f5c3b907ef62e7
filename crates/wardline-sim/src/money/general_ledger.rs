//! The general ledger: takes journals whose sides agree.

use crate::office::{Duty, Office, Reply, Verb};
use crate::supply::{UNBALANCED, balances};
use serde_json::json;

/// The general ledger.
pub(crate) const GENERAL_LEDGER: Office = Office {
    system: "general-ledger",
    place: 58,
    duties: &[Duty {
        name: "post-journal",
        verb: Verb::Post,
        path: "/journals",
        subject: "/journal_number",
        needs: &["/journal_number", "/legal_entity", "/lines/0"],
        run: |room, ask| {
            if !balances(&ask.body) {
                return UNBALANCED;
            }
            let number = ask.text("/journal_number");
            room.keep("journals", number, ask.body.clone());
            Reply::Made(json!({ "number": number, "status": "posted" }))
        },
    }],
    refuse: crate::service::problem,
    furnish: |_| {},
};

//! Suppliers that come, and suppliers that want their money elsewhere. Both are told through the network's portal.

use super::legal_entity;
use crate::office::{Post, Room};
use crate::rehearsal::{Case, Check, Scenario};
use serde_json::{Value, json};
use std::time::Duration;

/// Whose bank details change: known to both ERPs, and nobody that other scenarios buy from.
const MOVES: &str = "V-100";
/// Whose money somebody else wants.
const IMPERSONATED: &str = "V-200";

/// A supplier comes, or wants something changed.
pub(crate) fn begin_supplier(
    room: &mut Room<'_>,
    scenario: &'static Scenario,
    about: &str,
    facility: &str,
) {
    match scenario.name {
        "bank-change" => change(room, scenario, about, facility, MOVES),
        "bank-fraud" => change(room, scenario, about, facility, IMPERSONATED),
        name => request(room, scenario, about, facility, name),
    }
}

fn request(
    room: &mut Room<'_>,
    scenario: &'static Scenario,
    about: &str,
    facility: &str,
    name: &str,
) {
    let digits: String = about.chars().filter(char::is_ascii_digit).collect();
    // Names that nobody would take for each other, but for the one that is known.
    let (called, tax) = match name {
        "known" => (
            "Northwind Medical Supply Inc.".to_owned(),
            "36-1111111".to_owned(),
        ),
        "excluded" => (format!("Excluded Devices {digits}"), tax_id(&digits, 7)),
        _ => (format!("Tamarack Instruments {digits}"), tax_id(&digits, 3)),
    };
    let body = json!({
        "request_id": about, "legal_entity": legal_entity(facility), "facility": facility, "requested_by": "p.ward",
        "name": called, "tax_id": tax, "contact": { "email": "orders@tamarack.example", "phone": "+1 414 555 0182" },
        "bank": { "account_number": format!("{digits}1"), "routing_number": "021000021" }, "payment_terms": "N30",
        "documents": [{ "kind": "w9", "received_on": room.day(0) }],
    });
    tell(room, "/in/supplier-network/requests", about, body);
    // Its number is made from the request, so that both ERPs and the network know it by the same.
    let number: String = about.chars().filter(char::is_ascii_alphanumeric).collect();
    let created = u64::from(name == "new");
    room.open(Case {
        scenario,
        about: about.to_owned(),
        checks: vec![Check::Effects {
            system: "supplier-network",
            duty: "enroll-supplier",
            subject: format!("S{number}").chars().take(20).collect(),
            least: created,
            most: created,
        }],
    });
}

fn change(
    room: &mut Room<'_>,
    scenario: &'static Scenario,
    about: &str,
    facility: &str,
    supplier: &'static str,
) {
    let body = json!({
        "change_id": about, "legal_entity": legal_entity(facility), "facility": facility, "supplier_id": supplier,
        "channel": "email", "from_email": "ar@acme-medical.example", "requested_at": room.instant(),
        "bank": { "account_number": "000999888771", "routing_number": "021000021" },
    });
    tell(room, "/in/supplier-network/bank-changes", about, body);
    // Held while it is looked at; paid again only where nobody meant it.
    let held = scenario.name == "bank-change";
    room.open(Case {
        scenario,
        about: about.to_owned(),
        checks: vec![Check::Holds {
            system: "accounts-payable",
            kind: "suppliers",
            id: supplier.to_owned(),
            field: "/held",
            value: json!(held),
        }],
    });
}

/// A tax number of nine digits that only this one has.
fn tax_id(digits: &str, first: u8) -> String {
    let tail: String = digits.chars().rev().take(7).collect();
    format!("{first}0-{tail:0>7}")
}

fn tell(room: &mut Room<'_>, path: &'static str, about: &str, body: Value) {
    room.posts.push(vec![Post {
        from: "supplier-network",
        path,
        key: about.to_owned(),
        about: about.to_owned(),
        after: Duration::ZERO,
        body,
    }]);
}

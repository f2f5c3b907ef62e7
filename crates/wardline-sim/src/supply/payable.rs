//! Accounts payable: pays a payment once whatever happens, knows what it paid, and hears from the bank what became of it.

use crate::office::{Ask, Doc, Duty, Office, Reply, Room, Verb};
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

const SYSTEM: &str = "accounts-payable";
/// Until the bank says that a payment arrived, at speed 1.
const SETTLES: Duration = Duration::from_secs(3);

/// The same for whoever wants the money back.
const SETTLES_AT: SignedDuration = SignedDuration::from_secs(3);

/// Accounts payable.
pub(crate) const ACCOUNTS_PAYABLE: Office = Office {
    system: SYSTEM,
    place: 23,
    duties: &[
        Duty {
            name: "release-payment",
            verb: Verb::Post,
            path: "/payments",
            subject: "/payment_id",
            needs: &["/payment_id", "/supplier_id", "/amount/amount"],
            run: pay,
        },
        Duty {
            name: "void-payment",
            verb: Verb::Post,
            path: "/payments/{payment_id}/void",
            subject: "payment_id",
            needs: &[],
            run: void,
        },
        Duty {
            name: "list-invoices",
            verb: Verb::Get,
            path: "/suppliers/{supplier_id}/invoices",
            subject: "supplier_id",
            needs: &[],
            run: paid_invoices,
        },
        Duty {
            name: "hold-invoice",
            verb: Verb::Post,
            path: "/holds",
            subject: "/invoice_number",
            needs: &["/supplier_id", "/invoice_number"],
            run: |room, ask| {
                let id = format!(
                    "{}/{}",
                    ask.text("/supplier_id"),
                    ask.text("/invoice_number")
                );
                room.keep("holds", &id, ask.body.clone());
                Reply::Done(json!({ "status": "held" }))
            },
        },
        Duty {
            name: "hold-supplier",
            verb: Verb::Post,
            path: "/suppliers/{supplier_id}/hold",
            subject: "supplier_id",
            needs: &[],
            run: |room, ask| hold(room, ask, true),
        },
        Duty {
            name: "release-supplier",
            verb: Verb::Post,
            path: "/suppliers/{supplier_id}/release",
            subject: "supplier_id",
            needs: &[],
            run: |room, ask| hold(room, ask, false),
        },
    ],
    refuse: crate::service::problem,
    furnish: |_| {},
};

fn answer(payment: &Value) -> Value {
    json!({ "payment_id": payment.text("/payment_id"), "status": payment.text("/status"), "trace": payment.text("/trace") })
}

fn pay(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let id = ask.text("/payment_id");
    if let Some(known) = room.find("payments", id) {
        // Paid before, under whichever key: the answer is the same and no money leaves.
        return if known["amount"] == ask.body["amount"] {
            Reply::Read(answer(known))
        } else {
            Reply::No(
                StatusCode::CONFLICT,
                "this payment was made for another amount",
            )
        };
    }
    let supplier = ask.text("/supplier_id");
    let held = room.find("suppliers", supplier);
    if held.is_some_and(|supplier| supplier["held"] == json!(true)) {
        return Reply::No(
            StatusCode::CONFLICT,
            "nothing is paid to this supplier for now",
        );
    }
    let mut payment = ask.body.clone();
    payment["status"] = json!("sent");
    payment["trace"] = json!(format!(
        "TRN-{:09}",
        room.books.count(SYSTEM, "payments") + 1
    ));
    payment["paid_on"] = json!(room.day(0));
    payment["paid_at"] = json!(room.now.to_string());
    room.keep("payments", id, payment.clone());
    let mut settled = ask.body.clone();
    settled["status"] = json!("settled");
    settled["trace"] = payment["trace"].clone();
    settled["at"] = json!(room.instant());
    // A cancelled order does not stop the bank: what is told is about the payment.
    let path = "/in/accounts-payable/payments";
    room.tell(path, format!("{id}-settled"), id, SETTLES, settled);
    Reply::Done(answer(&payment))
}

fn void(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let id = ask.param("payment_id").to_owned();
    let Some(payment) = room.books.change(SYSTEM, "payments", &id) else {
        return Reply::UNKNOWN;
    };
    let paid: Option<Timestamp> = payment.text("/paid_at").parse().ok();
    if paid.is_some_and(|paid| room.now.duration_since(paid) >= SETTLES_AT) {
        return Reply::No(StatusCode::CONFLICT, "this payment has arrived already");
    }
    payment["status"] = json!("voided");
    Reply::Done(json!({ "payment_id": id, "status": "voided" }))
}

/// Every invoice that a payment to this supplier names.
fn paid_invoices(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let supplier = ask.param("supplier_id");
    let mut invoices = Vec::new();
    for (_, payment) in room.books.all(SYSTEM, "payments") {
        if payment.text("/supplier_id") != supplier || payment.text("/status") == "voided" {
            continue;
        }
        for line in payment.list("/remittance") {
            invoices.push(json!({
                "invoice_number": line.text("/invoice_number"), "supplier_id": supplier, "type": "invoice",
                "invoice_date": payment.text("/paid_on"), "amount": line.text("/gross/amount"),
                "purchase_order": payment.text("/purchase_order"),
            }));
        }
    }
    Reply::Read(json!({
        "supplier_ids": [supplier], "invoices": invoices, "tolerated": { "count": 0, "amount": "0.00" },
    }))
}

fn hold(room: &mut Room<'_>, ask: &Ask, held: bool) -> Reply {
    let supplier = ask.param("supplier_id");
    room.keep("suppliers", supplier, json!({ "held": held }));
    Reply::Done(json!({ "status": if held { "held" } else { "released" } }))
}

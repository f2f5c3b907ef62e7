//! Purchasing in the ERP that takes over: the same duties as in the other one, in canonical words.

use super::masters;
use crate::amount::Amount;
use crate::office::{Ask, Books, Doc, Duty, Office, Reply, Room, Verb};
use axum::http::StatusCode;
use serde_json::{Value, json};

const SYSTEM: &str = "erp-cloud";

/// The ERP that takes over.
pub(crate) const ERP_CLOUD_OFFICE: Office = Office {
    system: SYSTEM,
    place: 12,
    duties: &[
        Duty {
            name: "get-item",
            verb: Verb::Get,
            path: "/v2/items/{item_id}",
            subject: "item_id",
            needs: &[],
            run: |room, ask| look_up(room, "items", ask.param("item_id")),
        },
        Duty {
            name: "list-items",
            verb: Verb::Get,
            path: "/v2/items",
            subject: "",
            needs: &[],
            run: |room, _| {
                let items: Vec<&Value> = room
                    .books
                    .all(SYSTEM, "items")
                    .map(|(_, item)| item)
                    .collect();
                Reply::Read(json!({ "items": items }))
            },
        },
        Duty {
            name: "get-cost-center",
            verb: Verb::Get,
            path: "/v2/cost-centers/{cost_center}",
            subject: "cost_center",
            needs: &[],
            run: |room, ask| look_up(room, "cost-centers", ask.param("cost_center")),
        },
        Duty {
            name: "get-order",
            verb: Verb::Get,
            path: "/v2/orders/{number}",
            subject: "number",
            needs: &[],
            run: |room, ask| look_up(room, "orders", ask.param("number")),
        },
        Duty {
            name: "create-order",
            verb: Verb::Post,
            path: "/v2/orders",
            subject: "/number",
            needs: &["/number", "/supplier_id", "/facility", "/lines/0"],
            run: create_order,
        },
        Duty {
            name: "change-order",
            verb: Verb::Put,
            path: "/v2/orders/{number}",
            subject: "number",
            needs: &["/number", "/lines/0"],
            run: change_order,
        },
        Duty {
            name: "cancel-order",
            verb: Verb::Post,
            path: "/v2/orders/{number}/cancel",
            subject: "number",
            needs: &[],
            run: cancel_order,
        },
        Duty {
            name: "post-receipt",
            verb: Verb::Post,
            path: "/v2/receipts",
            subject: "/purchase_order",
            needs: &[
                "/receipt_number",
                "/purchase_order",
                "/facility",
                "/lines/0",
            ],
            run: |room, ask| post(room, ask, "receipts", "/receipt_number"),
        },
        Duty {
            name: "post-invoice",
            verb: Verb::Post,
            path: "/v2/invoices",
            subject: "/purchase_order",
            needs: &[
                "/invoice_number",
                "/supplier_id",
                "/facility",
                "/total/amount",
            ],
            run: post_invoice,
        },
        Duty {
            name: "post-journal",
            verb: Verb::Post,
            path: "/v2/journals",
            subject: "/journal_number",
            needs: &["/journal_number", "/legal_entity", "/lines/0"],
            run: |room, ask| {
                if balances(&ask.body) {
                    post(room, ask, "journals", "/journal_number")
                } else {
                    UNBALANCED
                }
            },
        },
    ],
    refuse: crate::service::problem,
    furnish: |books: &mut Books| {
        for item in masters::items() {
            let id = item.text("/item_id").to_owned();
            books.keep(SYSTEM, "items", &id, item);
        }
        for center in masters::cost_centers() {
            // The same numbers are used in the south, whose books are others.
            let mut center = center;
            center["facility"] = json!("south");
            center["legal_entity"] = json!("SBH-S");
            let id = center.text("/cost_center").to_owned();
            books.keep(SYSTEM, "cost-centers", &id, center);
        }
    },
};

/// The answer to a journal whose sides differ.
pub(crate) const UNBALANCED: Reply = Reply::No(
    StatusCode::UNPROCESSABLE_ENTITY,
    "debits and credits differ",
);

/// Whether debits equal credits in a canonical journal entry.
pub(crate) fn balances(journal: &Value) -> bool {
    let side = |side: &str| -> Option<Amount> {
        let lines = journal.list("/lines").iter();
        lines
            .filter(|line| line.text("/side") == side)
            .map(|line| line.amount("/amount"))
            .sum()
    };
    side("debit").is_some() && side("debit") == side("credit")
}

fn look_up(room: &mut Room<'_>, kind: &str, id: &str) -> Reply {
    let found = room.find(kind, id).cloned();
    found.map_or(Reply::UNKNOWN, Reply::Read)
}

fn create_order(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let number = ask.text("/number");
    if room.find("orders", number).is_some() {
        return Reply::No(StatusCode::CONFLICT, "this number is taken");
    }
    keep_order(room, number, &ask.body, "open");
    Reply::Made(order_reference(&ask.body, number, "open"))
}

fn keep_order(room: &mut Room<'_>, number: &str, order: &Value, status: &str) {
    let mut order = order.clone();
    order["status"] = json!(status);
    room.keep("orders", number, order);
}

fn order_reference(order: &Value, number: &str, status: &str) -> Value {
    json!({ "number": number, "status": status, "facility": order.text("/facility") })
}

fn change_order(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let number = ask.param("number");
    match room.find("orders", number) {
        None => Reply::UNKNOWN,
        Some(order) if order.text("/status") != "open" => {
            Reply::No(StatusCode::CONFLICT, "this order is not open")
        }
        Some(_) => {
            keep_order(room, number, &ask.body, "open");
            Reply::Done(order_reference(&ask.body, number, "open"))
        }
    }
}

fn cancel_order(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let number = ask.param("number");
    let Some(order) = room.books.change(SYSTEM, "orders", number) else {
        return Reply::UNKNOWN;
    };
    order["status"] = json!("cancelled");
    Reply::Done(order_reference(order, number, "cancelled"))
}

fn post(room: &mut Room<'_>, ask: &Ask, kind: &str, number: &str) -> Reply {
    let number = ask.text(number);
    room.keep(kind, number, ask.body.clone());
    Reply::Made(json!({ "number": number, "status": "posted", "facility": ask.text("/facility") }))
}

fn post_invoice(room: &mut Room<'_>, ask: &Ask) -> Reply {
    // Two suppliers may use one number.
    let id = format!(
        "{}/{}",
        ask.text("/supplier_id"),
        ask.text("/invoice_number")
    );
    room.keep("invoices", &id, ask.body.clone());
    Reply::Made(
        json!({ "number": ask.text("/invoice_number"), "status": "posted", "facility": ask.text("/facility") }),
    )
}

//! Purchasing in the ERP that is being replaced: orders, goods movements, invoices and journals, in its own words. Its
//! vendors are with [`crate::service`].

use super::masters;
use crate::amount::Amount;
use crate::office::{Ask, Books, Doc, Duty, Office, Reply, Room, Verb};
use axum::http::StatusCode;
use serde_json::{Value, json};

const SYSTEM: &str = "erp-legacy";

/// The ERP that is being replaced.
pub(crate) const ERP_LEGACY_OFFICE: Office = Office {
    system: SYSTEM,
    place: 11,
    duties: &[
        Duty {
            name: "get-item",
            verb: Verb::Get,
            path: "/materials/{item_id}",
            subject: "item_id",
            needs: &[],
            run: |room, ask| look_up(room, "materials", ask.param("item_id")),
        },
        Duty {
            name: "get-cost-center",
            verb: Verb::Get,
            path: "/cost-centers/{cost_center}",
            subject: "cost_center",
            needs: &[],
            run: |room, ask| look_up(room, "cost-centers", ask.param("cost_center")),
        },
        Duty {
            name: "get-order",
            verb: Verb::Get,
            path: "/purchase-orders/{number}",
            subject: "number",
            needs: &[],
            run: |room, ask| look_up(room, "orders", ask.param("number")),
        },
        Duty {
            name: "create-order",
            verb: Verb::Post,
            path: "/purchase-orders",
            subject: "/EBELN",
            needs: &["/LIFNR", "/WERKS", "/BUKRS", "/WAERS", "/ITEMS/0"],
            run: create_order,
        },
        Duty {
            name: "change-order",
            verb: Verb::Put,
            path: "/purchase-orders/{number}",
            subject: "number",
            needs: &["/EBELN", "/ITEMS/0"],
            run: change_order,
        },
        Duty {
            name: "cancel-order",
            verb: Verb::Post,
            path: "/purchase-orders/{number}/cancel",
            subject: "number",
            needs: &[],
            run: |room, ask| cancel(room, ask.param("number")),
        },
        // The same, asked for as newer releases of this ERP want it.
        Duty {
            name: "cancel-order",
            verb: Verb::Post,
            path: "/purchase-order-cancellations",
            subject: "/EBELN",
            needs: &["/EBELN"],
            run: |room, ask| cancel(room, ask.text("/EBELN")),
        },
        Duty {
            name: "post-receipt",
            verb: Verb::Post,
            path: "/goods-movements",
            subject: "/EBELN",
            needs: &["/MBLNR", "/EBELN", "/WERKS", "/ITEMS/0"],
            run: post_receipt,
        },
        Duty {
            name: "post-invoice",
            verb: Verb::Post,
            path: "/invoices",
            subject: "/EBELN",
            needs: &["/XBLNR", "/LIFNR", "/WERKS", "/RMWWR"],
            run: post_invoice,
        },
        Duty {
            name: "post-journal",
            verb: Verb::Post,
            path: "/journal-entries",
            subject: "/XBLNR",
            needs: &["/XBLNR", "/BUKRS", "/LINES/0"],
            run: post_journal,
        },
    ],
    refuse: crate::service::legacy_refusal,
    furnish: |books: &mut Books| {
        for item in masters::items() {
            books.keep(
                SYSTEM,
                "materials",
                item.text("/item_id"),
                masters::material(&item),
            );
        }
        for center in masters::cost_centers() {
            let id = center.text("/cost_center");
            books.keep(SYSTEM, "cost-centers", id, masters::kostl(&center));
        }
    },
};

fn look_up(room: &mut Room<'_>, kind: &str, id: &str) -> Reply {
    let found = room.find(kind, id).cloned();
    found.map_or(Reply::UNKNOWN, Reply::Read)
}

fn create_order(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let mut order = ask.body.clone();
    if ask.text("/EBELN").is_empty() {
        let number = 4_500_001 + room.books.count(SYSTEM, "orders");
        order["EBELN"] = json!(number.to_string());
    }
    let number = order.text("/EBELN").to_owned();
    if room.find("orders", &number).is_some() {
        return Reply::No(StatusCode::CONFLICT, "this number is taken");
    }
    order["STATUS"] = json!("OPEN");
    room.keep("orders", &number, order);
    Reply::Made(json!({ "EBELN": number, "STATUS": "OPEN" }))
}

fn change_order(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let number = ask.param("number");
    match room.find("orders", number) {
        None => Reply::UNKNOWN,
        Some(order) if order.text("/STATUS") != "OPEN" => {
            Reply::No(StatusCode::CONFLICT, "this order is not open")
        }
        Some(_) => {
            let mut order = ask.body.clone();
            order["STATUS"] = json!("OPEN");
            room.keep("orders", number, order);
            Reply::Done(json!({ "EBELN": number, "STATUS": "OPEN" }))
        }
    }
}

fn cancel(room: &mut Room<'_>, number: &str) -> Reply {
    let Some(order) = room.books.change(SYSTEM, "orders", number) else {
        return Reply::UNKNOWN;
    };
    order["STATUS"] = json!("CANCELLED");
    Reply::Done(json!({ "EBELN": number, "STATUS": "CANCELLED" }))
}

fn post_receipt(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let number = ask.text("/MBLNR");
    if room.find("receipts", number).is_none() {
        room.keep("receipts", number, ask.body.clone());
    }
    Reply::Made(json!({ "MBLNR": number, "STATUS": "POSTED" }))
}

fn post_invoice(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let number = format!(
        "51{:08}",
        room.books.count(SYSTEM, "invoices").saturating_add(1)
    );
    let mut invoice = ask.body.clone();
    invoice["BELNR"] = json!(number);
    room.keep("invoices", &number, invoice);
    Reply::Made(json!({ "BELNR": number, "STATUS": "POSTED" }))
}

fn post_journal(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let side = |side: &str| -> Option<Amount> {
        let lines = ask.body.list("/LINES").iter();
        lines
            .filter(|line| line.text("/SHKZG") == side)
            .map(|line: &Value| line.amount("/WRBTR"))
            .sum()
    };
    match (side("S"), side("H")) {
        (Some(debits), Some(credits)) if debits == credits => {
            let number = format!(
                "10{:08}",
                room.books.count(SYSTEM, "journals").saturating_add(1)
            );
            room.keep("journals", &number, ask.body.clone());
            Reply::Made(json!({ "BELNR": number, "STATUS": "POSTED" }))
        }
        _ => Reply::No(
            StatusCode::UNPROCESSABLE_ENTITY,
            "debits and credits differ",
        ),
    }
}

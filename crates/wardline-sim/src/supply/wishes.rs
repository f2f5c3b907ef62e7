//! What begins in supply: somebody asks for something, scans something, mends something, or prices come.

use super::bench::{AIR_HANDLER, PUMP};
use super::contracts::contract_price;
use super::shelves::FIRST_LOT;
use super::{legal_entity, masters, money, quantity};
use crate::amount::Amount;
use crate::dates;
use crate::office::{Doc, Post, Room};
use crate::rehearsal::{Case, Check, Group, Scenario};
use serde_json::{Value, json};
use std::time::Duration;

/// Between two things that somebody does, at speed 1.
const PAUSE: Duration = Duration::from_secs(1);

/// Somebody asks for something. What suppliers do with the orders that come of it was picked beforehand, for `about`.
pub(crate) fn begin_requisition(
    room: &mut Room<'_>,
    scenario: &'static Scenario,
    about: &str,
    facility: &str,
) {
    // Each asks for something else: two invoices of a supplier over one sum on one day would be taken for the same.
    let number = about
        .rsplit('-')
        .next()
        .and_then(|number| number.parse().ok());
    let number: usize = number.unwrap_or_default();
    let (place, pieces) = match (scenario.group, scenario.name) {
        (_, "blocked-supplier") => (3, 5),
        (Group::Requisition, _) => (0, 30 + number % 60),
        _ => (number % 3, 17 + number % 50),
    };
    let (item, supplier, unit, price) = masters::PRICES[place];
    let price = Amount::read(price).unwrap_or_default();
    let count = Amount::whole(pieces as i64);
    let center = match scenario.name {
        "closed-cost-center" => "CC-9999",
        _ => "CC-4100",
    };
    let body = json!({
        "requisition_number": about, "legal_entity": legal_entity(facility), "facility": facility, "requester": "p.ward",
        "submitted_at": room.instant(), "origin": "person", "currency": "USD",
        "lines": [{ "line": "1", "item_id": item, "quantity": quantity(count, unit), "unit_price": money(price), "supplier_id": supplier,
            "department": "4W", "cost_center": center, "account": "650000", "need_by": room.day(10), "deliver_to": "4W" }],
        "total": money(count.times(price).to_cents()), "status": "submitted",
    });
    let post = Post {
        from: "erp-cloud",
        path: "/in/erp-cloud/requisitions",
        key: about.to_owned(),
        about: about.to_owned(),
        after: Duration::ZERO,
        body,
    };
    room.posts.push(vec![post]);
    // One that is in order becomes one order; the others never do.
    let orders = if scenario.name == "sound" || scenario.group == Group::Supply {
        (1, 1)
    } else {
        (0, 0)
    };
    room.open(Case {
        scenario,
        about: about.to_owned(),
        checks: vec![Check::Ordered {
            requisition: about.to_owned(),
            least: orders.0,
            most: orders.1,
        }],
    });
}

/// Somebody uses, mends or prices something.
pub(crate) fn begin_stock(
    room: &mut Room<'_>,
    scenario: &'static Scenario,
    about: &str,
    facility: &str,
) {
    match scenario.name {
        "service" | "part-reversed" => mend(room, scenario, about, PUMP),
        "facility" => mend(room, scenario, about, AIR_HANDLER),
        "price-file" => prices(room, scenario, about),
        "recall" => recall(room, scenario, about, facility),
        "low" => low(room, scenario, about, facility),
        _ => scan(room, scenario, about, facility),
    }
}

fn transaction(room: &Room<'_>, id: &str, kind: &str, facility: &str) -> Value {
    json!({
        "transaction_id": id, "legal_entity": legal_entity(facility), "facility": facility, "type": kind, "item_id": "ITM-100",
        "quantity": quantity(Amount::whole(3), "EA"), "lot": FIRST_LOT, "from_location": "MAIN", "department": "4W",
        "cost_center": "CC-4100", "occurred_at": room.instant(),
    })
}

fn scan(room: &mut Room<'_>, scenario: &'static Scenario, about: &str, facility: &str) {
    let post = |key: String, body: Value| Post {
        from: "inventory",
        path: "/in/inventory/transactions",
        key,
        about: about.to_owned(),
        after: PAUSE,
        body,
    };
    let first = format!("{about}-1");
    let kind = if scenario.name == "waste" {
        "scrap"
    } else {
        "issue"
    };
    let body = transaction(room, &first, kind, facility);
    let mut posts = vec![post(first.clone(), body.clone())];
    let mut booked = vec![first.clone()];
    if scenario.name == "duplicate-scan" {
        // The scanner sends the same number under a key of its own.
        posts.push(post(format!("{first}-again"), body));
    } else if scenario.name == "returned" {
        let second = format!("{about}-2");
        let mut body = transaction(room, &second, "return", facility);
        body["quantity"] = quantity(Amount::whole(1), "EA");
        body["reversal_of"] = json!(first);
        posts.push(post(second.clone(), body));
        booked.push(second);
    }
    room.posts.push(posts);
    // Inventory told it, so nothing is posted there again. What was used costs its department once nobody gives anything back any more.
    let checks = booked.into_iter().flat_map(|id| {
        let cost = format!("JE-USE-{id}");
        [
            effects("inventory", "post-transaction", id, 0, 0),
            effects(ledger(facility), "post-journal", cost, 0, 1),
        ]
    });
    room.open(Case {
        scenario,
        about: about.to_owned(),
        checks: checks.collect(),
    });
}

fn low(room: &mut Room<'_>, scenario: &'static Scenario, about: &str, facility: &str) {
    let shelf = format!("{facility}/ITM-200");
    let now = room.instant();
    let Some(level) = room.books.change("inventory", "stock", &shelf) else {
        return;
    };
    level["on_hand"] = json!("2");
    level["as_of"] = json!(now);
    let body = level.clone();
    let post = Post {
        from: "inventory",
        path: "/in/inventory/levels",
        key: about.to_owned(),
        about: about.to_owned(),
        after: Duration::ZERO,
        body,
    };
    room.posts.push(vec![post]);
    room.open(Case {
        scenario,
        about: about.to_owned(),
        checks: Vec::new(),
    });
}

fn recall(room: &mut Room<'_>, scenario: &'static Scenario, about: &str, facility: &str) {
    let body = json!({
        "recall_id": about, "legal_entity": legal_entity(facility), "facility": facility, "class": "I", "item_id": "ITM-300",
        "lots": [FIRST_LOT], "reason": "The seal may leak", "published_on": room.day(0),
    });
    let post = Post {
        from: "inventory",
        path: "/in/inventory/recalls",
        key: about.to_owned(),
        about: about.to_owned(),
        after: Duration::ZERO,
        body,
    };
    room.posts.push(vec![post]);
    let held = Check::Holds {
        system: "inventory",
        kind: "stock",
        id: format!("{facility}/ITM-300"),
        field: "/lots/0/status",
        value: json!("quarantined"),
    };
    room.open(Case {
        scenario,
        about: about.to_owned(),
        checks: vec![held],
    });
}

fn prices(room: &mut Room<'_>, scenario: &'static Scenario, about: &str) {
    let from = dates::day(room.now, 30).to_string();
    let of_first = masters::PRICES
        .iter()
        .filter(|(_, supplier, ..)| *supplier == "SUP-1001");
    let prices: Vec<Value> = of_first
        .enumerate()
        .map(|(place, (item, supplier, unit, price))| {
            let price = Amount::read(price).unwrap_or_default().percent(102);
            contract_price(supplier, place + 1, item, unit, price, &from)
        })
        .collect();
    let body = json!({
        "file_id": about, "legal_entity": legal_entity("north"), "facility": "north", "supplier_id": "SUP-1001",
        "contract_number": "C-SUP-1001", "received_at": room.instant(), "prices": prices,
    });
    let post = Post {
        from: "contracts",
        path: "/in/contracts/price-files",
        key: about.to_owned(),
        about: about.to_owned(),
        after: Duration::ZERO,
        body,
    };
    room.posts.push(vec![post]);
    let noted = Check::Effects {
        system: "contracts",
        duty: "note-price-file",
        subject: about.to_owned(),
        least: 1,
        most: 1,
    };
    room.open(Case {
        scenario,
        about: about.to_owned(),
        checks: vec![noted],
    });
}

/// Whose books a facility's costs are in.
fn ledger(facility: &str) -> &'static str {
    if facility == "south" {
        "erp-cloud"
    } else {
        "erp-legacy"
    }
}

fn effects(
    system: &'static str,
    duty: &'static str,
    subject: String,
    least: u64,
    most: u64,
) -> Check {
    Check::Effects {
        system,
        duty,
        subject,
        least,
        most,
    }
}

/// A device or a building fails, a part goes into it, it is mended and looked at.
fn mend(room: &mut Room<'_>, scenario: &'static Scenario, about: &str, tag: &'static str) {
    let Some(asset) = room.books.find("cmms", "assets", tag).cloned() else {
        return;
    };
    let priority = if asset["critical"] == json!(true) {
        "critical"
    } else {
        "routine"
    };
    let order = |status: &str| {
        json!({
            "work_order_number": about, "legal_entity": asset.text("/legal_entity"), "facility": asset.text("/facility"),
            "type": "corrective", "priority": priority, "asset_tag": tag, "status": status, "description": "Battery does not hold",
            "reported_at": room.instant(), "failure_code": "BAT",
        })
    };
    let part = |revision: u64| {
        json!({
            "part_use_id": format!("{about}/1/{revision}"), "legal_entity": asset.text("/legal_entity"), "facility": asset.text("/facility"),
            "work_order_number": about, "line": 1, "revision": revision, "asset_tag": tag, "item_id": "ITM-200",
            "quantity": quantity(Amount::whole(1), "EA"), "lot": FIRST_LOT, "from_location": "MAIN", "used_at": room.instant(), "used_by": "j.falk",
        })
    };
    let mut posts = Vec::new();
    let mut put = |path: &'static str, key: String, body: Value| {
        posts.push(Post {
            from: "cmms",
            path,
            key,
            about: about.to_owned(),
            after: PAUSE,
            body,
        });
    };
    let (orders, parts) = ("/in/cmms/work-orders", "/in/cmms/part-uses");
    let mut completed = order("completed");
    completed["completed_at"] = json!(room.instant());
    completed["labor_hours"] = json!("1.5");
    let mut verified = completed.clone();
    verified["status"] = json!("verified");
    verified["verified_by"] = json!("m.ortiz");
    put(orders, format!("{about}-opened"), order("opened"));
    put(orders, format!("{about}-begun"), order("in-progress"));
    put(parts, format!("{about}/1/0"), part(0));
    let mut entries = 1;
    if scenario.name == "part-reversed" {
        let mut back = part(1);
        back["reversal_of"] = json!(format!("{about}/1/0"));
        put(parts, format!("{about}/1/1"), back);
        entries = 2;
    }
    put(orders, format!("{about}-completed"), completed);
    put(orders, format!("{about}-verified"), verified);
    room.posts.push(posts);
    // Each use, and each reversal, once: off or onto the shelf, to the cost center of the asset, into its history.
    let books = ledger(asset.text("/facility"));
    let mut checks = vec![effects(
        "cmms",
        "add-asset-history",
        about.to_owned(),
        entries,
        entries,
    )];
    for revision in 0..entries {
        let (moved, cost) = (
            format!("CMMS/{about}/1/{revision}"),
            format!("JE-{about}-1-{revision}"),
        );
        checks.push(effects("inventory", "post-transaction", moved, 1, 1));
        checks.push(effects(books, "post-journal", cost, 1, 1));
    }
    room.open(Case {
        scenario,
        about: about.to_owned(),
        checks,
    });
}

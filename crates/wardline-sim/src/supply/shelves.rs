//! Inventory: what lies on which shelf, lot by lot, and what was taken from it.

use super::{legal_entity, masters, money, quantity};
use crate::amount::Amount;
use crate::office::{Ask, Books, Doc, Duty, Office, Reply, Room, Verb};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

const SYSTEM: &str = "inventory";
/// The lot that lies on the shelves from the beginning.
pub(super) const FIRST_LOT: &str = "LOT-A";

/// The shelves.
pub(crate) const INVENTORY: Office = Office {
    system: SYSTEM,
    place: 21,
    duties: &[
        Duty {
            name: "post-transaction",
            verb: Verb::Post,
            path: "/transactions",
            subject: "/transaction_id",
            needs: &[
                "/transaction_id",
                "/facility",
                "/type",
                "/item_id",
                "/quantity/value",
            ],
            run: post,
        },
        Duty {
            name: "get-stock",
            verb: Verb::Get,
            path: "/facilities/{facility}/items/{item_id}/stock",
            subject: "item_id",
            needs: &[],
            run: |room, ask| {
                let id = format!("{}/{}", ask.param("facility"), ask.param("item_id"));
                let now = room.instant();
                match room.find("stock", &id) {
                    None => Reply::UNKNOWN,
                    Some(level) => {
                        let mut level = level.clone();
                        level["as_of"] = json!(now);
                        Reply::Read(level)
                    }
                }
            },
        },
        Duty {
            name: "get-cost",
            verb: Verb::Get,
            path: "/facilities/{facility}/items/{item_id}/cost",
            subject: "item_id",
            needs: &[],
            run: |_, ask| {
                let cost = cost(ask.param("item_id"));
                cost.map_or(Reply::UNKNOWN, |cost| {
                    Reply::Read(json!({ "unit_cost": money(cost) }))
                })
            },
        },
        Duty {
            name: "find-lot",
            verb: Verb::Post,
            path: "/lots/search",
            subject: "/item_id",
            needs: &["/item_id", "/lots"],
            run: find_lot,
        },
        Duty {
            name: "quarantine-lot",
            verb: Verb::Post,
            path: "/lots/quarantine",
            subject: "/lot",
            needs: &["/item_id", "/lot", "/facility"],
            run: quarantine,
        },
    ],
    refuse: crate::service::problem,
    furnish: |books: &mut Books| {
        for item in masters::items() {
            if item["stocked"] != json!(true) {
                continue;
            }
            for facility in ["north", "south"] {
                let id = format!("{facility}/{}", item.text("/item_id"));
                books.keep(SYSTEM, "stock", &id, first_level(&item, facility));
            }
        }
    },
};

/// What one costs, in the base unit.
fn cost(item: &str) -> Option<Amount> {
    match item {
        "ITM-100" => Some(Amount::cents(50)),
        "ITM-200" => Some(Amount::whole(120)),
        "ITM-300" => Some(Amount::cents(250)),
        "ITM-400" => Some(Amount::cents(1_450)),
        _ => None,
    }
}

fn first_level(item: &Value, facility: &str) -> Value {
    let code = item.text("/item_id");
    let (on_hand, point, most, unit) = match code {
        "ITM-200" => ("6", "4", "12", "EA"),
        "ITM-300" => ("72", "36", "144", "BX"),
        _ => ("400", "200", "1000", "BX"),
    };
    json!({
        "item_id": code, "legal_entity": legal_entity(facility), "facility": facility, "location": "MAIN",
        "unit": item.text("/base_unit"), "on_hand": on_hand, "allocated": "0", "on_order": "0", "quarantined": "0",
        "lots": [{ "lot": FIRST_LOT, "on_hand": on_hand, "expires": "2028-01-31", "status": "usable" }],
        "policy": { "method": "reorder-point", "reorder_point": point, "maximum": most, "order_unit": unit, "multiple": "1",
            "daily_demand": "8", "demand_deviation": "3", "lead_days": "5", "lead_deviation": "1" },
        "criticality": item.text("/criticality"),
        "as_of": crate::dates::instant(Timestamp::UNIX_EPOCH),
    })
}

/// How much a transaction adds to the shelf. Its quantity may be signed already.
fn change(transaction: &Value) -> Option<Amount> {
    let value = transaction.amount("/quantity/value")?;
    let item = transaction.text("/item_id");
    let factor = masters::items()
        .iter()
        .find(|known| known.text("/item_id") == item)
        .and_then(|known| {
            let unit = transaction.text("/quantity/unit");
            let units = known.list("/units").iter();
            let mut found = units.filter(|one| one.text("/unit") == unit);
            found.find_map(|one| one.amount("/factor"))
        })
        .unwrap_or(Amount::whole(1));
    let base = value.times(factor);
    let size = if base < Amount::ZERO { -base } else { base };
    match transaction.text("/type") {
        "issue" | "scrap" | "consign-use" => Some(-size),
        "return" | "receipt" => Some(size),
        // A transfer changes the place, not the sum; counts and adjustments say what they change.
        "transfer" => Some(Amount::ZERO),
        _ => Some(base),
    }
}

fn post(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let id = ask.text("/transaction_id");
    let Some(change) = change(&ask.body) else {
        return Reply::No(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the quantity is no number",
        );
    };
    let shelf = format!("{}/{}", ask.text("/facility"), ask.text("/item_id"));
    if room.find("stock", &shelf).is_none() {
        return Reply::UNKNOWN;
    }
    let known = room.find("transactions", id).is_some();
    room.keep("transactions", id, ask.body.clone());
    let mut left = (String::new(), String::new());
    if let Some(level) = room.books.change(SYSTEM, "stock", &shelf) {
        // The number of a transaction is booked once, whoever sends it again.
        if !known {
            let now = level.amount("/on_hand").unwrap_or_default() + change;
            level["on_hand"] = json!(now.plain());
            change_lot(level, ask.text("/lot"), change);
        }
        left = (
            level.text("/on_hand").to_owned(),
            level.text("/unit").to_owned(),
        );
    }
    if !known {
        tell_level(room, id, &shelf);
    }
    let body = json!({ "transaction_id": id, "status": "posted", "on_hand": { "value": left.0, "unit": left.1 } });
    if known {
        Reply::Read(body)
    } else {
        Reply::Done(body)
    }
}

/// What lies there now.
fn tell_level(room: &mut Room<'_>, transaction: &str, shelf: &str) {
    let Some(level) = room.find("stock", shelf) else {
        return;
    };
    let mut level = level.clone();
    level["as_of"] = json!(room.instant());
    let key = format!("{transaction}-level");
    let path = "/in/inventory/levels";
    room.tell(path, key, shelf, Duration::ZERO, level);
}

fn change_lot(level: &mut Value, lot: &str, change: Amount) {
    let lot = if lot.is_empty() { FIRST_LOT } else { lot };
    let Some(lots) = level["lots"].as_array_mut() else {
        return;
    };
    if let Some(known) = lots.iter_mut().find(|known| known.text("/lot") == lot) {
        let now = known.amount("/on_hand").unwrap_or_default() + change;
        known["on_hand"] = json!(now.plain());
    } else {
        lots.push(json!({ "lot": lot, "on_hand": change.plain(), "status": "usable" }));
    }
}

fn find_lot(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let item = ask.text("/item_id");
    let wanted = ask.body.list("/lots");
    let mut positions = Vec::new();
    for (_, level) in room.books.all(SYSTEM, "stock") {
        if level.text("/item_id") != item {
            continue;
        }
        for lot in level.list("/lots") {
            if wanted.contains(&lot["lot"]) {
                let on_hand = lot.amount("/on_hand").unwrap_or_default();
                positions.push(json!({
                    "facility": level.text("/facility"), "legal_entity": level.text("/legal_entity"), "location": level.text("/location"),
                    "lot": lot["lot"], "quantity": quantity(on_hand, level.text("/unit")), "status": lot["status"],
                }));
            }
        }
    }
    Reply::Read(json!({ "item_id": item, "positions": positions }))
}

fn quarantine(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let shelf = format!("{}/{}", ask.text("/facility"), ask.text("/item_id"));
    let Some(level) = room.books.change(SYSTEM, "stock", &shelf) else {
        return Reply::UNKNOWN;
    };
    let unit = level.text("/unit").to_owned();
    let mut held = Amount::ZERO;
    if let Some(lots) = level["lots"].as_array_mut() {
        let of = |lot: &&mut Value| lot.text("/lot") == ask.text("/lot");
        for lot in lots.iter_mut().filter(of) {
            lot["status"] = json!("quarantined");
            held = held + lot.amount("/on_hand").unwrap_or_default();
        }
    }
    level["quarantined"] = json!(held.plain());
    Reply::Done(json!({ "status": "quarantined", "quantity": quantity(held, &unit) }))
}

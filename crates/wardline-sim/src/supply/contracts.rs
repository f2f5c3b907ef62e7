//! The sourcing system: what was agreed about prices, and for how long.

use super::{legal_entity, masters, money};
use crate::amount::Amount;
use crate::office::{Ask, Books, Doc, Duty, Office, Reply, Room, Verb};
use serde_json::{Value, json};

const SYSTEM: &str = "contracts";

/// Contract prices.
pub(crate) const CONTRACTS: Office = Office {
    system: SYSTEM,
    place: 24,
    duties: &[
        Duty {
            name: "get-price",
            verb: Verb::Get,
            path: "/prices/{item_id}/suppliers/{supplier_id}/facilities/{facility}",
            subject: "item_id",
            needs: &[],
            run: get_price,
        },
        Duty {
            name: "get-prices",
            verb: Verb::Get,
            path: "/contracts/{contract_number}/prices",
            subject: "contract_number",
            needs: &[],
            run: |room, ask| {
                let contract = ask.param("contract_number");
                let all = room.books.all(SYSTEM, "prices").map(|(_, price)| price);
                let prices: Vec<&Value> = all
                    .filter(|price| price.text("/contract_number") == contract)
                    .collect();
                Reply::Read(json!({ "prices": prices }))
            },
        },
        Duty {
            name: "note-price-file",
            verb: Verb::Post,
            path: "/price-acknowledgements",
            subject: "/file_id",
            needs: &["/file_id"],
            run: |room, ask| {
                room.keep("noted", ask.text("/file_id"), ask.body.clone());
                Reply::Done(json!({ "status": "noted" }))
            },
        },
    ],
    refuse: crate::service::problem,
    furnish: |books: &mut Books| {
        for (place, (item, supplier, unit, price)) in masters::PRICES.iter().enumerate() {
            let price = Amount::read(price).unwrap_or_default();
            let doc = contract_price(supplier, place + 1, item, unit, price, "2026-01-01");
            books.keep(SYSTEM, "prices", &format!("{item}/{supplier}"), doc);
        }
    },
};

/// One line of a supplier's contract.
pub(super) fn contract_price(
    supplier: &str,
    line: usize,
    item: &str,
    unit: &str,
    price: Amount,
    from: &str,
) -> Value {
    json!({
        "contract_number": format!("C-{supplier}"), "legal_entity": legal_entity("north"), "facility": "north",
        "line": line.to_string(), "supplier_id": supplier, "item_id": item, "unit": unit, "price": money(price),
        "facilities": ["north", "south"], "from": from, "to": "2027-12-31", "status": "active",
    })
}

fn get_price(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let id = format!("{}/{}", ask.param("item_id"), ask.param("supplier_id"));
    let Some(price) = room.find("prices", &id) else {
        return Reply::UNKNOWN;
    };
    let facility = ask.param("facility");
    if !price.list("/facilities").iter().any(|one| one == facility) {
        return Reply::UNKNOWN;
    }
    let mut price = price.clone();
    price["facility"] = json!(facility);
    price["legal_entity"] = json!(legal_entity(facility));
    Reply::Read(price)
}

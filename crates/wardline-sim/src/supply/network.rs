//! The supplier network: takes orders, and lets each supplier answer as the scenario says.

use super::documents::Order;
use super::script;
use crate::office::{Ask, Doc, Duty, Office, Reply, Room, Verb};
use crate::rehearsal::Group;
use axum::http::StatusCode;
use serde_json::{Value, json};

const SYSTEM: &str = "supplier-network";

/// The supplier network.
pub(crate) const SUPPLIER_NETWORK: Office = Office {
    system: SYSTEM,
    place: 20,
    duties: &[
        Duty {
            name: "publish-order",
            verb: Verb::Post,
            path: "/orders",
            subject: "/BEG/number",
            needs: &["/BEG/number", "/SU", "/ST"],
            run: publish,
        },
        Duty {
            name: "change-order",
            verb: Verb::Post,
            path: "/order-changes",
            subject: "/BCH/number",
            needs: &["/BCH/number", "/SU", "/ST"],
            run: change,
        },
        Duty {
            name: "cancel-order",
            verb: Verb::Post,
            path: "/cancellations",
            subject: "/BCH/number",
            needs: &["/BCH/number"],
            run: cancel,
        },
        Duty {
            name: "send-remittance",
            verb: Verb::Post,
            path: "/remittances",
            subject: "/TRN",
            needs: &["/TRN", "/SU", "/BPR/amount"],
            run: |room, ask| {
                room.keep("remittances", ask.text("/TRN"), ask.body.clone());
                Reply::Done(taken(ask))
            },
        },
        Duty {
            name: "enroll-supplier",
            verb: Verb::Post,
            path: "/suppliers",
            subject: "/supplier_id",
            needs: &["/supplier_id", "/name"],
            run: |room, ask| {
                let supplier = ask.text("/supplier_id");
                room.keep("suppliers", supplier, ask.body.clone());
                Reply::Made(json!({ "supplier_id": supplier, "status": "enrolled" }))
            },
        },
    ],
    refuse: crate::service::problem,
    furnish: |_| {},
};

/// A 997 that says yes.
fn taken(ask: &Ask) -> Value {
    json!({ "accepted": true, "document": "997", "control": ask.text("/control"), "status": "A" })
}

/// A 997 that says no: the document is not one.
fn not_a_document(ask: &Ask) -> Reply {
    Reply::Read(
        json!({ "accepted": false, "document": "997", "control": ask.text("/control"), "status": "R" }),
    )
}

fn publish(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let Ok(order) = Order::read(&ask.body) else {
        return not_a_document(ask);
    };
    if order.lines.is_empty() {
        return not_a_document(ask);
    }
    if let Some(known) = room.find("orders", &order.number) {
        // The same document under another key is the same order; another one under its number is not.
        return if known.text("/control") == ask.text("/control") {
            Reply::Read(taken(ask))
        } else {
            Reply::No(StatusCode::CONFLICT, "this order is known already")
        };
    }
    let dice = room.dice(&order.number);
    let pick = room.picks.of(Group::Supply, &order.number, dice.clone());
    let script = script::play(pick.scenario, &order, room.now, pick.shuffled, dice.fork(1));
    let mut kept = ask.body.clone();
    kept["status"] = json!("open");
    kept["scenario"] = json!(pick.scenario.name);
    kept["refuses_cancellation"] = json!(script.refuses_cancellation);
    room.keep("orders", &order.number, kept);
    room.open(script.case);
    room.posts.push(script.posts);
    Reply::Done(taken(ask))
}

fn change(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let number = ask.text("/BCH/number");
    let Some(order) = room.books.change(SYSTEM, "orders", number) else {
        return Reply::UNKNOWN;
    };
    // What was changed is kept; what is on its way comes as it was ordered.
    order["changed"] = ask.body["PO1"].clone();
    Reply::Done(taken(ask))
}

fn cancel(room: &mut Room<'_>, ask: &Ask) -> Reply {
    let number = ask.text("/BCH/number").to_owned();
    let Some(kept) = room.books.change(SYSTEM, "orders", &number) else {
        // It never came here: there is nothing to cancel, and that is well.
        return Reply::Done(taken(ask));
    };
    if kept["refuses_cancellation"] == json!(true) {
        if let Ok(order) = Order::read(kept) {
            let late = script::refuse_cancellation(&order, room.now);
            room.posts.push(vec![late]);
        }
    } else {
        kept["status"] = json!("cancelled");
        room.withdrawn.push(number);
    }
    Reply::Done(taken(ask))
}

#[cfg(test)]
mod tests {
    use super::super::documents::Order;
    use super::super::script::play;
    use crate::Dice;
    use crate::office::Doc;
    use crate::rehearsal::{Group, Scenario};
    use serde_json::json;

    fn order() -> Order {
        Order::read(&json!({
            "control": "4500012-0", "BEG": {"number": "4500012"}, "SU": "SUP-1001", "ST": "north", "BY": "SBH-N", "CUR": "USD",
            "PO1": [{"line": "1", "quantity": "10", "unit": "BX", "price": "50.00", "VN": "GLV-100", "IN": "ITM-100"}],
        }))
        .unwrap()
    }

    fn told(name: &str, shuffled: bool) -> Vec<(String, serde_json::Value)> {
        let scenario = Scenario::named(&format!("supply/{name}")).unwrap();
        let now = "2026-11-24T16:42:03Z".parse().unwrap();
        let script = play(scenario, &order(), now, shuffled, Dice::new(3));
        let posts = script.posts.into_iter();
        posts.map(|post| (post.key, post.body)).collect()
    }

    fn totals(name: &str) -> Vec<String> {
        let told = told(name, false);
        let bodies = told.iter().map(|(_, body)| body);
        bodies
            .filter(|body| body.text("/document") == "810")
            .map(|body| body.text("/TDS").to_owned())
            .collect()
    }

    #[test]
    fn invoices_come_to_what_the_scenario_says() {
        assert_eq!(totals("accept"), ["50000"]);
        assert_eq!(totals("backorder"), ["30000", "20000"]);
        assert_eq!(totals("partial"), ["25000", "25000"]);
        assert_eq!(totals("price-change"), ["51500"]);
        assert_eq!(totals("price-up"), ["51000"]);
        assert_eq!(totals("over-shipment"), ["55000"]);
        assert_eq!(totals("tax"), ["54000"]);
        assert_eq!(totals("freight"), ["56000"]);
        assert_eq!(totals("duplicate-invoice"), ["50000", "50000"]);
        assert_eq!(totals("credit"), ["50000", "10000"]);
        assert!(totals("reject").is_empty());
        assert!(told("silence", false).is_empty());
    }

    #[test]
    fn a_backorder_says_both_parts_of_a_line() {
        let (_, body) = told("backorder", false).remove(0);
        let codes: Vec<&str> = body
            .list("/PO1/0/ACK")
            .iter()
            .map(|ack| ack.text("/status"))
            .collect();
        assert_eq!(codes, ["IA", "IB"]);
        assert_eq!(body.text("/PO1/0/ACK/1/quantity"), "4");
    }

    #[test]
    fn a_duplicate_differs_in_its_zeros_only() {
        let told = told("duplicate-invoice", false);
        let numbers: Vec<&str> = told
            .iter()
            .map(|(_, body)| body.text("/BIG/number"))
            .filter(|number| !number.is_empty())
            .collect();
        assert_eq!(numbers[0].trim_start_matches('0'), numbers[1]);
        assert_ne!(numbers[0], numbers[1]);
    }

    #[test]
    fn every_document_has_a_key_of_its_own_and_the_seed_decides_the_order() {
        for scenario in Scenario::of(Group::Supply) {
            let mut keys: Vec<String> = told(scenario.name, false)
                .into_iter()
                .map(|(key, _)| key)
                .collect();
            let straight = keys.clone();
            let shuffled: Vec<String> = told(scenario.name, true)
                .into_iter()
                .map(|(key, _)| key)
                .collect();
            let again: Vec<String> = told(scenario.name, true)
                .into_iter()
                .map(|(key, _)| key)
                .collect();
            assert_eq!(shuffled, again);
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), straight.len(), "{scenario}");
        }
        let straight: Vec<String> = told("partial", false)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        let shuffled: Vec<String> = told("partial", true)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_ne!(straight, shuffled);
    }
}

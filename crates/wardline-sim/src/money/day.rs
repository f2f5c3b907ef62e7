//! The charges of one day on both sides, with the difference that its scenario says and no other.

use crate::Dice;
use crate::amount::Amount;
use crate::office::Doc;
use crate::rehearsal::Scenario;
use jiff::Span;
use jiff::civil::Date;
use serde_json::{Value, json};
use uuid::Uuid;

/// What is done and charged: code, department, price.
const SERVICES: [(&str, &str, &str); 4] = [
    ("4010012", "4W", "120.00"),
    ("4010020", "ICU", "85.50"),
    ("3060001", "4W", "12.25"),
    ("3060090", "ICU", "940.00"),
];

/// What the comparison calls the difference of a scenario; nothing where all ties.
fn code(scenario: &str) -> Option<&'static str> {
    Some(match scenario {
        "missing" => "MISSING",
        "not-posted" => "NOT_POSTED",
        "late" => "LATE",
        "duplicate" => "DUPLICATE",
        "quantity" => "QTY",
        "amount" => "AMOUNT",
        "wrong-account" => "WRONG_ACCOUNT",
        "wrong-department" => "WRONG_DEPT",
        "orphan-reversal" => "ORPHAN_REVERSAL",
        "unexpected" => "UNEXPECTED",
        _ => return None,
    })
}

/// The namespace in which the example estate names breaks for analytics (`maps/break-to-fact.vrl`).
const FACTS: Uuid = Uuid::from_u128(0x6d1b_6a0e_53c1_4c39_9a4f_6c0d_5a1f_7b52);

/// What the difference of a scenario is called among the facts; nothing where all ties.
pub(super) fn fact(scope: &str, facility: &str, day: &str, scenario: &str) -> Option<String> {
    let code = code(scenario)?;
    let name = name(facility, day);
    let subject = match scenario {
        "missing" => format!("EV-{name}-99"),
        "orphan-reversal" => format!("P-{name}-92"),
        "unexpected" => format!("P-{name}-93"),
        // The second charge of the day.
        _ => format!("C-{name}-2"),
    };
    let id = format!("{scope}:{code}:{subject}");
    Some(Uuid::new_v5(&FACTS, id.as_bytes()).to_string())
}

/// Part of every number of the day.
fn name(facility: &str, day: &str) -> String {
    let place = if facility == "south" { "S" } else { "N" };
    format!("{place}-{}", day.replace('-', ""))
}

fn later(day: &str, days: i64) -> String {
    let Ok(date) = day.parse::<Date>() else {
        return day.to_owned();
    };
    date.saturating_add(Span::new().days(days)).to_string()
}

/// What charge capture lists, and what billing posted.
pub(super) fn write(
    facility: &str,
    day: &str,
    scenario: &Scenario,
    mut dice: Dice,
) -> (Value, Value) {
    let count = 6 + dice.below(5) as usize;
    let name = name(facility, day);
    let (mut events, mut charges, mut postings, mut accounts) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 1..=count {
        let (code, department, price) = *dice.pick(&SERVICES);
        let (visit, account) = (format!("V-{name}-{number}"), format!("ACC-{name}-{number}"));
        let (charge, event) = (format!("C-{name}-{number}"), format!("EV-{name}-{number}"));
        events.push(json!({ "event": event, "visit": visit, "account": account, "code": code, "department": department,
            "performed_at": format!("{day}T10:{number:02}:00-06:00") }));
        charges.push(json!({
            "charge_id": charge, "sender": "BRIGID-EHR", "message_id": format!("M-{name}-{number}"), "visit": visit, "account": account,
            "type": "CG", "code": code, "service_date": day, "post_date": day, "department": department, "quantity": "1",
            "amount": price, "currency": "USD", "ack": "AA", "event": event,
        }));
        postings.push(json!({
            "posting": format!("P-{name}-{number}"), "charge_id": charge, "sender": "BRIGID-EHR", "visit": visit, "account": account,
            "type": "CG", "code": code, "service_date": day, "post_date": day, "department": department, "quantity": "1",
            "amount": price, "currency": "USD",
        }));
        accounts.push(json!({ "account": account, "state": "open" }));
    }
    differ(&mut events, &mut postings, day, &name, scenario.name);
    let prices: Vec<Value> = SERVICES
        .iter()
        .map(|(code, _, price)| json!({ "code": code, "price": price, "from": "2020-01-01" }))
        .collect();
    let capture = json!({
        "facility": facility, "day": day, "events": events, "charges": charges, "ledger": ledger(&postings),
        "accounts": accounts, "prices": prices,
    });
    (capture, json!(postings))
}

/// Makes the one difference.
fn differ(
    events: &mut Vec<Value>,
    postings: &mut Vec<Value>,
    day: &str,
    name: &str,
    scenario: &str,
) {
    let price = postings[1].amount("/amount").unwrap_or_default();
    match scenario {
        "missing" => {
            events.push(json!({ "event": format!("EV-{name}-99"), "visit": format!("V-{name}-99"), "account": format!("ACC-{name}-1"),
                "code": "4010012", "department": "4W", "performed_at": format!("{day}T11:00:00-06:00") }));
        }
        "not-posted" => {
            postings.remove(1);
        }
        "late" => postings[1]["post_date"] = json!(later(day, 8)),
        "duplicate" => {
            let mut again = postings[1].clone();
            again["posting"] = json!(format!("P-{name}-91"));
            postings.push(again);
        }
        "quantity" => {
            postings[1]["quantity"] = json!("2");
            postings[1]["amount"] = json!((price + price).to_string());
        }
        "amount" => postings[1]["amount"] = json!((price + Amount::whole(10)).to_string()),
        "wrong-account" => postings[1]["account"] = postings[2]["account"].clone(),
        "wrong-department" => postings[1]["department"] = json!("BIOMED"),
        "orphan-reversal" => {
            let mut back = postings[1].clone();
            back["posting"] = json!(format!("P-{name}-92"));
            back["charge_id"] = Value::Null;
            back["type"] = json!("CD");
            back["amount"] = json!((-price).to_string());
            back["reverses"] = json!(format!("P-{name}-0"));
            postings.push(back);
        }
        "unexpected" => {
            let mut extra = postings[1].clone();
            extra["posting"] = json!(format!("P-{name}-93"));
            extra["visit"] = json!(format!("V-{name}-93"));
            extra["charge_id"] = Value::Null;
            postings.push(extra);
        }
        _ => {}
    }
}

/// What the general ledger got from billing, by department.
fn ledger(postings: &[Value]) -> Vec<Value> {
    let mut sums: Vec<(String, Amount)> = Vec::new();
    for line in postings {
        let amount = line.amount("/amount").unwrap_or_default();
        let department = line.text("/department");
        match sums.iter_mut().find(|(known, _)| known == department) {
            Some((_, sum)) => *sum = *sum + amount,
            None => sums.push((department.to_owned(), amount)),
        }
    }
    sums.into_iter()
        .map(|(department, sum)| json!({ "department": department, "amount": sum.to_string() }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::Dice;
    use crate::office::Doc;
    use crate::rehearsal::{Group, Scenario};
    use serde_json::Value;

    fn day(name: &str) -> (Value, Value) {
        let scenario = Scenario::named(&format!("charges/{name}")).unwrap();
        write("north", "2026-11-04", scenario, Dice::new(4))
    }

    /// Lines in which both sides differ, whatever they call it.
    fn differences((capture, postings): &(Value, Value)) -> usize {
        let charges = capture.list("/charges");
        let fields = ["account", "department", "quantity", "amount", "post_date"];
        let same =
            |charge: &Value, line: &Value| fields.iter().all(|field| charge[field] == line[field]);
        let mut count = capture.list("/events").len() - charges.len();
        for charge in charges {
            let lines = postings.list("").iter();
            let mine: Vec<&Value> = lines
                .filter(|line| line["charge_id"] == charge["charge_id"])
                .collect();
            count += usize::from(mine.len() != 1 || !same(charge, mine[0]));
        }
        count
            + postings
                .list("")
                .iter()
                .filter(|line| line["charge_id"].is_null())
                .count()
    }

    #[test]
    fn each_scenario_makes_one_difference() {
        assert_eq!(differences(&day("ties")), 0);
        for scenario in Scenario::of(Group::Charges).skip(1) {
            assert_eq!(differences(&day(scenario.name)), 1, "{scenario}");
        }
    }

    #[test]
    fn the_books_have_what_was_posted() {
        let (capture, postings) = day("amount");
        let sum = |list: &[Value]| -> crate::amount::Amount {
            list.iter().filter_map(|line| line.amount("/amount")).sum()
        };
        assert_eq!(sum(capture.list("/ledger")), sum(postings.list("")));
        assert_eq!(day("amount"), day("amount"));
    }
}

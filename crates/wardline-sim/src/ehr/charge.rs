//! Charges of a stay: one DFT^P03 with a line for each, the last of which takes the one before it back.

use super::segments::Segments;
use super::tale::{Saying, Stamp, Visit, Writer, identify, visit_line};
use crate::amount::Amount;
use crate::dates;
use serde_json::{Value, json};

/// One charge.
pub(super) struct Charge {
    pub(super) id: String,
    code: &'static str,
    name: &'static str,
    amount: Amount,
    /// The charge that this one takes back.
    reverses: Option<String>,
}

impl Charge {
    /// Two charges, and a credit for the second.
    pub(super) fn of(visit: &Visit) -> Vec<Self> {
        let id = |number: u32| format!("C-{}-{number}", visit.number);
        let charge = |number: u32, code: &'static str, name: &'static str, cents: i64| Self {
            id: id(number),
            code,
            name,
            amount: Amount::cents(cents),
            reverses: None,
        };
        let mut back = charge(3, "3060001", "Dressing", -1_225);
        back.reverses = Some(id(2));
        vec![
            charge(1, "4010012", "Chest X-ray", 12_000),
            charge(2, "3060001", "Dressing", 1_225),
            back,
        ]
    }

    fn kind(&self) -> &'static str {
        if self.reverses.is_some() { "CD" } else { "CG" }
    }

    /// The same charge as charge capture lists it.
    pub(super) fn captured(&self, visit: &Visit, day: &str) -> Value {
        let mut line = json!({
            "charge_id": self.id, "sender": "BRIGID-EHR", "visit": visit.number, "account": visit.account, "type": self.kind(),
            "code": self.code, "service_date": day, "post_date": day, "department": "9R", "quantity": "1",
            "amount": self.amount.to_string(), "currency": "USD", "ack": "AA",
        });
        if let Some(original) = &self.reverses {
            line["reverses"] = json!(original);
        }
        line
    }
}

/// Tells of all of them in one message (HL7 v2.5.1, chapter 6.3.3).
pub(super) fn charges(teller: &mut Writer<'_>, visit: &Visit, lines: &[Charge]) {
    let control = teller.control();
    let now = teller.now();
    let day = dates::day(now, 0).strftime("%Y%m%d").to_string();
    let mut text = Vec::with_capacity(1_024);
    let mut write = Segments::new(&mut text);
    teller.head(&mut write, "DFT^P03^DFT_P03", &control, visit);
    write
        .segment("EVN")
        .at(1)
        .raw("P03")
        .at(2)
        .value(Stamp(now));
    identify(&mut write, visit);
    visit_line(&mut write, visit, &Saying::default());
    for (place, line) in lines.iter().enumerate() {
        write
            .segment("FT1")
            .at(1)
            .value(place + 1)
            .at(2)
            .raw(&line.id);
        write.at(4).raw(&day).at(5).raw(&day).at(6).raw(line.kind());
        write.at(7).raw(line.code).raw("^").text(line.name);
        write
            .at(10)
            .raw("1")
            .at(11)
            .value(line.amount)
            .at(12)
            .value(line.amount);
        write.at(13).raw("9R").at(20).raw("1000417^Ashby^Miriam");
        if let Some(original) = &line.reverses {
            write.at(31).raw(original);
        }
    }
    write.end();
    teller.put(control, text);
}

//! The documents of a purchase: an order as it is read from the network's 850, and what comes back for it.

use super::{legal_entity, quantity};
use crate::amount::Amount;
use crate::dates;
use crate::office::Doc;
use jiff::Timestamp;
use serde_json::{Value, json};

/// An order as the supplier sees it.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) number: String,
    pub(super) supplier: String,
    pub(super) facility: String,
    pub(super) entity: String,
    pub(super) currency: String,
    pub(super) lines: Vec<Line>,
}

/// One line of it.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) number: String,
    pub(super) quantity: Amount,
    pub(super) unit: String,
    pub(super) price: Amount,
    pub(super) catalog: String,
    pub(super) item: String,
}

/// Part of an order: of each line so much, at this price and in this unit.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) line: Line,
    pub(super) quantity: Amount,
}

impl Order {
    /// Reads an 850; what is missing or no number is said.
    pub(super) fn read(doc: &Value) -> Result<Self, &'static str> {
        let lines = doc.list("/PO1").iter().map(|line| {
            Some(Line {
                number: line.text("/line").to_owned(),
                quantity: line.amount("/quantity").filter(|it| *it > Amount::ZERO)?,
                unit: line.text("/unit").to_owned(),
                price: line.amount("/price")?,
                catalog: line.text("/VN").to_owned(),
                item: line.text("/IN").to_owned(),
            })
        });
        let lines: Option<Vec<Line>> = lines.collect();
        let lines = lines.ok_or("a line has no quantity or no price")?;
        let facility = doc.text("/ST").to_owned();
        let entity = match doc.text("/BY") {
            "" => legal_entity(&facility).to_owned(),
            entity => entity.to_owned(),
        };
        Ok(Self {
            number: doc.text("/BEG/number").to_owned(),
            supplier: doc.text("/SU").to_owned(),
            currency: match doc.text("/CUR") {
                "" => "USD".to_owned(),
                currency => currency.to_owned(),
            },
            facility,
            entity,
            lines,
        })
    }

    /// What it comes to, to the cent.
    pub(super) fn total(&self) -> Amount {
        total(&self.whole())
    }

    /// All of every line.
    pub(super) fn whole(&self) -> Vec<Part> {
        let parts = self.lines.iter();
        parts
            .map(|line| Part {
                line: line.clone(),
                quantity: line.quantity,
            })
            .collect()
    }

    /// So many percent of every line, at least one where the line has more than one, and never a part of a unit.
    pub(super) fn share(&self, percent: i64) -> Vec<Part> {
        let mut parts = self.whole();
        for part in &mut parts {
            let some = part.quantity.percent(percent).floor();
            part.quantity = some.max(Amount::whole(1)).min(part.quantity);
        }
        parts
    }

    /// What is left of every line after these.
    pub(super) fn rest(&self, first: &[Part]) -> Vec<Part> {
        let mut parts = self.whole();
        for (part, before) in parts.iter_mut().zip(first) {
            part.quantity = part.quantity - before.quantity;
        }
        parts.retain(|part| part.quantity > Amount::ZERO);
        parts
    }

    /// An 855. `kind`: `AC` with detail, `RD` rejected.
    pub(super) fn acknowledgement(
        &self,
        at: Timestamp,
        control: &str,
        kind: &str,
        answer: impl Fn(&Line) -> Vec<Value>,
    ) -> Value {
        let lines: Vec<Value> = self
            .lines
            .iter()
            .map(|line| json!({ "line": line.number, "ACK": answer(line) }))
            .collect();
        json!({
            "document": "855", "control": control, "SU": self.supplier, "ST": self.facility, "CUR": self.currency,
            "BAK": { "purpose": "00", "type": kind, "number": self.number, "date": dates::day(at, 0).to_string() },
            "PO1": lines,
        })
    }

    /// An 856.
    pub(super) fn ship_notice(
        &self,
        at: Timestamp,
        control: &str,
        shipment: &str,
        parts: &[Part],
    ) -> Value {
        let lines: Vec<Value> = parts
            .iter()
            .map(|part| {
                json!({ "line": part.line.number, "quantity": part.quantity.plain(), "unit": part.line.unit,
                    "IN": part.line.item, "LT": lot(&self.number), "expires": dates::day(at, 700).to_string() })
            })
            .collect();
        json!({
            "document": "856", "control": control, "SU": self.supplier, "ST": self.facility,
            "BSN": { "shipment": shipment, "at": dates::instant(at) },
            "TD5": { "carrier": "UPS" }, "CN": format!("1Z{shipment}"),
            "DTM": { "067": dates::day(at, 2).to_string() }, "PRF": self.number, "SN1": lines,
        })
    }

    /// What the dock writes down: in the words of the facility's ERP.
    pub(super) fn receipt(&self, at: Timestamp, number: &str, parts: &[Part]) -> Value {
        let expires = dates::day(at, 700).to_string();
        if self.facility == "south" {
            let lines: Vec<Value> = parts
                .iter()
                .map(|part| {
                    json!({ "line": part.line.number, "item_id": part.line.item, "quantity": quantity(part.quantity, &part.line.unit),
                        "kind": "receipt", "condition": "good", "lot": lot(&self.number), "expires": expires })
                })
                .collect();
            return json!({
                "receipt_number": number, "legal_entity": self.entity, "facility": self.facility, "purchase_order": self.number,
                "supplier_id": self.supplier, "received_at": dates::instant(at), "received_by": "dock2", "lines": lines,
            });
        }
        let lines: Vec<Value> = parts
            .iter()
            .map(|part| {
                json!({ "EBELP": part.line.number, "MATNR": part.line.item, "MENGE": part.quantity.plain(), "MEINS": part.line.unit,
                    "BWART": "101", "CHARG": lot(&self.number), "VFDAT": expires, "KZBEW": "G" })
            })
            .collect();
        json!({
            "MBLNR": number, "EBELN": self.number, "LIFNR": self.supplier, "WERKS": self.facility, "BUKRS": self.entity,
            "BUDAT": dates::instant(at), "USNAM": "dock1", "ITEMS": lines,
        })
    }

    /// An 810.
    pub(super) fn invoice(&self, at: Timestamp, control: &str, bill: &Bill) -> Value {
        let lines: Vec<Value> = bill
            .parts
            .iter()
            .map(|part| {
                json!({ "line": part.line.number, "quantity": part.quantity.plain(), "unit": part.line.unit,
                    "price": part.line.price.to_string(), "VN": part.line.catalog, "IN": part.line.item })
            })
            .collect();
        let mut doc = json!({
            "document": "810", "control": control, "SU": self.supplier, "ST": self.facility, "BY": self.entity,
            "type": if bill.credit { "CR" } else { "DI" },
            "BIG": { "date": dates::day(at, 0).to_string(), "number": bill.number, "order": self.number },
            "CUR": self.currency, "due": dates::day(at, 30).to_string(), "IT1": lines,
            "TXI": bill.tax.n2(), "TDS": bill.total().n2(),
        });
        if bill.freight > Amount::ZERO {
            doc["SAC"] = json!([{ "charge": true, "code": "D240", "amount": bill.freight.n2() }]);
        }
        doc
    }
}

/// What an invoice asks for.
#[derive(Debug, Clone)]
pub(super) struct Bill {
    pub(super) number: String,
    pub(super) credit: bool,
    pub(super) parts: Vec<Part>,
    pub(super) tax: Amount,
    pub(super) freight: Amount,
}

impl Bill {
    pub(super) fn new(number: String, parts: Vec<Part>) -> Self {
        Self {
            number,
            credit: false,
            parts,
            tax: Amount::ZERO,
            freight: Amount::ZERO,
        }
    }

    pub(super) fn total(&self) -> Amount {
        total(&self.parts) + self.tax + self.freight
    }
}

/// The sum of what each line comes to, each to the cent.
pub(super) fn total(parts: &[Part]) -> Amount {
    let extended = |part: &Part| part.quantity.times(part.line.price).to_cents();
    parts.iter().map(extended).sum()
}

/// One answer to a line, as in an 855.
pub(super) fn answer(
    status: &str,
    quantity: Amount,
    line: &Line,
    price: Amount,
    date: &str,
) -> Value {
    json!({ "status": status, "quantity": quantity.plain(), "unit": line.unit, "date": date,
        "price": price.to_string(), "VN": line.catalog })
}

/// The lot that is delivered for an order.
fn lot(order: &str) -> String {
    format!("LOT-{}", crate::office::number_of(order) % 1_000)
}

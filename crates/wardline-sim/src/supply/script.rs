//! What a supplier does with an order, by scenario: a list of documents in their order, and what may be paid in the end.

use super::documents::{Bill, Order, Part, answer, total};
use super::ubl;
use crate::amount::Amount;
use crate::dates;
use crate::office::{Post, number_of};
use crate::rehearsal::{Case, Check, Scenario};
use crate::{Dice, rehearsal::Group};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Between two documents, at speed 1.
const PAUSE: Duration = Duration::from_secs(2);

const ACKNOWLEDGEMENTS: &str = "/in/supplier-network/acknowledgements";
const SHIP_NOTICES: &str = "/in/supplier-network/ship-notices";
const INVOICES: &str = "/in/supplier-network/invoices";
const UBL_INVOICES: &str = "/in/supplier-network/ubl-invoices";

/// What follows from an order.
pub(super) struct Script {
    pub(super) posts: Vec<Post>,
    pub(super) case: Case,
    /// What a cancellation is answered with, where it is refused.
    pub(super) refuses_cancellation: bool,
}

/// Writes documents one after the other.
struct Writer<'a> {
    order: &'a Order,
    now: Timestamp,
    posts: Vec<Post>,
    acknowledged: u32,
    shipped: u32,
    invoiced: u32,
}

impl Writer<'_> {
    fn put(&mut self, from: &'static str, path: &'static str, key: String, body: Value) {
        self.posts.push(Post {
            from,
            path,
            key,
            about: self.order.number.clone(),
            after: PAUSE,
            body,
        });
    }

    fn day(&self, later: i64) -> String {
        dates::day(self.now, later).to_string()
    }

    fn acknowledge(&mut self, kind: &str, answers: impl Fn(&super::documents::Line) -> Vec<Value>) {
        self.acknowledged += 1;
        let control = format!("{}-855-{}", self.order.number, self.acknowledged);
        let doc = self
            .order
            .acknowledgement(self.now, &control, kind, answers);
        self.put("supplier-network", ACKNOWLEDGEMENTS, control, doc);
    }

    /// Every line is accepted as it was ordered.
    fn accept(&mut self) {
        let date = self.day(3);
        self.acknowledge("AC", |line| {
            vec![answer("IA", line.quantity, line, line.price, &date)]
        });
    }

    /// Sent by the supplier, taken in by the dock.
    fn deliver(&mut self, parts: &[Part]) {
        self.shipped += 1;
        let (order, number) = (self.order, &self.order.number);
        let control = format!("{number}-856-{}", self.shipped);
        let shipment = format!("SHP-{number}-{}", self.shipped);
        let notice = order.ship_notice(self.now, &control, &shipment, parts);
        let receipt = format!("GR-{number}-{}", self.shipped);
        let body = order.receipt(self.now, &receipt, parts);
        self.put("supplier-network", SHIP_NOTICES, control, notice);
        if order.facility == "south" {
            self.put("erp-cloud", "/in/erp-cloud/receipts", receipt, body);
        } else {
            self.put("erp-legacy", "/in/erp-legacy/receipts", receipt, body);
        }
    }

    fn bill(&mut self, bill: &Bill) -> Amount {
        self.invoiced += 1;
        let control = format!("{}-810-{}", self.order.number, self.invoiced);
        if self.order.supplier == ubl::SENDER && !bill.credit {
            let doc = ubl::invoice(self.order, self.now, bill);
            self.put("supplier-network", UBL_INVOICES, control, doc);
        } else {
            let doc = self.order.invoice(self.now, &control, bill);
            self.put("supplier-network", INVOICES, control, doc);
        }
        bill.total()
    }

    fn number(&self) -> String {
        format!("INV-{}-{}", self.order.number, self.invoiced + 1)
    }

    /// An invoice of these, as they are.
    fn invoice(&mut self, parts: Vec<Part>) -> Amount {
        let bill = Bill::new(self.number(), parts);
        self.bill(&bill)
    }
}

/// What may be paid in the end.
enum Pay {
    /// So much, without anybody being asked more than for approval.
    Just(Amount),
    /// Between nothing and this: somebody decides.
    AtMost(Amount),
}

/// Writes down everything that follows from `order`.
pub(super) fn play(
    scenario: &'static Scenario,
    order: &Order,
    now: Timestamp,
    shuffled: bool,
    mut dice: Dice,
) -> Script {
    debug_assert_eq!(scenario.group, Group::Supply);
    let mut write = Writer {
        order,
        now,
        posts: Vec::new(),
        acknowledged: 0,
        shipped: 0,
        invoiced: 0,
    };
    let whole = order.whole();
    let pay = match scenario.name {
        "reject" => {
            let date = write.day(0);
            write.acknowledge("RD", |line| {
                vec![answer("IR", line.quantity, line, line.price, &date)]
            });
            Pay::Just(Amount::ZERO)
        }
        "silence" => Pay::Just(Amount::ZERO),
        "backorder" => backorder(&mut write),
        "partial" => {
            write.accept();
            let first = order.share(50);
            let rest = order.rest(&first);
            write.deliver(&first);
            let mut paid = write.invoice(first);
            if !rest.is_empty() {
                write.deliver(&rest);
                paid = paid + write.invoice(rest);
            }
            Pay::Just(paid)
        }
        "price-change" => dearer(&mut write, 103, true),
        "price-up" => dearer(&mut write, 102, false),
        "substitute" => {
            let date = write.day(3);
            let mut parts = whole;
            for part in &mut parts {
                part.line.catalog.push_str("-S");
            }
            write.acknowledge("AC", |line| {
                let mut other = line.clone();
                other.catalog.push_str("-S");
                vec![answer("IS", line.quantity, &other, line.price, &date)]
            });
            write.deliver(&parts);
            Pay::AtMost(write.invoice(parts))
        }
        "unit-error" => {
            write.accept();
            write.deliver(&whole);
            let mut parts = whole;
            for part in &mut parts {
                // The right figures, and a unit that is not meant.
                let other = if part.line.unit == "EA" { "BX" } else { "EA" };
                part.line.unit = other.into();
            }
            Pay::AtMost(write.invoice(parts))
        }
        "over-shipment" => {
            write.accept();
            let mut parts = whole;
            for part in &mut parts {
                let more = part.quantity.percent(10).floor().max(Amount::whole(1));
                part.quantity = part.quantity + more;
            }
            write.deliver(&parts);
            Pay::AtMost(write.invoice(parts))
        }
        "tax" | "freight" => {
            write.accept();
            write.deliver(&whole);
            let mut bill = Bill::new(write.number(), whole);
            if scenario.name == "tax" {
                bill.tax = bill.total().percent(8).to_cents();
            } else {
                bill.freight = Amount::whole(60);
            }
            Pay::AtMost(write.bill(&bill))
        }
        "duplicate-invoice" => {
            write.accept();
            write.deliver(&whole);
            // The same number with and without its leading zeros.
            let digits = 100_000 + number_of(&order.number) % 900_000_000;
            let paid = write.bill(&Bill::new(format!("00{digits}"), whole.clone()));
            write.bill(&Bill::new(digits.to_string(), whole));
            Pay::Just(paid)
        }
        "invoice-first" => {
            write.accept();
            let paid = write.invoice(whole.clone());
            write.deliver(&whole);
            Pay::Just(paid)
        }
        "credit" => {
            write.accept();
            write.deliver(&whole);
            let paid = write.invoice(whole);
            let mut bill = Bill::new(write.number(), order.share(20));
            bill.credit = true;
            write.bill(&bill);
            Pay::Just(paid)
        }
        // `accept`, and what is like it until somebody cancels.
        _ => {
            write.accept();
            write.deliver(&whole);
            Pay::Just(write.invoice(whole))
        }
    };
    let mut posts = write.posts;
    if shuffled {
        shuffle(&mut posts, &mut dice);
    }
    Script {
        posts,
        case: case(scenario, order, &pay),
        refuses_cancellation: scenario.name == "shipped-already",
    }
}

fn backorder(write: &mut Writer<'_>) -> Pay {
    let order = write.order;
    let (soon, later) = (write.day(3), write.day(14));
    let first = order.share(60);
    let rest = order.rest(&first);
    write.acknowledge("AC", |line| {
        let now = first.iter().find(|part| part.line.number == line.number);
        let now = now.map_or(Amount::ZERO, |part| part.quantity);
        let mut answers = vec![answer("IA", now, line, line.price, &soon)];
        if now < line.quantity {
            let open = line.quantity - now;
            answers.push(answer("IB", open, line, line.price, &later));
        }
        answers
    });
    write.deliver(&first);
    let mut paid = write.invoice(first);
    if !rest.is_empty() {
        write.deliver(&rest);
        paid = paid + write.invoice(rest);
    }
    Pay::Just(paid)
}

/// So many percent of the price, said beforehand or not.
fn dearer(write: &mut Writer<'_>, percent: i64, said: bool) -> Pay {
    let mut parts = write.order.whole();
    for part in &mut parts {
        part.line.price = part.line.price.percent(percent);
    }
    if said {
        let date = write.day(3);
        write.acknowledge("AC", |line| {
            let price = line.price.percent(percent);
            vec![answer("IP", line.quantity, line, price, &date)]
        });
    } else {
        write.accept();
    }
    write.deliver(&parts);
    debug_assert!(total(&parts) >= write.order.total());
    Pay::AtMost(write.invoice(parts))
}

fn case(scenario: &'static Scenario, order: &Order, pay: &Pay) -> Case {
    let (least, most) = match *pay {
        Pay::Just(amount) => (amount, amount),
        Pay::AtMost(amount) => (Amount::ZERO, amount),
    };
    let paid = Check::Paid {
        order: order.number.clone(),
        least,
        most,
    };
    Case {
        scenario,
        about: order.number.clone(),
        checks: vec![paid],
    }
}

/// Another order of what is told; the pauses stay where they are.
fn shuffle(posts: &mut [Post], dice: &mut Dice) {
    for place in (1..posts.len()).rev() {
        let other = dice.below(place as u64 + 1) as usize;
        posts.swap(place, other);
    }
}

/// The answer to a cancellation that comes too late.
pub(super) fn refuse_cancellation(order: &Order, now: Timestamp) -> Post {
    let control = format!("{}-865-1", order.number);
    let date = dates::day(now, 0).to_string();
    let mut doc = order.acknowledgement(now, &control, "RD", |line| {
        vec![answer("IR", line.quantity, line, line.price, &date)]
    });
    doc["document"] = json!("865");
    Post {
        from: "supplier-network",
        path: ACKNOWLEDGEMENTS,
        key: control,
        about: order.number.clone(),
        after: PAUSE,
        body: doc,
    }
}

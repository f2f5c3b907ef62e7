//! One case: a subject, its scenario, and what has to be true at the end.

use super::Scenario;
use crate::amount::Amount;
use crate::office::{Books, Doc};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Cases followed at a time; more are not opened, and counted.
const CASES: usize = 20_000;

/// Something that has to be true of the books.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// A field of a document holds this value.
    Holds {
        system: &'static str,
        kind: &'static str,
        id: String,
        field: &'static str,
        value: Value,
    },
    /// There is no such document, or its field holds another value.
    HoldsNot {
        system: &'static str,
        kind: &'static str,
        id: String,
        field: &'static str,
        value: Value,
    },
    /// A duty took effect so often for a subject.
    Effects {
        system: &'static str,
        duty: &'static str,
        subject: String,
        least: u64,
        most: u64,
    },
    /// Payments for an order add up to this.
    Paid {
        order: String,
        least: Amount,
        most: Amount,
    },
    /// So many documents of a kind have these values.
    Count {
        system: &'static str,
        kind: &'static str,
        fields: Vec<(&'static str, Value)>,
        least: usize,
        most: usize,
    },
    /// So many orders came of a requisition.
    Ordered {
        requisition: String,
        least: usize,
        most: usize,
    },
}

/// Where accounts payable keeps what it paid, and the network what was ordered.
pub(crate) const PAYMENTS: (&str, &str) = ("accounts-payable", "payments");
pub(crate) const ORDERS: (&str, &str) = ("supplier-network", "orders");

enum Look {
    Met,
    NotYet(String),
    Broken(String),
}

/// At least is still to come, at most is broken for good.
fn between<T: PartialOrd + fmt::Display>(what: &str, got: T, least: &T, most: &T) -> Look {
    if got > *most {
        Look::Broken(format!("{what}: {got}, at most {most} expected"))
    } else if got < *least {
        Look::NotYet(format!("{what}: {got}, at least {least} expected"))
    } else {
        Look::Met
    }
}

impl Check {
    fn look(&self, books: &Books) -> Look {
        match self {
            Self::Holds {
                system,
                kind,
                id,
                field,
                value,
            } => {
                let found = books.find(system, kind, id);
                match found {
                    None => Look::NotYet(format!("{system} knows nothing of {id}")),
                    Some(doc) if doc.pointer(field) == Some(value) => Look::Met,
                    Some(_) => Look::NotYet(format!(
                        "{system} {id}: `{}` is not {value}",
                        field.trim_start_matches('/')
                    )),
                }
            }
            Self::HoldsNot {
                system,
                kind,
                id,
                field,
                value,
            } => {
                let found = books.find(system, kind, id);
                if found.and_then(|doc| doc.pointer(field)) == Some(value) {
                    let field = field.trim_start_matches('/');
                    Look::Broken(format!("{system} {id}: `{field}` is {value}"))
                } else {
                    Look::Met
                }
            }
            Self::Effects {
                system,
                duty,
                subject,
                least,
                most,
            } => {
                let got = books.effects(system, duty, subject);
                between(&format!("{system} {duty}"), got, least, most)
            }
            Self::Paid { order, least, most } => {
                let payments = books.all(PAYMENTS.0, PAYMENTS.1);
                let paid: Amount = payments
                    .filter(|(_, payment)| {
                        payment.text("/purchase_order") == order
                            && payment.text("/status") != "voided"
                    })
                    .filter_map(|(_, payment)| payment.amount("/amount/amount"))
                    .sum();
                between("paid", paid, least, most)
            }
            Self::Count {
                system,
                kind,
                fields,
                least,
                most,
            } => {
                let holds = |doc: &Value| {
                    let mut fields = fields.iter();
                    fields.all(|(field, value)| doc.pointer(field) == Some(value))
                };
                let got = books
                    .all(system, kind)
                    .filter(|(_, doc)| holds(doc))
                    .count();
                between(&format!("{system} {kind}"), got, least, most)
            }
            Self::Ordered {
                requisition,
                least,
                most,
            } => {
                let orders = books.all(ORDERS.0, ORDERS.1);
                let of = |order: &str| super::picks::is_of(order, requisition);
                let got = orders.filter(|(order, _)| of(order)).count();
                between("orders", got, least, most)
            }
        }
    }
}

/// What is followed of one subject.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) scenario: &'static Scenario,
    pub(crate) about: String,
    pub(crate) checks: Vec<Check>,
}

/// How a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Everything is as the scenario says.
    AsSaid,
    /// Something is still missing.
    Open,
    /// Something is there that must never be.
    Wrong,
}

/// How one case stands, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// The order, the person, the claim.
    pub about: String,
    /// What was rehearsed.
    #[serde(serialize_with = "as_text")]
    pub scenario: &'static Scenario,
    /// How it stands.
    pub ended: Ended,
    /// What is missing or wrong. It names fields and numbers of ours, and no values of people.
    pub why: Vec<String>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands fields over by reference"
)]
fn as_text<S: Serializer>(scenario: &&'static Scenario, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(scenario)
}

impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = match self.ended {
            Ended::AsSaid => "as said",
            Ended::Open => "open",
            Ended::Wrong => "WRONG",
        };
        write!(f, "{:<9}{:<34}{}", ended, self.scenario, self.about)?;
        for why in &self.why {
            write!(f, "; {why}")?;
        }
        Ok(())
    }
}

impl Case {
    fn report(&self, books: &Books) -> CaseReport {
        let (mut ended, mut why) = (Ended::AsSaid, Vec::new());
        for check in &self.checks {
            match check.look(books) {
                Look::Met => {}
                Look::NotYet(text) => {
                    if ended == Ended::AsSaid {
                        ended = Ended::Open;
                    }
                    why.push(text);
                }
                Look::Broken(text) => {
                    ended = Ended::Wrong;
                    why.push(text);
                }
            }
        }
        CaseReport {
            about: self.about.clone(),
            scenario: self.scenario,
            ended,
            why,
        }
    }
}

/// All cases, in the order in which they were opened; one for a subject and scenario.
#[derive(Debug, Default)]
pub(crate) struct Cases {
    list: Vec<Case>,
    places: BTreeMap<(String, String), usize>,
}

impl Cases {
    /// Opens a case, or says anew what the end of one that is open has to be. False where there are too many.
    pub(crate) fn open(&mut self, case: Case) -> bool {
        let place = (case.about.clone(), case.scenario.to_string());
        if let Some(&at) = self.places.get(&place) {
            self.list[at] = case;
            return true;
        }
        if self.list.len() >= CASES {
            return false;
        }
        self.places.insert(place, self.list.len());
        self.list.push(case);
        true
    }

    /// Follows a case no further: another one says how it should end.
    pub(crate) fn drop(&mut self, about: &str, scenario: &Scenario) {
        let place = (about.to_owned(), scenario.to_string());
        if let Some(at) = self.places.remove(&place) {
            self.list.remove(at);
            for other in self.places.values_mut().filter(|other| **other > at) {
                *other -= 1;
            }
        }
    }

    pub(crate) fn reports(&self, books: &Books) -> Vec<CaseReport> {
        self.list.iter().map(|case| case.report(books)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Case, Cases, Check, Ended, Scenario};
    use crate::amount::Amount;
    use crate::office::Books;
    use serde_json::json;

    #[test]
    fn too_little_is_open_and_too_much_is_wrong() {
        let mut books = Books::default();
        let mut cases = Cases::default();
        let paid = Check::Paid {
            order: "PO-1".into(),
            least: Amount::whole(500),
            most: Amount::whole(500),
        };
        cases.open(Case {
            scenario: Scenario::named("accept").unwrap(),
            about: "PO-1".into(),
            checks: vec![paid],
        });
        let ended = |books: &Books, cases: &Cases| cases.reports(books)[0].ended;
        assert_eq!(ended(&books, &cases), Ended::Open);
        let payment =
            json!({"purchase_order": "PO-1", "amount": {"amount": "500.00"}, "status": "sent"});
        books.keep("accounts-payable", "payments", "PAY-1", payment.clone());
        assert_eq!(ended(&books, &cases), Ended::AsSaid);
        books.keep("accounts-payable", "payments", "PAY-2", payment);
        assert_eq!(ended(&books, &cases), Ended::Wrong);
    }
}

//! Beginning scenarios, by name and as many as one likes.

use super::picks::{Default, Pick};
use super::{Group, Rehearsal, Scenario};
use crate::SimError;
use crate::ehr::Teller;
use crate::office::{BackOffice, Room, Sent};
use crate::{departments, money, people, supply};
use serde::Serialize;
use std::sync::Arc;

/// Subjects that one call may begin.
const COUNT: u64 = 1_000;

/// What to rehearse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearse {
    /// Which scenario.
    pub scenario: &'static Scenario,
    /// How many of it.
    pub count: u64,
    /// Where: `north`, `south`, or `west`, which is an outpatient centre: departments, claims, charges.
    pub facility: String,
    /// Whether what follows is told in another order than it happened (supply only).
    pub shuffled: bool,
}

impl Rehearse {
    /// One of this scenario, in the north.
    pub fn one(scenario: &'static Scenario) -> Self {
        Self {
            scenario,
            count: 1,
            facility: "north".into(),
            shuffled: false,
        }
    }
}

/// What was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Begun {
    /// The scenario's name, with its group.
    pub scenario: String,
    /// Its subjects: requisitions, workers, claims, accounts.
    pub about: Vec<String>,
}

/// Begins scenarios and says how they stand. Shared by a hospital and its admin listener.
#[derive(Debug)]
pub(crate) struct Rehearser {
    pub(crate) back: Arc<BackOffice>,
    /// Part of every number, so that what Wardline remembers of an earlier run is not taken for this one.
    pub(crate) tag: u64,
    pub(crate) teller: Teller,
}

impl Rehearser {
    pub(crate) fn begin(&self, what: &Rehearse) -> Result<Begun, SimError> {
        let scenario = what.scenario;
        if !(1..=COUNT).contains(&what.count) {
            return Err(SimError::Rehearsal {
                what: "count must be from 1 to 1000",
            });
        }
        if !["north", "south", "west"].contains(&what.facility.as_str()) {
            return Err(SimError::Rehearsal {
                what: "facility must be north, south or west",
            });
        }
        // An outpatient centre: it has no beds, no store and no workshop.
        let outpatient = matches!(
            scenario.group,
            Group::Departments | Group::Claims | Group::Charges
        );
        if what.facility == "west" && !outpatient {
            return Err(SimError::Rehearsal {
                what: "in the west there are departments, claims and charges only",
            });
        }
        let about = (0..what.count).map(|_| self.one(what)).collect();
        Ok(Begun {
            scenario: scenario.to_string(),
            about,
        })
    }

    fn one(&self, what: &Rehearse) -> String {
        let (scenario, facility) = (what.scenario, what.facility.as_str());
        let tag = self.tag;
        let pick = Pick {
            scenario,
            shuffled: what.shuffled,
        };
        let subject = |room: &mut Room<'_>, prefix: &str| {
            let number = room.picks.number(scenario.group);
            format!("{prefix}-{tag:06}-{number}")
        };
        match scenario.group {
            Group::Supply => self.back.work("erp-cloud", |room| {
                let about = subject(room, "REQ");
                room.picks.pick(&about, pick);
                supply::begin_requisition(room, scenario, &about, facility);
                about
            }),
            Group::Requisition => self.back.work("erp-cloud", |room| {
                let about = subject(room, "RQN");
                supply::begin_requisition(room, scenario, &about, facility);
                about
            }),
            Group::Suppliers => self.back.work("supplier-network", |room| {
                let about = subject(room, "SR");
                supply::begin_supplier(room, scenario, &about, facility);
                about
            }),
            Group::Stock => self.back.work("inventory", |room| {
                let about = subject(room, "STK");
                supply::begin_stock(room, scenario, &about, facility);
                about
            }),
            Group::People => self.back.work("hr", |room| {
                let number = room.picks.number(scenario.group);
                let about = format!("E{}", tag * 1_000 + number);
                people::begin(room, scenario, &about, facility);
                about
            }),
            Group::Payroll => self.back.work("payroll", |room| {
                let number = room.picks.number(scenario.group);
                people::begin_run(room, pick, tag, number, facility)
            }),
            Group::Claims => self.back.work("clearinghouse", |room| {
                let about = subject(room, "CLM");
                money::begin_claim(room, pick, &about, facility);
                about
            }),
            Group::Charges => self.back.work("billing", |room| {
                let number = room.picks.number(scenario.group);
                money::begin_day(room, pick, number, facility)
            }),
            Group::Stay => {
                let (about, tale) = self.back.work("ehr", |room| {
                    let about = subject(room, "V");
                    let tale = crate::ehr::tale(room, scenario, &about, facility);
                    (about, tale)
                });
                self.teller.tell(tale);
                about
            }
            Group::Departments => {
                let (about, tale) = self.back.work("ehr", |room| {
                    let about = subject(room, departments::prefix(scenario));
                    let tale = departments::begin(room, scenario, &about, facility);
                    (about, tale)
                });
                if let Some(tale) = tale {
                    self.teller.tell(tale);
                }
                about
            }
        }
    }

    /// For one subject.
    pub(crate) fn pick(&self, about: &str, scenario: &'static Scenario, shuffled: bool) {
        let pick = Pick { scenario, shuffled };
        self.back.work("sim", |room| room.picks.pick(about, pick));
    }

    /// For everybody of the scenario's group from now on.
    pub(crate) fn pick_for_all(&self, scenario: &'static Scenario, shuffled: bool) {
        let default = Default::One(Pick { scenario, shuffled });
        self.back.work("sim", |room| {
            room.picks.default_to(scenario.group, default);
        });
    }

    /// One after the other, drawn by the seed.
    pub(crate) fn mix(&self, group: Group) {
        self.back.work("sim", |room| {
            room.picks.default_to(group, Default::Mixed);
        });
    }

    pub(crate) fn report(&self) -> Rehearsal {
        let sent = self.back.courier.report();
        self.back.work("sim", |room| Rehearsal {
            cases: room.picks.cases.reports(room.books),
            sent,
            overflowed: room.picks.overflowed + room.books.overflowed,
        })
    }

    pub(crate) fn sent(&self, about: &str) -> Vec<Sent> {
        self.back.courier.sent(about)
    }
}

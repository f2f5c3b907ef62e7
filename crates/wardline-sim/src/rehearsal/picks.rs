//! Which scenario somebody picked for what.

use super::{Cases, Group, Scenario};
use crate::Dice;
use std::collections::BTreeMap;

/// Subjects with a scenario of their own; further picks are not kept, and counted.
const PICKS: usize = 50_000;

/// A scenario, and whether what it tells comes in another order than it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) scenario: &'static Scenario,
    pub(crate) shuffled: bool,
}

/// How a whole group is picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Default {
    /// The same for all.
    One(Pick),
    /// Drawn by the subject's dice.
    Mixed,
}

/// All picks, and the cases that came of them.
#[derive(Debug, std::default::Default)]
pub(crate) struct Picks {
    defaults: BTreeMap<Group, Default>,
    by_subject: BTreeMap<(Group, String), Pick>,
    pub(crate) cases: Cases,
    /// Picks and cases that no longer fitted.
    pub(crate) overflowed: u64,
    /// What was begun so far, by group: the next one gets the next number.
    begun: BTreeMap<Group, u64>,
}

impl Picks {
    /// From now on for everybody of the group.
    pub(crate) fn default_to(&mut self, group: Group, default: Default) {
        self.defaults.insert(group, default);
    }

    /// For one subject: an order, a requisition (all its orders), a claim, a run, a day.
    pub(crate) fn pick(&mut self, about: &str, pick: Pick) {
        let place = (pick.scenario.group, about.to_owned());
        if self.by_subject.len() >= PICKS && !self.by_subject.contains_key(&place) {
            self.overflowed += 1;
            return;
        }
        self.by_subject.insert(place, pick);
    }

    /// What was picked for this subject.
    pub(crate) fn of(&self, group: Group, about: &str, mut dice: Dice) -> Pick {
        let found = |about: &str| self.by_subject.get(&(group, about.to_owned())).copied();
        if let Some(pick) = found(about).or_else(|| {
            let named = requisition(about)?;
            found(named).or_else(|| found(&format!("REQ-{named}")))
        }) {
            return pick;
        }
        let usual = Pick {
            scenario: Scenario::usual(group),
            shuffled: false,
        };
        match self.defaults.get(&group) {
            None => usual,
            Some(Default::One(pick)) => *pick,
            Some(Default::Mixed) => {
                let all: Vec<&'static Scenario> = Scenario::of(group).collect();
                Pick {
                    scenario: all[dice.below(all.len() as u64) as usize],
                    shuffled: false,
                }
            }
        }
    }

    /// A number that was not given before within the group.
    pub(crate) fn number(&mut self, group: Group) -> u64 {
        let number = self.begun.entry(group).or_default();
        *number += 1;
        *number
    }
}

/// The requisition of an order whose number Wardline made: `PO-<requisition>-<n>`, where the
/// requisition's own `REQ-` may be left out.
fn requisition(order: &str) -> Option<&str> {
    let (requisition, _) = order.strip_prefix("PO-")?.rsplit_once('-')?;
    Some(requisition)
}

/// Whether an order was made of a requisition.
pub(crate) fn is_of(order: &str, of: &str) -> bool {
    requisition(order).is_some_and(|named| named == of || of.strip_prefix("REQ-") == Some(named))
}

#[cfg(test)]
mod tests {
    use super::{Default, Group, Pick, Picks, Scenario};
    use crate::Dice;

    fn pick(name: &str) -> Pick {
        Pick {
            scenario: Scenario::named(name).unwrap(),
            shuffled: false,
        }
    }

    #[test]
    fn the_nearest_pick_wins() {
        let mut picks = Picks::default();
        let name =
            |picks: &Picks, about: &str| picks.of(Group::Supply, about, Dice::new(1)).scenario.name;
        assert_eq!(name(&picks, "PO-REQ-7-1"), "accept");
        assert!(super::is_of("PO-7-1", "REQ-7") && super::is_of("PO-REQ-7-1", "REQ-7"));
        assert!(!super::is_of("PO-77-1", "REQ-7"));
        picks.default_to(Group::Supply, Default::One(pick("reject")));
        assert_eq!(name(&picks, "PO-REQ-7-1"), "reject");
        picks.pick("REQ-7", pick("tax"));
        assert_eq!(name(&picks, "PO-REQ-7-1"), "tax");
        picks.pick("PO-REQ-7-1", pick("freight"));
        assert_eq!(name(&picks, "PO-REQ-7-1"), "freight");
        assert_eq!(name(&picks, "PO-REQ-7-2"), "tax");
        assert_eq!(name(&picks, "4500012"), "reject");
    }

    #[test]
    fn a_mixture_is_the_same_for_the_same_dice() {
        let mut picks = Picks::default();
        picks.default_to(Group::Supply, Default::Mixed);
        let names = || -> Vec<&str> {
            (0..50)
                .map(|seed| picks.of(Group::Supply, "x", Dice::new(seed)).scenario.name)
                .collect()
        };
        assert_eq!(names(), names());
        assert!(names().iter().any(|name| *name != names()[0]));
    }
}

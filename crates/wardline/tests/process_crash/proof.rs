//! What happened against what should have: the ledger of the systems and the journal's own list of
//! instances, order by order.

use crate::orders::Order;
use crate::recorder::{Ledger, Seen};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How an instance ended, as the journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) phase: String,
    pub(crate) status: String,
}

/// Everything that is not as it should be.
pub(crate) fn problems(
    orders: &BTreeSet<Order>,
    ledger: &Ledger,
    ended: &BTreeMap<Order, Vec<Ended>>,
) -> Vec<String> {
    let mut found = ledger.strange.clone();
    let mut by_order: HashMap<Order, BTreeMap<&str, &Seen>> = HashMap::new();
    for ((order, effect), seen) in &ledger.effects {
        by_order.entry(*order).or_default().insert(effect, seen);
    }
    for order in orders {
        let happened = by_order.remove(order).unwrap_or_default();
        effects(*order, happened, &mut found);
        let name = order.number();
        match ended.get(order).map_or(&[][..], Vec::as_slice) {
            [] => found.push(format!("{name}: no instance")),
            [one] => {
                let (phase, status) = order.end();
                if (one.phase.as_str(), one.status.as_str()) != (phase, status) {
                    found.push(format!(
                        "{name}: ended as {} ({}), not as {phase} ({status})",
                        one.phase, one.status
                    ));
                }
            }
            several => found.push(format!("{name}: {} instances", several.len())),
        }
    }
    for order in by_order.keys().chain(ended.keys()) {
        if !orders.contains(order) {
            found.push(format!("{}: nobody ordered it", order.number()));
        }
    }
    found
}

/// Each effect of one order: there, once, under one key, and after those that it follows.
fn effects(order: Order, mut happened: BTreeMap<&str, &Seen>, found: &mut Vec<String>) {
    let name = order.number();
    let mut once = |effect: &str, found: &mut Vec<String>| {
        let seen = happened.remove(effect);
        let done = seen.map_or(0, |seen| seen.done.len());
        let asked = seen.map_or(0, |seen| seen.asked.len());
        match (done, asked) {
            (1, 1) => {}
            (0, 0) => found.push(format!("{name}: {effect} is missing")),
            (0, _) => found.push(format!("{name}: {effect} was tried and never done")),
            (1, _) => found.push(format!("{name}: {effect} was tried under {asked} keys")),
            _ => found.push(format!("{name}: {effect} happened {done} times")),
        }
        seen.filter(|seen| !seen.done.is_empty())
            .map(|seen| seen.order)
    };
    let mut before = 0;
    for group in order.effects() {
        let mut latest = before;
        for effect in group {
            let Some(at) = once(&effect, found) else {
                continue;
            };
            if at < before {
                found.push(format!("{name}: {effect} came too early"));
            }
            latest = latest.max(at);
        }
        before = latest;
    }
    for effect in Order::beside() {
        once(effect, found);
    }
    for effect in happened.keys() {
        found.push(format!("{name}: {effect} should not have happened"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A refused and a silent one, and one of each other kind.
    const SOME: std::ops::Range<u32> = 1..31;

    fn keyed(order: Order, effect: &str) -> String {
        format!("{}-{effect}", order.number())
    }

    /// What is in the books where all went well, but for what `but` makes of each effect: how often
    /// it is asked for, each time under another key.
    fn world(
        but: impl Fn(Order, &str) -> usize,
    ) -> (BTreeSet<Order>, Ledger, BTreeMap<Order, Vec<Ended>>) {
        let orders: BTreeSet<Order> = SOME.map(Order).collect();
        let mut ledger = Ledger::default();
        for order in &orders {
            let beside = Order::beside().map(str::to_owned);
            for effect in order.effects().into_iter().flatten().chain(beside) {
                for again in 0..but(*order, &effect) {
                    let key = format!("{}-{again}", keyed(*order, &effect));
                    // A failed attempt, the effect, and a repetition.
                    ledger.note(*order, &effect, &key, false);
                    ledger.note(*order, &effect, &key, true);
                    ledger.note(*order, &effect, &key, true);
                }
            }
        }
        let ended = orders
            .iter()
            .map(|order| {
                let (phase, status) = order.end();
                let ended = Ended {
                    phase: phase.to_owned(),
                    status: status.to_owned(),
                };
                (*order, vec![ended])
            })
            .collect();
        (orders, ledger, ended)
    }

    fn found(but: impl Fn(Order, &str) -> usize) -> Vec<String> {
        let (orders, ledger, ended) = world(but);
        problems(&orders, &ledger, &ended)
    }

    #[test]
    fn repeated_attempts_under_one_key_are_no_problem() {
        assert_eq!(found(|_, _| 1), [""; 0]);
    }

    #[test]
    fn every_effect_that_is_missing_or_doubled_is_noticed() {
        for order in SOME.map(Order) {
            let beside = Order::beside().map(str::to_owned);
            for effect in order.effects().into_iter().flatten().chain(beside) {
                for (times, word) in [(0, "is missing"), (2, "happened 2 times")] {
                    let but = |of: Order, one: &str| {
                        if of == order && one == effect {
                            times
                        } else {
                            1
                        }
                    };
                    let said = format!("{}: {effect} {word}", order.number());
                    assert_eq!(found(but), [said]);
                }
            }
        }
    }

    #[test]
    fn a_second_key_is_noticed_though_nothing_happened_under_it() {
        let (orders, mut ledger, ended) = world(|_, _| 1);
        ledger.note(Order(4), "stock/reserve", "another", false);
        assert_eq!(
            problems(&orders, &ledger, &ended),
            ["PO0000004: stock/reserve was tried under 2 keys"]
        );
        ledger.note(Order(4), "books/settle", "another", true);
        assert_eq!(
            problems(&orders, &ledger, &ended)[0],
            "PO0000004: books/settle came under the key of stock/reserve of PO0000004"
        );
    }

    #[test]
    fn what_nobody_asked_for_is_noticed() {
        let (orders, mut ledger, ended) = world(|_, _| 1);
        ledger.note(Order(1), "stock/release", "1", true);
        ledger.note(Order(77), "stock/reserve", "2", true);
        assert_eq!(
            problems(&orders, &ledger, &ended),
            [
                "PO0000001: stock/release should not have happened",
                "PO0000077: nobody ordered it"
            ]
        );
    }

    #[test]
    fn what_came_in_the_wrong_order_is_noticed() {
        let (orders, mut ledger, ended) =
            world(|order, effect| usize::from(order != Order(9) || effect != "stock/unpick/L0"));
        ledger.note(Order(9), "stock/unpick/L0", "late", true);
        let said = problems(&orders, &ledger, &ended);
        assert_eq!(
            said,
            [
                "PO0000009: books/uncommit came too early",
                "PO0000009: network/cancel came too early",
                "PO0000009: stock/release came too early"
            ]
        );
    }

    #[test]
    fn instances_that_ended_otherwise_are_noticed() {
        let (orders, ledger, mut ended) = world(|_, _| 1);
        let paid = ended[&Order(1)].clone();
        ended.insert(Order(9), paid.clone());
        ended.insert(Order(2), [paid.clone(), paid].concat());
        ended.remove(&Order(3));
        assert_eq!(
            problems(&orders, &ledger, &ended),
            [
                "PO0000002: 2 instances",
                "PO0000003: no instance",
                "PO0000009: ended as completed (paid), not as failed (refused)"
            ]
        );
    }
}

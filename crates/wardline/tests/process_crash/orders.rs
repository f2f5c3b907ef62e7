//! What an order is, and what must follow from it: known from its number alone, so that the test
//! can say afterwards what should have happened.

use serde_json::{Value, json};
use std::time::Duration;
use wardline_core::Timestamp;

/// One order, which becomes one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Order(pub(crate) u32);

impl Order {
    pub(crate) fn number(self) -> String {
        format!("PO{:07}", self.0)
    }

    pub(crate) fn of(number: &str) -> Option<Self> {
        number.strip_prefix("PO")?.parse().ok().map(Self)
    }

    /// The books refuse it with a 200; all that was done is undone.
    pub(crate) const fn is_refused(self) -> bool {
        self.0 % 10 == 9
    }

    /// No acknowledgement comes: its supplier is chased.
    pub(crate) const fn is_silent(self) -> bool {
        self.0 % 7 == 3
    }

    const fn is_urgent(self) -> bool {
        self.0.is_multiple_of(3)
    }

    const fn is_southern(self) -> bool {
        self.0.is_multiple_of(2)
    }

    /// Told twice and more, under other keys.
    pub(crate) const fn starts_again(self) -> bool {
        self.0 % 5 == 1
    }

    /// What it waits for is told twice.
    pub(crate) const fn is_told_twice(self) -> bool {
        self.0 % 6 == 2
    }

    /// Its receipt comes before the order itself.
    pub(crate) const fn is_received_early(self) -> bool {
        self.0 % 4 == 1
    }

    /// Its receipt comes when it is waited for, or nearly.
    pub(crate) const fn is_received_late(self) -> bool {
        self.0 % 4 == 2
    }

    /// Somebody must say when it is sent.
    pub(crate) const fn is_asked(self) -> bool {
        self.0 % 8 == 6
    }

    /// What is answered; the other choice always comes too late.
    pub(crate) const fn choice(self) -> (&'static str, &'static str) {
        if self.0.is_multiple_of(16) || self.0 % 16 > 8 {
            ("now", "later")
        } else {
            ("later", "now")
        }
    }

    fn lines(self) -> Vec<String> {
        (0..=self.0 % 3).map(|line| format!("L{line}")).collect()
    }

    /// The data of the event that begins it.
    pub(crate) fn data(self) -> Value {
        let wait = if self.is_silent() {
            Duration::from_millis(300 + u64::from(self.0 % 11) * 200)
        } else {
            Duration::from_hours(2)
        };
        json!({
            "number": self.number(),
            "facility": if self.is_southern() { "south" } else { "north" },
            "urgent": self.is_urgent(),
            "asked": self.is_asked(),
            "lines": self.lines(),
            "acknowledge_by": Timestamp::now().after(wait).to_string(),
        })
    }

    /// The effect by which it is known to be at its end, or next to it.
    pub(crate) fn last_effect(self) -> &'static str {
        if self.is_refused() {
            "stock/release"
        } else {
            "books/settle"
        }
    }

    /// The effect after which it waits for its receipt.
    pub(crate) const fn before_receipt(self) -> &'static str {
        if self.is_urgent() {
            "carrier/fly"
        } else {
            "carrier/drive"
        }
    }

    /// Everything that must have happened, once each. What stands in a later group happened after
    /// all of the groups before it.
    pub(crate) fn effects(self) -> Vec<Vec<String>> {
        let network = if self.is_southern() {
            "network-south"
        } else {
            "network"
        };
        let one = |step: &str| vec![step.to_owned()];
        let each = |step: &str| {
            let lines = self.lines().into_iter();
            lines.map(|line| format!("{step}/{line}")).collect()
        };
        let mut groups = vec![
            one("stock/reserve"),
            vec![format!("{network}/place")],
            vec!["books/commit".to_owned(), "books/inform".to_owned()],
        ];
        if self.is_silent() {
            groups.push(vec![format!("{network}/chase")]);
        }
        groups.push(each("stock/pick"));
        if self.is_asked() {
            groups.push(vec![format!("books/approve/{}", self.choice().0)]);
        }
        groups.push(one(self.before_receipt()));
        groups.push(one("books/settle"));
        if self.is_refused() {
            groups.push(each("stock/unpick"));
            groups.push(one("books/uncommit"));
            groups.push(vec![format!("{network}/cancel")]);
            groups.push(one("stock/release"));
        }
        groups
    }

    /// What happens beside its steps: flows that hear what it tells.
    pub(crate) const fn beside() -> [&'static str; 1] {
        ["books/note"]
    }

    /// Phase and status in which it must have ended.
    pub(crate) const fn end(self) -> (&'static str, &'static str) {
        if self.is_refused() {
            ("failed", "refused")
        } else {
            ("completed", "paid")
        }
    }
}

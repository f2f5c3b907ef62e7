//! What a scenario is, and how it is found by name.

use super::stand_in::Answer;
use serde::{Serialize, Serializer};
use std::fmt;

/// What a scenario is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// How a supplier answers an order.
    Supply,
    /// What somebody asks for.
    Requisition,
    /// Who wants to sell to us, and where they want their money.
    Suppliers,
    /// Shelves, devices, prices.
    Stock,
    /// What HR does with a worker.
    People,
    /// How a payroll run adds up.
    Payroll,
    /// How a payer and a bank answer a claim.
    Claims,
    /// What billing made of a day's charges.
    Charges,
    /// What happens to a patient.
    Stay,
    /// What laboratory, imaging, medical records, patient relations and telehealth do.
    Departments,
}

impl Group {
    /// Every group, in the order of the list.
    pub const ALL: [Self; 10] = [
        Self::Supply,
        Self::Requisition,
        Self::Suppliers,
        Self::Stock,
        Self::People,
        Self::Payroll,
        Self::Claims,
        Self::Charges,
        Self::Stay,
        Self::Departments,
    ];

    /// Its name, as in `supply/backorder`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supply => "supply",
            Self::Requisition => "requisition",
            Self::Suppliers => "suppliers",
            Self::Stock => "stock",
            Self::People => "people",
            Self::Payroll => "payroll",
            Self::Claims => "claims",
            Self::Charges => "charges",
            Self::Stay => "stay",
            Self::Departments => "departments",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// What it is about.
    pub group: Group,
    /// Its name within the group.
    pub name: &'static str,
    /// What the systems do.
    pub does: &'static str,
    /// How it should end.
    pub ends: &'static str,
    /// What people answer, beyond the approvals of the group ([`Group::answers`]). A question for which nothing is said here stays open.
    pub answers: &'static [Answer],
    /// Where the processes of its subject stand when nothing is left to do: process, and `completed paid` or the like.
    pub stands: &'static [(&'static str, &'static str)],
    /// Where the example lets days pass: tests of the estate that go on from there in simulated time.
    pub later: &'static [&'static str],
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.group, self.name))
    }
}

impl Group {
    /// What people answer in every scenario of the group.
    pub const fn answers(self) -> &'static [Answer] {
        const APPROVALS: &[Answer] = &[
            Answer {
                role: "department-manager",
                choice: "approve",
            },
            Answer {
                role: "director",
                choice: "approve",
            },
        ];
        match self {
            Self::Supply | Self::Requisition | Self::Stock => APPROVALS,
            _ => &[],
        }
    }
}

impl Scenario {
    pub(super) const fn answered(self, answers: &'static [Answer]) -> Self {
        Self { answers, ..self }
    }

    pub(super) const fn stands(self, stands: &'static [(&'static str, &'static str)]) -> Self {
        Self { stands, ..self }
    }

    pub(super) const fn later(self, later: &'static [&'static str]) -> Self {
        Self { later, ..self }
    }

    /// All of them.
    pub const ALL: &'static [Self] = super::scenarios::ALL;

    /// By `group/name`, or by `name` where only one group has it.
    pub fn named(text: &str) -> Option<&'static Self> {
        if let Some((group, name)) = text.split_once('/') {
            let mut all = Self::ALL.iter();
            return all.find(|one| one.group.as_str() == group && one.name == name);
        }
        let mut found = Self::ALL.iter().filter(|one| one.name == text);
        match (found.next(), found.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        }
    }

    /// Those of one group.
    pub fn of(group: Group) -> impl Iterator<Item = &'static Self> {
        Self::ALL.iter().filter(move |one| one.group == group)
    }

    /// The scenario of a group where nobody picked one.
    pub(crate) fn usual(group: Group) -> &'static Self {
        // Each group begins with the one where all goes well.
        let mut all = Self::of(group);
        all.next().unwrap_or(&Self::ALL[0])
    }
}

#[cfg(test)]
mod tests {
    use super::{Group, Scenario};
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_given_once_and_found() {
        let mut names = BTreeSet::new();
        for one in Scenario::ALL {
            assert!(names.insert(one.to_string()), "{one} twice");
            assert_eq!(Scenario::named(&one.to_string()), Some(one));
            assert!(!one.does.is_empty() && !one.ends.is_empty());
        }
        assert_eq!(Scenario::named("backorder").unwrap().group, Group::Supply);
        // Two groups have a silence.
        assert_eq!(Scenario::named("silence"), None);
        assert_eq!(Scenario::named("supply/nonsense"), None);
    }

    #[test]
    fn every_group_has_one_where_all_goes_well() {
        let usual = Group::ALL.map(|group| Scenario::usual(group).name);
        assert_eq!(
            usual,
            [
                "accept", "sound", "new", "usage", "hire", "ties", "pays", "ties", "plain",
                "result"
            ]
        );
    }

    #[test]
    fn what_takes_days_is_tested_in_simulated_time() {
        let tests = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../examples/st-brigid/tests"
        );
        let files = std::fs::read_dir(tests).unwrap();
        let text: String = files
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        let names: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("test: "))
            .map(|name| name.trim_matches('"'))
            .collect();
        for one in Scenario::ALL {
            for test in one.later {
                assert!(names.contains(test), "{one}: no test `{test}`");
            }
        }
    }

    #[test]
    fn the_book_has_all_of_them() {
        let book = include_str!("../../../../docs/how-to/rehearse.md");
        for one in Scenario::ALL {
            let line = format!("| `{}` | {} | {} |", one.name, one.does, one.ends);
            assert!(book.contains(&line), "{line}");
        }
    }
}

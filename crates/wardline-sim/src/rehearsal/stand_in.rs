//! Stand-ins: whoever answers what processes ask of people, as the scenario says.

use super::{CaseReport, Scenario, picks};
use serde::{Deserialize, Serialize};

/// What somebody of a role chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Who is asked.
    pub role: &'static str,
    /// What they choose, where it is among the choices.
    pub choice: &'static str,
}

/// A question of a process, as Wardline tells it.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    /// The process.
    pub process: String,
    /// The business key of its instance, where that is no secret.
    pub key: Option<String>,
    /// Who is asked.
    pub role: String,
    /// The question.
    pub ask: String,
    /// What may be chosen.
    pub choices: Vec<String>,
}

/// Requisitions that shelves and work orders make bear numbers of their own; nobody picks a scenario for those.
const OF_SHELVES: [&str; 2] = ["REQ-R", "REQ-W"];

impl Question {
    /// What a stand-in chooses, by the scenario of the case that it is about; `None` where nobody said.
    pub fn answer<'a>(
        &self,
        cases: impl IntoIterator<Item = &'a CaseReport>,
    ) -> Option<&'static str> {
        let mut cases = cases.into_iter();
        let own = cases.find_map(|case| {
            if self.is_about(case) {
                self.choose(case.scenario)
            } else {
                None
            }
        });
        own.or_else(|| self.of_a_shelf())
    }

    fn choose(&self, scenario: &'static Scenario) -> Option<&'static str> {
        let said = scenario.answers.iter().chain(scenario.group.answers());
        let mine = |one: &&Answer| {
            one.role == self.role && self.choices.iter().any(|choice| choice == one.choice)
        };
        said.into_iter().find(mine).map(|one| one.choice)
    }

    /// A shelf that is low names its item, not the scan that emptied it; what it asks for is approved.
    fn of_a_shelf(&self) -> Option<&'static str> {
        let of_shelf = self.process == "replenish"
            || self.process == "requisition"
                && OF_SHELVES.iter().any(|prefix| self.ask.contains(prefix));
        let low = Scenario::named("stock/low").filter(|_| of_shelf)?;
        self.choose(low)
    }

    fn is_about(&self, case: &CaseReport) -> bool {
        let key = self.key.as_deref().unwrap_or_default();
        case.is_named_in(key) || case.is_named_in(&self.ask)
    }
}

impl CaseReport {
    /// Whether a text names its subject, or an order that came of it; the beginning of a longer number is another one.
    pub fn is_named_in(&self, text: &str) -> bool {
        let about = &self.about;
        let mut found = text.match_indices(about.as_str());
        let whole = |(at, _): (usize, &str)| {
            let next = text[at + about.len()..].chars().next();
            !next.is_some_and(|next| next.is_ascii_digit())
        };
        let mut words = text.split([' ', ',', ':', '?']);
        found.any(whole) || words.any(|word| picks::is_of(word, about))
    }
}

#[cfg(test)]
mod tests {
    use super::{CaseReport, Question, Scenario};
    use crate::Ended;

    fn question(key: Option<&str>, role: &str, ask: &str, choices: &[&str]) -> Question {
        Question {
            process: "procure-to-pay".into(),
            key: key.map(Into::into),
            role: role.into(),
            ask: ask.into(),
            choices: choices.iter().map(|&choice| choice.to_owned()).collect(),
        }
    }

    fn case(scenario: &str, about: &str) -> CaseReport {
        CaseReport {
            about: about.into(),
            scenario: Scenario::named(scenario).unwrap(),
            ended: Ended::Open,
            why: Vec::new(),
        }
    }

    #[test]
    fn a_stand_in_answers_for_the_scenario_of_its_subject() {
        let cases = [
            case("supply/tax", "REQ-7-1"),
            case("supply/freight", "REQ-7-11"),
            case("claims/unbalanced", "CLM-7-1"),
        ];
        let choices = ["accept", "reject", "correct"];
        let held = |order: &str| {
            let ask = format!("Invoice INV-1 of order {order} does not match");
            question(None, "accounts-payable", &ask, &choices).answer(&cases)
        };
        assert_eq!(held("PO-7-1-1"), Some("reject"));
        assert_eq!(held("PO-7-11-1"), Some("accept"));
        assert_eq!(held("PO-8-1-1"), None);
        let post = question(
            Some("835-CLM-7-1-1"),
            "patient-finance",
            "Post it?",
            &["post", "send-back"],
        );
        assert_eq!(post.answer(&cases), Some("send-back"));
        let other = question(
            Some("835-CLM-7-12-1"),
            "patient-finance",
            "Post it?",
            &["post", "send-back"],
        );
        assert_eq!(other.answer(&cases), None);
        let approve = question(
            None,
            "director",
            "Approve requisition REQ-7-1 for 12.00 USD?",
            &["approve", "reject"],
        );
        assert_eq!(approve.answer(&cases), Some("approve"));
    }

    #[test]
    fn what_nobody_said_stays_open() {
        let cases = [case("people/rehire", "E7001")];
        let steward = question(
            Some("E7001"),
            "data-steward",
            "Is E7001 the E0311 of before?",
            &["same", "other"],
        );
        assert_eq!(steward.answer(&cases), None);
    }
}

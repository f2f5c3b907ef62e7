//! How an endpoint stands, and what each answer changes about it. Kept in the journal, so that
//! an outage of days is counted across restarts.

use serde::{Deserialize, Serialize};
use wardline_core::{Code, Timestamp};
use wardline_estate::model::DisableRule;

use crate::codes;

/// Why nothing is sent to an endpoint, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Disabled {
    pub(crate) since: Timestamp,
    /// Never holds payload.
    pub(crate) why: String,
    /// As in the audit log.
    pub(crate) by: String,
}

/// What is known of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Standing {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disabled: Option<Disabled>,
    /// The first failure after the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failing_since: Option<Timestamp>,
    /// Where the client registered that it wants to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Failures since then, as far as this process has seen them.
    #[serde(skip)]
    pub(crate) failures: u32,
}

/// What an answer changed, so that it has to be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It begins to fail, or works again.
    Weather,
    /// It is disabled from now on.
    Disabled,
}

impl Standing {
    pub(crate) fn succeeded(&mut self) -> Option<Turn> {
        self.failures = 0;
        self.failing_since.take().map(|_| Turn::Weather)
    }

    /// Counts a failure. `gone`: the receiver said that nobody wants any more.
    pub(crate) fn failed(
        &mut self,
        rule: DisableRule,
        gone: bool,
        text: &str,
        now: Timestamp,
    ) -> Option<Turn> {
        // What was on its way when it was disabled changes nothing about that.
        if self.disabled.is_some() {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        let first = self.failing_since.is_none();
        let since = *self.failing_since.get_or_insert(now);
        let often = rule.failures.is_some_and(|most| self.failures >= most);
        let long = now.since(since) >= rule.after && !first;
        if !(gone || often || long) {
            return first.then_some(Turn::Weather);
        }
        let why = if gone {
            text.to_owned()
        } else if long {
            format!("failing since {since}, at last: {text}")
        } else {
            format!("failed {} times in a row, at last: {text}", self.failures)
        };
        self.disabled = Some(Disabled {
            since: now,
            why,
            by: "system:webhooks".to_owned(),
        });
        Some(Turn::Disabled)
    }

    /// Nothing is wrong with it (any more); it is where it was.
    #[must_use]
    pub(crate) fn well(self) -> Self {
        Self {
            url: self.url,
            ..Self::default()
        }
    }

    /// As it is kept in the journal; nothing where there is nothing to say.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        if self.disabled.is_none() && self.failing_since.is_none() && self.url.is_none() {
            return Vec::new();
        }
        // Numbers and texts always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What the journal has. Something unreadable disables: to send what nobody should get is
    /// worse than to wait for a person.
    pub(crate) fn from_bytes(bytes: &[u8], now: Timestamp) -> Self {
        serde_json::from_slice(bytes).unwrap_or_else(|_| Self {
            disabled: Some(Disabled {
                since: now,
                why: unreadable(codes::WEBHOOK_DISABLED),
                by: "system:webhooks".to_owned(),
            }),
            ..Self::default()
        })
    }
}

fn unreadable(code: Code) -> String {
    format!("{code}: how it stood cannot be read from the journal")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const T0: Timestamp = Timestamp(1_764_000_000_000_000);

    fn rule(hours: u64, failures: Option<u32>) -> DisableRule {
        DisableRule {
            after: Duration::from_hours(hours),
            failures,
        }
    }

    fn at(hours: u64) -> Timestamp {
        T0.after(Duration::from_hours(hours))
    }

    #[test]
    fn days_of_failure_disable_and_a_success_begins_anew() {
        let mut standing = Standing::default();
        let rule = rule(120, None);
        assert_eq!(
            standing.failed(rule, false, "503", at(0)),
            Some(Turn::Weather)
        );
        assert_eq!(standing.failed(rule, false, "503", at(119)), None);
        assert_eq!(standing.succeeded(), Some(Turn::Weather));
        assert_eq!(standing.succeeded(), None);
        assert_eq!(
            standing.failed(rule, false, "503", at(121)),
            Some(Turn::Weather)
        );
        // A restart in between changes nothing.
        let mut standing = Standing::from_bytes(&standing.to_bytes(), at(122));
        assert_eq!(standing.failed(rule, false, "503", at(240)), None);
        assert_eq!(
            standing.failed(rule, false, "503", at(241)),
            Some(Turn::Disabled)
        );
        assert_eq!(standing.failed(rule, false, "503", at(242)), None);
        assert_eq!(
            Standing::from_bytes(&standing.to_bytes(), at(243)).disabled,
            standing.disabled
        );
    }

    #[test]
    fn gone_and_failures_in_a_row_disable() {
        let mut standing = Standing::default();
        assert_eq!(
            standing.failed(rule(1, None), true, "410", at(0)),
            Some(Turn::Disabled)
        );
        assert_eq!(standing.disabled.unwrap().why, "410");
        let mut standing = Standing::default();
        let rule = rule(1_000, Some(3));
        for _ in 0..2 {
            standing.failed(rule, false, "500", at(0));
        }
        standing.succeeded();
        for turn in [Some(Turn::Weather), None, Some(Turn::Disabled)] {
            assert_eq!(standing.failed(rule, false, "500", at(1)), turn);
        }
        assert!(standing.disabled.unwrap().why.contains("3 times"));
    }

    #[test]
    fn what_cannot_be_read_sends_nothing() {
        assert!(Standing::from_bytes(b"{", T0).disabled.is_some());
    }
}

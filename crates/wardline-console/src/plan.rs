//! Acts that change what is owed: replay, release, cancel, park. None of them happens on
//! the first click. A plan is made (what would be touched, counted by the engine), shown,
//! and carried out once, by who made it, with a reason, within ten minutes.

use std::time::Duration;
use wardline_access::policy::Action;
use wardline_core::{DeliveryId, DeliveryState, Id, Timestamp};
use wardline_engine::view::{DeliveryView, ReplayReport, ReplayRequest, Selection, TraceItem};

use crate::app::App;
use crate::desk::DeskError;
use crate::problem::Problem;

/// From this many on, the number has to be typed: nobody reads it otherwise.
pub(crate) const TYPED_FROM: u64 = 51;
/// Deliveries per second where nothing is said.
pub(crate) const RATE: u32 = 50;
/// Deliveries that one form may name.
const NAMED: usize = 1_000;
/// Rows shown of what would be touched.
pub(crate) const SAMPLE: usize = 8;
/// Counts change: who confirms must have seen fresh ones.
const FRESH: Duration = Duration::from_mins(10);
const LEAST_REASON: usize = 3;
const LONGEST_REASON: usize = 500;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Replay { from_raw: bool, rate: u32 },
    Release,
    Cancel,
    Park,
}

impl Act {
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Replay { .. } => "Replay",
            Self::Release => "Try now",
            Self::Cancel => "Cancel",
            Self::Park => "Park",
        }
    }

    /// What policies are asked for.
    pub(crate) const fn action(self) -> Action {
        match self {
            Self::Replay { .. } | Self::Release => Action::Replay,
            Self::Cancel | Self::Park => Action::Cancel,
        }
    }

    /// What it means, said before it is done.
    pub(crate) const fn effect(self) -> &'static str {
        match self {
            Self::Replay {
                from_raw: false, ..
            } => {
                "Sends the bodies again, exactly as they were. Every repeat is a new delivery that names the one it \
                 repeats; the history stays as it is."
            }
            Self::Replay { from_raw: true, .. } => {
                "Runs the received messages through today’s flows and mappings, and sends what comes out. Every \
                 result is a new delivery that names the one it repeats; the history stays as it is."
            }
            Self::Release => {
                "Tries these deliveries now instead of waiting for their next attempt. Order within each key is kept."
            }
            Self::Cancel => {
                "Withdraws these deliveries: they will not be sent, and what waits behind them in their keys moves \
                 on. This cannot be undone, but a cancelled delivery can be replayed."
            }
            Self::Park => {
                "Gives these deliveries up as dead letters, so that what waits behind them in their keys moves \
                 on. Parked deliveries can be replayed, but then arrive after their followers."
            }
        }
    }

    /// The states that the act can change; `None` for all.
    const fn touches(self) -> Option<&'static [DeliveryState]> {
        match self {
            Self::Replay { .. } => None,
            Self::Release => Some(&[DeliveryState::Held, DeliveryState::Retrying]),
            Self::Cancel | Self::Park => Some(&[
                DeliveryState::Held,
                DeliveryState::Retrying,
                DeliveryState::Pending,
            ]),
        }
    }

    /// The selection without what the act leaves alone, so that the preview counts only what
    /// will change.
    fn narrowed(self, mut select: Selection) -> Selection {
        if let Some(touched) = self.touches() {
            if select.states.is_empty() {
                select.states = touched.to_vec();
            } else {
                select.states.retain(|state| touched.contains(state));
            }
        }
        select
    }

    fn of(form: &Form) -> Option<Self> {
        Some(match form.first("act")? {
            "replay" => Self::Replay {
                from_raw: form.first("from_raw") == Some("yes"),
                rate: form
                    .first("rate")
                    .and_then(|rate| rate.parse().ok())
                    .unwrap_or(RATE)
                    .clamp(1, 10_000),
            },
            "release" => Self::Release,
            "cancel" => Self::Cancel,
            "park" => Self::Park,
            _ => return None,
        })
    }
}

/// A posted form: names and values in their order, names may repeat.
pub(crate) struct Form(pub(crate) Vec<(String, String)>);

impl Form {
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
    }

    fn every<T: std::str::FromStr>(&self, name: &str) -> Result<Vec<T>, Problem> {
        let all: Result<Vec<T>, _> = self
            .0
            .iter()
            .filter(|(found, _)| found == name)
            .take(NAMED + 1)
            .map(|(_, value)| value.parse())
            .collect();
        let all = all.map_err(|_| {
            Problem::bad_form(format!("The form names a {name} that does not exist."))
        })?;
        if all.len() > NAMED {
            return Err(Problem::bad_form(format!(
                "At most {NAMED} can be chosen one by one; choose all of a group."
            )));
        }
        Ok(all)
    }

    /// The reason, which every act and every look needs.
    pub(crate) fn reason(&self) -> Result<String, Problem> {
        let reason = self.first("reason").map(str::trim).unwrap_or_default();
        if reason.chars().count() < LEAST_REASON {
            return Err(Problem::bad_form(
                "A reason is needed; it goes into the audit log with your name.",
            ));
        }
        Ok(reason.chars().take(LONGEST_REASON).collect())
    }

    fn select(&self) -> Result<Selection, Problem> {
        let select = Selection {
            deliveries: self.every("delivery")?,
            messages: self.every("message")?,
            destination: self.first("destination").map(str::to_owned),
            flow: self.first("flow").map(str::to_owned),
            states: self.every::<DeliveryState>("state")?,
            fingerprint: self.first("fingerprint").map(str::to_owned),
            ..Selection::default()
        };
        let named = !select.deliveries.is_empty() || !select.messages.is_empty();
        let described =
            select.destination.is_some() || select.flow.is_some() || select.fingerprint.is_some();
        // A form of check boxes says so: with none of them ticked it must not mean "all".
        if !named && (self.first("only") == Some("chosen") || !described) {
            return Err(Problem::bad_form(
                "Nothing was chosen: tick the deliveries to act on.",
            ));
        }
        Ok(select)
    }
}

/// An act that waits for its confirmation, or what became of it.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) session: String,
    pub(crate) act: Act,
    pub(crate) select: Selection,
    pub(crate) made: Timestamp,
    pub(crate) counts: ReplayReport,
    pub(crate) rows: Vec<DeliveryView>,
    pub(crate) stage: Stage,
}

#[derive(Clone)]
pub(crate) enum Stage {
    Ready,
    Running,
    Replayed(ReplayReport),
    Changed(u64),
    Failed(Problem),
}

impl Plan {
    /// Counts what a form asks for; nothing is changed.
    pub(crate) async fn make(
        app: &App,
        session: String,
        actor: &str,
        form: &Form,
    ) -> Result<Self, Problem> {
        let act =
            Act::of(form).ok_or_else(|| Problem::bad_form("The form does not say what to do."))?;
        Self::count(app, session, actor, act, form.select()?).await
    }

    /// Counts the same selection again under other options.
    pub(crate) async fn make_again(
        app: &App,
        old: Self,
        actor: &str,
        form: &Form,
    ) -> Result<Self, Problem> {
        let act =
            Act::of(form).ok_or_else(|| Problem::bad_form("The form does not say what to do."))?;
        Self::count(app, old.session, actor, act, old.select).await
    }

    async fn count(
        app: &App,
        session: String,
        actor: &str,
        act: Act,
        select: Selection,
    ) -> Result<Self, Problem> {
        let select = act.narrowed(select);
        // A selection without states means every state, so none left must not be asked.
        if act.touches().is_some() && select.states.is_empty() {
            let counts = ReplayReport {
                preview: true,
                ..ReplayReport::default()
            };
            return Ok(Self {
                session,
                act,
                select,
                made: Timestamp::now(),
                counts,
                rows: Vec::new(),
                stage: Stage::Ready,
            });
        }
        let counts = app
            .desk
            .replay(Self::request(act, &select, true, String::new()), actor)
            .await?;
        let rows = sample(app, &select).await?;
        Ok(Self {
            session,
            act,
            select,
            made: Timestamp::now(),
            counts,
            rows,
            stage: Stage::Ready,
        })
    }

    /// Whether the counts are recent enough to be confirmed.
    pub(crate) fn is_fresh(&self) -> bool {
        Timestamp::now().since(self.made) <= FRESH
    }

    /// What the person has to have filled in.
    pub(crate) fn check(&self, form: &Form) -> Result<String, Problem> {
        let reason = form.reason()?;
        if self.counts.selected >= TYPED_FROM {
            let typed = form.first("count").map(|text| text.replace([',', ' '], ""));
            if typed.and_then(|text| text.parse::<u64>().ok()) != Some(self.counts.selected) {
                return Err(Problem::bad_form(format!(
                    "This touches {} deliveries: type that number to confirm that you have seen it.",
                    self.counts.selected
                )));
            }
        }
        Ok(reason)
    }

    /// Does it.
    pub(crate) async fn carry_out(self, app: &App, reason: String, actor: &str) -> Stage {
        let outcome: Result<Stage, DeskError> = match self.act {
            Act::Replay { .. } => app
                .desk
                .replay(Self::request(self.act, &self.select, false, reason), actor)
                .await
                .map(Stage::Replayed),
            Act::Release => app
                .desk
                .release(self.select, reason, actor)
                .await
                .map(Stage::Changed),
            Act::Cancel => app
                .desk
                .cancel(self.select, reason, actor)
                .await
                .map(Stage::Changed),
            Act::Park => app
                .desk
                .park(self.select, reason, actor)
                .await
                .map(Stage::Changed),
        };
        outcome.unwrap_or_else(|error| Stage::Failed(error.into()))
    }

    fn request(act: Act, select: &Selection, preview: bool, reason: String) -> ReplayRequest {
        let (from_raw, rate) = match act {
            Act::Replay { from_raw, rate } => (from_raw, rate),
            _ => (false, RATE),
        };
        ReplayRequest {
            select: select.clone(),
            from_raw,
            preview,
            rate,
            reason,
        }
    }
}

/// The newest of what would be touched. Deliveries that are named one by one are read from
/// their traces.
async fn sample(app: &App, select: &Selection) -> Result<Vec<DeliveryView>, DeskError> {
    let named: Vec<Id> = select
        .deliveries
        .iter()
        .map(|id| id.0)
        .chain(select.messages.iter().map(|id| id.0))
        .collect();
    if named.is_empty() {
        return Ok(app
            .desk
            .deliveries(select.clone(), None, SAMPLE)
            .await?
            .rows);
    }
    let mut rows: Vec<DeliveryView> = Vec::new();
    for id in named.iter().rev().take(SAMPLE) {
        let Some(trace) = app.desk.trace(*id).await? else {
            continue;
        };
        let whole = select.messages.iter().any(|message| message.0 == *id);
        rows.extend(trace.nodes.into_iter().filter_map(|node| match node.item {
            TraceItem::Delivery(row) if whole || row.id == DeliveryId(*id) => Some(*row),
            _ => None,
        }));
    }
    rows.retain(|row| {
        (select.states.is_empty() || select.states.contains(&row.state))
            && select
                .destination
                .as_ref()
                .is_none_or(|name| *name == row.destination)
            && select.flow.as_ref().is_none_or(|name| *name == row.flow)
    });
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    rows.dedup_by_key(|row| row.id);
    rows.truncate(SAMPLE);
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Form {
        Form(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn an_empty_choice_is_never_everything() {
        assert!(form(&[("act", "replay")]).select().is_err());
        assert!(
            form(&[("state", "dead")]).select().is_err(),
            "all dead letters of the estate"
        );
        assert!(
            form(&[("only", "chosen"), ("destination", "bed-board")])
                .select()
                .is_err()
        );
        assert!(form(&[("destination", "bed-board")]).select().is_ok());
        assert!(form(&[("delivery", "not an id")]).select().is_err());
    }

    #[test]
    fn acts_count_only_what_they_change() {
        let chosen = |act: Act, states: &[DeliveryState]| {
            act.narrowed(Selection {
                states: states.to_vec(),
                ..Selection::default()
            })
            .states
        };
        let dead_or_held = [DeliveryState::Dead, DeliveryState::Held];
        assert_eq!(chosen(Act::Cancel, &dead_or_held), [DeliveryState::Held]);
        assert_eq!(
            chosen(Act::Release, &[]),
            [DeliveryState::Held, DeliveryState::Retrying]
        );
        assert_eq!(
            chosen(
                Act::Replay {
                    from_raw: false,
                    rate: 1
                },
                &dead_or_held
            ),
            dead_or_held
        );
        assert!(chosen(Act::Park, &[DeliveryState::Delivered]).is_empty());
    }

    #[test]
    fn reasons_are_required_and_bounded() {
        for empty in ["", "  ", " x "] {
            assert!(form(&[("reason", empty)]).reason().is_err(), "{empty:?}");
        }
        assert_eq!(
            form(&[("reason", " INC-2231 ")]).reason().unwrap(),
            "INC-2231"
        );
        assert_eq!(
            form(&[("reason", &"é".repeat(900))])
                .reason()
                .unwrap()
                .chars()
                .count(),
            LONGEST_REASON
        );
    }

    #[test]
    fn rates_are_sane() {
        let act = |rate| Act::of(&form(&[("act", "replay"), ("rate", rate)]));
        assert_eq!(
            act("0"),
            Some(Act::Replay {
                from_raw: false,
                rate: 1
            })
        );
        assert_eq!(
            act("999999"),
            Some(Act::Replay {
                from_raw: false,
                rate: 10_000
            })
        );
        assert_eq!(
            act("x"),
            Some(Act::Replay {
                from_raw: false,
                rate: RATE
            })
        );
        assert_eq!(Act::of(&form(&[("act", "drop")])), None);
    }
}

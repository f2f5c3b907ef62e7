//! Scheduled flows while they run. One that says the same goes on; one that changed ends the run
//! it is in, and its successor counts from the change, so that no time comes due twice and none
//! of before the change comes due at all.

use super::mark::Mark;
use super::senders::NextSenders;
use crate::accept::Acceptor;
use crate::plan::Plan;
use crate::schedule::{Call, Count, Job};
use crate::wire;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wardline_core::Timestamp;
use wardline_estate::model::Source;
use wardline_estate::said;

/// A scheduled flow that runs.
struct Running {
    /// When it comes due.
    when: String,
    /// Everything, whom it calls included.
    whole: (String, Option<Mark>),
    stop: CancellationToken,
    done: CancellationToken,
}

/// All scheduled flows.
#[derive(Default)]
pub(super) struct Schedules {
    running: BTreeMap<String, Running>,
    /// Whether this process has run a plan before: a schedule that is new then begins then.
    begun: bool,
}

/// What a schedule says, and the connection that it calls.
type Whole = (String, Option<Mark>);

/// The scheduled flows of another plan.
#[derive(Default)]
pub(super) struct NextSchedules {
    kept: BTreeSet<String>,
    /// Flow, what runs, when in words, and what it is made of.
    fresh: Vec<(String, Job, String, Whole)>,
}

impl Schedules {
    pub(super) fn prepare(
        &self,
        plan: &Plan,
        senders: &NextSenders,
        now: Timestamp,
    ) -> NextSchedules {
        let mut next = NextSchedules::default();
        for flow in plan.estate.flows.values() {
            let Source::Schedule(schedule) = &flow.source else {
                continue;
            };
            let called = schedule.call.as_ref().and_then(|reference| {
                let (system, operation) = plan.estate.operation(&reference.value)?;
                let connection = format!("{}.{}", system.name, operation.connection.value);
                Some((operation, senders.all.get(&connection)?))
            });
            let when = said(&(&schedule.cron.value, &schedule.time_zone.value));
            let whole = (
                said(&(schedule, called.map(|(operation, _)| operation))),
                called.map(|(_, sender)| sender.mark.clone()),
            );
            let before = self.running.get(&flow.name);
            if before.is_some_and(|before| before.whole == whole) {
                next.kept.insert(flow.name.clone());
                continue;
            }
            let call = called.map(|(operation, sender)| {
                let (method, path) = operation.kind.request();
                let method = method.map(wire::method);
                Call {
                    outbound: Arc::clone(&sender.outbound),
                    method,
                    path,
                }
            });
            let goes_on = !self.begun || before.is_some_and(|before| before.when == when);
            let job = Job {
                flow: flow.name.as_str().into(),
                schedule: schedule.clone(),
                count: if goes_on {
                    Count::SinceLastRun { or: now }
                } else {
                    Count::From(now)
                },
                call,
            };
            next.fresh.push((flow.name.clone(), job, when, whole));
        }
        next
    }

    pub(super) fn apply(
        &mut self,
        next: NextSchedules,
        acceptor: &Arc<Acceptor>,
        tasks: &mut JoinSet<()>,
        intake_stop: &CancellationToken,
    ) {
        self.begun = true;
        let mut retired = std::mem::take(&mut self.running);
        for name in next.kept {
            if let Some(kept) = retired.remove(&name) {
                self.running.insert(name, kept);
            }
        }
        for one in retired.values() {
            one.stop.cancel();
        }
        for (name, job, when, whole) in next.fresh {
            let before = retired.get(&name).map(|old| old.done.clone());
            let (stop, done) = (intake_stop.child_token(), CancellationToken::new());
            let running = Running {
                when,
                whole,
                stop: stop.clone(),
                done: done.clone(),
            };
            self.running.insert(name, running);
            let acceptor = Arc::clone(acceptor);
            tasks.spawn(async move {
                let ended = done.drop_guard();
                if let Some(before) = before {
                    before.cancelled().await;
                }
                job.run(acceptor, stop).await;
                drop(ended);
            });
        }
    }
}

//! Connections that take files, while they run. One that says the same goes on; of one that changed
//! the round that it is in ends first, so that no file is looked at by two.

use super::mark::Mark;
use crate::plan::Plan;
use crate::renew::Renewals;
use crate::wire::WireError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wardline_connect::Intake;
use wardline_connect::files::Watch;
use wardline_estate::model::ConnectionKind;

struct Running {
    mark: Mark,
    place: String,
    stop: CancellationToken,
    done: CancellationToken,
}

/// All connections that take files, by name.
#[derive(Default)]
pub(super) struct Watches {
    running: BTreeMap<String, Running>,
}

/// Those of another plan.
#[derive(Default)]
pub(super) struct NextWatches {
    kept: BTreeSet<String>,
    fresh: BTreeMap<String, (Mark, Watch)>,
}

impl Watches {
    /// Where each source looks, in words.
    pub(super) fn places(&self) -> impl Iterator<Item = (String, String)> {
        let all = self.running.iter();
        all.map(|(name, one)| (name.clone(), one.place.clone()))
    }

    pub(super) fn prepare(
        &self,
        plan: &Plan,
        renewals: &Renewals,
    ) -> Result<NextWatches, WireError> {
        let mut next = NextWatches::default();
        for (_, connection) in plan.estate.connections() {
            let ConnectionKind::FilesIn(declared) = &connection.kind else {
                continue;
            };
            let name = connection.reference.clone();
            let mark = Mark::said(declared);
            if self.running.get(&name).is_some_and(|one| one.mark == mark) {
                next.kept.insert(name);
            } else {
                let watch = renewals.watch(&plan.estate, connection, declared)?;
                next.fresh.insert(name, (mark, watch));
            }
        }
        Ok(next)
    }

    pub(super) fn apply(
        &mut self,
        next: NextWatches,
        intake: &Arc<dyn Intake>,
        tasks: &mut JoinSet<()>,
        intake_stop: &CancellationToken,
    ) {
        let mut retired = std::mem::take(&mut self.running);
        for name in next.kept {
            if let Some(kept) = retired.remove(&name) {
                self.running.insert(name, kept);
            }
        }
        for one in retired.values() {
            one.stop.cancel();
        }
        for (name, (mark, watch)) in next.fresh {
            // Whoever looked before may have looked into the same directory under another name.
            let before: Vec<_> = retired.values().map(|old| old.done.clone()).collect();
            let (stop, done) = (intake_stop.child_token(), CancellationToken::new());
            let running = Running {
                mark,
                place: watch.describe(),
                stop: stop.clone(),
                done: done.clone(),
            };
            self.running.insert(name, running);
            let intake = Arc::clone(intake);
            tasks.spawn(async move {
                let ended = done.drop_guard();
                for old in before {
                    old.cancelled().await;
                }
                watch.run(intake, stop).await;
                drop(ended);
            });
        }
    }
}

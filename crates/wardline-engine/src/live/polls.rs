//! Connections that take rows of databases, while they run. One that says the same goes on; of one
//! that changed the round that it is in ends first.

use super::mark::Mark;
use crate::plan::Plan;
use crate::renew::Renewals;
use crate::wire::WireError;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wardline_connect::Intake;
use wardline_connect::sql::{Marks, Poll};
use wardline_estate::model::ConnectionKind;
use wardline_store::{Change, Store};

struct Running {
    mark: Mark,
    place: String,
    stop: CancellationToken,
    done: CancellationToken,
}

/// All connections that take rows, by name.
#[derive(Default)]
pub(super) struct Polls {
    running: BTreeMap<String, Running>,
}

/// Those of another plan.
#[derive(Default)]
pub(super) struct NextPolls {
    kept: BTreeSet<String>,
    fresh: BTreeMap<String, (Mark, Poll)>,
}

impl Polls {
    /// Where each source looks, in words.
    pub(super) fn places(&self) -> impl Iterator<Item = (String, String)> {
        let all = self.running.iter();
        all.map(|(name, one)| (name.clone(), one.place.clone()))
    }

    pub(super) fn prepare(&self, plan: &Plan, renewals: &Renewals) -> Result<NextPolls, WireError> {
        let mut next = NextPolls::default();
        for (_, connection) in plan.estate.connections() {
            let ConnectionKind::SqlIn(declared) = &connection.kind else {
                continue;
            };
            let name = connection.reference.clone();
            let mark = Mark::said(declared);
            if self.running.get(&name).is_some_and(|one| one.mark == mark) {
                next.kept.insert(name);
            } else if let Some(poll) = renewals.poll(&plan.estate, connection, declared)? {
                next.fresh.insert(name, (mark, poll));
            }
        }
        Ok(next)
    }

    pub(super) fn apply(
        &mut self,
        next: NextPolls,
        intake: &Arc<dyn Intake>,
        marks: Arc<dyn Store>,
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
        let marks: Arc<dyn Marks> = Arc::new(Kept(marks));
        for (name, (mark, poll)) in next.fresh {
            // Whoever looked before may have looked at the same rows under another name.
            let before: Vec<_> = retired.values().map(|old| old.done.clone()).collect();
            let (stop, done) = (intake_stop.child_token(), CancellationToken::new());
            let running = Running {
                mark,
                place: poll.describe(),
                stop: stop.clone(),
                done: done.clone(),
            };
            self.running.insert(name, running);
            let (intake, marks) = (Arc::clone(intake), Arc::clone(&marks));
            tasks.spawn(async move {
                let ended = done.drop_guard();
                for old in before {
                    old.cancelled().await;
                }
                poll.run(intake, marks, stop).await;
                drop(ended);
            });
        }
    }
}

/// How far reading came, in the journal.
struct Kept(Arc<dyn Store>);

#[async_trait]
impl Marks for Kept {
    async fn read(&self, name: &str) -> Result<Option<String>, String> {
        let kept = self.0.meta(name).await.map_err(|error| error.to_string())?;
        kept.map(|kept| String::from_utf8(kept).map_err(|_| "the mark is damaged".to_owned()))
            .transpose()
    }

    async fn keep(&self, name: &str, mark: &str) -> Result<(), String> {
        let change = Change::SetMeta {
            name: name.to_owned(),
            value: mark.as_bytes().to_vec(),
        };
        let kept = self.0.commit(vec![change]).await;
        kept.map(drop).map_err(|error| error.to_string())
    }
}

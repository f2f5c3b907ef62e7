//! Connections that take files of a directory, messages of a broker or rows of a database, while they
//! run. One that says the same goes on; one that changed ends first what it has in hand, so that nothing
//! is looked at by two.

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
use wardline_connect::broker::Consumer;
use wardline_connect::files::Watch;
use wardline_connect::sql::{Marks, Poll};
use wardline_estate::model::ConnectionKind;
use wardline_store::{Change, Store};

struct Running {
    mark: Mark,
    place: String,
    stop: CancellationToken,
    done: CancellationToken,
}

/// What takes.
enum Taker {
    Files(Watch),
    Broker(Consumer),
    Rows(Poll),
}

impl Taker {
    fn describe(&self) -> String {
        match self {
            Self::Files(watch) => watch.describe(),
            Self::Broker(consumer) => consumer.describe(),
            Self::Rows(poll) => poll.describe(),
        }
    }

    async fn run(self, intake: Arc<dyn Intake>, marks: Arc<dyn Marks>, stop: CancellationToken) {
        match self {
            Self::Files(watch) => watch.run(intake, stop).await,
            Self::Broker(consumer) => consumer.run(intake, stop).await,
            Self::Rows(poll) => poll.run(intake, marks, stop).await,
        }
    }
}

/// All connections that take by themselves, by name.
#[derive(Default)]
pub(super) struct Watches {
    running: BTreeMap<String, Running>,
}

/// Those of another plan.
#[derive(Default)]
pub(super) struct NextWatches {
    kept: BTreeSet<String>,
    fresh: BTreeMap<String, (Mark, Taker)>,
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
            let name = connection.reference.clone();
            let mark = match &connection.kind {
                ConnectionKind::FilesIn(declared) => Mark::said(declared),
                ConnectionKind::BrokerIn(declared) => Mark::said(declared),
                ConnectionKind::SqlIn(declared) => Mark::said(declared),
                _ => continue,
            };
            if self.running.get(&name).is_some_and(|one| one.mark == mark) {
                next.kept.insert(name);
                continue;
            }
            let taker = match &connection.kind {
                ConnectionKind::FilesIn(declared) => {
                    Taker::Files(renewals.watch(&plan.estate, connection, declared)?)
                }
                ConnectionKind::BrokerIn(declared) => {
                    Taker::Broker(renewals.consumer(&plan.estate, connection, declared)?)
                }
                ConnectionKind::SqlIn(declared) => {
                    match renewals.poll(&plan.estate, connection, declared)? {
                        Some(poll) => Taker::Rows(poll),
                        None => continue,
                    }
                }
                _ => continue,
            };
            next.fresh.insert(name, (mark, taker));
        }
        Ok(next)
    }

    pub(super) fn apply(
        &mut self,
        next: NextWatches,
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
        for (name, (mark, taker)) in next.fresh {
            // Whoever took before may have taken from the same place under another name.
            let before: Vec<_> = retired.values().map(|old| old.done.clone()).collect();
            let (stop, done) = (intake_stop.child_token(), CancellationToken::new());
            let running = Running {
                mark,
                place: taker.describe(),
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
                taker.run(intake, marks, stop).await;
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

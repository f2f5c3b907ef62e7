//! Bulk jobs while they run. One that says the same, over the same connections, goes on; of one that
//! changed the run is put down where it was last committed, and taken up by its successor.

use super::mark::Mark;
use super::senders::NextSenders;
use crate::accept::Acceptor;
use crate::bulk::{Book, Worker, ledger};
use crate::dispatch::share::CallGates;
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wardline_estate::model::JobWrite;
use wardline_estate::said;
use wardline_store::StoreError;

/// What a job says, its maps included, and the connections that it uses.
type Whole = (String, Vec<Option<Mark>>);

struct Running {
    whole: Whole,
    book: Arc<Book>,
    stop: CancellationToken,
    done: CancellationToken,
}

/// All jobs.
#[derive(Default)]
pub(super) struct Jobs {
    running: BTreeMap<Arc<str>, Running>,
}

/// Those of another plan.
#[derive(Default)]
pub(super) struct NextJobs {
    kept: BTreeSet<Arc<str>>,
    fresh: Vec<(Arc<str>, Worker, Whole)>,
}

impl Jobs {
    /// What is known of each.
    pub(super) fn books(&self) -> crate::desk::Jobs {
        let all = self.running.iter();
        all.map(|(name, one)| (Arc::clone(name), Arc::clone(&one.book)))
            .collect()
    }

    pub(super) async fn prepare(
        &self,
        plan: &Plan,
        senders: &NextSenders,
        gates: &CallGates,
        acceptor: &Arc<Acceptor>,
        room: Option<&PathBuf>,
    ) -> Result<NextJobs, StoreError> {
        let mut next = NextJobs::default();
        for (name, job) in &plan.jobs {
            let files = match &job.declared.write {
                JobWrite::File(file) => Some(file.connection.value.as_str()),
                JobWrite::Messages => None,
            };
            let maps: Vec<&str> = job
                .declared
                .map
                .iter()
                .map(|map| plan.estate.sources.text(map.file))
                .collect();
            let operation = plan.estate.operation(&job.declared.read.call.value);
            let operation = operation.map(|(_, operation)| operation);
            let mark = |connection: &str| senders.all.get(connection).map(|one| one.mark.clone());
            let whole = (
                said(&(&job.declared, maps, operation)),
                vec![mark(&job.connection), files.and_then(mark)],
            );
            let before = self.running.get(name);
            if before.is_some_and(|before| before.whole == whole) {
                next.kept.insert(Arc::clone(name));
                continue;
            }
            // An operation of a system always has a sender and a gate.
            let (Some(sender), Some(gate)) =
                (senders.all.get(&job.connection), gates.of(&job.connection))
            else {
                continue;
            };
            let book = match before {
                Some(before) => Arc::clone(&before.book),
                None => Book::new(ledger::read(acceptor, name).await?),
            };
            let worker = Worker {
                job: Arc::clone(job),
                book,
                outbound: Arc::clone(&sender.outbound),
                gate,
                files: files
                    .and_then(|name| senders.all.get(name))
                    .map(|sender| Arc::clone(&sender.outbound)),
                room: room.cloned(),
                acceptor: Arc::clone(acceptor),
            };
            next.fresh.push((Arc::clone(name), worker, whole));
        }
        Ok(next)
    }

    pub(super) fn apply(
        &mut self,
        next: NextJobs,
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
        for (name, worker, whole) in next.fresh {
            let before = retired.get(&name).map(|old| old.done.clone());
            let (stop, done) = (intake_stop.child_token(), CancellationToken::new());
            let running = Running {
                whole,
                book: Arc::clone(&worker.book),
                stop: stop.clone(),
                done: done.clone(),
            };
            self.running.insert(name, running);
            tasks.spawn(async move {
                let ended = done.drop_guard();
                if let Some(before) = before {
                    before.cancelled().await;
                }
                worker.run(stop).await;
                drop(ended);
            });
        }
    }
}

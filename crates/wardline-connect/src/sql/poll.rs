//! Looking for rows, again and again.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::config::{Access, Follow, PollConfig};
use super::round::{Round, Rounds};
use crate::admission::worth_a_line;
use crate::{Counters, Intake};

/// Where it is kept how far reading came. Implemented by the engine.
#[async_trait]
pub trait Marks: Send + Sync {
    /// What was kept last under a name; the error is a reason.
    async fn read(&self, name: &str) -> Result<Option<String>, String>;

    /// Keeps a mark; the error is a reason.
    async fn keep(&self, name: &str, mark: &str) -> Result<(), String>;
}

/// Takes rows out of a database.
pub struct Poll {
    access: Arc<ArcSwap<Access>>,
    config: PollConfig,
    counters: Arc<Counters>,
}

impl Poll {
    /// Of a database; nothing is looked at yet. How it is reached may change while it runs.
    pub fn new(access: Arc<ArcSwap<Access>>, config: PollConfig) -> Self {
        Self {
            access,
            config,
            counters: Arc::default(),
        }
    }

    /// What happened so far; stays valid while it runs.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Where it looks, for people.
    pub fn describe(&self) -> String {
        format!("sql {}", self.access.load().place)
    }

    /// Looks until told to stop; what is being handed in then is finished first.
    pub async fn run(
        self,
        intake: Arc<dyn Intake>,
        marks: Arc<dyn Marks>,
        stop: CancellationToken,
    ) {
        let source = Arc::clone(&self.access.load().name);
        let name = match &self.config.follow {
            Follow::Mark { column, .. } => Some(format!("sql/{source}/{column}")),
            Follow::Done(_) => None,
        };
        let every = self.config.every.max(Duration::from_millis(20));
        let mut rounds = Rounds::new(self.access, self.config, intake, self.counters);
        let mut troubles = 0;
        let mut begun = name.is_none();
        while !stop.is_cancelled() {
            let ended = match &name {
                Some(name) if !begun => match marks.read(name).await {
                    Ok(mark) => {
                        rounds.begin(mark);
                        begun = true;
                        continue;
                    }
                    Err(why) => Err(why),
                },
                _ => rounds.next(&stop).await,
            };
            let ended = match (ended, &name) {
                // A mark that is lost makes rows be read again, and recognised.
                (
                    Ok(Round {
                        mark: Some(mark),
                        full,
                        ..
                    }),
                    Some(name),
                ) => marks.keep(name, &mark).await.map(|()| full),
                (Ok(round), _) => Ok(round.full),
                (Err(why), _) => Err(why),
            };
            match ended {
                Ok(full) => {
                    troubles = 0;
                    if full {
                        continue;
                    }
                }
                Err(why) => {
                    troubles += 1;
                    if worth_a_line(troubles) {
                        tracing::warn!(%source, why, times = troubles, "rows could not be taken");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

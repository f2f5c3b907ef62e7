//! Looking at a directory, again and again, and taking what has come to rest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::config::WatchConfig;
use super::directory::{Directory, Entry, join};
use super::take::{Taken, Taker};
use crate::admission::worth_a_line;
use crate::{Counters, Intake};

/// Files that are looked at in one round; the others have their turn when these are gone.
const MOST: usize = 10_000;

/// Takes files out of a directory.
pub struct Watch {
    directory: Arc<dyn Directory>,
    config: Arc<WatchConfig>,
    counters: Arc<Counters>,
}

/// A file as it was at the last look.
struct Glimpse {
    size: u64,
    modified: SystemTime,
    since: Instant,
}

impl Watch {
    /// Of a directory; nothing is looked at yet.
    pub fn new(directory: Arc<dyn Directory>, config: WatchConfig) -> Self {
        Self {
            directory,
            config: Arc::new(config),
            counters: Arc::default(),
        }
    }

    /// What happened so far; stays valid while it runs.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Where it looks, for people.
    pub fn describe(&self) -> String {
        let place = join(&self.config.below, &self.config.pattern);
        format!("files {}/{place}", self.directory.describe())
    }

    /// Looks until told to stop; what is being handed in then is finished first.
    pub async fn run(self, intake: Arc<dyn Intake>, stop: CancellationToken) {
        let taker = Taker {
            directory: Arc::clone(&self.directory),
            config: Arc::clone(&self.config),
            intake,
            counters: Arc::clone(&self.counters),
        };
        let mut known: HashMap<String, Glimpse> = HashMap::new();
        let mut troubles = 0;
        while !stop.is_cancelled() {
            let pause = match self.look().await {
                Ok(entries) => {
                    troubles = 0;
                    self.round(&taker, &mut known, entries, &stop).await
                }
                Err(error) => {
                    troubles += 1;
                    if worth_a_line(troubles) {
                        tracing::warn!(source = %self.config.source, %error, times = troubles, "cannot look into {}", self.directory.describe());
                    }
                    self.config.every
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn look(&self) -> std::io::Result<Vec<Entry>> {
        let (directory, config) = (Arc::clone(&self.directory), Arc::clone(&self.config));
        let listed = tokio::task::spawn_blocking(move || directory.list(&config.below, MOST));
        let all = listed.await.map_err(std::io::Error::other)??;
        let marked = |name: &str| match &self.config.marker {
            None => true,
            Some(ending) => {
                let marker = format!("{name}{ending}");
                all.iter().any(|entry| entry.name == marker)
            }
        };
        let hidden = |name: &str| name.starts_with('.');
        let is_marker = |name: &str| {
            self.config
                .marker
                .as_ref()
                .is_some_and(|ending| name.ends_with(ending.as_str()))
        };
        let mut due: Vec<Entry> = all
            .iter()
            .filter(|entry| {
                let name = entry.name.as_str();
                self.config.takes(name) && !hidden(name) && !is_marker(name) && marked(name)
            })
            .cloned()
            .collect();
        due.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
        Ok(due)
    }

    /// Takes what is at rest, oldest first; gives when to look again.
    async fn round(
        &self,
        taker: &Taker,
        known: &mut HashMap<String, Glimpse>,
        entries: Vec<Entry>,
        stop: &CancellationToken,
    ) -> Duration {
        known.retain(|name, _| entries.iter().any(|entry| entry.name == *name));
        let mut pause = self.config.every;
        for entry in entries {
            if stop.is_cancelled() {
                break;
            }
            let now = Instant::now();
            let glimpse = known.entry(entry.name.clone()).or_insert(Glimpse {
                size: entry.size,
                modified: entry.modified,
                since: now,
            });
            if (glimpse.size, glimpse.modified) != (entry.size, entry.modified) {
                *glimpse = Glimpse {
                    size: entry.size,
                    modified: entry.modified,
                    since: now,
                };
            }
            let rests = now.duration_since(glimpse.since);
            // A marker says that its file is whole.
            if self.config.marker.is_none() && rests < self.config.stable {
                pause = pause.min(self.config.stable.saturating_sub(rests));
                continue;
            }
            match taker.take(&entry.name, stop).await {
                Taken::Whole { messages, before } => {
                    known.remove(&entry.name);
                    tracing::info!(source = %self.config.source, file = entry.name, messages, before, "a file was taken");
                }
                Taken::Refused => {
                    known.remove(&entry.name);
                }
                Taken::Later(why) => {
                    tracing::warn!(source = %self.config.source, file = entry.name, why, "a file stays for the next look");
                }
            }
        }
        pause.max(Duration::from_millis(20))
    }
}

//! What the systems tell Wardline by themselves: after a while, in its order, until it is taken, and written down.
//!
//! This is the senders' side of the proof: an effect is missing only where what led to it was accepted.

use crate::departments::signature;
use crate::post::{Answer, FIRST_PAUSE, LONGEST_PAUSE, Poster};
use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Rounds under way at a time; what comes then is not told, and counted.
const ROUNDS: usize = 10_000;
/// Lines kept of what was told; the oldest are forgotten first, but stay counted.
const LINES: usize = 50_000;
/// Subjects remembered of which nothing more is told.
const WITHDRAWN: usize = 50_000;

/// One thing to tell.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    /// Who tells it.
    pub(crate) from: &'static str,
    /// Where on Wardline's listener.
    pub(crate) path: &'static str,
    /// Its idempotency key.
    pub(crate) key: String,
    /// What it is about: an order, a person, a claim.
    pub(crate) about: String,
    /// How long after the one before.
    pub(crate) after: Duration,
    pub(crate) body: Value,
}

/// What became of something told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SentState {
    /// Not yet accepted.
    Waiting,
    /// Wardline took it.
    Accepted,
    /// Wardline refused it for good.
    Refused,
    /// It was called off before it was told.
    Withdrawn,
    /// There is nobody to tell: no Wardline was named, or too much was under way.
    Untold,
}

/// One line of what the systems told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Who told it.
    pub from: &'static str,
    /// Where to.
    pub path: &'static str,
    /// Under which idempotency key.
    pub key: String,
    /// What it is about: an order, a person, a claim.
    pub about: String,
    /// What became of it.
    pub state: SentState,
    /// Attempts so far.
    pub attempts: u32,
}

/// Counts of what the systems told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SentReport {
    /// Not yet accepted.
    pub waiting: u64,
    /// Taken by Wardline.
    pub accepted: u64,
    /// Refused for good.
    pub refused: u64,
    /// Called off.
    pub withdrawn: u64,
    /// Told to nobody.
    pub untold: u64,
}

#[derive(Debug, Default)]
struct Outbox {
    /// Number of the first line that is still kept.
    first: u64,
    lines: VecDeque<Sent>,
    report: SentReport,
    withdrawn: BTreeSet<String>,
}

impl Outbox {
    fn enter(&mut self, post: &Post) -> u64 {
        if self.lines.len() >= LINES {
            self.lines.pop_front();
            self.first += 1;
        }
        self.lines.push_back(Sent {
            from: post.from,
            path: post.path,
            key: post.key.clone(),
            about: post.about.clone(),
            state: SentState::Waiting,
            attempts: 0,
        });
        self.report.waiting += 1;
        self.first + self.lines.len() as u64 - 1
    }

    fn line(&mut self, number: u64) -> Option<&mut Sent> {
        let place = number.checked_sub(self.first)?;
        self.lines.get_mut(usize::try_from(place).ok()?)
    }

    fn settle(&mut self, number: u64, state: SentState) {
        if let Some(line) = self.line(number) {
            line.state = state;
        }
        self.report.waiting -= 1;
        *match state {
            SentState::Waiting => &mut self.report.waiting,
            SentState::Accepted => &mut self.report.accepted,
            SentState::Refused => &mut self.report.refused,
            SentState::Withdrawn => &mut self.report.withdrawn,
            SentState::Untold => &mut self.report.untold,
        } += 1;
    }
}

#[derive(Debug)]
struct Shared {
    /// Wardline's internal listener (`http://127.0.0.1:8421`), where there is one.
    wardline: Option<String>,
    speed: f64,
    times: u32,
    poster: Poster,
    tasks: TaskTracker,
    stop: CancellationToken,
    rounds: Arc<Semaphore>,
    outbox: Mutex<Outbox>,
}

/// Tells. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Courier {
    shared: Arc<Shared>,
}

impl Courier {
    /// A courier to `wardline`. All delays are divided by `speed`; each thing is told `times` times.
    pub(crate) fn new(
        wardline: Option<String>,
        speed: f64,
        times: u32,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                wardline: wardline.map(|url| url.trim_end_matches('/').to_owned()),
                speed,
                times,
                poster: Poster::new(),
                tasks,
                stop,
                rounds: Arc::new(Semaphore::new(ROUNDS)),
                outbox: Mutex::default(),
            }),
        }
    }

    /// Tells these one after the other: each after its delay, and not before the one before it was taken.
    pub(crate) fn send(&self, posts: Vec<Post>) {
        let numbers: Vec<u64> = {
            let mut outbox = self.shared.outbox.lock();
            posts.iter().map(|post| outbox.enter(post)).collect()
        };
        let permit = Arc::clone(&self.shared.rounds).try_acquire_owned();
        let (Ok(permit), Some(wardline)) = (permit, self.shared.wardline.clone()) else {
            let mut outbox = self.shared.outbox.lock();
            for number in numbers {
                outbox.settle(number, SentState::Untold);
            }
            return;
        };
        let shared = Arc::clone(&self.shared);
        self.shared.tasks.spawn(async move {
            let round = async {
                for (post, number) in posts.into_iter().zip(numbers) {
                    shared.tell(&wardline, post, number).await;
                }
            };
            shared.stop.run_until_cancelled(round).await;
            drop(permit);
        });
    }

    /// Leaves untold what is still to be told about this.
    pub(crate) fn withdraw(&self, about: String) {
        let withdrawn = &mut self.shared.outbox.lock().withdrawn;
        if withdrawn.len() < WITHDRAWN {
            withdrawn.insert(about);
        }
    }

    /// How often each thing is told.
    pub(crate) fn times(&self) -> u32 {
        self.shared.times
    }

    /// How long a delay is at this speed.
    pub(crate) fn pace(&self, after: Duration) -> Duration {
        self.shared.pace(after)
    }

    /// Enters something that another sender tells (the EHR, over MLLP); the caller says what became of it.
    pub(crate) fn note(&self, post: &Post) -> u64 {
        self.shared.outbox.lock().enter(post)
    }

    /// What became of something noted.
    pub(crate) fn settle(&self, number: u64, state: SentState) {
        self.shared.outbox.lock().settle(number, state);
    }

    /// Counts of all that was told.
    pub(crate) fn report(&self) -> SentReport {
        self.shared.outbox.lock().report
    }

    /// What was told about a subject, in the order in which it was decided; everything where `about` is empty.
    pub(crate) fn sent(&self, about: &str) -> Vec<Sent> {
        let outbox = self.shared.outbox.lock();
        let lines = outbox.lines.iter();
        lines
            .filter(|line| about.is_empty() || line.about == about)
            .cloned()
            .collect()
    }
}

impl Shared {
    fn pace(&self, after: Duration) -> Duration {
        after.div_f64(self.speed)
    }

    async fn tell(&self, wardline: &str, post: Post, number: u64) {
        sleep(self.pace(post.after)).await;
        let url = format!("{wardline}{}", post.path);
        let body = Bytes::from(post.body.to_string());
        let mut pause = FIRST_PAUSE;
        let mut left = self.times;
        loop {
            {
                let mut outbox = self.outbox.lock();
                if outbox.withdrawn.contains(&post.about) {
                    outbox.settle(number, SentState::Withdrawn);
                    return;
                }
                if let Some(line) = outbox.line(number) {
                    line.attempts += 1;
                }
            }
            let now = jiff::Timestamp::now().as_second();
            let signed = signature(post.from, &post.key, now, &body);
            let signed = signed.as_ref().map_or(&[][..], |signed| &signed[..]);
            let told = self
                .poster
                .post(&url, &post.key, None, signed, body.clone());
            let state = match told.await {
                Answer::Accepted if left > 1 => {
                    left -= 1;
                    continue;
                }
                Answer::Accepted => SentState::Accepted,
                Answer::Refused => SentState::Refused,
                Answer::NotNow => {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            };
            if state == SentState::Refused {
                tracing::warn!(from = post.from, url, "what was told was refused for good");
            }
            self.outbox.lock().settle(number, state);
            return;
        }
    }
}

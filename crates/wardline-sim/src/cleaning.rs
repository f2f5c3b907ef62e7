//! Housekeeping's crew: a while after a clean was asked for, the bed is clean and housekeeping says so.
//!
//! This closes the loop of the example estate: a discharge asks for a clean, and the clean comes
//! back as a JSON webhook that tells the bed board that the bed may be used again.

use crate::post::{Answer, FIRST_PAUSE, LONGEST_PAUSE, Poster};
use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Cleans that may wait at a time; requests beyond are accepted but never reported clean, and counted.
const WAITING: usize = 50_000;

/// Where housekeeping reports finished cleans, and how long a clean takes.
#[derive(Debug, Clone)]
pub struct CleanReports {
    /// URL that takes `{"clean_request","bed","completed_at"}` by POST.
    pub url: String,
    /// Time from request to clean bed.
    pub after: Duration,
    /// Sent as `Authorization: Bearer …` where given.
    pub token: Option<String>,
}

/// What the crew did. All numbers are cleans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CleaningReport {
    /// Asked for and taken on.
    pub begun: u64,
    /// Called off before they were done.
    pub cancelled: u64,
    /// Done, and the report was accepted (HTTP 2xx).
    pub reported: u64,
    /// Done, but the report was refused for good (other HTTP 4xx than 408, 425 and 429).
    pub refused: u64,
    /// Not taken on because too many were waiting.
    pub overflowed: u64,
}

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    cancelled: AtomicU64,
    reported: AtomicU64,
    refused: AtomicU64,
    overflowed: AtomicU64,
}

struct Clean {
    number: u64,
    bed: String,
    due: Instant,
}

/// The crew's dispatcher: told of every effect at housekeeping. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Cleaning {
    requests: mpsc::Sender<Clean>,
    /// Bed → clean that is under way there.
    open: Arc<Mutex<HashMap<String, u64>>>,
    counts: Arc<Counts>,
    after: Duration,
}

impl Cleaning {
    /// The dispatcher, and the crew's work as a future that ends with `shutdown`.
    pub(crate) fn begin(
        reports: CleanReports,
        shutdown: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (requests, inbox) = mpsc::channel(WAITING);
        let cleaning = Self {
            requests,
            open: Arc::default(),
            counts: Arc::default(),
            after: reports.after,
        };
        let crew = Crew {
            reports,
            open: cleaning.open.clone(),
            counts: cleaning.counts.clone(),
            poster: Poster::new(),
        };
        (cleaning, async move {
            shutdown.run_until_cancelled(crew.work(inbox)).await;
        })
    }

    /// Something took effect at housekeeping.
    pub(crate) fn heard(&self, operation: &str, bed: &str, number: u64) {
        match operation {
            "request-clean" => {
                let clean = Clean {
                    number,
                    bed: bed.to_owned(),
                    due: Instant::now() + self.after,
                };
                if self.requests.try_send(clean).is_ok() {
                    self.counts.begun.fetch_add(1, Ordering::Relaxed);
                    self.open.lock().insert(bed.to_owned(), number);
                } else {
                    self.counts.overflowed.fetch_add(1, Ordering::Relaxed);
                }
            }
            "cancel-clean" if self.open.lock().remove(bed).is_some() => {
                self.counts.cancelled.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    pub(crate) fn report(&self) -> CleaningReport {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CleaningReport {
            begun: read(&self.counts.begun),
            cancelled: read(&self.counts.cancelled),
            reported: read(&self.counts.reported),
            refused: read(&self.counts.refused),
            overflowed: read(&self.counts.overflowed),
        }
    }
}

struct Crew {
    reports: CleanReports,
    open: Arc<Mutex<HashMap<String, u64>>>,
    counts: Arc<Counts>,
    poster: Poster,
}

impl Crew {
    async fn work(self, mut inbox: mpsc::Receiver<Clean>) {
        while let Some(clean) = inbox.recv().await {
            // Cleans take equally long, so the first asked for is the first done.
            sleep_until(clean.due).await;
            let still_wanted = {
                let mut open = self.open.lock();
                open.get(&clean.bed) == Some(&clean.number) && open.remove(&clean.bed).is_some()
            };
            if still_wanted {
                self.report(&clean).await;
            }
        }
    }

    async fn report(&self, clean: &Clean) {
        let request = format!("HK-{:06}", clean.number);
        let body = json!({ "clean_request": request, "bed": clean.bed, "completed_at": Timestamp::now().to_string() });
        let body = Bytes::from(body.to_string());
        let mut pause = FIRST_PAUSE;
        loop {
            let (url, token) = (&self.reports.url, self.reports.token.as_deref());
            match self
                .poster
                .post(url, &request, token, &[], body.clone())
                .await
            {
                Answer::Accepted => {
                    self.counts.reported.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Answer::Refused => {
                    tracing::warn!(
                        url = self.reports.url,
                        "a finished clean was refused for good"
                    );
                    self.counts.refused.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Answer::NotNow => sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

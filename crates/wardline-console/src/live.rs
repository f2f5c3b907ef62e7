//! The live feed. One task asks the desk once a second and renders once, however many
//! browsers watch; each browser's stream sends the regions that changed since its last
//! event. Nobody watching: nobody asks.

use axum::response::sse::Event;
use futures::Stream;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use wardline_engine::view::Overview;

use crate::desk::ConsoleDesk;
use crate::pages::overview::regions;

/// Between two snapshots.
const EVERY: Duration = Duration::from_secs(1);
/// Open live pages; each costs a connection and a few kilobytes.
const SEATS: usize = 64;

/// One rendered moment.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// Region id and its HTML, as the JSON array that the page's script reads. The `Arc` of
    /// an unchanged region is that of the snapshot before.
    regions: Vec<Arc<str>>,
    /// The dashboard as the API gives it.
    json: Option<Arc<str>>,
    /// Why there is nothing newer.
    trouble: Option<Arc<str>>,
}

pub(crate) struct Live {
    latest: watch::Sender<Arc<Snapshot>>,
    seats: Arc<Semaphore>,
    over: CancellationToken,
}

/// Whether who follows is still signed in.
pub(crate) type Alive = Box<dyn Fn() -> bool + Send>;

/// What a stream sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feed {
    /// Regions of the dashboard page.
    Regions,
    /// The dashboard as JSON.
    Json,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            latest: watch::Sender::new(Arc::new(Snapshot::default())),
            seats: Arc::new(Semaphore::new(SEATS)),
            over: CancellationToken::new(),
        }
    }

    /// Takes snapshots until stopped.
    pub(crate) async fn run(&self, desk: &dyn ConsoleDesk, stop: CancellationToken) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            if self.latest.receiver_count() == 0 {
                continue;
            }
            let overview = tokio::select! {
                () = stop.cancelled() => break,
                overview = desk.overview() => overview,
            };
            let next = match overview {
                Ok(overview) => self.rendered(&overview),
                Err(error) => {
                    let before = self.latest.borrow().clone();
                    Snapshot {
                        regions: before.regions.clone(),
                        json: before.json.clone(),
                        trouble: Some(error.to_string().into()),
                    }
                }
            };
            self.latest.send_replace(Arc::new(next));
        }
        self.over.cancel();
    }

    fn rendered(&self, overview: &Overview) -> Snapshot {
        let before = self.latest.borrow().clone();
        let regions = regions(overview)
            .into_iter()
            .enumerate()
            .filter_map(|(at, (id, html))| {
                let event = serde_json::to_string(&(id, html.into_string())).ok()?;
                Some(match before.regions.get(at) {
                    Some(same) if **same == *event => same.clone(),
                    _ => event.into(),
                })
            })
            .collect();
        let json = serde_json::to_string(overview).ok().map(Into::into);
        Snapshot {
            regions,
            json,
            trouble: None,
        }
    }

    /// A stream for one browser, which ends when `alive` says no; `None` where all seats are
    /// taken.
    pub(crate) fn follow(
        &self,
        feed: Feed,
        alive: Alive,
    ) -> Option<impl Stream<Item = Result<Event, Infallible>> + use<>> {
        let seat = self.seats.clone().try_acquire_owned().ok()?;
        let mut latest = self.latest.subscribe();
        // What was rendered for others is shown at once, however old: the next is a second away.
        latest.mark_changed();
        let follower = Follower {
            latest,
            feed,
            alive,
            sent: Vec::new(),
            queue: VecDeque::new(),
            over: self.over.clone(),
            _seat: seat,
        };
        Some(futures::stream::unfold(follower, Follower::next))
    }
}

struct Follower {
    latest: watch::Receiver<Arc<Snapshot>>,
    feed: Feed,
    alive: Alive,
    sent: Vec<Arc<str>>,
    queue: VecDeque<Event>,
    over: CancellationToken,
    _seat: OwnedSemaphorePermit,
}

impl Follower {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some((Ok(event), self));
            }
            tokio::select! {
                () = self.over.cancelled() => return None,
                changed = self.latest.changed() => changed.ok()?,
            }
            // Who has signed out, or whose session has run out, hears no more.
            if !(self.alive)() {
                return None;
            }
            let snapshot = self.latest.borrow_and_update().clone();
            self.take(&snapshot);
        }
    }

    fn take(&mut self, snapshot: &Snapshot) {
        if let Some(trouble) = &snapshot.trouble {
            self.queue.push_back(event(
                "trouble",
                &serde_json::Value::from(&**trouble).to_string(),
            ));
            return;
        }
        let wanted: Vec<Arc<str>> = match self.feed {
            Feed::Regions => snapshot.regions.clone(),
            Feed::Json => snapshot.json.iter().cloned().collect(),
        };
        if wanted.is_empty() {
            return;
        }
        let name = if self.feed == Feed::Regions {
            "region"
        } else {
            "overview"
        };
        for (at, text) in wanted.iter().enumerate() {
            if self
                .sent
                .get(at)
                .is_none_or(|sent| !Arc::ptr_eq(sent, text))
            {
                self.queue.push_back(event(name, text));
            }
        }
        self.sent = wanted;
        // The page shows how old its numbers are, so it must hear that they were looked at.
        self.queue.push_back(event("taken", "1"));
    }
}

/// JSON text has no raw line ends, so it is always one line of a stream.
fn event(name: &str, json: &str) -> Event {
    Event::default().event(name).data(json)
}

//! What callers of Apis did, written to the audit log: many at a time, in order, and none lost.
//!
//! Three kinds of entries come here. What gives something away (a token, a sensitive value) waits
//! with [`Recorder::record`] or [`Recorder::settled`] until it is durable, and is refused where
//! that takes too long. What happens seldom is queued with [`Recorder::insist`]. What anybody can
//! cause at any rate, refusals, is queued with [`Recorder::tell`] while there is room; past it the
//! like are summed up, so that a flood neither fills the memory nor loses a count.

use crate::desk::{Desk, DeskError};
use ahash::AHashMap;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, oneshot, watch};
use tokio_util::sync::CancellationToken;
use wardline_core::Timestamp;
use wardline_vault::AuditEntry;

/// Entries that wait at most; refusals past it are summed up.
const MOST: usize = 4_096;
/// Callers that wait for entries of theirs at the same time; others wait for their turn.
const WAITING: usize = 1_024;
/// Entries written together.
const BATCH: usize = 256;
/// Sums that are kept apart; whatever else comes is summed up by act alone.
const SUMS: usize = 1_024;
/// How long a caller waits for its entry.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the writer waits after it failed.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the rest is tried to be written at the end.
const PARTING: Duration = Duration::from_secs(10);

/// The audit log does not take entries now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log does not take entries now")]
pub struct Unrecorded;

/// Writes entries; each call makes all of its entries durable or none.
type Write =
    Box<dyn Fn(Vec<AuditEntry>) -> BoxFuture<'static, Result<(), DeskError>> + Send + Sync>;

/// See the [module](self).
pub struct Recorder {
    write: Write,
    state: Mutex<State>,
    wake: Notify,
    room: Semaphore,
    /// How many of the entries told so far are durable (or were withdrawn).
    done: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    /// Entries that were ever queued.
    told: u64,
    sums: AHashMap<Like, Sum>,
}

struct Queued {
    entry: AuditEntry,
    /// Whoever waits for it.
    waits: Option<oneshot::Sender<()>>,
}

/// What makes entries alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Like {
    actor: String,
    act: String,
    target: String,
    reason: String,
}

#[derive(Debug, Clone, Copy)]
struct Sum {
    count: i64,
    first: Timestamp,
    last: Timestamp,
}

/// The right to cause entries that are waited for.
#[derive(Debug)]
pub struct Place<'a>(#[expect(dead_code, reason = "held, never looked at")] SemaphorePermit<'a>);

impl Recorder {
    /// A recorder that writes to this desk's log once it [runs](Self::run).
    pub fn new(desk: Arc<Desk>) -> Arc<Self> {
        Self::writing(Box::new(move |entries| {
            let desk = Arc::clone(&desk);
            async move { desk.record_all(&entries).await }.boxed()
        }))
    }

    fn writing(write: Write) -> Arc<Self> {
        Arc::new(Self {
            write,
            state: Mutex::default(),
            wake: Notify::new(),
            room: Semaphore::new(WAITING),
            done: watch::Sender::new(0),
        })
    }

    /// Queues an entry that anybody can cause at any rate; past the bound it is summed up with
    /// those like it. Never waits.
    pub fn tell(&self, entry: AuditEntry) {
        let mut state = self.state.lock();
        if state.queue.len() < MOST {
            state.push(entry, None);
        } else {
            if state.sums.is_empty() {
                tracing::error!(
                    "the audit log does not keep up; what is alike is summed up until it does"
                );
            }
            state.sum_up(Like::of(&entry));
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Queues an entry that is never summed up: of what happens seldom, or of whoever holds a
    /// [`Place`]. Never waits.
    pub fn insist(&self, entry: AuditEntry) {
        self.state.lock().push(entry, None);
        self.wake.notify_one();
    }

    /// A place among those who may wait for entries. Take it before doing what must be recorded.
    ///
    /// # Errors
    /// Where none was free in time.
    pub async fn place(&self) -> Result<Place<'_>, Unrecorded> {
        match tokio::time::timeout(PATIENCE, self.room.acquire()).await {
            Ok(Ok(permit)) => Ok(Place(permit)),
            _ => Err(Unrecorded),
        }
    }

    /// Returns once everything that was queued before is durable.
    ///
    /// # Errors
    /// Where that took too long; it is written all the same, later.
    pub async fn settled(&self) -> Result<(), Unrecorded> {
        let mark = self.state.lock().told;
        let mut done = self.done.subscribe();
        let reached = done.wait_for(|done| *done >= mark);
        match tokio::time::timeout(PATIENCE, reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Unrecorded),
        }
    }

    /// Returns once this entry is durable.
    ///
    /// # Errors
    /// Where that took too long. What it tells of must not happen then; the log is told later
    /// that it was withheld.
    pub async fn record(&self, entry: AuditEntry) -> Result<(), Unrecorded> {
        let recorded = async {
            let _place = self.room.acquire().await.map_err(|_| Unrecorded)?;
            let (waits, written) = oneshot::channel();
            self.state.lock().push(entry, Some(waits));
            self.wake.notify_one();
            written.await.map_err(|_| Unrecorded)
        };
        match tokio::time::timeout(PATIENCE, recorded).await {
            Ok(recorded) => recorded,
            Err(_) => Err(Unrecorded),
        }
    }

    /// Writes until told to stop, and then what is left. Has to run for anything to be written.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut until = None;
        loop {
            let (batch, queued) = self.take();
            if batch.is_empty() {
                if queued > 0 {
                    self.reached(queued);
                    continue;
                }
                if stop.is_cancelled() {
                    return;
                }
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
            let (entries, waits): (Vec<AuditEntry>, Vec<_>) = batch.into_iter().unzip();
            while let Err(error) = (self.write)(entries.clone()).await {
                tracing::error!(code = %error.code(), %error, waiting = entries.len(), "entries of the audit log wait");
                if stop.is_cancelled() {
                    let end = *until.get_or_insert_with(|| tokio::time::Instant::now() + PARTING);
                    if tokio::time::Instant::now() >= end {
                        self.give_up(entries.len());
                        return;
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
            for waits in waits.into_iter().flatten() {
                // One who stopped waiting just now is refused, although the log has the entry.
                let _gave_up = waits.send(());
            }
            self.reached(queued);
        }
    }

    /// The next entries to write and who waits for them, and how many of the queue that is. The
    /// queue first, then the sums.
    #[allow(clippy::type_complexity)]
    fn take(&self) -> (Vec<(AuditEntry, Option<oneshot::Sender<()>>)>, u64) {
        let mut state = self.state.lock();
        let next = state.queue.len().min(BATCH);
        let taken: Vec<Queued> = state.queue.drain(..next).collect();
        let mut batch = Vec::with_capacity(next);
        for Queued { entry, waits } in taken {
            if waits.as_ref().is_some_and(oneshot::Sender::is_closed) {
                // Whoever waited gave up and was refused: what it tells of did not happen.
                state.sum_up(Like {
                    act: format!("{}-withheld", entry.act),
                    reason: "the audit log did not take the entry in time".to_owned(),
                    actor: entry.actor,
                    target: entry.target,
                });
            } else {
                batch.push((entry, waits));
            }
        }
        if state.queue.is_empty() {
            let sums = state
                .sums
                .drain()
                .map(|(like, sum)| (like.entry(sum), None));
            batch.extend(sums);
        }
        (batch, next as u64)
    }

    fn reached(&self, more: u64) {
        self.done.send_modify(|done| *done += more);
    }

    fn give_up(&self, taken: usize) {
        let state = self.state.lock();
        let left = taken + state.queue.len();
        let summed: i64 = state.sums.values().map(|sum| sum.count).sum();
        tracing::error!(
            left,
            summed,
            "the journal takes nothing, and these entries of the audit log are lost with this process"
        );
    }
}

impl State {
    fn push(&mut self, entry: AuditEntry, waits: Option<oneshot::Sender<()>>) {
        self.told += 1;
        self.queue.push_back(Queued { entry, waits });
    }

    fn sum_up(&mut self, like: Like) {
        let like = if self.sums.len() < SUMS || self.sums.contains_key(&like) {
            like
        } else {
            Like {
                actor: "many".to_owned(),
                act: like.act,
                target: "many".to_owned(),
                reason: String::new(),
            }
        };
        let now = Timestamp::now();
        let sum = self.sums.entry(like).or_insert(Sum {
            count: 0,
            first: now,
            last: now,
        });
        sum.count += 1;
        sum.last = now;
    }
}

impl Like {
    fn of(entry: &AuditEntry) -> Self {
        Self {
            actor: entry.actor.clone(),
            act: entry.act.clone(),
            target: entry.target.clone(),
            reason: entry.reason.clone(),
        }
    }

    fn entry(self, sum: Sum) -> AuditEntry {
        AuditEntry::new(self.actor, self.act, self.target)
            .because(self.reason)
            .with("count", sum.count)
            .with("first", sum.first.to_string())
            .with("last", sum.last.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use wardline_vault::audit::Detail;

    /// A log that takes entries, or hangs.
    struct Log {
        written: Arc<Mutex<Vec<AuditEntry>>>,
        hangs: Arc<AtomicBool>,
        fails: Arc<AtomicBool>,
        recorder: Arc<Recorder>,
        stop: CancellationToken,
        run: tokio::task::JoinHandle<()>,
    }

    impl Log {
        fn start() -> Self {
            let written = Arc::<Mutex<Vec<AuditEntry>>>::default();
            let (hangs, fails) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
            let (into, stuck, broken) =
                (Arc::clone(&written), Arc::clone(&hangs), Arc::clone(&fails));
            let recorder = Recorder::writing(Box::new(move |entries| {
                let (into, stuck, broken) =
                    (Arc::clone(&into), Arc::clone(&stuck), Arc::clone(&broken));
                async move {
                    while stuck.load(Ordering::SeqCst) {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    if broken.load(Ordering::SeqCst) {
                        return Err(DeskError::Invalid("a full disk".to_owned()));
                    }
                    into.lock().extend(entries);
                    Ok(())
                }
                .boxed()
            }));
            let stop = CancellationToken::new();
            let run = tokio::spawn(Arc::clone(&recorder).run(stop.clone()));
            Self {
                written,
                hangs,
                fails,
                recorder,
                stop,
                run,
            }
        }

        async fn end(self) -> Vec<AuditEntry> {
            self.stop.cancel();
            self.run.await.unwrap();
            let written = self.written.lock();
            written.clone()
        }
    }

    fn refusal(n: usize) -> AuditEntry {
        AuditEntry::new(format!("address:{}", n % 7), "call.refuse", "internal").because("expired")
    }

    fn counted(entries: &[AuditEntry], act: &str) -> i64 {
        entries
            .iter()
            .filter(|entry| entry.act == act)
            .map(|entry| match entry.detail.get("count") {
                Some(Detail::Number(count)) => *count,
                _ => 1,
            })
            .sum()
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_summed_up_and_no_refusal_is_lost() {
        let log = Log::start();
        log.hangs.store(true, Ordering::SeqCst);
        for n in 0..100_000 {
            log.recorder.tell(refusal(n));
        }
        // Others than are kept apart.
        for n in 0..5_000 {
            let entry = AuditEntry::new(format!("address:x{n}"), "call.refuse", "partner");
            log.recorder.tell(entry);
        }
        {
            let state = log.recorder.state.lock();
            assert_eq!(state.queue.len(), MOST);
            assert!(state.sums.len() <= SUMS + 1, "{}", state.sums.len());
        }
        log.hangs.store(false, Ordering::SeqCst);
        let written = log.end().await;
        assert_eq!(counted(&written, "call.refuse"), 105_000);
        assert!(written.len() < MOST + 2 * SUMS, "{}", written.len());
        let sum = written
            .iter()
            .find(|entry| entry.detail.contains_key("count") && entry.actor == "address:3")
            .unwrap();
        assert_eq!(sum.reason, "expired");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_given_away_without_a_record() {
        let log = Log::start();
        let reveal =
            || AuditEntry::new("client:ghx", "call.reveal", "supplier-master.get-supplier");
        assert_eq!(log.recorder.record(reveal()).await, Ok(()));
        assert_eq!(counted(&log.written.lock(), "call.reveal"), 1);
        log.hangs.store(true, Ordering::SeqCst);
        // The one that is being written when its caller gives up is in the log all the same;
        // those behind it are not, since what they tell of did not happen.
        let call = || {
            let recorder = Arc::clone(&log.recorder);
            tokio::spawn(async move { recorder.record(reveal()).await })
        };
        let mut calls = vec![call()];
        while log.recorder.state.lock().told < 2 || !log.recorder.state.lock().queue.is_empty() {
            tokio::task::yield_now().await;
        }
        calls.extend((0..49).map(|_| call()));
        for call in calls {
            assert_eq!(call.await.unwrap(), Err(Unrecorded));
        }
        log.recorder
            .insist(AuditEntry::new("client:ghx", "token.issue", "7"));
        assert_eq!(log.recorder.settled().await, Err(Unrecorded));
        log.hangs.store(false, Ordering::SeqCst);
        assert_eq!(log.recorder.settled().await, Ok(()));
        assert_eq!(counted(&log.written.lock(), "token.issue"), 1);
        let written = log.end().await;
        let (told, withheld) = (
            counted(&written, "call.reveal"),
            counted(&written, "call.reveal-withheld"),
        );
        assert_eq!((told, withheld), (2, 49));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_written_is_tried_again() {
        let log = Log::start();
        log.fails.store(true, Ordering::SeqCst);
        log.recorder
            .insist(AuditEntry::new("client:a", "token.issue", "1"));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(log.written.lock().is_empty());
        log.fails.store(false, Ordering::SeqCst);
        let written = log.end().await;
        assert_eq!(counted(&written, "token.issue"), 1);
    }
}

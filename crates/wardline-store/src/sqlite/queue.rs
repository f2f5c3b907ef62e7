//! The way to the writer: bounded in memory, waiting before refusing.
//!
//! Room is counted in units of [`UNIT_BYTES`], so that one bound holds both many small calls
//! and few large ones. A call keeps its room until it is answered. Callers wait for room
//! (back-pressure); only when too many already wait is one refused.

use crate::change::{Acceptance, Change, Outcome};
use crate::error::StoreError;
use crate::process::Advance;
use crate::query::{PruneReport, PruneRequest};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use wardline_core::Sym;

/// Bytes that one unit of room stands for.
const UNIT_BYTES: usize = 16 * 1_024;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Work {
    Commit(Vec<Change>),
    Intern(String),
    Prune(PruneRequest),
    Close,
}

/// What the writer says.
#[derive(Debug)]
pub(super) enum Answer {
    Outcomes(Vec<Outcome>),
    Sym(Sym),
    Pruned(PruneReport),
    Closed,
}

/// One call on its way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) work: Work,
    pub(super) reply: oneshot::Sender<Result<Answer, StoreError>>,
    /// Bytes of payload, for the size of a batch.
    pub(super) bytes: usize,
    /// Nobody waits for it: it may ride with the next call that somebody does wait for.
    pub(super) patient: bool,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

impl Request {
    /// Changes that it brings.
    pub(super) fn changes(&self) -> usize {
        match &self.work {
            Work::Commit(list) => list.len(),
            Work::Intern(_) => 1,
            Work::Prune(_) | Work::Close => 0,
        }
    }
}

/// The callers' end.
#[derive(Debug)]
pub(super) struct Queue {
    sender: parking_lot::Mutex<Option<mpsc::Sender<Request>>>,
    room: Arc<Semaphore>,
    units: usize,
    waiting: AtomicUsize,
    most_waiting: usize,
}

impl Queue {
    /// A queue with room for `units` small calls and as many `most_waiting` for room.
    pub(super) fn new(units: usize, most_waiting: usize) -> (Self, mpsc::Receiver<Request>) {
        let units = units.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let (sender, receiver) = mpsc::channel();
        let queue = Self {
            sender: parking_lot::Mutex::new(Some(sender)),
            room: Arc::new(Semaphore::new(units)),
            units,
            waiting: AtomicUsize::new(0),
            most_waiting,
        };
        (queue, receiver)
    }

    /// Calls that have no answer yet, waiting ones included.
    pub(super) fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Hands work to the writer and waits for its answer.
    pub(super) async fn call(&self, work: Work) -> Result<Answer, StoreError> {
        let waiting = Waiting::enter(&self.waiting);
        if waiting.before >= self.most_waiting {
            return Err(StoreError::Busy {
                queued: waiting.before,
            });
        }
        let bytes = match &work {
            Work::Commit(changes) => changes.iter().map(change_bytes).sum(),
            _ => 0,
        };
        let units = (bytes / UNIT_BYTES + 1).min(self.units);
        let room = Arc::clone(&self.room)
            .acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX))
            .await
            .map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let patient = match &work {
            Work::Commit(changes) => changes
                .iter()
                .all(|change| matches!(change, Change::Settle(settlement) if settlement.patient)),
            _ => false,
        };
        let request = Request {
            work,
            reply,
            bytes,
            patient,
            room: Some(room),
        };
        match &*self.sender.lock() {
            Some(sender) => sender.send(request).map_err(|_| StoreError::Closed)?,
            None => return Err(StoreError::Closed),
        }
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Takes no more work; what is queued is still done. Returns the last place in the queue
    /// to whoever closes first.
    pub(super) fn close(&self) -> Option<oneshot::Receiver<Result<Answer, StoreError>>> {
        let sender = self.sender.lock().take()?;
        self.room.close();
        let (reply, answer) = oneshot::channel();
        let last = Request {
            work: Work::Close,
            reply,
            bytes: 0,
            patient: false,
            room: None,
        };
        // A writer that is already gone has nothing left to finish.
        sender.send(last).is_ok().then_some(answer)
    }
}

/// Counts a caller as waiting until it has its answer or gives up.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        Self {
            count,
            before: count.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

fn change_bytes(change: &Change) -> usize {
    match change {
        Change::Accept(acceptance) => acceptance_bytes(acceptance),
        Change::Settle(settlement) => {
            settlement
                .response
                .as_ref()
                .map_or(0, wardline_core::Sealed::len)
                + settlement.follow.as_deref().map_or(0, acceptance_bytes)
        }
        Change::Operate(_)
        | Change::BeginKey(_)
        | Change::Keep { .. }
        | Change::Discard(_)
        | Change::Task { .. } => 0,
        Change::Advance(advance) => advance_bytes(advance),
        Change::Audit(record) => record.body.len(),
        Change::SetMeta { value, .. } => value.len(),
        Change::EndKey(end) => end.answer.as_ref().map_or(0, wardline_core::Sealed::len),
    }
}

fn advance_bytes(advance: &Advance) -> usize {
    advance.state.len()
        + advance
            .summary
            .as_ref()
            .map_or(0, wardline_core::Sealed::len)
        + advance
            .ask
            .iter()
            .map(|task| task.body.len())
            .sum::<usize>()
        + advance.follow.as_deref().map_or(0, acceptance_bytes)
}

fn acceptance_bytes(acceptance: &Acceptance) -> usize {
    acceptance
        .messages
        .iter()
        .map(|message| message.payload.len())
        .sum::<usize>()
        + acceptance
            .deliveries
            .iter()
            .filter_map(|delivery| delivery.body.as_ref())
            .map(wardline_core::Sealed::len)
            .sum::<usize>()
}

//! How one key of a window stands, and how such stands are counted.

use std::collections::VecDeque;
use wardline_core::{Id, Timestamp};
use wardline_store::Ready;

/// What a key waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// In the ready list.
    Queued,
    /// Its head is being sent.
    Sending,
    /// Its head failed and is due at this time.
    Backoff(Timestamp),
    /// Its head needs a person.
    Held,
    /// Its followers must be read from the journal.
    Loading,
}

/// The deliveries of one key that are in memory, oldest first.
#[derive(Debug)]
pub(super) struct KeyQueue {
    pub(super) waiting: VecDeque<Ready>,
    pub(super) stand: Stand,
    /// The first delivery that was dropped from memory; the journal has it and what follows.
    pub(super) spilled: Option<Id>,
    /// Where the read that is under way began.
    pub(super) reading: Option<Id>,
    /// How many the next read asks for. One after a failure, since all that is wanted then is
    /// another try of the head; twice as many each time a read was of use.
    pub(super) appetite: usize,
    /// The wait of its head is ours to cut short: the other side did not ask for it.
    pub(super) ours: bool,
    /// The wait of its head is cut short, whatever the journal says of it.
    pub(super) hurry: bool,
    /// The journal changed while the head was being sent: ask it instead of memory.
    pub(super) stale: bool,
    /// It has an entry in the ready list.
    pub(super) listed: bool,
    /// Changed whenever `stand` is, so that old timers and reads are recognised.
    pub(super) turn: u64,
}

impl KeyQueue {
    /// From `id` on, memory has none.
    pub(super) fn spill(&mut self, id: Id) {
        self.spilled = Some(self.spilled.map_or(id, |known| known.min(id)));
    }
}

/// How many deliveries are loaded and how many keys stand how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Deliveries in memory that wait.
    pub(crate) loaded: usize,
    /// Deliveries being sent, or sent and not yet settled.
    pub(crate) sending: usize,
    /// Keys whose head failed and is due later.
    pub(crate) backing_off: usize,
    /// Keys whose head needs a person.
    pub(crate) held: usize,
}

impl std::ops::Add for Standing {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            loaded: self.loaded + other.loaded,
            sending: self.sending + other.sending,
            backing_off: self.backing_off + other.backing_off,
            held: self.held + other.held,
        }
    }
}

//! The window of one connection: which delivery may leave next.
//!
//! A pure data structure, so that order can be tested without time or network. It holds a
//! bounded part of what is owed, in memory; the journal holds the rest. Four rules:
//!
//! 1. Within one lane and key, deliveries leave in id order, one at a time.
//! 2. A key that is stopped (backing off, held) costs a map entry, not its followers: they
//!    are dropped from memory (`spilled`) and read again when the key flows.
//! 3. What does not fit is not kept: `behind` says that the journal has more above `cursor`.
//! 4. Lanes have room of their own, so a backlog in one never keeps another out of memory.
//!
//! Every delivery is looked at once by the cursor and once more if its key was stopped, so
//! the cost of claiming does not grow with the backlog or with blocked keys.

pub(crate) use super::key_queue::Standing;
use super::window::Window;
use wardline_core::{BlindIndex, DeliveryId, Id, Lane, Timestamp};
use wardline_store::Ready;

/// What is kept in order together: a key, or a delivery that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Group {
    Key(BlindIndex),
    Single(DeliveryId),
}

impl Group {
    pub(crate) fn of(ready: &Ready) -> Self {
        ready
            .key
            .as_ref()
            .map_or(Self::Single(ready.id), |key| Self::Key(key.index))
    }
}

/// A key whose followers must be read from the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reload {
    pub(crate) lane: Lane,
    pub(crate) group: Group,
    /// The first delivery to read.
    pub(crate) from: Id,
    /// More than this many will not be used.
    pub(crate) limit: usize,
    pub(super) turn: u64,
}

/// The window of one connection.
#[derive(Debug)]
pub(crate) struct Queue {
    /// By the number of the lane.
    lanes: [Window; 3],
    /// Sends that each lane has left in this round.
    credit: [u32; 3],
    /// The lane that is looked at first for reads, so that each gets its turn.
    first: usize,
}

impl Queue {
    /// An empty window that begins by reading everything open from the journal. Lanes get
    /// their parts of it: a half, a third and a sixth.
    pub(crate) fn new(max_loaded: usize, max_bytes: usize) -> Self {
        let lanes = Lane::ALL.map(|lane| {
            let parts = match lane {
                Lane::Realtime => 2,
                Lane::Normal => 3,
                Lane::Bulk => 6,
            };
            Window::new(lane, max_loaded / parts, max_bytes / parts)
        });
        Self {
            lanes,
            credit: Lane::ALL.map(Lane::weight),
            first: 0,
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut Window {
        &mut self.lanes[usize::from(lane.as_u8())]
    }

    /// Takes a delivery that was just committed; ids come in ascending order. What does not
    /// fit is left to the journal.
    pub(crate) fn offer(&mut self, ready: &Ready) {
        self.lane(ready.lane).offer(ready);
    }

    /// A lane that needs reading, with the id to read above. The caller reads and calls
    /// [`Queue::refill`] or [`Queue::refill_failed`].
    pub(crate) fn wants(&mut self) -> Option<(Lane, Id)> {
        Lane::ALL
            .into_iter()
            .find_map(|lane| self.lane(lane).wants().map(|after| (lane, after)))
    }

    /// The read that [`Queue::wants`] asked for failed; it will be asked for again.
    pub(crate) fn refill_failed(&mut self, lane: Lane) {
        self.lane(lane).refill_failed();
    }

    /// Takes what a read above the cursor gave, oldest first: all that was open up to the
    /// last row. `complete` means that the journal had no more when the read began;
    /// deliveries committed since were offered, or are found by reading again.
    pub(crate) fn refill(&mut self, lane: Lane, rows: Vec<Ready>, complete: bool) {
        self.lane(lane).refill(rows, complete);
    }

    /// The next key whose followers must be read. The caller reads and calls
    /// [`Queue::reloaded`] or [`Queue::reload_failed`].
    pub(crate) fn next_reload(&mut self) -> Option<Reload> {
        for step in 0..self.lanes.len() {
            let index = (self.first + step) % self.lanes.len();
            if let Some(reload) = self.lanes[index].next_reload() {
                self.first = (index + 1) % self.lanes.len();
                return Some(reload);
            }
        }
        None
    }

    /// The read failed; it is asked for again.
    pub(crate) fn reload_failed(&mut self, reload: Reload) {
        self.lane(reload.lane).reload_failed(reload);
    }

    /// Takes what a read of one key gave, oldest first. `complete` as in [`Queue::refill`].
    pub(crate) fn reloaded(&mut self, reload: Reload, rows: Vec<Ready>, complete: bool) {
        self.lane(reload.lane).reloaded(reload, rows, complete);
    }

    /// Whether [`Queue::take`] is worth a call.
    pub(crate) fn has_ready(&self) -> bool {
        self.lanes.iter().any(Window::has_ready)
    }

    /// The next delivery that may leave, by lane weight.
    pub(crate) fn take(&mut self) -> Option<Ready> {
        // In the second round every lane has credit again.
        for _ in 0..2 {
            for (lane, credit) in self.lanes.iter_mut().zip(&mut self.credit) {
                if *credit == 0 {
                    continue;
                }
                if let Some(ready) = lane.take() {
                    *credit -= 1;
                    return Some(ready);
                }
            }
            self.credit = Lane::ALL.map(Lane::weight);
        }
        None
    }

    /// Whether something waits behind the delivery of this key that is being sent.
    pub(crate) fn has_followers(&self, lane: Lane, group: Group) -> bool {
        self.lanes[usize::from(lane.as_u8())].has_followers(group)
    }

    /// Whether, since this was last asked, a delivery came to wait behind one that is being sent
    /// or whose end is not recorded yet.
    pub(crate) fn take_awaited(&mut self) -> bool {
        let mut awaited = false;
        for lane in &mut self.lanes {
            awaited |= lane.take_awaited();
        }
        awaited
    }

    /// The delivery that was being sent has come to its end; its key flows on.
    pub(crate) fn finished(&mut self, lane: Lane, group: Group) {
        self.lane(lane).finished(group);
    }

    /// The delivery that was being sent is not at its end: it backs off until its `next`, or is
    /// held, as its `state` says. `ours` is false where the other side said when it wants to be
    /// asked again.
    pub(crate) fn put_back(&mut self, ready: Ready, ours: bool) {
        self.lane(ready.lane).put_back(ready, ours);
    }

    /// The end of a delivery was not recorded because the journal had it in another state: a
    /// person changed it while it was being sent. The journal is asked how its key stands.
    pub(crate) fn disputed(&mut self, ready: &Ready) {
        self.lane(ready.lane).disputed(ready);
    }

    /// When the next stopped key is due.
    pub(crate) fn next_due(&mut self) -> Option<Timestamp> {
        self.lanes.iter_mut().filter_map(Window::next_due).min()
    }

    /// Lets keys flow whose time has come.
    pub(crate) fn wake(&mut self, now: Timestamp) {
        for lane in &mut self.lanes {
            lane.wake(now);
        }
    }

    /// Cuts the waits of up to `most` keys short, those due first before the others: the other
    /// side works again, or is to be asked whether it does. Waits that it asked for itself stay.
    /// Returns how many there were.
    pub(crate) fn hasten(&mut self, most: usize) -> usize {
        let mut hastened = 0;
        for lane in &mut self.lanes {
            if hastened < most {
                hastened += lane.hasten(most - hastened);
            }
        }
        hastened
    }

    /// A person decided about deliveries of a key (released, cancelled or parked them): what
    /// is in memory may no longer be true, so read the key again from the journal. `from` is
    /// the oldest delivery concerned.
    pub(crate) fn revisit(&mut self, lane: Lane, group: Group, from: Id) {
        self.lane(lane).revisit(group, from);
    }

    /// How deliveries stand in memory.
    pub(crate) fn standing(&self) -> Standing {
        self.lanes
            .iter()
            .map(Window::standing)
            .fold(Standing::default(), std::ops::Add::add)
    }
}

#[cfg(test)]
mod tests;

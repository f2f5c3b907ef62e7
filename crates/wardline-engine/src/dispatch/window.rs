//! The window of one lane: a bounded part of what is owed there, and how its keys stand.
//!
//! The journal may be read at any time while deliveries are committed, settled and changed
//! by people. Three things keep both views one:
//!
//! - `cursor` divides ids: what is at or below it was looked at here; what is above comes with
//!   the cursor, and only with it. A delivery is therefore never admitted twice.
//! - `spilled` of a key is the first delivery that memory let go of; all from there on is read
//!   again once the key flows. Nothing is admitted behind a gap.
//! - Every change of a key gets a new `turn`; timers and reads of an earlier one count for
//!   nothing.

use super::key_queue::{KeyQueue, Stand, Standing};
use super::queue::{Group, Reload};
use ahash::AHashMap;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use wardline_core::{DeliveryState, Id, Lane, Timestamp};
use wardline_store::Ready;

/// Followers of a key that backs off kept in memory, so that a short stop needs no reading.
const FOLLOWERS_KEPT: usize = 8;
/// One key may fill this part of the window: a slow one must not keep others out.
const KEY_SHARE: usize = 32;
/// Stopped keys may fill this part of the window; beyond it they cost a map entry each.
const STOPPED_SHARE: usize = 4;

/// The window of one lane.
#[derive(Debug)]
pub(super) struct Window {
    lane: Lane,
    keys: AHashMap<Group, KeyQueue>,
    ready: VecDeque<Group>,
    timers: BinaryHeap<Reverse<(Timestamp, u64, Group)>>,
    reloads: VecDeque<Reload>,
    /// Deliveries that the reads of single keys under way may bring.
    reloading: usize,
    /// Highest id that was admitted or deliberately passed over.
    cursor: Id,
    /// The journal has open deliveries above `cursor` that are not here.
    behind: bool,
    /// A read above `cursor` is under way.
    reading: bool,
    /// Offered while that read is under way, so that nothing falls between the two.
    aside: VecDeque<Ready>,
    aside_bytes: usize,
    /// `aside` was full, or a delivery came while no read was under way: read once more.
    missed: bool,
    /// What the read gives was changed by a person meanwhile: do not use it.
    stale: bool,
    bytes: usize,
    max_loaded: usize,
    max_bytes: usize,
    standing: Standing,
    turns: u64,
    /// A delivery was admitted behind one that is being sent.
    awaited: bool,
    /// The latest time that [`Window::wake`] was told.
    now: Timestamp,
}

impl Window {
    pub(super) fn new(lane: Lane, max_loaded: usize, max_bytes: usize) -> Self {
        Self {
            lane,
            keys: AHashMap::new(),
            ready: VecDeque::new(),
            timers: BinaryHeap::new(),
            reloads: VecDeque::new(),
            reloading: 0,
            cursor: Id::ZERO,
            behind: true,
            reading: false,
            aside: VecDeque::new(),
            aside_bytes: 0,
            missed: false,
            stale: false,
            bytes: 0,
            max_loaded: max_loaded.max(1),
            max_bytes: max_bytes.max(1),
            standing: Standing::default(),
            turns: 0,
            awaited: false,
            now: Timestamp(i64::MIN),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// See [`Queue::offer`](super::queue::Queue::offer).
    pub(super) fn offer(&mut self, ready: &Ready) {
        if ready.id.0 <= self.cursor {
            return;
        }
        if self.behind {
            let fits = self.aside.len() < self.max_loaded && self.aside_bytes < self.max_bytes;
            if self.reading && !self.missed && fits {
                self.aside_bytes += ready.body.len();
                self.aside.push_back(ready.clone());
            } else {
                self.missed = true;
            }
            return;
        }
        if self.is_full() {
            self.behind = true;
            return;
        }
        self.cursor = ready.id.0;
        self.admit(ready.clone());
    }

    /// The id to read above, when the lane has room and the journal has more.
    pub(super) fn wants(&mut self) -> Option<Id> {
        let room = self.standing.loaded * 2 <= self.max_loaded && self.bytes * 2 <= self.max_bytes;
        if !room || !self.behind || self.reading {
            return None;
        }
        self.reading = true;
        self.missed = false;
        self.stale = false;
        Some(self.cursor)
    }

    pub(super) fn refill_failed(&mut self) {
        self.reading = false;
        self.aside.clear();
        self.aside_bytes = 0;
    }

    /// See [`Queue::refill`](super::queue::Queue::refill).
    pub(super) fn refill(&mut self, rows: Vec<Ready>, complete: bool) {
        if self.stale {
            self.refill_failed();
            return;
        }
        let mut all_taken = true;
        for row in rows {
            if row.id.0 <= self.cursor {
                continue;
            }
            if self.is_full() {
                all_taken = false;
                break;
            }
            self.cursor = row.id.0;
            self.admit(row);
        }
        self.reading = false;
        self.aside_bytes = 0;
        let aside = std::mem::take(&mut self.aside);
        if complete && all_taken && !self.missed {
            self.behind = false;
            for row in aside {
                self.offer(&row);
            }
        }
    }

    /// The next key to read. Reads under way count as if they had brought all they may.
    pub(super) fn next_reload(&mut self) -> Option<Reload> {
        let share = self.key_share();
        while let Some(reload) = self.reloads.front().copied() {
            let under_way = self.standing.loaded + self.reloading;
            let full = under_way + reload.limit > self.max_loaded || self.bytes >= self.max_bytes;
            if under_way > 0 && full {
                return None;
            }
            self.reloads.pop_front();
            if let Some(key) = self.keys.get_mut(&reload.group)
                && key.turn == reload.turn
            {
                // From here on, `spilled` means: dropped since this read began.
                key.reading = key.spilled.take();
                key.appetite = (reload.limit * 2).min(share);
                self.reloading += reload.limit;
                return Some(reload);
            }
        }
        None
    }

    pub(super) fn reload_failed(&mut self, reload: Reload) {
        self.reloading = self.reloading.saturating_sub(reload.limit);
        if let Some(key) = self.keys.get_mut(&reload.group)
            && key.turn == reload.turn
        {
            key.reading = None;
            key.spill(reload.from);
            self.reloads.push_back(reload);
        }
    }

    /// See [`Queue::reloaded`](super::queue::Queue::reloaded).
    pub(super) fn reloaded(&mut self, reload: Reload, rows: Vec<Ready>, complete: bool) {
        self.reloading = self.reloading.saturating_sub(reload.limit);
        let cursor = self.cursor;
        let share = self.key_share();
        let Some(key) = self.keys.get_mut(&reload.group) else {
            return;
        };
        if key.turn != reload.turn {
            return;
        }
        key.reading = None;
        // What was dropped while the read was under way may or may not be part of it; whatever
        // the rows taken do not reach is read again.
        let mut unread = if complete {
            None
        } else {
            rows.last().map(|last| last.id.0.offset(1))
        };
        let mut last_taken = None;
        for row in rows {
            // What lies above the cursor comes with the cursor; taking it here too would send
            // it twice. A read that reaches above the cursor has seen everything below it.
            if row.id.0 > cursor {
                unread = None;
                key.spilled = None;
                break;
            }
            let full = key.waiting.len() >= share || self.bytes >= self.max_bytes;
            if full && !key.waiting.is_empty() {
                unread = Some(row.id.0);
                break;
            }
            last_taken = Some(row.id.0);
            self.standing.loaded += 1;
            self.bytes += row.body.len();
            key.waiting.push_back(row);
        }
        key.spilled = match (unread, key.spilled, last_taken) {
            (Some(unread), _, _) => Some(unread),
            (None, Some(dropped), Some(taken)) => Some(dropped.max(taken.offset(1))),
            (None, dropped, _) => dropped,
        };
        self.rest(reload.group);
    }

    /// The head of the next key that may send.
    pub(super) fn take(&mut self) -> Option<Ready> {
        while let Some(group) = self.ready.pop_front() {
            let Some(key) = self.keys.get_mut(&group) else {
                continue;
            };
            key.listed = false;
            if key.stand != Stand::Queued {
                continue;
            }
            let Some(ready) = key.waiting.pop_front() else {
                continue;
            };
            key.stand = Stand::Sending;
            key.hurry = false;
            self.turns += 1;
            key.turn = self.turns;
            self.standing.loaded -= 1;
            self.bytes -= ready.body.len();
            self.standing.sending += 1;
            return Some(ready);
        }
        None
    }

    /// Whether something waits behind the delivery of this key that is being sent.
    pub(super) fn has_followers(&self, group: Group) -> bool {
        self.keys
            .get(&group)
            .is_some_and(|key| !key.waiting.is_empty() || key.spilled.is_some())
    }

    /// See [`Queue::take_awaited`](super::queue::Queue::take_awaited).
    pub(super) fn take_awaited(&mut self) -> bool {
        std::mem::take(&mut self.awaited)
    }

    /// The delivery that was being sent has come to its end; its key flows on.
    pub(super) fn finished(&mut self, group: Group) {
        if self.stops_sending(group) {
            self.rest(group);
        }
    }

    /// The delivery that was being sent goes back to the front, as its `state` and `next` say.
    /// `ours` is false where the other side said when it wants to be asked again.
    pub(super) fn put_back(&mut self, ready: Ready, ours: bool) {
        let group = Group::of(&ready);
        if !self.stops_sending(group) {
            return;
        }
        if let Some(key) = self.keys.get_mut(&group) {
            key.ours = ours;
            if key.stale {
                key.spill(ready.id.0);
            } else {
                self.standing.loaded += 1;
                self.bytes += ready.body.len();
                key.waiting.push_front(ready);
            }
        }
        self.rest(group);
    }

    /// The delivery that was being sent stands otherwise in the journal than memory thought.
    pub(super) fn disputed(&mut self, ready: &Ready) {
        let group = Group::of(ready);
        if self.stops_sending(group) {
            self.forget(group, ready.id.0);
            self.rest(group);
        }
    }

    fn stops_sending(&mut self, group: Group) -> bool {
        let sending = self
            .keys
            .get(&group)
            .is_some_and(|key| key.stand == Stand::Sending);
        if sending {
            self.standing.sending -= 1;
        }
        sending
    }

    pub(super) fn next_due(&mut self) -> Option<Timestamp> {
        while let Some(Reverse((due, turn, group))) = self.timers.peek() {
            if self.keys.get(group).is_some_and(|key| key.turn == *turn) {
                return Some(*due);
            }
            self.timers.pop();
        }
        None
    }

    pub(super) fn wake(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while self.next_due().is_some_and(|due| due <= now) {
            let Some(Reverse((_, _, group))) = self.timers.pop() else {
                return;
            };
            self.standing.backing_off -= 1;
            self.rest(group);
        }
    }

    /// See [`Queue::hasten`](super::queue::Queue::hasten).
    pub(super) fn hasten(&mut self, most: usize) -> usize {
        let mut hastened = 0;
        let mut kept = Vec::new();
        while let Some(timer) = self.timers.pop() {
            let Reverse((_, turn, group)) = timer;
            let Some(key) = self.keys.get_mut(&group).filter(|key| key.turn == turn) else {
                continue;
            };
            if !key.ours {
                kept.push(timer);
                continue;
            }
            key.hurry = true;
            self.standing.backing_off -= 1;
            self.rest(group);
            hastened += 1;
            if hastened == most {
                break;
            }
        }
        self.timers.extend(kept);
        hastened
    }

    /// See [`Queue::revisit`](super::queue::Queue::revisit).
    pub(super) fn revisit(&mut self, group: Group, from: Id) {
        if from > self.cursor {
            // It comes with the cursor; but reads under way may have it as it was before, and
            // the cursor may have passed it when they end.
            self.stale |= self.reading;
            if let Some(begun) = self.keys.get(&group).and_then(|key| key.reading) {
                self.forget(group, begun);
                self.rest(group);
            }
            return;
        }
        self.turns += 1;
        let turn = self.turns;
        let key = self.keys.entry(group).or_insert_with(|| KeyQueue {
            waiting: VecDeque::new(),
            stand: Stand::Loading,
            spilled: None,
            reading: None,
            appetite: usize::MAX,
            ours: false,
            hurry: false,
            stale: false,
            listed: false,
            turn,
        });
        match key.stand {
            // Its end decides; the journal is asked then.
            Stand::Sending => key.stale = true,
            Stand::Backoff(_) => self.standing.backing_off -= 1,
            Stand::Held => self.standing.held -= 1,
            Stand::Queued | Stand::Loading => {}
        }
        let sending = key.stand == Stand::Sending;
        self.forget(group, from);
        if !sending {
            self.rest(group);
        }
    }

    /// Drops what is in memory of a key; it is read again from `from` or earlier.
    fn forget(&mut self, group: Group, from: Id) {
        let Some(key) = self.keys.get_mut(&group) else {
            return;
        };
        key.spill(from);
        if let Some(begun) = key.reading.take() {
            key.spill(begun);
        }
        while let Some(dropped) = key.waiting.pop_back() {
            self.standing.loaded -= 1;
            self.bytes -= dropped.body.len();
            key.spill(dropped.id.0);
        }
    }

    fn is_full(&self) -> bool {
        self.standing.loaded + self.reloading >= self.max_loaded || self.bytes >= self.max_bytes
    }

    fn key_share(&self) -> usize {
        (self.max_loaded / KEY_SHARE).max(1)
    }

    /// Adds a delivery behind those of its key.
    fn admit(&mut self, ready: Ready) {
        let group = Group::of(&ready);
        let share = self.key_share();
        let pressed = (self.standing.loaded + 1) * STOPPED_SHARE > self.max_loaded
            || (self.bytes + ready.body.len()) * STOPPED_SHARE > self.max_bytes;
        if let Some(key) = self.keys.get_mut(&group) {
            let no_room = match key.stand {
                Stand::Held | Stand::Loading => true,
                Stand::Backoff(_) => pressed || key.waiting.len() >= FOLLOWERS_KEPT.min(share),
                Stand::Queued | Stand::Sending => key.waiting.len() >= share,
            };
            self.awaited |= key.stand == Stand::Sending;
            if key.spilled.is_some() || no_room {
                key.spill(ready.id.0);
                return;
            }
            self.standing.loaded += 1;
            self.bytes += ready.body.len();
            key.waiting.push_back(ready);
            return;
        }
        // The oldest open delivery of its key: how it stands is how the key stands.
        self.standing.loaded += 1;
        self.bytes += ready.body.len();
        let key = KeyQueue {
            waiting: VecDeque::from([ready]),
            stand: Stand::Queued,
            spilled: None,
            reading: None,
            appetite: usize::MAX,
            ours: false,
            hurry: false,
            stale: false,
            listed: false,
            turn: 0,
        };
        self.keys.insert(group, key);
        self.rest(group);
    }

    /// Decides how a key stands that is neither being sent nor counted as stopped: ready, due
    /// later, held, to be read, or gone.
    fn rest(&mut self, group: Group) {
        let share = self.key_share();
        let Some(key) = self.keys.get_mut(&group) else {
            return;
        };
        self.turns += 1;
        key.turn = self.turns;
        key.stale = false;
        let keep = match key.waiting.front() {
            None => {
                if let Some(from) = key.spilled {
                    key.stand = Stand::Loading;
                    self.reloads.push_back(Reload {
                        lane: self.lane,
                        group,
                        from,
                        limit: key.appetite.clamp(1, share),
                        turn: key.turn,
                    });
                } else {
                    self.keys.remove(&group);
                }
                return;
            }
            Some(head) => match (head.state, head.next) {
                (DeliveryState::Held, _) => {
                    key.stand = Stand::Held;
                    self.standing.held += 1;
                    0
                }
                (DeliveryState::Retrying, Some(next)) if next > self.now && !key.hurry => {
                    key.stand = Stand::Backoff(next);
                    key.appetite = 1;
                    self.standing.backing_off += 1;
                    self.timers.push(Reverse((next, key.turn, group)));
                    let others = self.standing.loaded - key.waiting.len();
                    let bytes =
                        self.bytes - key.waiting.iter().map(|one| one.body.len()).sum::<usize>();
                    let pressed = (others + 1) * STOPPED_SHARE > self.max_loaded
                        || (bytes + head.body.len()) * STOPPED_SHARE > self.max_bytes;
                    if pressed {
                        0
                    } else {
                        FOLLOWERS_KEPT.min(share)
                    }
                }
                _ => {
                    key.stand = Stand::Queued;
                    if !key.listed {
                        key.listed = true;
                        self.ready.push_back(group);
                    }
                    return;
                }
            },
        };
        loop {
            let heavy = key.waiting.len() > 1 && self.bytes * STOPPED_SHARE > self.max_bytes;
            if key.waiting.len() <= keep && !heavy {
                return;
            }
            let Some(dropped) = key.waiting.pop_back() else {
                return;
            };
            self.standing.loaded -= 1;
            self.bytes -= dropped.body.len();
            key.spill(dropped.id.0);
        }
    }
}

#[cfg(test)]
impl Window {
    /// Counts everything anew and compares it with the counters that were kept.
    pub(super) fn audit(&self, at_once: usize) {
        let loaded: usize = self.keys.values().map(|key| key.waiting.len()).sum();
        let bytes: usize = self
            .keys
            .values()
            .flat_map(|key| &key.waiting)
            .map(|one| one.body.len())
            .sum();
        let stands =
            |wanted: fn(Stand) -> bool| self.keys.values().filter(|key| wanted(key.stand)).count();
        let truth = Standing {
            loaded,
            sending: stands(|stand| stand == Stand::Sending),
            backing_off: stands(|stand| matches!(stand, Stand::Backoff(_))),
            held: stands(|stand| stand == Stand::Held),
        };
        assert_eq!(
            (self.standing, self.bytes),
            (truth, bytes),
            "counters of {:?}",
            self.lane
        );
        let most = self.max_loaded + at_once;
        assert!(loaded <= most, "{loaded} loaded, {most} allowed");
        assert!(self.aside.len() <= self.max_loaded);
        for (group, key) in &self.keys {
            assert!(
                key.stand != Stand::Queued || (key.listed && !key.waiting.is_empty()),
                "{group:?} is forgotten"
            );
            assert!(
                key.waiting.len() <= self.key_share() + 1,
                "{group:?} fills the window"
            );
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.keys.is_empty() && self.ready.is_empty() && !self.reading && self.reloading == 0
    }
}

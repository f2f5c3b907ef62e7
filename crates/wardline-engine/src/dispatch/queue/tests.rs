//! The window against a naive journal: random histories in which commits, reads, sends,
//! settlements, people and restarts happen in every order that the running engine allows.

use super::*;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use wardline_core::{DeliveryState, MessageId, OrderingKey, Sealed, Sym};

const SEEDS: u64 = 2_500;
const STEPS: usize = 300;
/// Sends at the same time.
const AT_ONCE: usize = 4;

/// SplitMix64: equal seeds give equal histories on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Delivered,
    Retry(Timestamp),
    Hold,
    Dead,
}

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    NotYet,
    /// A person changed the delivery meanwhile.
    Refused,
    As(End),
}

/// An attempt on its way: ended, then written down, then told to the window.
struct Attempt {
    ready: Ready,
    settled: Settled,
}

struct LaneRead {
    lane: Lane,
    after: Id,
    rows: Option<(Vec<Ready>, bool)>,
}

struct KeyRead {
    reload: Reload,
    rows: Option<(Vec<Ready>, bool)>,
}

struct World {
    dice: Dice,
    now: Timestamp,
    next_id: i64,
    /// Every delivery that is still open, as the journal has it.
    open: BTreeMap<Id, Ready>,
    /// Deliveries that came to their end.
    closed: BTreeSet<Id>,
    /// Committed, but the listener has not been called yet.
    unheard: VecDeque<Ready>,
    /// Changed by a person, but the window has not been told yet.
    untold: Vec<(Lane, Group, Id)>,
    queue: Queue,
    window: usize,
    read: usize,
    lane_reads: Vec<LaneRead>,
    key_reads: Vec<KeyRead>,
    attempts: Vec<Attempt>,
    delivered: usize,
    /// Deliveries whose wait the other side asked for: nothing cuts it short.
    asked: BTreeSet<Id>,
    /// Waits have been cut short.
    hastened: bool,
    /// Reads do not fail any more.
    calm: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let window = [4, 6, 12, 24, 64][dice.below(5)];
        let read = 1 + dice.below(6);
        Self {
            dice,
            now: Timestamp(1_764_000_000_000_000),
            next_id: 1,
            open: BTreeMap::new(),
            closed: BTreeSet::new(),
            unheard: VecDeque::new(),
            untold: Vec::new(),
            queue: Queue::new(window, 1 << 20),
            window,
            read,
            lane_reads: Vec::new(),
            key_reads: Vec::new(),
            attempts: Vec::new(),
            delivered: 0,
            asked: BTreeSet::new(),
            hastened: false,
            calm: false,
        }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..=24 => self.commit(),
            25..=34 => self.hear(),
            35..=44 => self.begin_reads(),
            45..=52 => self.journal_answers(),
            53..=62 => self.end_read(),
            63..=72 => self.send(),
            73..=80 => self.settle(),
            81..=88 => self.tell_settled(),
            89..=91 => self.operate(),
            92..=95 => self.tell_operated(),
            96..=97 => self.time_passes(),
            98 => self.hasten(),
            _ if self.dice.chance(20) => self.restart(),
            _ => {}
        }
        self.check();
    }

    fn commit(&mut self) {
        self.hear();
        for _ in 0..=self.dice.below(5) {
            // Ids of other destinations lie between.
            self.next_id += 1 + i64::try_from(self.dice.below(3)).unwrap();
            let id = DeliveryId(Id::from_i64(self.next_id));
            let lane = Lane::ALL[self.dice.below(3)];
            let key = (!self.dice.chance(15)).then(|| OrderingKey {
                index: BlindIndex(i64::try_from(self.dice.below(5)).unwrap()),
                shown: None,
            });
            let ready = Ready {
                id,
                message: MessageId(id.0),
                flow: Sym(1),
                destination: Sym(2),
                lane,
                key,
                state: DeliveryState::Pending,
                attempts: 0,
                next: None,
                accepted: self.now,
                first_attempt: None,
                content_type: Sym(3),
                body: Sealed::from_sealed_bytes(Bytes::from(vec![0; 1 + self.dice.below(9)])),
            };
            self.open.insert(id.0, ready.clone());
            self.unheard.push_back(ready);
        }
        if self.dice.chance(60) {
            self.hear();
        }
    }

    /// The writer tells of what it committed before it commits anything else.
    fn hear(&mut self) {
        while let Some(ready) = self.unheard.pop_front() {
            self.queue.offer(&ready);
        }
    }

    fn begin_reads(&mut self) {
        while let Some((lane, after)) = self.queue.wants() {
            self.lane_reads.push(LaneRead {
                lane,
                after,
                rows: None,
            });
        }
        while let Some(reload) = self.queue.next_reload() {
            self.key_reads.push(KeyRead { reload, rows: None });
        }
    }

    /// A read that was begun sees the journal as it is now.
    fn journal_answers(&mut self) {
        let read = self.read;
        let careful = self.dice.chance(50);
        let page = |rows: Vec<Ready>, limit: usize| {
            // Only an empty answer must say that there is no more.
            let complete = rows.is_empty() || (!careful && rows.len() < limit);
            (rows, complete)
        };
        for one in self.lane_reads.iter_mut().filter(|one| one.rows.is_none()) {
            let rows = self.open.range(one.after.offset(1)..).map(|(_, row)| row);
            let rows = rows
                .filter(|row| row.lane == one.lane)
                .take(read)
                .cloned()
                .collect();
            one.rows = Some(page(rows, read));
        }
        for one in self.key_reads.iter_mut().filter(|one| one.rows.is_none()) {
            let Reload {
                lane,
                group,
                from,
                limit,
                ..
            } = one.reload;
            let rows = self.open.range(from..).map(|(_, row)| row);
            let rows = rows
                .filter(|row| row.lane == lane && Group::of(row) == group)
                .take(limit)
                .cloned()
                .collect();
            one.rows = Some(page(rows, limit));
        }
    }

    /// The answer of one read arrives; any order, and some fail.
    fn end_read(&mut self) {
        if self.dice.chance(50) {
            if self.lane_reads.is_empty() {
                return;
            }
            let index = self.dice.below(self.lane_reads.len());
            let failed = !self.calm && self.dice.chance(10);
            match self.lane_reads.swap_remove(index) {
                LaneRead {
                    lane,
                    rows: Some((rows, complete)),
                    ..
                } if !failed => self.queue.refill(lane, rows, complete),
                LaneRead { lane, .. } => self.queue.refill_failed(lane),
            }
        } else {
            if self.key_reads.is_empty() {
                return;
            }
            let index = self.dice.below(self.key_reads.len());
            let failed = !self.calm && self.dice.chance(10);
            match self.key_reads.swap_remove(index) {
                KeyRead {
                    reload,
                    rows: Some((rows, complete)),
                } if !failed => {
                    self.queue.reloaded(reload, rows, complete);
                }
                KeyRead { reload, .. } => self.queue.reload_failed(reload),
            }
        }
    }

    fn send(&mut self) {
        while self.attempts.len() < AT_ONCE {
            self.queue.wake(self.now);
            let Some(ready) = self.queue.take() else {
                return;
            };
            self.may_be_sent(&ready);
            self.attempts.push(Attempt {
                ready,
                settled: Settled::NotYet,
            });
            if self.dice.chance(50) {
                return;
            }
        }
    }

    fn may_be_sent(&self, ready: &Ready) {
        let (id, lane, group) = (ready.id.0, ready.lane, Group::of(ready));
        let same = |other: &Ready| other.lane == lane && Group::of(other) == group;
        assert!(
            self.attempts.iter().all(|other| !same(&other.ready)),
            "{group:?} is sent twice at once"
        );
        let untold = self.untold.iter().any(|(_, _, changed)| *changed == id);
        match self.open.get(&id) {
            None => assert!(untold, "{id} is at its end and sent again"),
            Some(row) => {
                assert!(row.state != DeliveryState::Held || untold, "{id} is held");
                let hastened = self.hastened && !self.asked.contains(&id);
                assert!(
                    hastened || row.next.is_none_or(|next| next <= self.now),
                    "{id} is not due"
                );
            }
        }
        let earlier = self
            .open
            .range(..id)
            .map(|(_, row)| row)
            .find(|row| same(row));
        assert!(earlier.is_none(), "{id} overtakes {earlier:?}");
    }

    /// Writes down how one attempt ended. The journal refuses where a person changed the
    /// delivery meanwhile.
    fn settle(&mut self) {
        self.hear();
        let open: Vec<usize> = (0..self.attempts.len())
            .filter(|i| self.attempts[*i].settled == Settled::NotYet)
            .collect();
        if open.is_empty() {
            return;
        }
        let index = open[self.dice.below(open.len())];
        let end = match self.dice.below(10) {
            0..=4 => End::Delivered,
            5..=7 => {
                let wait = Duration::from_millis(self.dice.below(200) as u64);
                End::Retry(self.now.after(wait))
            }
            8 => End::Hold,
            _ => End::Dead,
        };
        self.write_down(index, end);
    }

    fn write_down(&mut self, index: usize, end: End) {
        let attempt = &mut self.attempts[index];
        let id = attempt.ready.id.0;
        let Some(row) = self
            .open
            .get_mut(&id)
            .filter(|row| row.state == attempt.ready.state)
        else {
            attempt.settled = Settled::Refused;
            return;
        };
        match end {
            End::Retry(next) => {
                row.state = DeliveryState::Retrying;
                row.next = Some(next);
                row.attempts += 1;
            }
            End::Hold => {
                row.state = DeliveryState::Held;
                row.next = None;
            }
            End::Delivered | End::Dead => {
                self.delivered += usize::from(matches!(end, End::Delivered));
                self.open.remove(&id);
                assert!(self.closed.insert(id), "{id} ended twice");
            }
        }
        attempt.settled = Settled::As(end);
    }

    fn tell_settled(&mut self) {
        let done: Vec<usize> = (0..self.attempts.len())
            .filter(|i| self.attempts[*i].settled != Settled::NotYet)
            .collect();
        if done.is_empty() {
            return;
        }
        let attempt = self.attempts.swap_remove(done[self.dice.below(done.len())]);
        let mut ready = attempt.ready;
        match attempt.settled {
            Settled::NotYet | Settled::Refused => self.queue.disputed(&ready),
            Settled::As(End::Delivered | End::Dead) => {
                self.queue.finished(ready.lane, Group::of(&ready));
            }
            Settled::As(End::Retry(next)) => {
                ready.state = DeliveryState::Retrying;
                ready.next = Some(next);
                let ours = self.dice.chance(70);
                if ours {
                    self.asked.remove(&ready.id.0);
                } else {
                    self.asked.insert(ready.id.0);
                }
                self.queue.put_back(ready, ours);
            }
            Settled::As(End::Hold) => {
                ready.state = DeliveryState::Held;
                self.queue.put_back(ready, true);
            }
        }
    }

    /// A person releases, cancels or parks some deliveries, often those that are stopped.
    fn operate(&mut self) {
        self.hear();
        let release = self.dice.chance(60);
        for _ in 0..=self.dice.below(3) {
            if self.open.is_empty() {
                return;
            }
            let stopped: Vec<Id> = self
                .open
                .values()
                .filter(|row| row.state != DeliveryState::Pending)
                .map(|row| row.id.0)
                .collect();
            let all: Vec<Id> = self.open.keys().copied().collect();
            let from = if release { &stopped } else { &all };
            if from.is_empty() {
                return;
            }
            let id = from[self.dice.below(from.len())];
            let row = self.open.get_mut(&id).unwrap();
            self.untold.push((row.lane, Group::of(row), id));
            if release {
                row.state = DeliveryState::Pending;
                row.next = None;
                row.attempts = 0;
                // The journal tells of released deliveries like of new ones.
                let row = row.clone();
                self.queue.offer(&row);
            } else {
                self.open.remove(&id);
                self.closed.insert(id);
            }
        }
    }

    fn tell_operated(&mut self) {
        for (lane, group, id) in std::mem::take(&mut self.untold) {
            self.queue.revisit(lane, group, id);
        }
    }

    fn time_passes(&mut self) {
        self.now = self
            .now
            .after(Duration::from_millis(self.dice.below(150) as u64));
        self.queue.wake(self.now);
    }

    fn hasten(&mut self) {
        let most = 1 + self.dice.below(4);
        let backing_off = self.queue.standing().backing_off;
        let hastened = self.queue.hasten(most);
        assert!(hastened <= most.min(backing_off));
        self.hastened |= hastened > 0;
    }

    /// The process dies: memory is gone, sends on their way may have arrived, the journal stays.
    fn restart(&mut self) {
        self.unheard.clear();
        self.untold.clear();
        self.lane_reads.clear();
        self.key_reads.clear();
        self.attempts.clear();
        self.queue = Queue::new(self.window, 1 << 20);
    }

    fn check(&self) {
        for lane in &self.queue.lanes {
            lane.audit(AT_ONCE);
        }
        assert_eq!(self.queue.standing().sending, self.attempts.len());
    }

    /// From here on nothing new comes, every send succeeds and time passes: what remains?
    fn drain(&mut self) {
        self.calm = true;
        self.hear();
        self.tell_operated();
        loop {
            self.begin_reads();
            self.send();
            let busy = self.lane_reads.len() + self.key_reads.len() + self.attempts.len();
            if busy == 0 && self.queue.next_due().is_none() {
                return;
            }
            self.journal_answers();
            for _ in 0..8 {
                self.end_read();
            }
            for index in 0..self.attempts.len() {
                if self.attempts[index].settled == Settled::NotYet {
                    self.write_down(index, End::Delivered);
                }
            }
            self.tell_settled();
            self.check();
            if let Some(due) = self.queue.next_due() {
                self.now = self.now.max(due);
                self.queue.wake(self.now);
            }
        }
    }
}

#[test]
fn random_histories_keep_order_and_lose_nothing() {
    let (mut delivered, mut still_held) = (0, 0);
    for seed in 0..SEEDS {
        let ran = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
            world.drain();
            // What remains waits for a person, or behind what waits for one.
            let mut heads: BTreeMap<(Lane, Group), &Ready> = BTreeMap::new();
            for row in world.open.values() {
                heads.entry((row.lane, Group::of(row))).or_insert(row);
            }
            for head in heads.values() {
                assert_eq!(head.state, DeliveryState::Held, "nobody wakes {head:?}");
            }
            let held = heads.len();
            let standing = world.queue.standing();
            assert_eq!(
                standing,
                Standing {
                    held,
                    ..Standing::default()
                }
            );

            while !world.open.is_empty() {
                let rows: Vec<(Lane, Group, Id)> = world
                    .open
                    .values_mut()
                    .filter(|row| row.state == DeliveryState::Held)
                    .map(|row| {
                        row.state = DeliveryState::Pending;
                        (row.lane, Group::of(row), row.id.0)
                    })
                    .collect();
                assert!(!rows.is_empty(), "open, not held, and not sent");
                world.untold = rows;
                world.drain();
            }
            assert!(
                world.queue.lanes.iter().all(Window::is_idle),
                "memory of what is done"
            );
            assert_eq!(world.queue.standing(), Standing::default());
            (world.delivered, held)
        });
        let (sent, held) = ran.unwrap_or_else(|_| panic!("seed {seed}"));
        delivered += sent;
        still_held += held;
    }
    // The histories must be worth their name.
    assert!(delivered > 50_000, "only {delivered} were delivered");
    assert!(
        still_held > 400,
        "only {still_held} keys were held at the end"
    );
}

fn ready(id: i64, lane: Lane, key: i64) -> Ready {
    let id = DeliveryId(Id::from_i64(id));
    Ready {
        id,
        message: MessageId(id.0),
        flow: Sym(1),
        destination: Sym(2),
        lane,
        key: Some(OrderingKey {
            index: BlindIndex(key),
            shown: None,
        }),
        state: DeliveryState::Pending,
        attempts: 0,
        next: None,
        accepted: Timestamp(0),
        first_attempt: None,
        content_type: Sym(3),
        body: Sealed::from_sealed_bytes(Bytes::from_static(b"x")),
    }
}

/// A window that knows that the journal has nothing.
fn fresh(max_loaded: usize, max_bytes: usize) -> Queue {
    let mut queue = Queue::new(max_loaded, max_bytes);
    while let Some((lane, _)) = queue.wants() {
        queue.refill(lane, Vec::new(), true);
    }
    queue
}

#[test]
fn lanes_share_eight_to_three_to_one() {
    let mut queue = fresh(6_000, 1 << 20);
    for id in 0..900 {
        let lane = Lane::ALL[usize::try_from(id % 3).unwrap()];
        queue.offer(&ready(id + 1, lane, id));
    }
    let mut counts = [0u32; 3];
    for _ in 0..240 {
        counts[usize::from(queue.take().unwrap().lane.as_u8())] += 1;
    }
    assert_eq!(counts, [160, 60, 20]);
    // A lane without work leaves its share to the others.
    let mut rest = [0u32; 3];
    while let Some(ready) = queue.take() {
        rest[usize::from(ready.lane.as_u8())] += 1;
    }
    assert_eq!(rest, [140, 240, 280]);
}

#[test]
fn a_backlog_in_one_lane_keeps_no_other_out() {
    let mut queue = fresh(60, 1 << 20);
    // More urgent work than memory takes, all the time, and one bulk delivery after it.
    for id in 1..=500 {
        queue.offer(&ready(id, Lane::Realtime, id));
    }
    queue.offer(&ready(501, Lane::Bulk, 501));
    let mut taken = Vec::new();
    for id in 502..=600 {
        queue.offer(&ready(id, Lane::Realtime, id));
        taken.extend(queue.take().map(|one| one.lane));
    }
    assert!(taken.contains(&Lane::Bulk));
}

#[test]
fn keys_that_back_off_leave_room_for_the_others() {
    let mut queue = fresh(60, 1 << 20);
    queue.wake(Timestamp(0));
    // Every key of these fails, and there are more of them than the window has room for.
    for id in 1..=500 {
        queue.offer(&ready(id, Lane::Normal, id));
        if let Some(mut failed) = queue.take() {
            failed.state = DeliveryState::Retrying;
            failed.next = Some(Timestamp(1_000_000));
            queue.put_back(failed, true);
        }
    }
    let standing = queue.standing();
    assert_eq!(standing.backing_off, 500);
    assert!(standing.loaded <= 5, "{} loaded", standing.loaded);
    queue.offer(&ready(501, Lane::Normal, 501));
    assert_eq!(queue.take().unwrap().id.0, Id::from_i64(501));
    // When they are due, they are read again, few at a time.
    queue.wake(Timestamp(1_000_000));
    let mut under_way = 0;
    while queue.next_reload().is_some() {
        under_way += 1;
    }
    assert!((1..=20).contains(&under_way), "{under_way} reads at once");
}

#[test]
fn one_long_key_does_not_fill_the_window() {
    let mut queue = fresh(600, 1 << 20);
    for id in 1..=1_000 {
        queue.offer(&ready(id, Lane::Normal, 7));
    }
    queue.offer(&ready(1_001, Lane::Normal, 8));
    assert_eq!(queue.take().unwrap().id.0, Id::from_i64(1));
    assert_eq!(queue.take().unwrap().id.0, Id::from_i64(1_001));
    assert!(queue.standing().loaded < 20);
}

#[test]
fn bytes_are_bounded_too() {
    let mut queue = fresh(60_000, 3_000);
    for id in 1..=100 {
        let body = Sealed::from_sealed_bytes(Bytes::from(vec![0; 300]));
        queue.offer(&Ready {
            body,
            ..ready(id, Lane::Normal, id)
        });
    }
    assert_eq!(
        queue.standing().loaded,
        4,
        "the lane has a third of 3,000 bytes"
    );
}

#[test]
fn a_cancelled_delivery_in_a_read_under_way_is_not_sent() {
    let mut queue = Queue::new(60, 1 << 20);
    let lanes: Vec<(Lane, Id)> = std::iter::from_fn(|| queue.wants()).collect();
    assert_eq!(lanes.len(), 3);
    let stale = ready(5, Lane::Normal, 1);
    queue.revisit(Lane::Normal, Group::of(&stale), stale.id.0);
    queue.refill(Lane::Normal, vec![stale], false);
    assert!(queue.take().is_none());
    assert_eq!(
        queue.wants(),
        Some((Lane::Normal, Id::ZERO)),
        "it is read again instead"
    );
}

#[test]
fn a_follower_that_is_changed_does_not_hurry_its_head() {
    let mut queue = fresh(600, 1 << 20);
    queue.wake(Timestamp(0));
    queue.offer(&ready(1, Lane::Normal, 1));
    queue.offer(&ready(2, Lane::Normal, 1));
    let mut head = queue.take().unwrap();
    head.state = DeliveryState::Retrying;
    head.next = Some(Timestamp(500));
    queue.put_back(head.clone(), true);
    queue.revisit(Lane::Normal, Group::of(&head), Id::from_i64(2));
    let reload = queue.next_reload().unwrap();
    assert_eq!(reload.from, head.id.0);
    queue.reloaded(reload, vec![head], true);
    assert!(queue.take().is_none(), "it is due at 500");
    queue.wake(Timestamp(500));
    assert_eq!(queue.take().unwrap().id.0, Id::from_i64(1));
}

#[test]
fn waits_are_cut_short_when_the_other_side_is_back_but_not_those_it_asked_for() {
    let mut queue = fresh(600, 1 << 20);
    queue.wake(Timestamp(0));
    for id in 1..=3 {
        queue.offer(&ready(id, Lane::Normal, id));
        let mut failed = queue.take().unwrap();
        failed.state = DeliveryState::Retrying;
        failed.next = Some(Timestamp(1_000 - id));
        queue.put_back(failed, id != 2);
    }
    assert_eq!(queue.hasten(1), 1, "one to ask whether it is back");
    assert_eq!(queue.take().unwrap().id.0, Id::from_i64(3), "the next due");
    assert!(queue.take().is_none());
    assert_eq!(queue.hasten(usize::MAX), 1, "and then all that are ours");
    assert_eq!(queue.take().unwrap().id.0, Id::from_i64(1));
    assert_eq!(queue.hasten(usize::MAX), 0);
    assert_eq!(queue.standing().backing_off, 1);
    queue.wake(Timestamp(998));
    assert_eq!(queue.take().unwrap().id.0, Id::from_i64(2));
}

#[test]
fn a_key_that_failed_is_read_one_by_one_until_it_flows() {
    let mut queue = fresh(600, 1 << 20);
    queue.wake(Timestamp(0));
    let all: Vec<Ready> = (1..=50).map(|id| ready(id, Lane::Normal, 7)).collect();
    for one in &all {
        queue.offer(one);
    }
    let mut head = queue.take().unwrap();
    head.state = DeliveryState::Retrying;
    head.next = Some(Timestamp(10));
    queue.put_back(head, true);
    queue.wake(Timestamp(10));
    // What memory kept of it, and then the journal, twice as many at a time.
    let mut limits = Vec::new();
    let mut taken = 0;
    while taken < 50 {
        while let Some(one) = queue.take() {
            taken += 1;
            assert_eq!(one.id.0, Id::from_i64(taken));
            queue.finished(one.lane, Group::of(&one));
        }
        while let Some(reload) = queue.next_reload() {
            limits.push(reload.limit);
            let rows = all.iter().filter(|one| one.id.0 >= reload.from);
            queue.reloaded(reload, rows.take(reload.limit).cloned().collect(), false);
        }
    }
    assert_eq!(limits[..4], [1, 2, 4, 6], "{limits:?}");
}

#[test]
fn who_waits_behind_a_delivery_under_way_is_told_once() {
    let mut queue = fresh(60, 1 << 20);
    queue.offer(&ready(1, Lane::Normal, 7));
    queue.offer(&ready(2, Lane::Normal, 8));
    assert!(!queue.take_awaited());
    let head = queue.take().unwrap();
    queue.offer(&ready(3, Lane::Normal, 7));
    assert!(queue.take_awaited());
    assert!(!queue.take_awaited());
    queue.finished(head.lane, Group::of(&head));
    queue.offer(&ready(4, Lane::Normal, 7));
    assert!(!queue.take_awaited(), "nothing of its key is under way");
}

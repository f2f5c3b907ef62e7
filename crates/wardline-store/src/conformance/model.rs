//! Random histories against a naive model in memory.
//!
//! The model keeps every delivery in one map and answers every question by looking at all
//! of them. A history is run on both, the store is dropped and opened again in between, and
//! whatever the trait can be asked is compared: windows, windows of keys, stopped keys,
//! gauges, totals, groups of errors, states, instances with what they wait for, mail, and what
//! the listener heard.

mod processes;

use super::Home;
use super::build::{Heard, World, key, note, sealed};
use crate::change::{
    Acceptance, Cause, Change, KeyBegin, KeyEnd, KeyStanding, MessageRef, NewDelivery, Note,
    Operation, Outcome, SettlementResult,
};
use crate::query::{CounterKind, DeliveryFilter};
use processes::Processes;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wardline_core::{BlindIndex, DeliveryId, DeliveryState, Id, Lane, MessageId, Sym, Timestamp};

/// One step of a history. Numbers pick among what is there, so that any history makes sense.
#[derive(Debug, Clone)]
pub enum Act {
    /// Accept a message, some events and deliveries of the last of them.
    Accept {
        /// Events made from the message.
        events: u8,
        /// Destination, lane and key of each delivery; no key for 0.
        deliveries: Vec<(bool, u8, u8)>,
        /// Whether the last delivery starts dead.
        dead: bool,
        /// Key and body for recognising duplicates.
        dedup: Option<(u8, bool)>,
    },
    /// Settle a delivery.
    Settle {
        /// Which.
        pick: usize,
        /// In the state that it is in, or in another.
        right: bool,
        /// How it ends: delivered, retry, hold or dead.
        end: u8,
        /// Whether a message follows from the answer.
        follow: bool,
    },
    /// Cancel, release or park some deliveries.
    Operate {
        /// Which.
        picks: Vec<usize>,
        /// 0 cancels, 1 releases, 2 parks.
        what: u8,
    },
    /// Repeat a delivery.
    Replay {
        /// Which.
        pick: usize,
    },
    /// Begin or end a request with an idempotency key.
    Key {
        /// Which.
        key: u8,
        /// With this body.
        body: u8,
        /// `None` begins it; `Some(true)` answers it, `Some(false)` forgets it.
        end: Option<bool>,
    },
    /// An instance begins or goes on.
    Advance(Box<processes::Step>),
    /// Accept an event that somebody may wait for.
    Event {
        /// What it is about.
        value: u8,
        /// What it is.
        digest: u8,
    },
    /// Look at mail.
    Look {
        /// At which.
        pick: usize,
        /// Keep it, or put it aside.
        keep: bool,
    },
    /// A call that is refused as a whole, although its first change was sound.
    Refused,
    /// Let time pass; backwards when negative.
    Pass(i32),
    /// Drop the store and open it again.
    Reopen,
}

/// Histories of up to `most` acts.
pub fn histories(most: usize) -> impl Strategy<Value = Vec<Act>> {
    let delivery = (any::<bool>(), 0..3u8, 0..4u8);
    let accept = (
        0..3u8,
        prop::collection::vec(delivery, 0..5),
        prop::bool::weighted(0.2),
        prop::option::of((0..4u8, any::<bool>())),
    )
        .prop_map(|(events, deliveries, dead, dedup)| Act::Accept {
            events,
            deliveries,
            dead,
            dedup,
        });
    let settle = (
        any::<usize>(),
        prop::bool::weighted(0.85),
        0..4u8,
        prop::bool::weighted(0.2),
    )
        .prop_map(|(pick, right, end, follow)| Act::Settle {
            pick,
            right,
            end,
            follow,
        });
    let operate = (prop::collection::vec(any::<usize>(), 1..5), 0..3u8)
        .prop_map(|(picks, what)| Act::Operate { picks, what });
    let act = prop_oneof![
        6 => accept,
        8 => settle,
        3 => operate,
        2 => any::<usize>().prop_map(|pick| Act::Replay { pick }),
        3 => (0..3u8, 0..2u8, prop::option::of(any::<bool>()))
            .prop_map(|(key, body, end)| Act::Key { key, body, end }),
        12 => processes::acts(),
        1 => Just(Act::Refused),
        3 => (-50_000..200_000i32).prop_map(Act::Pass),
        1 => Just(Act::Reopen),
    ];
    prop::collection::vec(act, 1..most)
}

/// Runs a history on the store of a home and on the model; panics where they differ.
pub async fn check(home: Box<dyn Home>, history: &[Act]) {
    let mut run = Run {
        world: World::open(home).await,
        model: Model::default(),
        heard: Arc::new(Heard::default()),
    };
    run.world.store().listen(run.heard.clone());
    for act in history {
        run.act(act).await;
    }
    run.compare().await;
    run.reopen();
    run.compare().await;
}

#[derive(Debug, Clone)]
struct Owed {
    message: Id,
    destination: Sym,
    lane: Lane,
    key: Option<i64>,
    state: DeliveryState,
    attempts: u32,
    note: Option<Note>,
    /// Instance and number of the call that it carries out.
    call: Option<(Id, u32)>,
}

#[derive(Debug, Default)]
struct Model {
    processes: Processes,
    deliveries: BTreeMap<Id, Owed>,
    inbox: BTreeMap<u8, (bool, Id)>,
    /// Body, until, and whether it was answered.
    keys: BTreeMap<u8, (u8, Timestamp, bool)>,
    totals: BTreeMap<u8, u64>,
    heard: Vec<Id>,
    last: Id,
}

impl Model {
    fn count(&mut self, kind: CounterKind, n: u64) {
        if n > 0 {
            *self.totals.entry(kind as u8).or_default() += n;
        }
    }

    fn pick(&self, pick: usize) -> Option<Id> {
        self.deliveries
            .keys()
            .nth(pick % self.deliveries.len().max(1))
            .copied()
    }

    /// Records a block of messages and deliveries that the store put at `first`, following from
    /// the advance of an instance where there is one.
    fn accept(&mut self, first: Id, acceptance: &Acceptance, own: Option<Id>) {
        assert!(first > self.last, "{first} does not follow {}", self.last);
        let messages = acceptance.messages.len() as u32;
        for message in &acceptance.messages {
            if message.cause.is_none() {
                self.count(CounterKind::Accepted, 1);
                self.count(CounterKind::Bytes, u64::from(message.size));
            } else {
                self.count(CounterKind::Derived, 1);
            }
        }
        // Nothing here is filtered, and no message has routes of its own.
        let routed = |n: u32| {
            acceptance
                .messages
                .iter()
                .any(|message| message.cause == Some(Cause::Ordinal(n)))
                || acceptance
                    .deliveries
                    .iter()
                    .any(|delivery| delivery.message == MessageRef::Ordinal(n))
        };
        self.count(
            CounterKind::Unrouted,
            (0..messages).filter(|n| !routed(*n)).count() as u64,
        );
        self.last = first.offset(messages.saturating_sub(1));
        for (at, delivery) in (messages..).zip(&acceptance.deliveries) {
            let id = first.offset(at);
            self.last = id;
            let message = match delivery.message {
                MessageRef::Ordinal(n) => first.offset(n),
                MessageRef::Existing(MessageId(id)) => id,
            };
            let repeated = delivery
                .replay_of
                .and_then(|of| self.deliveries[&of.0].call);
            let call = delivery.call.zip(own).map(|(call, own)| (own, call.number));
            self.count(CounterKind::Owed, 1);
            if delivery.state == DeliveryState::Dead {
                self.count(CounterKind::Dead, 1);
            } else {
                self.heard.push(id);
            }
            let owed = Owed {
                message,
                destination: delivery.destination,
                lane: delivery.lane,
                key: delivery.key.as_ref().map(|key| key.index.0),
                state: delivery.state,
                attempts: 0,
                note: delivery.note.clone(),
                call: repeated.or(call),
            };
            self.deliveries.insert(id, owed);
        }
    }
}

struct Run {
    world: World,
    model: Model,
    heard: Arc<Heard>,
}

impl Run {
    fn reopen(&mut self) {
        self.world.reopen();
        self.world.store().listen(self.heard.clone());
    }

    fn acceptance(&self, events: u8, deliveries: &[(bool, u8, u8)], dead: bool) -> Acceptance {
        let world = &self.world;
        let mut messages = vec![world.message("raw")];
        messages.extend((0..u32::from(events)).map(|n| world.event("event", Cause::Ordinal(n))));
        let last = u32::from(events);
        let mut deliveries: Vec<NewDelivery> = deliveries
            .iter()
            .map(|(to_beds, lane, value)| NewDelivery {
                lane: Lane::from_u8(*lane),
                key: (*value > 0).then(|| key(i64::from(*value))),
                ..world.delivery(last, if *to_beds { world.beds } else { world.billing })
            })
            .collect();
        if let Some(last) = deliveries.last_mut().filter(|_| dead) {
            last.state = DeliveryState::Dead;
            last.note = Some(note("map failed"));
        }
        Acceptance {
            messages,
            deliveries,
            ..Default::default()
        }
    }

    async fn act(&mut self, act: &Act) {
        match act {
            Act::Accept {
                events,
                deliveries,
                dead,
                dedup,
            } => {
                let mut acceptance = self.acceptance(*events, deliveries, *dead);
                acceptance.dedup =
                    dedup.map(|(hash, body)| self.world.dedup(hash, i64::from(body), "AA"));
                let accepted = self.world.accept(acceptance.clone()).await;
                let known = dedup.and_then(|(hash, body)| {
                    self.model.inbox.get(&hash).filter(|known| known.0 == body)
                });
                assert_eq!(
                    accepted
                        .duplicate
                        .as_ref()
                        .map(|duplicate| duplicate.original.0),
                    known.map(|known| known.1)
                );
                if accepted.duplicate.is_some() {
                    self.model.count(CounterKind::Duplicate, 1);
                } else {
                    if let Some((hash, body)) = dedup {
                        self.model.inbox.insert(*hash, (*body, accepted.first));
                    }
                    self.model.accept(accepted.first, &acceptance, None);
                }
            }
            Act::Settle {
                pick,
                right,
                end,
                follow,
            } => self.settle(*pick, *right, *end, *follow).await,
            Act::Operate { picks, what } => self.operate(picks, *what).await,
            Act::Replay { pick } => {
                let Some(of) = self.model.pick(*pick) else {
                    return;
                };
                let owed = self.model.deliveries[&of].clone();
                let again = NewDelivery {
                    message: MessageRef::Existing(MessageId(owed.message)),
                    lane: Lane::Bulk,
                    key: owed.key.map(key),
                    replay_of: Some(DeliveryId(of)),
                    ..self.world.delivery(0, owed.destination)
                };
                let acceptance = Acceptance {
                    deliveries: vec![again],
                    ..Default::default()
                };
                let first = self.world.accept(acceptance.clone()).await.first;
                self.model.accept(first, &acceptance, None);
            }
            Act::Advance(step) => self.advance(step).await,
            Act::Event { value, digest } => self.event(*value, *digest).await,
            Act::Look { pick, keep } => self.look(*pick, *keep).await,
            Act::Key { key, body, end } => self.key(*key, *body, *end).await,
            Act::Refused => {
                let sound = Change::Accept(Box::new(self.world.discharge(1)));
                self.world
                    .refused(vec![sound, Change::Accept(Box::default())])
                    .await;
            }
            Act::Pass(ms) => {
                let now = self.world.now();
                self.world
                    .clock
                    .set(Timestamp(now.0 + i64::from(*ms) * 1_000));
            }
            Act::Reopen => {
                self.reopen();
                self.compare().await;
            }
        }
    }

    async fn key(&mut self, key: u8, body: u8, end: Option<bool>) {
        let now = self.world.now();
        let hash = [key; 16];
        let Some(answered) = end else {
            let until = now.after(std::time::Duration::from_secs(100));
            let begin = KeyBegin {
                hash,
                digest: [body; 16],
                until,
            };
            let known = self.model.keys.get(&key).filter(|known| known.1 > now);
            let expected = match known {
                None => KeyStanding::New,
                Some(known) if known.0 != body => KeyStanding::Different,
                Some(known) if known.2 => KeyStanding::Answered(sealed("done")),
                Some(_) => KeyStanding::Unanswered,
            };
            if expected == KeyStanding::New {
                // What has expired may be forgotten now, and stays so where the clock goes back.
                self.model.keys.retain(|_, known| known.1 > now);
                self.model.keys.insert(key, (body, until, false));
            }
            let outcomes = self.world.commit(vec![Change::BeginKey(begin)]).await;
            assert!(
                matches!(&outcomes[..], [Outcome::Key(standing)] if *standing == expected),
                "{outcomes:?}, not {expected:?}"
            );
            return;
        };
        let answer = answered.then(|| sealed("done"));
        match (self.model.keys.get_mut(&key), answered) {
            (Some(known), true) => known.2 = true,
            (Some(known), false) if !known.2 => {
                self.model.keys.remove(&key);
            }
            _ => {}
        }
        self.world
            .commit(vec![Change::EndKey(KeyEnd { hash, answer })])
            .await;
    }

    async fn settle(&mut self, pick: usize, right: bool, end: u8, follow: bool) {
        let Some(id) = self.model.pick(pick) else {
            return;
        };
        let owed = self.model.deliveries[&id].clone();
        let was = if right {
            owed.state
        } else {
            DeliveryState::ALL[(owed.state as usize + 1 + pick % 5) % DeliveryState::ALL.len()]
        };
        let why = note(["down", "refused"][pick % 2]);
        let (state, result) = match end {
            0 => (DeliveryState::Delivered, SettlementResult::Delivered),
            1 => (
                DeliveryState::Retrying,
                SettlementResult::Retry {
                    next: self.world.now(),
                    note: why.clone(),
                },
            ),
            2 => (DeliveryState::Held, SettlementResult::Hold(why.clone())),
            _ => (DeliveryState::Dead, SettlementResult::Dead(why.clone())),
        };
        let mut settlement = self.world.settlement(id, was, owed.attempts + 1, result);
        let answer = follow.then(|| Acceptance {
            messages: vec![self.world.event("answer", Cause::Existing(id))],
            deliveries: vec![self.world.keyed(0, self.world.beds, 3)],
            ..Default::default()
        });
        settlement.follow = answer.clone().map(Box::new);
        let before = self.model.heard.len();
        let settled = self.world.settle(settlement).await;
        assert_eq!(
            settled,
            was == owed.state && was.is_open(),
            "settling {id} from {was} in {}",
            owed.state
        );
        if !settled {
            return;
        }
        let entry = self.model.deliveries.entry(id).and_modify(|owed| {
            owed.state = state;
            owed.attempts += 1;
        });
        if state == DeliveryState::Delivered {
            self.model.count(CounterKind::Delivered, 1);
        } else {
            entry.and_modify(|owed| owed.note = Some(why));
            self.model.count(CounterKind::Failed, 1);
            self.model
                .count(CounterKind::Dead, u64::from(state == DeliveryState::Dead));
        }
        if let Some(call) = owed.call.filter(|_| !state.is_open()) {
            self.model.processes.call_ended(call, id, owed.message);
        }
        if let Some(answer) = answer {
            let heard = self.heard.ids();
            let delivery = *heard.get(before).expect("what follows is heard of");
            self.model
                .accept(Id::from_i64(delivery.as_i64() - 1), &answer, None);
        }
    }

    async fn operate(&mut self, picks: &[usize], what: u8) {
        let ids: Vec<Id> = picks
            .iter()
            .filter_map(|pick| self.model.pick(*pick))
            .collect();
        let deliveries = ids.iter().map(|id| DeliveryId(*id)).collect();
        let why = note("by hand");
        let operation = match what {
            0 => Operation::Cancel {
                deliveries,
                note: why.clone(),
            },
            1 => Operation::Release { deliveries },
            _ => Operation::Park {
                deliveries,
                note: why.clone(),
            },
        };
        let mut touched = 0;
        let mut released = BTreeSet::new();
        for id in ids {
            let Some(owed) = self.model.deliveries.get_mut(&id) else {
                continue;
            };
            let (kind, state) = match (what, owed.state) {
                (1, DeliveryState::Retrying | DeliveryState::Held) => {
                    (None, DeliveryState::Pending)
                }
                (0, state) if state.is_open() || state == DeliveryState::Dead => {
                    (Some(CounterKind::Cancelled), DeliveryState::Cancelled)
                }
                (2, state) if state.is_open() => (Some(CounterKind::Dead), DeliveryState::Dead),
                _ => continue,
            };
            touched += 1;
            let resolved = owed.state == DeliveryState::Dead;
            owed.state = state;
            let (call, message) = (owed.call, owed.message);
            if let Some(kind) = kind {
                owed.note = Some(why.clone());
                self.model.count(kind, 1);
                self.model.count(CounterKind::Resolved, u64::from(resolved));
                if let Some(call) = call.filter(|_| !resolved) {
                    self.model.processes.call_ended(call, id, message);
                }
            } else {
                owed.attempts = 0;
                released.insert(id);
            }
        }
        self.model.heard.extend(released);
        let outcomes = self.world.commit(vec![Change::Operate(operation)]).await;
        assert!(
            matches!(outcomes[..], [Outcome::Operated(n)] if n == touched),
            "{outcomes:?}, not {touched}"
        );
    }

    async fn compare(&self) {
        let (world, model) = (&self.world, &self.model);
        assert_eq!(self.heard.ids(), model.heard);
        for (destination, lane) in [world.billing, world.beds]
            .into_iter()
            .flat_map(|to| Lane::ALL.map(|lane| (to, lane)))
        {
            let open = |key: Option<Option<i64>>| -> Vec<(Id, DeliveryState, u32)> {
                let here = model.deliveries.iter().filter(|(_, owed)| {
                    owed.destination == destination
                        && owed.lane == lane
                        && owed.state.is_open()
                        && key.is_none_or(|key| owed.key == key)
                });
                here.map(|(id, owed)| (*id, owed.state, owed.attempts))
                    .collect()
            };
            let told = |ready: Vec<crate::Ready>| -> Vec<_> {
                ready
                    .iter()
                    .map(|ready| (ready.id.0, ready.state, ready.attempts))
                    .collect()
            };
            let window = world
                .store()
                .window(destination, lane, Id::ZERO, 10_000)
                .await
                .expect("reads");
            assert_eq!(told(window), open(None));
            for value in [None, Some(1), Some(2), Some(3)] {
                let key = value.map(BlindIndex);
                let window = world
                    .store()
                    .key_window(destination, lane, key, Id::ZERO, 10_000)
                    .await
                    .expect("reads");
                assert_eq!(told(window), open(Some(value)));
            }
        }
        self.compare_counts().await;
        self.compare_processes().await;
        let stopped = world
            .store()
            .stopped_keys(None, Id::ZERO, 10_000)
            .await
            .expect("reads");
        let stopped: Vec<_> = stopped
            .iter()
            .map(|lane| (lane.head.0, lane.state, lane.attempts, lane.note.clone()))
            .collect();
        let expected = model
            .deliveries
            .iter()
            .filter(|(_, owed)| owed.state.is_open() && owed.state != DeliveryState::Pending);
        let expected: Vec<_> = expected
            .map(|(id, owed)| {
                (
                    *id,
                    owed.state,
                    owed.attempts,
                    owed.note.clone().expect("stopped for a reason"),
                )
            })
            .collect();
        assert_eq!(stopped, expected);
        let filter = DeliveryFilter {
            limit: 10_000,
            ..Default::default()
        };
        let all = world.store().deliveries(&filter).await.expect("reads");
        let all: Vec<_> = all
            .rows
            .iter()
            .rev()
            .map(|row| (row.id.0, row.message.0, row.state, row.note.clone()))
            .collect();
        let expected: Vec<_> = model
            .deliveries
            .iter()
            .map(|(id, owed)| (*id, owed.message, owed.state, owed.note.clone()))
            .collect();
        assert_eq!(all, expected);
    }

    async fn compare_counts(&self) {
        let (world, model) = (&self.world, &self.model);
        let mut totals: BTreeMap<u8, u64> = BTreeMap::new();
        for count in world.store().totals().await.expect("reads") {
            *totals.entry(count.kind as u8).or_default() += count.count;
        }
        assert_eq!(totals, model.totals);
        let mut gauges: BTreeMap<(u32, u8, u8), i64> = BTreeMap::new();
        let mut groups: BTreeMap<(u32, i64), (u64, u64)> = BTreeMap::new();
        for owed in model.deliveries.values() {
            if owed.state.is_open() {
                *gauges
                    .entry((owed.destination.0, owed.lane.as_u8(), owed.state.as_u8()))
                    .or_default() += 1;
            }
            if let (DeliveryState::Dead | DeliveryState::Held, Some(note)) =
                (owed.state, &owed.note)
            {
                let group = groups
                    .entry((owed.destination.0, note.fingerprint))
                    .or_default();
                *if owed.state == DeliveryState::Dead {
                    &mut group.0
                } else {
                    &mut group.1
                } += 1;
            }
        }
        let told = world.store().gauges().await.expect("reads");
        let told: BTreeMap<_, _> = told
            .iter()
            .map(|g| ((g.destination.0, g.lane.as_u8(), g.state.as_u8()), g.count))
            .collect();
        assert_eq!(told, gauges);
        let told = world.store().error_groups(1_000).await.expect("reads");
        let told: BTreeMap<_, _> = told
            .iter()
            .map(|g| ((g.destination.0, g.fingerprint), (g.dead, g.held)))
            .collect();
        assert_eq!(told, groups);
        let count = |kind: CounterKind| model.totals.get(&(kind as u8)).copied().unwrap_or(0);
        let open: i64 = gauges.values().sum();
        assert_eq!(
            count(CounterKind::Owed) + count(CounterKind::Resolved),
            count(CounterKind::Delivered)
                + count(CounterKind::Dead)
                + count(CounterKind::Cancelled)
                + open as u64,
            "every delivery is at an end or open"
        );
    }
}

//! The part of the model that keeps processes: instances, what they wait for, and mail.

use super::{Act, Run};
use crate::change::{Change, Outcome};
use crate::conformance::build::key;
use crate::process::{
    Advance, Advanced, InstanceFilter, MailId, MailTo, NewMail, NewWait, Phase, TaskEnd,
    TaskFilter, WITHDRAWN, Which,
};
use crate::query::CounterKind;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use wardline_core::{BlindIndex, DeliveryState, Id, InstanceId, MessageId, Timestamp};

/// Keys that events carry and instances wait for.
const VALUES: u8 = 3;

/// What an instance does in one advance. Numbers of waits, timers, tasks and calls are the same
/// few, so that they meet.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which instance goes on; `None` begins one.
    pick: Option<usize>,
    /// Key of one that begins.
    key: u8,
    /// With the revision that it has, or with another.
    right: bool,
    /// Whether one that has ended may go on, or begin again.
    again: bool,
    /// Where it stands then.
    phase: u8,
    /// Mail that it takes.
    take: Option<usize>,
    /// A timer that it takes.
    fire: Option<u8>,
    /// A wait that ends, and one that begins.
    waits: (Option<u8>, Option<(u8, u8)>),
    /// Whether the wait has seen all mail that there is.
    seen: bool,
    /// A timer that is no longer needed, and one that is set.
    timers: (Option<u8>, Option<(u8, u8)>),
    /// A task that ends, and one that begins.
    tasks: (Option<u8>, Option<u8>),
    /// A call that is withdrawn, and one that is made.
    calls: (Option<u8>, Option<u8>),
}

/// Acts of processes.
pub(super) fn acts() -> impl Strategy<Value = Act> {
    let number = || prop::option::weighted(0.3, 0..2u8);
    let step = (
        (
            prop::option::weighted(0.7, any::<usize>()),
            0..3u8,
            prop::bool::weighted(0.9),
            prop::bool::weighted(0.7),
            0..10u8,
            prop::option::weighted(0.3, any::<usize>()),
            prop::option::weighted(0.15, 0..2u8),
        ),
        (
            (number(), prop::option::weighted(0.6, (0..2u8, 0..VALUES))),
            any::<bool>(),
            (number(), prop::option::weighted(0.5, (0..2u8, 0..4u8))),
            (number(), number()),
            (number(), number()),
        ),
    )
        .prop_map(
            |(
                (pick, key, right, again, phase, take, fire),
                (waits, seen, timers, tasks, calls),
            )| Step {
                pick,
                key,
                right,
                again,
                phase,
                take,
                fire,
                waits,
                seen,
                timers,
                tasks,
                calls,
            },
        )
        .prop_map(|step| Act::Advance(Box::new(step)));
    prop_oneof![
        6 => step,
        3 => (0..VALUES, 0..4u8).prop_map(|(value, digest)| Act::Event { value, digest }),
        3 => (any::<usize>(), prop::bool::weighted(0.7))
            .prop_map(|(pick, keep)| Act::Look { pick, keep }),
    ]
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Instance {
    revision: u64,
    key: i64,
    phase: Phase,
    /// Value and number.
    waits: BTreeSet<(i64, u32)>,
    timers: BTreeMap<u32, Timestamp>,
    /// Number, and whether it is open.
    tasks: Vec<(u32, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    New,
    Kept,
    Taken,
}

#[derive(Debug, Clone)]
struct Letter {
    to: MailTo,
    message: Id,
    digest: Option<i64>,
    looked: Looked,
}

/// What the model keeps of processes.
#[derive(Debug, Default)]
pub(super) struct Processes {
    instances: BTreeMap<Id, Instance>,
    letters: BTreeMap<i64, Letter>,
}

impl Processes {
    /// The delivery of a call has ended.
    pub(super) fn call_ended(&mut self, (instance, call): (Id, u32), delivery: Id, message: Id) {
        let to = MailTo::Instance {
            instance: InstanceId(instance),
            call,
            delivery: wardline_core::DeliveryId(delivery),
        };
        self.post(to, message, None);
    }

    fn post(&mut self, to: MailTo, message: Id, digest: Option<i64>) {
        let id = self.letters.len() as i64 + 1;
        let letter = Letter {
            to,
            message,
            digest,
            looked: Looked::New,
        };
        self.letters.insert(id, letter);
    }

    fn letter(&self, pick: usize) -> Option<i64> {
        (!self.letters.is_empty()).then(|| (pick % self.letters.len()) as i64 + 1)
    }

    fn instance(&self, pick: usize) -> Option<Id> {
        let among = self.instances.len().max(1);
        self.instances.keys().nth(pick % among).copied()
    }

    /// Whether an instance with a key keeps another from being open.
    fn taken(&self, key: i64, again: bool) -> bool {
        self.instances
            .values()
            .any(|known| known.key == key && (known.phase.is_open() || !again))
    }

    /// Whether everything that an advance rests on still holds.
    fn holds(&self, advance: &Advance) -> bool {
        let own = match &advance.which {
            Which::New { key, again, .. } => {
                if self.taken(key.index.0, *again) {
                    return false;
                }
                None
            }
            Which::Existing {
                id,
                revision,
                reopen,
            } => {
                let known = &self.instances[&id.0];
                let open = known.phase.is_open() || (*reopen && !self.taken(known.key, true));
                if known.revision != *revision || !open {
                    return false;
                }
                Some(id.0)
            }
        };
        let mine = |to: &MailTo| match to {
            MailTo::Waiting { .. } => true,
            MailTo::Instance { instance, .. } => Some(instance.0) == own,
        };
        advance.take.iter().all(|mail| {
            let letter = &self.letters[&mail.0];
            letter.looked != Looked::Taken && mine(&letter.to)
        }) && advance
            .fire
            .iter()
            .all(|number| own.is_some_and(|own| self.instances[&own].timers.contains_key(number)))
    }

    /// Does what an advance says; whether mail is there for a wait that began.
    fn apply(&mut self, id: Id, advance: &Advance) -> bool {
        for MailId(mail) in &advance.take {
            if let Some(letter) = self.letters.get_mut(mail) {
                letter.looked = Looked::Taken;
            }
        }
        let own = self.instances.entry(id).or_insert_with(|| Instance {
            revision: 0,
            key: match &advance.which {
                Which::New { key, .. } => key.index.0,
                Which::Existing { .. } => unreachable!("it is known"),
            },
            phase: advance.phase,
            waits: BTreeSet::new(),
            timers: BTreeMap::new(),
            tasks: Vec::new(),
        });
        own.revision += 1;
        own.phase = advance.phase;
        own.waits
            .retain(|(_, number)| !advance.unwait.contains(number));
        own.timers
            .retain(|number, _| !advance.fire.contains(number) && !advance.unset.contains(number));
        let ended = !advance.phase.is_open();
        if ended {
            own.waits.clear();
            own.timers.clear();
        }
        for (number, open) in &mut own.tasks {
            *open &= !ended && !advance.answer.iter().any(|end| end.number == *number);
        }
        own.waits
            .extend(advance.wait.iter().map(|wait| (wait.key.0, wait.number)));
        own.timers
            .extend(advance.set.iter().map(|timer| (timer.number, timer.due)));
        own.tasks
            .extend(advance.ask.iter().map(|task| (task.number, true)));
        let mut there = false;
        for wait in &advance.wait {
            for (id, letter) in &mut self.letters {
                if *id > wait.seen.0
                    && letter.looked != Looked::Taken
                    && matches!(letter.to, MailTo::Waiting { key, .. } if key == wait.key)
                {
                    letter.looked = Looked::New;
                    there = true;
                }
            }
        }
        there
    }

    /// Who waits for a value, oldest first.
    fn waiting(&self, value: i64) -> Vec<(InstanceId, u32)> {
        let waits = self.instances.iter().flat_map(|(id, known)| {
            let here = known.waits.iter().filter(move |(key, _)| *key == value);
            here.map(|(_, number)| (InstanceId(*id), *number))
        });
        waits.collect()
    }
}

impl Run {
    /// Events of the model are kept for ever: what is forgotten, and when, has cases of its own.
    fn for_ever(&self) -> Timestamp {
        self.world.now().after(Duration::from_secs(1_000_000_000))
    }

    pub(super) async fn event(&mut self, value: u8, digest: u8) {
        let mut event = self.world.event_for(i64::from(value), i64::from(digest));
        event.mail[0].until = self.for_ever();
        let first = self.world.accept(event.clone()).await.first;
        self.model.accept(first, &event, None);
        let NewMail {
            correlator,
            key,
            digest,
            ..
        } = event.mail[0];
        let to = MailTo::Waiting { correlator, key };
        let processes = &mut self.model.processes;
        let known = |letter: &Letter| letter.to == to && letter.digest == Some(digest);
        if processes.letters.values().any(known) {
            self.model.count(CounterKind::MailDuplicate, 1);
        } else {
            processes.post(to, first.offset(1), Some(digest));
        }
    }

    pub(super) async fn look(&mut self, pick: usize, keep: bool) {
        let processes = &mut self.model.processes;
        let Some(mail) = processes.letter(pick) else {
            return;
        };
        if !keep {
            if let Some(letter) = processes.letters.get_mut(&mail) {
                letter.looked = Looked::Taken;
            }
            self.world.commit(vec![Change::Discard(MailId(mail))]).await;
            return;
        }
        let letter = processes.letters[&mail].clone();
        let waits = match letter.to {
            MailTo::Waiting { key, .. } if letter.looked != Looked::Taken => {
                processes.waiting(key.0).first().copied()
            }
            _ => None,
        };
        if waits.is_none()
            && letter.looked == Looked::New
            && let Some(letter) = processes.letters.get_mut(&mail)
        {
            letter.looked = Looked::Kept;
        }
        let outcomes = self
            .world
            .commit(vec![Change::Keep {
                mail: MailId(mail),
                unwilling: Vec::new(),
            }])
            .await;
        let [Outcome::Kept(told)] = outcomes[..] else {
            panic!("{outcomes:?}")
        };
        assert_eq!(told.map(|wait| (wait.instance, wait.number)), waits);
    }

    pub(super) async fn advance(&mut self, step: &Step) {
        let advance = self.step(step);
        let holds = self.model.processes.holds(&advance);
        let advanced = self.world.try_advance(advance.clone()).await;
        let Advanced::Done {
            instance,
            revision,
            first,
            mail,
        } = advanced
        else {
            assert!(!holds, "{advance:?} was stale");
            return;
        };
        assert!(holds, "{advance:?} was not stale");
        let is_new = matches!(advance.which, Which::New { .. });
        if is_new {
            assert!(instance.0 > self.model.last);
            self.model.last = instance.0;
        }
        let expected = self.model.processes.apply(instance.0, &advance);
        assert_eq!(mail, expected, "{advance:?}");
        assert_eq!(
            revision,
            self.model.processes.instances[&instance.0].revision
        );
        if !is_new {
            self.withdraw(instance.0, &advance.withdraw);
        }
        match (first, &advance.follow) {
            (Some(first), Some(follow)) => self.model.accept(first, follow, Some(instance.0)),
            (None, None) => {}
            other => panic!("{other:?}"),
        }
    }

    fn withdraw(&mut self, instance: Id, calls: &[u32]) {
        let mut withdrawn = 0;
        for owed in self.model.deliveries.values_mut() {
            if owed.state.is_open()
                && owed
                    .call
                    .is_some_and(|(id, call)| id == instance && calls.contains(&call))
            {
                owed.state = DeliveryState::Cancelled;
                owed.note = Some(crate::Note {
                    code: WITHDRAWN.into(),
                    text: "withdrawn by the process that asked for it".into(),
                    fingerprint: 0,
                });
                withdrawn += 1;
            }
        }
        self.model.count(CounterKind::Cancelled, withdrawn);
    }

    /// The advance that a step stands for.
    fn step(&self, step: &Step) -> Advance {
        let world = &self.world;
        let number = |n: &Option<u8>| n.iter().map(|n| u32::from(*n)).collect::<Vec<_>>();
        let going_on = step
            .pick
            .and_then(|pick| self.model.processes.instance(pick));
        let which = match going_on {
            Some(id) => Which::Existing {
                id: InstanceId(id),
                revision: self.model.processes.instances[&id].revision + u64::from(!step.right),
                reopen: step.again,
            },
            None => Which::New {
                process: world.source,
                key: key(i64::from(step.key)),
                again: step.again,
            },
        };
        let mut advance = world.advance(which);
        // Half of them go on running.
        advance.phase = Phase::ALL[usize::from(step.phase).saturating_sub(4)];
        let letter = step.take.and_then(|pick| self.model.processes.letter(pick));
        advance.take = letter.into_iter().map(MailId).collect();
        advance.fire = number(&step.fire);
        advance.unwait = number(&step.waits.0);
        advance.unset = number(&step.timers.0);
        advance.withdraw = number(&step.calls.0);
        advance.answer = number(&step.tasks.0)
            .into_iter()
            .map(|number| TaskEnd {
                number,
                by: "anna".into(),
                choice: "yes".into(),
            })
            .collect();
        if advance.phase.is_open() {
            let wait = step.waits.1;
            advance.wait = wait
                .map(|(number, value)| NewWait {
                    seen: MailId(if step.seen { i64::MAX } else { 0 }),
                    ..world.wait_for(number.into(), value.into())
                })
                .into_iter()
                .collect();
            let timer = step.timers.1;
            advance.set = timer
                .map(|(number, after)| world.timer(number.into(), u64::from(after) * 100))
                .into_iter()
                .collect();
            let ask = number(&step.tasks.1).into_iter();
            advance.ask = ask
                .map(|number| world.question(number, world.beds))
                .collect();
        }
        advance.follow = step
            .calls
            .1
            .map(|call| Box::new(world.call(u32::from(call))));
        advance
    }

    pub(super) async fn compare_processes(&self) {
        let (store, model) = (self.world.store(), &self.model.processes);
        for value in 0..i64::from(VALUES) {
            assert_eq!(self.world.waiting(value).await, model.waiting(value));
            let untaken = model.letters.iter().filter(|(_, letter)| {
                letter.looked != Looked::Taken
                    && matches!(letter.to, MailTo::Waiting { key, .. } if key == BlindIndex(value))
            });
            let untaken: Vec<_> = untaken.map(|(id, _)| MailId(*id)).collect();
            assert_eq!(self.world.mail_of(value).await, untaken);
        }
        let unread = self.world.unread().await;
        let new = model
            .letters
            .iter()
            .filter(|(_, l)| l.looked == Looked::New);
        let new: Vec<_> = new
            .map(|(id, letter)| (MailId(*id), letter.to, MessageId(letter.message)))
            .collect();
        let told: Vec<_> = unread
            .iter()
            .map(|mail| (mail.id, mail.to, mail.message))
            .collect();
        assert_eq!(told, new);
        let all: Vec<_> = model.letters.keys().map(|id| MailId(*id)).collect();
        assert_eq!(self.heard.mail(), all, "each was told of once, in order");
        let timers = store
            .timers(Timestamp(i64::MAX), None, 10_000)
            .await
            .expect("reads");
        let mut expected: Vec<_> = model
            .instances
            .iter()
            .flat_map(|(id, known)| known.timers.iter().map(|(n, due)| (*due, *id, *n)))
            .collect();
        expected.sort_unstable();
        let timers: Vec<_> = timers
            .iter()
            .map(|timer| (timer.due, timer.instance.0, timer.number))
            .collect();
        assert_eq!(timers, expected);
        let filter = InstanceFilter {
            limit: 10_000,
            ..InstanceFilter::default()
        };
        let rows = store.instances(&filter).await.expect("reads").rows;
        let rows: Vec<_> = rows
            .iter()
            .rev()
            .map(|row| (row.id.0, row.revision, row.key.index.0, row.phase))
            .collect();
        let expected: Vec<_> = model
            .instances
            .iter()
            .map(|(id, known)| (*id, known.revision, known.key, known.phase))
            .collect();
        assert_eq!(rows, expected);
        for phase in Phase::ALL {
            let here = model
                .instances
                .values()
                .filter(|known| known.phase == phase);
            assert_eq!(self.world.counted(phase).await, here.count() as u64);
        }
        for (id, known) in &model.instances {
            let filter = TaskFilter {
                instance: Some(InstanceId(*id)),
                ..TaskFilter::default()
            };
            let tasks = store.tasks(&filter).await.expect("reads").rows;
            let tasks: Vec<_> = tasks
                .iter()
                .rev()
                .map(|task| (task.number, task.ended.is_none()))
                .collect();
            let newest = known.tasks.len().saturating_sub(50);
            assert_eq!(tasks, known.tasks[newest..]);
        }
    }
}

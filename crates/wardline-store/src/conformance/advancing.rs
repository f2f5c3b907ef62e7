//! Cases about instances: beginning, advancing, coming too late, ending.

use super::build::{World, key, note, sealed};
use super::process::{Postman, line};
use super::{Home, list};
use crate::StoreError;
use crate::change::{Acceptance, Change, Outcome};
use crate::process::{
    Advance, Advanced, InstanceFilter, InstanceRow, MailId, Phase, TaskFilter, TimerRow, Which,
};
use crate::query::TimeRange;
use std::sync::Arc;
use wardline_core::{BlindIndex, Id, InstanceId, Sealed, Timestamp};

list![
    an_instance_begins_and_advances_as_a_whole,
    what_comes_too_late_changes_nothing,
    a_key_has_one_open_instance,
    an_instance_that_ended_waits_for_nothing_and_may_be_opened_again,
    timers_come_in_order_and_are_taken_once,
    instances_are_found_by_what_they_are,
    what_contradicts_itself_is_refused_with_its_call,
    as_much_as_may_be_recorded_at_once_is_and_no_more,
];

/// The most waits, timers, tasks and the like of one advance.
const MOST: u32 = 65_536;

async fn an_instance_begins_and_advances_as_a_whole(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let role = world.name("role/buyer").await;
    let mut begin = world.begin(1);
    begin.status = Some(role);
    begin.summary = Some(sealed("12.50"));
    begin.wait = vec![world.wait_for(1, 7)];
    begin.set = vec![world.timer(1, 60_000)];
    begin.history = vec![line("order", "began"), line("order/wait", "waiting")];
    let began = world.now();
    let Advanced::Done {
        instance,
        revision: 1,
        first: None,
        mail: false,
    } = world.try_advance(begin).await
    else {
        panic!("it begins")
    };
    world.pass(5);
    let mut on = world.on(instance).await;
    on.phase = Phase::Stuck;
    on.status = None;
    on.note = Some(note("no answer"));
    on.owner = Some(role);
    on.due = Some(world.now());
    on.state = sealed("state 2");
    on.unwait = vec![1];
    on.wait = vec![world.wait_for(2, 8)];
    on.unset = vec![1];
    on.history = vec![line("call", "failed")];
    on.follow = Some(Box::new(world.call(3)));
    let Advanced::Done {
        revision: 2,
        first: Some(first),
        ..
    } = world.try_advance(on).await
    else {
        panic!("it advances")
    };
    assert!(first > instance.0);
    for _ in 0..2 {
        let row = world.instance(instance).await;
        let InstanceRow {
            revision: 2,
            phase: Phase::Stuck,
            status: None,
            summary: None,
            ended: None,
            ..
        } = row
        else {
            panic!("{row:?}")
        };
        assert_eq!((row.process, row.definition), (world.source, world.flow));
        assert_eq!((row.key, row.note), (key(1), Some(note("no answer"))));
        assert_eq!((row.owner, row.step), (Some(role), Some(world.kind)));
        assert_eq!((row.began, row.due), (began, Some(world.now())));
        assert_eq!((row.advanced, row.since), (world.now(), world.now()));
        let state = world.store().instance_state(instance).await.expect("reads");
        assert_eq!(state, Some(sealed("state 2")));
        assert_eq!(world.waiting(7).await, []);
        assert_eq!(world.waiting(8).await, [(instance, 2)]);
        assert_eq!(world.store().next_timer(None).await.expect("reads"), None);
        let lines = world
            .store()
            .history(instance, 0, 100)
            .await
            .expect("reads");
        let told: Vec<_> = lines
            .iter()
            .map(|row| (row.revision, row.line.step.as_str(), row.at))
            .collect();
        let now = world.now();
        assert_eq!(
            told,
            [
                (1, "order", began),
                (1, "order/wait", began),
                (2, "call", now)
            ]
        );
        let later = world.store().history(instance, 1, 1).await.expect("reads");
        assert_eq!(later.len(), 1);
        let calls = world.store().calls(instance).await.expect("reads");
        let calls: Vec<_> = calls.iter().map(|(call, row)| (*call, row.id.0)).collect();
        assert_eq!(calls, [(3, first.offset(1))]);
        assert_eq!(world.window_ids(world.billing).await, [first.offset(1)]);
        let counts = world.store().instance_counts().await.expect("reads");
        assert_eq!(counts.len(), 1);
        assert_eq!((counts[0].phase, counts[0].status), (Phase::Stuck, None));
        assert_eq!((counts[0].count, counts[0].process), (1, world.source));
        world.reopen();
    }
}

async fn what_comes_too_late_changes_nothing(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let mut begin = world.begin(1);
    begin.set = vec![world.timer(1, 10)];
    let (id, _) = world.advanced(begin).await;
    world.accept(world.event_for(7, 1)).await;
    let mail = world.unread().await[0].id;
    let sound = world.on(id).await;
    let stale = |change: &dyn Fn(&mut Advance)| {
        let mut advance = sound.clone();
        advance.state = sealed("too late");
        advance.take = vec![mail];
        advance.fire = vec![1];
        advance.wait = vec![world.wait_for(9, 9)];
        advance.follow = Some(Box::new(world.call(1)));
        change(&mut advance);
        advance
    };
    let advances = [
        stale(&|advance| {
            advance.which = Which::Existing {
                id,
                revision: 2,
                reopen: true,
            };
        }),
        stale(&|advance| {
            advance.which = Which::Existing {
                id: InstanceId(id.0.offset(1)),
                revision: 1,
                reopen: true,
            };
        }),
        stale(&|advance| advance.take.push(MailId(mail.0 + 1))),
        stale(&|advance| advance.fire.push(2)),
        stale(&|advance| {
            advance.which = Which::New {
                process: world.source,
                key: key(2),
                again: true,
            };
        }),
    ];
    for advance in advances {
        // What is committed with it stands all the same.
        let changes = vec![
            Change::Advance(Box::new(advance)),
            Change::Accept(Box::new(world.discharge(1))),
        ];
        let outcomes = world.commit(changes).await;
        assert!(
            matches!(
                outcomes[..],
                [Outcome::Advanced(Advanced::Stale), Outcome::Accepted(_)]
            ),
            "{outcomes:?}"
        );
    }
    let row = world.instance(id).await;
    assert_eq!(row.revision, 1);
    let state = world.store().instance_state(id).await.expect("reads");
    assert_eq!(state, Some(sealed("state")));
    assert_eq!(world.waiting(9).await, []);
    assert_eq!(world.unread().await.len(), 1);
    assert_eq!(world.store().calls(id).await.expect("reads").len(), 0);
    assert_eq!(world.counted(Phase::Running).await, 1);
    assert_eq!(world.window_ids(world.billing).await.len(), 5);
    // Of two that read the same, one is done; and a lease of another time does nothing.
    assert!(matches!(
        world.try_advance(sound.clone()).await,
        Advanced::Done { revision: 2, .. }
    ));
    assert_eq!(world.try_advance(sound).await, Advanced::Stale);
    let next = world.on(id).await;
    world.reopen();
    assert_eq!(world.try_advance(next).await, Advanced::Stale);
}

async fn a_key_has_one_open_instance(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let first = world.begun(1).await;
    assert_eq!(world.try_advance(world.begin(1)).await, Advanced::Stale);
    let other = Advance {
        which: Which::New {
            process: world.flow,
            key: key(1),
            again: false,
        },
        ..world.begin(1)
    };
    let (elsewhere, _) = world.advanced(other).await;
    let mut end = world.on(first).await;
    end.phase = Phase::Completed;
    world.advanced(end).await;
    let once = Advance {
        which: Which::New {
            process: world.source,
            key: key(1),
            again: false,
        },
        ..world.begin(1)
    };
    assert_eq!(world.try_advance(once).await, Advanced::Stale);
    // Twice in one call: the first of them begins.
    let twice = || Change::Advance(Box::new(world.begin(1)));
    let outcomes = world.commit(vec![twice(), twice()]).await;
    let [
        Outcome::Advanced(Advanced::Done { instance, .. }),
        Outcome::Advanced(Advanced::Stale),
    ] = outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    let of = async |process| {
        let rows = world.store().instances_of(process, BlindIndex(1), 10).await;
        let rows = rows.expect("reads");
        rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(of(world.source).await, [instance, first]);
    assert_eq!(of(world.flow).await, [elsewhere]);
}

async fn an_instance_that_ended_waits_for_nothing_and_may_be_opened_again(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let role = world.name("role/buyer").await;
    let mut begin = world.begin(1);
    begin.wait = vec![world.wait_for(1, 7), world.wait_for(2, 8)];
    begin.set = vec![world.timer(1, 10)];
    begin.ask = vec![world.question(1, role)];
    let (id, _) = world.advanced(begin).await;
    let running = world.on(id).await;
    let mut end = running.clone();
    end.phase = Phase::Failed;
    end.status = Some(role);
    world.pass(9);
    world.advanced(end).await;
    for value in [7, 8] {
        assert_eq!(world.waiting(value).await, []);
    }
    assert_eq!(world.store().next_timer(None).await.expect("reads"), None);
    let tasks = world
        .store()
        .tasks(&TaskFilter::default())
        .await
        .expect("reads");
    let [task] = &tasks.rows[..] else {
        panic!("{tasks:?}")
    };
    assert_eq!(
        (task.ended, &task.by, &task.choice),
        (Some(world.now()), &None, &None)
    );
    assert_eq!(world.instance(id).await.ended, Some(world.now()));
    let again = world.on(id).await;
    let on = |reopen| Advance {
        phase: Phase::Running,
        which: Which::Existing {
            id,
            revision: 2,
            reopen,
        },
        wait: vec![world.wait_for(1, 7)],
        ..again.clone()
    };
    assert_eq!(world.try_advance(on(false)).await, Advanced::Stale);
    // While another has the key it stays as it is.
    let other = world.begun(1).await;
    assert_eq!(world.try_advance(on(true)).await, Advanced::Stale);
    let mut end = world.on(other).await;
    end.phase = Phase::Cancelled;
    end.state = Sealed::default();
    world.advanced(end).await;
    assert_eq!(
        world.store().instance_state(other).await.expect("reads"),
        None
    );
    world.advanced(on(true)).await;
    let row = world.instance(id).await;
    assert_eq!(
        (row.phase, row.ended, row.revision),
        (Phase::Running, None, 3)
    );
    assert_eq!(world.waiting(7).await, [(id, 1)]);
    for (phase, n) in [
        (Phase::Running, 1),
        (Phase::Failed, 0),
        (Phase::Cancelled, 1),
    ] {
        assert_eq!(world.counted(phase).await, n, "{phase:?}");
    }
}

async fn timers_come_in_order_and_are_taken_once(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let postman = Arc::new(Postman::default());
    world.store().listen(postman.clone());
    let start = world.now();
    let mut expected = Vec::new();
    for value in 0..3 {
        let mut begin = world.begin(value);
        begin.set = vec![
            world.timer(2, 500),
            world.timer(1, 100 * (3 - value as u64)),
        ];
        let timers = begin.set.clone();
        let (instance, _) = world.advanced(begin).await;
        expected.extend(timers.iter().map(|timer| TimerRow {
            due: timer.due,
            instance,
            number: timer.number,
        }));
    }
    expected.sort_unstable();
    let at = |ms: i64| Timestamp(start.0 + ms * 1_000);
    assert_eq!(*postman.timed.lock(), [at(300), at(200), at(100)]);
    let mut met = Vec::new();
    loop {
        let after = met.last().copied();
        let page = world
            .store()
            .timers(at(500), after, 2)
            .await
            .expect("reads");
        if page.is_empty() {
            break;
        }
        met.extend(page);
    }
    assert_eq!(met, expected);
    let due = world
        .store()
        .timers(at(200), None, 10)
        .await
        .expect("reads");
    assert_eq!(due, expected[..2]);
    let next = |after| world.store().next_timer(after);
    assert_eq!(next(None).await.expect("reads"), Some(at(100)));
    assert_eq!(next(Some(at(300))).await.expect("reads"), Some(at(500)));
    assert_eq!(next(Some(at(500))).await.expect("reads"), None);
    // One is taken, another moves; taking it again comes too late.
    let first = expected[0];
    let mut on = world.on(first.instance).await;
    on.fire = vec![first.number];
    on.set = vec![world.timer(2, 50)];
    world.advanced(on).await;
    let mut again = world.on(first.instance).await;
    again.fire = vec![first.number];
    assert_eq!(world.try_advance(again).await, Advanced::Stale);
    let all = world
        .store()
        .timers(at(500), None, 10)
        .await
        .expect("reads");
    assert_eq!(all.len(), 5);
    assert_eq!((all[0].due, all[0].number), (at(50), 2));
    assert_eq!(postman.timed.lock().last(), Some(&at(50)));
}

async fn instances_are_found_by_what_they_are(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let mut names = Vec::new();
    for name in ["matched", "paid", "role/buyer", "role/payer", "north"] {
        names.push(world.name(name).await);
    }
    let [matched, paid, buyer, payer, north] = names[..] else {
        unreachable!("five names were interned")
    };
    let start = world.now();
    let mut all = Vec::new();
    for value in 0..40i64 {
        let mut begin = world.begin(value % 20 + 100 * (value / 20));
        let process = if value % 2 == 0 {
            world.source
        } else {
            world.flow
        };
        begin.which = Which::New {
            process,
            key: key(value / 2),
            again: true,
        };
        begin.definition = if value % 5 == 0 {
            world.beds
        } else {
            world.billing
        };
        begin.phase = Phase::ALL[value as usize % 6];
        begin.status = [None, Some(matched), Some(paid)][value as usize % 3];
        begin.owner = [Some(buyer), Some(payer)]
            .get(value as usize % 3)
            .copied()
            .flatten();
        begin.facility = (value % 4 == 0).then_some(north);
        begin.due = (value % 3 != 1).then(|| Timestamp(start.0 + value * 1_000_000));
        let (id, _) = world.advanced(begin).await;
        all.push(world.instance(id).await);
        world.pass(1_000);
    }
    all.reverse();
    let some = InstanceFilter {
        limit: 3,
        ..InstanceFilter::default()
    };
    let middle = Timestamp(start.0 + 20_000_000);
    let open = vec![Phase::Running, Phase::Asking, Phase::Stuck];
    let mut filters = vec![some.clone()];
    for filter in 0..14 {
        let mut one = some.clone();
        match filter {
            0 => one.process = Some(world.source),
            1 => one.phases.clone_from(&open),
            2 => one.phases = vec![Phase::Completed],
            3 => one.status = Some(paid),
            4 => one.owner = Some(payer),
            5 => one.facility = Some(north),
            6 => one.due_before = Some(middle),
            7 => one.key = Some(BlindIndex(4)),
            8 => one.definition = Some(world.beds),
            9 => {
                one.range = TimeRange {
                    from: Some(middle),
                    to: None,
                };
            }
            10 => (one.owner, one.phases) = (Some(buyer), open.clone()),
            11 => (one.process, one.status) = (Some(world.flow), Some(matched)),
            12 => (one.process, one.key) = (Some(world.flow), Some(BlindIndex(4))),
            _ => (one.due_before, one.owner) = (Some(middle), Some(buyer)),
        }
        filters.push(one);
    }
    for filter in filters {
        let expected: Vec<Id> = all
            .iter()
            .filter(|row| {
                filter.process.is_none_or(|name| row.process == name)
                    && filter.definition.is_none_or(|name| row.definition == name)
                    && filter.key.is_none_or(|key| row.key.index == key)
                    && (filter.phases.is_empty() || filter.phases.contains(&row.phase))
                    && filter.status.is_none_or(|name| row.status == Some(name))
                    && filter
                        .facility
                        .is_none_or(|name| row.facility == Some(name))
                    && filter.owner.is_none_or(|name| row.owner == Some(name))
                    && filter.due_before.is_none_or(|before| {
                        row.phase.is_open() && row.due.is_some_and(|due| due < before)
                    })
                    && filter.range.from.is_none_or(|from| row.began >= from)
            })
            .map(|row| row.id.0)
            .collect();
        assert!(!expected.is_empty(), "{filter:?}");
        let mut found = Vec::new();
        let mut page = filter.clone();
        loop {
            let answer = world.store().instances(&page).await.expect("reads");
            assert!(answer.rows.len() <= 3);
            found.extend(answer.rows.iter().map(|row| row.id.0));
            page.before = answer.next;
            if answer.next.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{filter:?}");
    }
}

async fn what_contradicts_itself_is_refused_with_its_call(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let id = world.begun(1).await;
    let on = world.on(id).await;
    let ended = Advance {
        phase: Phase::Completed,
        wait: vec![world.wait_for(1, 1)],
        ..on.clone()
    };
    let empty = Advance {
        follow: Some(Box::default()),
        ..on.clone()
    };
    let known = Advance {
        follow: Some(Box::new(Acceptance {
            dedup: Some(world.dedup(1, 1, "")),
            ..world.call(1)
        })),
        ..on.clone()
    };
    let mut beside = world.event_for(1, 1);
    beside.mail[0].ordinal = 2;
    for change in [
        Change::Advance(Box::new(ended)),
        Change::Advance(Box::new(empty)),
        Change::Advance(Box::new(known)),
        // A call of no instance, and mail of no message.
        Change::Accept(Box::new(world.call(1))),
        Change::Accept(Box::new(beside)),
    ] {
        let sound = Change::Advance(Box::new(on.clone()));
        let error = world.refused(vec![sound, change]).await;
        assert!(matches!(error, StoreError::Invalid(_)), "{error}");
    }
    assert_eq!(
        world.instance(id).await.revision,
        1,
        "nor was the sound one"
    );
    world.advanced(on).await;
}

async fn as_much_as_may_be_recorded_at_once_is_and_no_more(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let role = world.name("role/buyer").await;
    let id = world.begun(1).await;
    let on = world.on(id).await;
    let waits = |most: u32| (1..=most).map(|n| world.wait_for(n, 1)).collect::<Vec<_>>();
    let timers = |most: u32| {
        (1..=most)
            .map(|n| world.timer(n, 60_000))
            .collect::<Vec<_>>()
    };
    let questions = |most: u32| {
        (1..=most)
            .map(|n| world.question(n, role))
            .collect::<Vec<_>>()
    };
    for (wait, set, ask) in [
        (waits(MOST + 1), Vec::new(), Vec::new()),
        (Vec::new(), timers(MOST + 1), Vec::new()),
        (waits(MOST / 2), timers(MOST / 2), questions(1)),
        // Tasks are numbered in one block of ids, which is full before.
        (Vec::new(), Vec::new(), questions(MOST)),
    ] {
        let much = Advance {
            wait,
            set,
            ask,
            ..on.clone()
        };
        let error = world.refused(vec![Change::Advance(Box::new(much))]).await;
        assert!(matches!(error, StoreError::Invalid(_)), "{error}");
    }
    assert_eq!(world.instance(id).await.revision, 1, "nothing was recorded");
    let most = Advance {
        wait: waits(1_000),
        set: timers(MOST - 2_000),
        ask: questions(1_000),
        ..on
    };
    world.advanced(most).await;
    let due = Timestamp(world.now().0 + 60_000_000);
    let timers = world.store().timers(due, None, 5_000).await;
    assert_eq!(timers.expect("reads").len(), 5_000, "and they are there");
}

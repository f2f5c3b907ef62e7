//! Cases about what becomes of deliveries: settlements, operators' acts, lanes and windows.

use super::build::{Heard, World, key, note, sealed};
use super::{Home, list};
use crate::change::{Acceptance, Cause, Change, Operation, Outcome, SettlementResult};
use crate::query::{CounterKind, LaneRow};
use DeliveryState::{Cancelled, Dead, Delivered, Held, Pending, Retrying};
use std::sync::Arc;
use wardline_core::{BlindIndex, DeliveryId, DeliveryState, Id, Lane, Timestamp};

list![
    a_delivered_delivery_leaves_the_window,
    a_lease_of_an_earlier_start_changes_nothing,
    only_the_expected_state_is_settled,
    a_retry_stops_its_key_until_it_succeeds,
    held_and_dead_are_grouped_and_counted,
    what_follows_from_an_answer_is_committed_with_it,
    release_starts_again_and_is_heard,
    cancel_and_park_end_what_is_open,
    windows_are_pages_in_order,
    the_window_of_a_key_skips_all_others,
];

async fn lanes(world: &World) -> Vec<LaneRow> {
    world
        .store()
        .stopped_keys(None, Id::ZERO, 100)
        .await
        .expect("reads")
}

async fn a_delivered_delivery_leaves_the_window(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let first = world.accept(world.discharge(1)).await.first;
    world.pass(20);
    let mut settlement = world.settlement(first.offset(2), Pending, 1, SettlementResult::Delivered);
    settlement.response = Some(sealed("yes"));
    assert!(world.settle(settlement.clone()).await);
    let row = world
        .store()
        .delivery(DeliveryId(first.offset(2)))
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(
        (row.state, row.attempts, row.status.as_deref()),
        (Delivered, 1, Some("200"))
    );
    assert_eq!(
        (row.settled, row.took_us),
        (Some(settlement.ended), Some(1_500))
    );
    assert_eq!(row.first_attempt, Some(settlement.started));
    assert!(row.has_response && row.note.is_none());
    assert_eq!(
        world.store().response(row.id).await.expect("reads"),
        Some(sealed("yes"))
    );
    assert!(world.window_ids(world.billing).await.is_empty());
    assert_eq!(world.window_ids(world.beds).await, [first.offset(3)]);
    assert_eq!(
        (
            world.gauge(world.billing, Pending).await,
            world.gauge(world.beds, Pending).await
        ),
        (0, 1)
    );
    assert_eq!(
        (
            world.total(CounterKind::Owed).await,
            world.total(CounterKind::Delivered).await
        ),
        (2, 1)
    );
    assert!(lanes(&world).await.is_empty());
}

async fn a_lease_of_an_earlier_start_changes_nothing(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let first = world.accept(world.discharge(1)).await.first;
    let late = world.settlement(first.offset(2), Pending, 1, SettlementResult::Delivered);
    world.reopen();
    assert!(world.store().lease().epoch() > late.lease.epoch());
    let mut with_more = late.clone();
    with_more.follow = Some(Box::new(world.discharge(2)));
    with_more.response = Some(sealed("late"));
    assert!(!world.settle(with_more).await);
    assert_eq!(world.state(first.offset(2)).await, Pending);
    assert_eq!(
        world.total(CounterKind::Accepted).await,
        1,
        "nothing follows from what was not settled"
    );
    assert_eq!(
        world.store().response(late.delivery).await.expect("reads"),
        None
    );
    assert!(
        world
            .settle(world.settlement(first.offset(2), Pending, 1, SettlementResult::Delivered))
            .await
    );
}

async fn only_the_expected_state_is_settled(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let first = world.accept(world.discharge(1)).await.first;
    let id = first.offset(2);
    let delivered = |was| world.settlement(id, was, 1, SettlementResult::Delivered);
    for was in [Retrying, Held, Delivered, Dead, Cancelled] {
        assert!(!world.settle(delivered(was)).await, "{was}");
    }
    assert!(world.settle(delivered(Pending)).await);
    for was in DeliveryState::ALL {
        assert!(
            !world.settle(delivered(was)).await,
            "settled twice as {was}"
        );
    }
    let unknown = world.settlement(Id::MAX, Pending, 1, SettlementResult::Delivered);
    assert!(!world.settle(unknown).await);
    assert_eq!(world.total(CounterKind::Delivered).await, 1);
}

async fn a_retry_stops_its_key_until_it_succeeds(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let first = world.accept(world.discharge(9)).await.first;
    let id = first.offset(2);
    let retry = |world: &World, was, attempt| {
        let next = Timestamp(world.now().0 + 5_000_000);
        world.settlement(
            id,
            was,
            attempt,
            SettlementResult::Retry {
                next,
                note: note("no answer"),
            },
        )
    };
    let one = retry(&world, Pending, 1);
    assert!(world.settle(one.clone()).await);
    world.pass(5_000);
    let two = retry(&world, Retrying, 2);
    assert!(world.settle(two.clone()).await);
    world.reopen();
    let stopped = lanes(&world).await;
    let [lane] = &stopped[..] else {
        panic!("one key is stopped: {stopped:?}")
    };
    assert_eq!(
        (lane.destination, lane.lane, lane.key.clone()),
        (world.billing, Lane::Normal, Some(key(9)))
    );
    assert_eq!((lane.head.0, lane.state, lane.attempts), (id, Retrying, 2));
    assert_eq!((lane.since, &lane.note), (one.ended, &note("no answer")));
    assert_eq!(lane.next, Some(Timestamp(two.ended.0 + 5_000_000)));
    let ready = world
        .store()
        .window(world.billing, Lane::Normal, Id::ZERO, 10)
        .await
        .expect("reads");
    assert_eq!(
        (ready[0].state, ready[0].attempts, ready[0].next),
        (Retrying, 2, lane.next)
    );
    assert_eq!(ready[0].first_attempt, Some(one.started));
    let trace = world
        .store()
        .trace(id, 100)
        .await
        .expect("reads")
        .expect("is there");
    let attempts: Vec<_> = trace
        .attempts
        .iter()
        .map(|a| (a.number, a.started, a.took_us, a.status.as_str()))
        .collect();
    assert_eq!(
        attempts,
        [
            (1, one.started, 1_500, "503"),
            (2, two.started, 1_500, "503")
        ]
    );
    assert_eq!(
        (
            world.gauge(world.billing, Retrying).await,
            world.gauge(world.billing, Pending).await
        ),
        (1, 0)
    );

    assert!(
        world
            .settle(world.settlement(id, Retrying, 3, SettlementResult::Delivered))
            .await
    );
    assert!(lanes(&world).await.is_empty(), "the key flows again");
    let row = world
        .store()
        .delivery(DeliveryId(id))
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(
        (row.state, row.attempts, row.first_attempt, row.next),
        (Delivered, 3, Some(one.started), None)
    );
    assert_eq!(
        row.note,
        Some(note("no answer")),
        "the last failure stays readable"
    );
    assert_eq!(
        (
            world.total(CounterKind::Failed).await,
            world.total(CounterKind::Dead).await
        ),
        (2, 0)
    );
    assert_eq!(world.gauge(world.billing, Retrying).await, 0);
}

async fn held_and_dead_are_grouped_and_counted(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let mut ids = Vec::new();
    for value in 0..5 {
        ids.push(world.accept(world.discharge(value)).await.first.offset(2));
        world.pass(1);
    }
    for (at, id) in ids.iter().enumerate() {
        let result = match at {
            0 => SettlementResult::Hold(note("account closed")),
            4 => SettlementResult::Dead(note("not a number")),
            _ => SettlementResult::Dead(note("account closed")),
        };
        assert!(
            world
                .settle(world.settlement(*id, Pending, 1, result))
                .await
        );
        world.pass(1_000);
    }
    let groups = world.store().error_groups(10).await.expect("reads");
    let seen: Vec<_> = groups
        .iter()
        .map(|g| (g.note.clone(), g.dead, g.held, g.sample.0))
        .collect();
    assert_eq!(
        seen,
        [
            (note("account closed"), 3, 1, ids[3]),
            (note("not a number"), 1, 0, ids[4])
        ]
    );
    assert!(groups[0].first < groups[0].last && groups[0].destination == world.billing);
    assert_eq!(
        (
            world.gauge(world.billing, Held).await,
            world.total(CounterKind::Dead).await
        ),
        (1, 4)
    );
    let stopped = lanes(&world).await;
    assert_eq!(
        stopped
            .iter()
            .map(|lane| (lane.head.0, lane.state))
            .collect::<Vec<_>>(),
        [(ids[0], Held)]
    );
    assert_eq!(
        world.window_ids(world.billing).await,
        [ids[0]],
        "held is still owed, dead is not"
    );

    assert!(
        world
            .settle(world.settlement(ids[0], Held, 2, SettlementResult::Delivered))
            .await
    );
    let groups = world.store().error_groups(10).await.expect("reads");
    assert_eq!(
        groups.iter().map(|g| (g.dead, g.held)).collect::<Vec<_>>(),
        [(3, 0), (1, 0)]
    );
    assert_eq!(world.store().error_groups(1).await.expect("reads").len(), 1);
}

async fn what_follows_from_an_answer_is_committed_with_it(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let heard = Arc::new(Heard::default());
    world.store().listen(heard.clone());
    let first = world.accept(world.discharge(1)).await.first;
    let id = first.offset(2);
    let mut settlement = world.settlement(id, Pending, 1, SettlementResult::Delivered);
    settlement.follow = Some(Box::new(Acceptance {
        messages: vec![world.event("answered", Cause::Existing(id))],
        deliveries: vec![world.keyed(0, world.beds, 1)],
        ..Default::default()
    }));
    assert!(world.settle(settlement).await);
    let follow = world.window_ids(world.beds).await[1];
    assert_eq!(heard.ids().last(), Some(&follow));
    let trace = world
        .store()
        .trace(follow, 100)
        .await
        .expect("reads")
        .expect("is there");
    let messages: Vec<Id> = trace.messages.iter().map(|row| row.id.0).collect();
    assert_eq!(
        messages,
        [first, first.offset(1), Id::from_i64(follow.as_i64() - 1)]
    );
    assert_eq!(trace.messages[2].cause, Some(id));
    assert_eq!(world.total(CounterKind::Derived).await, 2);
    let mut bad = world.settlement(first.offset(3), Pending, 1, SettlementResult::Delivered);
    bad.follow = Some(Box::new(Acceptance::default()));
    world.refused(vec![Change::Settle(Box::new(bad))]).await;
    assert_eq!(
        world.state(first.offset(3)).await,
        Pending,
        "refused with what follows from it"
    );
}

async fn release_starts_again_and_is_heard(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let first = world.accept(world.discharge(1)).await.first;
    let (held, open) = (first.offset(2), first.offset(3));
    assert!(
        world
            .settle(world.settlement(held, Pending, 4, SettlementResult::Hold(note("closed"))))
            .await
    );
    let heard = Arc::new(Heard::default());
    world.store().listen(heard.clone());
    let release = Operation::Release {
        deliveries: vec![DeliveryId(held), DeliveryId(open), DeliveryId(Id::MAX)],
    };
    assert!(matches!(
        world.commit(vec![Change::Operate(release)]).await[..],
        [Outcome::Operated(1)]
    ));
    let again = heard.0.lock().clone();
    assert_eq!(
        again
            .iter()
            .map(|ready| (ready.id.0, ready.state, ready.attempts))
            .collect::<Vec<_>>(),
        [(held, Pending, 0)]
    );
    assert_eq!(
        (
            again[0].body.clone(),
            again[0].first_attempt,
            again[0].key.clone()
        ),
        (sealed("event"), None, Some(key(1)))
    );
    assert!(
        lanes(&world).await.is_empty()
            && world
                .store()
                .error_groups(9)
                .await
                .expect("reads")
                .is_empty()
    );
    assert_eq!(
        (
            world.gauge(world.billing, Held).await,
            world.gauge(world.billing, Pending).await
        ),
        (0, 1)
    );
    assert!(
        world
            .settle(world.settlement(held, Pending, 1, SettlementResult::Delivered))
            .await
    );
    let trace = world
        .store()
        .trace(held, 100)
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(
        trace.attempts.len(),
        1,
        "what failed before the release is still told"
    );
}

async fn cancel_and_park_end_what_is_open(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let a = world.accept(world.discharge(1)).await.first;
    let b = world.accept(world.discharge(1)).await.first;
    let retry = SettlementResult::Retry {
        next: world.now(),
        note: note("down"),
    };
    assert!(
        world
            .settle(world.settlement(a.offset(2), Pending, 1, retry))
            .await
    );
    assert!(
        world
            .settle(world.settlement(b.offset(2), Pending, 1, SettlementResult::Delivered))
            .await
    );
    world.pass(50);
    let ids = |ids: &[Id]| ids.iter().map(|id| DeliveryId(*id)).collect::<Vec<_>>();
    let cancel = Operation::Cancel {
        deliveries: ids(&[a.offset(2), b.offset(2)]),
        note: note("by anna"),
    };
    let park = Operation::Park {
        deliveries: ids(&[a.offset(3), a.offset(3)]),
        note: note("by otto"),
    };
    let outcomes = world
        .commit(vec![Change::Operate(cancel), Change::Operate(park)])
        .await;
    assert!(
        matches!(outcomes[..], [Outcome::Operated(1), Outcome::Operated(1)]),
        "ends are final: {outcomes:?}"
    );
    let cancelled = world
        .store()
        .delivery(DeliveryId(a.offset(2)))
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(
        (cancelled.state, cancelled.attempts, cancelled.note),
        (Cancelled, 1, Some(note("by anna")))
    );
    assert_eq!(
        (cancelled.settled, cancelled.next),
        (Some(world.now()), None)
    );
    assert_eq!(world.state(a.offset(3)).await, Dead);
    assert_eq!(world.state(b.offset(2)).await, Delivered);
    assert!(lanes(&world).await.is_empty());
    assert_eq!(world.window_ids(world.billing).await, []);
    assert_eq!(world.window_ids(world.beds).await, [b.offset(3)]);
    assert_eq!(
        (
            world.total(CounterKind::Cancelled).await,
            world.total(CounterKind::Dead).await
        ),
        (1, 1)
    );
    assert_eq!(
        world.gauge(world.billing, Retrying).await + world.gauge(world.billing, Pending).await,
        0
    );
}

async fn windows_are_pages_in_order(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let mut expected = Vec::new();
    for value in 0..25 {
        let mut acceptance = world.discharge(value % 3);
        acceptance.deliveries[1].lane = Lane::Realtime;
        expected.push(world.accept(acceptance).await.first.offset(2));
    }
    for id in expected.iter().skip(1).step_by(5) {
        assert!(
            world
                .settle(world.settlement(*id, Pending, 1, SettlementResult::Delivered))
                .await
        );
    }
    expected = expected
        .into_iter()
        .enumerate()
        .filter(|(at, _)| at % 5 != 1)
        .map(|(_, id)| id)
        .collect();
    let (mut after, mut seen) = (Id::ZERO, Vec::new());
    loop {
        let page = world
            .store()
            .window(world.billing, Lane::Normal, after, 7)
            .await
            .expect("reads");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 7 && page.iter().all(|ready| ready.body == sealed("event")));
        after = last.id.0;
        seen.extend(page.iter().map(|ready| ready.id.0));
    }
    assert_eq!(seen, expected);
    let urgent = world
        .store()
        .window(world.beds, Lane::Realtime, Id::ZERO, 100)
        .await
        .expect("reads");
    assert_eq!(urgent.len(), 25);
    assert!(
        world.window_ids(world.beds).await.is_empty(),
        "lanes are apart"
    );
}

async fn the_window_of_a_key_skips_all_others(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let mut of_seven = Vec::new();
    let mut without = Vec::new();
    for n in 0..60 {
        let mut acceptance = world.discharge(if n % 6 == 3 { 7 } else { n });
        if n % 10 == 0 {
            acceptance.deliveries[0].key = None;
        }
        let id = world.accept(acceptance).await.first.offset(2);
        if n % 10 == 0 {
            without.push(id);
        } else if n % 6 == 3 || n == 7 {
            of_seven.push(id);
        }
    }
    let world = &world;
    let read = move |key, from, limit| async move {
        let rows = world
            .store()
            .key_window(world.billing, Lane::Normal, key, from, limit)
            .await
            .expect("reads");
        rows.iter().map(|ready| ready.id.0).collect::<Vec<_>>()
    };
    let seven = Some(BlindIndex(7));
    assert_eq!(read(seven, Id::ZERO, 100).await, of_seven);
    assert_eq!(
        read(seven, of_seven[2], 3).await,
        of_seven[2..5],
        "starting at, not after"
    );
    assert_eq!(read(None, Id::ZERO, 100).await, without);
    assert_eq!(read(Some(BlindIndex(-1)), Id::ZERO, 100).await, []);
}

//! Cases about traces and searches.

use super::build::{World, note};
use super::{Home, list};
use crate::change::{
    Acceptance, Cause, MessageRef, NewDelivery, RouteOutcome, SettlementResult, Term,
};
use crate::query::{DeliveryFilter, LinkKind, MessageFilter, MessageOutcome, TimeRange};
use DeliveryState::{Dead, Delivered, Held, Pending, Retrying};
use wardline_core::{BlindIndex, DeliveryId, DeliveryState, Id, MessageId, Timestamp};

list![
    a_trace_is_the_whole_tree_from_any_node,
    a_trace_of_one_message_of_a_batch_leaves_the_others_out,
    a_trace_is_bounded,
    messages_are_found_by_what_they_hold,
    messages_are_found_by_what_became_of_them,
    pages_of_messages_neither_miss_nor_repeat,
    deliveries_are_found_by_each_filter,
];

async fn a_trace_is_the_whole_tree_from_any_node(home: Box<dyn Home>) {
    let world = World::open(home).await;
    world.accept(world.discharge(1)).await;
    let root = world.accept(world.discharge(2)).await.first;
    world.accept(world.discharge(3)).await;
    let (to_billing, to_beds) = (root.offset(2), root.offset(3));
    let dead = SettlementResult::Dead(note("refused"));
    assert!(
        world
            .settle(world.settlement(to_billing, Pending, 1, dead))
            .await
    );
    // A replay of the dead one, a replay of the replay, and a follow-up of the last.
    let replay = |of: Id| {
        let again = NewDelivery {
            message: MessageRef::Existing(MessageId(root.offset(1))),
            replay_of: Some(DeliveryId(of)),
            ..world.keyed(0, world.billing, 2)
        };
        Acceptance {
            deliveries: vec![again],
            ..Default::default()
        }
    };
    let once = world.accept(replay(to_billing)).await.first;
    let twice = world.accept(replay(once)).await.first;
    world.accept(world.discharge(4)).await;
    let follow = Acceptance {
        messages: vec![
            world.event("answer", Cause::Existing(twice)),
            world.event("more", Cause::Ordinal(0)),
        ],
        deliveries: vec![world.delivery(1, world.beds)],
        ..Default::default()
    };
    let follow = world.accept(follow).await.first;
    let messages = [root, root.offset(1), follow, follow.offset(1)];
    let deliveries = [to_billing, to_beds, once, twice, follow.offset(2)];
    for from in messages.iter().chain(&deliveries) {
        let trace = world
            .store()
            .trace(*from, 100)
            .await
            .expect("reads")
            .expect("is there");
        assert_eq!(
            trace
                .messages
                .iter()
                .map(|row| row.id.0)
                .collect::<Vec<_>>(),
            messages,
            "from {from}"
        );
        assert_eq!(
            trace
                .deliveries
                .iter()
                .map(|row| row.id.0)
                .collect::<Vec<_>>(),
            deliveries,
            "from {from}"
        );
        let links: Vec<_> = trace
            .links
            .iter()
            .map(|link| (link.from, link.to, link.kind))
            .collect();
        let expected = [
            (to_billing, once, LinkKind::Replay),
            (once, twice, LinkKind::Replay),
            (twice, follow, LinkKind::Follow),
        ];
        assert_eq!(links, expected, "from {from}");
        assert_eq!(trace.attempts.len(), 1);
        assert!(!trace.truncated);
    }
    assert!(
        world
            .store()
            .trace(Id::MAX, 100)
            .await
            .expect("reads")
            .is_none()
    );
}

async fn a_trace_of_one_message_of_a_batch_leaves_the_others_out(home: Box<dyn Home>) {
    let world = World::open(home).await;
    // Two messages of one batch file in one acceptance, each with its event and delivery.
    let batch = Acceptance {
        messages: vec![
            world.message("a"),
            world.message("b"),
            world.event("from a", Cause::Ordinal(0)),
            world.event("from b", Cause::Ordinal(1)),
        ],
        deliveries: vec![world.delivery(2, world.beds), world.delivery(3, world.beds)],
        ..Default::default()
    };
    let first = world.accept(batch).await.first;
    // What followed later from the one is nothing of the other's.
    let again = NewDelivery {
        message: MessageRef::Existing(MessageId(first.offset(3))),
        replay_of: Some(DeliveryId(first.offset(5))),
        ..world.delivery(0, world.beds)
    };
    let replay = Acceptance {
        deliveries: vec![again],
        ..Default::default()
    };
    let replay = world.accept(replay).await.first;
    let of_a = [0, 2, 4].map(|n| first.offset(n)).to_vec();
    let mut of_b = [1, 3, 5].map(|n| first.offset(n)).to_vec();
    of_b.push(replay);
    for (from, expected) in [(0, &of_a), (2, &of_a), (5, &of_b), (1, &of_b)] {
        let trace = world
            .store()
            .trace(first.offset(from), 100)
            .await
            .expect("reads")
            .expect("is there");
        let mut ids: Vec<Id> = trace.messages.iter().map(|row| row.id.0).collect();
        ids.extend(trace.deliveries.iter().map(|row| row.id.0));
        assert_eq!(&ids, expected);
    }
}

async fn a_trace_is_bounded(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let deliveries = (0..50).map(|_| world.delivery(0, world.beds)).collect();
    let wide = Acceptance {
        messages: vec![world.message("x")],
        deliveries,
        ..Default::default()
    };
    let first = world.accept(wide).await.first;
    for (limit, nodes, truncated) in [
        (10, 10, true),
        (50, 50, true),
        (51, 51, false),
        (1_000, 51, false),
    ] {
        let trace = world
            .store()
            .trace(first, limit)
            .await
            .expect("reads")
            .expect("is there");
        assert_eq!(
            (
                trace.messages.len() + trace.deliveries.len(),
                trace.truncated
            ),
            (nodes, truncated)
        );
    }
}

async fn found(world: &World, filter: MessageFilter) -> Vec<Id> {
    let mut filter = MessageFilter { limit: 3, ..filter };
    let mut all = Vec::new();
    loop {
        let page = world.store().messages(&filter).await.expect("reads");
        assert!(page.rows.len() <= 3);
        all.extend(page.rows.iter().map(|row| row.id.0));
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return all,
        }
    }
}

async fn messages_are_found_by_what_they_hold(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let mut ids = Vec::new();
    let began = world.now();
    for n in 0..12 {
        let mut acceptance = world.discharge(n % 4);
        acceptance.terms.push(Term {
            ordinal: 1,
            index: BlindIndex(100 + n),
        });
        acceptance.terms.push(Term {
            ordinal: 0,
            index: BlindIndex(1_000),
        });
        ids.push(world.accept(acceptance).await.first);
        // Past the end of a bucket of the index now and then, and across a start.
        world.pass(1_300_000);
        if n == 6 {
            world.reopen();
        }
    }
    let by = |value| MessageFilter {
        term: Some(BlindIndex(value)),
        ..Default::default()
    };
    let newest_first =
        |picked: &[usize]| picked.iter().rev().map(|at| ids[*at]).collect::<Vec<_>>();
    assert_eq!(found(&world, by(2)).await, newest_first(&[2, 6, 10]));
    assert_eq!(found(&world, by(105)).await, [ids[5].offset(1)]);
    assert_eq!(
        found(&world, by(1_000)).await,
        newest_first(&(0..12).collect::<Vec<_>>())
    );
    assert_eq!(found(&world, by(77)).await, []);
    let at = |n: i64| Some(Timestamp(began.0 + n * 1_300_000_000));
    let range = TimeRange {
        from: at(3),
        to: at(8),
    };
    assert_eq!(
        found(&world, MessageFilter { range, ..by(1_000) }).await,
        newest_first(&[3, 4, 5, 6, 7])
    );
    assert_eq!(
        found(
            &world,
            MessageFilter {
                range,
                roots_only: true,
                ..Default::default()
            }
        )
        .await,
        newest_first(&[3, 4, 5, 6, 7])
    );
    assert_eq!(
        found(
            &world,
            MessageFilter {
                kind: Some(world.beds),
                ..by(1_000)
            }
        )
        .await,
        []
    );
    let of_flow = MessageFilter {
        source: Some(world.flow),
        ..Default::default()
    };
    assert_eq!(
        found(&world, of_flow).await,
        ids.iter().rev().map(|id| id.offset(1)).collect::<Vec<_>>()
    );
    let taken = MessageFilter {
        flow: Some(world.flow),
        ..Default::default()
    };
    assert_eq!(
        found(&world, taken).await,
        newest_first(&(0..12).collect::<Vec<_>>())
    );
}

async fn messages_are_found_by_what_became_of_them(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let mut events = Vec::new();
    for value in 0..8 {
        events.push(world.accept(world.discharge(value)).await.first.offset(1));
    }
    let mut filtered = Acceptance {
        messages: vec![world.message("x")],
        ..Default::default()
    };
    filtered.messages[0].routes = vec![world.route(RouteOutcome::Filtered)];
    let filtered = world.accept(filtered).await.first;
    let end = |at: usize, n: u32, result| {
        world.settle(world.settlement(events[at].offset(n), Pending, 1, result))
    };
    let retry = SettlementResult::Retry {
        next: world.now(),
        note: note("Connection refused"),
    };
    assert!(end(0, 1, SettlementResult::Dead(note("bad Account number"))).await);
    assert!(end(0, 2, SettlementResult::Dead(note("bad bed"))).await);
    assert!(end(1, 1, SettlementResult::Hold(note("bad account NUMBER"))).await);
    assert!(end(2, 1, retry).await);
    assert!(end(3, 1, SettlementResult::Delivered).await);
    // A replay that ends dead makes its old message one with a dead delivery.
    let again = NewDelivery {
        message: MessageRef::Existing(MessageId(events[4])),
        ..world.delivery(0, world.beds)
    };
    let replay = world
        .accept(Acceptance {
            deliveries: vec![again],
            ..Default::default()
        })
        .await
        .first;
    assert!(
        world
            .settle(world.settlement(replay, Pending, 1, SettlementResult::Dead(note("late"))))
            .await
    );

    let with = |state| MessageFilter {
        state: Some(state),
        ..Default::default()
    };
    assert_eq!(found(&world, with(Dead)).await, [events[4], events[0]]);
    assert_eq!(found(&world, with(Held)).await, [events[1]]);
    assert_eq!(found(&world, with(Retrying)).await, [events[2]]);
    assert_eq!(found(&world, with(Delivered)).await, [events[3]]);
    assert_eq!(
        found(&world, with(Pending)).await,
        [7, 6, 5, 4, 3, 2, 1].map(|at| events[at])
    );
    let saying = |text: &str| MessageFilter {
        error: Some(text.into()),
        ..Default::default()
    };
    assert_eq!(
        found(&world, saying("account number")).await,
        [events[1], events[0]]
    );
    assert_eq!(found(&world, saying("LATE")).await, [events[4]]);
    assert_eq!(
        found(
            &world,
            MessageFilter {
                error: Some("bed".into()),
                ..with(Dead)
            }
        )
        .await,
        [events[0]]
    );
    assert_eq!(
        found(
            &world,
            MessageFilter {
                error: Some("refused".into()),
                ..with(Dead)
            }
        )
        .await,
        []
    );
    let gone = MessageFilter {
        outcome: Some(MessageOutcome::Filtered),
        ..Default::default()
    };
    assert_eq!(found(&world, gone).await, [filtered]);
}

async fn pages_of_messages_neither_miss_nor_repeat(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let mut expected = Vec::new();
    for value in 0..20 {
        expected.push(world.accept(world.discharge(value)).await.first);
    }
    expected.reverse();
    assert_eq!(
        found(
            &world,
            MessageFilter {
                roots_only: true,
                ..Default::default()
            }
        )
        .await,
        expected
    );
    let first = world
        .store()
        .messages(&MessageFilter::default())
        .await
        .expect("reads");
    assert_eq!(
        (first.rows.len(), first.next.is_some()),
        (40, false),
        "fifty by default"
    );
    let before = MessageFilter {
        before: Some(expected[10]),
        limit: 1,
        roots_only: true,
        ..Default::default()
    };
    let page = world.store().messages(&before).await.expect("reads");
    assert_eq!(
        page.rows.iter().map(|row| row.id.0).collect::<Vec<_>>(),
        [expected[11]]
    );
    assert_eq!(
        (page.next, page.rows[0].has_payload),
        (Some(expected[11]), true)
    );
}

async fn deliveries_are_found_by_each_filter(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let mut billing = Vec::new();
    for value in 0..10 {
        let first = world.accept(world.discharge(value % 5)).await.first;
        billing.push(first.offset(2));
    }
    let end = |at: usize, result| world.settle(world.settlement(billing[at], Pending, 1, result));
    let retry = SettlementResult::Retry {
        next: world.now(),
        note: note("down"),
    };
    for (at, result) in [
        (0, SettlementResult::Delivered),
        (1, SettlementResult::Dead(note("bad account"))),
        (2, SettlementResult::Dead(note("Bad bed"))),
        (3, SettlementResult::Hold(note("bad account"))),
        (4, retry),
    ] {
        assert!(end(at, result).await);
    }
    let found = |filter: DeliveryFilter| {
        let store = world.store().clone();
        async move {
            let mut filter = DeliveryFilter { limit: 2, ..filter };
            let mut all = Vec::new();
            loop {
                let page = store.deliveries(&filter).await.expect("reads");
                all.extend(page.rows.iter().map(|row| row.id.0));
                match page.next {
                    Some(next) => filter.before = Some(next),
                    None => return all,
                }
            }
        }
    };
    let any = || DeliveryFilter {
        destination: Some(world.billing),
        ..Default::default()
    };
    let picked = |at: &[usize]| at.iter().map(|at| billing[*at]).collect::<Vec<_>>();
    let cases = [
        (any(), picked(&[9, 8, 7, 6, 5, 4, 3, 2, 1, 0])),
        (
            DeliveryFilter {
                states: vec![Dead],
                ..any()
            },
            picked(&[2, 1]),
        ),
        (
            DeliveryFilter {
                states: vec![Dead, Held],
                ..any()
            },
            picked(&[3, 2, 1]),
        ),
        (
            DeliveryFilter {
                states: vec![Dead, Held],
                destination: None,
                ..any()
            },
            picked(&[3, 2, 1]),
        ),
        (
            DeliveryFilter {
                states: vec![Held, Retrying],
                ..any()
            },
            picked(&[4, 3]),
        ),
        (
            DeliveryFilter {
                states: vec![Held, Retrying],
                destination: None,
                ..any()
            },
            picked(&[4, 3]),
        ),
        (
            DeliveryFilter {
                states: vec![Pending],
                ..any()
            },
            picked(&[9, 8, 7, 6, 5]),
        ),
        (
            DeliveryFilter {
                states: vec![Pending, Held, Retrying],
                ..any()
            },
            picked(&[9, 8, 7, 6, 5, 4, 3]),
        ),
        (
            DeliveryFilter {
                states: vec![Delivered, Dead],
                ..any()
            },
            picked(&[2, 1, 0]),
        ),
        (
            DeliveryFilter {
                key: Some(BlindIndex(3)),
                ..any()
            },
            picked(&[8, 3]),
        ),
        (
            DeliveryFilter {
                key: Some(BlindIndex(3)),
                states: vec![Pending],
                ..any()
            },
            picked(&[8]),
        ),
        (
            DeliveryFilter {
                fingerprint: Some(note("bad account").fingerprint),
                ..any()
            },
            picked(&[3, 1]),
        ),
        (
            DeliveryFilter {
                fingerprint: Some(note("bad account").fingerprint),
                states: vec![Dead],
                ..any()
            },
            picked(&[1]),
        ),
        (
            DeliveryFilter {
                error: Some("BAD".into()),
                ..any()
            },
            picked(&[3, 2, 1]),
        ),
        (
            DeliveryFilter {
                flow: Some(world.beds),
                ..any()
            },
            vec![],
        ),
        (
            DeliveryFilter {
                states: vec![Dead],
                destination: Some(world.beds),
                ..any()
            },
            vec![],
        ),
        (
            DeliveryFilter {
                before: Some(billing[7]),
                ..any()
            },
            picked(&[6, 5, 4, 3, 2, 1, 0]),
        ),
    ];
    for (at, (filter, expected)) in cases.into_iter().enumerate() {
        assert_eq!(found(filter).await, expected, "case {at}");
    }
}

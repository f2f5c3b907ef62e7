//! Cases about searches.

use super::build::{World, note};
use super::{Home, list};
use crate::change::{
    Acceptance, Cause, MessageRef, NewDelivery, RouteOutcome, SettlementResult, Term,
};
use crate::query::{DeliveryFilter, MessageFilter, MessageOutcome, TimeRange};
use DeliveryState::{Dead, Delivered, Held, Pending, Retrying};
use wardline_core::{BlindIndex, DeliveryState, Id, MessageId, Timestamp};

list![
    messages_are_found_by_what_they_hold,
    messages_are_found_by_what_became_of_them,
    messages_are_found_by_what_followed_later,
    pages_of_messages_neither_miss_nor_repeat,
    deliveries_are_found_by_each_filter,
];

async fn found(world: &World, filter: MessageFilter) -> Vec<Id> {
    in_pages(world, filter, 3).await
}

/// All pages of a search that asks for three rows a page and gets at most `most`.
async fn in_pages(world: &World, filter: MessageFilter, most: usize) -> Vec<Id> {
    let mut filter = MessageFilter { limit: 3, ..filter };
    let mut all = Vec::new();
    loop {
        let page = world.store().messages(&filter).await.expect("reads");
        assert!(page.rows.len() <= most);
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
    // The deliveries are those of the event that was made from the message.
    let mut roots = Vec::new();
    for value in 0..8 {
        roots.push(world.accept(world.discharge(value)).await.first);
    }
    let events: Vec<Id> = roots.iter().map(|root| root.offset(1)).collect();
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
    // Event and message, as they are both what the state is asked of; without events, messages.
    let both = |picked: &[usize]| -> Vec<Id> {
        picked
            .iter()
            .flat_map(|at| [events[*at], roots[*at]])
            .collect()
    };
    let cases: [(DeliveryState, &[usize]); 5] = [
        (Dead, &[4, 0]),
        (Held, &[1]),
        (Retrying, &[2]),
        (Delivered, &[3]),
        (Pending, &[7, 6, 5, 4, 3, 2, 1]),
    ];
    for (state, picked) in cases {
        assert_eq!(found(&world, with(state)).await, both(picked), "{state}");
        let outside = MessageFilter {
            roots_only: true,
            ..with(state)
        };
        let expected: Vec<Id> = picked.iter().map(|at| roots[*at]).collect();
        assert_eq!(found(&world, outside).await, expected, "{state}");
    }
    let saying = |text: &str| MessageFilter {
        error: Some(text.into()),
        ..Default::default()
    };
    assert_eq!(found(&world, saying("account number")).await, both(&[1, 0]));
    assert_eq!(found(&world, saying("LATE")).await, both(&[4]));
    assert_eq!(
        found(
            &world,
            MessageFilter {
                error: Some("bed".into()),
                ..with(Dead)
            }
        )
        .await,
        both(&[0])
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

async fn messages_are_found_by_what_followed_later(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let began = world.now();
    let root = world.accept(world.discharge(1)).await.first;
    world.pass(1_000);
    // Two messages of one batch: what followed from the one is nothing of the other's.
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
    let batch = world.accept(batch).await.first;
    world.pass(60_000);
    // The bed's answer made an event of an event, each with a delivery; much later.
    let follow = Acceptance {
        messages: vec![
            world.event("answer", Cause::Existing(root.offset(3))),
            world.event("more", Cause::Ordinal(0)),
        ],
        deliveries: vec![
            world.delivery(0, world.beds),
            world.delivery(1, world.beds),
            world.delivery(1, world.billing),
        ],
        ..Default::default()
    };
    let follow = world.accept(follow).await.first;
    let dead = |id: Id, why| {
        world.settle(world.settlement(id, Pending, 1, SettlementResult::Dead(note(why))))
    };
    assert!(dead(follow.offset(3), "first").await);
    assert!(dead(follow.offset(4), "second").await);
    assert!(dead(batch.offset(5), "of b").await);
    let of_b = [batch.offset(3), batch.offset(1)];
    let chain = [follow.offset(1), follow, root.offset(1), root];
    let all = |roots_only, range| MessageFilter {
        state: Some(Dead),
        roots_only,
        range,
        ..Default::default()
    };
    let any = TimeRange::default();
    // Each once, although two of the chain's deliveries are dead and a page holds three.
    let expected = [&chain[..], &of_b[..]].concat();
    assert_eq!(in_pages(&world, all(false, any), 4).await, expected);
    assert_eq!(found(&world, all(true, any)).await, [root, of_b[1]]);
    // Received within, whenever it failed.
    let early = TimeRange {
        from: Some(began),
        to: Some(Timestamp(began.0 + 1_000_000)),
    };
    assert_eq!(found(&world, all(true, early)).await, [root]);
    for text in ["first", "second"] {
        let saying = MessageFilter {
            error: Some(text.into()),
            roots_only: true,
            ..Default::default()
        };
        let dead = MessageFilter {
            state: Some(Dead),
            ..saying.clone()
        };
        assert_eq!(found(&world, saying).await, [root]);
        assert_eq!(found(&world, dead).await, [root]);
    }
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

//! Cases about traces.

use super::build::{World, note};
use super::{Home, list};
use crate::change::{Acceptance, Cause, MessageRef, NewDelivery, SettlementResult};
use crate::query::LinkKind;
use wardline_core::DeliveryState::Pending;
use wardline_core::{DeliveryId, Id, MessageId};

list![
    a_trace_is_the_whole_tree_from_any_node,
    a_trace_of_one_message_of_a_batch_leaves_the_others_out,
    a_trace_is_bounded,
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

//! Cases about time: restarts, retention and closing.

use super::build::{World, note};
use super::{Home, list};
use crate::StoreError;
use crate::change::{
    Acceptance, AuditRecord, Cause, Change, MessageRef, NewDelivery, SettlementResult,
};
use crate::query::{CounterKind, MessageFilter, PruneReport, PruneRequest};
use DeliveryState::Pending;
use std::sync::Arc;
use wardline_core::{BlindIndex, DeliveryId, DeliveryState, MessageId, Timestamp};

list![
    everything_survives_a_restart,
    payloads_go_before_records_and_open_ones_stay,
    records_go_with_all_that_belongs_to_them,
    the_inbox_forgets_by_age,
    small_steps_reach_the_end,
    a_closed_store_refuses_and_has_kept_all,
];

async fn everything_survives_a_restart(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let first = world.accept(world.discharge(1)).await.first;
    let record = AuditRecord {
        sequence: 0,
        at: world.now(),
        body: b"{}".to_vec(),
        hash: [1; 32],
    };
    world
        .commit(vec![
            Change::Audit(record.clone()),
            Change::SetMeta {
                name: "v".into(),
                value: vec![0, 255],
            },
        ])
        .await;
    let retry = SettlementResult::Retry {
        next: world.now(),
        note: note("down"),
    };
    assert!(
        world
            .settle(world.settlement(first.offset(2), Pending, 1, retry))
            .await
    );
    let before = (
        world.store().trace(first, 10).await,
        world.store().totals().await,
        world.store().gauges().await,
    );
    world.reopen();
    let after = (
        world.store().trace(first, 10).await,
        world.store().totals().await,
        world.store().gauges().await,
    );
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    assert_eq!(
        world.store().audit_head().await.expect("reads"),
        Some(record)
    );
    assert_eq!(
        world.store().meta("v").await.expect("reads"),
        Some(vec![0, 255])
    );
    let late = AuditRecord {
        sequence: 0,
        at: world.now(),
        body: Vec::new(),
        hash: [2; 32],
    };
    let error = world.refused(vec![Change::Audit(late)]).await;
    assert!(matches!(
        error,
        StoreError::AuditConflict {
            given: 0,
            expected: 1
        }
    ));
}

async fn prune(world: &World, request: PruneRequest) -> PruneReport {
    let mut sum = PruneReport::default();
    for _ in 0..10_000 {
        let report = world.store().prune(&request).await.expect("prunes");
        sum.payloads += report.payloads;
        sum.messages += report.messages;
        if !report.more {
            return sum;
        }
    }
    panic!("retention does not come to an end");
}

fn request(payloads: Option<Timestamp>, records: Option<Timestamp>) -> PruneRequest {
    PruneRequest {
        payloads_before: payloads,
        records_before: records,
        dedup_before: None,
        step: 3,
    }
}

async fn payloads_go_before_records_and_open_ones_stay(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let mut firsts = Vec::new();
    for value in 0..4 {
        firsts.push(world.accept(world.discharge(value)).await.first);
        world.pass(1_000);
    }
    let horizon = world.now();
    let newer = world.accept(world.discharge(9)).await.first;
    for first in &firsts[..2] {
        for n in [2, 3] {
            assert!(
                world
                    .settle(world.settlement(
                        first.offset(n),
                        Pending,
                        1,
                        SettlementResult::Delivered
                    ))
                    .await
            );
        }
    }
    assert_eq!(
        prune(&world, request(Some(horizon), None)).await.payloads,
        4
    );
    for (first, stays) in [
        (firsts[0], false),
        (firsts[1], false),
        (firsts[2], true),
        (firsts[3], true),
        (newer, true),
    ] {
        for id in [first, first.offset(1)] {
            assert_eq!(
                world
                    .store()
                    .payload(MessageId(id))
                    .await
                    .expect("reads")
                    .is_some(),
                stays
            );
        }
        let row = world
            .store()
            .message(MessageId(first))
            .await
            .expect("reads")
            .expect("the record stays");
        assert_eq!(row.has_payload, stays);
    }
    let gone = NewDelivery {
        message: MessageRef::Existing(MessageId(firsts[0])),
        ..world.delivery(0, world.beds)
    };
    let replay = Acceptance {
        deliveries: vec![gone],
        ..Default::default()
    };
    assert!(matches!(
        world.refused(vec![Change::Accept(Box::new(replay))]).await,
        StoreError::Invalid(_)
    ));
    // What was kept because it was owed goes in a later pass.
    for n in [2, 3] {
        assert!(
            world
                .settle(world.settlement(
                    firsts[2].offset(n),
                    Pending,
                    1,
                    SettlementResult::Delivered
                ))
                .await
        );
    }
    assert_eq!(
        prune(&world, request(Some(horizon), None)).await.payloads,
        2
    );
    for (first, stays) in [(firsts[2], false), (firsts[3], true)] {
        assert_eq!(
            world
                .row(first)
                .await
                .expect("the record stays")
                .has_payload,
            stays
        );
    }
}

async fn records_go_with_all_that_belongs_to_them(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let gone = world.accept(world.discharge(1)).await.first;
    let dead = world.accept(world.discharge(2)).await.first;
    let replayed = world.accept(world.discharge(3)).await.first;
    let plain = world.accept(world.discharge(1)).await.first;
    for first in [gone, dead, replayed, plain] {
        for n in [2, 3] {
            let result = if first == dead && n == 2 {
                SettlementResult::Dead(note("refused"))
            } else {
                SettlementResult::Delivered
            };
            assert!(
                world
                    .settle(world.settlement(first.offset(n), Pending, 1, result))
                    .await
            );
        }
    }
    let again = NewDelivery {
        message: MessageRef::Existing(MessageId(replayed.offset(1))),
        replay_of: Some(DeliveryId(replayed.offset(2))),
        ..world.delivery(0, world.beds)
    };
    let replay = world
        .accept(Acceptance {
            deliveries: vec![again],
            ..Default::default()
        })
        .await
        .first;
    // A message from an answer to what goes: it stays, and its trace begins with itself.
    let answer = Acceptance {
        messages: vec![world.event("answer", Cause::Existing(gone.offset(2)))],
        ..Default::default()
    };
    world.pass(1_000);
    let horizon = world.now();
    let answer = world.accept(answer).await.first;
    world.pass(7_300_000);
    let all = request(None, Some(horizon));
    assert_eq!(
        prune(&world, all).await.messages,
        4,
        "the open replay and the dead delivery hold theirs"
    );
    for (first, stays) in [
        (gone, false),
        (plain, false),
        (dead, true),
        (replayed, true),
    ] {
        assert_eq!(world.row(first).await.is_some(), stays);
    }
    {
        let trace = world
            .store()
            .trace(answer, 10)
            .await
            .expect("reads")
            .expect("is there");
        assert_eq!(
            trace
                .messages
                .iter()
                .map(|row| row.id.0)
                .collect::<Vec<_>>(),
            [answer]
        );
        let by = MessageFilter {
            term: Some(BlindIndex(1)),
            ..Default::default()
        };
        assert!(
            world
                .store()
                .messages(&by)
                .await
                .expect("reads")
                .rows
                .is_empty()
        );
        let by = MessageFilter {
            term: Some(BlindIndex(2)),
            ..Default::default()
        };
        assert_eq!(
            world.store().messages(&by).await.expect("reads").rows.len(),
            1
        );
    }
    assert!(
        world
            .settle(world.settlement(replay, Pending, 1, SettlementResult::Delivered))
            .await
    );
    assert_eq!(prune(&world, all).await.messages, 2);
    assert!(
        world
            .store()
            .delivery(DeliveryId(replay))
            .await
            .expect("reads")
            .is_none(),
        "a replay goes with its message"
    );
    assert_eq!(
        (
            world.total(CounterKind::PrunedMessages).await,
            world.total(CounterKind::PrunedDeliveries).await
        ),
        (6, 7)
    );
    assert_eq!(
        world.total(CounterKind::Accepted).await + world.total(CounterKind::Derived).await,
        6 + 3
    );
    // Even with the newest records gone, ids rise.
    let last = world.accept(world.discharge(8)).await.first;
    for n in [2, 3] {
        assert!(
            world
                .settle(world.settlement(last.offset(n), Pending, 1, SettlementResult::Delivered))
                .await
        );
    }
    let later = Timestamp(world.now().0 + 1_000_000);
    prune(&world, request(None, Some(later))).await;
    world.clock.set(Timestamp(world.now().0 - 7_200_000_000));
    world.reopen();
    assert!(world.accept(world.discharge(8)).await.first > last.offset(3));
}

async fn the_inbox_forgets_by_age(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let sent = |hash| Acceptance {
        dedup: Some(world.dedup(hash, 1, "AA")),
        ..world.discharge(1)
    };
    world.accept(sent(1)).await;
    world.pass(10_000);
    let horizon = world.now();
    world.accept(sent(2)).await;
    let request = PruneRequest {
        dedup_before: Some(horizon),
        ..request(None, None)
    };
    prune(&world, request).await;
    assert!(
        world.accept(sent(2)).await.duplicate.is_some(),
        "younger than the window"
    );
    assert!(
        world.accept(sent(1)).await.duplicate.is_none(),
        "older than the window"
    );
    assert!(world.accept(sent(1)).await.duplicate.is_some());
}

async fn small_steps_reach_the_end(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    for value in 0..40 {
        let first = world.accept(world.discharge(value)).await.first;
        for n in [2, 3] {
            let done = value % 4 != 0 || n == 2;
            if done {
                assert!(
                    world
                        .settle(world.settlement(
                            first.offset(n),
                            Pending,
                            1,
                            SettlementResult::Delivered
                        ))
                        .await
                );
            }
        }
        world.pass(10);
    }
    let now = world.now();
    let both = PruneRequest {
        step: 1,
        ..request(Some(now), Some(now))
    };
    let first = world.store().prune(&both).await.expect("prunes");
    assert!(first.more && first.messages <= 2, "a step is small");
    world.reopen();
    prune(&world, both).await;
    let left = world
        .store()
        .messages(&MessageFilter {
            roots_only: true,
            ..Default::default()
        })
        .await
        .expect("reads");
    assert_eq!(left.rows.len(), 10);
    assert_eq!(world.gauge(world.beds, Pending).await, 10);
    assert_eq!(world.window_ids(world.beds).await.len(), 10);
}

async fn a_closed_store_refuses_and_has_kept_all(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let calls: Vec<_> = (0..50)
        .map(|value| {
            let (store, acceptance) = (Arc::clone(world.store()), world.discharge(value));
            tokio::spawn(async move {
                store
                    .commit(vec![Change::Accept(Box::new(acceptance))])
                    .await
                    .is_ok()
            })
        })
        .collect();
    tokio::task::yield_now().await;
    world.store().close().await.expect("closes");
    world
        .store()
        .close()
        .await
        .expect("closing twice is nothing");
    let mut acknowledged = 0;
    for call in calls {
        acknowledged += u64::from(call.await.expect("no call panics"));
    }
    let late = world
        .refused(vec![Change::Accept(Box::new(world.discharge(1)))])
        .await;
    assert!(matches!(late, StoreError::Closed));
    assert!(matches!(
        world.store().gauges().await,
        Err(StoreError::Closed)
    ));
    assert!(matches!(
        world.store().intern("new").await,
        Err(StoreError::Closed)
    ));
    world.reopen();
    assert_eq!(
        world.total(CounterKind::Accepted).await,
        acknowledged,
        "acknowledged is kept, the rest is refused"
    );
}

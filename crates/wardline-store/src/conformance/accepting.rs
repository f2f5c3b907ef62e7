//! Cases about taking messages.

use super::build::{Heard, World, all_at_once, key, sealed};
use super::{Home, list};
use crate::change::{
    Acceptance, AuditRecord, Cause, Change, MessageRef, NewDelivery, NewMessage, Operation,
    Outcome, RouteOutcome, Term,
};
use crate::query::{CounterKind, MessageOutcome};
use crate::{StoreError, TimeRange};
use std::sync::Arc;
use wardline_core::{BlindIndex, Clock, DeliveryId, DeliveryState, Id, MessageId};

list![
    a_block_is_messages_then_deliveries,
    ids_rise_whatever_the_clock_does,
    a_call_stands_or_falls_as_a_whole,
    impossible_acceptances_are_refused_and_harm_no_one,
    outcomes_of_messages_are_told_apart,
    large_payloads_come_back_whole,
    many_callers_share_the_writer,
];

async fn a_block_is_messages_then_deliveries(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let accepted = world.accept(world.discharge(5)).await;
    assert!(accepted.duplicate.is_none());
    let first = accepted.first;
    let raw = world
        .store()
        .message(MessageId(first))
        .await
        .expect("reads")
        .expect("the message is there");
    assert_eq!(
        (raw.block, raw.cause, raw.source, raw.kind),
        (4, None, world.source, world.kind)
    );
    assert_eq!(raw.routes, [world.route(RouteOutcome::Taken)]);
    let event = world
        .store()
        .message(MessageId(first.offset(1)))
        .await
        .expect("reads")
        .expect("the event is there");
    assert_eq!((event.cause, event.source), (Some(first), world.flow));
    for (at, destination) in [(2, world.billing), (3, world.beds)] {
        let row = world
            .store()
            .delivery(DeliveryId(first.offset(at)))
            .await
            .expect("reads")
            .expect("is there");
        assert_eq!(
            (row.message, row.destination, row.state),
            (event.id, destination, DeliveryState::Pending)
        );
        assert_eq!(row.key, Some(key(5)));
        assert!(!row.own_body && row.attempts == 0);
        let body = world.store().delivery_body(row.id).await.expect("reads");
        assert_eq!(
            body,
            Some(sealed("event")),
            "without its own body a delivery carries its message's payload"
        );
    }
    assert_eq!(
        world.store().payload(raw.id).await.expect("reads"),
        Some(sealed("raw"))
    );
    assert_eq!(
        world
            .store()
            .message(MessageId(first.offset(2)))
            .await
            .expect("reads")
            .map(|row| row.id),
        None
    );
    assert!(
        world
            .store()
            .delivery(DeliveryId(first))
            .await
            .expect("reads")
            .is_none()
    );
}

async fn ids_rise_whatever_the_clock_does(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let mut last = Id::ZERO;
    for round in 0..6 {
        for _ in 0..3 {
            let first = world.accept(world.discharge(1)).await.first;
            assert!(first > last, "{first} after {last}");
            last = first.offset(3);
        }
        match round {
            0 => world.pass(10),
            // A clock that steps back: a minute, in the middle of a run and before a start.
            1 => world
                .clock
                .set(wardline_core::Timestamp(world.now().0 - 60_000_000)),
            2 => world.reopen(),
            3 => {
                world
                    .clock
                    .set(wardline_core::Timestamp(world.now().0 - 3_600_000_000));
                world.reopen();
            }
            _ => world.pass(1),
        }
    }
}

async fn a_call_stands_or_falls_as_a_whole(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let record = |sequence| AuditRecord {
        sequence,
        at: world.now(),
        body: b"{}".to_vec(),
        hash: [9; 32],
    };
    let accept = || Change::Accept(Box::new(world.discharge(1)));
    let meta = |value: &str| Change::SetMeta {
        name: "mark".into(),
        value: value.into(),
    };
    let error = world
        .refused(vec![accept(), meta("never"), Change::Audit(record(1))])
        .await;
    assert!(
        matches!(
            error,
            StoreError::AuditConflict {
                given: 1,
                expected: 0
            }
        ),
        "{error}"
    );
    let bad = Acceptance {
        messages: vec![world.message("x")],
        deliveries: vec![world.delivery(1, world.beds)],
        ..Default::default()
    };
    let error = world
        .refused(vec![
            accept(),
            Change::Audit(record(0)),
            meta("never"),
            Change::Accept(Box::new(bad)),
        ])
        .await;
    assert!(matches!(error, StoreError::Invalid(_)), "{error}");
    assert!(world.window_ids(world.billing).await.is_empty());
    assert_eq!(world.store().meta("mark").await.expect("reads"), None);
    assert_eq!(world.store().audit_head().await.expect("reads"), None);
    assert_eq!(world.total(CounterKind::Accepted).await, 0);

    let outcomes = world
        .commit(vec![
            Change::Audit(record(0)),
            accept(),
            Change::Audit(record(1)),
            meta("set"),
        ])
        .await;
    assert!(matches!(
        outcomes[..],
        [
            Outcome::Done,
            Outcome::Accepted(_),
            Outcome::Done,
            Outcome::Done
        ]
    ));
    assert_eq!(
        world.store().meta("mark").await.expect("reads").as_deref(),
        Some(&b"set"[..])
    );
    assert_eq!(
        world.store().audit(0, 10).await.expect("reads"),
        [record(0), record(1)]
    );
    assert_eq!(
        world.store().audit(1, 10).await.expect("reads"),
        [record(1)]
    );
    assert_eq!(
        world.store().audit_head().await.expect("reads"),
        Some(record(1))
    );
    world.commit(vec![meta("")]).await;
    assert_eq!(
        world.store().meta("mark").await.expect("reads"),
        None,
        "an empty value removes"
    );
}

async fn impossible_acceptances_are_refused_and_harm_no_one(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let one = |message: NewMessage, delivery: NewDelivery| Acceptance {
        messages: vec![message],
        deliveries: vec![delivery],
        ..Default::default()
    };
    let plain = || world.message("x");
    let to_beds = || world.delivery(0, world.beds);
    let unknown = Id::from_parts(world.now().unix_ms() + 9_000, 0, 0);
    let bad = [
        Acceptance::default(),
        one(plain(), world.delivery(7, world.beds)),
        one(world.event("x", Cause::Ordinal(0)), to_beds()),
        one(world.event("x", Cause::Existing(unknown)), to_beds()),
        one(
            plain(),
            NewDelivery {
                message: MessageRef::Existing(MessageId(unknown)),
                ..to_beds()
            },
        ),
        one(
            plain(),
            NewDelivery {
                state: DeliveryState::Delivered,
                ..to_beds()
            },
        ),
        one(
            plain(),
            NewDelivery {
                state: DeliveryState::Dead,
                ..to_beds()
            },
        ),
        Acceptance {
            terms: vec![Term {
                ordinal: 3,
                index: BlindIndex(1),
            }],
            ..one(plain(), to_beds())
        },
    ];
    for (at, acceptance) in bad.into_iter().enumerate() {
        let sound = world
            .store()
            .commit(vec![Change::Accept(Box::new(world.discharge(at as i64)))]);
        let unsound = world
            .store()
            .commit(vec![Change::Accept(Box::new(acceptance))]);
        let (sound, unsound) = tokio::join!(sound, unsound);
        assert!(sound.is_ok(), "case {at}: a neighbour suffers");
        assert!(
            matches!(unsound, Err(StoreError::Invalid(_))),
            "case {at}: {unsound:?}"
        );
    }
    assert_eq!(world.window_ids(world.beds).await.len(), 8);
}

async fn outcomes_of_messages_are_told_apart(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let with = |outcomes: &[RouteOutcome]| {
        let routes = outcomes
            .iter()
            .map(|outcome| world.route(*outcome))
            .collect();
        Acceptance {
            messages: vec![NewMessage {
                routes,
                ..world.message("x")
            }],
            ..Default::default()
        }
    };
    let mut found = Vec::new();
    for outcomes in [
        &[][..],
        &[RouteOutcome::Filtered],
        &[RouteOutcome::Filtered, RouteOutcome::Taken],
        &[RouteOutcome::Failed],
    ] {
        let id = world.accept(with(outcomes)).await.first;
        found.push(
            world
                .store()
                .message(MessageId(id))
                .await
                .expect("reads")
                .expect("there")
                .outcome,
        );
    }
    let expected = [
        MessageOutcome::Unrouted,
        MessageOutcome::Filtered,
        MessageOutcome::Routed,
        MessageOutcome::Routed,
    ];
    assert_eq!(found, expected);
    assert_eq!(
        (
            world.total(CounterKind::Filtered).await,
            world.total(CounterKind::Unrouted).await
        ),
        (1, 1)
    );
    assert_eq!(
        (
            world.total(CounterKind::Accepted).await,
            world.total(CounterKind::Bytes).await
        ),
        (4, 4)
    );
    let series = world
        .store()
        .series(
            CounterKind::Accepted,
            Some(world.source),
            TimeRange::default(),
        )
        .await;
    let points = series.expect("reads").points;
    assert_eq!(points.iter().map(|(_, count)| count).sum::<u64>(), 4);
    assert!(
        points
            .iter()
            .all(|(at, _)| at % 60 == 0 && (world.now().0 / 1_000_000 - at) < 120)
    );
}

async fn large_payloads_come_back_whole(home: Box<dyn Home>) {
    let world = World::open(home).await;
    for size in [0usize, 1, 8_000, 70_000, (1 << 20) + 1, 9_000_001] {
        let bytes: Vec<u8> = (0..size).map(|n| (n * 31 % 251) as u8).collect();
        let payload = wardline_core::Sealed::from_sealed_bytes(bytes.into());
        let message = NewMessage {
            payload: payload.clone(),
            size: size as u32,
            ..world.message("")
        };
        let own = NewDelivery {
            body: Some(payload.clone()),
            ..world.delivery(0, world.beds)
        };
        let first = world
            .accept(Acceptance {
                messages: vec![message],
                deliveries: vec![own],
                ..Default::default()
            })
            .await
            .first;
        assert!(
            world
                .store()
                .payload(MessageId(first))
                .await
                .expect("reads")
                == Some(payload.clone()),
            "{size} bytes"
        );
        let body = world
            .store()
            .delivery_body(DeliveryId(first.offset(1)))
            .await
            .expect("reads");
        assert!(body == Some(payload), "{size} bytes");
    }
    let missing = Operation::Release {
        deliveries: vec![DeliveryId(Id::MAX)],
    };
    assert!(matches!(
        world.commit(vec![Change::Operate(missing)]).await[..],
        [Outcome::Operated(0)]
    ));
}

async fn many_callers_share_the_writer(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let heard = Arc::new(Heard::default());
    world.store().listen(heard.clone());
    let calls = (0..200).map(|value| {
        let (store, acceptance) = (Arc::clone(world.store()), world.discharge(value % 7));
        async move {
            store
                .commit(vec![Change::Accept(Box::new(acceptance))])
                .await
                .expect("accepted")
        }
    });
    let mut firsts: Vec<Id> = all_at_once(calls)
        .await
        .iter()
        .map(|outcomes| match &outcomes[..] {
            [Outcome::Accepted(accepted)] => accepted.first,
            other => panic!("{other:?}"),
        })
        .collect();
    firsts.sort_unstable();
    assert!(
        firsts.windows(2).all(|pair| pair[0].offset(3) < pair[1]),
        "blocks never overlap"
    );
    let heard = heard.ids();
    assert_eq!(heard.len(), 400);
    assert!(
        heard.is_sorted(),
        "heard in the order of ids over all calls"
    );
    assert_eq!(
        world.gauge(world.billing, DeliveryState::Pending).await,
        200
    );
    let status = world.store().status();
    assert!(status.trouble.is_none() && status.changes >= 200 && status.commits >= 1);
    assert!(world.home().clock().now() == world.now());
}

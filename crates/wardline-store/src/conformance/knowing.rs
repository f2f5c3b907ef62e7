//! Cases about what a store knows again and tells: duplicates, names, the listener.

use super::build::{Heard, World, all_at_once, note, sealed};
use super::{Home, list};
use crate::StoreError;
use crate::change::{Acceptance, Change, MessageRef, NewDelivery, Outcome};
use crate::query::CounterKind;
use std::sync::Arc;
use wardline_core::{DeliveryState, Id, Lane, MessageId, Sym};

list![
    a_duplicate_gets_the_first_answer,
    another_body_under_the_same_key_is_taken_and_flagged,
    the_listener_hears_everything_owed_in_order,
    names_keep_their_numbers,
];

async fn a_duplicate_gets_the_first_answer(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let sent = |world: &World| Acceptance {
        dedup: Some(world.dedup(1, 77, "AA one")),
        ..world.discharge(1)
    };
    let first = world.accept(sent(&world)).await;
    for round in 0..3 {
        let again = Acceptance {
            dedup: Some(world.dedup(1, 77, "AA other")),
            ..world.discharge(1)
        };
        let again = world.accept(again).await;
        let duplicate = again.duplicate.expect("recognised");
        assert_eq!(
            (duplicate.original.0, &duplicate.answer[..]),
            (first.first, &b"AA one"[..])
        );
        if round == 1 {
            world.reopen();
        }
    }
    assert_eq!(
        world.window_ids(world.billing).await.len(),
        1,
        "a duplicate records nothing"
    );
    assert_eq!(
        (
            world.total(CounterKind::Accepted).await,
            world.total(CounterKind::Duplicate).await
        ),
        (1, 3)
    );
    // Two of the same in one call, and the same hash of another source.
    let other = |dedup| {
        Change::Accept(Box::new(Acceptance {
            dedup: Some(dedup),
            ..world.discharge(2)
        }))
    };
    let mut foreign = world.dedup(1, 77, "AA foreign");
    foreign.source = world.beds;
    let outcomes = world
        .commit(vec![
            other(world.dedup(2, 1, "a")),
            other(world.dedup(2, 1, "a")),
            other(foreign),
        ])
        .await;
    let duplicates = outcomes.iter().map(|outcome| match outcome {
        Outcome::Accepted(accepted) => accepted.duplicate.is_some(),
        _ => false,
    });
    assert_eq!(duplicates.collect::<Vec<_>>(), [false, true, false]);
}

async fn another_body_under_the_same_key_is_taken_and_flagged(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let sent = |digest, answer| Acceptance {
        dedup: Some(world.dedup(1, digest, answer)),
        ..world.discharge(1)
    };
    let first = world.accept(sent(1, "one")).await;
    let second = world.accept(sent(2, "two")).await;
    assert!(second.duplicate.is_none());
    assert!(!world.row(first.first).await.expect("there").flagged);
    assert!(world.row(second.first).await.expect("there").flagged);
    assert!(
        !world
            .row(second.first.offset(1))
            .await
            .expect("there")
            .flagged,
        "only what was received is flagged"
    );
    let again = world
        .accept(sent(2, "three"))
        .await
        .duplicate
        .expect("the inbox knows the newer body");
    assert_eq!(
        (again.original.0, &again.answer[..]),
        (second.first, &b"two"[..])
    );
}

async fn the_listener_hears_everything_owed_in_order(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let heard = Arc::new(Heard::default());
    world.store().listen(heard.clone());
    let mut expected = Vec::new();
    for value in 0..5 {
        let first = world.accept(world.discharge(value)).await.first;
        expected.extend([first.offset(2), first.offset(3)]);
        assert_eq!(heard.ids(), expected, "heard before the commit returns");
    }
    let dead = NewDelivery {
        state: DeliveryState::Dead,
        note: Some(note("map failed")),
        ..world.delivery(0, world.beds)
    };
    let own = NewDelivery {
        body: Some(sealed("own")),
        ..world.keyed(0, world.beds, 3)
    };
    let acceptance = Acceptance {
        messages: vec![world.message("raw")],
        deliveries: vec![dead, own],
        ..Default::default()
    };
    let first = world.accept(acceptance).await.first;
    let last = heard.0.lock().last().cloned().expect("something was heard");
    assert_eq!(
        (last.id.0, last.message.0, last.body),
        (first.offset(2), first, sealed("own"))
    );
    assert_eq!(heard.ids().len(), 11, "what starts dead is not owed");
    let window = world
        .store()
        .window(world.beds, Lane::Normal, Id::ZERO, 100)
        .await
        .expect("reads");
    let from_window = window.last().cloned().expect("something is owed");
    assert_eq!(
        (from_window.id, from_window.accepted, from_window.key),
        (last.id, last.accepted, last.key)
    );
    let replay = NewDelivery {
        message: MessageRef::Existing(MessageId(first)),
        ..world.delivery(0, world.billing)
    };
    world
        .accept(Acceptance {
            deliveries: vec![replay],
            ..Default::default()
        })
        .await;
    let last = heard.0.lock().last().cloned().expect("something was heard");
    assert_eq!((last.message.0, last.body), (first, sealed("raw")));
}

async fn names_keep_their_numbers(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let store = Arc::clone(world.store());
    let calls = (0..40).map(|n| {
        let store = Arc::clone(&store);
        async move {
            store
                .intern(["a", "b", "c", "d"][n % 4])
                .await
                .expect("interned")
        }
    });
    let syms: Vec<Sym> = all_at_once(calls).await;
    assert!(
        (0..36).all(|n| syms[n] == syms[n + 4]),
        "equal names, equal numbers: {syms:?}"
    );
    assert_ne!(syms[0], syms[1]);
    drop(store);
    world.reopen();
    assert_eq!(world.store().lookup("c"), Some(syms[2]));
    assert_eq!(world.store().name(syms[2]).as_deref(), Some("c"));
    assert_eq!(world.store().lookup("never"), None);
    assert_eq!(world.store().name(Sym(9_999)), None);
    assert_eq!(world.store().name(Sym(0)), None);
    for name in ["", &"x".repeat(10_000)] {
        assert!(matches!(
            world.store().intern(name).await,
            Err(StoreError::Invalid(_))
        ));
    }
}

//! Cases about idempotency keys: of writes that are carried out elsewhere, and of messages.

use super::build::{World, sealed};
use super::{Home, list};
use crate::change::{Acceptance, Change, Dedup, KeyBegin, KeyEnd, KeyStanding, Outcome};
use crate::query::{CounterKind, PruneRequest};
use std::time::Duration;
use wardline_core::{Clock, Id};

list![
    a_key_gets_its_first_answer_after_a_restart,
    a_key_that_nobody_answered_stays_marked,
    a_key_is_kept_for_its_time_and_no_longer,
    a_key_is_begun_once_by_many_at_once,
    a_message_is_known_by_its_clients_key_and_no_other_passes_under_it,
];

fn begin(world: &World, key: u8, body: u8) -> Change {
    Change::BeginKey(KeyBegin {
        hash: [key; 16],
        digest: [body; 16],
        until: world.now().after(Duration::from_secs(3_600)),
    })
}

fn end(key: u8, answer: Option<&str>) -> Change {
    Change::EndKey(KeyEnd {
        hash: [key; 16],
        answer: answer.map(sealed),
    })
}

async fn standing(world: &World, change: Change) -> KeyStanding {
    match &world.commit(vec![change]).await[..] {
        [Outcome::Key(standing)] => standing.clone(),
        other => panic!("a key became {other:?}"),
    }
}

async fn a_key_gets_its_first_answer_after_a_restart(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    assert_eq!(
        standing(&world, begin(&world, 1, 1)).await,
        KeyStanding::New
    );
    world.commit(vec![end(1, Some("first"))]).await;
    world.commit(vec![end(1, Some("late")), end(1, None)]).await;
    for _ in 0..2 {
        let again = standing(&world, begin(&world, 1, 1)).await;
        assert_eq!(again, KeyStanding::Answered(sealed("first")));
        let other = standing(&world, begin(&world, 1, 2)).await;
        assert_eq!(other, KeyStanding::Different);
        world.reopen();
    }
}

async fn a_key_that_nobody_answered_stays_marked(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    standing(&world, begin(&world, 1, 1)).await;
    standing(&world, begin(&world, 2, 1)).await;
    world.commit(vec![end(2, None)]).await;
    world.reopen();
    assert_eq!(
        standing(&world, begin(&world, 1, 1)).await,
        KeyStanding::Unanswered
    );
    assert_eq!(
        standing(&world, begin(&world, 2, 1)).await,
        KeyStanding::New,
        "what certainly did not arrive is forgotten"
    );
}

async fn a_key_is_kept_for_its_time_and_no_longer(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let request = PruneRequest {
        payloads_before: None,
        records_before: None,
        dedup_before: None,
        step: 2,
    };
    for key in 0..9 {
        standing(&world, begin(&world, key, 1)).await;
        world.commit(vec![end(key, Some("kept"))]).await;
    }
    let begun = world.now();
    world.clock.advance(Duration::from_secs(3_599));
    let report = world.store().prune(&request).await.expect("prunes");
    assert_eq!(
        report.oldest_content,
        Some(begun),
        "an answer that is kept needs the key of its day"
    );
    assert_eq!(
        standing(&world, begin(&world, 3, 2)).await,
        KeyStanding::Different
    );
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(
        standing(&world, begin(&world, 3, 2)).await,
        KeyStanding::New
    );
    while world.store().prune(&request).await.expect("prunes").more {}
    let report = world.store().prune(&request).await.expect("prunes");
    assert_eq!(report.oldest_content, Some(world.clock.now()));
}

async fn a_key_is_begun_once_by_many_at_once(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let calls = (0..50).map(|_| {
        let store = std::sync::Arc::clone(world.store());
        let change = begin(&world, 1, 1);
        async move { store.commit(vec![change]).await.expect("sound") }
    });
    let outcomes = super::build::all_at_once(calls).await;
    let first = outcomes
        .iter()
        .filter(|outcomes| matches!(outcomes[..], [Outcome::Key(KeyStanding::New)]));
    assert_eq!(first.count(), 1);
    // And twice in one call.
    let outcomes = world
        .commit(vec![begin(&world, 2, 1), begin(&world, 2, 1)])
        .await;
    assert!(
        matches!(
            outcomes[..],
            [
                Outcome::Key(KeyStanding::New),
                Outcome::Key(KeyStanding::Unanswered)
            ]
        ),
        "{outcomes:?}"
    );
}

async fn a_message_is_known_by_its_clients_key_and_no_other_passes_under_it(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let sent = |world: &World, body: i64| Acceptance {
        dedup: Some(Dedup {
            since: Some(Id::from_parts(world.now().unix_ms() - 60_000, 0, 0)),
            ..world.dedup(1, body, "")
        }),
        ..world.discharge(1)
    };
    let first = world.accept(sent(&world, 1)).await.first;
    for _ in 0..2 {
        let again = world.accept(sent(&world, 1)).await;
        let known = again.duplicate.expect("recognised");
        assert_eq!((known.original.0, known.differs), (first, false));
        let other = world.accept(sent(&world, 2)).await;
        let known = other.duplicate.expect("recognised");
        assert_eq!((known.original.0, known.differs), (first, true));
        world.reopen();
    }
    assert_eq!(
        (
            world.total(CounterKind::Accepted).await,
            world.total(CounterKind::Duplicate).await
        ),
        (1, 2),
        "what differs is neither accepted nor answered again"
    );
    world.pass(61_000);
    let late = world.accept(sent(&world, 2)).await;
    assert!(late.duplicate.is_none(), "its time is over");
}

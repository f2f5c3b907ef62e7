//! Cases about mail: events that somebody waits for, and the ends of what an instance owes.

use super::build::{World, note};
use super::process::{KEPT, Postman, ended};
use super::{Home, list};
use crate::change::{
    Acceptance, Change, MessageRef, NewDelivery, Operation, Outcome, SettlementResult,
};
use crate::process::{Advanced, MailTo, NewWait, Phase, WITHDRAWN};
use crate::query::{CounterKind, PruneRequest, Taken};
use DeliveryState::{Cancelled, Pending};
use std::sync::Arc;
use wardline_core::{BlindIndex, DeliveryId, DeliveryState, MessageId};

list![
    an_event_is_mail_until_it_is_taken,
    whoever_looks_and_whoever_waits_never_miss_each_other,
    mail_that_was_kept_too_early_is_looked_at_again_after_a_crash,
    equal_mail_is_one_for_its_time,
    mail_that_nobody_looked_at_does_not_expire,
    mail_that_is_refused_never_was,
    the_end_of_a_call_is_mail,
    a_call_that_is_withdrawn_is_no_mail,
    what_repeats_a_call_ends_it,
];

async fn keep(world: &World, mail: crate::MailId) -> Option<(wardline_core::InstanceId, u32)> {
    match &world
        .commit(vec![Change::Keep {
            mail,
            unwilling: Vec::new(),
        }])
        .await[..]
    {
        [Outcome::Kept(waits)] => waits.map(|wait| (wait.instance, wait.number)),
        other => panic!("mail became {other:?}"),
    }
}

async fn an_event_is_mail_until_it_is_taken(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let postman = Arc::new(Postman::default());
    world.store().listen(postman.clone());
    let mut begin = world.begin(1);
    begin.wait = vec![world.wait_for(1, 7)];
    let (id, mail) = world.advanced(begin).await;
    assert!(!mail);
    let first = world.accept(world.event_for(7, 1)).await.first;
    world.accept(world.event_for(8, 2)).await;
    for _ in 0..2 {
        let unread = world.unread().await;
        let [event, other] = &unread[..] else {
            panic!("{unread:?}")
        };
        assert_eq!(event.message, MessageId(first.offset(1)));
        let to = MailTo::Waiting {
            correlator: world.kind,
            key: BlindIndex(7),
        };
        assert_eq!(event.to, to);
        assert!(event.id < other.id);
        assert_eq!(world.mail_of(7).await, [event.id]);
        assert_eq!(*postman.mail.lock(), unread);
        let after = world.store().unread(event.id, 10).await.expect("reads");
        assert_eq!(after, unread[1..]);
        world.reopen();
    }
    let unread = world.unread().await;
    let mut on = world.on(id).await;
    on.take = vec![unread[0].id];
    on.unwait = vec![1];
    world.advanced(on).await;
    let event = first.offset(1);
    let trace = world.store().trace(event, 100).await.expect("reads");
    let taken = Taken {
        event,
        instance: id,
    };
    assert_eq!(trace.expect("is there").taken, [taken]);
    world.commit(vec![Change::Discard(unread[1].id)]).await;
    assert_eq!(world.unread().await, []);
    assert_eq!(world.mail_of(7).await, []);
    let mut again = world.on(id).await;
    again.take = vec![unread[0].id];
    assert_eq!(world.try_advance(again).await, Advanced::Stale);
}

async fn whoever_looks_and_whoever_waits_never_miss_each_other(home: Box<dyn Home>) {
    let world = World::open(home).await;
    // The look comes first: the mail is kept, and whoever begins to wait is told.
    world.accept(world.event_for(7, 1)).await;
    let mail = world.unread().await[0].id;
    assert_eq!(keep(&world, mail).await, None);
    assert_eq!(world.unread().await, []);
    let mut begin = world.begin(1);
    begin.wait = vec![world.wait_for(4, 7)];
    let (first, told) = world.advanced(begin).await;
    assert!(told);
    let mut on = world.on(first).await;
    on.take = vec![mail];
    on.wait = vec![world.wait_for(5, 7)];
    let (_, told) = world.advanced(on).await;
    assert!(!told, "what it takes itself is not there for it");
    // The wait comes first: the look finds it.
    world.accept(world.event_for(7, 2)).await;
    let mail = world.unread().await[0].id;
    assert_eq!(keep(&world, mail).await, Some((first, 4)));
    assert_eq!(world.unread().await.len(), 1, "it was not kept");
    // In one call, in both orders.
    let wait = || {
        let mut begin = world.begin(2);
        begin.wait = vec![world.wait_for(1, 9)];
        Change::Advance(Box::new(begin))
    };
    world.accept(world.event_for(9, 3)).await;
    let mail = world.unread().await[1].id;
    let outcomes = world
        .commit(vec![
            Change::Keep {
                mail,
                unwilling: Vec::new(),
            },
            wait(),
        ])
        .await;
    assert!(
        matches!(
            outcomes[..],
            [
                Outcome::Kept(None),
                Outcome::Advanced(Advanced::Done { mail: true, .. })
            ]
        ),
        "{outcomes:?}"
    );
    assert!(
        keep(&world, mail).await.is_some(),
        "kept or not, it is wanted"
    );
    // Mail that is gone is nobody's.
    world.commit(vec![Change::Discard(mail)]).await;
    assert_eq!(keep(&world, mail).await, None);
}

async fn mail_that_was_kept_too_early_is_looked_at_again_after_a_crash(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    world.accept(world.event_for(7, 1)).await;
    let early = world.unread().await[0].id;
    assert_eq!(keep(&world, early).await, None);
    world.accept(world.event_for(7, 2)).await;
    let late = world.unread().await[0].id;
    assert_eq!(keep(&world, late).await, None);
    // The wait saw the first, and does not want it; the second came while it was written down.
    let mut begin = world.begin(1);
    begin.wait = vec![NewWait {
        seen: early,
        ..world.wait_for(1, 7)
    }];
    let (id, told) = world.advanced(begin).await;
    assert!(told);
    for _ in 0..2 {
        let unread = world.unread().await;
        assert_eq!(
            unread.iter().map(|mail| mail.id).collect::<Vec<_>>(),
            [late]
        );
        world.reopen();
    }
    // It does not want that either; nobody is told of it any more.
    let unwilling = vec![crate::WaitRow {
        instance: id,
        number: 1,
    }];
    let keep = Change::Keep {
        mail: late,
        unwilling,
    };
    assert!(matches!(
        world.commit(vec![keep]).await[..],
        [Outcome::Kept(None)]
    ));
    let mut on = world.on(id).await;
    on.wait = vec![NewWait {
        seen: late,
        ..world.wait_for(2, 7)
    }];
    assert!(!world.advanced(on).await.1);
    assert_eq!(world.unread().await, []);
    assert_eq!(world.mail_of(7).await, [early, late]);
}

async fn equal_mail_is_one_for_its_time(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    world.accept(world.event_for(7, 1)).await;
    let mail = world.unread().await[0].id;
    world.commit(vec![Change::Discard(mail)]).await;
    for _ in 0..2 {
        world.accept(world.event_for(7, 1)).await;
        assert_eq!(world.unread().await, [], "taken, and remembered");
        world.reopen();
    }
    assert_eq!(world.total(CounterKind::MailDuplicate).await, 2);
    assert_eq!(
        world.total(CounterKind::Accepted).await,
        3,
        "the messages are"
    );
    for (value, digest) in [(8, 1), (7, 2)] {
        world.accept(world.event_for(value, digest)).await;
    }
    assert_eq!(world.unread().await.len(), 2);
    world.clock.advance(KEPT);
    world.accept(world.event_for(7, 1)).await;
    assert_eq!(world.unread().await.len(), 3, "forgotten");
}

fn forget() -> PruneRequest {
    PruneRequest {
        payloads_before: None,
        records_before: None,
        dedup_before: None,
        step: 1,
    }
}

async fn mail_that_nobody_looked_at_does_not_expire(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    for value in [7, 8, 9] {
        world.accept(world.event_for(value, value)).await;
    }
    let kept = world.unread().await;
    assert_eq!(keep(&world, kept[0].id).await, None);
    world.clock.advance(KEPT);
    assert_eq!(world.mail_of(7).await, [], "its time is over");
    assert_eq!(world.mail_of(8).await, [kept[1].id]);
    while world.store().prune(&forget()).await.expect("prunes").more {}
    world.reopen();
    assert_eq!(world.unread().await, kept[1..]);
    assert_eq!(world.total(CounterKind::MailExpired).await, 1);
    // Its number is not given again.
    world
        .commit(
            kept[1..]
                .iter()
                .map(|mail| Change::Discard(mail.id))
                .collect(),
        )
        .await;
    while world.store().prune(&forget()).await.expect("prunes").more {}
    world.reopen();
    world.accept(world.event_for(7, 7)).await;
    assert!(world.unread().await[0].id > kept[2].id);
    assert_eq!(
        world.total(CounterKind::MailExpired).await,
        1,
        "two were dealt with"
    );
}

async fn mail_that_is_refused_never_was(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let postman = Arc::new(Postman::default());
    world.store().listen(postman.clone());
    let accept = |value| Change::Accept(Box::new(world.event_for(value, value)));
    world
        .refused(vec![accept(1), Change::Accept(Box::default())])
        .await;
    assert_eq!(
        (world.unread().await, postman.mail.lock().len()),
        (Vec::new(), 0)
    );
    world.commit(vec![accept(2), accept(2)]).await;
    assert_eq!(world.unread().await.len(), 1, "twice in one call is one");
    assert_eq!(postman.mail.lock().len(), 1);
}

async fn the_end_of_a_call_is_mail(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let postman = Arc::new(Postman::default());
    world.store().listen(postman.clone());
    let mut expected = Vec::new();
    for (n, end) in [
        SettlementResult::Delivered,
        SettlementResult::Dead(note("refused")),
    ]
    .into_iter()
    .enumerate()
    {
        let (id, delivery) = world.calling(n as i64, 4).await;
        let retry = SettlementResult::Retry {
            next: world.now(),
            note: note("down"),
        };
        assert!(
            world
                .settle(world.settlement(delivery, Pending, 1, retry))
                .await
        );
        assert_eq!(world.unread().await.len(), n, "it has not ended");
        let settlement = world.settlement(delivery, DeliveryState::Retrying, 2, end);
        assert!(world.settle(settlement.clone()).await);
        assert!(!world.settle(settlement).await);
        expected.push((id, 4, delivery));
    }
    for (n, what) in [(2, 0), (3, 1)] {
        let (id, delivery) = world.calling(n, 4).await;
        let deliveries = vec![DeliveryId(delivery)];
        let note = note("by hand");
        let operation = match what {
            0 => Operation::Cancel { deliveries, note },
            _ => Operation::Park { deliveries, note },
        };
        world.commit(vec![Change::Operate(operation)]).await;
        expected.push((id, 4, delivery));
    }
    // It ended when it died: dealing with it is no second end.
    let cancel = Operation::Cancel {
        deliveries: vec![DeliveryId(expected[3].2)],
        note: note("dealt with"),
    };
    world.commit(vec![Change::Operate(cancel)]).await;
    let mut born_dead = world.call(9);
    born_dead.deliveries[0].state = DeliveryState::Dead;
    born_dead.deliveries[0].note = Some(note("map failed"));
    let mut begin = world.begin(4);
    begin.follow = Some(Box::new(born_dead));
    let Advanced::Done {
        instance,
        first: Some(first),
        ..
    } = world.try_advance(begin).await
    else {
        panic!("it begins")
    };
    expected.push((instance, 9, first.offset(1)));
    // What belongs to no call is no mail.
    let other = world.accept(world.discharge(1)).await.first;
    let delivered = world.settlement(other.offset(2), Pending, 1, SettlementResult::Delivered);
    assert!(world.settle(delivered).await);
    let unread = world.unread().await;
    assert_eq!(ended(&unread), expected);
    assert_eq!(*postman.mail.lock(), unread);
    assert_eq!(unread[4].message, MessageId(first));
    // Only its own instance takes it.
    let (own, stranger) = (expected[0].0, expected[1].0);
    for (id, done) in [(stranger, false), (own, true), (own, false)] {
        let mut on = world.on(id).await;
        on.take = vec![unread[0].id];
        let advanced = world.try_advance(on).await;
        assert_eq!(advanced != Advanced::Stale, done);
    }
}

async fn a_call_that_is_withdrawn_is_no_mail(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let (id, done) = world.calling(1, 1).await;
    let mut on = world.on(id).await;
    let mut two = world.call(2);
    two.deliveries.push(two.deliveries[0].clone());
    two.deliveries[1].destination = world.beds;
    on.follow = Some(Box::new(two));
    let Advanced::Done {
        first: Some(first), ..
    } = world.try_advance(on).await
    else {
        panic!("it advances")
    };
    assert!(
        world
            .settle(world.settlement(done, Pending, 1, SettlementResult::Delivered))
            .await
    );
    let mut on = world.on(id).await;
    on.withdraw = vec![1, 2, 3];
    world.advanced(on).await;
    assert_eq!(world.state(done).await, DeliveryState::Delivered);
    for delivery in [first.offset(1), first.offset(2)] {
        let row = world
            .store()
            .delivery(DeliveryId(delivery))
            .await
            .expect("reads");
        let row = row.expect("it is there");
        assert_eq!(
            (row.state, row.note.expect("says why").code.as_str()),
            (Cancelled, WITHDRAWN)
        );
    }
    assert_eq!(ended(&world.unread().await), [(id, 1, done)]);
    assert_eq!(world.total(CounterKind::Cancelled).await, 2);
    assert_eq!(world.gauge(world.billing, Pending).await, 0);
    // An answer that is on its way comes too late.
    let late = world.settlement(first.offset(1), Pending, 1, SettlementResult::Delivered);
    assert!(!world.settle(late).await);
    let mut end = world.on(id).await;
    end.phase = Phase::Cancelled;
    world.advanced(end).await;
    assert_eq!(
        world.unread().await.len(),
        1,
        "mail stays until somebody has looked at it"
    );
}

async fn what_repeats_a_call_ends_it(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let (id, first) = world.calling(1, 6).await;
    let mut repeats = first;
    let dead = SettlementResult::Dead(note("refused"));
    assert!(
        world
            .settle(world.settlement(first, Pending, 1, dead))
            .await
    );
    for _ in 0..2 {
        let message =
            MessageRef::Existing(MessageId(wardline_core::Id::from_i64(first.as_i64() - 1)));
        let replay = Acceptance {
            deliveries: vec![NewDelivery {
                message,
                replay_of: Some(DeliveryId(repeats)),
                ..world.delivery(0, world.billing)
            }],
            ..Acceptance::default()
        };
        repeats = world.accept(replay).await.first;
        world.reopen();
    }
    let settlement = world.settlement(repeats, Pending, 1, SettlementResult::Delivered);
    assert!(world.settle(settlement).await);
    assert_eq!(
        ended(&world.unread().await),
        [(id, 6, first), (id, 6, repeats)]
    );
    let calls = world.store().calls(id).await.expect("reads");
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|(call, _)| *call == 6));
    let mut on = world.on(id).await;
    on.withdraw = vec![6];
    world.advanced(on).await;
    assert_eq!(
        world.window_ids(world.billing).await,
        [],
        "repetitions are withdrawn as well"
    );
}

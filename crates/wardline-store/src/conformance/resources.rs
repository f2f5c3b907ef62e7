//! Cases about resources that are read back: changed with their message, or not at all.

#![allow(
    clippy::unwrap_used,
    reason = "a case that cannot look at its store fails"
)]

use super::build::{World, sealed};
use super::{Home, list};
use crate::change::{Acceptance, Change, Outcome, ResourceChange, ResourceStanding, ResourceState};
use crate::query::{MessageFilter, ResourceBy};

list![
    a_resource_is_changed_with_its_message_or_not_at_all,
    what_is_unique_belongs_to_one,
    resources_are_read_in_the_order_they_came,
];

fn change(world: &World, id: u8, was: Option<u64>, now: Option<&str>) -> Acceptance {
    Acceptance {
        resource: Some(Box::new(ResourceChange {
            source: world.billing,
            kind: 1,
            id: [id; 16],
            was,
            now: now.map(|name| ResourceState {
                unique: Some([name.len() as u8; 16]),
                known: Some([name.as_bytes()[0]; 16]),
                sealed: sealed(name),
            }),
        })),
        ..world.discharge(7)
    }
}

async fn keep(
    world: &World,
    id: u8,
    was: Option<u64>,
    now: Option<&str>,
) -> Result<(), ResourceStanding> {
    let commit = vec![Change::Accept(Box::new(change(world, id, was, now)))];
    match &world.commit(commit).await[..] {
        [Outcome::Accepted(_)] => Ok(()),
        [Outcome::Unfit(standing)] => Err(*standing),
        other => panic!("a resource became {other:?}"),
    }
}

async fn messages(world: &World) -> usize {
    let filter = MessageFilter {
        limit: 100,
        ..MessageFilter::default()
    };
    world.store().messages(&filter).await.unwrap().rows.len()
}

async fn a_resource_is_changed_with_its_message_or_not_at_all(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    assert_eq!(
        keep(&world, 1, Some(1), Some("a")).await,
        Err(ResourceStanding::Changed)
    );
    assert_eq!(messages(&world).await, 0);
    keep(&world, 1, None, Some("a")).await.unwrap();
    let each = messages(&world).await;
    assert!(each > 0);
    assert_eq!(
        keep(&world, 1, None, Some("aa")).await,
        Err(ResourceStanding::Changed)
    );
    keep(&world, 1, Some(1), Some("aaa")).await.unwrap();
    assert_eq!(
        keep(&world, 1, Some(1), None).await,
        Err(ResourceStanding::Changed)
    );
    assert_eq!(messages(&world).await, 2 * each);
    world.reopen();
    let by = ResourceBy::Id([1; 16]);
    let row = world
        .store()
        .resource(world.billing, 1, by)
        .await
        .unwrap()
        .remove(0);
    assert_eq!((row.version, row.sealed), (2, sealed("aaa")));
    assert!(
        world
            .store()
            .resource(world.beds, 1, by)
            .await
            .unwrap()
            .is_empty()
    );
    keep(&world, 1, Some(2), None).await.unwrap();
    assert!(
        world
            .store()
            .resource(world.billing, 1, by)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        world
            .store()
            .resource_count(world.billing, 1)
            .await
            .unwrap(),
        0
    );
}

async fn what_is_unique_belongs_to_one(home: Box<dyn Home>) {
    let world = World::open(home).await;
    keep(&world, 1, None, Some("a")).await.unwrap();
    assert_eq!(
        keep(&world, 2, None, Some("b")).await,
        Err(ResourceStanding::Taken)
    );
    keep(&world, 2, None, Some("bb")).await.unwrap();
    assert_eq!(
        keep(&world, 2, Some(1), Some("b")).await,
        Err(ResourceStanding::Taken)
    );
    // Its own name is no other's.
    keep(&world, 2, Some(1), Some("cc")).await.unwrap();
    keep(&world, 1, Some(1), None).await.unwrap();
    keep(&world, 3, None, Some("d")).await.unwrap();
    for (by, id) in [
        (ResourceBy::Unique([2; 16]), 2),
        (ResourceBy::Known([b'd'; 16]), 3),
    ] {
        let row = world.store().resource(world.billing, 1, by).await.unwrap();
        assert_eq!(row.iter().map(|row| row.id).collect::<Vec<_>>(), [[id; 16]]);
    }
}

async fn resources_are_read_in_the_order_they_came(home: Box<dyn Home>) {
    let world = World::open(home).await;
    for id in 1..=5 {
        let name = "x".repeat(usize::from(id));
        keep(&world, id, None, Some(&name)).await.unwrap();
    }
    keep(&world, 2, Some(1), None).await.unwrap();
    let some = |after, skip| {
        let store = world.store();
        let source = world.billing;
        async move {
            let rows = store.resources(source, 1, after, skip, 2).await.unwrap();
            let last = rows.last().map_or(0, |row| row.place);
            (rows.iter().map(|row| row.id[0]).collect::<Vec<_>>(), last)
        }
    };
    let (first, last) = some(0, 0).await;
    assert_eq!(first, [1, 3]);
    assert_eq!(some(last, 0).await.0, [4, 5]);
    assert_eq!(some(0, 3).await.0, [5]);
    assert!(some(0, 4).await.0.is_empty());
    assert_eq!(
        world
            .store()
            .resource_count(world.billing, 1)
            .await
            .unwrap(),
        4
    );
}

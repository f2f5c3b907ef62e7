//! Cases about tasks, and about what retention leaves of instances.

use super::build::{World, note};
use super::{Home, list};
use crate::StoreError;
use crate::change::{Change, Outcome, SettlementResult};
use crate::process::{Phase, TaskAct, TaskEnd, TaskFilter, TaskRow};
use crate::query::{PruneReport, PruneRequest};
use std::time::Duration;
use wardline_core::{DeliveryState, InstanceId, TaskId, Timestamp};

list![
    a_task_is_asked_taken_on_and_answered,
    tasks_are_found_by_whom_they_concern,
    instances_go_when_they_have_ended_and_their_time_is_over,
];

async fn act(world: &World, task: TaskId, act: TaskAct) -> bool {
    match &world.commit(vec![Change::Task { task, act }]).await[..] {
        [Outcome::Task(done)] => *done,
        other => panic!("a task became {other:?}"),
    }
}

fn claim(by: &str) -> TaskAct {
    TaskAct::Claim { by: by.into() }
}

async fn tasks(world: &World, filter: TaskFilter) -> Vec<TaskRow> {
    world.store().tasks(&filter).await.expect("reads").rows
}

async fn a_task_is_asked_taken_on_and_answered(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let (buyer, payer) = (
        world.name("role/buyer").await,
        world.name("role/payer").await,
    );
    let mut begin = world.begin(1);
    begin.phase = Phase::Asking;
    begin.facility = Some(payer);
    begin.ask = vec![world.question(1, buyer), world.question(2, buyer)];
    let (id, _) = world.advanced(begin).await;
    let all = tasks(&world, TaskFilter::default()).await;
    let [second, first] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!((first.number, second.number, first.instance), (1, 2, id));
    assert_eq!((first.role, first.facility), (buyer, Some(payer)));
    assert_eq!((first.asked, first.process), (world.now(), world.source));
    assert!(id.0 < first.id.0 && first.id.0 < second.id.0);
    let task = first.id;
    assert!(act(&world, task, claim("anna")).await);
    assert!(act(&world, task, claim("anna")).await, "hers already");
    assert!(!act(&world, task, claim("ben")).await);
    world.reopen();
    assert!(act(&world, task, TaskAct::Release).await);
    assert!(act(&world, task, claim("ben")).await);
    let due = world.now().after(Duration::from_secs(60));
    let hand_over = TaskAct::Reassign {
        role: Some(payer),
        to: String::new(),
        due: Some(due),
    };
    assert!(act(&world, task, hand_over).await);
    let row = world
        .store()
        .task(task)
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!((row.role, row.claimed, row.due), (payer, None, Some(due)));
    let to_anna = TaskAct::Reassign {
        role: None,
        to: "anna".into(),
        due: None,
    };
    assert!(act(&world, task, to_anna).await);
    let row = world
        .store()
        .task(task)
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(
        (row.role, row.claimed.as_deref(), row.due),
        (payer, Some("anna"), Some(due))
    );
    let mut on = world.on(id).await;
    on.phase = Phase::Running;
    on.answer = vec![TaskEnd {
        number: 1,
        by: "anna".into(),
        choice: "approve".into(),
    }];
    world.pass(10);
    world.advanced(on).await;
    let row = world
        .store()
        .task(task)
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(
        (row.by.as_deref(), row.choice.as_deref()),
        (Some("anna"), Some("approve"))
    );
    assert_eq!(row.ended, Some(world.now()));
    for late in [claim("anna"), TaskAct::Release] {
        assert!(!act(&world, task, late).await);
    }
    let unknown = TaskId(second.id.0.offset(1));
    assert!(!act(&world, unknown, claim("anna")).await);
    let long = Change::Task {
        task,
        act: claim(&"x".repeat(2_000)),
    };
    assert!(matches!(
        world.refused(vec![long]).await,
        StoreError::Invalid(_)
    ));
}

async fn tasks_are_found_by_whom_they_concern(home: Box<dyn Home>) {
    let world = World::open(home).await;
    let mut roles = Vec::new();
    for name in ["role/buyer", "role/payer", "role/nurse"] {
        roles.push(world.name(name).await);
    }
    let mut instances = Vec::new();
    for value in 0..12 {
        let mut begin = world.begin(value);
        begin.ask = roles
            .iter()
            .zip(0..)
            .map(|(role, n)| world.question(n, *role))
            .collect();
        begin.ask[0].due = Some(Timestamp(world.now().0 + value));
        let (id, _) = world.advanced(begin).await;
        instances.push(id);
        world.pass(1);
    }
    let all = tasks(
        &world,
        TaskFilter {
            limit: 100,
            ..TaskFilter::default()
        },
    )
    .await;
    assert_eq!(all.len(), 36);
    for row in all.iter().step_by(5) {
        assert!(act(&world, row.id, claim("anna")).await);
    }
    for id in &instances[..4] {
        let mut on = world.on(*id).await;
        on.answer = vec![TaskEnd {
            number: 1,
            by: "ben".into(),
            choice: "no".into(),
        }];
        world.advanced(on).await;
    }
    let all = tasks(
        &world,
        TaskFilter {
            limit: 100,
            ..TaskFilter::default()
        },
    )
    .await;
    let some = TaskFilter {
        limit: 4,
        ..TaskFilter::default()
    };
    let mut filters = Vec::new();
    for open in [None, Some(true), Some(false)] {
        let some = TaskFilter {
            open,
            ..some.clone()
        };
        filters.push(some.clone());
        filters.push(TaskFilter {
            roles: roles[1..].to_vec(),
            ..some.clone()
        });
        filters.push(TaskFilter {
            instance: Some(instances[2]),
            ..some.clone()
        });
        filters.push(TaskFilter {
            process: Some(world.source),
            ..some.clone()
        });
        filters.push(TaskFilter {
            process: Some(world.flow),
            ..some.clone()
        });
        filters.push(TaskFilter {
            claimed: Some("anna".into()),
            ..some.clone()
        });
        filters.push(TaskFilter {
            due_before: Some(world.now()),
            ..some.clone()
        });
    }
    for filter in filters {
        let expected: Vec<TaskId> = all
            .iter()
            .filter(|row| {
                (filter.roles.is_empty() || filter.roles.contains(&row.role))
                    && filter.instance.is_none_or(|id| row.instance == id)
                    && filter.process.is_none_or(|name| row.process == name)
                    && (filter.claimed.is_none() || row.claimed == filter.claimed)
                    && filter.open.is_none_or(|open| row.ended.is_none() == open)
                    && filter
                        .due_before
                        .is_none_or(|before| row.due.is_some_and(|due| due < before))
            })
            .map(|row| row.id)
            .collect();
        let mut found = Vec::new();
        let mut page = filter.clone();
        loop {
            let answer = world.store().tasks(&page).await.expect("reads");
            assert!(answer.rows.len() <= 4);
            found.extend(answer.rows.iter().map(|row| row.id));
            page.before = answer.next;
            if answer.next.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{filter:?}");
    }
}

async fn prune(world: &World, records: Timestamp) -> PruneReport {
    let request = PruneRequest {
        payloads_before: Some(records),
        records_before: Some(records),
        dedup_before: None,
        step: 2,
    };
    let mut sum = PruneReport::default();
    for _ in 0..10_000 {
        let report = world.store().prune(&request).await.expect("prunes");
        sum.instances += report.instances;
        sum.oldest_instance = report.oldest_instance;
        if !report.more {
            return sum;
        }
    }
    panic!("retention does not come to an end");
}

async fn instances_go_when_they_have_ended_and_their_time_is_over(home: Box<dyn Home>) {
    let mut world = World::open(home).await;
    let role = world.name("role/buyer").await;
    let mut ids: Vec<InstanceId> = Vec::new();
    for value in 0..9 {
        let (id, delivery) = world.calling(value, 1).await;
        let dead = SettlementResult::Dead(note("refused"));
        let settlement = world.settlement(delivery, DeliveryState::Pending, 1, dead);
        assert!(world.settle(settlement).await);
        let mut on = world.on(id).await;
        on.ask = vec![world.question(1, role)];
        on.history = vec![super::process::line("ask", "waiting")];
        world.advanced(on).await;
        ids.push(id);
        world.pass(1);
    }
    // Two stay open, one ends after the horizon.
    for id in &ids[1..7] {
        let mut on = world.on(*id).await;
        on.phase = Phase::Completed;
        world.advanced(on).await;
    }
    world.pass(10);
    let horizon = world.now();
    let mut on = world.on(ids[7]).await;
    on.phase = Phase::Failed;
    world.advanced(on).await;
    world.clock.advance(Duration::from_secs(1));
    let report = prune(&world, horizon).await;
    assert_eq!(report.instances, 6);
    assert_eq!(
        report.oldest_instance,
        Some(Timestamp::from_unix_ms(ids[0].0.unix_ms()))
    );
    for (n, id) in ids.iter().enumerate() {
        let stays = !(1..7).contains(&n);
        let store = world.store();
        assert_eq!(store.instance(*id).await.expect("reads").is_some(), stays);
        assert_eq!(
            store.instance_state(*id).await.expect("reads").is_some(),
            stays,
            "{n}"
        );
        assert_eq!(
            store.history(*id, 0, 9).await.expect("reads").len(),
            usize::from(stays)
        );
        let of = TaskFilter {
            instance: Some(*id),
            ..TaskFilter::default()
        };
        assert_eq!(tasks(&world, of).await.len(), usize::from(stays));
    }
    assert_eq!(
        world.unread().await.len(),
        3,
        "mail of what is gone goes with it"
    );
    for (phase, n) in [
        (Phase::Running, 2),
        (Phase::Completed, 0),
        (Phase::Failed, 1),
    ] {
        assert_eq!(world.counted(phase).await, n);
    }
    // Ids go on rising where the newest are gone.
    let mut on = world.on(ids[8]).await;
    on.phase = Phase::Completed;
    world.advanced(on).await;
    world.clock.advance(Duration::from_secs(1));
    let newest = tasks(&world, TaskFilter::default()).await[0].id;
    prune(&world, world.now()).await;
    world.clock.set(horizon);
    world.reopen();
    assert!(world.begun(1).await.0 > newest.0);
}

//! Instances that outlast what happens around them: their process leaves the estate, others
//! change them all the time, they want more than can be recorded, a person tries again.

use crate::http_receiver::Receiver;
use crate::processes::{act, all, files, paths, stage, stage_at, stage_on, tasks, until_phase};
use crate::sender::adt;
use crate::stage::{Stage, until};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wardline_core::{InstanceId, SimulatedClock, Timestamp};
use wardline_engine::view::{Decision, MessageQuery, ProcessAct};
use wardline_engine::{LaterCall, Refused};
use wardline_faults::{Failure, FaultVfs, Operation, Part, Rule};
use wardline_store::{Advance, Change, Store, Which};

fn set(vars: serde_json::Value) -> ProcessAct {
    ProcessAct::Set {
        vars: vars.as_object().unwrap().clone(),
    }
}

const RETRY_ALL: ProcessAct = ProcessAct::Retry { step: None };

/// Tells an event between two calls.
const TELLS: &str = "  - open: { call: billing.open, with: { visit: .visit.visit, id: .visit.id } }\n  \
                     - leave: { wait: { event: visit.closed, where: .visit == instance.key }, save: left }\n  \
                     - tell: { emit: visit.billed, with: .left }\n  \
                     - close: { call: billing.close, with: { visit: .visit.visit, id: .left.id } }\n";

async fn until_at(stage: &Stage, step: &str) {
    until(step, async || {
        all(stage).await.first().is_some_and(|one| one.at == [step])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_finishes_though_the_last_process_left_the_estate() {
    for restarted in [false, true] {
        let billing = Receiver::start().await;
        let mut tries = 0;
        billing.answers(move |call| {
            tries += usize::from(call.path == "/close");
            // Tried again as its process said: within milliseconds.
            if call.path == "/close" && tries == 1 {
                (503, None, "")
            } else {
                (200, None, "{}")
            }
        });
        let mut stage = stage(&billing, TELLS).await;
        let mut sender = stage.sender().await;
        sender.tell(&adt("A01", "M1", "V1")).await;
        until_at(&stage, "leave").await;
        stage.remove("processes/1.yaml");
        if restarted {
            drop(sender);
            stage.stop(Duration::from_secs(10)).await;
            stage.go_on().await;
            sender = stage.sender().await;
        } else {
            stage.change().await;
        }
        sender.tell(&adt("A03", "M2", "V1")).await;
        // Nothing begins any more.
        sender.tell(&adt("A01", "M3", "V2")).await;
        let begun = std::time::Instant::now();
        until_phase(&stage, "completed").await;
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "not its own retries"
        );
        assert_eq!(paths(&billing), ["/open", "/close", "/close"]);
        assert_eq!(all(&stage).await.len(), 1);
        // In its own name, not in that of the first flow.
        let told = MessageQuery {
            kind: Some("visit.billed".to_owned()),
            events: true,
            limit: 10,
            ..MessageQuery::default()
        };
        let told = stage.desk().messages(&told).await.unwrap().rows;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].source, "process/stay");
        stage.stop(Duration::from_secs(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_instances_and_they_go_on_when_there_is_room() {
    const MANY: usize = 20;
    let disk = FaultVfs::register("instances", 1).unwrap();
    let billing = Receiver::start().await;
    let steps =
        "  - rest: { sleep: 3s }\n  - close: { call: billing.close, with: { id: .visit.id } }\n";
    let clock = Arc::new(wardline_core::RealClock);
    let mut stage = stage_on(&billing, steps, clock, Some(disk.name().to_owned())).await;
    let mut sender = stage.sender().await;
    for n in 0..MANY {
        sender
            .tell(&adt("A01", &format!("M{n}"), &format!("V{n}")))
            .await;
    }
    until("all sleep", async || {
        let all = all(&stage).await;
        all.len() == MANY && all.iter().all(|one| one.at == ["rest"])
    })
    .await;
    disk.inject(Rule::new(Operation::Write, Failure::Full).on(Part::Log));
    // Their time comes, and nothing can be written down of it: so nothing is done.
    until("the status says why", async || {
        let overview = stage.desk().overview().await.unwrap();
        !overview.well && overview.headline.contains("full")
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(all(&stage).await.iter().all(|one| one.at == ["rest"]));
    assert!(billing.calls().is_empty());
    disk.heal();
    until("all are done", async || {
        all(&stage).await.iter().all(|one| one.phase == "completed")
    })
    .await;
    assert!(stage.desk().overview().await.unwrap().well);
    let mut ids: Vec<_> = billing
        .calls()
        .iter()
        .map(|call| call.id().to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), billing.calls().len()), (MANY, MANY));
    stage.stop(Duration::from_secs(10)).await;
}

const APIS: &str = "api: stays\nowner: patient-access\nlayer: process\nversion: 1.0.0\nstate: published\noperations:\n  \
    start: { post: \"/\", accepts: visit, scope: visit.write, starts: stay }\n  \
    move-visit: { post: \"/{id}/move\", accepts: visit, scope: visit.write, signals: stay }\n  \
    how-far: { get: \"/{id}\", scope: visit.write, status: stay }\n";

fn call<'a>(operation: &'a str, body: &str) -> LaterCall<'a> {
    LaterCall {
        operation,
        system: None,
        client: "ward",
        correlation: "C1",
        facility: None,
        body: Bytes::from(body.to_owned()),
        once: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_comes_again_is_answered_as_the_first_time() {
    let billing = Receiver::start().await;
    let steps = "  - moved: { wait: { event: visit.move_visit, where: .ward == instance.vars.visit.ward } }\n  \
                 - never: { wait: { event: visit.changed, where: .visit == instance.key } }\n";
    let files = files(&billing, steps);
    let mut files: Vec<_> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.clone()))
        .collect();
    files.push(("apis/1.yaml", APIS.to_owned()));
    let mut stage = Stage::start(&files).await;
    let door = stage.door();
    let begun = door
        .start(
            "stay",
            call(
                "stays/v1.start",
                r#"{ "id": "1", "visit": "V1", "ward": "4W" }"#,
            ),
        )
        .await
        .unwrap();
    until_at(&stage, "moved").await;
    let id = begun.id.to_string();
    // Found by its ward, not by its key.
    let body = r#"{ "id": "2", "visit": "unknown", "ward": "4W" }"#;
    let signal = async |body: &str| {
        door.signal("stay", &id, call("stays/v1.move-visit", body))
            .await
    };
    assert!(!signal(body).await.unwrap().unwrap().known);
    until_at(&stage, "never").await;
    let again = signal(body).await.unwrap().unwrap();
    assert!(again.known, "{again:?}");
    assert_eq!(again.id, begun.id);
    // What was never told is still about another.
    let other = signal(r#"{ "id": "3", "visit": "unknown", "ward": "4W" }"#).await;
    assert!(matches!(other, Err(Refused::Another)), "{other:?}");
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_is_looked_at_twice_fires_once() {
    let billing = Receiver::start().await;
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp::from_unix_ms(
        1_790_000_000_000,
    )));
    let steps = "  - rest: { sleep: 2d }\n  - never: { wait: { event: visit.changed, where: .visit == instance.key } }\n";
    let mut stage = stage_at(&billing, steps, clock.clone()).await;
    let mut sender = stage.sender().await;
    let old = 400;
    for n in 0..old {
        sender
            .tell(&adt("A01", &format!("M{n}"), &format!("V{n}")))
            .await;
    }
    until("all sleep", async || {
        let all = all(&stage).await;
        all.len() == old && all.iter().all(|one| one.at == ["rest"])
    })
    .await;
    clock.advance(Duration::from_hours(72));
    // Each estate that comes into force is a reason to look at all that is due.
    for _ in 0..12 {
        stage.change().await;
    }
    until("the old ones are awake", async || {
        let woken = all(&stage).await;
        woken.iter().filter(|one| one.at == ["never"]).count() == old
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let store = stage.store();
    for one in all(&stage).await {
        let row = store.instance(one.id).await.unwrap().unwrap();
        assert_eq!(row.revision, 2, "{one:?}");
    }
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_of_an_instance_that_were_missed_fire_in_the_order_of_their_times() {
    let billing = Receiver::start().await;
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp::from_unix_ms(
        1_790_000_000_000,
    )));
    let branch = |name: &str, long: &str| {
        format!(
            "        {name}: [ {{ rest-{name}: {{ sleep: {long} }} }}, {{ tell-{name}: {{ call: billing.open, with: {{ id: '\"{name}\"' }} }} }} ]\n"
        )
    };
    let steps = format!(
        "  - side-by-side:\n      parallel:\n{}{}{}",
        branch("third", "3d"),
        branch("first", "1d"),
        branch("second", "2d")
    );
    let mut stage = stage_at(&billing, &steps, clock.clone()).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    until("it sleeps", async || all(&stage).await.len() == 1).await;
    drop(sender);
    stage.stop(Duration::from_secs(10)).await;
    clock.advance(Duration::from_hours(24 * 9));
    stage.go_on().await;
    until_phase(&stage, "completed").await;
    let ids: Vec<_> = billing
        .calls()
        .iter()
        .map(|call| call.id().to_owned())
        .collect();
    assert_eq!(ids, ["first", "second", "third"]);
    stage.stop(Duration::from_secs(10)).await;
}

/// Advances an instance to where it is; where somebody else was first nothing is done. False
/// once it has ended.
async fn touch(store: &dyn Store, id: InstanceId) -> bool {
    let row = store.instance(id).await.unwrap().unwrap();
    let Some(state) = store.instance_state(id).await.unwrap() else {
        return false;
    };
    if !row.phase.is_open() {
        return false;
    }
    let advance = Advance {
        lease: store.lease(),
        which: Which::Existing {
            id,
            revision: row.revision,
            reopen: false,
        },
        definition: row.definition,
        phase: row.phase,
        status: row.status,
        step: row.step,
        note: row.note,
        owner: row.owner,
        facility: row.facility,
        due: row.due,
        state,
        summary: row.summary,
        take: Vec::new(),
        fire: Vec::new(),
        unwait: Vec::new(),
        wait: Vec::new(),
        unset: Vec::new(),
        set: Vec::new(),
        answer: Vec::new(),
        ask: Vec::new(),
        withdraw: Vec::new(),
        follow: None,
        history: Vec::new(),
    };
    let change = Change::Advance(Box::new(advance));
    store.commit(vec![change]).await.unwrap();
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_for_an_instance_that_others_change_all_the_time_arrives() {
    const MANY: usize = 8;
    const HANDS: usize = 12;
    let billing = Receiver::start().await;
    let steps = "  - leave: { wait: { event: visit.closed, where: .visit == instance.key } }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    for n in 0..MANY {
        sender
            .tell(&adt("A01", &format!("A{n}"), &format!("V{n}")))
            .await;
    }
    until("all wait", async || {
        let all = all(&stage).await;
        all.len() == MANY && all.iter().all(|one| one.at == ["leave"])
    })
    .await;
    let enough = Arc::new(AtomicBool::new(false));
    let mut hands = tokio::task::JoinSet::new();
    for one in all(&stage).await {
        for _ in 0..HANDS {
            let (store, enough) = (stage.store(), Arc::clone(&enough));
            hands.spawn(async move {
                while !enough.load(Ordering::Relaxed) && touch(&*store, one.id).await {}
            });
        }
    }
    for n in 0..MANY {
        sender
            .tell(&adt("A03", &format!("B{n}"), &format!("V{n}")))
            .await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    enough.store(true, Ordering::Relaxed);
    while hands.join_next().await.is_some() {}
    until("all are done", async || {
        all(&stage).await.iter().all(|one| one.phase == "completed")
    })
    .await;
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_whose_until_failed_asks_again_and_repeats_nothing() {
    let billing = Receiver::start().await;
    let steps = "  - rounds:\n      repeat: { until: 'int!(.enough) <= (int(.n) ?? 0)', most: 3 }\n      steps:\n        \
                 - call: { call: billing.open, with: { id: .visit.id } }\n        \
                 - add: { set: { n: '(int(.n) ?? 0) + 1' } }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    let stuck = until_phase(&stage, "stuck").await;
    assert_eq!(stuck.at, ["rounds"]);
    assert_eq!(billing.calls().len(), 1);
    // It is asked again: not yet, so it goes on with its second round, and its third.
    act(&stage, stuck.id, set(serde_json::json!({ "enough": 9 }))).await;
    act(&stage, stuck.id, RETRY_ALL).await;
    until("all rounds are done", async || {
        let one = all(&stage).await.remove(0);
        one.phase == "stuck" && one.reason.is_some_and(|text| text.contains("3 rounds"))
    })
    .await;
    assert_eq!(billing.calls().len(), 3);
    // It is asked again: enough.
    act(&stage, stuck.id, set(serde_json::json!({ "enough": 3 }))).await;
    act(&stage, stuck.id, RETRY_ALL).await;
    until_phase(&stage, "completed").await;
    assert_eq!(billing.calls().len(), 3);
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_that_grow_too_large_make_an_instance_stuck_and_nobody_else() {
    let billing = Receiver::start().await;
    let steps = "  - leave: { wait: { event: visit.closed, where: .visit == instance.key }, save: left }\n  \
                 - grow:\n      when: .visit.visit == \"V1\" && .grow != false\n      \
                 repeat: { until: 'strlen(string(.x) ?? \"\") > 20000000', most: 100 }\n      steps:\n        \
                 - twice: { set: { x: '(string(.x) ?? \"ab\") + (string(.x) ?? \"ab\")' } }\n  \
                 - close: { call: billing.close, with: { id: .left.id } }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    for visit in ["V1", "V2"] {
        sender.tell(&adt("A01", &format!("A-{visit}"), visit)).await;
    }
    until("both wait", async || all(&stage).await.len() == 2).await;
    for visit in ["V1", "V2"] {
        sender.tell(&adt("A03", &format!("B-{visit}"), visit)).await;
    }
    until("one is stuck, the other done", async || {
        let mut phases: Vec<_> = all(&stage).await.into_iter().map(|one| one.phase).collect();
        phases.sort();
        phases == ["completed", "stuck"]
    })
    .await;
    let stuck = all(&stage)
        .await
        .into_iter()
        .find(|one| one.phase == "stuck")
        .unwrap();
    assert_eq!(stuck.at, ["leave"]);
    let reason = stuck.reason.clone().unwrap();
    assert!(
        reason.starts_with("W2602") && reason.contains("larger than 16777216 bytes"),
        "{reason}"
    );
    // The event that it could not follow up is still there for it.
    act(&stage, stuck.id, set(serde_json::json!({ "grow": false }))).await;
    act(&stage, stuck.id, RETRY_ALL).await;
    until("both are done", async || {
        all(&stage).await.iter().all(|one| one.phase == "completed")
    })
    .await;
    let mut ids: Vec<_> = billing
        .calls()
        .iter()
        .map(|call| call.id().to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids, ["B-V1", "B-V2"]);
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_cannot_do_its_first_steps_is_stuck_at_the_first() {
    let billing = Receiver::start().await;
    let steps = "  - grow:\n      when: .grow != false\n      \
                 repeat: { until: 'strlen(string(.x) ?? \"\") > 20000000', most: 100 }\n      steps:\n        \
                 - twice: { set: { x: '(string(.x) ?? \"ab\") + (string(.x) ?? \"ab\")' } }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    let stuck = until_phase(&stage, "stuck").await;
    assert_eq!(stuck.at, ["grow"]);
    act(&stage, stuck.id, set(serde_json::json!({ "grow": false }))).await;
    act(&stage, stuck.id, RETRY_ALL).await;
    until_phase(&stage, "completed").await;
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advance_of_ten_thousand_rounds_keeps_a_shortened_history() {
    let billing = Receiver::start().await;
    let steps = "  - never: { wait: { event: visit.changed, where: .visit == instance.key } }\n  \
                 - lines: { each: .lines, steps: [ { note: { set: { seen: true } } } ] }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    until_at(&stage, "never").await;
    let id = all(&stage).await[0].id;
    let lines: Vec<u32> = (0..10_000).collect();
    act(&stage, id, set(serde_json::json!({ "lines": lines }))).await;
    act(&stage, id, ProcessAct::Skip { step: None }).await;
    until_phase(&stage, "completed").await;
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_no_valid_entity_is_not_told_until_somebody_mends_it() {
    let billing = Receiver::start().await;
    let steps = "  - tell: { emit: visit.billed, with: .bill }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    let stuck = until_phase(&stage, "stuck").await;
    assert_eq!(stuck.at, ["tell"]);
    let bill = serde_json::json!({ "bill": { "id": "B1", "visit": "V1" } });
    act(&stage, stuck.id, set(bill)).await;
    act(&stage, stuck.id, RETRY_ALL).await;
    until_phase(&stage, "completed").await;
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_was_answered_is_not_answered_again() {
    let billing = Receiver::start().await;
    let steps = "  - ask: { task: { role: nurse, ask: \"Send?\", choices: [send, drop] }, save: said }\n  \
                 - close: { call: billing.close, with: { id: .said.choice } }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    until_phase(&stage, "asking").await;
    let task = tasks(&stage).await.remove(0);
    let say = |choice: &str| Decision {
        choice: choice.to_owned(),
        note: String::new(),
        form: std::collections::BTreeMap::new(),
    };
    let desk = stage.desk();
    desk.answer_task(task.id, &say("send"), "user:pat")
        .await
        .unwrap();
    until_phase(&stage, "completed").await;
    let twice = desk
        .answer_task(task.id, &say("drop"), "user:pat")
        .await
        .unwrap_err();
    assert!(twice.to_string().contains("ended"), "{twice}");
    assert_eq!(billing.calls().len(), 1);
    assert_eq!(billing.calls()[0].id(), "send");
    stage.stop(Duration::from_secs(10)).await;
}

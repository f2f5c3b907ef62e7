//! Instances of processes over a real journal: begun, answered, timed, mended, restarted.

use crate::http_receiver::Receiver;
use crate::sender::adt;
use crate::stage::{Stage, system, until};
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{InstanceId, SimulatedClock, Timestamp};
use wardline_engine::view::{
    Decision, InstanceQuery, InstanceView, ProcessAct, ReplayRequest, Selection, TaskQuery,
    TaskView, TransactionQuery,
};

/// Each trigger event as an event of its own.
const FLOWS: &str = "flow: opened\nowner: x\nfrom: ehr.adt\nwhen: hl7(\"MSH-9.2\") == \"A01\"\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\nemit: visit.opened\n---\n\
     flow: changed\nowner: x\nfrom: ehr.adt\nwhen: hl7(\"MSH-9.2\") == \"A08\"\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\nemit: visit.changed\n---\n\
     flow: closed\nowner: x\nfrom: ehr.adt\nwhen: hl7(\"MSH-9.2\") == \"A03\"\nkey: hl7(\"PV1-19.1\")\nmap: maps/visit.vrl\nemit: visit.closed\n";

const RETRY: &str = "retry: { first: 5ms, factor: 1, max: 5ms, attempts: 2, jitter: none }";

fn process(steps: &str) -> String {
    format!(
        "process: stay\nversion: 1\nowner: patient-access\nentity: visit\non: visit.opened\nkey: .visit.visit\n\
         statuses: [opened, closed, billed]\nshow: {{ ward: .visit.ward }}\n{RETRY}\non_exhausted: park\nsteps:\n{steps}"
    )
}

const STAY: &str = "  - open: { call: billing.open, with: { visit: .visit.visit, id: .visit.id }, status: opened, \
                    undo: { call: billing.void, with: { visit: .visit.visit } } }\n  \
                    - leave: { wait: { event: visit.closed, where: .visit == instance.key }, save: left, status: closed }\n  \
                    - close: { call: billing.close, with: { visit: .visit.visit, id: .left.id }, status: billed }\n";

pub(crate) async fn stage(billing: &Receiver, steps: &str) -> Stage {
    stage_at(billing, steps, Arc::new(wardline_core::RealClock)).await
}

pub(crate) async fn stage_at(
    billing: &Receiver,
    steps: &str,
    clock: Arc<dyn wardline_core::Clock>,
) -> Stage {
    stage_on(billing, steps, clock, None).await
}

pub(crate) async fn stage_on(
    billing: &Receiver,
    steps: &str,
    clock: Arc<dyn wardline_core::Clock>,
    vfs: Option<String>,
) -> Stage {
    let files = files(billing, steps);
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.clone()))
        .collect();
    Stage::start_on(&files, clock, vfs).await
}

/// An estate with one process of these steps.
pub(crate) fn files(billing: &Receiver, steps: &str) -> Vec<(String, String)> {
    let system = system(
        "billing",
        &billing.url(),
        "breaker: { open_after: 0 }",
        &["open", "close", "void"],
    );
    vec![
        system,
        ("flows/1.yaml".to_owned(), FLOWS.to_owned()),
        ("processes/1.yaml".to_owned(), process(steps)),
    ]
}

pub(crate) async fn all(stage: &Stage) -> Vec<InstanceView> {
    let query = InstanceQuery {
        limit: 1_000,
        ..InstanceQuery::default()
    };
    stage.desk().instances(&query).await.unwrap().rows
}

pub(crate) async fn tasks(stage: &Stage) -> Vec<TaskView> {
    let query = TaskQuery {
        open: Some(true),
        limit: 100,
        ..TaskQuery::default()
    };
    stage.desk().tasks(&query).await.unwrap().rows
}

pub(crate) async fn until_phase(stage: &Stage, phase: &str) -> InstanceView {
    until(phase, async || {
        all(stage)
            .await
            .first()
            .is_some_and(|one| one.phase == phase)
    })
    .await;
    all(stage).await.remove(0)
}

async fn until_status(stage: &Stage, status: &str) {
    until(status, async || {
        all(stage)
            .await
            .first()
            .is_some_and(|one| one.status.as_deref() == Some(status))
    })
    .await;
}

pub(crate) fn paths(billing: &Receiver) -> Vec<String> {
    billing.calls().into_iter().map(|call| call.path).collect()
}

pub(crate) async fn act(stage: &Stage, id: InstanceId, act: ProcessAct) -> InstanceView {
    stage
        .desk()
        .act_on(id, &act, "a test", "user:pat")
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_goes_from_its_first_event_to_its_end() {
    let billing = Receiver::start().await;
    let mut stage = stage(&billing, STAY).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    until_status(&stage, "opened").await;
    // The same once more, and one that has nothing to do with it.
    sender.tell(&adt("A01", "M2", "V1")).await;
    sender.tell(&adt("A03", "M3", "V9")).await;
    sender.tell(&adt("A03", "M4", "V1")).await;
    let done = until_phase(&stage, "completed").await;
    assert_eq!(done.status.as_deref(), Some("billed"));
    assert_eq!(all(&stage).await.len(), 1);
    assert_eq!(paths(&billing), ["/open", "/close"]);
    assert_eq!(billing.calls()[1].body["id"], "M4");
    let detail = stage
        .desk()
        .instance(done.id, None, "user:pat")
        .await
        .unwrap();
    assert_eq!(detail.calls.len(), 2);
    assert!(detail.vars.is_none());
    let what: Vec<_> = detail
        .history
        .iter()
        .map(|line| line.what.as_str())
        .collect();
    assert_eq!(what.first(), Some(&"began"));
    assert_eq!(what.last(), Some(&"completed"));
    let revealed = stage
        .desk()
        .instance(done.id, Some("a test"), "user:pat")
        .await
        .unwrap();
    assert_eq!(revealed.vars.unwrap()["left"]["id"], "M4");
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_before_it_is_waited_for_is_not_lost() {
    let billing = Receiver::start().await;
    billing.takes(Duration::from_millis(200));
    let mut stage = stage(&billing, STAY).await;
    let mut sender = stage.sender().await;
    // Before there is an instance at all.
    sender.tell(&adt("A03", "M1", "V1")).await;
    sender.tell(&adt("A01", "M2", "V1")).await;
    // While its instance waits for something else.
    sender.tell(&adt("A01", "M3", "V2")).await;
    sender.tell(&adt("A03", "M4", "V2")).await;
    until("both are done", async || {
        let all = all(&stage).await;
        all.len() == 2 && all.iter().all(|one| one.phase == "completed")
    })
    .await;
    let mut closed: Vec<String> = billing
        .calls()
        .iter()
        .filter(|call| call.path == "/close")
        .map(|call| call.id().to_owned())
        .collect();
    closed.sort();
    assert_eq!(closed, ["M1", "M4"]);
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_goes_on_after_a_restart_with_what_came_meanwhile() {
    let billing = Receiver::start().await;
    let mut stage = stage(&billing, STAY).await;
    for n in 0..20 {
        let mut sender = stage.sender().await;
        sender
            .tell(&adt("A01", &format!("A{n}"), &format!("V{n}")))
            .await;
        sender
            .tell(&adt("A03", &format!("B{n}"), &format!("V{n}")))
            .await;
        drop(sender);
        if n % 5 == 0 {
            stage.stop(Duration::from_secs(10)).await;
            stage.go_on().await;
        }
    }
    until("all are done", async || {
        let all = all(&stage).await;
        all.len() == 20 && all.iter().all(|one| one.phase == "completed")
    })
    .await;
    // Effects once each: repeated attempts carry the same key.
    let mut keys: Vec<_> = billing
        .calls()
        .into_iter()
        .map(|call| call.idempotency_key)
        .collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 40);
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_while_nothing_runs_happens_after_the_start_in_order() {
    let billing = Receiver::start().await;
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp::from_unix_ms(
        1_790_000_000_000,
    )));
    let steps = "  - rest: { sleep: 2d }\n  - close: { call: billing.close, with: { visit: .visit.visit, id: .visit.id } }\n";
    let mut stage = stage_at(&billing, steps, clock.clone()).await;
    let mut sender = stage.sender().await;
    for n in 0..5 {
        sender
            .tell(&adt("A01", &format!("M{n}"), &format!("V{n}")))
            .await;
        until("it sleeps", async || all(&stage).await.len() == n + 1).await;
        clock.advance(Duration::from_mins(1));
    }
    drop(sender);
    stage.stop(Duration::from_secs(10)).await;
    clock.advance(Duration::from_hours(72));
    stage.go_on().await;
    until("all are done", async || {
        all(&stage).await.iter().all(|one| one.phase == "completed")
    })
    .await;
    let mut ids: Vec<_> = billing
        .calls()
        .iter()
        .map(|call| call.id().to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids, ["M0", "M1", "M2", "M3", "M4"]);
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_once_by_whoever_may() {
    let billing = Receiver::start().await;
    let steps = "  - ask: { task: { role: nurse, ask: \"Where is {{ .visit.visit }}?\", choices: [here, gone], \
                 form: { bed: Bed }, accept: '.by != \"user:eve\"' }, save: said }\n  \
                 - close: { call: billing.close, with: { id: .said.choice, bed: .said.form.bed } }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    let asking = until_phase(&stage, "asking").await;
    assert_eq!(asking.owner.as_deref(), Some("nurse"));
    let task = tasks(&stage).await.remove(0);
    assert_eq!(task.ask, "Where is V1?");
    let desk = stage.desk();
    let say = |choice: &str| Decision {
        choice: choice.to_owned(),
        note: String::new(),
        form: [("bed".to_owned(), "7".to_owned())].into(),
    };
    let refused = desk
        .answer_task(task.id, &say("lost"), "user:pat")
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("here, gone"), "{refused}");
    desk.answer_task(task.id, &say("here"), "user:eve")
        .await
        .unwrap_err();
    desk.claim(task.id, "user:pat").await.unwrap();
    let taken = desk.claim(task.id, "user:sam").await.unwrap_err();
    assert!(taken.to_string().contains("user:pat"), "{taken}");
    desk.answer_task(task.id, &say("gone"), "user:sam")
        .await
        .unwrap_err();
    let (here, gone) = (say("here"), say("gone"));
    let (first, second) = tokio::join!(
        desk.answer_task(task.id, &here, "user:pat"),
        desk.answer_task(task.id, &gone, "user:pat"),
    );
    assert_ne!(first.is_ok(), second.is_ok(), "{first:?} {second:?}");
    until_phase(&stage, "completed").await;
    assert_eq!(billing.calls().len(), 1);
    assert_eq!(billing.calls()[0].body["bed"], "7");
    assert!(tasks(&stage).await.is_empty());
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_for_good_is_seen_and_mended() {
    let billing = Receiver::start().await;
    billing.answers(|call| {
        if call.path == "/open" {
            (400, None, "{}")
        } else {
            (200, None, "{}")
        }
    });
    let mut stage = stage(&billing, STAY).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    let stuck = until_phase(&stage, "stuck").await;
    assert!(
        stuck.reason.as_deref().unwrap().starts_with("W2603"),
        "{stuck:?}"
    );
    assert_eq!(stuck.at, ["open"]);
    let seen = stage
        .desk()
        .transactions(&TransactionQuery {
            kind: Some("visit".to_owned()),
            limit: 10,
            ..TransactionQuery::default()
        })
        .await
        .unwrap();
    assert_eq!(seen.rows[0].state, "failed");
    // Repeating the dead delivery is one way …
    billing.answers(|_| (200, None, "{}"));
    let request = ReplayRequest {
        select: Selection {
            destination: Some("billing.open".to_owned()),
            ..Selection::default()
        },
        reason: "mended".to_owned(),
        ..ReplayRequest::default()
    };
    stage.desk().replay(&request, "user:pat").await.unwrap();
    until_status(&stage, "opened").await;
    // … trying the step again the other.
    billing.answers(|call| {
        if call.id() == "M3" {
            (400, None, "{}")
        } else {
            (200, None, "{}")
        }
    });
    sender.tell(&adt("A03", "M3", "V1")).await;
    let stuck = until_phase(&stage, "stuck").await;
    billing.answers(|_| (200, None, "{}"));
    act(&stage, stuck.id, ProcessAct::Retry { step: None }).await;
    until_phase(&stage, "completed").await;
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_200_that_means_no_is_not_taken_for_yes() {
    let billing = Receiver::start().await;
    billing.answers(|_| (200, None, r#"{ "ok": false, "error": "closed period" }"#));
    let steps = "  - open: { call: billing.open, with: .visit, expect: .ok == true, on_failure: \
                 [ { ask: { task: { role: billing, ask: \"Refused\", choices: [again, leave] } } } ] }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    until_phase(&stage, "asking").await;
    assert_eq!(tasks(&stage).await[0].role, "billing");
    assert_eq!(billing.calls().len(), 1);
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_undone_in_reverse_and_open_calls_are_withdrawn() {
    let billing = Receiver::start().await;
    billing.answers(|call| {
        if call.path == "/close" {
            (503, None, "")
        } else {
            (200, None, "{}")
        }
    });
    let steps = "  - one: { call: billing.open, with: { id: '\"1\"' }, undo: { call: billing.void, with: { id: '\"1\"' } } }\n  \
                 - two: { call: billing.open, with: { id: '\"2\"' }, undo: { call: billing.void, with: { id: '\"2\"' } } }\n  \
                 - three: { call: billing.close, with: { id: '\"3\"' }, retry: { first: 50ms, factor: 1, max: 50ms, attempts: 0, jitter: none } }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    until("the third is tried", async || {
        paths(&billing).contains(&"/close".to_owned())
    })
    .await;
    let id = all(&stage).await[0].id;
    act(&stage, id, ProcessAct::Compensate).await;
    let ended = until_phase(&stage, "cancelled").await;
    assert_eq!(ended.id, id);
    let voided: Vec<String> = billing
        .calls()
        .iter()
        .filter(|call| call.path == "/void")
        .map(|call| call.id().to_owned())
        .collect();
    assert_eq!(voided, ["2", "1"]);
    let tried = billing.calls().len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        billing.calls().len(),
        tried,
        "a withdrawn call is not sent any more"
    );
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_ends_by_the_definition_it_began_with_unless_it_is_moved() {
    let billing = Receiver::start().await;
    let mut stage = stage(&billing, STAY).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    sender.tell(&adt("A01", "M2", "V2")).await;
    until("both wait", async || {
        let all = all(&stage).await;
        all.len() == 2 && all.iter().all(|one| one.at == ["leave"])
    })
    .await;
    let later = STAY.replace(
        "  - close:",
        "  - void: { call: billing.void, with: { id: .left.id } }\n  - close:",
    );
    stage.write("processes/1.yaml", &process(&later));
    stage.change().await;
    let moved = all(&stage)
        .await
        .into_iter()
        .find(|one| one.key.as_deref() == Some("V2"))
        .unwrap();
    let before = moved.definition.clone();
    let moved = act(&stage, moved.id, ProcessAct::Migrate).await;
    assert_ne!(moved.definition, before);
    // And over a restart.
    drop(sender);
    stage.stop(Duration::from_secs(10)).await;
    stage.go_on().await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A03", "M3", "V1")).await;
    sender.tell(&adt("A03", "M4", "V2")).await;
    until("both are done", async || {
        all(&stage).await.iter().all(|one| one.phase == "completed")
    })
    .await;
    let voided: Vec<String> = billing
        .calls()
        .iter()
        .filter(|call| call.path == "/void")
        .map(|call| call.id().to_owned())
        .collect();
    assert_eq!(voided, ["M4"]);
    stage.stop(Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_variable_is_set_and_a_step_passed_over() {
    let billing = Receiver::start().await;
    let steps = "  - lines: { each: .lines, steps: [ { send: { call: billing.open, with: { id: .item } } } ] }\n  \
                 - never: { wait: { event: visit.changed, where: .visit == instance.key } }\n";
    let mut stage = stage(&billing, steps).await;
    let mut sender = stage.sender().await;
    sender.tell(&adt("A01", "M1", "V1")).await;
    until("it waits", async || {
        all(&stage)
            .await
            .first()
            .is_some_and(|one| one.at == ["never"])
    })
    .await;
    let id = all(&stage).await[0].id;
    let vars = serde_json::json!({ "lines": "none" });
    act(
        &stage,
        id,
        ProcessAct::Set {
            vars: vars.as_object().unwrap().clone(),
        },
    )
    .await;
    let desk = stage.desk();
    let wrong = ProcessAct::Skip {
        step: Some("nowhere".to_owned()),
    };
    let refused = desk
        .act_on(id, &wrong, "a test", "user:pat")
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("never"), "{refused}");
    let bare = desk
        .act_on(id, &ProcessAct::Cancel, " ", "user:pat")
        .await
        .unwrap_err();
    assert!(bare.to_string().contains("reason"), "{bare}");
    act(&stage, id, ProcessAct::Skip { step: None }).await;
    until_phase(&stage, "completed").await;
    let ended = desk
        .act_on(id, &ProcessAct::Cancel, "late", "user:pat")
        .await
        .unwrap_err();
    assert!(ended.to_string().contains("has ended"), "{ended}");
    let words: Vec<String> = desk
        .audit(None, 50)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.act)
        .collect();
    for word in ["process.set", "process.skip"] {
        assert!(words.contains(&word.to_owned()), "{words:?}");
    }
    stage.stop(Duration::from_secs(10)).await;
}

//! What processes and their tests say, and what stands where they say nothing.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up should stop"
)]

use serde_json::json;
use std::path::Path;
use std::time::Duration;
use wardline_core::Lane;
use wardline_estate::*;

fn good() -> Estate {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let loaded = load(&cases.join("process-good/estate"), &LoadOptions::default());
    let shown = loaded.diagnostics.render(&loaded.sources, false);
    loaded.estate.unwrap_or_else(|| panic!("{shown}"))
}

fn step<'a>(process: &'a Process, name: &str) -> &'a Step {
    let steps = process.all_steps();
    steps.into_iter().find(|step| *step.name == name).unwrap()
}

const DAY: u64 = 24 * 3_600;

#[test]
fn a_process_has_its_values_and_defaults() {
    let estate = good();
    let order = &estate.processes["order"];
    assert_eq!((order.version, order.again), (3, true));
    assert_eq!(order.start_as, "po");
    assert_eq!(order.keep_events, Duration::from_secs(14 * DAY));
    assert_eq!(order.statuses.len(), 6);
    let shown: Vec<_> = order.show.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(shown, ["value", "due", "title"]);
    let deadline = order.deadline.as_ref().unwrap();
    assert!(deadline.end && deadline.steps.len() == 1);

    let short = &estate.processes["requisition"];
    assert_eq!((short.version, short.again), (1, false));
    assert_eq!(short.start_as, "order");
    assert_eq!(short.keep_events, Duration::from_secs(7 * DAY));
    assert!(short.deadline.is_none() && short.title.is_none());
}

#[test]
fn a_call_has_the_nearest_settings() {
    let estate = good();
    let order = &estate.processes["order"];
    let publish = step(order, "publish");
    let StepKind::Call(call) = &publish.kind else {
        panic!("{publish:?}")
    };
    assert_eq!(call.lane, Lane::Normal, "of the step");
    assert_eq!(call.retry.attempts, 5, "of the step");
    assert_eq!(call.retry.first, Duration::from_secs(3), "of the process");
    assert_eq!(call.retry.max, Duration::from_secs(600), "of the system");
    assert_eq!(call.on_exhausted, Exhausted::Park);
    assert!(matches!(&call.with, Data::Mapped(_, maps) if maps.len() == 2));
    assert_eq!(call.on_failure.as_ref().map(Vec::len), Some(2));
    assert_eq!(publish.status.as_ref().unwrap().as_str(), "published");
    let undo = publish.undo.as_ref().unwrap();
    assert_eq!((undo.lane, undo.retry.first.as_secs()), (Lane::Bulk, 60));
    assert_eq!(undo.runbook.as_deref(), Some(Path::new("runbooks/undo.md")));

    // Through an Api that different systems serve there is no system to look for.
    let StepKind::Call(check) = &step(order, "check-supplier").kind else {
        panic!()
    };
    assert_eq!(check.call.value, "suppliers.get-supplier");
    assert_eq!(
        (check.lane, check.retry.max.as_secs()),
        (Lane::Realtime, 300)
    );
    assert_eq!(check.on_exhausted, Exhausted::Hold);
    assert_eq!(
        check.runbook.as_deref(),
        Some(Path::new("runbooks/late.md"))
    );

    let shown = estate
        .origins
        .explain("processes.order.publish", &estate.sources);
    assert!(
        shown.contains("retry.attempts = 5  (processes/order.yaml:"),
        "{shown}"
    );
}

#[test]
fn texts_of_data_are_expressions_and_all_else_is_what_it_is() {
    let estate = good();
    let StepKind::Set { values } = &step(&estate.processes["order"], "totals").kind else {
        panic!()
    };
    let (_, Data::Object(lines)) = &values[0] else {
        panic!("{values:?}")
    };
    let constants: Vec<_> = lines
        .iter()
        .filter_map(|(name, data)| match data {
            Data::Constant(value) => Some((name.as_str(), value.clone())),
            _ => None,
        })
        .collect();
    let expected = [
        ("factor", json!(1.5)),
        ("tax", json!(false)),
        ("note", json!(null)),
    ];
    assert_eq!(constants, expected);
    assert!(matches!(&lines[0].1, Data::Expression(text) if text.value == ".po.lines"));
    assert!(matches!(&lines[1].1, Data::Expression(text) if text.value == "\"USD\""));
    assert!(matches!(&lines[5].1, Data::Array(items) if items.len() == 2));
    assert!(matches!(&values[1].1, Data::Expression(text) if text.value == "\"It's {{ done }}\""));
}

#[test]
fn waits_tasks_and_loops_are_read() {
    let estate = good();
    let order = &estate.processes["order"];
    let wait = |name| match &step(order, name).kind {
        StepKind::Wait(wait) => wait.clone(),
        other => panic!("{other:?}"),
    };
    let acknowledged = wait("await-acknowledgement");
    assert!(matches!(acknowledged.until, Some(Until::For(time)) if time.as_secs() == 2 * DAY));
    let otherwise = acknowledged.otherwise.unwrap();
    assert_eq!(otherwise[0].name.value, "else");
    assert_eq!(otherwise[0].save.as_ref().unwrap().as_str(), "decision");
    let both = wait("await-both");
    assert!(both.all && both.events.len() == 2 && matches!(both.until, Some(Until::At(_))));
    let change = wait("await-change");
    assert!(!change.all && change.otherwise.unwrap().is_empty());

    let StepKind::Task(task) = &step(order, "decide").kind else {
        panic!()
    };
    assert_eq!((task.choices.len(), task.form.len()), (3, 2));
    assert!(matches!(task.due, Some(Until::For(time)) if time.as_secs() == 2 * DAY));
    assert_eq!(task.escalate.as_ref().unwrap().to.value, "accounts-payable");
    let lines = &step(order, "lines").kind;
    assert!(matches!(lines, StepKind::Each { as_name, at_once: 4, .. } if as_name == "line"));
    assert!(matches!(
        step(order, "match").kind,
        StepKind::Repeat { most: 12, .. }
    ));
    let StepKind::Choose {
        branches,
        otherwise,
    } = &step(order, "by-decision").kind
    else {
        panic!()
    };
    assert!(branches.len() == 1 && otherwise.as_ref().is_some_and(Vec::is_empty));
}

#[test]
fn what_a_process_has_to_do_with_others_is_found_at_any_depth() {
    let estate = good();
    let order = &estate.processes["order"];
    let texts = |all: Vec<&Spanned<String>>| -> std::collections::BTreeSet<String> {
        all.into_iter().map(|text| text.value.clone()).collect()
    };
    let calls = texts(order.calls());
    assert!(calls.contains("erp.cancel-order") && calls.contains("erp.pay"));
    assert!(texts(order.emits()).contains("order.failed"));
    assert!(texts(order.awaits()).contains("order.change_order"));
    let (_, change) = estate.api_operation("orders.change-order").unwrap();
    assert_eq!(change.signal().unwrap().value, "order.change_order");
    let names: Vec<_> = order
        .all_steps()
        .iter()
        .map(|step| step.name.value.clone())
        .collect();
    assert_eq!(names[..2], ["validating", "check-supplier"]);
    assert_eq!(names.last().map(String::as_str), Some("late"));
}

#[test]
fn tests_of_maps_and_processes_are_read() {
    let estate = good();
    let TestKind::Process(test) = &estate.tests[0].kind else {
        panic!()
    };
    assert!(
        matches!(&test.answers[0].1[..], [ScriptedAnswer::Body(body)] if body["status"] == "active")
    );
    let [
        ScriptedAnswer::Fails {
            reason,
            permanent: true,
        },
        ScriptedAnswer::Body(_),
    ] = &test.answers[1].1[..]
    else {
        panic!("{:?}", test.answers)
    };
    assert_eq!(reason, "no route");
    let SceneKind::Event { data, .. } = &test.script[1].kind else {
        panic!()
    };
    assert_eq!(data["number"], "7", "of a fixture");
    let SceneKind::Expect(state) = &test.script[2].kind else {
        panic!()
    };
    assert_eq!(state.instances.as_ref().unwrap().value, 1);
    assert_eq!(state.tasks.as_ref().map(Vec::len), Some(0));
    assert_eq!(
        state.steps.as_ref().unwrap()[0].value,
        "await-acknowledgement"
    );
    let SceneKind::Answer(answer) = &test.script[6].kind else {
        panic!("{:?}", test.script[6])
    };
    assert!(answer.refused && answer.by == "kim" && answer.note.is_none());
    let SceneKind::Act(act) = &test.script[9].kind else {
        panic!()
    };
    assert_eq!((act.act, act.by.as_str()), (ActKind::Skip, "somebody"));

    let inputs: Vec<_> = estate.tests[1..4]
        .iter()
        .map(|test| match &test.kind {
            TestKind::Map(test) => test,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(inputs[0].expect.filtered, Some(false));
    assert!(matches!(&inputs[1].input, MapInput::Json(value) if value["number"] == "7"));
    assert!(
        matches!(&inputs[2].input, MapInput::Fixture { content, .. } if content.0.starts_with(b"MSH"))
    );
}

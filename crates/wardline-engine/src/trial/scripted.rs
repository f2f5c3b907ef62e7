//! Tests of processes: a script of what happens and how it must be by then, in simulated time.

use super::{Failure, contains, pretty};
use crate::plan::Plan;
use crate::process::InstanceAct;
use crate::process::harness::{Answer, Made, One, Question, Rehearsal};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Display;
use wardline_core::Timestamp;
use wardline_estate::Span;
use wardline_estate::model::{
    ActKind, ExpectedCall, ExpectedEvent, ExpectedState, ExpectedTask, ProcessTest, SceneKind,
    ScriptedAnswer,
};

pub(super) fn run(plan: &Plan, test: &ProcessTest, now: Timestamp) -> Vec<Failure> {
    let answers: HashMap<_, _> = test
        .answers
        .iter()
        .map(|(operation, answers)| {
            let answers = answers.iter().map(|answer| match answer {
                ScriptedAnswer::Body(body) => Answer::With(body.clone()),
                ScriptedAnswer::Fails {
                    reason,
                    permanent: true,
                } => Answer::Refused(reason.clone()),
                ScriptedAnswer::Fails { reason, .. } => Answer::Fails(reason.clone()),
            });
            (operation.value.clone(), answers.collect())
        })
        .collect();
    let Some(mut rehearsal) = Rehearsal::new(plan, &test.process.value, now, answers) else {
        return vec![failure(test.process.at, "no such process")];
    };
    let mut failures = Vec::new();
    for scene in &test.script {
        let done = match &scene.kind {
            SceneKind::Event { event, data } => rehearsal
                .event(&event.value, data)
                .map_err(|why| (event.at, why)),
            SceneKind::After(time) => {
                rehearsal.pass(*time);
                Ok(())
            }
            SceneKind::At(at) => Timestamp::try_from(at.value.clone())
                .map(|until| rehearsal.until(until))
                .map_err(|_| (at.at, format!("`{}` is not a time", at.value))),
            SceneKind::Answer(answer) => {
                let form: Value = answer
                    .form
                    .iter()
                    .map(|(name, value)| (name.value.clone(), value.clone()))
                    .collect::<serde_json::Map<_, _>>()
                    .into();
                let key = answer.key.as_ref().map(|key| key.value.as_str());
                let note = answer.note.as_deref().unwrap_or_default();
                let decided = rehearsal.decide(
                    key,
                    &answer.step.value,
                    &answer.choice.value,
                    &answer.by,
                    note,
                    &form,
                );
                match (decided, answer.refused) {
                    (Ok(()), true) => {
                        Err((answer.choice.at, "the answer was not refused".to_owned()))
                    }
                    (Err(_), true) | (Ok(()), false) => Ok(()),
                    (Err(why), false) => Err((answer.step.at, why)),
                }
            }
            SceneKind::Act(act) => {
                let step = act.step.as_ref().map(|step| step.value.clone());
                let what = match act.act {
                    ActKind::Retry => InstanceAct::Retry { step },
                    ActKind::Skip => InstanceAct::Skip { step },
                    ActKind::Set => InstanceAct::Set {
                        vars: act
                            .vars
                            .iter()
                            .map(|(name, value)| (name.value.clone(), value.clone()))
                            .collect(),
                    },
                    ActKind::Cancel => InstanceAct::Cancel,
                    ActKind::Compensate => InstanceAct::Compensate,
                };
                let key = act.key.as_ref().map(|key| key.value.as_str());
                let reason = act.reason.as_deref().unwrap_or("in a test");
                rehearsal
                    .act(key, &what, &act.by, reason)
                    .map_err(|why| (scene.at, why))
            }
            SceneKind::Expect(expected) => {
                failures.extend(compare(&mut rehearsal, expected));
                Ok(())
            }
        };
        if let Err((at, why)) = done {
            failures.push(failure(at, why));
        }
        // What follows from the first surprise says nothing new.
        if !failures.is_empty() {
            break;
        }
    }
    failures
}

fn failure(at: Span, message: impl Into<String>) -> Failure {
    Failure {
        at,
        message: message.into(),
        expected: None,
        actual: None,
    }
}

fn other(at: Span, what: &str, expected: impl Display, actual: impl Display) -> Failure {
    Failure {
        at,
        message: format!("{what} is another"),
        expected: Some(expected.to_string()),
        actual: Some(actual.to_string()),
    }
}

fn compare(rehearsal: &mut Rehearsal<'_>, expected: &ExpectedState) -> Vec<Failure> {
    let mut failures = Vec::new();
    if let Some(count) = &expected.instances
        && rehearsal.ones.len() != count.value as usize
    {
        failures.push(other(
            count.at,
            "the number of instances",
            count.value,
            rehearsal.ones.len(),
        ));
    }
    if let Some(calls) = &expected.calls {
        let made = std::mem::take(&mut rehearsal.seen.calls);
        failures.extend(compare_calls(expected.at, calls, made));
    }
    if let Some(events) = &expected.events {
        let told = std::mem::take(&mut rehearsal.seen.events);
        failures.extend(compare_events(expected.at, events, told));
    }
    let asks_for_one = expected.phase.is_some()
        || expected.status.is_some()
        || expected.steps.is_some()
        || expected.tasks.is_some()
        || expected.error.is_some()
        || !expected.vars.is_empty()
        || !expected.figures.is_empty();
    if !asks_for_one {
        return failures;
    }
    let key = expected.key.as_ref().map(|key| key.value.as_str());
    match rehearsal.find(key) {
        Some(one) => failures.extend(compare_one(one, expected)),
        None => failures.push(failure(expected.at, "no such instance has begun")),
    }
    failures
}

fn compare_one(one: &One, expected: &ExpectedState) -> Vec<Failure> {
    let mut failures = Vec::new();
    let trouble = one
        .standing
        .trouble
        .as_ref()
        .map(|(code, text)| format!("{code}: {text}"));
    let at: Vec<&str> = one.standing.at.iter().map(|path| &**path).collect();
    if let Some(phase) = &expected.phase
        && one.standing.phase.as_str() != phase.value
    {
        let mut actual = format!("{} at {}", one.standing.phase.as_str(), list(&at));
        if let Some(trouble) = &trouble {
            actual = format!("{actual}\n{trouble}");
        }
        failures.push(other(phase.at, "the phase", &phase.value, actual));
    }
    if let Some(status) = &expected.status
        && one.status() != Some(status.value.as_str())
    {
        let actual = one.status().unwrap_or("none");
        failures.push(other(status.at, "the status", &status.value, actual));
    }
    if let Some(steps) = &expected.steps {
        let mut wanted: Vec<&str> = steps.iter().map(|step| step.value.as_str()).collect();
        let mut actual = at.clone();
        wanted.sort_unstable();
        actual.sort_unstable();
        if wanted != actual {
            let place = steps.first().map_or(expected.at, |step| step.at);
            failures.push(other(
                place,
                "what is under way",
                list(&wanted),
                list(&actual),
            ));
        }
    }
    if let Some(tasks) = &expected.tasks {
        failures.extend(compare_tasks(expected.at, tasks, &one.open));
    }
    let vars = one.vars();
    for (name, value) in &expected.vars {
        let actual = &vars[&name.value];
        if !contains(actual, value) {
            failures.push(Failure {
                at: name.at,
                message: format!("variable `{}` is another", name.value),
                expected: Some(pretty(value)),
                actual: Some(pretty(actual)),
            });
        }
    }
    for (name, value) in &expected.figures {
        let actual = one
            .figures
            .get(name.value.as_str())
            .map_or(Value::Null, |values| Value::Array(values.clone()));
        if actual != *value {
            failures.push(Failure {
                at: name.at,
                message: if actual.is_null() {
                    format!("the process has no figure `{}`", name.value)
                } else {
                    format!("it gives something else to the figure `{}`", name.value)
                },
                expected: Some(pretty(value)),
                actual: Some(pretty(&actual)),
            });
        }
    }
    if let Some(error) = &expected.error {
        let actual = trouble.unwrap_or_else(|| "nothing is wrong".to_owned());
        if !actual.contains(&error.value) {
            failures.push(other(error.at, "the reason", &error.value, actual));
        }
    }
    failures
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

fn compare_calls(at: Span, expected: &[ExpectedCall], mut made: Vec<Made>) -> Vec<Failure> {
    let mut failures = Vec::new();
    let all: Vec<String> = made.iter().map(|call| call.reference.clone()).collect();
    for want in expected {
        let named =
            |call: &Made| call.reference == want.to.value || call.destination == want.to.value;
        let body = |call: &Made| {
            if call.reference == want.to.value {
                call.asked.clone()
            } else {
                call.body.clone()
            }
        };
        let fits = |call: &Made| {
            named(call)
                && want.lane.is_none_or(|lane| call.lane == lane)
                && want.body.as_ref().is_none_or(|wanted| {
                    contains(&call.body, wanted) || contains(&body(call), wanted)
                })
        };
        if let Some(position) = made.iter().position(fits) {
            made.remove(position);
            continue;
        }
        let near = made.iter().find(|call| named(call));
        failures.push(Failure {
            at: want.at,
            message: match near {
                Some(call) if want.lane.is_some_and(|lane| call.lane != lane) => format!(
                    "the call to `{}` takes the lane {}",
                    want.to.value, call.lane
                ),
                Some(_) => format!("the call to `{}` has another body", want.to.value),
                None => format!(
                    "no call to `{}`; there were: {}",
                    want.to.value,
                    list(&all.iter().map(String::as_str).collect::<Vec<_>>())
                ),
            },
            expected: want.body.as_ref().map(pretty),
            actual: near.map(|call| pretty(&body(call))),
        });
    }
    if failures.is_empty() && !made.is_empty() {
        let names: Vec<&str> = made.iter().map(|call| call.reference.as_str()).collect();
        failures.push(failure(
            at,
            format!("calls that nobody expected: {}", list(&names)),
        ));
    }
    failures
}

fn compare_events(
    at: Span,
    expected: &[ExpectedEvent],
    mut told: Vec<(String, Value)>,
) -> Vec<Failure> {
    let mut failures = Vec::new();
    let all: Vec<String> = told.iter().map(|(event, _)| event.clone()).collect();
    for want in expected {
        let fits = |(event, data): &(String, Value)| {
            *event == want.event.value
                && want
                    .data
                    .as_ref()
                    .is_none_or(|wanted| contains(data, wanted))
        };
        if let Some(position) = told.iter().position(fits) {
            told.remove(position);
            continue;
        }
        let near = told.iter().find(|(event, _)| *event == want.event.value);
        failures.push(Failure {
            at: want.at,
            message: match near {
                Some(_) => format!("event `{}` has other data", want.event.value),
                None => format!(
                    "no event `{}`; there were: {}",
                    want.event.value,
                    list(&all.iter().map(String::as_str).collect::<Vec<_>>())
                ),
            },
            expected: want.data.as_ref().map(pretty),
            actual: near.map(|(_, data)| pretty(data)),
        });
    }
    if failures.is_empty() && !told.is_empty() {
        let names: Vec<&str> = told.iter().map(|(event, _)| event.as_str()).collect();
        failures.push(failure(
            at,
            format!("events that nobody expected: {}", list(&names)),
        ));
    }
    failures
}

fn compare_tasks(at: Span, expected: &[ExpectedTask], open: &[Question]) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut left: Vec<&Question> = open.iter().collect();
    let words = |task: &Question| {
        format!(
            "{} is asked at {}: {} ({})",
            task.role,
            task.step,
            task.ask,
            task.choices.join(", ")
        )
    };
    let all: Vec<String> = open.iter().map(words).collect();
    for want in expected {
        let is = |expected: &Option<wardline_estate::Spanned<String>>, actual: &str| {
            expected.as_ref().is_none_or(|text| text.value == actual)
        };
        let fits = |task: &&Question| {
            is(&want.role, &task.role)
                && is(&want.ask, &task.ask)
                && is(&want.step, &task.step)
                && want.choices.as_ref().is_none_or(|choices| {
                    choices.iter().map(|choice| &choice.value).eq(&task.choices)
                })
        };
        if let Some(position) = left.iter().position(fits) {
            left.remove(position);
            continue;
        }
        failures.push(Failure {
            at: want.at,
            message: "nobody is asked this".to_owned(),
            expected: None,
            actual: Some(if all.is_empty() {
                "nobody is asked anything".to_owned()
            } else {
                all.join("\n")
            }),
        });
    }
    if failures.is_empty() && !left.is_empty() {
        let names: Vec<String> = left.iter().map(|task| words(task)).collect();
        failures.push(failure(
            at,
            format!("questions that nobody expected: {}", names.join("; ")),
        ));
    }
    failures
}

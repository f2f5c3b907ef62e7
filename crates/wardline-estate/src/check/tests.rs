//! What the estate's own tests refer to.

use super::references::References;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Direction, Expect, ExpectedState, Given, Process, ProcessTest, SceneKind, StepKind, TaskAnswer,
    TestKind,
};
use crate::source::{Span, Spanned};
use crate::suggest::{clip, did_you_mean};
use crate::value;

impl References<'_> {
    pub(super) fn tests(&mut self) {
        for test in &self.whole.estate.tests {
            match &test.kind {
                TestKind::Arrival { given, expect } => {
                    if let Given::Message { into, .. } = given {
                        self.connection(into, Direction::In);
                    }
                    self.expected(expect);
                }
                // A map that is not there was reported when it was looked up.
                TestKind::Map(_) => {}
                TestKind::Process(test) => self.lived_through(test),
            }
        }
    }

    fn expected(&mut self, expect: &Expect) {
        let estate = self.whole.estate;
        for delivery in expect.deliveries.iter().flatten() {
            let name = &delivery.to.value;
            if let Some(endpoint) = name.strip_prefix("webhook/") {
                if value::destination(name).is_ok() {
                    self.endpoint(endpoint, delivery.to.at);
                }
                continue;
            }
            let known = estate.operation(name).is_some() || estate.connection(name).is_some();
            if self.whole.complete("system") && !known && value::reference(name).is_ok() {
                let operations = estate
                    .systems
                    .values()
                    .flat_map(|system| system.operations.values());
                let connections = estate
                    .connections()
                    .map(|(_, connection)| &connection.reference);
                let all = operations
                    .map(|operation| &operation.reference)
                    .chain(connections)
                    .map(String::as_str);
                let near = did_you_mean(name, all);
                let message = format!("there is no operation or connection `{}`", clip(name));
                self.missing(codes::UNKNOWN_OPERATION, message, delivery.to.at, near);
            }
        }
        for flow in &expect.filtered {
            if self.whole.complete("flow") && !estate.flows.contains_key(&flow.value) {
                self.missing(
                    codes::UNKNOWN_FLOW,
                    format!("there is no flow `{}`", clip(&flow.value)),
                    flow.at,
                    did_you_mean(&flow.value, estate.flows.keys().map(String::as_str)),
                );
            }
        }
    }

    /// A client's webhook that a test expects a delivery to.
    fn endpoint(&mut self, name: &str, at: Span) {
        let estate = self.whole.estate;
        let known: Vec<&str> = estate
            .clients
            .values()
            .flat_map(|client| &client.webhooks)
            .map(|webhook| webhook.name.as_str())
            .collect();
        if self.whole.complete("client") && !known.contains(&name) {
            let message = format!("there is no webhook `{}`", clip(name));
            let near = did_you_mean(name, known);
            self.missing(codes::UNKNOWN_OPERATION, message, at, near);
        }
    }

    fn lived_through(&mut self, test: &ProcessTest) {
        self.process(&test.process);
        let Some(process) = self.whole.estate.processes.get(&test.process.value) else {
            return;
        };
        for (operation, _) in &test.answers {
            self.is_called(process, operation);
        }
        for scene in &test.script {
            match &scene.kind {
                SceneKind::Answer(answer) => self.answered(process, answer),
                SceneKind::Act(act) => {
                    if let Some(step) = &act.step {
                        self.named_step(process, step);
                    }
                }
                SceneKind::Expect(state) => self.state(process, state),
                SceneKind::Event { .. } | SceneKind::After(_) | SceneKind::At(_) => {}
            }
        }
    }

    fn state(&mut self, process: &Process, state: &ExpectedState) {
        if let Some(status) = &state.status {
            self.status(process, status);
        }
        for call in state.calls.iter().flatten() {
            self.is_called(process, &call.to);
        }
        let asked = state.tasks.iter().flatten();
        let asked = asked.filter_map(|task| task.step.as_ref());
        for step in state.steps.iter().flatten().chain(asked) {
            self.named_step(process, step);
        }
    }

    /// An operation that answers, or is called, in the words in which the process calls it.
    fn is_called(&mut self, process: &Process, operation: &Spanned<String>) {
        let calls = process.calls();
        let known = calls.iter().any(|call| call.value == operation.value);
        if !known && value::reference(operation).is_ok() {
            self.missing(
                codes::UNKNOWN_OPERATION,
                format!("`{}` does not call `{}`", process.name, clip(operation)),
                operation.at,
                did_you_mean(operation, calls.into_iter().map(Spanned::as_str)),
            );
        }
    }

    fn answered(&mut self, process: &Process, answer: &TaskAnswer) {
        if self.named_step(process, &answer.step) {
            return;
        }
        let name = last_name(&answer.step);
        let steps = process.all_steps();
        let choices: Vec<&str> = steps
            .iter()
            .filter(|step| step.name.value == name)
            .filter_map(|step| match &step.kind {
                StepKind::Task(task) => Some(&task.choices),
                _ => None,
            })
            .flatten()
            .map(Spanned::as_str)
            .collect();
        if choices.is_empty() {
            self.missing(
                codes::UNKNOWN_STEP,
                format!("`{}` asks nobody", clip(&answer.step)),
                answer.step.at,
                None,
            );
        } else if !choices.contains(&answer.choice.as_str()) {
            let words: Vec<_> = choices.iter().map(|choice| format!("`{choice}`")).collect();
            self.problems.push(
                Diagnostic::error(
                    codes::BAD_CHOICE,
                    format!("`{}` is not offered", clip(&answer.choice)),
                )
                .at(answer.choice.at)
                .with_note(format!("the choices are {}", words.join(", ")))
                .help_if(did_you_mean(&answer.choice, choices)),
            );
        }
    }

    /// Reports a step that the process does not have, and whether it did.
    fn named_step(&mut self, process: &Process, path: &Spanned<String>) -> bool {
        let steps = process.all_steps();
        let name = last_name(path);
        let unknown = !steps.iter().any(|step| step.name.value == name);
        if unknown {
            let names = steps.iter().map(|step| step.name.as_str());
            self.missing(
                codes::UNKNOWN_STEP,
                format!("`{}` has no step `{}`", process.name, clip(path)),
                path.at,
                did_you_mean(name, names),
            );
        }
        unknown
    }
}

/// The name of the step that a path leads to. Which round it is in (`lines[2]/send`) does not matter.
fn last_name(path: &str) -> &str {
    let last = path.rsplit('/').next().unwrap_or(path);
    last.split(['[', '#']).next().unwrap_or(last)
}

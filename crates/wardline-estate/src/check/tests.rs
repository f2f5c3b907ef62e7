//! What the estate's own tests refer to.

use super::references::References;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Direction, Expect, ExpectedState, Given, Process, ProcessTest, SceneKind, Step, StepKind,
    TaskAnswer, TestKind,
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

    /// An operation that answers, or is called: in the words in which the process calls it, or in
    /// those of the system that serves an Api.
    fn is_called(&mut self, process: &Process, operation: &Spanned<String>) {
        let estate = self.whole.estate;
        let mut known: Vec<String> = Vec::new();
        for call in process.calls() {
            known.push(call.value.clone());
            if let Some((api, called)) = estate.api_operation(call) {
                let bindings = api.bindings.iter();
                known.extend(bindings.map(|binding| binding.reference(&called.name)));
            }
        }
        if !known.contains(&operation.value) && value::reference(operation).is_ok() {
            self.missing(
                codes::UNKNOWN_OPERATION,
                format!("`{}` does not call `{}`", process.name, clip(operation)),
                operation.at,
                did_you_mean(operation, known.iter().map(String::as_str)),
            );
        }
    }

    fn answered(&mut self, process: &Process, answer: &TaskAnswer) {
        let Some(step) = self.named_step(process, &answer.step) else {
            return;
        };
        let StepKind::Task(task) = &step.kind else {
            return self.missing(
                codes::UNKNOWN_STEP,
                format!("`{}` asks nobody", clip(&answer.step)),
                answer.step.at,
                None,
            );
        };
        let choices = || task.choices.iter().map(Spanned::as_str);
        if !choices().any(|choice| choice == answer.choice.value) {
            let words: Vec<_> = choices().map(|choice| format!("`{choice}`")).collect();
            self.problems.push(
                Diagnostic::error(
                    codes::BAD_CHOICE,
                    format!("`{}` is not offered", clip(&answer.choice)),
                )
                .at(answer.choice.at)
                .with_note(format!("the choices are {}", words.join(", ")))
                .help_if(did_you_mean(&answer.choice, choices())),
            );
        }
    }

    /// The step of a path, or a report that there is none.
    fn named_step<'p>(&mut self, process: &'p Process, path: &Spanned<String>) -> Option<&'p Step> {
        let steps = process.paths();
        let found = steps.iter().find(|(known, _)| *known == path.value);
        if found.is_none() {
            // Most often the names of the steps around it are missing.
            let name = path.rsplit('/').next().unwrap_or(path);
            let below = steps.iter().find(|(_, step)| step.name.value == name);
            let near = match below {
                Some((known, _)) => Some(format!("did you mean `{known}`?")),
                None => did_you_mean(path, steps.iter().map(|(known, _)| known.as_str())),
            };
            self.missing(
                codes::UNKNOWN_STEP,
                format!("`{}` has no step `{}`", process.name, clip(path)),
                path.at,
                near,
            );
        }
        found.map(|(_, step)| *step)
    }
}

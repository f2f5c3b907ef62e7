//! Processes as a whole: what they are about, which statuses they have, how large they are. Their
//! steps are looked at in [`super::steps`].

use super::references::References;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{ApiOperation, Measure, Process, Reconciliation, Step, StepKind, Work};
use crate::source::Spanned;
use crate::suggest::{clip, did_you_mean};
use crate::value;
use std::collections::{BTreeMap, BTreeSet};

impl References<'_> {
    pub(super) fn processes(&mut self) {
        let mut reconciliations = BTreeMap::new();
        for process in self.whole.estate.processes.values() {
            if let Some(reconciliation) = &process.reconciliation {
                let name = &reconciliation.name;
                if let Some(other) = reconciliations.insert(name.as_str(), name.at) {
                    self.problems.push(
                        Diagnostic::error(
                            codes::DUPLICATE_NAME,
                            format!("two processes are the reconciliation `{}`", clip(name)),
                        )
                        .at(name.at)
                        .related(other, "the other"),
                    );
                }
                self.sign_off(process, reconciliation);
            }
            self.goals(process);
            if let Some(entity) = &process.entity {
                self.entity(&entity.value, entity.at);
            }
            // What is too large is not looked at: nobody reads so many problems.
            if self.size(process) {
                self.statuses(process);
                self.steps(process);
            }
        }
    }

    /// Reports a process that is too large, and whether it is not.
    fn size(&mut self, process: &Process) -> bool {
        let most = Process::MOST_STEPS;
        let large = [
            (process.all_steps().len(), "steps"),
            (process.statuses.len(), "statuses"),
        ];
        let large: Vec<_> = large
            .into_iter()
            .filter(|(count, _)| *count > most)
            .collect();
        for (_, what) in &large {
            self.problems.push(
                Diagnostic::error(
                    codes::TOO_MANY_STEPS,
                    format!("`{}` has more than {most} {what}", process.name),
                )
                .at(process.at)
                .help("let it emit an event that starts another process"),
            );
        }
        let late = process.deadline.iter().map(|deadline| &deadline.steps[..]);
        let deepest = late
            .chain([&process.steps[..]])
            .find_map(|list| too_deep(list, 1));
        if let Some(step) = deepest {
            self.problems.push(
                Diagnostic::error(
                    codes::TOO_MANY_STEPS,
                    format!(
                        "more than {} steps are within each other",
                        Process::MOST_LEVELS
                    ),
                )
                .at(step.name.at)
                .help("let the process emit an event that starts another process"),
            );
        }
        large.is_empty() && deepest.is_none()
    }

    /// A goal is of the same kind as its figure.
    fn goals(&mut self, process: &Process) {
        for figure in &process.figures {
            let Some(goal) = &figure.goal else {
                continue;
            };
            let (is, of) = (figure.measure, goal.limit.measure());
            if is != of {
                let example = match is {
                    Measure::Share => "`>= 95 %`",
                    Measure::Sum => "`<= 50000 USD`",
                    Measure::Lag => "`p99 <= 5m`",
                };
                self.problems.push(
                    Diagnostic::error(
                        codes::BAD_GOAL,
                        format!(
                            "`{}` is a {}, its goal is that of a {}",
                            clip(&figure.name),
                            is.as_str(),
                            of.as_str()
                        ),
                    )
                    .at(figure.name.at)
                    .help(format!(
                        "write a goal such as {example}, or measure a {}",
                        of.as_str()
                    )),
                );
            }
        }
    }

    /// Somebody signs off by answering a task.
    fn sign_off(&mut self, process: &Process, reconciliation: &Reconciliation) {
        let Some(path) = &reconciliation.sign_off else {
            return;
        };
        let tasks: Vec<String> = process
            .paths()
            .into_iter()
            .filter(|(_, step)| matches!(step.kind, StepKind::Task(_)))
            .map(|(path, _)| path)
            .collect();
        if tasks.iter().any(|task| task == path.as_str()) {
            return;
        }
        let mut problem = Diagnostic::error(
            codes::UNKNOWN_STEP,
            format!("`{}` has no task `{}`", process.name, clip(path)),
        )
        .at(path.at);
        if let Some(help) = did_you_mean(path, tasks.iter().map(String::as_str)) {
            problem = problem.help(help);
        }
        self.problems.push(problem);
    }

    fn statuses(&mut self, process: &Process) {
        let mut declared = BTreeSet::new();
        for status in &process.statuses {
            if !declared.insert(status.as_str()) {
                self.problems.push(
                    Diagnostic::error(
                        codes::DUPLICATE_NAME,
                        format!("the status `{}` is declared twice", clip(status)),
                    )
                    .at(status.at),
                );
            }
        }
        let steps = process.all_steps();
        let set: Vec<&Spanned<String>> = steps
            .iter()
            .filter_map(|step| step.status.as_ref())
            .collect();
        let mut misspelt = false;
        for status in &set {
            misspelt |= self.status(process, status);
        }
        // A misspelt status is one mistake: the right one is not also never set.
        let never_set =
            |status: &&Spanned<String>| !set.iter().any(|other| other.value == status.value);
        for status in process.statuses.iter().filter(never_set) {
            if !misspelt {
                self.problems.push(
                    Diagnostic::warning(
                        codes::UNSET_STATUS,
                        format!("no step sets the status `{}`", clip(status)),
                    )
                    .at(status.at)
                    .help("set it where it is reached, or take it away"),
                );
            }
        }
    }

    /// Reports a status that the process does not declare, and whether it did.
    pub(super) fn status(&mut self, process: &Process, status: &Spanned<String>) -> bool {
        let declared = || process.statuses.iter().map(Spanned::as_str);
        let unknown = !declared().any(|known| known == status.as_str());
        if unknown {
            self.missing(
                codes::UNKNOWN_STATUS,
                format!("`{}` declares no status `{}`", process.name, clip(status)),
                status.at,
                did_you_mean(status, declared())
                    .or_else(|| Some("add it to `statuses`".to_owned())),
            );
        }
        unknown
    }

    /// The process that something names.
    pub(super) fn process(&mut self, process: &Spanned<String>) {
        let known = &self.whole.estate.processes;
        let proper = value::name(&process.value).is_ok() && self.whole.complete("process");
        if proper && !known.contains_key(&process.value) {
            self.missing(
                codes::UNKNOWN_PROCESS,
                format!("there is no process `{}`", clip(process)),
                process.at,
                did_you_mean(process, known.keys().map(String::as_str)),
            );
        }
    }

    /// An operation that a step calls.
    pub(super) fn callable(&mut self, call: &Spanned<String>) {
        let estate = self.whole.estate;
        let complete = self.whole.complete("system") && self.whole.complete("api");
        let skip = value::reference(call).is_err() || !complete;
        if skip || estate.operation(call).is_some() {
            return;
        }
        let Some((api, operation)) = estate.api_operation(call) else {
            let is_connection = estate.connection(call).is_some();
            let help = is_connection
                .then(|| "that is a connection: declare an operation that uses it".to_owned());
            return self.no_operation(call, call.at, help);
        };
        let unserved = matches!(operation.work, Work::Bound) && api.bindings.is_empty();
        // Without bindings an Api that is served is a mistake of its own.
        if unserved && api.state.is_served() {
            return;
        }
        if let Some(help) = instead(operation, unserved) {
            self.problems.push(
                Diagnostic::error(
                    codes::NOT_CALLABLE,
                    format!("a step cannot call `{}`", call.value),
                )
                .at(call.at)
                .label(if unserved {
                    "no system serves it".to_owned()
                } else {
                    format!("an operation of the {} layer", api.layer.as_str())
                })
                .related(operation.at, "declared here")
                .help(help),
            );
        }
    }
}

/// What a step does instead of calling an operation; `None` where it can be called.
fn instead(operation: &ApiOperation, unserved: bool) -> Option<String> {
    Some(match &operation.work {
        Work::Bound if unserved => "add `bindings: [{ system: … }]` to the Api".to_owned(),
        Work::Bound => return None,
        Work::Tell { event } => format!("tell the event: `emit: {}`", clip(event)),
        Work::Start { .. } => "emit an event that starts the process".to_owned(),
        Work::Signal { .. } => "emit an event that the process waits for".to_owned(),
        Work::Status { .. } => "wait for an event that the process emits".to_owned(),
        Work::Gather { .. } => "call the operations whose answers it gathers".to_owned(),
    })
}

/// The first step that is further down than any may be.
fn too_deep(steps: &[Step], level: usize) -> Option<&Step> {
    if level > Process::MOST_LEVELS {
        return steps.first();
    }
    let mut inner = steps.iter().flat_map(|step| step.kind.inner());
    inner.find_map(|(_, list)| too_deep(list, level + 1))
}

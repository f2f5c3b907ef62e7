//! The steps of processes: does every one lead somewhere, can every one be reached.

use super::people::roles;
use super::references::References;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Process, Step, StepKind, TaskStep, WaitStep};
use crate::source::Spanned;
use crate::suggest::{clip, did_you_mean};
use crate::value;
use std::collections::BTreeMap;

/// What fits on a button.
const LONGEST_CHOICE: usize = 64;

impl References<'_> {
    pub(super) fn steps(&mut self, process: &Process) {
        let late = process.deadline.iter().map(|deadline| &deadline.steps[..]);
        for list in late.chain([&process.steps[..]]) {
            self.siblings(list);
        }
        for step in process.all_steps() {
            self.step(step);
            for (_, list) in step.kind.inner() {
                self.siblings(list);
            }
        }
        // What `deadline` says has its name in paths.
        let clash = process
            .steps
            .iter()
            .find(|step| step.name.value == "deadline");
        if let Some(step) = clash.filter(|_| process.deadline.is_some()) {
            self.problems.push(
                Diagnostic::error(
                    codes::DUPLICATE_STEP,
                    "a step is called as the steps of `deadline` are",
                )
                .at(step.name.at)
                .help("rename it"),
            );
        }
    }

    /// Steps of one list: their names differ, and what follows an end is never reached.
    fn siblings(&mut self, steps: &[Step]) {
        let mut names: BTreeMap<&str, &Step> = BTreeMap::new();
        for step in steps {
            if let Some(first) = names.get(step.name.as_str()) {
                self.problems.push(
                    Diagnostic::error(
                        codes::DUPLICATE_STEP,
                        format!("there are two steps `{}` here", clip(&step.name)),
                    )
                    .at(step.name.at)
                    .label("again here")
                    .related(first.name.at, "first here")
                    .help("rename one of them"),
                );
            } else {
                names.insert(&step.name, step);
            }
        }
        let end = steps.iter().position(ends);
        if let Some((end, next)) = end.and_then(|at| Some((&steps[at], steps.get(at + 1)?))) {
            self.problems.push(
                Diagnostic::warning(
                    codes::UNREACHABLE_STEP,
                    format!("`{}` is never reached", clip(&next.name)),
                )
                .at(next.name.at)
                .related(end.name.at, "the instance always ends here")
                .help(format!(
                    "say when `{}` ends it, or take away what follows",
                    clip(&end.name)
                )),
            );
        }
    }

    fn step(&mut self, step: &Step) {
        if let Some(undo) = &step.undo {
            self.callable(&undo.call);
        }
        match &step.kind {
            StepKind::Call(call) => self.callable(&call.call),
            StepKind::Emit { event, .. } if value::event(event).is_ok() => {
                self.entity(&value::entity_of(event), event.at);
            }
            StepKind::Wait(wait) => self.wait(step, wait),
            StepKind::Task(task) => self.task(task),
            StepKind::Choose {
                otherwise: None, ..
            } => self.problems.push(
                Diagnostic::warning(
                    codes::NO_ELSE,
                    format!("`{}` may choose nothing", clip(&step.name)),
                )
                .at(step.name.at)
                .help("add `- else: [ … ]`, or `- else: []` where going on is meant"),
            ),
            StepKind::Parallel(branches) if branches.is_empty() => self.problems.push(
                Diagnostic::error(
                    codes::EMPTY,
                    format!("`{}` has no branches", clip(&step.name)),
                )
                .at(step.name.at)
                .help("name them: `parallel: { NAME: [ … ] }`"),
            ),
            _ => {}
        }
    }

    fn wait(&mut self, step: &Step, wait: &WaitStep) {
        let first = wait.events.first();
        let one = wait
            .events
            .iter()
            .all(|event| Some(event.as_str()) == first.map(Spanned::as_str));
        if let Some(event) = first.filter(|_| wait.all && one) {
            self.problems.push(
                Diagnostic::error(codes::ALL_OF_ONE, "`all` of one type of event")
                    .at(event.at)
                    .help(format!("write `event: {}`", clip(event))),
            );
        }
        if wait.all && !one && step.save.is_some() {
            self.apart(&wait.events);
        }
        if wait.otherwise.is_some() && wait.until.is_none() {
            self.problems.push(
                Diagnostic::warning(
                    codes::UNREACHABLE_STEP,
                    format!("the `else` of `{}` is never reached", clip(&step.name)),
                )
                .at(step.name.at)
                .label("this waits without limit")
                .help("say how long it waits: `for`, or `until`"),
            );
        }
    }

    /// Events whose data is saved side by side have names of their own there.
    fn apart(&mut self, events: &[Spanned<String>]) {
        let mut names: BTreeMap<String, &Spanned<String>> = BTreeMap::new();
        for event in events {
            let entity = value::entity_of(event);
            if let Some(first) = names.get(&entity) {
                self.problems.push(
                    Diagnostic::error(
                        codes::SAME_PLACE,
                        format!(
                            "both would be saved as `{}`",
                            clip(&entity.replace('-', "_"))
                        ),
                    )
                    .at(event.at)
                    .related(first.at, "this")
                    .help("wait for each in a branch of `parallel`"),
                );
            } else {
                names.insert(entity, event);
            }
        }
    }

    fn task(&mut self, task: &TaskStep) {
        let mut seen: BTreeMap<&str, &Spanned<String>> = BTreeMap::new();
        for choice in &task.choices {
            let long = choice.chars().count() > LONGEST_CHOICE;
            if long || choice.contains(['\n', '\r']) {
                self.problems.push(
                    Diagnostic::error(
                        codes::BAD_CHOICE,
                        format!("a choice is one line of at most {LONGEST_CHOICE} characters"),
                    )
                    .at(choice.at)
                    .help("explain it in `ask`"),
                );
            }
            if let Some(first) = seen.insert(choice, choice) {
                self.problems.push(
                    Diagnostic::error(
                        codes::BAD_CHOICE,
                        format!("the choice `{}` is offered twice", clip(choice)),
                    )
                    .at(choice.at)
                    .related(first.at, "first here"),
                );
            }
        }
        self.role(&task.role);
        if let Some(escalate) = &task.escalate {
            self.role(&escalate.to);
        }
    }

    /// A role that is asked. Only an estate that lists its roles can be wrong about one.
    fn role(&mut self, role: &Spanned<String>) {
        let estate = self.whole.estate;
        let listed = !estate.people.roles.is_empty() && self.whole.complete("client");
        let known = roles(estate);
        if listed && !role.contains("{{") && !known.contains(role.as_str()) {
            self.problems.push(
                Diagnostic::warning(
                    codes::UNKNOWN_ROLE,
                    format!("there is no role `{}`", clip(role)),
                )
                .at(role.at)
                .help("roles of your own are listed under `people.roles`")
                .help_if(did_you_mean(role, known.iter().copied())),
            );
        }
    }
}

/// Whether the instance has always ended once the step is done.
fn ends(step: &Step) -> bool {
    let any = |steps: &[Step]| steps.iter().any(ends);
    step.when.is_none()
        && match &step.kind {
            StepKind::End | StepKind::Fail { .. } => true,
            StepKind::Group(steps) | StepKind::Repeat { steps, .. } => any(steps),
            StepKind::Parallel(branches) => branches.iter().any(|(_, steps)| any(steps)),
            StepKind::Choose {
                branches,
                otherwise: Some(otherwise),
            } => any(otherwise) && branches.iter().all(|(_, steps)| any(steps)),
            _ => false,
        }
}

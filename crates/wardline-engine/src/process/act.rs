//! What operators do to an instance.

use super::machine::{Machine, withdraw};
use super::plan::{KindPlan, ProcessPlan, StepPlan};
use super::state::{Here, Run, State};
use super::walk::walk;
use ahash::AHashMap;
use wardline_mapping::{Content, KeyString, Value};

/// An operator's act on an instance.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum InstanceAct {
    /// Tries a failed step again; all that failed where none is named.
    Retry {
        /// The step's path.
        step: Option<String>,
    },
    /// Passes a step over: one that failed, or one that waits.
    Skip {
        /// The step's path; the one that failed, or the only one, where none is named.
        step: Option<String>,
    },
    /// Sets variables.
    Set {
        /// By name; null removes one.
        vars: serde_json::Map<String, serde_json::Value>,
    },
    /// Ends it; deliveries that are still open are withdrawn.
    Cancel,
    /// Ends it after undoing what it did.
    Compensate,
}

impl InstanceAct {
    /// What is said of it as the reason for what follows: who did what, and why.
    pub(crate) fn because(&self, by: &str, reason: &str) -> String {
        let did = match self {
            Self::Retry { .. } => "retried",
            Self::Skip { .. } => "passed over",
            Self::Set { .. } => "set",
            Self::Cancel => "cancelled",
            Self::Compensate => "compensated",
        };
        format!("{did} by {by}: {reason}")
    }

    /// The word in the audit log.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "process.retry",
            Self::Skip { .. } => "process.skip",
            Self::Set { .. } => "process.set",
            Self::Cancel => "process.cancel",
            Self::Compensate => "process.compensate",
        }
    }
}

impl Machine<'_> {
    /// Does what an operator wants, before the machine is driven.
    ///
    /// # Errors
    /// Why it cannot be done here.
    pub(crate) fn act(&mut self, act: &InstanceAct, reason: &str) -> Result<(), String> {
        match act {
            InstanceAct::Retry { step } => self.retry(step.as_deref()),
            InstanceAct::Skip { step } => self.skip(step.as_deref()),
            InstanceAct::Set { vars } => self.assign(vars),
            InstanceAct::Cancel => {
                self.fail(reason.to_owned(), false, true);
                Ok(())
            }
            InstanceAct::Compensate => {
                self.fail(reason.to_owned(), true, true);
                Ok(())
            }
        }
    }

    fn retry(&mut self, step: Option<&str>) -> Result<(), String> {
        let mut done = 0;
        if let Some(closing) = &mut self.state.closing
            && matches!(closing.here, Here::Stuck { .. })
        {
            closing.here = Here::Undoing { n: None };
            done += 1;
        }
        let mut told = Vec::new();
        self.each_leaf(&mut |plan, here| {
            if let Here::Stuck { round, .. } = here
                && step.is_none_or(|step| *plan.path == *step)
            {
                *here = match (&plan.kind, *round) {
                    (KindPlan::Undo, _) => Here::Undoing { n: None },
                    // Its steps are done: only `until` is asked again.
                    (KindPlan::Repeat { steps, .. }, Some(round)) => Here::Repeat {
                        round,
                        run: Box::new(Run {
                            at: steps.len(),
                            ..Run::start()
                        }),
                    },
                    _ => Here::Fresh,
                };
                told.push(plan.path.to_string());
            }
        });
        done += told.len();
        for path in told {
            self.effects.tell(&path, "retried", "by an operator");
        }
        if done == 0 {
            return Err(match step {
                Some(step) => format!("step `{step}` has not failed"),
                None => "no step of it has failed".to_owned(),
            });
        }
        Ok(())
    }

    fn skip(&mut self, step: Option<&str>) -> Result<(), String> {
        let mut at: Vec<(String, bool)> = Vec::new();
        self.each_leaf(&mut |plan, here| {
            at.push((plan.path.to_string(), matches!(here, Here::Stuck { .. })));
        });
        let chosen = match step {
            Some(step) if at.iter().any(|(path, _)| path == step) => step.to_owned(),
            Some(step) => {
                let names: Vec<&str> = at.iter().map(|(path, _)| path.as_str()).collect();
                return Err(format!(
                    "it is not at step `{step}`; it is at {}",
                    names.join(", ")
                ));
            }
            None => {
                let stuck: Vec<&String> = at
                    .iter()
                    .filter(|(_, stuck)| *stuck)
                    .map(|(path, _)| path)
                    .collect();
                match (stuck.as_slice(), at.as_slice()) {
                    ([one], _) => (*one).clone(),
                    ([], [(one, _)]) => one.clone(),
                    _ => return Err("it is at several steps: name one".to_owned()),
                }
            }
        };
        let mut effects = std::mem::take(&mut self.effects);
        self.each_leaf(&mut |plan, here| {
            if *plan.path == *chosen && !matches!(here, Here::Passed) {
                withdraw(&mut effects, here);
                *here = Here::Passed;
            }
        });
        self.effects = effects;
        Ok(())
    }

    fn assign(&mut self, vars: &serde_json::Map<String, serde_json::Value>) -> Result<(), String> {
        let Content::Json(Value::Object(all)) = &mut self.subject_mut().content else {
            return Err("it has no variables".to_owned());
        };
        for (name, value) in vars {
            if value.is_null() {
                all.remove(name.as_str());
            } else {
                all.insert(KeyString::from(name.as_str()), Value::from(value.clone()));
            }
        }
        for name in vars.keys() {
            // The name alone: a value may be anybody's.
            self.effects.tell("", "set", name.clone());
        }
        Ok(())
    }
}

/// Moves a state to another definition of its process, where every step that it is at is there
/// under the same name and of the same kind.
///
/// # Errors
/// The step that does not match.
pub(crate) fn moved(from: &ProcessPlan, to: &ProcessPlan, state: &State) -> Result<State, String> {
    let mut state = state.clone();
    place(&from.steps, &to.steps, &mut state.main)?;
    if let Some(run) = &mut state.beside {
        let (Some(from), Some(to)) = (&from.deadline, &to.deadline) else {
            return Err("deadline".to_owned());
        };
        place(&from.steps, &to.steps, run)?;
    }
    Ok(state)
}

fn place(from: &[StepPlan], to: &[StepPlan], run: &mut Run) -> Result<(), String> {
    let Some(old) = from.get(run.at) else {
        run.at = to.len();
        return Ok(());
    };
    let Some(at) = to.iter().position(|step| step.name == old.name) else {
        return Err(old.path.to_string());
    };
    let new = &to[at];
    let same = std::mem::discriminant(&old.kind) == std::mem::discriminant(&new.kind);
    if !same && !matches!(run.here, Here::Fresh | Here::Stuck { .. }) {
        return Err(old.path.to_string());
    }
    run.at = at;
    match (&old.kind, &new.kind, &mut run.here) {
        (KindPlan::Call(a), KindPlan::Call(b), Here::Inner { run, .. }) => place(
            a.on_failure.as_deref().unwrap_or_default(),
            b.on_failure.as_deref().unwrap_or_default(),
            run,
        ),
        (KindPlan::Wait(a), KindPlan::Wait(b), Here::Wait { .. }) => {
            // What is waited for, and by what, must be the same: it stands in the journal.
            let names = |wait: &super::plan::WaitPlan| {
                wait.events
                    .iter()
                    .map(|event| event.correlator.name.to_string())
                    .collect::<Vec<_>>()
            };
            if names(a) == names(b) && a.all == b.all {
                Ok(())
            } else {
                Err(old.path.to_string())
            }
        }
        (KindPlan::Wait(a), KindPlan::Wait(b), Here::Inner { run, .. }) => place(
            a.otherwise.as_deref().unwrap_or_default(),
            b.otherwise.as_deref().unwrap_or_default(),
            run,
        ),
        (
            KindPlan::Choose {
                branches: a,
                otherwise: a_else,
            },
            KindPlan::Choose {
                branches: b,
                otherwise: b_else,
            },
            Here::Inner { branch, run },
        ) => {
            if a.len() != b.len() {
                return Err(old.path.to_string());
            }
            let a = a
                .get(*branch)
                .map(|(_, steps)| steps.as_slice())
                .or(a_else.as_deref())
                .unwrap_or_default();
            let b = b
                .get(*branch)
                .map(|(_, steps)| steps.as_slice())
                .or(b_else.as_deref())
                .unwrap_or_default();
            place(a, b, run)
        }
        (KindPlan::Group(a), KindPlan::Group(b), Here::Inner { run, .. })
        | (
            KindPlan::Repeat { steps: a, .. },
            KindPlan::Repeat { steps: b, .. },
            Here::Repeat { run, .. },
        ) => place(a, b, run),
        (KindPlan::Parallel(a), KindPlan::Parallel(b), Here::Branches(runs)) => {
            let mut by_name = AHashMap::new();
            for ((name, steps), run) in a.iter().zip(runs.drain(..)) {
                by_name.insert(name.clone(), (steps, run));
            }
            let mut placed = Vec::new();
            for (name, steps) in b {
                match by_name.remove(name) {
                    // A branch that is new begins.
                    None => placed.push(Some(Run::start())),
                    Some((_, None)) => placed.push(None),
                    Some((old, Some(mut run))) => {
                        place(old, steps, &mut run)?;
                        placed.push(Some(run));
                    }
                }
            }
            // A branch that is gone must be done.
            if let Some((name, _)) = by_name.iter().find(|(_, (_, run))| run.is_some()) {
                return Err(format!("{}/{name}", old.path));
            }
            *runs = placed;
            Ok(())
        }
        (
            KindPlan::Each { steps: a, .. },
            KindPlan::Each { steps: b, .. },
            Here::Each { running, .. },
        ) => {
            for round in running {
                place(a, b, &mut round.run)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether nothing of an instance is under way: no call is out.
pub(crate) fn is_idle(plan: &ProcessPlan, state: &State) -> bool {
    let mut state = state.clone();
    let mut idle = state.closing.is_none();
    walk(&plan.steps, &mut state.main, &mut |_, here| {
        if matches!(here, Here::Call { .. } | Here::Undoing { n: Some(_) }) {
            idle = false;
        }
    });
    idle
}

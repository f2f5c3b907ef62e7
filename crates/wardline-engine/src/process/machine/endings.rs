//! How an instance ends: failing, undoing in reverse order, taking back what it asked for.

use super::{Machine, Move};
use crate::codes;
use crate::process::effects::{Effects, Input, OutCall};
use crate::process::state::{Closing, Here, Run};
use crate::process::walk::walk;
use wardline_mapping::Runtime;
use wardline_store::{Phase, TaskEnd};

impl Machine<'_> {
    /// Ends as failed, or as cancelled by an operator; what is done is undone first where `undo`.
    pub(crate) fn fail(&mut self, reason: String, undo: bool, cancelled: bool) {
        self.withdraw_all();
        self.state.beside = None;
        let word = if cancelled { "cancelled" } else { "failed" };
        self.effects.tell("", word, "");
        if undo && !self.state.undo.is_empty() {
            self.state.closing = Some(Closing {
                here: Here::Undoing { n: None },
                cancelled,
                reason,
            });
        } else {
            let phase = if cancelled {
                Phase::Cancelled
            } else {
                Phase::Failed
            };
            let trouble = (codes::PROCESS_FAILED.to_string(), reason);
            self.ended = Some((phase, Some(trouble)));
        }
    }

    pub(super) fn close(&mut self, runtime: &mut Runtime) {
        let Some(mut closing) = self.state.closing.take() else {
            return;
        };
        let moved = self.undoing("undo", &mut closing.here, runtime);
        if matches!(moved, Move::Done) {
            let phase = if closing.cancelled {
                Phase::Cancelled
            } else {
                Phase::Failed
            };
            let trouble = (codes::PROCESS_FAILED.to_string(), closing.reason.clone());
            self.ended = Some((phase, Some(trouble)));
        }
        self.state.closing = Some(closing);
    }

    /// Withdraws everything that is waited for.
    pub(super) fn withdraw_all(&mut self) {
        let plan = self.plan;
        let mut main = std::mem::replace(&mut self.state.main, Run::start());
        let mut beside = self.state.beside.take();
        let effects = &mut self.effects;
        walk(&plan.steps, &mut main, &mut |_, here| {
            withdraw(effects, here);
        });
        if let (Some(run), Some(deadline)) = (&mut beside, &plan.deadline) {
            walk(&deadline.steps, run, &mut |_, here| withdraw(effects, here));
        }
        self.state.main = main;
    }

    /// Calls what was registered, the last first.
    pub(super) fn undoing(&mut self, path: &str, here: &mut Here, _runtime: &mut Runtime) -> Move {
        loop {
            if let Here::Stuck { n, .. } = here {
                match *n {
                    Some(n) if self.inputs.contains_key(&n) => *here = Here::Undoing { n: Some(n) },
                    _ => return Move::Waiting,
                }
            }
            let waiting = match here {
                Here::Undoing { n } => *n,
                _ => None,
            };
            if let Some(n) = waiting {
                match self.inputs.remove(&n) {
                    None => return Move::Waiting,
                    Some(Input::Fault { code, text }) => {
                        let step = self
                            .state
                            .undo
                            .last()
                            .map_or(path, |one| &one.step)
                            .to_owned();
                        self.effects.tell(&step, "not undone", code.clone());
                        *here = Here::Stuck {
                            n: Some(n),
                            code: codes::CALL_FAILED.to_string(),
                            text: format!("undoing {step}: {code}: {text}"),
                            round: None,
                        };
                        return Move::Waiting;
                    }
                    Some(_) => {
                        if let Some(one) = self.state.undo.pop() {
                            self.effects.tell(&one.step, "undone", "");
                        }
                    }
                }
            }
            let Some(next) = self.state.undo.last() else {
                *here = Here::Undoing { n: None };
                return Move::Done;
            };
            self.state.last += 1;
            let n = self.state.last;
            self.effects.calls.push(OutCall {
                n,
                reference: next.call.as_str().into(),
                flow: next.flow.as_str().into(),
                lane: next.lane,
                body: next.body.clone(),
            });
            self.effects
                .tell(&next.step.clone(), "undoing", next.call.clone());
            *here = Here::Undoing { n: Some(n) };
        }
    }
}

/// Ends everything that a leaf waits for.
pub(in crate::process) fn withdraw(effects: &mut Effects, here: &mut Here) {
    match here {
        Here::Call { n } | Here::Undoing { n: Some(n) } | Here::Stuck { n: Some(n), .. } => {
            effects.withdraw.push(*n);
        }
        Here::Wait { open, timer, .. } => {
            for (_, n) in open.iter() {
                effects.end_wait(*n);
            }
            if let Some(n) = timer {
                effects.end_timer(*n);
            }
        }
        Here::Sleep { timer } => effects.end_timer(*timer),
        Here::Task { n, escalate } => {
            effects.end_task(TaskEnd {
                number: *n,
                by: String::new(),
                choice: String::new(),
            });
            if let Some(n) = escalate {
                effects.end_timer(*n);
            }
        }
        _ => {}
    }
}

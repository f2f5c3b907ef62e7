//! Calls of systems: what a step asks and what came of it.

use super::values::run_trouble;
use super::{Machine, Move, Trouble};
use crate::codes;
use crate::process::effects::{Input, OutCall};
use crate::process::plan::{CallPlan, StepPlan};
use crate::process::state::{Here, Run};
use serde_json::json;
use std::sync::Arc;
use wardline_core::Lane;
use wardline_mapping::{Content, Runtime, Subject, Value};

impl<'p> Machine<'p> {
    #[allow(clippy::type_complexity)]
    pub(super) fn call(
        &mut self,
        step: &'p StepPlan,
        call: &'p CallPlan,
        here: &mut Here,
        runtime: &mut Runtime,
    ) -> Result<(Move, Option<Value>), (Option<u32>, Trouble)> {
        match here {
            Here::Inner { run, .. } => {
                let steps = call.on_failure.as_deref().unwrap_or_default();
                Ok((self.steps(steps, run, runtime), None))
            }
            Here::Call { n } => {
                let n = *n;
                let fault = match self.inputs.remove(&n) {
                    None => return Ok((Move::Waiting, None)),
                    Some(Input::Answer(answer)) => {
                        let fits = match &call.expect {
                            None => Ok(true),
                            Some(expect) => {
                                let subject = Subject {
                                    content: Content::Json(answer.clone()),
                                    metadata: self.subject.metadata.clone(),
                                };
                                expect.test(&subject, runtime)
                            }
                        };
                        match fits {
                            Ok(true) => return Ok((Move::Done, Some(answer))),
                            Ok(false) => Trouble {
                                code: codes::ANSWER_REFUSED,
                                text: format!(
                                    "{} answered, but not what `expect` says",
                                    call.reference
                                ),
                            },
                            Err(error) => run_trouble("expect", &error),
                        }
                    }
                    Some(Input::Fault { code, text }) => {
                        self.effects.tell(&step.path, "refused", code.clone());
                        Trouble {
                            code: codes::CALL_FAILED,
                            text: format!("{code}: {text}"),
                        }
                    }
                    Some(_) => Trouble {
                        code: codes::STEP_FAILED,
                        text: "something else came than an answer".to_owned(),
                    },
                };
                if call.on_failure.is_none() {
                    return Err((Some(n), fault));
                }
                if let Some(name) = &step.save {
                    let what =
                        json!({ "failed": { "code": fault.code.to_string(), "text": fault.text } });
                    self.set(name, Value::from(what));
                }
                let mut run = Box::new(Run::start());
                let steps = call.on_failure.as_deref().unwrap_or_default();
                let moved = self.steps(steps, &mut run, runtime);
                *here = Here::Inner { branch: 0, run };
                Ok((moved, None))
            }
            _ => {
                let body = self
                    .data(&call.with, runtime)
                    .map_err(|trouble| (None, trouble))?;
                let n = self.number();
                let lane = self.lane(call.lane, runtime);
                self.effects.calls.push(OutCall {
                    n,
                    reference: Arc::clone(&call.reference),
                    flow: Arc::clone(&call.flow),
                    lane,
                    body,
                });
                self.effects
                    .tell(&step.path, "called", call.reference.to_string());
                *here = Here::Call { n };
                Ok((Move::Waiting, None))
            }
        }
    }

    /// The lane of a call: what its step says, unless the instance is in a hurry. What is not
    /// known yet is no hurry.
    pub(super) fn lane(&self, declared: Lane, runtime: &mut Runtime) -> Lane {
        let urgent = self.plan.urgent.as_ref().is_some_and(|expression| {
            let value = expression.value(&self.subject, runtime);
            matches!(value, Ok(Value::Boolean(true)))
        });
        if urgent { Lane::Realtime } else { declared }
    }
}

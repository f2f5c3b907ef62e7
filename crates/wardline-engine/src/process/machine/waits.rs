//! Waiting for events: what a step waits for and whether an event is that.

use super::values::run_trouble;
use super::values::variable_of;
use super::{Machine, Move, Trouble};
use crate::codes;
use crate::process::effects::{Input, OutWait};
use crate::process::plan::{KindPlan, StepPlan, WaitPlan};
use crate::process::state::{Here, Run};
use std::sync::Arc;
use wardline_mapping::{Content, KeyString, ObjectMap, Runtime, Subject, Value};
use wardline_store::MailId;

impl<'p> Machine<'p> {
    pub(super) fn wait(
        &mut self,
        step: &'p StepPlan,
        wait: &'p WaitPlan,
        here: &mut Here,
        runtime: &mut Runtime,
    ) -> Result<(Move, Option<Value>), Trouble> {
        if let Here::Inner { run, .. } = here {
            let steps = wait.otherwise.as_deref().unwrap_or_default();
            return Ok((self.steps(steps, run, runtime), None));
        }
        if !matches!(here, Here::Wait { .. }) {
            let mut open = Vec::new();
            let instance = self.as_instance(true);
            for (place, event) in wait.events.iter().enumerate() {
                let key = event
                    .value
                    .key(&instance, runtime)
                    .map_err(|error| run_trouble("where", &error))?
                    .ok_or_else(|| Trouble {
                        code: codes::NO_CORRELATION,
                        text: format!(
                            "nothing to know {} by: the instance's side of `where` is empty",
                            event.event
                        ),
                    })?;
                let n = self.number();
                self.effects.waits.push(OutWait {
                    n,
                    correlator: Arc::clone(&event.correlator),
                    key,
                    seen: MailId(0),
                });
                open.push((place, n));
            }
            let timer = match &wait.until {
                None => None,
                Some(until) => {
                    let due = self.until(until, runtime)?;
                    let n = self.number();
                    self.effects.timers.push((n, due));
                    Some(n)
                }
            };
            let names: Vec<&str> = wait.events.iter().map(|event| &*event.event).collect();
            self.effects
                .tell(&step.path, "waiting", format!("for {}", names.join(", ")));
            *here = Here::Wait {
                open,
                timer,
                got: Vec::new(),
            };
        }
        let Here::Wait { open, timer, got } = here else {
            return Ok((Move::Waiting, None));
        };
        let mut still = Vec::new();
        for (place, n) in open.drain(..) {
            // One of any is enough: what came besides is left for another.
            if !wait.all && !got.is_empty() {
                still.push((place, n));
                continue;
            }
            match self.inputs.remove(&n) {
                Some(Input::Event(data)) => {
                    self.effects.end_wait(n);
                    got.push((place, data));
                }
                _ => still.push((place, n)),
            }
        }
        *open = still;
        if (wait.all && open.is_empty()) || (!wait.all && !got.is_empty()) {
            for (_, n) in open.iter() {
                self.effects.end_wait(*n);
            }
            if let Some(n) = *timer {
                self.effects.end_timer(n);
            }
            let value = if wait.events.len() == 1 {
                got.pop().map(|(_, data)| data)
            } else if wait.all {
                let members = got.drain(..).map(|(place, data)| {
                    let name = variable_of(&wait.events[place].event);
                    (KeyString::from(name), data)
                });
                Some(Value::Object(members.collect::<ObjectMap>()))
            } else {
                got.pop().map(|(place, data)| {
                    let event = &wait.events[place].event;
                    Value::Object(
                        [
                            (KeyString::from("event"), Value::from(&**event)),
                            (KeyString::from("data"), data),
                        ]
                        .into_iter()
                        .collect(),
                    )
                })
            };
            return Ok((Move::Done, value));
        }
        let Some(n) = *timer else {
            return Ok((Move::Waiting, None));
        };
        if self.inputs.remove(&n).is_none() {
            return Ok((Move::Waiting, None));
        }
        self.effects.fired.push(n);
        for (_, n) in open.iter() {
            self.effects.end_wait(*n);
        }
        self.effects.tell(&step.path, "timed out", "");
        let Some(otherwise) = wait.otherwise.as_deref() else {
            return Err(Trouble {
                code: codes::NOTHING_CAME,
                text: "nothing came in time, and no `else` says what to do then".to_owned(),
            });
        };
        let mut run = Box::new(Run::start());
        let moved = self.steps(otherwise, &mut run, runtime);
        *here = Here::Inner { branch: 0, run };
        Ok((moved, None))
    }

    /// Whether an event is one that an open wait waits for.
    pub(crate) fn wants(&mut self, n: u32, event: &Value, runtime: &mut Runtime) -> bool {
        let Some(wait) = self.open_wait(n) else {
            return false;
        };
        let mut event = event.clone();
        self.put_instance(&mut event, wait.looks_at_vars);
        let subject = Subject {
            content: Content::Json(event),
            metadata: self.subject.metadata.clone(),
        };
        // A predicate that fails on an event does not want it.
        wait.matching.test(&subject, runtime).unwrap_or(false)
    }

    /// The waits that are open: number, correlator's name, and the value waited for.
    pub(crate) fn open_waits(&mut self, runtime: &mut Runtime) -> Vec<(u32, Arc<str>, String)> {
        let mut found: Vec<(u32, &'p WaitPlan, usize)> = Vec::new();
        self.each_leaf(&mut |step, here| {
            if let (KindPlan::Wait(wait), Here::Wait { open, .. }) = (&step.kind, here) {
                found.extend(open.iter().map(|(place, n)| (*n, &**wait, *place)));
            }
        });
        let instance = self.as_instance(true);
        found
            .into_iter()
            .filter_map(|(n, wait, place)| {
                let event = wait.events.get(place)?;
                let key = event.value.key(&instance, runtime).ok()??;
                Some((n, Arc::clone(&event.correlator.name), key))
            })
            .collect()
    }

    pub(super) fn open_wait(&mut self, n: u32) -> Option<&'p WaitPlan> {
        let mut found = None;
        self.each_leaf(&mut |step, here| {
            if let (KindPlan::Wait(wait), Here::Wait { open, .. }) = (&step.kind, here)
                && open.iter().any(|(_, number)| *number == n)
            {
                found = Some(&**wait);
            }
        });
        found
    }
}

//! What of an event concerns processes: those that begin with it, and those that may wait for it.
//! Whether one does wait is found out after the commit; until then it is mail.

use super::content::written;
use super::router::Router;
use super::{DerivedMail, Failure};
use crate::codes;
use crate::process::MAX_STATE;
use crate::process::plan::ProcessPlan;
use std::sync::Arc;
use wardline_mapping::{Content, KeyString, ObjectMap, Subject, Value};
use wardline_store::RouteOutcome;

/// Bytes that an instance may begin with: half of what its variables may be.
const MOST_DATA: usize = MAX_STATE / 2;

impl Router<'_> {
    /// A process that begins with this event, as a flow among those that hear it.
    pub(super) fn start(
        &mut self,
        index: usize,
        process: &ProcessPlan,
        message: usize,
        subject: &Subject,
    ) {
        match self.begins(process, subject) {
            Ok(None) => {
                self.out.messages[message]
                    .routes
                    .push((index, None, RouteOutcome::Filtered));
            }
            Ok(Some((key, body))) => {
                self.out.messages[message]
                    .routes
                    .push((index, None, RouteOutcome::Taken));
                self.out.mail.push(DerivedMail {
                    message,
                    correlator: ProcessPlan::start_name(&process.name).into(),
                    key,
                    body,
                    keep: process.keep_events,
                });
            }
            Err(failure) => {
                let note = failure.note(&self.plan.flows[index].failed);
                self.fail(index, message, note);
            }
        }
    }

    fn begins(
        &mut self,
        process: &ProcessPlan,
        subject: &Subject,
    ) -> Result<Option<(String, bytes::Bytes)>, Failure> {
        let Content::Json(data) = &subject.content else {
            return Err(Failure {
                code: codes::KEY_FAILED,
                text: format!(
                    "process {} begins with events, and this is none",
                    process.name
                ),
            });
        };
        let vars: ObjectMap = [(KeyString::from(&*process.start_as), data.clone())]
            .into_iter()
            .collect();
        let vars = Subject {
            content: Content::Json(Value::Object(vars)),
            metadata: subject.metadata.clone(),
        };
        if let Some(when) = &process.when {
            let holds = when.test(&vars, self.runtime).map_err(|error| Failure {
                code: codes::PREDICATE_FAILED,
                text: format!("the predicate of process {}: {error}", process.name),
            })?;
            if !holds {
                return Ok(None);
            }
        }
        let key = process
            .key
            .key(&vars, self.runtime)
            .map_err(|error| Failure {
                code: codes::KEY_FAILED,
                text: format!("the key of process {}: {error}", process.name),
            })?;
        let Some(key) = key else {
            return Err(Failure {
                code: codes::KEY_FAILED,
                text: format!(
                    "the key of process {} is empty: without it nobody could find the instance",
                    process.name
                ),
            });
        };
        let (body, _) = written(&subject.content, &process.name)?;
        if body.len() > MOST_DATA {
            return Err(Failure {
                code: codes::STEP_FAILED,
                text: format!(
                    "process {} begins with at most {MOST_DATA} bytes, and this event has {}",
                    process.name,
                    body.len()
                ),
            });
        }
        Ok(Some((key, body)))
    }

    /// For whoever waits for this event.
    pub(super) fn mail(&mut self, event: &str, message: usize, subject: &Subject) {
        let plan = self.plan;
        for correlator in plan.processes.correlators(event) {
            // An event without the value is for nobody.
            let Ok(Some(key)) = correlator.expression.key(subject, self.runtime) else {
                continue;
            };
            let Ok((body, _)) = written(&subject.content, event) else {
                continue;
            };
            self.out.mail.push(DerivedMail {
                message,
                correlator: Arc::clone(&correlator.name),
                key,
                body,
                keep: correlator.keep,
            });
        }
    }
}

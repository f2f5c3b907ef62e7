//! Tasks for people: asked, answered, overdue.

use super::values::run_trouble;
use super::{Machine, Move, Trouble};
use crate::process::effects::{Input, OutTask};
use crate::process::plan::{KindPlan, StepPlan, TaskPlan};
use crate::process::state::Here;
use serde_json::json;
use std::sync::Arc;
use wardline_core::Timestamp;
use wardline_mapping::{Content, Runtime, Subject, Value};
use wardline_store::TaskEnd;

impl<'p> Machine<'p> {
    pub(super) fn task(
        &mut self,
        step: &'p StepPlan,
        task: &'p TaskPlan,
        here: &mut Here,
        runtime: &mut Runtime,
    ) -> Result<(Move, Option<Value>), Trouble> {
        let Here::Task { n, escalate } = here else {
            let role = task
                .role
                .text(&self.subject, runtime)
                .map_err(|error| run_trouble("role", &error))?;
            let due = match &task.due {
                None => None,
                Some(due) => Some(self.until(due, runtime)?),
            };
            let escalate = match &task.escalate {
                None => None,
                Some((after, _)) => {
                    let n = self.number();
                    let from = due.unwrap_or(self.context.now);
                    self.effects.timers.push((n, from.after(*after)));
                    Some(n)
                }
            };
            let n = self.ask(step, task, role, due, false, runtime)?;
            *here = Here::Task { n, escalate };
            return Ok((Move::Waiting, None));
        };
        if let Some(Input::Decision {
            choice,
            by,
            note,
            form,
        }) = self.inputs.remove(n)
        {
            if let Some(timer) = *escalate {
                self.effects.end_timer(timer);
            }
            self.effects.end_task(TaskEnd {
                number: *n,
                by: by.clone(),
                choice: choice.clone(),
            });
            self.effects
                .tell(&step.path, "answered", format!("{choice} by {by}"));
            let answer = json!({
                "choice": choice, "by": by, "note": note, "form": form,
                "at": self.context.now.to_string(),
            });
            return Ok((Move::Done, Some(Value::from(answer))));
        }
        if let Some(timer) = *escalate
            && self.inputs.remove(&timer).is_some()
        {
            self.effects.fired.push(timer);
            *escalate = None;
            if let Some((_, to)) = &task.escalate {
                self.effects.end_task(TaskEnd {
                    number: *n,
                    by: String::new(),
                    choice: String::new(),
                });
                self.effects
                    .tell(&step.path, "escalated", format!("to {to}"));
                *n = self.ask(
                    step,
                    task,
                    to.to_string(),
                    Some(self.context.now),
                    true,
                    runtime,
                )?;
            }
        }
        Ok((Move::Waiting, None))
    }

    pub(super) fn ask(
        &mut self,
        step: &'p StepPlan,
        task: &'p TaskPlan,
        role: String,
        due: Option<Timestamp>,
        escalated: bool,
        runtime: &mut Runtime,
    ) -> Result<u32, Trouble> {
        let ask = task
            .ask
            .text(&self.subject, runtime)
            .map_err(|error| run_trouble("ask", &error))?;
        let mut show = serde_json::Map::new();
        for (name, expression) in &task.show {
            let value = expression
                .value(&self.subject, runtime)
                .map_err(|error| run_trouble("show", &error))?;
            show.insert(
                name.to_string(),
                serde_json::to_value(&value).unwrap_or_default(),
            );
        }
        let n = self.number();
        let form: serde_json::Map<String, serde_json::Value> = task
            .form
            .iter()
            .map(|(name, label)| (name.to_string(), json!(label)))
            .collect();
        let choices: Vec<&str> = task.choices.iter().map(|choice| &**choice).collect();
        self.effects.tell(&step.path, "asked", role.clone());
        self.effects.tasks.push(OutTask {
            n,
            role,
            step: Arc::clone(&step.path),
            due,
            body: json!({
                "ask": ask, "choices": choices, "form": form, "show": show,
                "runbook": task.runbook, "escalated": escalated,
            }),
        });
        Ok(n)
    }

    /// The task that has a number, where it is still asked.
    pub(crate) fn open_task(&mut self, number: u32) -> Option<&'p TaskPlan> {
        let mut found = None;
        self.each_leaf(&mut |step, here| {
            if let (KindPlan::Task(task), Here::Task { n, .. }) = (&step.kind, here)
                && *n == number
            {
                found = Some(&**task);
            }
        });
        found
    }

    /// Whether an answer to a task is acceptable; else why not.
    pub(crate) fn accepts(
        &mut self,
        number: u32,
        decision: &serde_json::Value,
        runtime: &mut Runtime,
    ) -> Result<(), String> {
        let Some(task) = self.open_task(number) else {
            return Err("the question is no longer open".to_owned());
        };
        let choice = decision["choice"].as_str().unwrap_or_default();
        if !task.choices.iter().any(|known| **known == *choice) {
            let known: Vec<&str> = task.choices.iter().map(|choice| &**choice).collect();
            return Err(format!(
                "`{choice}` is not one of the choices: {}",
                known.join(", ")
            ));
        }
        let Some(accept) = &task.accept else {
            return Ok(());
        };
        let mut value = Value::from(decision.clone());
        if let Value::Object(members) = &mut value {
            members.insert("vars".into(), self.vars().clone());
        }
        let subject = Subject {
            content: Content::Json(value),
            metadata: self.subject.metadata.clone(),
        };
        match accept.test(&subject, runtime) {
            Ok(true) => Ok(()),
            _ => Err("this answer is not accepted from you here: `accept` of the task says who may decide (another person, for example)".to_owned()),
        }
    }
}

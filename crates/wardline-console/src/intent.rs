//! Acts on an instance of a process: retry, skip, set, cancel, compensate, migrate. As with
//! deliveries (`plan.rs`), none happens on the first click: an intent is kept for its session,
//! shown with what it means, and carried out once, with a reason, within ten minutes. What is to
//! be set stands in no address.

use serde_json::{Map, Value};
use std::time::Duration;
use wardline_core::{InstanceId, Timestamp};
use wardline_engine::view::{InstanceView, ProcessAct};

use crate::api_processes::instance_id;
use crate::app::App;
use crate::plan::Form;
use crate::problem::Problem;

/// Who confirms must have seen where the instance stood a moment ago.
const FRESH: Duration = Duration::from_mins(10);
/// Bytes of a value that is set in a form.
const LONGEST_VALUE: usize = 16 * 1024;

/// An act that waits for its confirmation, or what became of it.
#[derive(Clone)]
pub(crate) struct Intent {
    pub(crate) session: String,
    pub(crate) id: InstanceId,
    pub(crate) act: ProcessAct,
    /// As it stood when the intent was made.
    pub(crate) seen: InstanceView,
    pub(crate) made: Timestamp,
    pub(crate) stage: Stage,
}

/// How far it is.
#[derive(Clone)]
pub(crate) enum Stage {
    Ready,
    Running,
    Done(Box<InstanceView>),
    Failed(Problem),
}

impl Intent {
    /// What a form asks for; nothing is changed.
    pub(crate) async fn make(
        app: &App,
        session: String,
        actor: &str,
        form: &Form,
    ) -> Result<Self, Problem> {
        let act = read(form)?;
        let id = instance_id(form.first("instance").unwrap_or_default())?;
        let seen = app.desk.instance(id, None, actor).await?.instance;
        Ok(Self {
            session,
            id,
            act,
            seen,
            made: Timestamp::now(),
            stage: Stage::Ready,
        })
    }

    /// Whether what was seen is recent enough to be confirmed.
    pub(crate) fn is_fresh(&self) -> bool {
        Timestamp::now().since(self.made) <= FRESH
    }

    /// Does it.
    pub(crate) async fn carry_out(self, app: &App, reason: String, actor: &str) -> Stage {
        match app.desk.act_on(self.id, self.act, reason, actor).await {
            Ok(now) => Stage::Done(Box::new(now)),
            Err(error) => Stage::Failed(error.into()),
        }
    }
}

fn read(form: &Form) -> Result<ProcessAct, Problem> {
    let step = form.first("step").map(str::to_owned);
    Ok(match form.first("act") {
        Some("retry") => ProcessAct::Retry { step },
        Some("skip") => ProcessAct::Skip { step },
        Some("set") => ProcessAct::Set { vars: vars(form)? },
        Some("cancel") => ProcessAct::Cancel,
        Some("compensate") => ProcessAct::Compensate,
        Some("migrate") => ProcessAct::Migrate,
        _ => return Err(Problem::bad_form("The form does not say what to do.")),
    })
}

/// One variable. What is no JSON is a text, since that is what people write.
fn vars(form: &Form) -> Result<Map<String, Value>, Problem> {
    let name = form.first("name").map(str::trim).unwrap_or_default();
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !is_name {
        return Err(Problem::bad_form(
            "Name the variable to set: letters, digits and `_`.",
        ));
    }
    let text = form.first("value").unwrap_or_default();
    if text.len() > LONGEST_VALUE {
        return Err(Problem::bad_form(format!(
            "A value of at most {LONGEST_VALUE} bytes can be set here."
        )));
    }
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    Ok(Map::from_iter([(name.to_owned(), value)]))
}

/// What the button says.
pub(crate) const fn verb(act: &ProcessAct) -> &'static str {
    match act {
        ProcessAct::Retry { .. } => "Retry",
        ProcessAct::Skip { .. } => "Skip",
        ProcessAct::Set { .. } => "Set",
        ProcessAct::Cancel => "Cancel",
        ProcessAct::Compensate => "Undo and end",
        ProcessAct::Migrate => "Move",
    }
}

/// What it means, said before it is done.
pub(crate) const fn effect(act: &ProcessAct) -> &'static str {
    match act {
        ProcessAct::Retry { .. } => {
            "Tries what failed again, from the step that failed. A call is a new delivery with an idempotency key of \
             its own; the history stays as it is."
        }
        ProcessAct::Skip { .. } => {
            "Passes the step over and goes on behind it, as if it were done: what the step would have brought is not \
             there. This cannot be undone."
        }
        ProcessAct::Set { .. } => {
            "Sets the variable for all steps that come. What was done with its old value stays done. The audit log \
             names the variable, not its value."
        }
        ProcessAct::Cancel => {
            "Ends this run where it stands: deliveries that are still open are withdrawn, questions need no answer \
             any more, and what was done stays done."
        }
        ProcessAct::Compensate => {
            "Undoes what this run did, last step first, by the `undo` of each step, and then ends it. Steps without \
             one stay done."
        }
        ProcessAct::Migrate => {
            "Goes on by the present definition of the process instead of the one that it began with, at the same step."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn form(pairs: &[(&str, &str)]) -> Form {
        let pairs = pairs.iter();
        Form(
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn values_are_json_or_else_texts() {
        for (text, value) in [
            ("12", json!(12)),
            ("\"12\"", json!("12")),
            ("null", json!(null)),
            ("{\"a\":[1]}", json!({"a": [1]})),
            ("ward 5", json!("ward 5")),
            ("", json!("")),
        ] {
            let act = read(&form(&[("act", "set"), ("name", "x"), ("value", text)]));
            let Ok(ProcessAct::Set { vars }) = act else {
                panic!("{text}");
            };
            assert_eq!(vars["x"], value);
        }
    }

    #[test]
    fn what_a_form_does_not_say_is_not_done() {
        for bad in [
            form(&[]),
            form(&[("act", "drop")]),
            form(&[("act", "set"), ("value", "1")]),
            form(&[("act", "set"), ("name", "a.b"), ("value", "1")]),
        ] {
            assert!(read(&bad).is_err());
        }
        assert_eq!(
            read(&form(&[("act", "retry"), ("step", "")])).ok(),
            Some(ProcessAct::Retry { step: None })
        );
    }
}

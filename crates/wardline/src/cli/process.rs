//! Commands about processes: instances, questions to people, business transactions.

use super::Where;
use super::time::{ahead, duration};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::time::Duration;
use wardline_core::{Id, InstanceId, TaskId, Timestamp};

#[derive(Debug, Subcommand)]
pub(crate) enum ProcessCommand {
    /// List processes with how many of each stand where; with a process's name, its open instances.
    List(ProcessFilter),
    /// List instances, newest first.
    Instances(InstanceList),
    /// Show one instance: where it stands and why, what happened, whom it called and asked.
    Show(InstanceShow),
    /// Try what failed again.
    Retry(InstanceAct),
    /// Pass a step over: the one that failed, or the only one, where none is named.
    Skip(InstanceAct),
    /// Set variables.
    Set {
        /// The instance.
        id: InstanceId,
        /// `NAME=JSON`; what is no JSON is a text. `NAME=null` removes one.
        #[arg(required = true, value_parser = variable, value_name = "NAME=JSON")]
        vars: Vec<(String, Value)>,
        /// Why; it goes into the audit log.
        #[arg(long, required = true)]
        reason: String,
        #[command(flatten)]
        place: Where,
    },
    /// End an instance; deliveries that are still open are withdrawn.
    Cancel(InstanceAct),
    /// Undo what an instance did, last step first, and end it.
    Compensate(InstanceAct),
    /// Go on by the present definition of the process.
    Migrate(InstanceAct),
}

#[derive(Debug, Args)]
pub(crate) struct ProcessFilter {
    /// Only this process: its open instances.
    pub(crate) process: Option<String>,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct InstanceList {
    /// Of this process.
    pub(crate) process: Option<String>,
    /// With this business key: exact.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// In this phase (may be repeated): open, running, asking, stuck, completed, failed, cancelled.
    #[arg(long)]
    pub(crate) phase: Vec<String>,
    /// With this status, as the process declares them.
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Of this facility.
    #[arg(long)]
    pub(crate) facility: Option<String>,
    /// For which this role answers.
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Only those that are late.
    #[arg(long)]
    pub(crate) overdue: bool,
    /// Continue below this id.
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<Id>,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct InstanceShow {
    /// The instance.
    pub(crate) id: InstanceId,
    /// Show its variables too; the reason goes into the audit log.
    #[arg(long, value_name = "REASON")]
    pub(crate) reveal: Option<String>,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct InstanceAct {
    /// The instance.
    pub(crate) id: InstanceId,
    /// The step, as `show` prints it (for `retry` and `skip`).
    #[arg(long)]
    pub(crate) step: Option<String>,
    /// Why; it goes into the audit log.
    #[arg(long, required = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Tasks {
    #[command(subcommand)]
    pub(crate) command: Option<TaskCommand>,
    #[command(flatten)]
    pub(crate) filter: TaskFilter,
}

#[derive(Debug, Args)]
pub(crate) struct TaskFilter {
    /// Asked of this role (may be repeated).
    #[arg(long)]
    pub(crate) role: Vec<String>,
    /// Of this process.
    #[arg(long)]
    pub(crate) process: Option<String>,
    /// Only those that you have taken on.
    #[arg(long)]
    pub(crate) mine: bool,
    /// Only those that are late.
    #[arg(long)]
    pub(crate) overdue: bool,
    /// Those that were answered instead of those that are open.
    #[arg(long)]
    pub(crate) ended: bool,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Show one question with what helps to decide.
    Show(TaskRef),
    /// Take a question on: nobody else can answer it then.
    Claim(TaskRef),
    /// Give a question back.
    Release(TaskRef),
    /// Ask another role, or one person of it.
    Reassign(TaskReassign),
    /// Answer a question. The first answer counts.
    Answer(TaskAnswer),
}

#[derive(Debug, Args)]
pub(crate) struct TaskRef {
    /// The question.
    pub(crate) id: TaskId,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct TaskReassign {
    /// The question.
    pub(crate) id: TaskId,
    /// The role that is asked from now on [default: as before].
    #[arg(long, required_unless_present_any = ["to", "due"])]
    pub(crate) role: Option<String>,
    /// The person who has it from now on [default: nobody in particular].
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// When it is due from now on: RFC 3339, or a time from now such as `2d`.
    #[arg(long, value_parser = ahead)]
    pub(crate) due: Option<Timestamp>,
    /// Why; it goes into the audit log.
    #[arg(long, required = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct TaskAnswer {
    /// The question.
    pub(crate) id: TaskId,
    /// One of its choices.
    pub(crate) choice: String,
    /// Why; it goes into the audit log.
    #[arg(long, default_value = "")]
    pub(crate) note: String,
    /// What the form asks for: `NAME=VALUE` (may be repeated).
    #[arg(long, value_parser = field, value_name = "NAME=VALUE")]
    pub(crate) field: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Transactions {
    /// Of this kind: what processes are about, such as `purchase-order`, or a process.
    pub(crate) kind: Option<String>,
    /// In this state: pending, retrying, failed, completed or cancelled.
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// With this business key: exact.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Only those that are late.
    #[arg(long)]
    pub(crate) overdue: bool,
    /// Of this facility.
    #[arg(long)]
    pub(crate) facility: Option<String>,
    /// For which this role answers.
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// Continue below this id.
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<Id>,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) place: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Figures {
    /// Of this process.
    pub(crate) process: Option<String>,
    /// Of the processes on this board.
    #[arg(long)]
    pub(crate) board: Option<String>,
    /// Of this facility.
    #[arg(long)]
    pub(crate) facility: Option<String>,
    /// Of what ended since then: an age (7d) or a time. What is under way counts as it stands.
    #[arg(long, default_value = "30d", value_parser = super::time::moment, value_name = "WHEN")]
    pub(crate) since: wardline_core::Timestamp,
    /// One row for each facility, besides the one for all.
    #[arg(long)]
    pub(crate) by_facility: bool,
    #[command(flatten)]
    pub(crate) place: Where,
}

/// Without `--reason` nothing is done: what was compared is shown.
#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    /// What is compared: `charges`.
    pub(crate) name: Option<String>,
    /// Of this business date: 2026-11-24.
    #[arg(long, value_name = "DAY")]
    pub(crate) date: Option<String>,
    /// Of this scope, such as a facility or a run.
    #[arg(long)]
    pub(crate) scope: Option<String>,
    /// Compare now, for this reason, which the audit log keeps.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// How long to wait for both sides.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME", requires = "reason")]
    pub(crate) wait: Duration,
    /// Only what is not signed off.
    #[arg(long)]
    pub(crate) open: bool,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) place: Where,
}

/// `NAME=VALUE`.
fn field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// `NAME=JSON`, or `NAME=` and a text.
fn variable(text: &str) -> Result<(String, Value), String> {
    let (name, value) = field(text)?;
    let value = serde_json::from_str(&value).unwrap_or_else(|_| Value::from(value));
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_are_json_or_texts() {
        for (text, value) in [
            ("x=12", json!(12)),
            ("x=\"12\"", json!("12")),
            ("x=null", json!(null)),
            ("x=a=b", json!("a=b")),
            ("x=", json!("")),
        ] {
            assert_eq!(variable(text).unwrap(), ("x".to_owned(), value));
        }
        assert!(variable("x").is_err() && variable("=1").is_err());
    }
}

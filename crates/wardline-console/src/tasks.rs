//! Who sees and who answers which question. A question is put to a role, so the role decides,
//! not a policy: whoever holds it is asked, whoever does not is not, however much else they may.
//! What a question says and shows is for those who decide it; others see that it is open.

use serde_json::Value;
use wardline_access::policy::Action;
use wardline_engine::view::{TaskQuery, TaskView};
use wardline_vault::AuditEntry;

use crate::app::App;
use crate::entrance::Asked;
use crate::problem::Problem;
use crate::session::Who;

/// In a query for who has taken a question on: whoever asks.
pub const ME: &str = "me";

/// A person as the audit log has them: `anna` is `user:anna`.
pub fn person(name: &str) -> String {
    let name = name.trim();
    if name.is_empty() || name.contains(':') || name.contains(' ') {
        name.to_owned()
    } else {
        format!("user:{name}")
    }
}

/// Whether somebody holds a role; who holds the token holds all.
pub(crate) fn holds(who: &Who, role: &str) -> bool {
    match who {
        Who::Token => true,
        Who::Person(person) => person.roles.iter().any(|held| **held == *role),
    }
}

/// A question without what it says and shows, for whoever is not asked.
pub(crate) fn seen(who: &Who, mut task: TaskView) -> TaskView {
    if holds(who, &task.role) {
        return task;
    }
    task.ask = format!(
        "{} is asked at step {}; what the question says is for that role.",
        task.role, task.step
    );
    if let Value::Object(shown) = &mut task.show {
        shown.values_mut().for_each(|value| *value = Value::Null);
    } else {
        task.show = Value::Null;
    }
    task
}

impl App {
    /// Whether somebody may look at what runs.
    pub(crate) fn may_view(&self, who: &Who) -> bool {
        self.may(who, &Asked::of(Action::View))
    }

    /// A query with what is left of it for somebody; `None` where nothing can be.
    pub(crate) fn within_roles(
        &self,
        who: &Who,
        actor: &str,
        mut query: TaskQuery,
    ) -> Option<TaskQuery> {
        if query.claimed.as_deref() == Some(ME) {
            query.claimed = Some(actor.to_owned());
        }
        let Who::Person(person) = who else {
            return Some(query);
        };
        if self.may_view(who) {
            return Some(query);
        }
        if query.roles.is_empty() {
            query.roles = person.roles.iter().map(ToString::to_string).collect();
        } else {
            query.roles.retain(|role| holds(who, role));
        }
        // No role means every role, so none left must not be asked.
        (!query.roles.is_empty()).then_some(query)
    }

    /// May somebody know of a question: who is asked, and who may look at what runs.
    pub(crate) async fn permit_task(&self, who: &Who, task: &TaskView) -> Result<(), Problem> {
        if holds(who, &task.role) || self.may_view(who) {
            return Ok(());
        }
        self.refuse_task(who, "task.show", task).await
    }

    /// May somebody decide a question: only who holds the role that is asked.
    pub(crate) async fn permit_answer(&self, who: &Who, task: &TaskView) -> Result<(), Problem> {
        if holds(who, &task.role) {
            return Ok(());
        }
        self.refuse_task(who, "task.answer", task).await
    }

    /// May somebody put a question to others: who is asked, and operators.
    pub(crate) async fn permit_reassign(&self, who: &Who, task: &TaskView) -> Result<(), Problem> {
        if holds(who, &task.role) || self.may(who, &Asked::of(Action::Replay)) {
            return Ok(());
        }
        self.refuse_task(who, "task.reassign", task).await
    }

    /// Refuses; the refusal is in the audit log.
    async fn refuse_task(&self, who: &Who, act: &str, task: &TaskView) -> Result<(), Problem> {
        let Who::Person(person) = who else {
            return Ok(());
        };
        let why = format!("the role {} is asked", task.role);
        let roles: Vec<String> = person.roles.iter().map(ToString::to_string).collect();
        let entry = AuditEntry::new(person.actor(), "act.forbid", act)
            .because(why)
            .with("on", format!("task {}", task.id))
            .with("roles", roles);
        if let Err(error) = self.desk.record(&entry).await {
            tracing::error!(%error, "a refusal is not in the audit log");
        }
        Err(Problem::not_asked(&task.role, &person.roles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_named_as_the_audit_log_has_them() {
        for (given, named) in [
            ("anna", "user:anna"),
            (" anna ", "user:anna"),
            ("user:anna", "user:anna"),
            ("admin for anna", "admin for anna"),
            ("", ""),
        ] {
            assert_eq!(person(given), named);
        }
    }
}

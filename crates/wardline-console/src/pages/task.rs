//! One question: what is asked, what helps to decide, and the choices as buttons. Who may decide
//! is said by the role that is asked (`tasks.rs`).

use axum::extract::{Form as Posted, Path, State};
use axum::response::Redirect;
use maud::{Markup, html};
use std::collections::BTreeMap;
use wardline_engine::view::{Decision, TaskView};

use super::Page;
use super::marks::{Look, chip};
use super::rows::key;
use super::shell::{Fresh, Place, Shell};
use super::values::shown;
use super::words::{ago, moment};
use crate::api_processes::task_id;
use crate::app::Shared;
use crate::entrance::Asked;
use crate::guard::Visitor;
use crate::link;
use crate::plan::Form;
use crate::problem::{PageProblem, Problem};
use crate::process_desk::Reassign;
use crate::tasks::{holds, person, seen};
use wardline_access::policy::Action;

type Pairs = Vec<(String, String)>;
type Done = Result<Redirect, PageProblem>;

/// In a form: what is filled in besides the note, by its name behind this.
const FIELD: &str = "field.";

/// `GET /tasks/{id}`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Page {
    let task = app.desk.task(task_id(&id)?).await?;
    app.permit_task(&visitor.who, &task).await?;
    let task = seen(&visitor.who, task);
    let decides = holds(&visitor.who, &task.role);
    let assigns = decides || app.may(&visitor.who, &Asked::of(Action::Replay));
    let views = app.may_view(&visitor.who);
    let open = task.ended.is_none();
    let other = task
        .claimed
        .as_deref()
        .filter(|claimed| *claimed != visitor.actor);
    let content = html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/tasks" { "Tasks" } " / " span.mono { (task.id) } }
        section #live-head { (head(&task, views)) }
        div.split.task {
            div {
                @if let Some(other) = other.filter(|_| open) {
                    p.cause { strong { (other) } " has taken this on. Only they can answer, unless it is released or reassigned." }
                }
                @if open && decides && other.is_none() { (decision(&task)) }
                @if open && !decides { p.cause { "This question is for " strong { (task.role) } "." } }
                @if open && assigns { (hands(&task, decides, other.is_some())) }
            }
            (evidence(&task))
        }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Tasks,
        title: "Task",
        fresh: if open { Fresh::Poll } else { Fresh::Still },
    };
    Ok(shell.wrap(&app, content).await?)
}

fn head(task: &TaskView, views: bool) -> Markup {
    html! {
        div.head {
            h1 { (task.ask) }
            @match (&task.choice, task.ended) {
                (Some(choice), _) => (chip(Look::Done, choice)),
                (None, Some(_)) => (chip(Look::Skipped, "no longer asked")),
                (None, None) if task.overdue => (chip(Look::Held, "late")),
                (None, None) => (chip(Look::Waiting, "open")),
            }
            @if task.escalated { (chip(Look::Retrying, "escalated")) }
        }
        p.meta data-say="" {
            @match (task.ended, &task.by) {
                (Some(at), Some(by)) => { "answered by " strong { (by) } " " (moment(at)) },
                (Some(at), None) => { "ended " (moment(at)) },
                (None, _) => { "for " strong { (task.role) } @if let Some(at) = task.due { " · due " (ago(at)) } @if let Some(by) = &task.claimed { " · taken on by " (by) } },
            }
        }
        p.meta {
            "asked " (moment(task.asked)) " by "
            @if views { a href=(link::process(&task.process)) { (task.process) } } @else { (task.process) }
            " at step " span.mono { (task.step) }
            @if views { " · " a href={ "/instances/" (task.instance) } { "the whole story" } }
        }
        @if let Some(runbook) = &task.runbook { p.runbook { "Runbook: " code { (runbook) } " in the estate." } }
    }
}

/// What helps to decide.
fn evidence(task: &TaskView) -> Markup {
    html! {
        div.card {
            h2 { "To decide" }
            dl.facts {
                dt { "Key" } dd.mono { (key(task.key.as_deref())) }
                @if let Some(facility) = &task.facility { dt { "Facility" } dd { (facility) } }
                @for (name, value) in task.show.as_object().into_iter().flatten() {
                    dt { (name) } dd { (shown(value, false)) }
                }
            }
        }
    }
}

fn decision(task: &TaskView) -> Markup {
    html! {
        form.stack.decide method="post" action={ "/tasks/" (task.id) "/answer" } autocomplete="off" {
            // Enter in a field must not give the first answer: a disabled button is what it would press.
            button hidden disabled aria-hidden="true" tabindex="-1" {}
            @for (name, label) in &task.form {
                label for={ "field-" (name) } { (label) }
                input id={ "field-" (name) } name={ (FIELD) (name) } maxlength="1000";
            }
            label for="note" { "Note" }
            textarea #note name="note" rows="3" maxlength="3000" aria-describedby="note-hint" {}
            p.muted #note-hint { "Why, for whoever reads this later. It is in the audit log." }
            div.choices role="group" aria-label="Your answer" {
                @for choice in &task.choices { button.button.choice name="choice" value=(choice) { (choice) } }
            }
        }
    }
}

/// Taking on, giving back, and asking somebody else.
fn hands(task: &TaskView, decides: bool, others: bool) -> Markup {
    html! {
        div.acts.under {
            @if task.claimed.is_none() && decides {
                form method="post" action={ "/tasks/" (task.id) "/claim" } { button.button { "Take it on" } }
            }
            @if task.claimed.is_some() {
                form method="post" action={ "/tasks/" (task.id) "/release" } { button.button { @if others { "Free it again" } @else { "Give it back" } } }
            }
            details.act {
                summary.button { "Ask somebody else…" }
                form.stack.card method="post" action={ "/tasks/" (task.id) "/reassign" } autocomplete="off" {
                    label for="to-role" { "Role" }
                    input #to-role name="role" value=(task.role) spellcheck="false" autocapitalize="off";
                    label for="to-person" { "Person, where it is for one" }
                    input #to-person name="to" spellcheck="false" autocapitalize="off";
                    label for="reassign-reason" { "Reason, for the audit log" }
                    input #reassign-reason name="reason" minlength="3" maxlength="500" required;
                    button.button { "Ask them" }
                }
            }
        }
    }
}

/// `POST /tasks/{id}/claim`
pub(crate) async fn claim(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Done {
    let id = task_id(&id)?;
    let task = app.desk.task(id).await?;
    app.permit_answer(&visitor.who, &task).await?;
    app.desk.claim_task(id, &visitor.actor).await?;
    Ok(Redirect::to(&format!("/tasks/{id}")))
}

/// `POST /tasks/{id}/release`
pub(crate) async fn release(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Done {
    let id = task_id(&id)?;
    let task = app.desk.task(id).await?;
    app.permit_reassign(&visitor.who, &task).await?;
    app.desk.release_task(id, &visitor.actor).await?;
    Ok(Redirect::to(&format!("/tasks/{id}")))
}

/// `POST /tasks/{id}/reassign`
pub(crate) async fn reassign(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
    Posted(pairs): Posted<Pairs>,
) -> Done {
    let id = task_id(&id)?;
    let task = app.desk.task(id).await?;
    app.permit_reassign(&visitor.who, &task).await?;
    let form = Form(pairs);
    let reason = form.reason()?;
    let role = form.first("role").map(str::trim).map(str::to_owned);
    let change = Reassign {
        role: role.filter(|role| *role != task.role),
        to: person(form.first("to").unwrap_or_default()),
        due: None,
    };
    let task = app
        .desk
        .reassign_task(id, change, reason, &visitor.actor)
        .await?;
    // Whoever gave it away may not see it any more.
    let sees = holds(&visitor.who, &task.role) || app.may_view(&visitor.who);
    Ok(if sees {
        Redirect::to(&format!("/tasks/{id}"))
    } else {
        Redirect::to("/tasks")
    })
}

/// `POST /tasks/{id}/answer`
pub(crate) async fn answer(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
    Posted(pairs): Posted<Pairs>,
) -> Done {
    let id = task_id(&id)?;
    let task = app.desk.task(id).await?;
    app.permit_answer(&visitor.who, &task).await?;
    let filled: BTreeMap<String, String> = pairs
        .iter()
        .filter_map(|(name, value)| {
            let name = name.strip_prefix(FIELD)?;
            let value = value.trim();
            (!value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        })
        .collect();
    let form = Form(pairs);
    let Some(choice) = form.first("choice") else {
        return Err(Problem::bad_form("Choose an answer: nothing was sent.").into());
    };
    let decision = Decision {
        choice: choice.to_owned(),
        note: form
            .first("note")
            .map(str::trim)
            .unwrap_or_default()
            .to_owned(),
        form: filled,
    };
    app.desk.answer_task(id, decision, &visitor.actor).await?;
    Ok(Redirect::to(&format!("/tasks/{id}")))
}

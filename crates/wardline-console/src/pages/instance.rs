//! One instance of a process: where it stands and why, what happened, whom it called and asked,
//! what somebody can do about it. Its variables are shown to whoever gives a reason.

use axum::extract::{Form as Posted, Path, State};
use maud::{Markup, html};
use wardline_core::Timestamp;
use wardline_engine::view::{HistoryView, InstanceDetail, InstanceView, TaskView};

use super::Page;
use super::marks::{Look, chip};
use super::payload::coloured;
use super::rows::{self, empty, key, tick};
use super::shell::{Fresh, Place, Shell};
use super::values::{due, or_none, phase_chip, shown};
use super::words::{ago, moment};
use crate::api::with_purpose;
use crate::api_processes::instance_id;
use crate::app::{App, Shared};
use crate::entrance::PURPOSES;
use crate::guard::Visitor;
use crate::link;
use crate::plan::Form;

/// `GET /instances/{id}`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Page {
    let id = instance_id(&id)?;
    let detail = app
        .instance_for(&visitor.who, id, None, &visitor.actor)
        .await?;
    show(&app, &visitor, &detail, None).await
}

/// `POST /instances/{id}`: the same page with the variables, once. The answer to the form itself,
/// so that no link leads to it.
pub(crate) async fn reveal(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
    Posted(pairs): Posted<Vec<(String, String)>>,
) -> Page {
    let id = instance_id(&id)?;
    let form = Form(pairs);
    let reason = form.reason()?;
    let purpose = form.first("purpose");
    let found = app.desk.instance(id, None, &visitor.actor).await?;
    app.permit_variables(&visitor.who, &found.instance.process, purpose)
        .await?;
    let reason = with_purpose(purpose, &reason);
    let detail = app
        .instance_for(&visitor.who, id, Some(reason.clone()), &visitor.actor)
        .await?;
    show(&app, &visitor, &detail, Some(&reason)).await
}

async fn show(app: &App, visitor: &Visitor, detail: &InstanceDetail, reason: Option<&str>) -> Page {
    let one = &detail.instance;
    let all = app.desk.processes().await?;
    let process = all.iter().find(|process| process.name == one.process);
    let title = process
        .and_then(|process| process.title.as_ref())
        .unwrap_or(&one.process);
    let older =
        process.is_some_and(|process| process.declared && process.definition != one.definition);
    let content = html! {
        nav.crumbs aria-label="Breadcrumb" {
            a href="/processes" { "Processes" } " / " a href=(link::process(&one.process)) { (one.process) } " / " span.mono { (one.id) }
        }
        section #live-head { (head(detail, title)) }
        @if is_open(one) { (acts(one, older)) }
        section #live-facts { (facts(one)) }
        section #live-history aria-labelledby="history-title" {
            div.head { h2 #history-title { "What happened" } span.muted { "oldest first" } }
            (history(&detail.history))
        }
        section #live-tasks aria-labelledby="tasks-title" {
            div.head { h2 #tasks-title { "Questions" } }
            (tasks(&detail.tasks))
        }
        section #live-calls aria-labelledby="calls-title" {
            div.head { h2 #calls-title { "Calls" } span.muted { "each opens its trace" } }
            @if detail.calls.is_empty() { p.muted { "It has called nobody yet." } }
            @else { (rows::deliveries(&detail.calls, "Calls of this instance, oldest first", rows::Listing::Any)) }
        }
        (variables(visitor, detail, reason))
    };
    let shell = Shell {
        visitor,
        place: Place::Processes,
        title: &one.process,
        fresh: if is_open(one) {
            Fresh::Poll
        } else {
            Fresh::Still
        },
    };
    Ok(shell.wrap(app, content).await?)
}

fn is_open(one: &InstanceView) -> bool {
    one.ended.is_none()
}

fn head(detail: &InstanceDetail, title: &str) -> Markup {
    let one = &detail.instance;
    html! {
        div.head {
            h1 { (title) " " @if let Some(key) = &one.key { span.mono { (key) } } }
            (phase_chip(&one.phase))
            @if one.overdue { (chip(Look::Held, "late")) }
            span.muted data-say="" {
                @if let Some(status) = &one.status { (status) " · " }
                @if !one.at.is_empty() { "at " (one.at.join(", ")) " · " }
                (one.phase) " " (super::words::relative(one.since, Timestamp::now()))
            }
        }
        @if let Some(reason) = &one.reason { p.cause { strong { @if one.phase == "stuck" { "Needs somebody: " } @else { "Why: " } } (reason) } }
        @if let Some(runbook) = &detail.runbook { p.runbook { "Runbook: " code { (runbook) } " in the estate." } }
    }
}

/// What an operator can do. Each button opens a preview; what policies say no to is not shown.
fn acts(one: &InstanceView, older: bool) -> Markup {
    let stuck = one.phase == "stuck";
    let button = |act: &str, word: &str, primary: bool| {
        html! {
            form method="post" action="/intents" {
                input type="hidden" name="instance" value=(one.id);
                button.button.primary[primary] name="act" value=(act) data-replay=[(act == "retry").then_some("")] { (word) }
            }
        }
    };
    html! {
        div.acts {
            @if stuck { (button("retry", "Retry…", true)) }
            @if one.at.len() < 2 { (button("skip", "Skip this step…", false)) }
            @else { (skip_one(one)) }
            (set(one))
            @if older { (button("migrate", "Move to the present definition…", false)) }
            (button("compensate", "Undo and end…", false))
            (button("cancel", "Cancel…", false))
        }
    }
}

/// Where several steps are under way, which is passed over has to be said.
fn skip_one(one: &InstanceView) -> Markup {
    html! {
        details.act {
            summary.button { "Skip a step…" }
            form.stack.card method="post" action="/intents" {
                input type="hidden" name="instance" value=(one.id);
                label for="skip-step" { "Step" }
                select #skip-step name="step" { @for at in &one.at { option value=(at) { (at) } } }
                button.button name="act" value="skip" { "Skip it…" }
            }
        }
    }
}

fn set(one: &InstanceView) -> Markup {
    html! {
        details.act.set {
            summary.button { "Set a variable…" }
            form.stack.card method="post" action="/intents" autocomplete="off" {
                input type="hidden" name="instance" value=(one.id);
                label for="set-name" { "Variable" }
                input #set-name name="name" required pattern="[A-Za-z0-9_\\-]+" spellcheck="false";
                label for="set-value" { "Value" }
                input #set-value name="value" spellcheck="false" aria-describedby="set-hint";
                p.muted #set-hint { (tick("JSON, or else a text. `null` removes it.")) }
                button.button name="act" value="set" { "Set it…" }
            }
        }
    }
}

fn facts(one: &InstanceView) -> Markup {
    html! {
        h2.hush { "Facts" }
        dl.figures {
            div { dt { "Key" } dd.mono { (key(one.key.as_deref().or(Some("••••")))) } }
            div { dt { "Status" } dd { (or_none(one.status.as_deref())) } }
            div { dt { "Due" } dd { (due(one.due, one.overdue)) } }
            div { dt { "Owner" } dd { (or_none(one.owner.as_deref())) } }
            div { dt { "Facility" } dd { (or_none(one.facility.as_deref())) } }
            @for (name, value) in &one.show {
                div { dt { (name) } dd { (shown(value, one.hidden.contains(name))) } }
            }
        }
        p.meta {
            "began " (moment(one.began)) " · last step " (ago(one.advanced))
            @if let Some(ended) = one.ended { " · ended " (moment(ended)) }
            " · definition " span.mono { (one.definition) }
        }
    }
}

fn history(lines: &[HistoryView]) -> Markup {
    html! {
        @if lines.is_empty() { (empty("Nothing yet", "Each step that begins, waits, fails or is done leaves a line here.", None)) }
        @else {
            ol.story {
                @for line in lines {
                    li class=(class(&line.what)) {
                        span.when { (moment(line.at)) }
                        span.did {
                            strong { (line.what) }
                            @if !line.step.is_empty() { " " span.mono { (line.step) } }
                            @if !line.text.is_empty() { span.sub { (line.text) } }
                        }
                    }
                }
            }
        }
    }
}

/// The colour of a line; the word says the same.
fn class(what: &str) -> &'static str {
    match what {
        "done" | "completed" | "answered" | "undone" => "done",
        "failed" | "refused" | "timed out" | "not undone" | "deadline" => "failed",
        "waiting" | "asked" | "escalated" => "waiting",
        "skipped" | "passed" => "skipped",
        _ => "plain",
    }
}

fn tasks(all: &[TaskView]) -> Markup {
    html! {
        @if all.is_empty() { p.muted { "It has asked nobody." } }
        @else {
            ul.questions { @for task in all { li {
                a.name href={ "/tasks/" (task.id) } { (task.ask) }
                span.sub {
                    (task.role) " · asked " (ago(task.asked))
                    @match (&task.choice, task.ended) {
                        (Some(choice), _) => { " · " strong { (choice) } @if let Some(by) = &task.by { " by " (by) } },
                        (None, Some(_)) => " · no longer asked",
                        (None, None) => { @if let Some(by) = &task.claimed { " · taken on by " (by) } " · due " (due(task.due, task.overdue)) },
                    }
                }
            } } }
        }
    }
}

fn variables(visitor: &Visitor, detail: &InstanceDetail, reason: Option<&str>) -> Markup {
    html! {
        section.card.payload #variables aria-labelledby="variables-title" {
            div.head { h2 #variables-title { "Variables" } }
            @match (&detail.vars, reason) {
                (Some(vars), Some(reason)) => {
                    @let text = serde_json::to_string_pretty(vars).unwrap_or_default();
                    p.watermark {
                        "Revealed to " strong { (visitor.actor) } " at " (moment(Timestamp::now())) ": " (reason)
                        " · in the audit log · gone when you leave this page"
                    }
                    pre.code tabindex="0" aria-label="Variables" { (coloured(&text)) }
                },
                _ => {
                    p.muted { "What the instance knows may hold data of people, so it is shown to whoever says why." }
                    (reveal_form(detail))
                },
            }
        }
    }
}

fn reveal_form(detail: &InstanceDetail) -> Markup {
    html! {
        details.reveal {
            summary.button { "Reveal…" }
            form.stack method="post" action={ "/instances/" (detail.instance.id) "#variables" } {
                p { "The variables become readable on this page, once. The audit log gets an entry with your name, the time, this instance and your reason." }
                label for="reveal-purpose" { "Purpose" }
                select #reveal-purpose name="purpose" { @for (code, what) in PURPOSES { option value=(code) { (what) } } }
                label for="reveal-reason" { "Reason" }
                input #reveal-reason name="reason" minlength="3" maxlength="500" autocomplete="off" required placeholder="INC-2231: why does the match fail";
                button.button.primary { "Reveal the variables" }
            }
        }
    }
}

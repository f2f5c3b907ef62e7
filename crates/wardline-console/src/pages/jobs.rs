//! Bulk jobs: how far each run came, how fast, until when; and the acts on them.

use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;
use wardline_access::policy::Action;
use wardline_engine::view::{JobAct, JobRunView, JobView};

use super::Page;
use super::rows::empty;
use super::shell::{Fresh, Place, Shell};
use super::values::{or_none, state_chip};
use super::words::{age, ago, count, moment, number};
use crate::app::Shared;
use crate::entrance::Asked;
use crate::guard::Visitor;
use crate::problem::PageProblem;

/// `GET /jobs`
pub(crate) async fn page(State(app): State<Shared>, visitor: Visitor) -> Page {
    let all = app.desk.jobs().await?;
    let acts = app.may(&visitor.who, &Asked::of(Action::Replay));
    let of = |state: &str| all.iter().filter(|job| job.state == state).count() as u64;
    let content = html! {
        div.head {
            h1 { "Jobs" }
            span.muted data-say="" {
                (count(of("running"), "job runs", "jobs run"))
                @if of("failed") > 0 { " · " (count(of("failed"), "failed", "failed")) }
            }
        }
        @if all.is_empty() {
            (empty("No job yet", "A job moves much from one place to another, piece by piece: `jobs/*.yaml`.", Some("wardline schema job")))
        } @else {
            table.grid {
                caption.hush { "Bulk jobs and their newest runs" }
                thead { tr {
                    th scope="col" { "Job" }
                    th scope="col" { "Owner" }
                    th scope="col" { "State" }
                    th.num scope="col" { "Read" }
                    th.num scope="col" { "Refused" }
                    th.num scope="col" { "A second" }
                    th scope="col" { "Ends in" }
                    th scope="col" { "Begun" }
                    @if acts { th scope="col" { "Decide" } }
                } }
                tbody { @for job in &all { (row(job, acts)) } }
            }
        }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Jobs,
        title: "Jobs",
        fresh: Fresh::Poll,
    };
    Ok(shell.wrap(&app, content).await?)
}

fn row(job: &JobView, acts: bool) -> Markup {
    let run = job.runs.first();
    html! {
        tr data-row="" {
            th scope="row" data-label="Job" {
                @match &job.title { Some(title) => (title), None => (job.name) }
                span.sub { span.mono { (job.name) } " · " (job.reads) " → " (job.writes)
                    @if let Some(next) = job.next { " · next " (moment(next)) }
                }
            }
            td data-label="Owner" { (or_none(job.owner.as_deref())) }
            td data-label="State" {
                (state_chip(&job.state))
                @if let Some(waits) = &job.waits { span.sub { "waits: " (waits) } }
                @if let Some(problem) = run.and_then(|run| run.problem.as_ref()) { span.sub { (problem) } }
            }
            @match run {
                None => { td.num data-label="Read" { "—" } td.num data-label="Refused" { "—" } td.num data-label="A second" { "—" } td data-label="Ends in" { "—" } td data-label="Begun" { "—" } }
                Some(run) => (figures(run)),
            }
            @if acts { td data-label="Decide" { @for act in fitting(&job.state) { (button(job, *act)) } } }
        }
    }
}

fn figures(run: &JobRunView) -> Markup {
    html! {
        td.num data-label="Read" { (number(run.read)) @if let Some(total) = run.total { " of " (number(total)) } }
        td.num data-label="Refused" { (number(run.refused)) }
        td.num data-label="A second" { (number(run.rate.round() as u64)) }
        td data-label="Ends in" { @match run.eta_s { Some(seconds) => (age(seconds * 1_000)), None => "—" } }
        td data-label="Begun" { (ago(run.began)) span.sub { "by " (run.by) } }
    }
}

/// What may be done with a job that stands like this.
fn fitting(state: &str) -> &'static [JobAct] {
    match state {
        "running" => &[JobAct::Pause, JobAct::Cancel],
        "paused" => &[JobAct::Resume, JobAct::Cancel],
        "failed" => &[JobAct::Resume, JobAct::Run, JobAct::Cancel],
        _ => &[JobAct::Run],
    }
}

fn button(job: &JobView, act: JobAct) -> Markup {
    let word = match act {
        JobAct::Run => "Run…",
        JobAct::Pause => "Pause…",
        JobAct::Resume => "Resume…",
        JobAct::Cancel => "Cancel…",
    };
    let id = format!("why-{}-{}", job.name, act.as_str());
    html! {
        details.act {
            summary.button { (word) }
            form.stack.card method="post" action="/jobs" autocomplete="off" {
                input type="hidden" name="name" value=(job.name);
                input type="hidden" name="act" value=(act.as_str());
                label for=(id) { "Reason, for the audit log" }
                input id=(id) name="reason" minlength="3" maxlength="500" required;
                button.button { (word.trim_end_matches('…')) }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Decided {
    name: String,
    act: JobAct,
    #[serde(default)]
    reason: String,
}

/// `POST /jobs`
pub(crate) async fn act(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(decided): Form<Decided>,
) -> Result<Redirect, PageProblem> {
    let Decided { name, act, reason } = decided;
    app.desk
        .act_on_job(&name, act, reason, &visitor.actor)
        .await?;
    Ok(Redirect::to("/jobs"))
}

//! The page between wanting an act on an instance and doing it: what it means, where the instance
//! stands, a reason, and a button that says what it does.

use axum::extract::{Form as Posted, Path, State};
use axum::response::Redirect;
use maud::{Markup, html};
use std::time::Duration;
use wardline_engine::view::{InstanceView, ProcessAct};

use super::Page;
use super::marks::{Look, chip};
use super::rows::{key, tick};
use super::shell::{Fresh, Place, Shell};
use super::values::{or_none, phase_chip, plain};
use super::words::moment;
use crate::api_processes::action;
use crate::app::Shared;
use crate::entrance::Asked;
use crate::guard::Visitor;
use crate::intent::{Intent, Stage, effect, verb};
use crate::plan::Form;
use crate::problem::{PageProblem, Problem};
use crate::shelf::random_name;

/// How long the browser waits for an act before it is shown that it is under way.
const AWAITED: Duration = Duration::from_secs(2);

type Pairs = Vec<(String, String)>;

/// `POST /intents`: remembers, changes nothing.
pub(crate) async fn make(
    State(app): State<Shared>,
    visitor: Visitor,
    Posted(pairs): Posted<Pairs>,
) -> Result<Redirect, PageProblem> {
    let form = Form(pairs);
    let intent = Intent::make(&app, visitor.session.clone(), &visitor.actor, &form).await?;
    permit(&app, &visitor, &intent).await?;
    let name = random_name(16)?;
    let to = format!("/intents/{name}");
    app.intents.put(name, intent);
    Ok(Redirect::to(&to))
}

async fn permit(app: &Shared, visitor: &Visitor, intent: &Intent) -> Result<(), Problem> {
    app.permit(&visitor.who, &Asked::of(action(&intent.act)))
        .await
}

fn own(app: &Shared, visitor: &Visitor, name: &str) -> Result<Intent, Problem> {
    app.intents
        .get(name)
        .filter(|intent| intent.session == visitor.session)
        .ok_or_else(|| Problem::expired("preview"))
}

/// `GET /intents/{id}`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Page {
    let intent = own(&app, &visitor, &name)?;
    let verb = verb(&intent.act);
    let back = format!("/instances/{}", intent.id);
    let content = match &intent.stage {
        Stage::Ready => preview(&intent, &name),
        Stage::Running => html! {
            h1 { (verb) " is under way" }
            p { a.button href={ "/intents/" (name) } { "Look again" } }
        },
        Stage::Done(now) => html! {
            div.narrow {
                p { (chip(Look::Done, "done")) }
                h1 { (verb) ": done" }
                p { "The instance is now " (phase_chip(&now.phase)) @if !now.at.is_empty() { " at " span.mono { (now.at.join(", ")) } } "." }
                @if let Some(reason) = &now.reason { p { (reason) } }
                p.muted { "There is an entry in the audit log with your name and reason." }
                div.acts { a.button.primary href=(back) { "Back to the instance" } a.button href="/processes" { "Processes" } }
            }
        },
        Stage::Failed(problem) => html! {
            div.narrow {
                h1 { (verb) " did not work" }
                p { span.mono { (problem.code) } " " (problem.text) }
                @if let Some(help) = &problem.help { p.muted { (help) } }
                div.acts { a.button href=(back) { "Back to the instance" } }
            }
        },
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Processes,
        title: verb,
        fresh: if matches!(intent.stage, Stage::Running) {
            Fresh::Poll
        } else {
            Fresh::Still
        },
    };
    Ok(shell.wrap(&app, content).await?)
}

fn preview(intent: &Intent, name: &str) -> Markup {
    let (act, one) = (&intent.act, &intent.seen);
    let back = format!("/instances/{}", intent.id);
    let ends = matches!(act, ProcessAct::Cancel | ProcessAct::Compensate);
    html! {
        nav.crumbs aria-label="Breadcrumb" {
            a href="/processes" { "Processes" } " / " a href=(back) { (one.process) " " span.mono { (one.id) } } " / " (verb(act))
        }
        div.head {
            h1 { (verb(act)) " " (what(act)) "?" }
            span.muted { "As of " (moment(intent.made)) "; nothing has been done" }
        }
        p.lead { (tick(effect(act))) }
        div.split {
            section aria-labelledby="touched" {
                h2 #touched { "What is touched" }
                (facts(one))
                @if let ProcessAct::Set { vars } = act {
                    h3 { "From now on" }
                    dl.facts { @for (name, value) in vars { dt.mono { (name) } dd.mono { @if value.is_null() { "is removed" } @else { (plain(value)) } } } }
                }
            }
            div.card.confirm {
                form.stack method="post" action={ "/intents/" (name) } {
                    label for="reason" { "Reason, for the audit log" }
                    input #reason name="reason" minlength="3" maxlength="500" autocomplete="off" required placeholder="INC-2231: the supplier is back";
                    button.button.primary.danger[ends] { (verb(act)) " " (what(act)) }
                    a.quiet-link href=(back) { "Leave everything as it is" }
                }
            }
        }
    }
}

/// On what, in a word or two.
fn what(act: &ProcessAct) -> String {
    match act {
        ProcessAct::Retry { step: Some(step) } | ProcessAct::Skip { step: Some(step) } => {
            step.clone()
        }
        ProcessAct::Retry { .. } => "what failed".to_owned(),
        ProcessAct::Skip { .. } => "this step".to_owned(),
        ProcessAct::Set { vars } => vars.keys().cloned().collect::<Vec<_>>().join(", "),
        ProcessAct::Cancel | ProcessAct::Compensate => "this instance".to_owned(),
        ProcessAct::Migrate => "to the present definition".to_owned(),
    }
}

fn facts(one: &InstanceView) -> Markup {
    html! {
        dl.facts {
            dt { "Process" } dd { (one.process) }
            dt { "Key" } dd.mono { (key(one.key.as_deref().or(Some("••••")))) }
            dt { "Stands" } dd { (phase_chip(&one.phase)) }
            dt { "At" } dd { @if one.at.is_empty() { span.zero { "—" } } @else { span.mono { (one.at.join(", ")) } } }
            dt { "Status" } dd { (or_none(one.status.as_deref())) }
            @if let Some(reason) = &one.reason { dt { "Why" } dd { (reason) } }
        }
    }
}

/// `POST /intents/{id}`: does it, once.
pub(crate) async fn confirm(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(name): Path<String>,
    Posted(pairs): Posted<Pairs>,
) -> Result<Redirect, PageProblem> {
    let intent = own(&app, &visitor, &name)?;
    if !intent.is_fresh() && matches!(intent.stage, Stage::Ready) {
        return Err(Problem::expired("preview").into());
    }
    permit(&app, &visitor, &intent).await?;
    let reason = Form(pairs).reason()?;
    // Two clicks are one act: only who turns `Ready` into `Running` carries it out.
    let mine = app.intents.change(&name, |intent| {
        let ready = matches!(intent.stage, Stage::Ready);
        if ready {
            intent.stage = Stage::Running;
        }
        ready
    });
    let to = format!("/intents/{name}");
    if mine != Some(true) {
        return Ok(Redirect::to(&to));
    }
    // Apart from this request: a browser that hangs up must not stop an act half-way.
    let act = app.acts.spawn({
        let app = app.clone();
        async move {
            let stage = intent.carry_out(&app, reason, &visitor.actor).await;
            app.intents.change(&name, |intent| intent.stage = stage);
        }
    });
    if let Ok(Err(failed)) = tokio::time::timeout(AWAITED, act).await {
        tracing::error!(%failed, "an act did not come to its end");
    }
    Ok(Redirect::to(&to))
}

//! The page between wanting an act and doing it: how many, to where, what of it was there
//! before, how long it takes; then a reason, and a button that says what it does.

use axum::extract::{Form as Posted, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use std::time::Duration;

use super::rows;
use super::shell::{Fresh, Place, Shell};
use super::words::{count, moment, number};
use super::{Page, marks};
use crate::app::Shared;
use crate::guard::Visitor;
use crate::plan::{Act, Form, Plan, Stage, TYPED_FROM};
use crate::problem::{PageProblem, Problem};
use crate::shelf::random_name;

/// How long the browser waits for an act before it is shown that it is under way.
const AWAITED: Duration = Duration::from_secs(2);

type Pairs = Vec<(String, String)>;

/// `POST /plans`: counts, changes nothing.
pub(crate) async fn make(
    State(app): State<Shared>,
    visitor: Visitor,
    Posted(pairs): Posted<Pairs>,
) -> Result<Response, PageProblem> {
    let form = Form(pairs);
    let plan = match form.first("plan") {
        // Other options for a plan that is already there: count again.
        Some(name) => {
            let old = own(&app, &visitor, name)?;
            Plan::make_again(&app, old, &visitor.actor, &form).await?
        }
        None => Plan::make(&app, visitor.session.clone(), &visitor.actor, &form).await?,
    };
    permit(&app, &visitor, &plan).await?;
    let name = random_name(16)?;
    let to = format!("/plans/{name}");
    app.plans.put(name, plan);
    Ok(Redirect::to(&to).into_response())
}

async fn permit(app: &Shared, visitor: &Visitor, plan: &Plan) -> Result<(), Problem> {
    let flow = plan.select.flow.as_deref();
    app.permit_on(&visitor.who, plan.act.action(), flow).await
}

fn own(app: &Shared, visitor: &Visitor, name: &str) -> Result<Plan, Problem> {
    app.plans
        .get(name)
        .filter(|plan| plan.session == visitor.session)
        .ok_or_else(|| Problem::expired("preview"))
}

/// `GET /plans/{id}`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Page {
    let plan = own(&app, &visitor, &name)?;
    let content = match &plan.stage {
        Stage::Ready => preview(&plan, &name),
        Stage::Running => html! {
            h1 { (plan.act.verb()) " is under way" }
            p { "It paces itself so that today’s work goes first. This page shows the outcome when it is done." }
            p { a.button href={ "/plans/" (name) } { "Look again" } }
        },
        Stage::Replayed(report) => outcome(
            &plan,
            &html! {
                @if report.created > 0 || report.released == 0 { p { strong { (count(report.created, "new delivery", "new deliveries")) } " made." } }
                @if report.released > 0 { p { strong { (count(report.released, "open delivery", "open deliveries")) } " released: tried now rather than repeated." } }
                p.muted { "They leave in the bulk lane, behind today’s work" @if report.seconds > 0 { ", in about " (super::words::age(report.seconds * 1_000)) } "." }
            },
        ),
        Stage::Changed(touched) => outcome(
            &plan,
            &html! { p { strong { (count(*touched, "delivery", "deliveries")) } " changed." } },
        ),
        Stage::Failed(problem) => html! {
            h1 { (plan.act.verb()) " did not work" }
            p { span.mono { (problem.code) } " " (problem.text) }
            @if let Some(help) = &problem.help { p.muted { (help) } }
            p { a.button href="/dead" { "Back to dead letters" } }
        },
    };
    let fresh = if matches!(plan.stage, Stage::Running) {
        Fresh::Poll
    } else {
        Fresh::Still
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Dead,
        title: plan.act.verb(),
        fresh,
    };
    Ok(shell.wrap(&app, content).await?)
}

fn outcome(plan: &Plan, what: &Markup) -> Markup {
    html! {
        div.narrow {
            p { (marks::chip(marks::Look::Done, "done")) }
            h1 { (plan.act.verb()) ": done" }
            (what)
            p.muted { "There is an entry in the audit log with your name and reason." }
            div.acts {
                a.button.primary href="/dead" { "Dead letters" }
                a.button href="/audit" { "Audit log" }
            }
        }
    }
}

fn preview(plan: &Plan, name: &str) -> Markup {
    let selected = plan.counts.selected;
    let verb = plan.act.verb();
    html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/dead" { "Dead letters" } " / " (verb) }
        div.head {
            h1 { (verb) " " (count(selected, "delivery", "deliveries")) "?" }
            span.muted { "Preview of " (moment(plan.made)) "; nothing has been done" }
        }
        p.lead { (plan.act.effect()) }
        @if selected == 0 {
            (rows::empty("Nothing to do", "No delivery matches any more: perhaps somebody else was faster.", None))
        } @else {
            div.split {
                section aria-labelledby="touched" {
                    h2 #touched { "What is touched" }
                    (destinations(plan))
                    @if !plan.rows.is_empty() {
                        h3 { @if (plan.rows.len() as u64) < selected { "The newest " (plan.rows.len()) } @else { "All of them" } }
                        (rows::deliveries(&plan.rows, "Deliveries that would be touched", rows::Listing::Any))
                    }
                }
                div.card.confirm { (options(plan, name)) (confirmation(plan, name)) }
            }
        }
    }
}

fn destinations(plan: &Plan) -> Markup {
    html! {
        table.grid.slim {
            caption.hush { "Per destination" }
            thead { tr {
                th scope="col" { "Destination" }
                th.num scope="col" { "Deliveries" }
                th.num scope="col" { "Delivered before" }
            } }
            tbody { @for row in &plan.counts.destinations { tr {
                th scope="row" data-label="Destination" { (row.destination) }
                td.num data-label="Deliveries" { (number(row.count)) }
                td.num data-label="Delivered before" {
                    @if row.delivered_before == 0 { span.zero { "0" } }
                    @else { strong.failed-text { (number(row.delivered_before)) " would arrive twice" } }
                }
            } } }
        }
        @if plan.counts.released > 0 {
            p.muted { (count(plan.counts.released, "open delivery is", "open deliveries are")) " released (tried now) rather than repeated." }
        }
    }
}

fn options(plan: &Plan, name: &str) -> Markup {
    let Act::Replay { from_raw, rate } = plan.act else {
        return html! {};
    };
    html! {
        form.stack method="post" action="/plans" {
            input type="hidden" name="plan" value=(name);
            input type="hidden" name="act" value="replay";
            fieldset {
                legend { "Start at" }
                label.check { input type="radio" name="from_raw" value="no" checked[!from_raw]; " the bodies, as they were" }
                label.check { input type="radio" name="from_raw" value="yes" checked[from_raw]; " the received message, through today’s flows" }
            }
            label for="rate" { "At most per second" }
            input #rate name="rate" type="number" min="1" max="10000" value=(rate);
            button.button { "Preview again" }
            p.muted { "About " (super::words::age(plan.counts.seconds.max(1) * 1_000)) " at this rate, in the bulk lane." }
        }
    }
}

fn confirmation(plan: &Plan, name: &str) -> Markup {
    let selected = plan.counts.selected;
    html! {
        form.stack method="post" action={ "/plans/" (name) } {
            @if selected >= TYPED_FROM {
                label for="count" { "Type " strong { (selected) } " to confirm the number" }
                input #count name="count" inputmode="numeric" autocomplete="off" required;
            }
            label for="reason" { "Reason, for the audit log" }
            input #reason name="reason" minlength="3" maxlength="500" autocomplete="off" required placeholder="INC-2231: billing is back";
            button.button.primary.danger[matches!(plan.act, Act::Cancel | Act::Park)] {
                (plan.act.verb()) " " (count(selected, "delivery", "deliveries"))
            }
            a.quiet-link href="/dead" { "Leave everything as it is" }
        }
    }
}

/// `POST /plans/{id}`: does it, once.
pub(crate) async fn confirm(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(name): Path<String>,
    Posted(pairs): Posted<Pairs>,
) -> Result<Redirect, PageProblem> {
    let plan = own(&app, &visitor, &name)?;
    if !plan.is_fresh() && matches!(plan.stage, Stage::Ready) {
        return Err(Problem::expired("preview").into());
    }
    permit(&app, &visitor, &plan).await?;
    let reason = plan.check(&Form(pairs))?;
    // Two clicks are one act: only who turns `Ready` into `Running` carries it out.
    let mine = app.plans.change(&name, |plan| {
        let ready = matches!(plan.stage, Stage::Ready);
        if ready {
            plan.stage = Stage::Running;
        }
        ready
    });
    let to = format!("/plans/{name}");
    if mine != Some(true) {
        return Ok(Redirect::to(&to));
    }
    // Apart from this request: a browser that hangs up must not stop an act half-way.
    let act = app.acts.spawn({
        let app = app.clone();
        async move {
            let stage = plan.carry_out(&app, reason, &visitor.actor).await;
            app.plans.change(&name, |plan| plan.stage = stage);
        }
    });
    // A replay paces itself and may take minutes; a short one is awaited so that its outcome
    // is the next thing seen.
    if let Ok(Err(failed)) = tokio::time::timeout(AWAITED, act).await {
        tracing::error!(%failed, "an act did not come to its end");
    }
    Ok(Redirect::to(&to))
}

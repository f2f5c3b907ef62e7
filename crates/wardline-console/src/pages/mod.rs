//! The pages. One module a page; `shell` is what is around them, `words` how numbers and
//! times are written, `marks` the small drawings.

pub(crate) mod audit;
pub(crate) mod boards;
pub(crate) mod callers;
pub(crate) mod dead;
pub(crate) mod destination;
pub(crate) mod enrol;
pub(crate) mod instance;
pub(crate) mod intent;
pub(crate) mod jobs;
pub(crate) mod login;
pub(crate) mod marks;
pub(crate) mod messages;
pub(crate) mod overview;
pub(crate) mod payload;
pub(crate) mod plan;
pub(crate) mod process;
pub(crate) mod processes;
pub(crate) mod reconciliations;
pub(crate) mod resubmit;
pub(crate) mod rows;
pub(crate) mod shell;
pub(crate) mod task;
pub(crate) mod tasks;
pub(crate) mod trace;
pub(crate) mod transactions;
pub(crate) mod values;
pub(crate) mod words;

use axum::Router;
use axum::routing::{get, post};
use maud::{Markup, html};

use crate::app::Shared;
use crate::problem::{PageProblem, Problem};

/// What every page handler returns.
pub(crate) type Page = Result<Markup, PageProblem>;

/// The addresses of the pages about processes.
pub(crate) fn processes() -> Router<Shared> {
    Router::new()
        .route("/processes", get(processes::page))
        .route(
            "/processes/{name}",
            get(process::page).post(process::search),
        )
        .route(
            "/instances/{id}",
            get(instance::page).post(instance::reveal),
        )
        .route("/jobs", get(jobs::page).post(jobs::act))
        .route("/intents", post(intent::make))
        .route("/intents/{id}", get(intent::page).post(intent::confirm))
        .route("/tasks", get(tasks::page))
        .route("/tasks/{id}", get(task::page))
        .route("/tasks/{id}/claim", post(task::claim))
        .route("/tasks/{id}/release", post(task::release))
        .route("/tasks/{id}/reassign", post(task::reassign))
        .route("/tasks/{id}/answer", post(task::answer))
        .route(
            "/transactions",
            get(transactions::page).post(transactions::search),
        )
        .route("/boards", get(boards::page))
        .route("/reconciliations", get(reconciliations::page))
        .route("/reconciliations/{id}", get(reconciliations::one))
}

/// A problem as a page: what happened, what to do.
pub(crate) fn problem_page(problem: &Problem) -> Markup {
    shell::bare(
        problem.title,
        html! {
            p.code { (problem.status.as_u16()) " · " (problem.code) }
            h1 { (problem.title) }
            p { (rows::tick(&problem.text)) }
            @if let Some(help) = &problem.help { p.muted { (rows::tick(help)) } }
            p { a.button href="/" { "Go to the overview" } }
        },
    )
}

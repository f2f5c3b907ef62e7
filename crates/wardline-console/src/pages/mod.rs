//! The pages. One module a page; `shell` is what is around them, `words` how numbers and
//! times are written, `marks` the small drawings.

pub(crate) mod audit;
pub(crate) mod callers;
pub(crate) mod dead;
pub(crate) mod destination;
pub(crate) mod enrol;
pub(crate) mod login;
pub(crate) mod marks;
pub(crate) mod messages;
pub(crate) mod overview;
pub(crate) mod payload;
pub(crate) mod plan;
pub(crate) mod resubmit;
pub(crate) mod rows;
pub(crate) mod shell;
pub(crate) mod trace;
pub(crate) mod words;

use maud::{Markup, html};

use crate::problem::{PageProblem, Problem};

/// What every page handler returns.
pub(crate) type Page = Result<Markup, PageProblem>;

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

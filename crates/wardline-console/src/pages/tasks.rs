//! Questions to people: those of the reader's roles first, and of them the late ones.

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use wardline_engine::view::{PageView, TaskQuery, TaskView};

use super::Page;
use super::process::before;
use super::rows::{empty, key};
use super::shell::{Fresh, Place, Shell};
use super::values::{due, or_none};
use super::words::{ago, count};
use crate::app::{App, Shared};
use crate::guard::Visitor;
use crate::link;
use crate::problem::Problem;
use crate::session::Who;
use crate::tasks::{ME, seen};

const ROWS: usize = 200;

#[derive(Deserialize)]
pub(crate) struct Asked {
    show: Option<String>,
    process: Option<String>,
    before: Option<String>,
}

/// Which questions a page lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Of the reader's roles, open.
    Roles,
    /// Taken on by the reader, open.
    Mine,
    /// Of the reader's roles, late.
    Late,
    /// Of anybody, open.
    All,
    /// Of the reader's roles, over.
    Ended,
}

impl Which {
    const EVERY: [(Self, &'static str, &'static str); 5] = [
        (Self::Roles, "roles", "For your roles"),
        (Self::Mine, "mine", "Taken on by you"),
        (Self::Late, "late", "Late"),
        (Self::All, "all", "Everybody’s"),
        (Self::Ended, "ended", "Answered"),
    ];

    fn of(word: Option<&str>) -> Self {
        Self::EVERY
            .into_iter()
            .find(|(_, known, _)| Some(*known) == word)
            .map_or(Self::Roles, |(which, ..)| which)
    }

    fn query(self, who: &Who) -> TaskQuery {
        let roles = match who {
            Who::Person(person) if !matches!(self, Self::All | Self::Mine) => {
                person.roles.iter().map(ToString::to_string).collect()
            }
            _ => Vec::new(),
        };
        TaskQuery {
            roles,
            claimed: (self == Self::Mine).then(|| ME.to_owned()),
            open: Some(self != Self::Ended),
            overdue: self == Self::Late,
            limit: ROWS,
            ..TaskQuery::default()
        }
    }
}

/// `GET /tasks?show=…`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Page {
    let which = Which::of(asked.show.as_deref());
    let query = TaskQuery {
        process: asked.process.clone(),
        before: before(asked.before.as_deref())?,
        ..which.query(&visitor.who)
    };
    let mut found = list(&app, &visitor, query).await?;
    if which != Which::Ended {
        // Late ones first, then those that will be next.
        found.rows.sort_by_key(|task| {
            let due = task.due.map_or(i64::MAX, |due| due.0);
            (!task.overdue, due, task.id)
        });
    }
    let late = found.rows.iter().filter(|task| task.overdue).count() as u64;
    let views = app.may_view(&visitor.who);
    let next = found.next.map(|next| next.to_string());
    let more = link::with(
        "/tasks",
        &[
            ("show", asked.show.as_deref()),
            ("process", asked.process.as_deref()),
            ("before", next.as_deref()),
        ],
    );
    let content = html! {
        div.head {
            h1 { "Tasks" }
            span.muted data-say="" {
                (count(found.rows.len() as u64, "question", "questions"))
                @if next.is_some() { " on this page" }
                @if late > 0 { ", " span.held-text { (late) " late" } }
            }
        }
        nav.pills aria-label="Which questions" {
            @for (one, word, title) in Which::EVERY {
                // The holder of the token has no roles: everybody's questions are theirs.
                @if one != Which::All || (views && matches!(visitor.who, Who::Person(_))) {
                    a href=(link::with("/tasks", &[("show", Some(word)), ("process", asked.process.as_deref())]))
                        aria-current=[(one == which).then_some("true")] {
                        @if one == Which::Roles && matches!(visitor.who, Who::Token) { "Open" } @else { (title) }
                    }
                }
            }
        }
        @if found.rows.is_empty() {
            (empty("Nothing is asked", "A process asks here what only people can decide: a variance to approve, an answer that is missing.", None))
        } @else { (table(&found, which)) }
        @if next.is_some() { p.more { a.button href=(more) rel="next" { "Earlier questions" } } }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Tasks,
        title: "Tasks",
        fresh: if asked.before.is_some() {
            Fresh::Still
        } else {
            Fresh::Poll
        },
    };
    Ok(shell.wrap(&app, content).await?)
}

async fn list(
    app: &App,
    visitor: &Visitor,
    query: TaskQuery,
) -> Result<PageView<TaskView>, Problem> {
    let Some(query) = app.within_roles(&visitor.who, &visitor.actor, query) else {
        return Ok(PageView {
            rows: Vec::new(),
            scanned: 0,
            next: None,
        });
    };
    let mut page = app.desk.tasks(query).await?;
    let rows = page.rows.into_iter();
    page.rows = rows.map(|task| seen(&visitor.who, task)).collect();
    Ok(page)
}

fn table(found: &PageView<TaskView>, which: Which) -> Markup {
    let ended = which == Which::Ended;
    html! {
        table.grid {
            caption.hush { @if ended { "Answered questions, newest first" } @else { "Open questions, late ones first" } }
            thead { tr {
                th scope="col" { "Question" }
                th scope="col" { "Role" }
                th scope="col" { "Key" }
                th scope="col" { "Asked" }
                @if ended { th scope="col" { "Answer" } th scope="col" { "By" } }
                @else { th scope="col" { "Due" } th scope="col" { "Taken on by" } }
            } }
            tbody { @for task in &found.rows { tr data-row="" {
                th scope="row" data-label="Question" {
                    a.name href={ "/tasks/" (task.id) } { (task.ask) }
                    span.sub { (task.process) " · " (task.step) @if task.escalated { " · escalated" } @if let Some(facility) = &task.facility { " · " (facility) } }
                }
                td data-label="Role" { (task.role) }
                td.mono data-label="Key" { (key(task.key.as_deref())) }
                td data-label="Asked" { (ago(task.asked)) }
                @if ended {
                    td data-label="Answer" { @match &task.choice { Some(choice) => strong { (choice) }, None => span.zero { "no longer asked" } } }
                    td data-label="By" { (or_none(task.by.as_deref())) }
                } @else {
                    td data-label="Due" { div { (due(task.due, task.overdue)) } }
                    td data-label="Taken on by" { (or_none(task.claimed.as_deref())) }
                }
            } } }
        }
    }
}

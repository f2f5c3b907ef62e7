//! One process and its instances. A business key is typed into a box and posted; the answer is an
//! opaque link, as for messages.

use axum::extract::{Form, Path, Query, State};
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;
use wardline_core::Id;
use wardline_engine::view::{InstanceQuery, InstanceView, ProcessView};

use super::Page;
use super::processes::phase;
use super::rows::{empty, key};
use super::shell::{Fresh, Place, Shell};
use super::values::{due, or_none, phase_chip, shown};
use super::words::{ago, count, number};
use crate::app::{App, SavedSearch, Shared};
use crate::guard::Visitor;
use crate::link;
use crate::problem::{PageProblem, Problem};
use crate::shelf::random_name;

const ROWS: usize = 100;
/// What may be asked for, with its word. The first is what a page begins with.
const PHASES: [(&str, &str); 7] = [
    ("open", "Open"),
    ("running", "Running"),
    ("asking", "Asking"),
    ("stuck", "Stuck"),
    ("completed", "Completed"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
];

#[derive(Deserialize)]
pub(crate) struct Asked {
    phase: Option<String>,
    status: Option<String>,
    owner: Option<String>,
    facility: Option<String>,
    late: Option<String>,
    /// A saved key.
    s: Option<String>,
    before: Option<String>,
}

/// `GET /processes/{name}?phase=…&status=…`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(of): Path<String>,
    Query(asked): Query<Asked>,
) -> Page {
    let all = app.desk.processes().await?;
    let process = all
        .into_iter()
        .find(|one| one.name == of)
        .ok_or_else(|| Problem::not_found("process of that name"))?;
    let key = match &asked.s {
        Some(name) => Some(saved(&app, &visitor, name)?),
        None => None,
    };
    let late = asked.late.is_some();
    // A key finds whatever there is of it.
    let wanted = match &asked.phase {
        Some(phase) => phase.clone(),
        None if key.is_some() => String::new(),
        None => "open".to_owned(),
    };
    let query = InstanceQuery {
        process: Some(of.clone()),
        key,
        phases: Some(wanted.clone())
            .filter(|word| !word.is_empty())
            .into_iter()
            .collect(),
        status: asked.status.clone(),
        facility: asked.facility.clone(),
        owner: asked.owner.clone(),
        overdue: late,
        before: before(asked.before.as_deref())?,
        limit: ROWS,
    };
    let found = app.desk.instances(query).await?;
    let here = link::process(&of);
    let next = found.next.map(|next| next.to_string());
    let older = link::with(
        &here,
        &[
            ("phase", asked.phase.as_deref()),
            ("status", asked.status.as_deref()),
            ("owner", asked.owner.as_deref()),
            ("facility", asked.facility.as_deref()),
            ("late", late.then_some("yes")),
            ("s", asked.s.as_deref()),
            ("before", next.as_deref()),
        ],
    );
    let content = html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/processes" { "Processes" } " / " (process.name) }
        div.head {
            h1 { (process.title.as_ref().unwrap_or(&process.name)) }
            span.muted {
                @if let Some(owner) = &process.owner { "owned by " (owner) " · " }
                "version " (process.version)
                @if process.older > 0 { " · " (count(process.older, "instance runs", "instances run")) " by an older definition" }
            }
        }
        (key_form(&here, "Find by key in this process"))
        (pills(&process, &here, &wanted, &asked))
        @if found.rows.is_empty() {
            (empty("No instance here", "None of this process is in that state; or the key is not known.", None))
        } @else { (instances(&found.rows)) }
        @if next.is_some() { p.more { a.button href=(older) rel="next" { "Older instances" } } }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Processes,
        title: &process.name,
        fresh: if asked.before.is_some() {
            Fresh::Still
        } else {
            Fresh::Poll
        },
    };
    Ok(shell.wrap(&app, content).await?)
}

/// The id that a page of a listing continues below.
pub(crate) fn before(text: Option<&str>) -> Result<Option<Id>, Problem> {
    text.map(str::parse)
        .transpose()
        .map_err(|_| Problem::not_found("such page of the list"))
}

fn pills(process: &ProcessView, here: &str, wanted: &str, asked: &Asked) -> Markup {
    let open: u64 = ["running", "asking", "stuck"]
        .iter()
        .map(|word| phase(process, word))
        .sum();
    let of = |word: &str| match word {
        "open" => open,
        word => phase(process, word),
    };
    let late = asked.late.is_some();
    let status = asked.status.as_deref();
    html! {
        nav.pills aria-label="Which instances" {
            @for (word, title) in PHASES {
                a href=(link::with(here, &[("phase", Some(word))]))
                    aria-current=[(wanted == word && status.is_none() && !late).then_some("true")] {
                    (title) " " span.pill-count { (number(of(word))) }
                }
            }
            a href=(link::with(here, &[("late", Some("yes"))])) aria-current=[late.then_some("true")] { "Late" }
        }
        @if !process.statuses.is_empty() {
            nav.pills aria-label="Status of open instances" {
                @for (word, many) in &process.statuses {
                    a href=(link::with(here, &[("status", Some(word))])) aria-current=[(status == Some(word)).then_some("true")] {
                        (word) " " span.pill-count { (number(*many)) }
                    }
                }
            }
        }
    }
}

/// A box for a business key. It is posted, so that the key stands in no address.
pub(crate) fn key_form(action: &str, label: &str) -> Markup {
    html! {
        form.find method="post" action=(action) autocomplete="off" {
            label for="key" { (label) }
            input #key name="key" type="search" spellcheck="false" autocapitalize="off" required;
            button.button { "Find" }
        }
    }
}

fn instances(rows: &[InstanceView]) -> Markup {
    html! {
        table.grid {
            caption.hush { "Instances, newest first" }
            thead { tr {
                th scope="col" { "Key" }
                th scope="col" { "Stands" }
                th scope="col" { "At" }
                th scope="col" { "Due" }
                th scope="col" { "Owner" }
                th scope="col" { "Shows" }
                th scope="col" { "Began" }
            } }
            tbody { @for row in rows { tr data-row="" {
                th scope="row" data-label="Key" {
                    a.name href={ "/instances/" (row.id) } { (key(row.key.as_deref().or(Some("••••")))) }
                    span.sub.mono { (row.id) }
                }
                td data-label="Stands" { div {
                    (phase_chip(&row.phase))
                    @if let Some(status) = &row.status { span.why { (status) } }
                    @if let Some(reason) = &row.reason { span.why { (reason) } }
                } }
                td data-label="At" { @if row.at.is_empty() { span.zero { "—" } } @else { span { (row.at.join(", ")) } } }
                td data-label="Due" { div { (due(row.due, row.overdue)) } }
                td data-label="Owner" { (or_none(row.owner.as_deref())) }
                td.clip data-label="Shows" {
                    @if row.show.is_empty() { span.zero { "—" } }
                    @for (name, value) in &row.show {
                        span.sub { (name) " " (shown(value, row.hidden.contains(name))) }
                    }
                }
                td data-label="Began" { (ago(row.began)) }
            } } }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Typed {
    pub(crate) key: String,
}

/// `POST /processes/{name}`: finds instances by their key.
pub(crate) async fn search(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(of): Path<String>,
    Form(typed): Form<Typed>,
) -> Result<Redirect, PageProblem> {
    let name = save(&app, visitor, &typed.key)?;
    Ok(Redirect::to(&link::with(
        &link::process(&of),
        &[("s", Some(&name))],
    )))
}

/// Keeps a key for its session, behind a name that says nothing.
pub(crate) fn save(app: &App, visitor: Visitor, key: &str) -> Result<String, Problem> {
    let key = key.trim();
    if key.is_empty() {
        return Err(Problem::bad_form("Type the key to look for."));
    }
    let name = random_name(16)?;
    app.searches.put(
        name.clone(),
        SavedSearch {
            session: visitor.session,
            text: key.to_owned(),
        },
    );
    Ok(name)
}

/// The key behind a name.
pub(crate) fn saved(app: &App, visitor: &Visitor, name: &str) -> Result<String, Problem> {
    app.searches
        .get(name)
        .filter(|saved| saved.session == visitor.session)
        .map(|saved| saved.text)
        .ok_or_else(|| Problem::expired("search"))
}

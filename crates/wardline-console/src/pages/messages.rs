//! Finding a message. What is typed is posted; where it holds a key the answer is an opaque
//! link, so that no key stands in an address, a history or an access log.

use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use wardline_core::{Id, Timestamp};
use wardline_engine::view::{MessageView, PageView};

use super::Page;
use super::marks::outcome_chip;
use super::rows::{empty, key, tick};
use super::shell::{Fresh, Place, Shell, search_form};
use super::words::{moment, number, size};
use crate::app::{SavedSearch, Shared};
use crate::guard::Visitor;
use crate::link;
use crate::problem::{PageProblem, Problem};
use crate::search::{MASK, Search, WORDS};
use crate::shelf::random_name;

const ROWS: usize = 50;
const QUICK: [(&str, &str); 7] = [
    ("", "All"),
    ("since:1h", "Last hour"),
    ("state:retrying", "Retrying"),
    ("state:held", "Held"),
    ("state:dead", "Dead"),
    ("state:filtered", "Filtered"),
    ("state:unrouted", "Unrouted"),
];

#[derive(Deserialize)]
pub(crate) struct Asked {
    /// A search without a key.
    #[serde(default)]
    q: String,
    /// A saved search.
    s: Option<String>,
    before: Option<String>,
}

/// `GET /messages?q=…` or `?s=…`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Page {
    let now = Timestamp::now();
    let search = if let Some(name) = &asked.s {
        let saved = app
            .searches
            .get(name)
            .filter(|saved| saved.session == visitor.session);
        Search::parse(&saved.ok_or_else(|| Problem::expired("search"))?.text, now)?
    } else {
        Search::parse(&asked.q, now)?
    };
    if asked.s.is_none() && search.holds_key() {
        return Err(Problem::bad_form(
            "A link must not hold a key: addresses end in histories and logs. Type it into the search box.",
        )
        .into());
    }
    let mut query = search.query.clone();
    query.limit = ROWS;
    query.before = match &asked.before {
        Some(id) => Some(
            id.parse::<Id>()
                .map_err(|_| Problem::not_found("such page of the list"))?,
        ),
        None => None,
    };
    let found = app.desk.messages(query).await?;
    let here = asked.s.as_ref().map_or_else(
        || link::messages(search.shown()),
        |name| format!("/messages?s={}", link::encode(name)),
    );
    let content = html! {
        div.head { h1 { "Messages" } span.muted { (summary(&found, &search)) } }
        (search_form(search.shown(), asked.s.as_deref(), "page-search"))
        nav.pills aria-label="Quick searches" {
            @for (text, word) in QUICK {
                a href=(link::messages(text)) aria-current=[(asked.s.is_none() && search.shown() == text).then_some("true")] { (word) }
            }
            (grammar())
        }
        @if found.rows.is_empty() {
            (nothing(&search, found.scanned))
        } @else {
            (listing(&found.rows))
            @if let Some(next) = found.next {
                p.more { a.button href={ (here) "&before=" (next) } rel="next" { "Older messages" } }
            }
        }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Messages,
        title: "Messages",
        fresh: Fresh::Still,
    };
    Ok(shell.wrap(&app, content).await?)
}

#[derive(Deserialize)]
pub(crate) struct Typed {
    #[serde(default)]
    q: String,
    s: Option<String>,
}

/// `POST /messages`: what was typed, turned into an address that gives nothing away.
pub(crate) async fn search(
    State(app): State<Shared>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> Result<Response, PageProblem> {
    let now = Timestamp::now();
    let text = unmasked(&app, &visitor, &typed)?;
    let search = Search::parse(&text, now)?;
    if let Some(id) = search.bare().and_then(|bare| bare.parse::<Id>().ok())
        && app.desk.trace(id).await?.is_some()
    {
        return Ok(Redirect::to(&format!("/trace/{id}")).into_response());
    }
    if !search.holds_key() {
        return Ok(Redirect::to(&link::messages(search.shown())).into_response());
    }
    let name = random_name(16)?;
    let to = format!("/messages?s={name}");
    app.searches.put(
        name,
        SavedSearch {
            session: visitor.session,
            text,
        },
    );
    Ok(Redirect::to(&to).into_response())
}

/// A search that is changed still shows `key:••••`: the key itself stays on the server.
fn unmasked(app: &Shared, visitor: &Visitor, typed: &Typed) -> Result<String, Problem> {
    let masked = format!("key:{MASK}");
    if !typed.q.contains(&masked) {
        return Ok(typed.q.clone());
    }
    let saved = typed
        .s
        .as_ref()
        .and_then(|name| app.searches.get(name))
        .filter(|s| s.session == visitor.session);
    let key = saved
        .and_then(|saved| Search::parse(&saved.text, Timestamp::now()).ok())
        .and_then(|search| search.query.key)
        .ok_or_else(|| Problem::expired("search"))?;
    Ok(typed.q.replacen(&masked, &format!("key:\"{key}\""), 1))
}

fn summary(found: &PageView<MessageView>, search: &Search) -> Markup {
    html! {
        @if found.next.is_some() { "the newest " (found.rows.len()) }
        @else { (number(found.rows.len() as u64)) @if found.rows.len() == 1 { " message" } @else { " messages" } }
        @if !search.shown().is_empty() { " for " code { (search.shown()) } }
        @if found.scanned > found.rows.len() as u64 { " · " (number(found.scanned)) " looked at" }
    }
}

fn grammar() -> Markup {
    html! {
        details.grammar {
            summary { "How to search" }
            div.card {
                p { (tick("Words with a colon must all hold. A bare text is an id or a business key; put quotation marks around spaces.")) }
                dl.facts {
                    @for (word, what) in WORDS { dt { code { (word) ":" } } dd { (what) } }
                }
                p.muted { "A search that holds a key never puts it into the address of the page." }
            }
        }
    }
}

fn nothing(search: &Search, scanned: u64) -> Markup {
    if search.shown().is_empty() {
        return empty(
            "No message yet",
            "Nothing has been accepted since this store began.",
            Some("wardline send FILE --mllp HOST:PORT"),
        );
    }
    html! {
        div.empty {
            p.title { "Nothing matches" }
            p { (number(scanned)) " messages looked at for " code { (search.shown()) } "." }
            p { a.button href="/messages" { "Show all" } }
        }
    }
}

fn listing(rows: &[MessageView]) -> Markup {
    html! {
        table.grid {
            caption.hush { "Messages, newest first" }
            thead { tr {
                th scope="col" { "Received" }
                th scope="col" { "Type" }
                th scope="col" { "Key" }
                th scope="col" { "Source" }
                th scope="col" { "Outcome" }
                th scope="col" { "Flows" }
                th.num scope="col" { "Size" }
                th scope="col" { "Id" }
            } }
            tbody { @for row in rows { tr data-row="" {
                td data-label="Received" { (moment(row.received)) }
                th scope="row" data-label="Type" { a.name href={ "/trace/" (row.id) } { (row.kind) } }
                td.mono data-label="Key" { (key(row.key.as_deref())) }
                td data-label="Source" { (row.source) }
                td data-label="Outcome" {
                    (outcome_chip(&row.outcome))
                    @if row.flagged { " " span.flag title="The same duplicate key came before with another body" { "differs from its duplicate" } }
                }
                td.clip data-label="Flows" { (routes(row)) }
                td.num data-label="Size" { (size(u64::from(row.size))) }
                td.mono data-label="Id" { (row.id) }
            } } }
        }
    }
}

/// What the flows said, short: who took it, and how many did not.
fn routes(row: &MessageView) -> Markup {
    let taken: Vec<&str> = row
        .routes
        .iter()
        .filter(|route| route.outcome == "taken")
        .map(|route| route.flow.as_str())
        .collect();
    let filtered = row
        .routes
        .iter()
        .filter(|route| route.outcome == "filtered")
        .count();
    let failed = row
        .routes
        .iter()
        .filter(|route| route.outcome == "failed")
        .count();
    html! {
        (taken.join(", "))
        @if filtered > 0 { @if !taken.is_empty() { " · " } (filtered) " filtered" }
        @if failed > 0 { " · " span.failed-text { (failed) " failed" } }
        @if row.routes.is_empty() { span.zero { "—" } }
    }
}

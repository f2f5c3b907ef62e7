//! The audit log: every look and every act, newest first.

use axum::extract::{Query, State};
use maud::html;
use serde::Deserialize;

use super::Page;
use super::rows;
use super::shell::{Fresh, Place, Shell};
use super::words::moment;
use crate::app::Shared;
use crate::guard::Visitor;

const ROWS: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Asked {
    before: Option<u64>,
}

/// `GET /audit?before=…`
pub(crate) async fn page(
    State(app): State<Shared>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Page {
    let entries = app.desk.audit(asked.before, ROWS).await?;
    let older = entries
        .last()
        .map(|entry| entry.sequence)
        .filter(|last| *last > 0 && entries.len() == ROWS);
    let content = html! {
        div.head { h1 { "Audit log" } span.muted { "Who looked at what, who changed what, and why" } }
        @if entries.is_empty() {
            (rows::empty("Nothing yet", "Revealing a payload, replaying, cancelling and editing leave an entry here.", None))
        } @else {
            table.grid {
                caption.hush { "Audit entries, newest first" }
                thead { tr {
                    th.num scope="col" { "No." }
                    th scope="col" { "When" }
                    th scope="col" { "Who" }
                    th scope="col" { "Act" }
                    th scope="col" { "On" }
                    th scope="col" { "Why" }
                } }
                tbody { @for entry in &entries { tr data-row="" {
                    th.num scope="row" data-label="No." { (entry.sequence) }
                    td data-label="When" { (moment(entry.at)) }
                    td data-label="Who" { (entry.actor) }
                    td data-label="Act" { strong { (entry.act) } }
                    td.mono data-label="On" { (entry.target) }
                    td data-label="Why" { (entry.reason) }
                } } }
            }
            p.muted { "The log is a chain: " code { "wardline audit verify" } " finds any change to it." }
        }
        @if let Some(last) = older { p.more { a.button href={ "/audit?before=" (last) } rel="next" { "Older entries" } } }
    };
    let shell = Shell {
        visitor: &visitor,
        place: Place::Audit,
        title: "Audit log",
        fresh: Fresh::Still,
    };
    Ok(shell.wrap(&app, content).await?)
}

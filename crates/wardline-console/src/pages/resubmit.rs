//! Edit and resubmit: a copy of a delivery's body is changed and sent as a new delivery. To
//! edit is to read, so the first step is a reveal with its reason and audit entry; the
//! second shows the whole body; the original is never overwritten.

use axum::extract::{Form as Posted, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use wardline_core::DeliveryId;
use wardline_engine::view::Part;

use super::Page;
use super::shell::{Fresh, Place, Shell};
use crate::api::{permit_reveal, with_purpose};
use crate::app::{App, Shared};
use crate::entrance::PURPOSES;
use crate::guard::Visitor;
use crate::plan::Form;
use crate::problem::{PageProblem, Problem};

/// Bodies longer than this are edited outside of a browser.
const EDITABLE: usize = 1024 * 1024;

/// `GET /resubmit/{delivery}`: asks for the reason.
pub(crate) async fn ask(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Page {
    let id = parse(&id)?;
    page(&app, &visitor, id, html! {
        p.lead { "To edit a body you have to read it. The audit log gets an entry with your name and reason; nothing is sent yet." }
        form.stack.narrow method="post" {
            label for="purpose" { "Purpose" }
            select #purpose name="purpose" {
                @for (code, what) in PURPOSES { option value=(code) { (what) } }
            }
            label for="reason" { "Reason, for the audit log" }
            input #reason name="reason" minlength="3" maxlength="500" autocomplete="off" required;
            button.button.primary { "Open the body" }
        }
    })
    .await
}

/// `POST /resubmit/{delivery}`: opens the body, or sends the edited one.
pub(crate) async fn act(
    State(app): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
    Posted(pairs): Posted<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let id = parse(&id)?;
    let form = Form(pairs);
    let reason = form.reason()?;
    if let Some(body) = form.first("body") {
        // Browsers send line ends as CR LF whatever they were; the marker says what they were.
        let body = lines_as(body, form.first("ends").unwrap_or("lf"));
        let made = app.desk.resubmit(id, body, reason, &visitor.actor).await?;
        return Ok(Redirect::to(&format!("/trace/{made}?hop={made}&part=body")).into_response());
    }
    let purpose = form.first("purpose");
    permit_reveal(&app, &visitor.who, id.0, purpose).await?;
    let gone = || Problem::not_found("body of that delivery (any more)");
    let view = app
        .desk
        .payload(
            Part::Body,
            id.0,
            Some(with_purpose(purpose, &reason)),
            &visitor.actor,
        )
        .await?
        .ok_or_else(gone)?;
    if view.text.len() > EDITABLE {
        return Err(Problem::bad_form(
            "This body is too long to edit in a browser; `wardline resubmit --edit` opens it in your editor.",
        )
        .into());
    }
    let ends = ends_of(&view.text);
    let markup = page(&app, &visitor, id, html! {
        p.watermark { "Revealed to " strong { (visitor.actor) } ": " (reason) " · in the audit log" }
        form.stack method="post" {
            input type="hidden" name="ends" value=(ends);
            label for="body" { "Body, a copy: the original delivery stays as it was" }
            // HTML swallows the first line end of a text area.
            textarea #body.code name="body" rows="18" spellcheck="false" required { "\n" (view.text) }
            label for="reason" { "Reason, for the audit log" }
            input #reason name="reason" minlength="3" maxlength="500" autocomplete="off" required value=(reason);
            button.button.primary { "Send the edited copy" }
            a.quiet-link href={ "/trace/" (id) } { "Leave everything as it is" }
        }
    })
    .await?;
    Ok(markup.into_response())
}

fn parse(id: &str) -> Result<DeliveryId, Problem> {
    id.parse()
        .map_err(|_| Problem::not_found("delivery with that id"))
}

/// How the lines of a text end: HL7 uses a bare carriage return.
fn ends_of(text: &str) -> &'static str {
    if text.contains("\r\n") {
        "crlf"
    } else if text.contains('\r') {
        "cr"
    } else {
        "lf"
    }
}

fn lines_as(text: &str, ends: &str) -> String {
    let plain = text.replace("\r\n", "\n").replace('\r', "\n");
    match ends {
        "crlf" => plain.replace('\n', "\r\n"),
        "cr" => plain.replace('\n', "\r"),
        _ => plain,
    }
}

async fn page(app: &App, visitor: &Visitor, id: DeliveryId, content: Markup) -> Page {
    let content = html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/dead" { "Dead letters" } " / " a.mono href={ "/trace/" (id) } { (id) } }
        div.head { h1 { "Edit & resubmit" } }
        (content)
    };
    let shell = Shell {
        visitor,
        place: Place::Dead,
        title: "Edit and resubmit",
        fresh: Fresh::Still,
    };
    Ok(shell.wrap(app, content).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_survive_the_browser() {
        for original in ["MSH|1\rPID|2\r", "{\n}\n", "a\r\nb\r\n", "plain"] {
            let posted = original.replace("\r\n", "\n").replace(['\r', '\n'], "\r\n");
            assert_eq!(lines_as(&posted, ends_of(original)), original);
        }
    }
}

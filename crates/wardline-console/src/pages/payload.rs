//! What was in a hop. Masked by the engine until somebody gives a reason; an HL7 message is
//! shown by segment and field with their names, JSON laid out, anything else as it is.

use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};
use wardline_core::{Id, Timestamp};
use wardline_engine::view::{Hl7SegmentView, Part, PayloadView, TraceItem, TraceNode, TraceView};

use super::marks::{Look, chip};
use super::rows::empty;
use super::trace::{acts, facts, id_of};
use super::words::{moment, size};
use crate::app::App;
use crate::desk::{DeskError, DeskErrorKind};
use crate::entrance::PURPOSES;
use crate::guard::Visitor;
use crate::link;
use crate::problem::Problem;

/// Of a longer payload the beginning is shown: a browser chokes on a scanned document.
const SHOWN: usize = 256 * 1024;
/// Laying out and comparing cost more than showing.
const LAID_OUT: usize = 64 * 1024;
/// Lines of one payload that are compared.
const COMPARED: usize = 2_000;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// One part of one hop.
    Part(Part),
    /// What the mapping changed between the message and the body that was sent.
    Changes { message: Id },
}

impl Opened {
    /// What the address asks for, or what is natural for the hop.
    pub(crate) fn of(item: &TraceItem, asked: Option<&str>, _trace: &TraceView) -> Self {
        match item {
            TraceItem::Message(_) => Self::Part(Part::Payload),
            TraceItem::Delivery(delivery) if asked == Some("changes") => Self::Changes {
                message: delivery.message.0,
            },
            TraceItem::Delivery(_) => match asked.and_then(link::part_of) {
                Some(Part::Response) => Self::Part(Part::Response),
                _ => Self::Part(Part::Body),
            },
        }
    }
}

/// The panel of one hop.
pub(crate) async fn panel(
    app: &App,
    visitor: &Visitor,
    trace: &TraceView,
    node: &TraceNode,
    opened: &Opened,
    reason: Option<String>,
) -> Result<Markup, Problem> {
    let id = id_of(&node.item);
    let content = match *opened {
        Opened::Part(part) => {
            let view = kept(
                app.desk
                    .payload(part, id, reason.clone(), &visitor.actor)
                    .await,
            )?;
            html! {
                @match &view {
                    Some(view) => (shown(visitor, trace, id, part, view, reason.as_deref())),
                    None => (empty("Nothing is kept here", "There was no payload, or its retention has passed and its key is destroyed.", None)),
                }
            }
        }
        Opened::Changes { message } => {
            let before = kept(
                app.desk
                    .payload(Part::Payload, message, None, &visitor.actor)
                    .await,
            )?;
            let after = kept(app.desk.payload(Part::Body, id, None, &visitor.actor).await)?;
            changes(before.as_ref(), after.as_ref())
        }
    };
    Ok(html! {
        section.card.payload #payload aria-labelledby="payload-title" {
            div.head {
                h2 #payload-title { @match &node.item {
                    TraceItem::Message(message) => (message.kind),
                    TraceItem::Delivery(delivery) => (delivery.destination),
                } }
                (tabs(trace.root.0, id, &node.item, *opened))
            }
            div.panes {
                div.pane { (content) }
                div.side {
                    @match &node.item {
                        TraceItem::Delivery(delivery) => { (acts(delivery)) (facts(delivery)) }
                        TraceItem::Message(message) => dl.facts {
                            dt { "Message" } dd.mono { (message.id) }
                            dt { "Received" } dd { (moment(message.received)) }
                            dt { "Source" } dd { (message.source) }
                            dt { "Lane" } dd { (message.lane) }
                        },
                    }
                }
            }
        }
    })
}

/// What retention has removed is shown as absent: the rest of the page is still worth seeing.
fn kept(answer: Result<Option<PayloadView>, DeskError>) -> Result<Option<PayloadView>, DeskError> {
    match answer {
        Err(error) if matches!(error.kind, DeskErrorKind::NotFound | DeskErrorKind::Gone) => {
            Ok(None)
        }
        answer => answer,
    }
}

fn tabs(root: Id, hop: Id, item: &TraceItem, opened: Opened) -> Markup {
    let TraceItem::Delivery(delivery) = item else {
        return html! {};
    };
    let address = |part: &str| format!("/trace/{root}?hop={hop}&part={part}#payload");
    let current = |yes: bool| yes.then_some("true");
    html! {
        nav.pills aria-label="Parts of this hop" {
            a href=(address("body")) aria-current=[current(opened == Opened::Part(Part::Body))] { "Sent" }
            @if delivery.has_response {
                a href=(address("response")) aria-current=[current(opened == Opened::Part(Part::Response))] { "Answer" }
            }
            @if delivery.own_body {
                a href=(address("changes")) aria-current=[current(matches!(opened, Opened::Changes { .. }))] { "Changes" }
            }
        }
    }
}

fn shown(
    visitor: &Visitor,
    trace: &TraceView,
    hop: Id,
    part: Part,
    view: &PayloadView,
    reason: Option<&str>,
) -> Markup {
    html! {
        p.meta {
            @if view.masked { (chip(Look::Waiting, "masked")) " " }
            span.mono { (view.content_type) } " · " (size(view.size))
        }
        @if let Some(reason) = reason.filter(|_| !view.masked) {
            p.watermark {
                "Revealed to " strong { (visitor.actor) } " at " (moment(Timestamp::now())) ": " (reason)
                " · in the audit log · gone when you leave this page"
            }
        } @else if view.masked {
            (reveal_form(trace.root.0, hop, part))
        }
        @match &view.hl7 {
            Some(segments) if !segments.is_empty() => (hl7(segments)),
            _ => (text(view)),
        }
    }
}

fn reveal_form(root: Id, hop: Id, part: Part) -> Markup {
    html! {
        details.reveal {
            summary.button { "Reveal…" }
            form.stack method="post" action={ (link::hop(root, hop, part)) "#payload" } {
                p { "The values become readable on this page, once. The audit log gets an entry with your name, the time, this payload and your reason." }
                label for="reveal-purpose" { "Purpose" }
                select #reveal-purpose name="purpose" {
                    @for (code, what) in PURPOSES { option value=(code) { (what) } }
                }
                label for="reveal-reason" { "Reason" }
                input #reveal-reason name="reason" minlength="3" maxlength="500" autocomplete="off" required placeholder="INC-2231: caller reports a wrong account";
                button.button.primary { "Reveal this payload" }
            }
        }
    }
}

fn hl7(segments: &[Hl7SegmentView]) -> Markup {
    html! {
        div.hl7 {
            @for segment in segments {
                section.segment {
                    h3 { span.mono { (segment.name) } " " span.muted { (segment.title) } }
                    dl { @for (position, name, value) in &segment.fields {
                        div {
                            dt { span.mono { (position) } " " span.field { (name) } }
                            dd.mono { (value) }
                        }
                    } }
                }
            }
        }
    }
}

fn text(view: &PayloadView) -> Markup {
    let laid_out = json(&view.text);
    let whole = laid_out.as_deref().unwrap_or(&view.text);
    let part = &whole[..floor(whole, SHOWN)];
    html! {
        pre.code tabindex="0" aria-label="Payload" {
            @if laid_out.is_some() && whole.len() <= LAID_OUT * 2 { (coloured(part)) } @else { (part) }
        }
        @if part.len() < whole.len() { p.muted { "The first " (size(part.len() as u64)) " of " (size(whole.len() as u64)) " are shown." } }
    }
}

/// The last character boundary at or below `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// JSON laid out; `None` for what is not JSON or too long to lay out.
fn json(text: &str) -> Option<String> {
    if text.len() > LAID_OUT || !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    serde_json::to_string_pretty(&value).ok()
}

/// Laid-out JSON with its names, strings and other values told apart.
pub(crate) fn coloured(text: &str) -> Markup {
    html! { @for (class, token) in tokens(text) { @if class.is_empty() { (token) } @else { span class=(class) { (token) } } } }
}

/// Splits laid-out JSON; every character is in exactly one token.
fn tokens(text: &str) -> Vec<(&'static str, &str)> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (class, length) = if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let length = end.map_or(rest.len(), |end| end + 2);
            (
                if rest[length..].starts_with(':') {
                    "jk"
                } else {
                    "js"
                },
                length,
            )
        } else if first.is_ascii_alphanumeric() || first == '-' {
            (
                "jn",
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))
                    .unwrap_or(rest.len()),
            )
        } else {
            (
                "",
                rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_alphanumeric())
                    .unwrap_or(rest.len()),
            )
        };
        let (token, after) = rest.split_at(length.max(first.len_utf8()));
        all.push((class, token));
        rest = after;
    }
    all
}

/// What differs between a message and the body that was made of it. Of the masked texts:
/// comparing must not be a way around the mask.
fn changes(before: Option<&PayloadView>, after: Option<&PayloadView>) -> Markup {
    let laid_out = |view: Option<&PayloadView>| view.and_then(|view| json(&view.text));
    let (Some(before), Some(after)) = (laid_out(before), laid_out(after)) else {
        return empty(
            "Nothing to compare",
            "Changes are shown where both the message and the body sent are JSON.",
            None,
        );
    };
    if before.lines().count().max(after.lines().count()) > COMPARED {
        return empty(
            "Too long to compare here",
            "Compare the two payloads outside of the console.",
            None,
        );
    }
    let diff = TextDiff::from_lines(before.as_str(), after.as_str());
    html! {
        p.meta { (chip(Look::Waiting, "masked")) " what the mapping changed: " span.removed { "− the message" } " " span.added { "+ the body sent" } }
        pre.code.diff tabindex="0" aria-label="Changes" {
            @for change in diff.iter_all_changes() {
                @let (class, sign) = match change.tag() {
                    ChangeTag::Delete => ("removed", "− "),
                    ChangeTag::Insert => ("added", "+ "),
                    ChangeTag::Equal => ("same", "  "),
                };
                span class=(class) { (sign) (change.value()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colouring_loses_nothing() {
        for text in [
            "{\n  \"a:\\\"b\": [1, -2.5e+3, true, null],\n  \"é\": \"x: ••••\"\n}",
            "[]",
            "\"open",
            "\"esc\\\\\": 1",
            "{\"a\"}",
        ] {
            let whole: String = tokens(text).iter().map(|(_, token)| *token).collect();
            assert_eq!(whole, text);
        }
        let classes: Vec<_> = tokens("{\"name\": \"value\", \"n\": 1}")
            .into_iter()
            .filter(|(class, _)| !class.is_empty())
            .collect();
        assert_eq!(
            classes,
            [
                ("jk", "\"name\""),
                ("js", "\"value\""),
                ("jk", "\"n\""),
                ("jn", "1")
            ]
        );
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        assert_eq!(floor("aé", 2), 1);
        assert_eq!(floor("aé", 3), 3);
        assert_eq!(floor("", 3), 0);
    }

    #[test]
    fn only_json_is_laid_out() {
        assert_eq!(
            json("{\"b\":1,\"a\":2}").unwrap(),
            "{\n  \"b\": 1,\n  \"a\": 2\n}"
        );
        assert!(json("MSH|^~\\&|").is_none());
        assert!(json("{broken").is_none());
        assert!(json("12").is_none());
    }
}

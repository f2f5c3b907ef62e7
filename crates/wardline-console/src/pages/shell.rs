//! What is around every page: the bar with its search, the landmarks, the keys.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::app::App;
use crate::assets;
use crate::guard::{Theme, Visitor};
use crate::problem::Problem;

/// Where in the bar a page belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    Processes,
    Tasks,
    Boards,
    Transactions,
    Reconciliations,
    Jobs,
    Messages,
    Dead,
    Audit,
    Elsewhere,
}

const PLACES: [(Place, &str, &str); 10] = [
    (Place::Overview, "/", "Overview"),
    (Place::Processes, "/processes", "Processes"),
    (Place::Tasks, "/tasks", "Tasks"),
    (Place::Boards, "/boards", "Boards"),
    (Place::Transactions, "/transactions", "Transactions"),
    (
        Place::Reconciliations,
        "/reconciliations",
        "Reconciliations",
    ),
    (Place::Jobs, "/jobs", "Jobs"),
    (Place::Messages, "/messages", "Messages"),
    (Place::Dead, "/dead", "Dead letters"),
    (Place::Audit, "/audit", "Audit"),
];

const KEYS: [(&str, &str); 11] = [
    ("/", "Search"),
    ("j k", "Next, previous row"),
    ("Enter", "Open the row"),
    ("r", "Replay… (with preview)"),
    ("g o", "Overview"),
    ("g m", "Messages"),
    ("g d", "Dead letters"),
    ("g p", "Processes"),
    ("g t", "Tasks"),
    ("g b", "Transactions"),
    ("?", "This list"),
];

/// How a page stays up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// It does not: what is shown is a moment.
    Still,
    /// By the stream of server-sent events.
    Stream,
    /// By asking for the same address again while something is open.
    Poll,
}

/// A page with everything around it. `title` must hold no key and no payload: it ends in the
/// browser's history.
pub(crate) struct Shell<'a> {
    pub(crate) visitor: &'a Visitor,
    pub(crate) place: Place,
    pub(crate) title: &'a str,
    pub(crate) fresh: Fresh,
}

impl Shell<'_> {
    /// The page around a content.
    pub(crate) async fn wrap(self, app: &App, content: Markup) -> Result<Markup, Problem> {
        let estate = app.estate().await?;
        let cannot = app.cannot(&self.visitor.who);
        let places = PLACES.iter().filter(|(at, ..)| match at {
            Place::Messages => !cannot.contains(&"search"),
            Place::Audit => !cannot.contains(&"audit"),
            Place::Tasks => true,
            _ => !cannot.contains(&"view"),
        });
        // A moment after the session is over, the page goes.
        let idle = app.sessions.idle().min(app.sessions.longest()).as_secs() + 2;
        let Self {
            visitor,
            place,
            title,
            fresh,
        } = self;
        Ok(document(
            visitor.theme,
            &format!("{title} · {estate}"),
            html! {
                a.skip href="#main" { "Skip to content" }
                header.bar {
                    a.brand href="/" {
                        (mark())
                        span.estate { (estate) }
                    }
                    nav aria-label="Main" {
                        @for (at, address, word) in places {
                            a href=(address) aria-current=[(*at == place).then_some("page")] { (word) }
                        }
                    }
                    @if place != Place::Messages && !cannot.contains(&"search") { (search_form("", None, "bar-search")) }
                    div.tools {
                        button.tool.live #live-state type="button" hidden aria-pressed="false"
                            title="Pause live updates" { span.pulse {} span.word { "Live" } }
                        button.tool #zone type="button" hidden title="Time zone of all times" { "UTC" }
                        form method="post" action="/theme" {
                            button.tool name="theme" value=(visitor.theme.next().word())
                                title={ "Colours: " (visitor.theme.word()) "; switch to " (visitor.theme.next().word()) }
                                aria-label={ "Colours: " (visitor.theme.word()) ", switch to " (visitor.theme.next().word()) } {
                                (PreEscaped(r#"<svg viewBox="0 0 16 16" aria-hidden="true" focusable="false"><circle cx="8" cy="8" r="5.5"/><path class="solid" d="M8 2.5a5.5 5.5 0 0 1 0 11z"/></svg>"#))
                            }
                        }
                        button.tool #keys-open type="button" hidden aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" { "?" }
                        form method="post" action="/logout" {
                            button.tool.who title={ "Signed in as " (visitor.who_is_it()) "; sign out" } { "Sign out" }
                        }
                    }
                }
                main #main tabindex="-1" data-idle=(idle) data-cannot=(cannot.join(" ")) data-fresh=(match fresh { Fresh::Still => "still", Fresh::Stream => "stream", Fresh::Poll => "poll" }) {
                    (content)
                }
                p.hush #say role="status" {}
                (keys())
            },
        ))
    }
}

/// A page for somebody who is not in, or where nothing else can be shown.
pub(crate) fn bare(title: &str, content: Markup) -> Markup {
    document(
        Theme::System,
        title,
        html! {
            main.bare #main {
                p.brand { (mark()) "Wardline" }
                (content)
            }
        },
    )
}

/// The search box. What is typed goes by POST: it may hold a key.
pub(crate) fn search_form(shown: &str, saved: Option<&str>, class: &str) -> Markup {
    html! {
        form class={ "search " (class) } role="search" method="post" action="/messages" autocomplete="off" {
            @if let Some(saved) = saved { input type="hidden" name="s" value=(saved); }
            label.hush for="search" { "Search messages" }
            input #search name="q" type="search" value=(shown) spellcheck="false" autocapitalize="off"
                placeholder="Search key, id, type:…  state:…" aria-keyshortcuts="/";
            kbd aria-hidden="true" { "/" }
        }
    }
}

fn mark() -> Markup {
    html! { img.mark src=(assets::address("mark.svg")) alt="" width="22" height="22"; }
}

fn keys() -> Markup {
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            dl.keys {
                @for (key, what) in KEYS {
                    dt { @for part in key.split(' ') { kbd { (part) } " " } }
                    dd { (what) }
                }
            }
            form method="dialog" {
                label.check { input #keys-off type="checkbox"; " Turn single keys off" }
                button.button { "Close" }
            }
        }
    }
}

fn document(theme: Theme, title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=(theme.word()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content=(match theme { Theme::System => "light dark", Theme::Light => "light", Theme::Dark => "dark" });
                title { (title) }
                link rel="icon" href=(assets::address("mark.svg"));
                link rel="stylesheet" href=(assets::address("console.css"));
                script src=(assets::address("console.js")) defer {}
            }
            body { (body) }
        }
    }
}

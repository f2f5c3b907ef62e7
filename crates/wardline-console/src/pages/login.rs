//! Coming in, going out, and the one preference that the server keeps.

use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, HeaderValue, header};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;
use wardline_access::people::oidc::Pending;
use wardline_access::people::{Person, Refused, Tried};
use wardline_vault::AuditEntry;

use super::rows::tick;
use super::shell;
use crate::app::{App, Shared};
use crate::auth::Cookie;
use crate::entrance::{record, wait};
use crate::guard::{Known, Theme, Visitor, cookie};
use crate::link;
use crate::problem::{PageProblem, Problem};
use crate::session::Who;
use crate::shelf::random_name;

/// A sign-in that is under way at the identity provider.
#[derive(Clone)]
pub(crate) struct Waiting {
    pending: Pending,
    /// The browser that began it.
    door: String,
    then: String,
}

/// The page of whoever is not in. `then` is where they wanted to go.
pub(crate) fn door(app: &App, problem: Option<&Problem>, then: &str) -> Response {
    let status = problem.map_or(http::StatusCode::OK, |problem| problem.status);
    let failed = problem.filter(|problem| problem.code.0 != "W6101");
    (status, page(app, failed, then)).into_response()
}

fn page(app: &App, failed: Option<&Problem>, then: &str) -> Markup {
    let then = own_path(then).filter(|path| *path != "/" && !path.starts_with("/login"));
    let people = app.entrance.as_ref().map(|entrance| &entrance.people);
    let provider = people.and_then(|people| people.provider());
    let accounts = people.is_some_and(|people| people.accounts().is_some());
    shell::bare(
        "Sign in",
        html! {
            h1 { "Sign in" }
            @if let Some(problem) = failed {
                div.banner role="alert" {
                    strong { (problem.title) ". " } (tick(&problem.text))
                    @if let Some(help) = &problem.help { " " (tick(help)) }
                    " " span.mono { (problem.code) }
                }
            }
            @if let Some(provider) = provider {
                @let to = then.map(|then| format!("?then={}", link::encode(then))).unwrap_or_default();
                p { a.button.primary.wide href={ "/login/start" (to) } { "Sign in with " (provider.title()) } }
            }
            @if provider.is_some() && accounts { p.or { "or" } }
            @if accounts { (account_form(then)) }
            @if provider.is_some() || accounts {
                details.other {
                    summary { "Other ways in" }
                    (token_form(then))
                    p.muted { code { "wardline console" } " on the server prints a link with the token." }
                }
            } @else {
                (token_form(then))
                p.muted { code { "wardline console" } " on the server prints a link that signs you in." }
            }
        },
    )
}

fn then_field(then: Option<&str>) -> Markup {
    html! { @if let Some(then) = then { input type="hidden" name="then" value=(then); } }
}

fn account_form(then: Option<&str>) -> Markup {
    html! {
        form.stack method="post" action="/login" {
            (then_field(then))
            label for="name" { "Name" }
            input #name name="name" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="64" required;
            label for="password" { "Password" }
            input #password name="password" type="password" autocomplete="current-password" maxlength="256" required;
            label for="code" { "One-time code" }
            input #code name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]{6,7}" maxlength="7" required
                title="The six digits that your authenticator shows";
            button.button.primary { "Sign in" }
        }
    }
}

/// The form for who has the token but not the link.
fn token_form(then: Option<&str>) -> Markup {
    html! {
        form.stack method="post" action="/login" {
            (then_field(then))
            // Password managers file a secret under a name.
            input type="hidden" name="username" autocomplete="username" value="admin";
            label for="token" { "Admin token" }
            input #token name="token" type="password" autocomplete="off" maxlength="256" required;
            button.button { "Sign in with the token" }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    token: Option<String>,
    #[serde(default)]
    then: String,
}

/// `GET /login`: the door; with `?token=…` the link that `wardline console` prints.
pub(crate) async fn by_link(
    State(app): State<Shared>,
    known: Known,
    Query(asked): Query<Asked>,
) -> Result<Response, PageProblem> {
    match &asked.token {
        None => Ok(door(&app, None, &asked.then)),
        Some(token) => Ok(by_token(&app, &known, token, &asked.then).await?),
    }
}

#[derive(Deserialize)]
pub(crate) struct Shown {
    token: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    then: String,
}

/// `POST /login`: by account, or by token.
pub(crate) async fn by_form(
    State(app): State<Shared>,
    known: Known,
    Form(shown): Form<Shown>,
) -> Result<Response, PageProblem> {
    if let Some(token) = &shown.token {
        return Ok(by_token(&app, &known, token, &shown.then).await?);
    }
    let entrance = app
        .entrance
        .clone()
        .ok_or_else(|| Problem::refused(Refused::NotHere))?;
    let address = known.address;
    let Shown {
        name,
        password,
        code,
        then,
        ..
    } = shown;
    let tried = entrance
        .hashing(move |people| people.sign_in(&name, &password, &code, address))
        .await?;
    Ok(tried_to_come_in(&app, &known, tried, &then).await?)
}

/// The token is for the day when nothing else works, so a journal in trouble does not keep
/// its holder out.
async fn by_token(app: &App, known: &Known, token: &str, then: &str) -> Result<Response, Problem> {
    let from = |entry: AuditEntry| entry.with("address", known.address.to_string());
    let admitted = app.auth.admits(token.trim());
    let entry = if admitted {
        AuditEntry::new(app.auth.actor(), "signin.accept", "console").with("by", "admin-token")
    } else {
        tracing::warn!("a sign-in to the console was refused: wrong admin token");
        AuditEntry::new(
            format!("address:{}", known.address),
            "signin.refuse",
            "console",
        )
        .because("wrong admin token")
    };
    if let Err(error) = app.desk.record(&from(entry)).await {
        tracing::error!(%error, admitted, "a sign-in by admin token is only in this log");
    }
    if !admitted {
        return Err(Problem::wrong_token());
    }
    enter(app, known, app.auth.actor().to_owned(), Who::Token, then).await
}

/// Lets in who came in, once that is on record.
pub(crate) async fn tried_to_come_in(
    app: &App,
    known: &Known,
    tried: Tried,
    then: &str,
) -> Result<Response, Problem> {
    record(app, &tried.entries).await?;
    match tried.outcome {
        Ok(person) => {
            let Person { name, .. } = &person;
            tracing::info!(person = %name, by = person.proof.name(), "signed in to the console");
            let actor = person.actor();
            enter(app, known, actor, Who::Person(Arc::new(person)), then).await
        }
        Err(Refused::Wait(time)) => {
            let response = Problem::refused(Refused::Wait(time)).page();
            Ok(wait(response, time))
        }
        Err(refused) => Err(Problem::refused(refused)),
    }
}

/// Always a new session: a cookie that was there before, perhaps put there by somebody else,
/// becomes worth nothing.
async fn enter(
    app: &App,
    known: &Known,
    actor: String,
    who: Who,
    then: &str,
) -> Result<Response, Problem> {
    let session = random_name(32)?;
    let name = app.auth.session_name(&session);
    // Whoever may not look at what runs is here for what they are asked.
    let first = if app.may_view(&who) { "/" } else { "/tasks" };
    if let Some(gone) = app.sessions.begin(name, actor, who) {
        app.ended(&gone, crate::session::Ended::Crowded.why()).await;
    }
    let age = app.sessions.longest().as_secs();
    let value = app
        .auth
        .set_cookie(Cookie::Session, &known.host, &session, age);
    let to = own_path(then).filter(|path| !path.starts_with("/login"));
    Ok(with_cookie(Redirect::to(to.unwrap_or(first)), &value))
}

#[derive(Deserialize)]
pub(crate) struct Then {
    #[serde(default)]
    then: String,
}

/// `GET /login/start`: off to the identity provider. A link and not a form, since browsers
/// hold the way of a form against `form-action`.
pub(crate) async fn start(
    State(app): State<Shared>,
    known: Known,
    Query(then): Query<Then>,
) -> Result<Response, PageProblem> {
    let people = app.entrance.as_ref().map(|entrance| &entrance.people);
    let Some((people, provider)) = people.and_then(|people| Some((people, people.provider()?)))
    else {
        return Err(Problem::refused(Refused::NotHere).into());
    };
    let (pending, url) = provider.begin(people.now()).await.map_err(|error| {
        tracing::warn!(%error, "a sign-in at the identity provider cannot begin");
        Problem::refused(Refused::Unreachable)
    })?;
    app.waiting.put(
        pending.state.clone(),
        Waiting {
            pending,
            door: known.door.clone(),
            then: then.then,
        },
    );
    let set = app
        .auth
        .set_cookie(Cookie::Door, &known.host, &known.door, 3_600);
    Ok(with_cookie(Redirect::to(&url), &set))
}

#[derive(Deserialize)]
pub(crate) struct Back {
    #[serde(default)]
    state: String,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// `GET /login/return`: back from the identity provider.
pub(crate) async fn back(
    State(app): State<Shared>,
    known: Known,
    Query(back): Query<Back>,
) -> Result<Response, PageProblem> {
    let entrance = app
        .entrance
        .as_ref()
        .ok_or_else(|| Problem::refused(Refused::NotHere))?;
    // Good once, and for the browser that began: else somebody could sign another in as
    // themselves (RFC 9700 §4.7).
    let waiting = app
        .waiting
        .take(&back.state)
        .filter(|waiting| waiting.door == known.door)
        .ok_or_else(Problem::begin_again)?;
    let Some(code) = back.code.filter(|_| back.error.is_none()) else {
        let why = back.error.filter(|word| {
            word.len() <= 64 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        });
        let entry = AuditEntry::new(
            format!("address:{}", known.address),
            "signin.refuse",
            "console",
        )
        .because(format!(
            "the identity provider sent the person back: {}",
            why.as_deref().unwrap_or("without a reason")
        ));
        record(&app, &[entry]).await?;
        return Err(Problem::refused(Refused::Provider).into());
    };
    let tried = entrance
        .people
        .sign_in_by_provider(waiting.pending, &code, back.iss.as_deref(), known.address)
        .await;
    Ok(tried_to_come_in(&app, &known, tried, &waiting.then).await?)
}

/// `POST /logout`
pub(crate) async fn leave(State(app): State<Shared>, known: Known, visitor: Visitor) -> Response {
    if let Some(session) = app.sessions.end(&visitor.session) {
        app.ended(&session, "signed out").await;
    }
    let gone = app.auth.set_cookie(Cookie::Session, &known.host, "", 0);
    with_cookie(Redirect::to("/login"), &gone)
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    theme: String,
}

/// `POST /theme`: back to where the person was, in other colours.
pub(crate) async fn theme(headers: HeaderMap, Form(choice): Form<Choice>) -> Response {
    let back = headers
        .get(header::REFERER)
        .and_then(|from| from.to_str().ok())
        .and_then(|from| from.parse::<http::Uri>().ok())
        .and_then(|from| from.path_and_query().map(ToString::to_string));
    let back = back.as_deref().and_then(own_path).unwrap_or("/");
    let theme = Theme::of(&choice.theme);
    if cookie(&headers, "wardline_theme") == Some(theme.word()) {
        return Redirect::to(back).into_response();
    }
    let value = format!(
        "wardline_theme={}; HttpOnly; SameSite=Lax; Path=/; Max-Age=31536000",
        theme.word()
    );
    with_cookie(Redirect::to(back), &value)
}

/// Only a path of this console: `//host` would lead away, and browsers read `\` as `/`.
fn own_path(path: &str) -> Option<&str> {
    let own = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(char::is_control);
    own.then_some(path)
}

fn with_cookie(to: Redirect, cookie: &str) -> Response {
    let mut response = to.into_response();
    match HeaderValue::from_str(cookie) {
        Ok(value) => {
            response.headers_mut().insert(header::SET_COOKIE, value);
        }
        Err(error) => tracing::error!(%error, "a cookie could not be set"),
    }
    response
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn nobody_is_led_away() {
        for own in ["/", "/messages?q=state%3Aheld", "/trace/x?hop=y#z"] {
            assert_eq!(own_path(own), Some(own));
        }
        for away in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil",
            "/a\nb",
            "javascript:1",
        ] {
            assert_eq!(own_path(away), None, "{away}");
        }
    }
}

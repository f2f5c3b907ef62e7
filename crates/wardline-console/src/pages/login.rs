//! Coming in, going out, and the one preference that the server keeps.

use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, HeaderValue, header};
use maud::{Markup, html};
use serde::Deserialize;

use crate::app::{App, SESSION, Shared};
use crate::guard::{Theme, Visitor, cookie};
use crate::problem::{PageProblem, Problem};
use crate::shelf::random_name;

#[derive(Deserialize)]
pub(crate) struct Token {
    #[serde(default)]
    token: String,
}

/// The form for who has the token but not the link.
pub(crate) fn form() -> Markup {
    html! {
        form.stack method="post" action="/login" {
            // Password managers file a secret under a name.
            input type="hidden" name="username" autocomplete="username" value="admin";
            label for="token" { "Admin token" }
            input #token name="token" type="password" autocomplete="current-password" required;
            button.button.primary { "Sign in" }
        }
    }
}

/// `GET /login?token=…`: the link that `wardline console` prints.
pub(crate) async fn by_link(
    State(app): State<Shared>,
    Query(token): Query<Token>,
) -> Result<Response, PageProblem> {
    enter(&app, &token.token)
}

/// `POST /login`: the same by form.
pub(crate) async fn by_form(
    State(app): State<Shared>,
    Form(token): Form<Token>,
) -> Result<Response, PageProblem> {
    enter(&app, &token.token)
}

fn enter(app: &App, token: &str) -> Result<Response, PageProblem> {
    if token.is_empty() {
        return Err(Problem::not_signed_in().into());
    }
    if !app.auth.admits(token.trim()) {
        tracing::warn!("a sign-in to the console was refused: wrong admin token");
        return Err(Problem::wrong_token().into());
    }
    let session = random_name(32)?;
    app.sessions
        .put(app.auth.session_name(&session), app.auth.actor().to_owned());
    // No `Secure`: on the loopback address there is no TLS to be had. Behind a proxy with
    // TLS the proxy adds it.
    let value = format!(
        "{}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}",
        app.auth.cookie(),
        SESSION.as_secs()
    );
    Ok(with_cookie(Redirect::to("/"), &value))
}

/// `POST /logout`
pub(crate) async fn leave(State(app): State<Shared>, visitor: Visitor) -> Response {
    app.sessions.remove(&visitor.session);
    with_cookie(
        Redirect::to("/login"),
        &format!(
            "{}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0",
            app.auth.cookie()
        ),
    )
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
        .and_then(|from| from.path_and_query().map(ToString::to_string))
        // Only a path of this console: `//host` would lead away, and browsers read `\` as `/`.
        .filter(|path| path.starts_with('/') && !path.starts_with("//") && !path.contains('\\'))
        .unwrap_or_else(|| "/".to_owned());
    let theme = Theme::of(&choice.theme);
    if cookie(&headers, "wardline_theme") == Some(theme.word()) {
        return Redirect::to(&back).into_response();
    }
    let value = format!(
        "wardline_theme={}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000",
        theme.word()
    );
    with_cookie(Redirect::to(&back), &value)
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

//! The checks that every request passes before any page sees it, and the headers that every
//! answer carries. They are in one layer around the whole router so that a new page cannot
//! forget them.

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Uri};
use std::net::IpAddr;

use crate::app::{App, BODY_BYTES, Shared};
use crate::auth::Cookie;
use crate::door::Peer;
use crate::entrance::{self, Asked};
use crate::forms;
use crate::need::{Need, need};
use crate::pages::login;
use crate::problem::{ApiProblem, PageProblem, Problem};
use crate::session::Who;
use crate::shelf::random_name;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types wardline";
/// A year, as browsers remember that a host speaks TLS.
const HSTS: &str = "max-age=31536000";
/// How long a browser at the door is remembered, in seconds.
const AT_THE_DOOR: u64 = 3_600;
/// Forms of people who are not in yet are small.
const DOOR_FORM: usize = 16 * 1024;
/// The header in which a page's script shows the token of forms.
const TOKEN: HeaderName = HeaderName::from_static("wardline-csrf");
/// The header by which a page's script says that nobody did anything: it stays up to date.
const POLL: HeaderName = HeaderName::from_static("wardline-poll");

/// What is known of a request before a page sees it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The name in the address bar.
    pub(crate) host: String,
    /// Where it comes from.
    pub(crate) address: IpAddr,
    /// Names the browser until somebody is signed in.
    pub(crate) door: String,
    door_is_new: bool,
    /// The session's cookie, where there is one that is good.
    session: Option<String>,
    holder: Option<Holder>,
}

/// Somebody who is signed in, or a program with the token.
#[derive(Debug, Clone)]
struct Holder {
    actor: String,
    who: Who,
    /// The name of the session.
    session: Option<String>,
}

impl Known {
    fn of(app: &App, request: &Request) -> Result<Self, Problem> {
        let headers = request.headers();
        // HTTP/2 carries the host in the address, HTTP/1 in a header.
        let host = request
            .uri()
            .authority()
            .map(http::uri::Authority::as_str)
            .or_else(|| text(headers, &header::HOST));
        let Some(host) = host.filter(|host| app.auth.knows_host(host)) else {
            return Err(Problem::unknown_host());
        };
        let peer = request.extensions().get::<ConnectInfo<Peer>>();
        let address = entrance::address(
            peer.map(|peer| peer.0.0.ip()),
            text(headers, &HeaderName::from_static("x-forwarded-for")),
        );
        let door = cookie(headers, &app.auth.cookie(Cookie::Door, host))
            .filter(|door| door.len() == 64 && door.bytes().all(|b| b.is_ascii_hexdigit()))
            .map(str::to_owned);
        let (door, door_is_new) = match door {
            Some(door) => (door, false),
            None => (random_name(32)?, true),
        };
        let mut known = Self {
            host: host.to_owned(),
            address,
            door,
            door_is_new,
            session: None,
            holder: None,
        };
        if let Some(token) = bearer(headers) {
            if !app.auth.admits(token) {
                return Err(Problem::wrong_token());
            }
            let named = text(headers, &HeaderName::from_static("wardline-actor"))
                .filter(|name| is_name(name));
            let actor = match named {
                // Whoever holds the token may say on whose behalf; the log keeps both.
                Some(name) if app.auth.actor() != format!("user:{name}") => {
                    format!("{} for {name}", app.auth.actor())
                }
                _ => app.auth.actor().to_owned(),
            };
            known.holder = Some(Holder {
                actor,
                who: Who::Token,
                session: None,
            });
            return Ok(known);
        }
        if let Some(cookie) = cookie(headers, &app.auth.cookie(Cookie::Session, host)) {
            let name = app.auth.session_name(cookie);
            let works = !headers.contains_key(&POLL) && !request.uri().path().ends_with("/live");
            if let Some(session) = app.sessions.get(&name, works) {
                known.session = Some(cookie.to_owned());
                known.holder = Some(Holder {
                    actor: session.actor,
                    who: session.who,
                    session: Some(name),
                });
            }
        }
        Ok(known)
    }

    /// What the forms of a page for this browser are tied to.
    fn form_holder(&self) -> &str {
        self.session.as_deref().unwrap_or(&self.door)
    }
}

/// Refuses foreign hosts and foreign pages, and whoever may not; adds the security headers.
pub(crate) async fn guard(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let uri = request.uri().clone();
    let reads = is_safe(request.method());
    let known = Known::of(&app, &request);
    let refused = |problem: Problem| {
        if is_api {
            problem.json()
        } else {
            problem.page()
        }
    };
    let mut response = match &known {
        Err(problem) => refused(problem.clone()),
        Ok(known) => match let_through(&app, known, request).await {
            Err(problem) => refused(problem),
            Ok(request) => dressed(next.run(request).await, is_api),
        },
    };
    if let Ok(known) = &known
        && !is_api
    {
        // Whoever is not in gets the door, wherever they knocked.
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(problem) = response.extensions_mut().remove::<Problem>()
        {
            let then = if reads {
                uri.to_string()
            } else {
                String::new()
            };
            response = login::door(&app, Some(&problem), &then);
        }
        response = with_tokens(&app, known, response).await;
    }
    let secure = known.is_ok_and(|known| app.auth.is_secure(&known.host));
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value))
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "same-origin");
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    );
    if secure {
        set(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    // Assets say for themselves that they may be kept; nothing else may.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Ties the forms of a page to its browser. Here and not in the pages, so that no form can
/// forget it.
async fn with_tokens(app: &App, known: &Known, response: Response) -> Response {
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|media| media.as_bytes().starts_with(b"text/html"));
    if !is_page {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Our own page, whole in memory already.
    let Ok(page) = to_bytes(body, usize::MAX).await else {
        return Problem::internal().page();
    };
    let token = app.auth.form_token(known.form_holder());
    let page = forms::sealed(&String::from_utf8_lossy(&page), &token);
    parts.headers.remove(header::CONTENT_LENGTH);
    if known.session.is_none() && known.door_is_new {
        let set = app
            .auth
            .set_cookie(Cookie::Door, &known.host, &known.door, AT_THE_DOOR);
        if let Ok(set) = HeaderValue::from_str(&set) {
            parts.headers.append(header::SET_COOKIE, set);
        }
    }
    Response::from_parts(parts, Body::from(page))
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// What must hold before a page sees a request.
async fn let_through(app: &App, known: &Known, request: Request) -> Result<Request, Problem> {
    let by_token = matches!(&known.holder, Some(holder) if holder.session.is_none());
    let mut request = request;
    if !is_safe(request.method()) && !by_token {
        if !is_same_origin(&known.host, request.headers()) {
            return Err(Problem::cross_site());
        }
        request = with_its_token(app, known, request).await?;
    }
    let path = request.extensions().get::<MatchedPath>();
    let needed = path.map(|path| need(request.method(), path.as_str()));
    match (needed, &known.holder) {
        // Nobody's address (the answer says so), one for all, or one for whoever is signed in.
        (None | Some(Need::Nothing), _) | (Some(Need::Anybody), Some(_)) => {}
        (Some(_), None) => return Err(Problem::not_signed_in()),
        (Some(Need::May(action)), Some(holder)) => {
            app.permit(&holder.who, &Asked::of(action)).await?;
        }
        (Some(Need::Token), Some(holder)) => {
            if !matches!(holder.who, Who::Token) {
                return Err(Problem::token_only());
            }
        }
    }
    request.extensions_mut().insert(known.clone());
    Ok(request)
}

/// What changes something must bear the token of a page that this browser was shown.
async fn with_its_token(app: &App, known: &Known, request: Request) -> Result<Request, Problem> {
    let bears = |presented: &str| {
        let cookies = known.session.iter().chain([&known.door]);
        cookies
            .into_iter()
            .any(|cookie| app.auth.is_form_token(cookie, presented))
    };
    if request.uri().path().starts_with("/api/") {
        // Without a session nobody is let through for it anyhow.
        let presented = text(request.headers(), &TOKEN);
        return if known.session.is_none() || presented.is_some_and(bears) {
            Ok(request)
        } else {
            Err(Problem::no_form_token())
        };
    }
    let limit = if known.holder.is_some() {
        BODY_BYTES
    } else {
        DOOR_FORM
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, limit).await else {
        return Err(Problem::misfit(StatusCode::PAYLOAD_TOO_LARGE));
    };
    if forms::token_of(&body).is_some_and(|presented| bears(&presented)) {
        Ok(Request::from_parts(parts, Body::from(body)))
    } else {
        Err(Problem::no_form_token())
    }
}

/// Refusals of the framework are bare lines of text; people and programs get ours instead.
fn dressed(response: Response, is_api: bool) -> Response {
    let bare = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_none_or(|media| media.as_bytes().starts_with(b"text/plain"));
    if !response.status().is_client_error() || !bare {
        return response;
    }
    let problem = Problem::misfit(response.status());
    if is_api {
        problem.json()
    } else {
        problem.page()
    }
}

/// Whether a page of this console sent the request. Browsers send `Sec-Fetch-Site`, older
/// ones at least `Origin` on a POST; a request with neither is not from a browser's page.
fn is_same_origin(host: &str, headers: &HeaderMap) -> bool {
    if let Some(site) = text(headers, &HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    text(headers, &header::ORIGIN)
        .and_then(|origin| origin.split_once("://"))
        .is_some_and(|(scheme, name)| {
            matches!(scheme, "http" | "https") && name.eq_ignore_ascii_case(host)
        })
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The value of a cookie.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

/// Light, dark, or as the operating system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn of(word: &str) -> Self {
        [Self::Light, Self::Dark]
            .into_iter()
            .find(|theme| theme.word() == word)
            .unwrap_or_default()
    }

    /// What the button in the bar switches to.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::System => Self::Dark,
            Self::Dark => Self::Light,
            Self::Light => Self::System,
        }
    }
}

/// Somebody with a session, before a page.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) actor: String,
    pub(crate) who: Who,
    /// The name of the session: what is kept for a visitor is bound to it.
    pub(crate) session: String,
    pub(crate) theme: Theme,
}

impl Visitor {
    /// Name and roles, as the page tells its reader.
    pub(crate) fn who_is_it(&self) -> String {
        match &self.who {
            Who::Token => format!("{} (admin token)", self.actor),
            Who::Person(person) => {
                let roles: Vec<&str> = person.roles.iter().map(AsRef::as_ref).collect();
                let name = person.title.as_ref().unwrap_or(&person.name);
                format!("{name} ({})", roles.join(", "))
            }
        }
    }
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = PageProblem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, PageProblem> {
        let known = parts.extensions.get::<Known>();
        let holder = known.and_then(|known| known.holder.clone());
        let theme = cookie(&parts.headers, "wardline_theme")
            .map(Theme::of)
            .unwrap_or_default();
        match holder {
            Some(Holder {
                actor,
                who,
                session: Some(session),
            }) => Ok(Self {
                actor,
                who,
                session,
                theme,
            }),
            _ => Err(Problem::not_signed_in().into()),
        }
    }
}

/// A program with the token, or a page's script with a session.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) actor: String,
    pub(crate) who: Who,
    /// The session, where it is a page's script.
    pub(crate) session: Option<String>,
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiProblem> {
        let known = parts.extensions.get::<Known>();
        match known.and_then(|known| known.holder.clone()) {
            Some(Holder {
                actor,
                who,
                session,
            }) => Ok(Self {
                actor,
                who,
                session,
            }),
            None => Err(Problem::not_signed_in().into()),
        }
    }
}

impl FromRequestParts<Shared> for Known {
    type Rejection = PageProblem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, PageProblem> {
        let known = parts.extensions.get::<Self>().cloned();
        known.ok_or_else(|| Problem::internal().into())
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._@-".contains(&b))
}

/// The answer to an address that is nobody's.
pub(crate) async fn nobody(uri: Uri) -> Response {
    let problem = Problem::not_found("page");
    if uri.path().starts_with("/api/") {
        problem.json()
    } else {
        problem.page()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn only_pages_of_this_host_may_post() {
        let host = "127.0.0.1:8420";
        for good in [
            headers(&[("sec-fetch-site", "same-origin")]),
            headers(&[("origin", "http://127.0.0.1:8420")]),
            headers(&[("origin", "https://127.0.0.1:8420")]),
        ] {
            assert!(is_same_origin(host, &good), "{good:?}");
        }
        for bad in [
            headers(&[]),
            headers(&[("origin", "null")]),
            headers(&[("origin", "http://127.0.0.1:8421")]),
            headers(&[("origin", "ftp://127.0.0.1:8420")]),
            headers(&[("origin", "http://evil.example")]),
            headers(&[
                ("sec-fetch-site", "cross-site"),
                ("origin", "http://127.0.0.1:8420"),
            ]),
            headers(&[("sec-fetch-site", "same-site")]),
        ] {
            assert!(!is_same_origin(host, &bad), "{bad:?}");
        }
    }

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let jar = headers(&[("cookie", "a=1; xwardline_1=no; wardline_1=yes")]);
        assert_eq!(cookie(&jar, "wardline_1"), Some("yes"));
        assert_eq!(cookie(&jar, "wardline"), None);
    }

    #[test]
    fn bearer_tokens_are_read_whatever_the_case_of_the_scheme() {
        assert_eq!(
            bearer(&headers(&[("authorization", "bearer abc")])),
            Some("abc")
        );
        assert_eq!(bearer(&headers(&[("authorization", "Basic abc")])), None);
    }

    #[test]
    fn names_in_the_audit_log_are_plain() {
        assert!(is_name("ana.diaz@ward-5"));
        for bad in ["", "a b", "x\u{e9}", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}

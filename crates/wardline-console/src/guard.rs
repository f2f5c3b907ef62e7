//! The checks that every request passes before any page sees it, and the headers that every
//! answer carries. They are in one layer around the whole router so that a new page cannot
//! forget them.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Uri};

use crate::app::Shared;
use crate::problem::{ApiProblem, PageProblem, Problem};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Refuses foreign hosts and foreign pages; adds the security headers.
pub(crate) async fn guard(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let refusal = refuse(&app, request.method(), request.uri(), request.headers());
    let mut response = match refusal {
        Some(problem) if is_api => problem.json(),
        Some(problem) => problem.page(),
        None => dressed(next.run(request).await, is_api),
    };
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
    // Assets say for themselves that they may be kept; nothing else may.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
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

fn refuse(app: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Problem> {
    // HTTP/2 carries the host in the address, HTTP/1 in a header.
    let host = uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| text(headers, &header::HOST));
    let Some(host) = host.filter(|host| app.auth.knows_host(host)) else {
        return Some(Problem::unknown_host());
    };
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if reads
        || bearer(headers).is_some_and(|token| app.auth.admits(token))
        || is_same_origin(host, headers)
    {
        return None;
    }
    Some(Problem::cross_site())
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

/// A person with a session.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) actor: String,
    /// The name of the session: what is kept for a visitor is bound to it.
    pub(crate) session: String,
    pub(crate) theme: Theme,
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = PageProblem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, PageProblem> {
        session(app, &parts.headers).ok_or_else(|| Problem::not_signed_in().into())
    }
}

fn session(app: &Shared, headers: &HeaderMap) -> Option<Visitor> {
    let name = app.auth.session_name(cookie(headers, &app.auth.cookie())?);
    let actor = app.sessions.get(&name)?;
    let theme = cookie(headers, "wardline_theme")
        .map(Theme::of)
        .unwrap_or_default();
    Some(Visitor {
        actor,
        session: name,
        theme,
    })
}

/// A program with the token, or a page's script with a session.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) actor: String,
    /// The session, where it is a page's script.
    pub(crate) session: Option<String>,
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, ApiProblem> {
        if let Some(token) = bearer(&parts.headers) {
            if !app.auth.admits(token) {
                return Err(Problem::wrong_token().into());
            }
            let named = text(&parts.headers, &HeaderName::from_static("wardline-actor"))
                .filter(|name| is_name(name));
            let actor = match named {
                // Whoever holds the token may say on whose behalf; the log keeps both.
                Some(name) => format!("{} for {name}", app.auth.actor()),
                None => app.auth.actor().to_owned(),
            };
            return Ok(Self {
                actor,
                session: None,
            });
        }
        match session(app, &parts.headers) {
            Some(visitor) => Ok(Self {
                actor: visitor.actor,
                session: Some(visitor.session),
            }),
            None => Err(Problem::not_signed_in().into()),
        }
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

//! What goes wrong while somebody uses the console, said once and shown twice: as a page to
//! a person, as `application/problem+json` (RFC 9457) to a program.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use wardline_core::Code;

use crate::desk::{DeskError, DeskErrorKind};
use crate::error::ConsoleError;
use crate::pages;
use crate::search::SearchError;

/// A refusal with everything its reader needs.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    pub(crate) title: &'static str,
    pub(crate) text: String,
    pub(crate) help: Option<String>,
}

impl Problem {
    fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        text: impl Into<String>,
        help: &str,
    ) -> Self {
        let help = Some(help.to_owned()).filter(|help| !help.is_empty());
        Self {
            status,
            code: Code(code),
            title,
            text: text.into(),
            help,
        }
    }

    pub(crate) fn not_signed_in() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "W6101",
            "Not signed in",
            "This console is open only to who holds its admin token.",
            "Run `wardline console` on the server: it prints a link that signs you in. Programs send \
             `Authorization: Bearer TOKEN`.",
        )
    }

    pub(crate) fn wrong_token() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "W6102",
            "That token is not the one",
            "The token in the link or form is not this server's admin token.",
            "Run `wardline console` on the server for a fresh link: the token changes when its file is replaced.",
        )
    }

    pub(crate) fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "W6103",
            "Sent by another site",
            "This request changes something but was not sent by a page of this console.",
            "Open the console itself and repeat the step there. Programs send `Authorization: Bearer TOKEN`.",
        )
    }

    pub(crate) fn unknown_host() -> Self {
        Self::new(
            StatusCode::MISDIRECTED_REQUEST,
            "W6104",
            "Not this host",
            "The host name of this request is not one that the console answers to.",
            "Use the address that `wardline console` prints, or declare the name of your proxy.",
        )
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "W7201",
            "Not found",
            format!("There is no {what} here."),
            "Ids are 13 letters and digits. What is older than its retention is gone; the search lists what is left.",
        )
    }

    pub(crate) fn bad_search(error: &SearchError) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "W7202",
            "That search does not parse",
            error.to_string(),
            "For example: type:ADT^A03 state:held since:24h",
        )
    }

    pub(crate) fn bad_form(text: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "W7203",
            "Something is missing",
            text,
            "Go back, fill it in and send it again; nothing was done.",
        )
    }

    pub(crate) fn expired(what: &str) -> Self {
        Self::new(
            StatusCode::GONE,
            "W7204",
            "No longer there",
            format!("This {what} has expired or belongs to another session; nothing was done."),
            "Start again from the list: previews last ten minutes, so that nobody confirms old numbers.",
        )
    }

    pub(crate) fn too_many_streams() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "W7205",
            "Too many live pages",
            "As many live pages as the console allows are open already.",
            "Close some; pages without live updates still work when reloaded.",
        )
    }

    pub(crate) fn bad_json(text: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "W7206",
            "The request body does not fit",
            text,
            "See the API reference for the shape of this request.",
        )
    }

    /// What the web framework refused before any page saw it: too long, not decodable, not a
    /// method of that address.
    pub(crate) fn misfit(status: StatusCode) -> Self {
        let text = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "What was sent is too long.",
            StatusCode::METHOD_NOT_ALLOWED => "This address does not take that method.",
            _ => "The address or the form cannot be read.",
        };
        Self::new(
            status,
            "W7207",
            "That request does not fit",
            text,
            "Nothing was done. Start again from a page of the console.",
        )
    }

    /// As a page.
    pub(crate) fn page(self) -> Response {
        (self.status, pages::problem_page(&self)).into_response()
    }

    /// As problem+json.
    pub(crate) fn json(self) -> Response {
        let body = serde_json::json!({
            "type": format!("urn:wardline:error:{}", self.code),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.text,
            "code": self.code,
            "help": self.help,
        });
        let mut response = (self.status, axum::Json(body)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        let (status, title) = match error.kind {
            DeskErrorKind::NotFound => (StatusCode::NOT_FOUND, "Not found"),
            DeskErrorKind::Gone => (StatusCode::GONE, "No longer there"),
            DeskErrorKind::Forbidden => (StatusCode::FORBIDDEN, "Not allowed"),
            DeskErrorKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "That cannot be done"),
            DeskErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Not available now"),
        };
        Self {
            status,
            code: error.code,
            title,
            text: error.text,
            help: error.help,
        }
    }
}

impl From<ConsoleError> for Problem {
    fn from(error: ConsoleError) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "W7208",
            "The console cannot do that now",
            error.to_string(),
            "Try again; if it stays, look at the server's log.",
        )
    }
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        Self::bad_search(&error)
    }
}

/// A problem in front of a person.
pub(crate) struct PageProblem(pub(crate) Problem);

impl<P: Into<Problem>> From<P> for PageProblem {
    fn from(problem: P) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for PageProblem {
    fn into_response(self) -> Response {
        self.0.page()
    }
}

/// A problem in front of a program.
pub(crate) struct ApiProblem(pub(crate) Problem);

impl<P: Into<Problem>> From<P> for ApiProblem {
    fn from(problem: P) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        self.0.json()
    }
}

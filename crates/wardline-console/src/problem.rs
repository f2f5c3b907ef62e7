//! What goes wrong while somebody uses the console, said once and shown twice: as a page to
//! a person, as `application/problem+json` (RFC 9457) to a program.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use std::collections::BTreeSet;
use std::sync::Arc;
use wardline_access::people::{AccountError, Refused, WeakPassword};
use wardline_access::policy::Action;
use wardline_core::{Code, Sensitivity};

use crate::desk::{DeskError, DeskErrorKind};
use crate::entrance::{Asked, on};
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
            "This console is open to people who sign in, and to who holds its admin token.",
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

    /// A form that none of our pages showed to this browser.
    pub(crate) fn no_form_token() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "W6105",
            "This page is too old",
            "The form does not bear the token that this console gave to your browser; nothing was done.",
            "Load the page again and repeat the step: the token changes when you sign in. Scripts of a page send it as `wardline-csrf`.",
        )
    }

    /// Policies say no.
    pub(crate) fn forbidden(asked: &Asked<'_>, roles: &BTreeSet<Arc<str>>, why: &str) -> Self {
        let roles: Vec<&str> = roles.iter().map(AsRef::as_ref).collect();
        let class = asked
            .class
            .map(|class| format!(" of class {}", class_word(class)))
            .unwrap_or_default();
        let help = if asked.action == Action::Reveal && asked.purpose.is_none() {
            "Say for which purpose: most policies ask for one."
        } else {
            "`wardline policy explain` says more; whoever looks after the policies can change it."
        };
        Self::new(
            StatusCode::FORBIDDEN,
            "W6106",
            "Not for your roles",
            format!(
                "To {}{class} on {} is not for {}: {why}.",
                asked.action.name(),
                on(&asked.resource),
                roles.join(", ")
            ),
            help,
        )
    }

    pub(crate) fn token_only() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "W6106",
            "Not for your roles",
            "This is for who holds the admin token.",
            "Do it on the server, by the command line.",
        )
    }

    /// A question is put to a role that somebody does not hold.
    pub(crate) fn not_asked(role: &str, roles: &BTreeSet<Arc<str>>) -> Self {
        let roles: Vec<&str> = roles.iter().map(AsRef::as_ref).collect();
        Self::new(
            StatusCode::FORBIDDEN,
            "W6117",
            "Somebody else is asked",
            format!(
                "This question is for {role}; you come as {}.",
                roles.join(", ")
            ),
            "Ask somebody of that role, or have the question reassigned: an operator may do that.",
        )
    }

    /// Why somebody did not come in, in the words that they may hear.
    pub(crate) fn refused(refused: Refused) -> Self {
        let unauthorized = StatusCode::UNAUTHORIZED;
        let (status, code, title, text, help) = match refused {
            Refused::Wrong => (
                unauthorized,
                "W6107",
                "That did not fit",
                "Name, password or one-time code is wrong, or the code was used before.",
                "A code is good once, and for half a minute. Whoever has lost password or authenticator is invited anew by an administrator: `wardline people reset NAME`.",
            ),
            Refused::Wait(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "W6108",
                "Too many tries",
                "Too many tries failed. The next ones are not looked at for a while, whoever makes them.",
                "Wait before you try again; each further failure doubles the time.",
            ),
            Refused::NoRole => (
                StatusCode::FORBIDDEN,
                "W6109",
                "No role here",
                "Your organisation knows you, but none of your groups brings a role in Wardline.",
                "Ask for membership in a group that `people.oidc.roles` in wardline.yaml names.",
            ),
            Refused::Provider => (
                unauthorized,
                "W6110",
                "Your organisation did not vouch for you",
                "The identity provider’s answer was not one to believe, or it refused. The audit log says why.",
                "Try again. If it stays, an administrator finds the reason with `wardline audit list`.",
            ),
            Refused::Unreachable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "W6111",
                "Your organisation’s sign-in cannot be reached",
                "The identity provider did not answer.",
                "Try again in a minute. The log of the server says what went wrong; an account kept here, or the admin token, still opens the console.",
            ),
            Refused::NotHere => (
                unauthorized,
                "W6112",
                "Not a way in here",
                "This console does not let people in that way.",
                "`people:` in wardline.yaml says which ways there are.",
            ),
            Refused::Internal => return Self::internal(),
        };
        Self::new(status, code, title, text, help)
    }

    pub(crate) fn no_invitation() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "W6116",
            "No such invitation",
            "The invitation is not one of that name, was used, or is older than a day.",
            "Ask whoever invited you for a new one: `wardline people reset NAME`.",
        )
    }

    pub(crate) fn weak_password(why: WeakPassword) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "W6113",
            "That password cannot be taken",
            format!("{why}."),
            "Go back and choose another: three or four words that have nothing to do with each other are easy to remember and hard to guess.",
        )
    }

    pub(crate) fn crowded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "W6114",
            "Too many people at the door",
            "More sign-ins are waiting than can be worked on.",
            "Try again in a moment.",
        )
    }

    /// A file or a key of ours failed; the log says which.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "W7208",
            "The console cannot do that now",
            "Something that the console needs failed.",
            "Try again; if it stays, look at the server's log.",
        )
    }

    /// Accounts cannot be changed like that.
    pub(crate) fn account(error: &AccountError) -> Self {
        if let AccountError::Access(error) = error {
            tracing::error!(code = %error.code(), %error, "accounts cannot be used");
            return Self::internal();
        }
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "W6115",
            "That account cannot be changed so",
            error.to_string(),
            "",
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

    /// An answer of the identity provider that nobody here waits for.
    pub(crate) fn begin_again() -> Self {
        Self::new(
            StatusCode::GONE,
            "W7204",
            "No longer there",
            "This sign-in took longer than ten minutes, was finished already, or was begun by another browser.",
            "Begin again at the door of the console.",
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

    /// As a page. The problem goes along: where somebody is not signed in, the guard shows
    /// the door with it instead.
    pub(crate) fn page(self) -> Response {
        let mut response = (self.status, pages::problem_page(&self)).into_response();
        response.extensions_mut().insert(self);
        response
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

const fn class_word(class: Sensitivity) -> &'static str {
    match class {
        Sensitivity::Public => "public",
        Sensitivity::Internal => "internal",
        Sensitivity::Financial => "financial",
        Sensitivity::Pii => "pii",
        Sensitivity::Phi => "phi",
        Sensitivity::Secret => "secret",
    }
}

//! One request after the other: signed, bounded in time, tried again where that can do no harm.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use rusty_s3::{Credentials, S3Action};
use tokio::time::timeout;

use super::{Place, answer};
use crate::codes;
use crate::files::Trouble;

/// How long a signature is good.
const GOOD_FOR: Duration = Duration::from_secs(300);
/// How often something is asked for; every request here may be repeated.
const TRIES: u32 = 3;
/// The pause before the second try; twice as long before the third.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest answer that is read whole. A list of 1,000 keys has less.
const ANSWER: usize = 4 << 20;

/// A request before it is signed.
pub(super) struct Call {
    pub(super) method: Method,
    /// What is being done, for people.
    pub(super) doing: &'static str,
    /// Headers that are no part of the signature.
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) const fn new(method: Method, doing: &'static str) -> Self {
        Self {
            method,
            doing,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn with(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Place {
    pub(super) fn credentials(&self) -> io::Result<&Credentials> {
        self.credentials.as_deref().ok_or_else(|| {
            Trouble::error(
                ErrorKind::PermissionDenied,
                codes::S3_CREDENTIALS,
                "the access key may not be used now",
            )
        })
    }

    /// Asks until there is an answer that says it is done, or that more tries change nothing.
    pub(super) async fn ask<'a, A: S3Action<'a>>(
        &self,
        action: &A,
        call: Call,
    ) -> io::Result<Response<Incoming>> {
        let mut tried = 1;
        loop {
            // Signed anew each time: a signature ages.
            let url = action.sign(GOOD_FOR);
            let ended = self.ask_once(url.as_str(), &call).await;
            let error = match ended {
                Ok(response) => return Ok(response),
                Err((error, true)) if tried < TRIES => error,
                Err((error, _)) => return Err(error),
            };
            tracing::debug!(%error, tried, "asked once more");
            tokio::time::sleep(PAUSE * tried).await;
            tried += 1;
        }
    }

    /// As [`Place::ask`], with the whole answer.
    pub(super) async fn ask_whole<'a, A: S3Action<'a>>(
        &self,
        action: &A,
        call: Call,
    ) -> io::Result<String> {
        let doing = call.doing;
        let response = self.ask(action, call).await?;
        let text = self.whole(response).await?;
        if answer::is_error(&text) {
            return Err(answer::error(http::StatusCode::OK, &text, doing));
        }
        Ok(text)
    }

    /// The error, and whether another try may end otherwise.
    async fn ask_once(
        &self,
        url: &str,
        call: &Call,
    ) -> Result<Response<Incoming>, (io::Error, bool)> {
        let no = |error: io::Error| (error, false);
        let mut request = Request::builder().method(&call.method).uri(url);
        for (name, value) in &call.headers {
            let value =
                HeaderValue::try_from(value).map_err(|error| no(io::Error::other(error)))?;
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(call.body.clone()))
            .map_err(|_| no(io::Error::from(ErrorKind::InvalidInput)))?;
        let response = match timeout(self.timeout, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let code = if error.is_connect() {
                    codes::S3_UNREACHABLE
                } else {
                    codes::S3_LOST
                };
                let text = format!("{}: {}", call.doing, crate::error::in_words(&error));
                return Err((Trouble::error(ErrorKind::NotConnected, code, text), true));
            }
            Err(_) => return Err((self.silent(call.doing), true)),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let said = self.whole(response).await.unwrap_or_default();
        let error = answer::error(status, &said, call.doing);
        Err((error, answer::is_passing(status)))
    }

    pub(super) fn silent(&self, doing: &str) -> io::Error {
        let text = format!("no answer within {} s: {doing}", self.timeout.as_secs());
        Trouble::error(ErrorKind::NotConnected, codes::S3_LOST, text)
    }

    async fn whole(&self, response: Response<Incoming>) -> io::Result<String> {
        let body = Limited::new(response.into_body(), ANSWER).collect();
        match timeout(self.timeout, body).await {
            Ok(Ok(body)) => String::from_utf8(body.to_bytes().into()).map_err(|_| {
                let text = "an answer of the service is no text";
                Trouble::error(ErrorKind::InvalidData, codes::S3_NOT_SPOKEN, text)
            }),
            Ok(Err(_)) => Err(Trouble::error(
                ErrorKind::NotConnected,
                codes::S3_LOST,
                "an answer of the service broke off or is too long",
            )),
            Err(_) => Err(self.silent("reading an answer")),
        }
    }
}

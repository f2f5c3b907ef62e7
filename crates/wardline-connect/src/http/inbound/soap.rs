//! Paths that speak SOAP: what comes is opened before the engine sees it, and what is answered is
//! an envelope or a fault.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;
use tokio::sync::OwnedSemaphorePermit;
use wardline_soap::service::Written;

use super::{Answer, LATER, Shared, problem};
use crate::admission::worth_a_line;
use crate::http::config::Route;
use crate::soap::{Endpoint, NotTaken, refusal};
use crate::{Received, Verdict, codes};

/// The name under which the engine learns which operation was asked for.
const OPERATION: &str = crate::intake::OPERATION;

impl Shared {
    /// The description, where it is asked for.
    pub(super) fn describe(
        endpoint: &Endpoint,
        route: &Route,
        head: &Parts,
    ) -> Result<Answer, Box<Answer>> {
        let host = head
            .uri
            .authority()
            .map(http::uri::Authority::as_str)
            .or_else(|| head.headers.get(HOST)?.to_str().ok());
        let query = head.uri.query().unwrap_or_default();
        let Some(text) = endpoint.describe(query, host, &route.path) else {
            let detail = "ask for the description with ?wsdl, and send messages by POST";
            return Err(problem(StatusCode::NOT_FOUND, codes::NO_SUCH_ROUTE, detail));
        };
        Ok(answer(
            StatusCode::OK,
            Written {
                content_type: "text/xml; charset=utf-8".into(),
                body: text.into_bytes(),
            },
        ))
    }

    /// Opens a message, has it taken, and answers it.
    pub(super) async fn soap(
        &self,
        endpoint: &Endpoint,
        head: &Parts,
        peer: SocketAddr,
        mut received: Received,
        held: Option<OwnedSemaphorePermit>,
    ) -> Answer {
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let kind = text(CONTENT_TYPE.as_str()).unwrap_or_default();
        let now = received.received.to_jiff();
        let opened = endpoint.take(kind, text("soapaction"), &received.body, now);
        let taken = match opened {
            Ok(taken) => taken,
            Err(refused) => return self.not_taken(refused, &received.source, peer),
        };
        let positive = || match taken.answer.clone() {
            Some(written) => answer(StatusCode::OK, written),
            None => empty(),
        };
        if !taken.recorded {
            return positive();
        }
        received.content_type = taken.content_type;
        received.body = taken.body;
        received
            .headers
            .push((OPERATION.to_owned(), taken.operation));
        // What is answered follows from the request, so that a duplicate gets the same again.
        received.answer = Bytes::new();
        let source = Arc::clone(&received.source);
        let fault =
            |permanent, code, text: &str| refused(refusal(taken.version, permanent, code, text));
        match self.verdict(received, held).await {
            None => {
                let text = "the message was not taken; send it again";
                later(fault(false, codes::LISTENER_FULL, text), LATER)
            }
            Some(Verdict::Accepted { .. }) => {
                self.counters.accepted(1);
                positive()
            }
            Some(Verdict::Duplicate { .. }) => {
                self.counters.duplicates(1);
                tracing::debug!(%source, "a message came again and got its answer again");
                positive()
            }
            Some(Verdict::Refused {
                code,
                text,
                permanent,
            }) => {
                self.counters.refused(1);
                fault(permanent, code, &text)
            }
            Some(Verdict::Busy {
                code,
                text,
                retry_after,
            }) => {
                self.counters.busy(1);
                later(fault(false, code, &text), retry_after)
            }
        }
    }

    fn not_taken(&self, not: NotTaken, source: &str, peer: SocketAddr) -> Answer {
        if let Some(why) = not.unbelieved {
            let times = self.counters.unauthenticated(1);
            if worth_a_line(times) {
                tracing::warn!(source, %peer, times, code = %codes::SOAP_NOT_BELIEVED, %why, "a SOAP message does not prove who sent it");
            }
        } else {
            self.counters.refused(1);
        }
        refused(not)
    }
}

fn refused(not: NotTaken) -> Answer {
    let status = StatusCode::from_u16(not.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer(status, not.written)
}

fn later(mut fault: Answer, after: std::time::Duration) -> Answer {
    *fault.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let seconds = after.as_millis().div_ceil(1000).max(1);
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
    fault.headers_mut().insert(RETRY_AFTER, seconds.into());
    fault
}

/// A message without an answer was taken.
fn empty() -> Answer {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn answer(status: StatusCode, written: Written) -> Answer {
    let mut response = Response::new(Full::from(written.body));
    *response.status_mut() = status;
    if let Ok(kind) = HeaderValue::from_str(&written.content_type) {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

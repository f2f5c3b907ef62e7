//! Paths that speak SCIM: what comes changes resources that are kept, and is answered by them.

use std::sync::Arc;

use http::Response;
use http::header::{
    ALLOW, CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, LOCATION,
    RETRY_AFTER,
};
use http::request::Parts;
use http_body_util::Full;
use tokio::sync::OwnedSemaphorePermit;

use super::{Answer, LATER, Shared};
use crate::http::problem::come_later;
use crate::scim::{Answered, Asked, Became, Endpoint, Query, segments};
use crate::{Received, Verdict, codes};

impl Shared {
    /// Answers a request, in a task of its own: a client that hangs up must not tear a commit in
    /// two.
    pub(super) async fn scim(
        &self,
        endpoint: &Arc<Endpoint>,
        head: &Parts,
        received: Received,
        held: Option<OwnedSemaphorePermit>,
    ) -> Answer {
        let asked = match asked(endpoint, head) {
            Ok(asked) => asked,
            Err(error) => {
                self.counters.refused(1);
                return written(Answered::refused(error));
            }
        };
        let (endpoint, intake) = (Arc::clone(endpoint), Arc::clone(&self.intake));
        let task = self.tracker.spawn(async move {
            let resources = intake.resources()?;
            let answered = endpoint.answer(resources, &asked, received).await;
            drop(held);
            Some(answered)
        });
        match task.await {
            Ok(Some(answered)) => {
                match &answered.became {
                    Became::Nothing => 0,
                    Became::Accepted => self.counters.accepted(1),
                    Became::Refused | Became::Away(Verdict::Refused { .. }) => {
                        self.counters.refused(1)
                    }
                    Became::Away(_) => self.counters.busy(1),
                };
                written(answered)
            }
            Ok(None) => *come_later(codes::SCIM_NOT_KEPT, "no resources are kept here", LATER),
            Err(_) => {
                tracing::error!("answering a request of SCIM panicked; nothing was acknowledged");
                *come_later(
                    codes::SCIM_NOT_KEPT,
                    "no answer could be made; send it again",
                    LATER,
                )
            }
        }
    }
}

fn asked(endpoint: &Endpoint, head: &Parts) -> Result<Asked, wardline_scim::Error> {
    let text = |name: HeaderName| {
        let value = head.headers.get(name)?;
        // What cannot be read is there all the same, and is like nothing.
        Some(value.to_str().unwrap_or_default().to_owned())
    };
    let host = head
        .uri
        .authority()
        .map(|authority| authority.as_str().to_owned())
        .or_else(|| text(HOST))
        .filter(|host| host.parse::<http::uri::Authority>().is_ok());
    let scheme = if endpoint.secured { "https" } else { "http" };
    let base = match (&endpoint.address, host) {
        (Some(address), _) => address.trim_end_matches('/').to_owned(),
        (None, Some(host)) => format!("{scheme}://{host}{}", endpoint.path),
        (None, None) => endpoint.path.clone(),
    };
    let path = head.uri.path();
    let below = path.strip_prefix(&endpoint.path).unwrap_or(path);
    let broken =
        || wardline_scim::Error::new(404, wardline_scim::Why::Other, "there is no such resource");
    Ok(Asked {
        method: head.method.clone(),
        segments: segments(below).ok_or_else(broken)?,
        query: Query::read(head.uri.query().unwrap_or_default())?,
        if_match: text(IF_MATCH),
        if_none_match: text(IF_NONE_MATCH),
        base,
    })
}

fn written(answered: Answered) -> Answer {
    let body = answered.body.map(|body| body.to_string());
    let mut response = Response::new(Full::from(body.clone().unwrap_or_default()));
    *response.status_mut() = answered.status;
    let headers = response.headers_mut();
    if body.is_some() {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(wardline_scim::MEDIA_TYPE),
        );
    }
    for (name, value) in [(ETAG, answered.etag), (LOCATION, answered.location)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
    if answered.status == http::StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET"));
    }
    let after = match answered.became {
        Became::Away(Verdict::Busy { retry_after, .. }) => Some(retry_after),
        Became::Away(Verdict::Refused {
            permanent: false, ..
        }) => Some(LATER),
        _ => None,
    };
    if let Some(after) = after {
        let seconds = after.as_millis().div_ceil(1000).max(1);
        headers.insert(
            RETRY_AFTER,
            u64::try_from(seconds).unwrap_or(u64::MAX).into(),
        );
    }
    response
}

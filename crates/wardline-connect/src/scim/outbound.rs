//! One delivery: found, then made, changed or removed.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::IF_MATCH;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use wardline_core::Code;

use super::resource::{Kept, Kind, Verb, Wanted, found, patch, query};
use crate::{ConnectError, Failure, FailureKind, Reply, Request, codes, http as web};

/// The media type of SCIM.
const SCIM: &str = "application/scim+json";

/// A service.
#[derive(Debug, Clone)]
pub struct OutboundConfig {
    /// How it is reached; its URL ends before `/Users`.
    pub http: web::OutboundConfig,
}

/// Keeps people and groups at a service. What is done is the request's path, behind a `/`.
pub struct Outbound {
    web: web::Outbound,
    name: Arc<str>,
}

impl Outbound {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// As [`web::Outbound::new`].
    pub fn new(mut config: OutboundConfig) -> Result<Self, ConnectError> {
        let name = Arc::clone(&config.http.name);
        config
            .http
            .headers
            .insert(http::header::ACCEPT, HeaderValue::from_static(SCIM));
        Ok(Self {
            web: web::Outbound::new(config.http)?,
            name,
        })
    }

    fn failed(&self, kind: FailureKind, code: Code, what: &str) -> Failure {
        Failure::new(kind, code, format!("{}: {what}", self.name))
    }

    fn odd(&self, what: &str) -> Failure {
        self.failed(FailureKind::Permanent, codes::SCIM_ODD, what)
    }

    /// One request of a delivery.
    async fn ask(
        &self,
        request: &Request<'_>,
        method: Method,
        path: &str,
        body: Option<&Value>,
        version: Option<&str>,
    ) -> Result<Reply, Failure> {
        // Each of the requests of a delivery is one of its own, and the same for all attempts.
        let key = format!(
            "{}-{}",
            request.idempotency_key,
            method.as_str().to_ascii_lowercase()
        );
        let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
        if let Some(version) = version.and_then(|version| HeaderValue::from_str(version).ok()) {
            headers.push((IF_MATCH, version));
        }
        let sent = Request {
            idempotency_key: &key,
            body: body.map_or_else(Bytes::new, |body| body.to_string().into()),
            content_type: SCIM,
            method: Some(method),
            path: Some(path),
            ..request.clone()
        };
        self.web.send_with(sent, &headers).await
    }

    async fn find(
        &self,
        request: &Request<'_>,
        kind: Kind,
        external_id: &str,
    ) -> Result<Option<Kept>, Failure> {
        let path = format!("{}{}", kind.path(), query(external_id));
        let reply = self.ask(request, Method::GET, &path, None, None).await;
        let reply = reply.map_err(|failure| {
            if answered(&failure, "404") {
                return self
                    .odd("it has no such resources: see whether `url` ends before `/Users`");
            }
            failure
        })?;
        if reply.truncated {
            return Err(self.odd("the answer to a search is too large"));
        }
        found(&reply.body, external_id).map_err(|why| self.odd(why))
    }

    /// The service's ids of members.
    async fn members(
        &self,
        request: &Request<'_>,
        all: &[String],
        needed: bool,
    ) -> Result<Vec<String>, Failure> {
        let mut ids = Vec::with_capacity(all.len());
        for member in all {
            match self.find(request, Kind::User, member).await? {
                Some(kept) => ids.push(kept.id),
                // Whoever is gone is no member any more.
                None if !needed => {}
                None => {
                    // It may be on its way.
                    return Err(self.failed(
                        FailureKind::Transient,
                        codes::SCIM_NOT_FOUND,
                        "a member of the group is not known there yet",
                    ));
                }
            }
        }
        Ok(ids)
    }

    async fn put(
        &self,
        request: &Request<'_>,
        kind: Kind,
        wanted: &Wanted,
    ) -> Result<Reply, Failure> {
        let members = self.members(request, &wanted.add_members, true).await?;
        let mut whole = wanted.whole(kind, &members);
        let mut known = self.find(request, kind, &wanted.external_id).await?;
        if known.is_none() {
            let made = self
                .ask(request, Method::POST, kind.path(), Some(&whole), None)
                .await;
            match made {
                Err(failure) if answered(&failure, "409") => {
                    // Somebody else made it a moment ago, or something else of it is taken.
                    known = self.find(request, kind, &wanted.external_id).await?;
                    if known.is_none() {
                        return Err(self
                            .failed(
                                FailureKind::Permanent,
                                codes::SCIM_CONFLICT,
                                "what should be unique is taken there by another",
                            )
                            .with_reply(failure.reply.map(|reply| *reply).unwrap_or_default()));
                    }
                }
                other => return other,
            }
        }
        let Some(kept) = known else {
            return Err(self.odd("it does not say what it keeps"));
        };
        if let Some(whole) = whole.as_object_mut() {
            whole.insert("id".to_owned(), kept.id.clone().into());
        }
        let path = format!("{}/{}", kind.path(), kept.id);
        self.ask(
            request,
            Method::PUT,
            &path,
            Some(&whole),
            kept.version.as_deref(),
        )
        .await
    }

    async fn change(
        &self,
        request: &Request<'_>,
        kind: Kind,
        kept: &Kept,
        operations: Vec<Value>,
    ) -> Result<Reply, Failure> {
        if operations.is_empty() {
            return Ok(unchanged("unchanged"));
        }
        let path = format!("{}/{}", kind.path(), kept.id);
        self.ask(
            request,
            Method::PATCH,
            &path,
            Some(&patch(operations)),
            kept.version.as_deref(),
        )
        .await
    }

    async fn carry_out(
        &self,
        request: &Request<'_>,
        verb: Verb,
        wanted: &Wanted,
    ) -> Result<Reply, Failure> {
        let kind = verb.kind();
        if matches!(verb, Verb::PutUser | Verb::PutGroup) {
            return self.put(request, kind, wanted).await;
        }
        let known = self.find(request, kind, &wanted.external_id).await?;
        let Some(kept) = known else {
            return match verb {
                Verb::PatchUser | Verb::PatchGroup => Err(self.failed(
                    FailureKind::Permanent,
                    codes::SCIM_NOT_FOUND,
                    "what is to be changed is not known there",
                )),
                // It is as it should be.
                _ => Ok(unchanged("absent")),
            };
        };
        match verb {
            Verb::DeactivateUser if kept.active == Some(false) => Ok(unchanged("unchanged")),
            Verb::DeactivateUser => {
                let operations = vec![json!({ "op": "replace", "path": "active", "value": false })];
                self.change(request, kind, &kept, operations).await
            }
            Verb::PatchUser | Verb::PatchGroup => {
                let add = self.members(request, &wanted.add_members, true).await?;
                let remove = self.members(request, &wanted.remove_members, false).await?;
                let operations = wanted.operations(&add, &remove);
                self.change(request, kind, &kept, operations).await
            }
            _ => {
                let path = format!("{}/{}", kind.path(), kept.id);
                let gone = self
                    .ask(
                        request,
                        Method::DELETE,
                        &path,
                        None,
                        kept.version.as_deref(),
                    )
                    .await;
                match gone {
                    Err(failure) if answered(&failure, "404") => Ok(unchanged("absent")),
                    other => other,
                }
            }
        }
    }
}

fn answered(failure: &Failure, status: &str) -> bool {
    failure
        .reply
        .as_ref()
        .is_some_and(|reply| reply.status == status)
}

fn unchanged(status: &str) -> Reply {
    Reply {
        status: status.to_owned(),
        content_type: "application/json".to_owned(),
        body: Bytes::from_static(b"{}"),
        truncated: false,
    }
}

#[async_trait]
impl crate::Outbound for Outbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let refused =
            |what: &str| self.failed(FailureKind::Permanent, codes::SCIM_UNSENDABLE, what);
        let word = request.path.unwrap_or_default().trim_start_matches('/');
        let verb =
            Verb::of(word).ok_or_else(|| refused("it is not said what is to be done there"))?;
        let wanted = Wanted::read(&request.body, verb).map_err(refused)?;
        match self.carry_out(&request, verb, &wanted).await {
            // It changed, or went, between two requests: the next attempt looks again.
            Err(failure) if answered(&failure, "412") || answered(&failure, "404") => Err(self
                .failed(
                    FailureKind::Transient,
                    codes::SCIM_CHANGED,
                    "it changed there in between",
                )
                .with_reply(failure.reply.map(|reply| *reply).unwrap_or_default())),
            Ok(mut reply) => {
                // What follows reads it as JSON.
                "application/json".clone_into(&mut reply.content_type);
                Ok(reply)
            }
            other => other,
        }
    }

    fn describe(&self) -> String {
        let inner = crate::Outbound::describe(&self.web);
        let url = inner.strip_prefix("http ").unwrap_or(&inner);
        format!("scim {url}")
    }
}

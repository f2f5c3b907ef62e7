//! What others decide: who may, what the contract says, what is durable, who is told.
//!
//! Each has a stand-in that refuses or does nothing, so that a gateway that was not joined to
//! anything lets nobody through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::Value;
use smallvec::SmallVec;
use wardline_access::Caller;
use wardline_access::mask::Classes;
use wardline_core::{Timestamp, Zone};

use crate::plan::{Api, Operation, Transform};
use crate::problem::{Kind, Problem, Violation};
use crate::route::Params;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Name of the listener it came to.
    pub listener: Arc<str>,
    /// The listener's zone.
    pub zone: Zone,
    /// Its address.
    pub address: SocketAddr,
    /// The client certificate (DER, leaf) that it proved to own.
    pub certificate: Option<Arc<[u8]>>,
    /// Whether the connection is TLS.
    pub tls: bool,
}

/// What is known of a request when it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Where it came from.
    pub peer: &'a Peer,
    /// Who sent it, where that is known.
    pub caller: Option<&'a Caller>,
    /// Its method.
    pub method: &'a Method,
    /// Its path, as sent.
    pub path: &'a str,
    /// Its query, as sent.
    pub query: Option<&'a str>,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The values of the path's parameters.
    pub params: Params<'a>,
    /// The facility that it is about.
    pub facility: Option<&'a str>,
    /// Its body, where it was read and is JSON.
    pub body: Option<&'a Value>,
    /// When it came.
    pub now: Timestamp,
}

/// What a permitted call comes with.
#[derive(Default)]
pub struct Pass {
    /// Applied to every JSON answer: masks what the caller may not see.
    pub mask: Option<Transform>,
    /// The sensitive classes that the answer may show.
    pub reveals: Classes,
    /// Headers of the answer, such as `RateLimit`.
    pub headers: SmallVec<[(HeaderName, HeaderValue); 2]>,
    /// Held until the answer is gone, such as a permit of a concurrency limit.
    pub held: Option<Box<dyn Send + Sync>>,
}

/// Says who calls and whether they may. Called for every request, so it must not block.
#[async_trait]
pub trait Gatekeeper: Send + Sync {
    /// Who sends this. The problem must not say why (`Kind::Unauthenticated`); the audit log does.
    async fn identify(&self, peer: &Peer, headers: &HeaderMap) -> Result<Arc<Caller>, Problem>;

    /// Whether this call may be made.
    async fn admit(
        &self,
        api: &Api,
        operation: &Operation,
        facts: &Facts<'_>,
    ) -> Result<Pass, Problem>;

    /// What masks the answer of `operation` where it is part of a composition that was admitted.
    /// `None` shows all of it, so the default refuses.
    fn part(
        &self,
        api: &Api,
        operation: &Operation,
        caller: Option<&Caller>,
    ) -> Result<Option<Transform>, Problem> {
        let _ = (api, operation, caller);
        Err(Kind::Forbidden.into())
    }

    /// The sensitive classes that [`Gatekeeper::part`] leaves to be seen.
    fn part_reveals(&self, api: &Api, operation: &Operation, caller: Option<&Caller>) -> Classes {
        let _ = (api, operation, caller);
        Classes::NONE
    }
}

/// Lets nobody through.
#[derive(Debug, Clone, Copy, Default)]
pub struct DenyAll;

#[async_trait]
impl Gatekeeper for DenyAll {
    async fn identify(&self, _: &Peer, _: &HeaderMap) -> Result<Arc<Caller>, Problem> {
        Err(Kind::Unauthenticated.into())
    }

    async fn admit(&self, _: &Api, _: &Operation, _: &Facts<'_>) -> Result<Pass, Problem> {
        Err(Kind::Forbidden.into())
    }
}

/// Holds what is sent against what was promised.
pub trait Contract: Send + Sync {
    /// Something that watches a JSON body while it arrives, chunk by chunk.
    fn scanner(&self, operation: &Operation) -> Option<Box<dyn Scanner>>;

    /// Holds a whole request: parameters, query, headers and body.
    fn request(
        &self,
        operation: &Operation,
        facts: &Facts<'_>,
        body: &Bytes,
    ) -> Result<(), Vec<Violation>>;

    /// Holds an answer.
    fn response(
        &self,
        operation: &Operation,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<(), Vec<Violation>>;
}

/// Watches a body while it arrives, and stops it at the byte where a limit is broken.
pub trait Scanner: Send {
    /// The next bytes.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Problem>;
    /// There are no more.
    fn finish(&mut self) -> Result<(), Problem>;
}

/// A request that is to become a message.
#[derive(Debug)]
pub struct Accepted<'a> {
    /// The Api's name.
    pub api: &'a str,
    /// The operation's name.
    pub operation: &'a str,
    /// What is known of it; its body is read.
    pub facts: Facts<'a>,
    /// Its correlation id.
    pub correlation: &'a str,
    /// Its body, unpacked.
    pub body: Bytes,
    /// Its idempotency key, where it has one and the operation takes it.
    pub once: Option<Once<'a>>,
}

/// A key under which a request is accepted once.
#[derive(Debug, Clone, Copy)]
pub struct Once<'a> {
    /// The header's value.
    pub key: &'a str,
    /// What makes two requests the same.
    pub digest: [u8; 32],
    /// How long it is remembered.
    pub keep: Duration,
}

/// A request that became a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its id.
    pub id: String,
    /// The binding that was chosen.
    pub binding: Option<Arc<str>>,
    /// Whether it was accepted before, under the same key.
    pub again: bool,
}

/// Where an accepted request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// One word, such as `accepted`, `delivered`, `failed`.
    pub state: Arc<str>,
    /// Whether it will not change any more.
    pub done: bool,
    /// When to ask again.
    pub again: Option<Duration>,
}

/// Makes messages durable and says where they are.
#[async_trait]
pub trait Acceptor: Send + Sync {
    /// Returns once it is durable. A key that came with another request is
    /// [`Kind::KeyReused`].
    async fn accept(&self, request: Accepted<'_>) -> Result<Receipt, Problem>;

    /// Where it is; `None` where the id is unknown **or another caller's**.
    async fn status(&self, id: &str, caller: Option<&Caller>) -> Result<Option<Status>, Problem>;
}

/// What is asked of a process.
#[derive(Debug)]
pub struct ProcessCall<'a> {
    /// The process.
    pub process: &'a str,
    /// The Api's name.
    pub api: &'a str,
    /// The operation's name: what an instance is told.
    pub operation: &'a str,
    /// Who asks.
    pub caller: Option<&'a Caller>,
    /// The request's correlation id.
    pub correlation: &'a str,
    /// The facility that it is about.
    pub facility: Option<&'a str>,
    /// Values of the path's parameters.
    pub params: Params<'a>,
    /// Its body, unpacked and held against the contract.
    pub body: Bytes,
    /// Its idempotency key, where it has one and the operation takes it.
    pub once: Option<Once<'a>>,
}

/// One run of a process, as callers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// One of the states that the process declares.
    pub state: Arc<str>,
    /// Whether it is over.
    pub done: bool,
    /// What came of it, where something did.
    pub result: Option<Value>,
    /// When to ask again.
    pub again: Option<Duration>,
    /// Whether the call's idempotency key was known: nothing was done this time.
    pub known: bool,
}

/// Runs processes: long work that survives restarts. The engine of processes implements it.
#[async_trait]
pub trait Processes: Send + Sync {
    /// Starts an instance; returns once that is durable. A key that came with another request is
    /// [`Kind::KeyReused`](crate::Kind::KeyReused).
    async fn start(&self, call: ProcessCall<'_>) -> Result<Instance, Problem>;

    /// Tells an instance something; returns once that is durable. `None` where there is no such
    /// instance **or it is not this caller's**.
    async fn signal(&self, id: &str, call: ProcessCall<'_>) -> Result<Option<Instance>, Problem>;

    /// How far an instance is; `None` as for [`Processes::signal`].
    async fn status(&self, id: &str, call: ProcessCall<'_>) -> Result<Option<Instance>, Problem>;
}

/// Serves an operation by itself.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Answers a whole request.
    async fn handle(&self, request: Request<Bytes>, peer: &Peer) -> Response<Bytes>;
}

/// What became of a request.
#[derive(Debug)]
pub struct Ended<'a> {
    /// The Api, where one was found.
    pub api: Option<&'a Arc<str>>,
    /// The Api's version.
    pub version: Option<&'a Arc<str>>,
    /// Its operation.
    pub operation: Option<&'a Arc<str>>,
    /// The binding that served.
    pub binding: Option<&'a Arc<str>>,
    /// Who sent it.
    pub caller: Option<&'a Arc<Caller>>,
    /// Where it came from.
    pub peer: &'a Peer,
    /// Its method.
    pub method: &'a Method,
    /// The facility that it was about.
    pub facility: Option<&'a str>,
    /// The status that is answered.
    pub status: StatusCode,
    /// The sensitive classes that the answer may show.
    pub reveals: Classes,
    /// What was wrong, where something was.
    pub problem: Option<Kind>,
    /// Its correlation id.
    pub correlation: &'a str,
    /// How long it took, from its head to the head of its answer.
    pub took: Duration,
    /// What the answer breaks of the contract, where it was held.
    pub broken: &'a [Violation],
}

/// Is told what was served: counts, logs, audits.
#[async_trait]
pub trait Observer: Send + Sync {
    /// Whether [`Observer::before_answer`] must be waited for, for this request. Must be cheap.
    fn waits(&self, ended: &Ended<'_>) -> bool {
        let _ = ended;
        false
    }

    /// Before the answer leaves, where [`Observer::waits`]: makes the audit entry durable. An
    /// error takes the answer's place, so that nothing sensitive is read without a record.
    async fn before_answer(&self, ended: &Ended<'_>) -> Result<(), Problem> {
        let _ = ended;
        Ok(())
    }

    /// Of every request. Must not block.
    fn ended(&self, ended: &Ended<'_>);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Observer for Nobody {
    fn ended(&self, _: &Ended<'_>) {}
}

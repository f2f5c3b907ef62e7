//! Resources that are kept for their senders to read back: what a listener asks of the engine
//! beyond taking messages. Each changes with the message that changes it, or not at all.

use async_trait::async_trait;
use bytes::Bytes;
use wardline_core::MessageId;

use crate::{Received, Verdict};

/// How a resource is looked for.
#[derive(Debug, Clone, Copy)]
pub enum ResourceBy<'a> {
    /// By its own name.
    Id([u8; 16]),
    /// By what is unique among its kind.
    Unique(&'a str),
    /// By the name that its sender has for it, which may be that of several.
    Known(&'a str),
}

/// A resource as it stands.
#[derive(Clone)]
pub struct Resource {
    /// Its place in the order in which resources were made.
    pub place: i64,
    /// Its name.
    pub id: [u8; 16],
    /// How often it was changed, from 1.
    pub version: u64,
    /// The whole of it.
    pub body: Bytes,
}

/// How a message changes a resource.
pub struct ResourceChange {
    /// What it is.
    pub kind: u8,
    /// Its name.
    pub id: [u8; 16],
    /// The version that was changed; `None` where it is new.
    pub was: Option<u64>,
    /// What it is now; `None` where it is gone.
    pub now: Option<ResourceState>,
}

/// What is kept of a resource.
pub struct ResourceState {
    /// What nobody else of its kind may have.
    pub unique: Option<String>,
    /// The name that its sender has for it.
    pub known: Option<String>,
    /// The whole of it.
    pub body: Bytes,
}

/// What became of a message that changes a resource.
#[derive(Debug)]
pub enum Kept {
    /// Both are on stable storage.
    Accepted(MessageId),
    /// It has another version, or is gone; nothing was recorded.
    Changed,
    /// What should be unique belongs to another; nothing was recorded.
    Taken,
    /// So many are kept that no new one is taken.
    Full,
    /// The message was not taken.
    Not(Verdict),
}

/// Keeps resources. Implemented by the engine beside [`Intake`](crate::Intake).
#[async_trait]
pub trait Resources: Send + Sync {
    /// Makes a message durable, and the change that it is to a resource.
    async fn keep(&self, received: Received, change: ResourceChange) -> Kept;

    /// A resource of a connection. Two, where one name is that of several: all are found by
    /// [`Resources::some`].
    async fn find(
        &self,
        source: &str,
        kind: u8,
        by: ResourceBy<'_>,
    ) -> Result<Vec<Resource>, Verdict>;

    /// Resources in the order in which they were made, above place `after`, `skip` of them left
    /// out. May be fewer than `limit`: only an empty answer means the end.
    async fn some(
        &self,
        source: &str,
        kind: u8,
        after: i64,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<Resource>, Verdict>;

    /// How many there are.
    async fn count(&self, source: &str, kind: u8) -> Result<u64, Verdict>;

    /// Writes down that resources were given out, before they are: in words that hold nothing of them.
    async fn given(&self, source: &str, what: String) -> Result<(), Verdict>;

    /// A text in sealed words, for somebody who is to bring it back without reading or changing it.
    fn marked(&self, source: &str, text: &str) -> Result<String, Verdict>;

    /// The text of [`Resources::marked`]; `None` where the words are not ours, or too old.
    fn unmarked(&self, source: &str, words: &str) -> Option<String>;
}

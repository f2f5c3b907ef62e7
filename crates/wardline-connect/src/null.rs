//! A destination that takes everything, for measurements and trials: what is left of the time
//! is the engine's own.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::{Failure, Reply, Request};

/// Accepts everything at once and counts it.
#[derive(Debug, Default)]
pub struct Outbound {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Outbound {
    /// A destination that has taken nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many messages it took.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// How many bytes these had.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl crate::Outbound for Outbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes
            .fetch_add(request.body.len() as u64, Ordering::Relaxed);
        Ok(Reply {
            status: "taken".into(),
            ..Reply::default()
        })
    }

    fn describe(&self) -> String {
        "null".into()
    }
}

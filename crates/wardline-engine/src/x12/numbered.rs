//! A sender whose interchanges get their control numbers as they leave.

use super::ledger::{Ledger, LedgerError};
use crate::codes;
use async_trait::async_trait;
use std::sync::Arc;
use wardline_connect::{Failure, FailureKind, Outbound, Reply, Request};
use wardline_core::Clock;

/// Sends what another sender sends, numbered.
pub(crate) struct Numbered {
    pub(crate) inner: Arc<dyn Outbound>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl Outbound for Numbered {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let key = request.idempotency_key;
        let now = self.clock.now();
        let made = self.ledger.number(key, &request.body, now).await;
        let made = made.map_err(|error| {
            let (kind, code) = match &error {
                LedgerError::Number(_) => (FailureKind::Permanent, codes::NOT_NUMBERED),
                LedgerError::Store(error) => (FailureKind::Transient, error.code()),
                LedgerError::Full => (FailureKind::Transient, codes::NOT_NUMBERED),
            };
            Failure::new(kind, code, format!("no control number was given: {error}"))
        })?;
        let sent = Request {
            body: made.bytes.into(),
            ..request.clone()
        };
        let reply = self.inner.send(sent).await?;
        self.ledger.sent(key).await;
        Ok(reply)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

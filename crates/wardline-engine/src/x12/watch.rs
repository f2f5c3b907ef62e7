//! Partners who say nothing: what was sent and not acknowledged in time becomes a dead letter.

use crate::accept::Acceptor;
use crate::codes;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wardline_connect::{ContentType, Intake as _, Received, Verdict};
use wardline_core::Timestamp;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(10);

/// Looks until it is stopped.
pub(crate) async fn watch(acceptor: Arc<Acceptor>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let plan = acceptor.plan();
        let sources = plan.sources.iter();
        let asked = sources.filter_map(|(name, source)| {
            let told = source.told_of.as_ref()?;
            Some((Arc::clone(name), Arc::clone(&told.connection), told.within?))
        });
        for (source, connection, within) in asked {
            look(&acceptor, &source, &connection, within).await;
        }
    }
}

async fn look(acceptor: &Arc<Acceptor>, source: &Arc<str>, connection: &str, within: Duration) {
    let now = acceptor.clock.now();
    let within = i64::try_from(within.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp(now.0.saturating_sub(within));
    let ledger = acceptor.ledgers.of(connection);
    let silent = match ledger.silent(before).await {
        Ok(silent) => silent,
        Err(error) => {
            tracing::warn!(connection, %error, "the book of what was sent cannot be read");
            return;
        }
    };
    let mut told = Vec::new();
    for (control, delivery) in silent {
        let text = format!("interchange {control} of {connection} was not acknowledged in time");
        tracing::warn!(connection, control, delivery, code = %codes::NOT_ANSWERED, "an interchange was not acknowledged in time");
        let received = Received {
            source: Arc::clone(source),
            content_type: ContentType::Text,
            body: Bytes::from(control.to_string()),
            received: now,
            peer: None,
            headers: Vec::new(),
            answer: Bytes::new(),
            once: Some(format!("unanswered {delivery}")),
            fault: Some((codes::NOT_ANSWERED, text)),
        };
        match acceptor.accept(received).await {
            Verdict::Accepted { .. } | Verdict::Duplicate { .. } => told.push(delivery),
            // It is told at the next look.
            Verdict::Refused { .. } | Verdict::Busy { .. } => {}
        }
    }
    if !told.is_empty()
        && let Err(error) = ledger.late(&told).await
    {
        tracing::warn!(connection, %error, "the book of what was sent cannot be written");
    }
}

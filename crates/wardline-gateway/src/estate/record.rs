//! What leaves a mark: every answer that may show what others must not see is in the audit log
//! before it leaves.

use crate::problem::{Kind, Problem};
use crate::seam::{Ended, Observer};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use wardline_engine::Recorder;
use wardline_vault::AuditEntry;

/// When to come again where the log does not take entries.
const SOON: Duration = Duration::from_secs(2);

/// Records what is revealed.
pub(super) struct Records(pub(super) Arc<Recorder>);

#[async_trait]
impl Observer for Records {
    fn waits(&self, ended: &Ended<'_>) -> bool {
        ended.status.is_success() && !ended.reveals.is_empty()
    }

    async fn before_answer(&self, ended: &Ended<'_>) -> Result<(), Problem> {
        self.0.record(entry(ended)).await.map_err(|_| {
            tracing::warn!(
                correlation = ended.correlation,
                "an answer is withheld: the audit log does not take its entry"
            );
            Problem::new(Kind::NotRecorded).retry_after(SOON)
        })
    }

    fn ended(&self, _: &Ended<'_>) {}
}

fn entry(ended: &Ended<'_>) -> AuditEntry {
    let actor = match ended.caller {
        Some(caller) => format!("client:{}", caller.name),
        None => format!("address:{}", ended.peer.address.ip()),
    };
    let name = |name: Option<&Arc<str>>| name.map_or("", |name| name).to_owned();
    let target = format!("{}.{}", name(ended.api), name(ended.operation));
    let classes: Vec<String> = ended
        .reveals
        .iter()
        .map(|class| format!("{class:?}").to_lowercase())
        .collect();
    let purpose = ended.caller.and_then(|caller| caller.purpose.as_deref());
    AuditEntry::new(actor, "call.reveal", target)
        .because(purpose.map_or_else(String::new, |purpose| format!("purpose {purpose}")))
        .with("classes", classes)
        .with("method", ended.method.as_str())
        .with("binding", name(ended.binding))
        .with("facility", ended.facility.unwrap_or_default())
        .with("correlation", ended.correlation)
        .with("address", ended.peer.address.ip().to_string())
}

//! Where quotas are kept: in the journal, beside everything else that a restart must not forget.

use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;
use wardline_access::quota::{QuotaStore, Saved, StoreFailed};
use wardline_store::{Change, Store};

/// Quotas in the journal.
pub(crate) struct Kept(pub(crate) Arc<dyn Store>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

fn name(quota: &str) -> String {
    format!("quota/{quota}")
}

fn failed(error: &dyn fmt::Display) -> StoreFailed {
    tracing::error!(%error, "quotas cannot be kept");
    StoreFailed
}

#[async_trait]
impl QuotaStore for Kept {
    async fn load(&self, quota: &str) -> Result<Option<Saved>, StoreFailed> {
        let bytes = self.0.meta(&name(quota)).await;
        let Some(bytes) = bytes.map_err(|error| failed(&error))? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| failed(&error))
    }

    async fn save(&self, quotas: &[(String, Saved)]) -> Result<(), StoreFailed> {
        let changes: Result<Vec<Change>, serde_json::Error> = quotas
            .iter()
            .map(|(quota, saved)| {
                Ok(Change::SetMeta {
                    name: name(quota),
                    value: serde_json::to_vec(saved)?,
                })
            })
            .collect();
        let changes = changes.map_err(|error| failed(&error))?;
        let kept = self.0.commit(changes).await;
        kept.map(drop).map_err(|error| failed(&error))
    }
}

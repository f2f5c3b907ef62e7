//! Resources that senders read back (SCIM, FHIR): a message and the change that it is are one commit;
//! what is read was committed. They are sealed with keys that live as long as they do.

use super::{Acceptor, refusal};
use crate::codes;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;
use wardline_connect::{Kept, Received, Resource, ResourceBy, ResourceChange, Resources, Verdict};
use wardline_core::{MessageId, Sealed, Sym};
use wardline_store::{Change, Outcome, ResourceRow, ResourceStanding, ResourceState, StoreError};
use wardline_vault::{AuditEntry, Kind};

impl Acceptor {
    fn resource_name(&self, source: &str, what: &str, text: &str) -> [u8; 16] {
        let parts = [
            b"resource".as_slice(),
            source.as_bytes(),
            what.as_bytes(),
            text.as_bytes(),
        ];
        self.vault.dedup_hash(parts)
    }

    fn resource_source(&self, source: &str) -> Result<Sym, Verdict> {
        self.known(source).map_err(|error| refusal(&error.into()))
    }

    fn opened(&self, row: &ResourceRow) -> Result<Resource, Verdict> {
        let body = self.vault.open_sealed(Kind::Record, &row.sealed);
        Ok(Resource {
            place: row.place,
            id: row.id,
            version: row.version,
            body: body.map_err(|error| refusal(&error.into()))?,
        })
    }

    fn change_of(
        &self,
        source: &str,
        change: ResourceChange,
    ) -> Result<wardline_store::ResourceChange, Verdict> {
        let name = |what: &str, text: Option<String>| {
            text.map(|text| self.resource_name(source, what, &text))
        };
        let now = match change.now {
            None => None,
            Some(now) => Some(ResourceState {
                unique: name("unique", now.unique),
                known: name("known", now.known),
                sealed: self
                    .vault
                    .seal(Kind::Record, &now.body)
                    .map_err(|error| refusal(&error.into()))?,
            }),
        };
        Ok(wardline_store::ResourceChange {
            source: self.resource_source(source)?,
            kind: change.kind,
            id: change.id,
            was: change.was,
            now,
        })
    }

    async fn kept(&self, received: Received, change: ResourceChange) -> Result<Kept, Verdict> {
        let plan = self.open_for()?;
        let Some(source) = plan.sources.get(&received.source) else {
            return Err(super::gone(&received.source));
        };
        let prepared = self.prepare(&plan, &received, source);
        let (mut acceptance, _) = prepared.map_err(|error| refusal(&error))?;
        // What is the same twice has one version; it is not recognised by its fields.
        acceptance.dedup = None;
        acceptance.resource = Some(Box::new(self.change_of(&received.source, change)?));
        let commit = vec![Change::Accept(Box::new(acceptance))];
        let outcomes = self.store.commit(commit).await;
        let outcomes = outcomes.map_err(|error| refusal(&error.into()))?;
        let kept = match outcomes.into_iter().next() {
            Some(Outcome::Accepted(accepted)) => Kept::Accepted(MessageId(accepted.first)),
            Some(Outcome::Unfit(ResourceStanding::Changed)) => Kept::Changed,
            Some(Outcome::Unfit(ResourceStanding::Taken)) => Kept::Taken,
            Some(Outcome::Unfit(ResourceStanding::Full)) => Kept::Full,
            _ => return Err(refusal(&StoreError::Closed.into())),
        };
        if let Some(latency) = self.latency(&received.source) {
            latency.record(self.clock.now().since(received.received));
        }
        Ok(kept)
    }
}

#[async_trait]
impl Resources for Acceptor {
    async fn keep(&self, received: Received, change: ResourceChange) -> Kept {
        self.kept(received, change).await.unwrap_or_else(Kept::Not)
    }

    async fn find(
        &self,
        source: &str,
        kind: u8,
        by: ResourceBy<'_>,
    ) -> Result<Vec<Resource>, Verdict> {
        let by = match by {
            ResourceBy::Id(id) => wardline_store::ResourceBy::Id(id),
            ResourceBy::Unique(text) => {
                wardline_store::ResourceBy::Unique(self.resource_name(source, "unique", text))
            }
            ResourceBy::Known(text) => {
                wardline_store::ResourceBy::Known(self.resource_name(source, "known", text))
            }
        };
        let from = self.resource_source(source)?;
        let rows = self.store.resource(from, kind, by).await;
        let rows = rows.map_err(|error| refusal(&error.into()))?;
        rows.iter().map(|row| self.opened(row)).collect()
    }

    async fn some(
        &self,
        source: &str,
        kind: u8,
        after: i64,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<Resource>, Verdict> {
        let from = self.resource_source(source)?;
        let rows = self.store.resources(from, kind, after, skip, limit).await;
        let rows = rows.map_err(|error| refusal(&error.into()))?;
        rows.iter().map(|row| self.opened(row)).collect()
    }

    async fn count(&self, source: &str, kind: u8) -> Result<u64, Verdict> {
        let from = self.resource_source(source)?;
        let count = self.store.resource_count(from, kind).await;
        count.map_err(|error| refusal(&error.into()))
    }

    async fn given(&self, source: &str, what: String) -> Result<(), Verdict> {
        let unwritten = || Verdict::Busy {
            code: codes::JOURNAL_UNAVAILABLE,
            text: "what is read cannot be written down now".to_owned(),
            retry_after: Duration::from_secs(2),
        };
        let desk = self.desk.get().and_then(std::sync::Weak::upgrade);
        let desk = desk.ok_or_else(unwritten)?;
        let mut entry = AuditEntry::new(format!("connection:{source}"), "resource.read", source);
        entry.reason = what;
        desk.record(&entry).await.map_err(|error| {
            tracing::error!(%error, source, "what senders read could not be written down");
            unwritten()
        })
    }

    fn marked(&self, source: &str, text: &str) -> Result<String, Verdict> {
        let text = format!("{source} {text}");
        let sealed = self.vault.seal(Kind::Record, text.as_bytes());
        let sealed = sealed.map_err(|error| refusal(&error.into()))?;
        Ok(URL_SAFE_NO_PAD.encode(sealed.as_sealed_bytes()))
    }

    fn unmarked(&self, source: &str, words: &str) -> Option<String> {
        let sealed = URL_SAFE_NO_PAD.decode(words).ok()?;
        let sealed = Sealed::from_sealed_bytes(sealed.into());
        let text = self.vault.open_sealed(Kind::Record, &sealed).ok()?;
        // What is sealed for one connection says nothing to another.
        let text = std::str::from_utf8(&text).ok()?.strip_prefix(source)?;
        Some(text.strip_prefix(' ')?.to_owned())
    }
}

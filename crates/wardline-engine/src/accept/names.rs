//! Names become numbers: those of the estate before the first message, those that senders chose
//! as they come, up to a bound.

use super::Acceptor;
use crate::plan::Plan;
use crate::route;
use ahash::AHashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use wardline_core::Sym;
use wardline_store::StoreError;

/// Kinds of messages that senders may introduce; further ones are recorded as `other`.
const MAX_KINDS: usize = 4_096;

impl Acceptor {
    /// The number of a name; new names wait for the disk once.
    pub(crate) async fn sym(&self, name: &str) -> Result<Sym, StoreError> {
        match self.store.lookup(name) {
            Some(sym) => Ok(sym),
            None => self.store.intern(name).await,
        }
    }

    /// Names that must exist before the first message of a plan.
    pub(crate) async fn intern_all(&self, plan: &Plan) -> Result<(), StoreError> {
        let mut names: AHashSet<&str> = AHashSet::new();
        names.extend([
            "other",
            "unreadable",
            route::JSON,
            route::HL7,
            route::X12,
            "text/plain",
            "application/octet-stream",
            "application/xml",
        ]);
        names.extend(plan.sources.keys().map(|name| &**name));
        names.extend(plan.destinations.keys().map(|name| &**name));
        names.extend(plan.later.keys().map(|name| &**name));
        for flow in plan.flows.iter() {
            names.extend([&*flow.name, &*flow.failed]);
            names.extend(flow.emit.iter().map(|event| &*event.name));
            names.extend(
                flow.targets
                    .iter()
                    .filter_map(|t| t.then.as_ref())
                    .map(|then| &*then.emit.name),
            );
        }
        for name in names {
            self.sym(name).await?;
        }
        for name in plan.processes.names() {
            self.sym(&name).await?;
        }
        Ok(())
    }

    /// The number of a message kind that a sender chose. Waits on this thread rather than
    /// yielding: a message must not be overtaken by the next one of its connection only
    /// because its type is new.
    pub(super) fn kind(&self, name: &str) -> Result<Sym, StoreError> {
        let name = if is_plain(name) { name } else { "other" };
        if let Some(sym) = self.store.lookup(name) {
            return Ok(sym);
        }
        let known = self.kinds.fetch_add(1, Ordering::Relaxed);
        let name = if known < MAX_KINDS {
            name.to_owned()
        } else {
            "other".to_owned()
        };
        let handle = tokio::runtime::Handle::current();
        let store = Arc::clone(&self.store);
        if handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread {
            tokio::task::block_in_place(|| {
                handle.block_on(async move { store.intern(&name).await })
            })
        } else {
            // One thread: block another one, this one only waits for it.
            std::thread::scope(|scope| {
                let worker =
                    scope.spawn(move || handle.block_on(async move { store.intern(&name).await }));
                worker.join().unwrap_or(Err(StoreError::Closed))
            })
        }
    }

    pub(super) fn kind_of_content(&self, content_type: &str) -> Result<Sym, StoreError> {
        match self.store.lookup(content_type) {
            Some(sym) => Ok(sym),
            None => self.kind(content_type),
        }
    }

    pub(super) fn known(&self, name: &str) -> Result<Sym, StoreError> {
        self.store.lookup(name).ok_or(StoreError::Database {
            doing: "looking up a name of the estate",
            reason: format!("`{name}` was not recorded at start"),
        })
    }
}

/// Whether a name that a sender chose may become a name of ours.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'^' | b'_' | b'-' | b'.' | b'/' | b'+')
        })
}

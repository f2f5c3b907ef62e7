//! The trait on the SQLite store: writes go through the queue, reads to the readers.

use super::queue::{Answer, Work};
use super::{
    SqliteStore, counts, instances, mail, names, read, resource, search, tasks, trace, waits,
};
use crate::change::{AuditRecord, Change, Lease, Outcome};
use crate::error::StoreError;
use crate::process::{
    HistoryRow, InstanceCount, InstanceFilter, InstanceRow, Mail, MailId, TaskFilter, TaskRow,
    TimerRow, WaitRow,
};
use crate::query::{
    Count, CounterKind, DeliveryFilter, DeliveryRow, ErrorGroup, Gauge, LaneRow, MessageFilter,
    MessageRow, Page, PruneReport, PruneRequest, Ready, ResourceBy, ResourceRow, Series,
    StoreStatus, TimeRange, Trace,
};
use crate::{CommitListener, Store};
use async_trait::async_trait;
use rusqlite::Connection;
use std::sync::Arc;
use wardline_core::{
    BlindIndex, DeliveryId, Id, InstanceId, Lane, MessageId, Sealed, Sym, TaskId, Timestamp,
};

fn unexpected<T>() -> Result<T, StoreError> {
    Err(StoreError::Database {
        doing: "talking to the writer",
        reason: "an answer to another question".into(),
    })
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, changes: Vec<Change>) -> Result<Vec<Outcome>, StoreError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        match self.queue.call(Work::Commit(changes)).await? {
            Answer::Outcomes(outcomes) => Ok(outcomes),
            _ => unexpected(),
        }
    }

    async fn intern(&self, name: &str) -> Result<Sym, StoreError> {
        if let Some(sym) = self.lookup(name) {
            return Ok(sym);
        }
        if name.is_empty() || name.len() > names::MAX_NAME_BYTES {
            let most = names::MAX_NAME_BYTES;
            return Err(StoreError::Invalid(format!(
                "a name of {} bytes; 1 to {most} are taken",
                name.len()
            )));
        }
        match self.queue.call(Work::Intern(name.to_owned())).await? {
            Answer::Sym(sym) => Ok(sym),
            _ => unexpected(),
        }
    }

    fn name(&self, sym: Sym) -> Option<Arc<str>> {
        self.shared.names.read().name(sym)
    }

    fn lookup(&self, name: &str) -> Option<Sym> {
        self.shared.names.read().number(name)
    }

    fn listen(&self, listener: Arc<dyn CommitListener>) {
        *self.shared.listener.write() = Some(listener);
    }

    fn lease(&self) -> Lease {
        self.shared.lease
    }

    async fn window(
        &self,
        destination: Sym,
        lane: Lane,
        after: Id,
        limit: usize,
    ) -> Result<Vec<Ready>, StoreError> {
        let query = move |conn: &Connection| read::window(conn, destination, lane, after, limit);
        self.readers.run("reading what is owed", query).await
    }

    async fn key_window(
        &self,
        destination: Sym,
        lane: Lane,
        key: Option<BlindIndex>,
        from: Id,
        limit: usize,
    ) -> Result<Vec<Ready>, StoreError> {
        let query =
            move |conn: &Connection| read::key_window(conn, destination, lane, key, from, limit);
        self.readers
            .run("reading what is owed for a key", query)
            .await
    }

    async fn stopped_keys(
        &self,
        destination: Option<Sym>,
        after: Id,
        limit: usize,
    ) -> Result<Vec<LaneRow>, StoreError> {
        let query = move |conn: &Connection| read::stopped_keys(conn, destination, after, limit);
        self.readers
            .run("reading which keys are stopped", query)
            .await
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageRow>, StoreError> {
        self.readers
            .run("reading a message", move |conn| read::message(conn, id.0))
            .await
    }

    async fn payload(&self, id: MessageId) -> Result<Option<Sealed>, StoreError> {
        self.readers
            .run("reading a payload", move |conn| read::payload(conn, id))
            .await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>, StoreError> {
        self.readers
            .run("reading a delivery", move |conn| read::delivery(conn, id.0))
            .await
    }

    async fn delivery_body(&self, id: DeliveryId) -> Result<Option<Sealed>, StoreError> {
        self.readers
            .run("reading a delivery's body", move |conn| {
                read::delivery_body(conn, id)
            })
            .await
    }

    async fn response(&self, id: DeliveryId) -> Result<Option<Sealed>, StoreError> {
        self.readers
            .run("reading an answer", move |conn| read::response(conn, id))
            .await
    }

    async fn trace(&self, id: Id, limit: usize) -> Result<Option<Trace>, StoreError> {
        self.readers
            .run("reading a trace", move |conn| trace::trace(conn, id, limit))
            .await
    }

    async fn messages(&self, filter: &MessageFilter) -> Result<Page<MessageRow>, StoreError> {
        let filter = filter.clone();
        self.readers
            .run("searching messages", move |conn| {
                search::messages(conn, &filter)
            })
            .await
    }

    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<DeliveryRow>, StoreError> {
        let filter = filter.clone();
        self.readers
            .run("searching deliveries", move |conn| {
                search::deliveries(conn, &filter)
            })
            .await
    }

    async fn error_groups(&self, limit: usize) -> Result<Vec<ErrorGroup>, StoreError> {
        self.readers
            .run("grouping failures", move |conn| {
                counts::error_groups(conn, limit)
            })
            .await
    }

    async fn gauges(&self) -> Result<Vec<Gauge>, StoreError> {
        self.readers.run("reading gauges", counts::gauges).await
    }

    async fn totals(&self) -> Result<Vec<Count>, StoreError> {
        self.readers.run("reading totals", counts::totals).await
    }

    async fn series(
        &self,
        kind: CounterKind,
        name: Option<Sym>,
        range: TimeRange,
    ) -> Result<Series, StoreError> {
        self.readers
            .run("reading a series", move |conn| {
                counts::series(conn, kind, name, range)
            })
            .await
    }

    async fn instance(&self, id: InstanceId) -> Result<Option<InstanceRow>, StoreError> {
        self.readers
            .run("reading an instance", move |conn| {
                instances::instance(conn, id)
            })
            .await
    }

    async fn instance_state(&self, id: InstanceId) -> Result<Option<Sealed>, StoreError> {
        self.readers
            .run("reading an instance's variables", move |conn| {
                instances::state(conn, id)
            })
            .await
    }

    async fn instances_of(
        &self,
        process: Sym,
        key: BlindIndex,
        limit: usize,
    ) -> Result<Vec<InstanceRow>, StoreError> {
        self.readers
            .run("reading the instances of a key", move |conn| {
                instances::of_key(conn, process, key, limit)
            })
            .await
    }

    async fn instances(&self, filter: &InstanceFilter) -> Result<Page<InstanceRow>, StoreError> {
        let filter = filter.clone();
        self.readers
            .run("searching instances", move |conn| {
                search::instances(conn, &filter)
            })
            .await
    }

    async fn instance_counts(&self) -> Result<Vec<InstanceCount>, StoreError> {
        self.readers
            .run("reading how many instances there are", instances::counts)
            .await
    }

    async fn history(
        &self,
        id: InstanceId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        self.readers
            .run("reading an instance's history", move |conn| {
                instances::history(conn, id, after, limit)
            })
            .await
    }

    async fn calls(&self, id: InstanceId) -> Result<Vec<(u32, DeliveryRow)>, StoreError> {
        self.readers
            .run("reading an instance's calls", move |conn| {
                instances::calls(conn, id)
            })
            .await
    }

    async fn troubled(&self, limit: usize) -> Result<Vec<(InstanceId, Sym)>, StoreError> {
        self.readers
            .run(
                "looking for instances whose calls are tried again",
                move |conn| instances::troubled(conn, limit),
            )
            .await
    }

    async fn waiting(
        &self,
        correlator: Sym,
        key: BlindIndex,
        limit: usize,
    ) -> Result<Vec<WaitRow>, StoreError> {
        self.readers
            .run("reading who waits", move |conn| {
                waits::waiting(conn, correlator, key, limit)
            })
            .await
    }

    async fn mail_for(
        &self,
        correlator: Sym,
        key: BlindIndex,
        limit: usize,
    ) -> Result<Vec<Mail>, StoreError> {
        let now = self.shared.clock.now();
        self.readers
            .run("reading mail", move |conn| {
                mail::mail_for(conn, correlator, key, now, limit)
            })
            .await
    }

    async fn unread(&self, after: MailId, limit: usize) -> Result<Vec<Mail>, StoreError> {
        self.readers
            .run("reading new mail", move |conn| {
                mail::unread(conn, after, limit)
            })
            .await
    }

    async fn timers(
        &self,
        until: Timestamp,
        after: Option<TimerRow>,
        limit: usize,
    ) -> Result<Vec<TimerRow>, StoreError> {
        self.readers
            .run("reading timers", move |conn| {
                waits::timers(conn, until, after, limit)
            })
            .await
    }

    async fn next_timer(&self, after: Option<Timestamp>) -> Result<Option<Timestamp>, StoreError> {
        self.readers
            .run("reading the next timer", move |conn| {
                waits::next_timer(conn, after)
            })
            .await
    }

    async fn task(&self, id: TaskId) -> Result<Option<TaskRow>, StoreError> {
        self.readers
            .run("reading a task", move |conn| tasks::task(conn, id))
            .await
    }

    async fn tasks(&self, filter: &TaskFilter) -> Result<Page<TaskRow>, StoreError> {
        let filter = filter.clone();
        self.readers
            .run("searching tasks", move |conn| search::tasks(conn, &filter))
            .await
    }

    async fn resource(
        &self,
        source: Sym,
        kind: u8,
        by: ResourceBy,
    ) -> Result<Vec<ResourceRow>, StoreError> {
        let query = move |conn: &Connection| resource::one(conn, source, kind, by);
        self.readers.run("reading a resource", query).await
    }

    async fn resources(
        &self,
        source: Sym,
        kind: u8,
        after: i64,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<ResourceRow>, StoreError> {
        let query = move |conn: &Connection| resource::some(conn, source, kind, after, skip, limit);
        self.readers.run("reading resources", query).await
    }

    async fn resource_count(&self, source: Sym, kind: u8) -> Result<u64, StoreError> {
        let query = move |conn: &Connection| resource::count(conn, source, kind);
        self.readers.run("counting resources", query).await
    }

    async fn audit(&self, from: u64, limit: usize) -> Result<Vec<AuditRecord>, StoreError> {
        self.readers
            .run("reading the audit log", move |conn| {
                read::audit(conn, Some(from), limit)
            })
            .await
    }

    async fn audit_head(&self) -> Result<Option<AuditRecord>, StoreError> {
        let last = self
            .readers
            .run("reading the audit log", |conn| read::audit(conn, None, 1))
            .await?;
        Ok(last.into_iter().next())
    }

    async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let name = name.to_owned();
        self.readers
            .run("reading a value", move |conn| read::meta(conn, &name))
            .await
    }

    async fn prune(&self, request: &PruneRequest) -> Result<PruneReport, StoreError> {
        match self.queue.call(Work::Prune(*request)).await? {
            Answer::Pruned(report) => Ok(report),
            _ => unexpected(),
        }
    }

    fn status(&self) -> StoreStatus {
        self.shared
            .health
            .status(&self.shared.path, self.queue.len())
    }

    async fn close(&self) -> Result<(), StoreError> {
        if let Some(finished) = self.queue.close() {
            finished.await.unwrap_or(Err(StoreError::Closed))?;
        }
        self.readers.close();
        *self.shared.listener.write() = None;
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
            if !joined.unwrap_or(false) {
                return Err(StoreError::Database {
                    doing: "stopping the journal's writer",
                    reason: "it ended by a panic".into(),
                });
            }
        }
        Ok(())
    }
}

//! The durable journal behind one trait.
//!
//! [`Store::commit`] is the only way anything changes: a list of [`Change`]s that happen
//! together or not at all, durable before the call returns. Everything else reads. The
//! SQLite implementation is [`sqlite::SqliteStore`]; `conformance` is the suite that every
//! implementation passes.
//!
//! Promises kept here: acknowledged is durable (1), accepted order is id order (2), counts
//! are kept by the writer and never by counting hot tables (5), overload answers
//! [`StoreError::Busy`] instead of growing (6).
//!
//! Start with [`Store`], [`Acceptance`] and [`Settlement`].

mod change;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod measure;
mod process;
mod query;
pub mod sqlite;

pub use change::{
    Acceptance, Accepted, AuditRecord, Cause, Change, Dedup, Duplicate, KeyBegin, KeyEnd,
    KeyStanding, Lease, MessageRef, NewDelivery, NewMessage, Note, Operation, Outcome,
    ResourceChange, ResourceStanding, ResourceState, Route, RouteOutcome, Settlement,
    SettlementResult, Term,
};
pub use error::StoreError;
pub use process::{
    Advance, Advanced, CallRef, History, HistoryRow, InstanceCount, InstanceFilter, InstanceRow,
    Mail, MailId, MailTo, NewMail, NewTask, NewTimer, NewWait, Phase, TaskAct, TaskEnd, TaskFilter,
    TaskRow, TimerRow, WITHDRAWN, WaitRow, Which,
};
pub use query::{
    Attempt, Count, CounterKind, DeliveryFilter, DeliveryRow, ErrorGroup, Gauge, LaneRow, Link,
    LinkKind, MessageFilter, MessageOutcome, MessageRow, Page, PruneReport, PruneRequest, Ready,
    ResourceBy, ResourceRow, Series, StoreStatus, Taken, TimeRange, Trace,
};

use async_trait::async_trait;
use std::sync::Arc;
use wardline_core::{
    BlindIndex, DeliveryId, Id, InstanceId, Lane, MessageId, Sealed, Sym, TaskId, Timestamp,
};

/// Hears of deliveries the moment they are durable, in the order of their ids, and before the
/// commit that made them returns. Released deliveries are told of again. Called on the
/// writer's thread: must not block. A listener that has no room forgets and reads
/// [`Store::window`] later; nothing depends on being told.
pub trait CommitListener: Send + Sync {
    /// These deliveries were committed and are owed now.
    fn committed(&self, ready: &[Ready]);

    /// Whoever waited for the commit that was told has been answered, and had a moment for what
    /// they do next. Waking those who send is better done now than in [`Self::committed`].
    fn answered(&self) {}

    /// This mail was committed, in the order of its ids.
    fn mailed(&self, mail: &[Mail]) {
        let _ = mail;
    }
    /// Timers were set, the earliest of them for this time.
    fn timed(&self, earliest: Timestamp) {
        let _ = earliest;
    }
}

/// A durable journal. All methods may be called from many tasks at once.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes every change durable in one transaction, or none. Calls from many tasks share
    /// transactions and one `fsync`; the call returns after it. Outcomes stand in the order
    /// of the changes.
    async fn commit(&self, changes: Vec<Change>) -> Result<Vec<Outcome>, StoreError>;

    /// The lasting number of a name; equal names always get equal numbers.
    async fn intern(&self, name: &str) -> Result<Sym, StoreError>;
    /// The name of a number.
    fn name(&self, sym: Sym) -> Option<Arc<str>>;
    /// The number of a name, if it was ever interned.
    fn lookup(&self, name: &str) -> Option<Sym>;

    /// Sets who hears of new deliveries. There is one listener; setting replaces it.
    fn listen(&self, listener: Arc<dyn CommitListener>);
    /// The lease under which this process settles.
    fn lease(&self) -> Lease;

    /// Open deliveries of one destination and lane with ids above `after`, oldest first. May
    /// return fewer than `limit` where bodies are large: only an empty answer means the end.
    async fn window(
        &self,
        destination: Sym,
        lane: Lane,
        after: Id,
        limit: usize,
    ) -> Result<Vec<Ready>, StoreError>;
    /// The same for one key (`None`: the deliveries without a key), starting *at* `from`. Its
    /// cost does not depend on how many deliveries of other keys stand in front.
    async fn key_window(
        &self,
        destination: Sym,
        lane: Lane,
        key: Option<BlindIndex>,
        from: Id,
        limit: usize,
    ) -> Result<Vec<Ready>, StoreError>;
    /// Every key that is not simply flowing: retrying or held, with its head; in the order of
    /// heads, above `after`. Each retrying or held delivery without a key is listed too.
    async fn stopped_keys(
        &self,
        destination: Option<Sym>,
        after: Id,
        limit: usize,
    ) -> Result<Vec<LaneRow>, StoreError>;

    /// One message, without its payload.
    async fn message(&self, id: MessageId) -> Result<Option<MessageRow>, StoreError>;
    /// The sealed payload of a message; `None` when the message or its payload is gone.
    async fn payload(&self, id: MessageId) -> Result<Option<Sealed>, StoreError>;
    /// One delivery, without its body.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>, StoreError>;
    /// What is (or was) sent for a delivery: its own body, else its message's payload.
    async fn delivery_body(&self, id: DeliveryId) -> Result<Option<Sealed>, StoreError>;
    /// What the destination answered last.
    async fn response(&self, id: DeliveryId) -> Result<Option<Sealed>, StoreError>;
    /// The whole tree around a message or delivery: up through causes to the root, then
    /// down through everything that followed; at most `limit` nodes (then `truncated`).
    async fn trace(&self, id: Id, limit: usize) -> Result<Option<Trace>, StoreError>;

    /// Messages that match, newest first.
    async fn messages(&self, filter: &MessageFilter) -> Result<Page<MessageRow>, StoreError>;
    /// Deliveries that match, newest first.
    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<DeliveryRow>, StoreError>;
    /// Dead and held deliveries grouped by destination and error fingerprint.
    async fn error_groups(&self, limit: usize) -> Result<Vec<ErrorGroup>, StoreError>;
    /// How many deliveries stand in each open state now, per destination and lane.
    async fn gauges(&self) -> Result<Vec<Gauge>, StoreError>;
    /// Totals since the store began, per counter, name and second name.
    async fn totals(&self) -> Result<Vec<Count>, StoreError>;
    /// Counts per minute within a range, for charts.
    async fn series(
        &self,
        kind: CounterKind,
        name: Option<Sym>,
        range: TimeRange,
    ) -> Result<Series, StoreError>;

    /// One instance, without its variables.
    async fn instance(&self, id: InstanceId) -> Result<Option<InstanceRow>, StoreError>;
    /// Its variables and positions.
    async fn instance_state(&self, id: InstanceId) -> Result<Option<Sealed>, StoreError>;
    /// Instances of a process with a key, newest first: at most one of them is open.
    async fn instances_of(
        &self,
        process: Sym,
        key: BlindIndex,
        limit: usize,
    ) -> Result<Vec<InstanceRow>, StoreError>;
    /// Instances that match, newest first.
    async fn instances(&self, filter: &InstanceFilter) -> Result<Page<InstanceRow>, StoreError>;
    /// How many instances stand where.
    async fn instance_counts(&self) -> Result<Vec<InstanceCount>, StoreError>;
    /// What happened to an instance, oldest first, above revision `after`: whole advances until
    /// there are at least `limit` lines.
    async fn history(
        &self,
        id: InstanceId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, StoreError>;
    /// Deliveries of an instance's calls and what repeats them, by its own numbers, oldest first;
    /// at most 10,000.
    async fn calls(&self, id: InstanceId) -> Result<Vec<(u32, DeliveryRow)>, StoreError>;
    /// Running instances that have a call which is tried again or held, newest first, with their process;
    /// at most this many.
    async fn troubled(&self, limit: usize) -> Result<Vec<(InstanceId, Sym)>, StoreError>;
    /// Who waits for this, oldest first.
    async fn waiting(
        &self,
        correlator: Sym,
        key: BlindIndex,
        limit: usize,
    ) -> Result<Vec<WaitRow>, StoreError>;
    /// Mail that nobody has taken for this correlator and key, oldest first.
    async fn mail_for(
        &self,
        correlator: Sym,
        key: BlindIndex,
        limit: usize,
    ) -> Result<Vec<Mail>, StoreError>;
    /// Mail that nobody has looked at, oldest first, above `after`.
    async fn unread(&self, after: MailId, limit: usize) -> Result<Vec<Mail>, StoreError>;
    /// Timers due by `until`, in the order of their times, after `after`.
    async fn timers(
        &self,
        until: Timestamp,
        after: Option<TimerRow>,
        limit: usize,
    ) -> Result<Vec<TimerRow>, StoreError>;
    /// When the next timer after `after` is due.
    async fn next_timer(&self, after: Option<Timestamp>) -> Result<Option<Timestamp>, StoreError>;
    /// One task.
    async fn task(&self, id: TaskId) -> Result<Option<TaskRow>, StoreError>;
    /// Tasks that match, newest first.
    async fn tasks(&self, filter: &TaskFilter) -> Result<Page<TaskRow>, StoreError>;

    /// A resource of a connection. Two, where it is looked for by a name that several have.
    async fn resource(
        &self,
        source: Sym,
        kind: u8,
        by: ResourceBy,
    ) -> Result<Vec<ResourceRow>, StoreError>;
    /// Resources of a connection in the order in which they were made, above place `after`, `skip`
    /// of them left out. May return fewer than `limit` where they are large: only an empty answer
    /// means the end.
    async fn resources(
        &self,
        source: Sym,
        kind: u8,
        after: i64,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<ResourceRow>, StoreError>;
    /// How many resources a connection has.
    async fn resource_count(&self, source: Sym, kind: u8) -> Result<u64, StoreError>;

    /// Audit records from sequence `from` on.
    async fn audit(&self, from: u64, limit: usize) -> Result<Vec<AuditRecord>, StoreError>;
    /// The last audit record, where a new one must continue.
    async fn audit_head(&self) -> Result<Option<AuditRecord>, StoreError>;
    /// A small named value kept beside the journal (estate version, checkpoints).
    async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// One small step of retention; call again while `more`.
    async fn prune(&self, request: &PruneRequest) -> Result<PruneReport, StoreError>;
    /// Health for operators: writable or why not, sizes, queue length.
    fn status(&self) -> StoreStatus;
    /// Stops the writer after everything queued is durable.
    async fn close(&self) -> Result<(), StoreError>;
}

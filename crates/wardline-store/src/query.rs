//! What can be read from the journal.

use crate::change::{Note, Route};
use wardline_core::{
    BlindIndex, DeliveryId, DeliveryState, Id, Lane, MessageId, OrderingKey, Sealed, Sym, Timestamp,
};

/// A delivery that is owed, with what the dispatcher needs to send it.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Its id and idempotency key.
    pub id: DeliveryId,
    /// The message it carries.
    pub message: MessageId,
    /// The flow that declared it.
    pub flow: Sym,
    /// Where it goes.
    pub destination: Sym,
    /// Urgency.
    pub lane: Lane,
    /// What keeps it in order.
    pub key: Option<OrderingKey>,
    /// `Pending`, `Retrying` or `Held`.
    pub state: DeliveryState,
    /// Attempts made.
    pub attempts: u32,
    /// When it may be tried again, if it failed before.
    pub next: Option<Timestamp>,
    /// When its message was accepted.
    pub accepted: Timestamp,
    /// When its first attempt began, if any: for limits by age.
    pub first_attempt: Option<Timestamp>,
    /// Media type of the body.
    pub content_type: Sym,
    /// What to send.
    pub body: Sealed,
}

/// What became of a message as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageOutcome {
    /// Events or deliveries followed.
    Routed = 0,
    /// Every flow's predicate said no.
    Filtered = 1,
    /// No flow listens to its source.
    Unrouted = 2,
}

/// A message without its payload.
#[derive(Debug, Clone)]
pub struct MessageRow {
    /// Its id.
    pub id: MessageId,
    /// How many ids its acceptance took (messages and deliveries).
    pub block: u32,
    /// Connection, schedule or flow.
    pub source: Sym,
    /// Type.
    pub kind: Sym,
    /// Media type.
    pub content_type: Sym,
    /// Message or delivery it follows from.
    pub cause: Option<Id>,
    /// Ordering key.
    pub key: Option<OrderingKey>,
    /// Urgency.
    pub lane: Lane,
    /// When it was received.
    pub received: Timestamp,
    /// Plain size in bytes.
    pub size: u32,
    /// What became of it.
    pub outcome: MessageOutcome,
    /// What each flow said.
    pub routes: Vec<Route>,
    /// The same duplicate key came before with another body.
    pub flagged: bool,
    /// Whether the payload is still there (retention may have removed it).
    pub has_payload: bool,
}

/// A delivery without its body.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    /// Its id.
    pub id: DeliveryId,
    /// The message it carries.
    pub message: MessageId,
    /// The flow that declared it.
    pub flow: Sym,
    /// Where it goes.
    pub destination: Sym,
    /// Urgency.
    pub lane: Lane,
    /// What keeps it in order.
    pub key: Option<OrderingKey>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts made.
    pub attempts: u32,
    /// When the next attempt is due.
    pub next: Option<Timestamp>,
    /// When the first attempt began.
    pub first_attempt: Option<Timestamp>,
    /// When it reached its present state.
    pub settled: Option<Timestamp>,
    /// How long the last attempt took, in microseconds.
    pub took_us: Option<u64>,
    /// Last status (`200`, `AE`).
    pub status: Option<String>,
    /// Last failure, or who cancelled and why.
    pub note: Option<Note>,
    /// Plain size of the body in bytes.
    pub size: u32,
    /// Media type of the body.
    pub content_type: Sym,
    /// Whether it has a body of its own.
    pub own_body: bool,
    /// Whether an answer is kept.
    pub has_response: bool,
    /// The delivery this one repeats.
    pub replay_of: Option<DeliveryId>,
}

/// One failed attempt; successful last attempts are told by the delivery itself.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// From 1.
    pub number: u32,
    /// When it began.
    pub started: Timestamp,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// `503`, `AE`, or empty.
    pub status: String,
    /// Why it failed.
    pub note: Note,
}

/// A forward link between blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The earlier message or delivery.
    pub from: Id,
    /// What followed.
    pub to: Id,
    /// How.
    pub kind: LinkKind,
}

/// Why something followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// A message made from an answer or an earlier message.
    Follow = 0,
    /// A repetition.
    Replay = 1,
    /// An event that an instance of a process took; the target is the instance.
    Taken = 2,
}

/// Which instance took an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The event.
    pub event: Id,
    /// The instance.
    pub instance: wardline_core::InstanceId,
}

/// Everything around one message or delivery, in id order.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Messages; the first is the root.
    pub messages: Vec<MessageRow>,
    /// Deliveries.
    pub deliveries: Vec<DeliveryRow>,
    /// Failed attempts.
    pub attempts: Vec<Attempt>,
    /// Links between blocks.
    pub links: Vec<Link>,
    /// Which instances took its events.
    pub taken: Vec<Taken>,
    /// There was more than asked for.
    pub truncated: bool,
}

/// A span of time; either end may be open.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeRange {
    /// Inclusive.
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub to: Option<Timestamp>,
}

/// Which messages.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Found by this value (uses the term index).
    pub term: Option<BlindIndex>,
    /// Of this type.
    pub kind: Option<Sym>,
    /// From this source.
    pub source: Option<Sym>,
    /// Taken by this flow.
    pub flow: Option<Sym>,
    /// With this outcome.
    pub outcome: Option<MessageOutcome>,
    /// From which a delivery in this state followed: its own, those of the events made from it,
    /// to any depth, and what was repeated or followed later.
    pub state: Option<DeliveryState>,
    /// From which a delivery followed whose failure text contains this, case-insensitively;
    /// with `state`, one that is both.
    pub error: Option<String>,
    /// Received within.
    pub range: TimeRange,
    /// Continue below this id (the last page's `next`).
    pub before: Option<Id>,
    /// At most this many rows; 0 means 50, at most 1,000. A page by a failed state does not
    /// tear a message from the events that lead to one failed delivery: where these alone are
    /// more, they are a page (at most 64).
    pub limit: usize,
    /// Only messages from outside, not the events made from them.
    pub roots_only: bool,
}

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// To this destination.
    pub destination: Option<Sym>,
    /// Declared by this flow.
    pub flow: Option<Sym>,
    /// In one of these states; empty means any.
    pub states: Vec<DeliveryState>,
    /// Of this key.
    pub key: Option<BlindIndex>,
    /// With this error fingerprint.
    pub fingerprint: Option<i64>,
    /// Whose failure text contains this, case-insensitively.
    pub error: Option<String>,
    /// Accepted within.
    pub range: TimeRange,
    /// Continue below this id.
    pub before: Option<Id>,
    /// At most this many rows; 0 means 50, at most 100,000.
    pub limit: usize,
}

/// One page of rows. A search looks at a bounded number of rows per call and says how many.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Rows looked at.
    pub scanned: u64,
    /// Pass as `before` to go on; `None` at the end.
    pub next: Option<Id>,
}

/// Deliveries that failed alike.
#[derive(Debug, Clone)]
pub struct ErrorGroup {
    /// Where.
    pub destination: Sym,
    /// What they share.
    pub fingerprint: i64,
    /// A sample of the reason.
    pub note: Note,
    /// How many are dead.
    pub dead: u64,
    /// How many are held.
    pub held: u64,
    /// The first.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
    /// One of them.
    pub sample: DeliveryId,
}

/// A key that is not simply flowing.
#[derive(Debug, Clone)]
pub struct LaneRow {
    /// Where.
    pub destination: Sym,
    /// In which lane.
    pub lane: Lane,
    /// Which key.
    pub key: Option<OrderingKey>,
    /// The delivery that stops it.
    pub head: DeliveryId,
    /// `Retrying` or `Held`.
    pub state: DeliveryState,
    /// Attempts made at the head.
    pub attempts: u32,
    /// When the head is due again.
    pub next: Option<Timestamp>,
    /// Since when the key is stopped.
    pub since: Timestamp,
    /// Why.
    pub note: Note,
}

/// How many deliveries stand in an open state.
#[derive(Debug, Clone, Copy)]
pub struct Gauge {
    /// Where.
    pub destination: Sym,
    /// In which lane.
    pub lane: Lane,
    /// Which state.
    pub state: DeliveryState,
    /// How many.
    pub count: i64,
}

/// What is counted by the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CounterKind {
    /// Messages accepted from outside, by source.
    Accepted = 0,
    /// Duplicates answered, by source.
    Duplicate = 1,
    /// Events and follow-ups recorded, by source flow.
    Derived = 2,
    /// Messages that every flow filtered, by source.
    Filtered = 3,
    /// Messages that no flow listens to, by source.
    Unrouted = 4,
    /// Deliveries recorded, by destination.
    Owed = 5,
    /// Deliveries delivered, by destination.
    Delivered = 6,
    /// Failed attempts, by destination.
    Failed = 7,
    /// Deliveries that ended dead, by destination.
    Dead = 8,
    /// Deliveries cancelled, by destination.
    Cancelled = 9,
    /// Payload bytes accepted, by source.
    Bytes = 10,
    /// Messages whose records retention removed, by source.
    PrunedMessages = 11,
    /// Deliveries whose records retention removed, by destination.
    PrunedDeliveries = 12,
    /// Dead deliveries that a person has since dealt with (cancelled or repeated), by
    /// destination; they count as cancelled from then on.
    Resolved = 13,
    /// Mail that was not recorded because equal mail is remembered, by correlator.
    MailDuplicate = 14,
    /// Mail that was kept and that nobody came for in its time, by correlator.
    MailExpired = 15,
}

/// A total since the store began.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// What.
    pub kind: CounterKind,
    /// Of which source, flow or destination.
    pub name: Sym,
    /// Of which flow, for destinations.
    pub flow: Option<Sym>,
    /// How many.
    pub count: u64,
}

/// Counts per minute.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// (minute as Unix seconds, count), ascending; minutes without events are absent.
    pub points: Vec<(i64, u64)>,
}

/// What retention may remove in one step.
#[derive(Debug, Clone, Copy)]
pub struct PruneRequest {
    /// Remove payloads, bodies and answers of messages received before this, unless a
    /// delivery of theirs is open.
    pub payloads_before: Option<Timestamp>,
    /// Remove whole records received before this, unless open or dead, and instances that
    /// ended before this.
    pub records_before: Option<Timestamp>,
    /// Forget duplicates' keys that were entered before this: the longest `within` of any
    /// declared duplicate recognition.
    pub dedup_before: Option<Timestamp>,
    /// Look at most at this many acceptances, 1 to 2,000: while they are looked at, nobody else
    /// is served.
    pub step: usize,
}

/// What one step of retention did.
#[derive(Debug, Clone, Copy, Default)]
pub struct PruneReport {
    /// Payloads, bodies and answers removed.
    pub payloads: u64,
    /// Messages removed with their deliveries.
    pub messages: u64,
    /// Instances removed with their states, histories and tasks.
    pub instances: u64,
    /// When the oldest payload, body or answer that is still kept was recorded.
    pub oldest_content: Option<Timestamp>,
    /// When the oldest instance that is still kept began: no state of one was sealed before.
    pub oldest_instance: Option<Timestamp>,
    /// There is more to do.
    pub more: bool,
}

/// Health of the store.
#[derive(Debug, Clone, Default)]
pub struct StoreStatus {
    /// Why nothing can be written now, if so.
    pub trouble: Option<String>,
    /// Changes waiting for the writer.
    pub queued: usize,
    /// Transactions committed since start.
    pub commits: u64,
    /// Changes committed since start.
    pub changes: u64,
    /// Bytes of the database file.
    pub file_bytes: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// Bytes free on the store's disk, where known.
    pub disk_free_bytes: Option<u64>,
}

/// How a resource is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceBy {
    /// By its own name.
    Id([u8; 16]),
    /// By the keyed hash of what is unique among its kind.
    Unique([u8; 16]),
    /// By the keyed hash of its sender's name for it, which several may have.
    Known([u8; 16]),
}

/// A resource as it stands.
#[derive(Debug, Clone)]
pub struct ResourceRow {
    /// Its place in the order in which resources were made.
    pub place: i64,
    /// Its name.
    pub id: [u8; 16],
    /// How often it was changed, from 1.
    pub version: u64,
    /// The whole of it.
    pub sealed: Sealed,
}

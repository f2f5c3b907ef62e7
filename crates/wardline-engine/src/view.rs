//! What people see: the journal's rows with names resolved, sensitive values masked and
//! reasons in words. The console, the command line and the JSON API all show exactly
//! these types; none of them reads the store.

mod figure;
mod job;
mod process;
mod reconcile;

pub use figure::{AgeBucket, BoardView, FigureQuery, FigureView, Figures, Measured};
pub use job::{JobAct, JobFileView, JobRunView, JobView};
pub use process::{
    Decision, HistoryView, InstanceDetail, InstanceQuery, InstanceView, ProcessAct, ProcessView,
    TaskQuery, TaskView, TransactionQuery, TransactionView,
};
pub use reconcile::{
    BreakView, HopView, Reconcile, ReconciliationQuery, ReconciliationView, Reconciliations,
};

use crate::certs::CertificateView;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wardline_core::{DeliveryId, DeliveryState, Id, InstanceId, Lane, MessageId, Timestamp};
use wardline_vault::audit::Detail;

/// The dashboard: is it well, what is wrong, where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Overview {
    /// Name of the estate.
    pub estate: String,
    /// One sentence about the state of everything.
    pub headline: String,
    /// Nothing needs a person.
    pub well: bool,
    /// When this was taken.
    pub at: Timestamp,
    /// Messages accepted from outside since the store began.
    pub accepted: u64,
    /// Messages accepted per minute, the last 60 minutes, oldest first.
    pub accepted_per_minute: Vec<u64>,
    /// Deliveries delivered per minute, the last 60 minutes, oldest first.
    pub delivered_per_minute: Vec<u64>,
    /// Age in milliseconds of the oldest open delivery that is not held.
    pub oldest_waiting_ms: Option<u64>,
    /// Groups of dead or held deliveries.
    pub error_groups: u64,
    /// Every destination, those in trouble first.
    pub destinations: Vec<DestinationView>,
    /// Every flow.
    pub flows: Vec<FlowView>,
    /// Every inbound source.
    pub sources: Vec<SourceView>,
    /// Health of the store.
    pub store: StoreView,
    /// Certificates that end within a month, have ended or cannot be read.
    #[serde(default)]
    pub certificates: Vec<CertificateView>,
    /// The estate in force.
    #[serde(default)]
    pub applied: Option<AppliedView>,
}

/// An estate that was put in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedView {
    /// Counts the estates of this journal, from 1.
    pub number: u64,
    /// SHA-256 of its files, in hexadecimal.
    pub hash: String,
    /// When.
    pub at: Timestamp,
    /// Who applied it.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What a reload came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReloadView {
    /// What became of it.
    pub outcome: ReloadOutcome,
    /// One sentence.
    pub summary: String,
    /// The estate in force now.
    pub applied: Option<AppliedView>,
    /// What is other than before, in words.
    pub changes: Vec<String>,
    /// What was found in the files, as `wardline check` prints it.
    pub diagnostics: String,
    /// The same as data.
    pub found: serde_json::Value,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What became of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReloadOutcome {
    /// The files say something else, and that is in force now.
    Applied,
    /// The files say what is in force already.
    Unchanged,
    /// Something is wrong; what was in force stays in force.
    Refused,
}

/// One destination.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DestinationView {
    /// `patient-accounting.close-account`.
    pub name: String,
    /// `flowing`, `slowed` (rate or concurrency), `down` (breaker open), `blocked` (keys held or retrying), `paused`.
    pub state: String,
    /// Why, in words; empty when flowing.
    pub reason: String,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// Deliveries waiting their turn.
    pub waiting: u64,
    /// Deliveries to be tried again.
    pub retrying: u64,
    /// Deliveries that need a person.
    pub held: u64,
    /// Deliveries given up.
    pub dead: u64,
    /// Deliveries done.
    pub delivered: u64,
    /// Deliveries ever recorded: what is delivered, dead, cancelled and open must add up to it.
    #[serde(default)]
    pub owed: u64,
    /// Failed attempts.
    pub failed_attempts: u64,
    /// Deliveries cancelled.
    pub cancelled: u64,
    /// Being sent right now.
    pub in_flight: u64,
    /// Median and 99th percentile of acceptance-to-delivery since start, in microseconds.
    pub p50_us: Option<u64>,
    /// See `p50_us`.
    pub p99_us: Option<u64>,
    /// The last failure: code and text.
    pub last_error: Option<String>,
    /// Keys that are stopped.
    pub stopped_keys: u64,
    /// Runbook file in the estate, if declared.
    pub runbook: Option<String>,
}

/// One flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlowView {
    /// Name.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// `ehr.adt`, `event encounter.discharged`, `every 0 2 * * *`.
    pub from: String,
    /// Deliveries it caused that were delivered.
    pub delivered: u64,
    /// Deliveries it caused that are open.
    pub owed: u64,
    /// Deliveries it caused that are dead.
    pub dead: u64,
    /// Events it emitted.
    pub emitted: u64,
}

/// One inbound source.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceView {
    /// `ehr.adt`.
    pub name: String,
    /// Accepted messages.
    pub accepted: u64,
    /// Duplicates answered again.
    pub duplicates: u64,
    /// Messages that every flow filtered.
    pub filtered: u64,
    /// Messages that no flow listens to.
    pub unrouted: u64,
    /// Where it listens: `mllp 127.0.0.1:2575`.
    pub listening: Option<String>,
    /// 99th percentile of receipt-to-acknowledgement since start, in microseconds.
    pub ack_p99_us: Option<u64>,
}

/// Health of the store.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StoreView {
    /// Why nothing can be written, if so.
    pub trouble: Option<String>,
    /// Database and write-ahead log, bytes.
    pub bytes: u64,
    /// Free bytes on its disk.
    pub disk_free_bytes: Option<u64>,
    /// Changes waiting for the disk.
    pub queued: u64,
    /// Transactions since start.
    pub commits: u64,
}

/// One message in a listing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MessageView {
    /// Its id.
    pub id: MessageId,
    /// When it was received.
    pub received: Timestamp,
    /// `ADT^A03`, `encounter.discharged`.
    pub kind: String,
    /// Connection, schedule or flow.
    pub source: String,
    /// Media type.
    pub content_type: String,
    /// The ordering key, or a mask where it is sensitive.
    pub key: Option<String>,
    /// Urgency.
    pub lane: Lane,
    /// Plain size in bytes.
    pub size: u32,
    /// `routed`, `filtered`, `unrouted`.
    pub outcome: String,
    /// The message or delivery it follows from.
    pub cause: Option<Id>,
    /// What each flow said: `taken`, `filtered` (with its predicate) or `failed`.
    pub routes: Vec<RouteView>,
    /// The same duplicate key came before with another body.
    pub flagged: bool,
    /// Whether the payload is still there.
    pub has_payload: bool,
}

/// What one flow did with a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RouteView {
    /// The flow.
    pub flow: String,
    /// The destination whose own predicate decided.
    pub destination: Option<String>,
    /// `taken`, `filtered`, `failed`.
    pub outcome: String,
    /// The predicate that said so.
    pub predicate: Option<String>,
}

/// One delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliveryView {
    /// Its id and idempotency key.
    pub id: DeliveryId,
    /// The message it carries.
    pub message: MessageId,
    /// The flow that declared it.
    pub flow: String,
    /// Where it goes.
    pub destination: String,
    /// Urgency.
    pub lane: Lane,
    /// The ordering key, or a mask.
    pub key: Option<String>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it waits, in words; empty at an end.
    pub reason: String,
    /// Attempts made.
    pub attempts: u32,
    /// When the next is due.
    pub next: Option<Timestamp>,
    /// When its message was accepted.
    pub accepted: Timestamp,
    /// When it came to its end.
    pub settled: Option<Timestamp>,
    /// Duration of the last attempt, microseconds.
    pub took_us: Option<u64>,
    /// Last status (`200`, `AE`).
    pub status: Option<String>,
    /// Last failure: code.
    pub error_code: Option<String>,
    /// Last failure: text.
    pub error: Option<String>,
    /// Fingerprint of the failure, `v1:…`.
    pub fingerprint: Option<String>,
    /// Plain size of the body in bytes.
    pub size: u32,
    /// Whether an answer is kept.
    pub has_response: bool,
    /// Whether a body of its own was sent (else the message's payload).
    pub own_body: bool,
    /// The delivery this one repeats.
    pub replay_of: Option<DeliveryId>,
    /// Runbook file in the estate.
    pub runbook: Option<String>,
}

/// One failed attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptView {
    /// From 1.
    pub number: u32,
    /// When it began.
    pub started: Timestamp,
    /// How long it took, microseconds.
    pub took_us: u64,
    /// `503`, `AE`, or empty.
    pub status: String,
    /// Code and text.
    pub error: String,
}

/// A trace as a tree in the order in which it should be shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TraceView {
    /// The root message.
    pub root: MessageId,
    /// One sentence: `completed with 1 retry`, `2 of 4 deliveries waiting`.
    pub headline: String,
    /// From the first receipt to the last end, microseconds.
    pub took_us: u64,
    /// Nodes, depth first.
    pub nodes: Vec<TraceNode>,
    /// There was more than can be shown.
    pub truncated: bool,
}

/// One line of a trace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TraceNode {
    /// 0 for the root.
    pub depth: u32,
    /// What it is.
    pub item: TraceItem,
    /// Failed attempts of a delivery.
    pub attempts: Vec<AttemptView>,
    /// Transactions that an event began or moved on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<TakenView>,
    /// Microseconds after the root was received: begin and end.
    pub from_us: u64,
    /// See `from_us`; equal for messages.
    pub to_us: u64,
}

/// A transaction, the instance of a process, that took an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TakenView {
    /// The instance.
    pub id: InstanceId,
    /// Its process.
    pub process: String,
    /// Its business key, where that may be shown.
    pub key: Option<String>,
    /// Where it stands now: its status, or its phase where it has none.
    pub stands: String,
}

/// A message or a delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TraceItem {
    /// A message or event.
    Message(Box<MessageView>),
    /// A delivery.
    Delivery(Box<DeliveryView>),
}

/// Deliveries that failed alike.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorGroupView {
    /// `v1:9f2a…`.
    pub fingerprint: String,
    /// Where.
    pub destination: String,
    /// Stable code.
    pub code: String,
    /// A sample of the reason.
    pub text: String,
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
    /// Runbook file in the estate.
    pub runbook: Option<String>,
    /// Who answers for the flow.
    pub owner: String,
}

/// Which part of a hop is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// A message's payload.
    Payload,
    /// A delivery's body as sent.
    Body,
    /// What the destination answered.
    Response,
}

/// A payload, masked unless revealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PayloadView {
    /// Media type.
    pub content_type: String,
    /// The text; sensitive values are `••••` unless revealed.
    pub text: String,
    /// Whether values were masked.
    pub masked: bool,
    /// Size of the plain payload.
    pub size: u64,
    /// HL7 segments with field names, when it is HL7.
    pub hl7: Option<Vec<Hl7SegmentView>>,
}

/// One HL7 segment with names.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hl7SegmentView {
    /// `PID`.
    pub name: String,
    /// `Patient Identification`.
    pub title: String,
    /// Fields that hold something: position (`PID-5`), name, text.
    pub fields: Vec<(String, String, String)>,
}

/// What to search for; everything given must hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessageQuery {
    /// A business key value (account number, MRN): exact, found by blind index.
    pub key: Option<String>,
    /// Type.
    pub kind: Option<String>,
    /// Source.
    pub source: Option<String>,
    /// Flow that took it.
    pub flow: Option<String>,
    /// `filtered` or `unrouted` by itself; or `pending`, `retrying`, `held`, `delivered`, `dead`
    /// or `cancelled`: in this state is a delivery that followed from it, be it through events,
    /// answers or repetitions.
    pub state: Option<String>,
    /// Text in the error of a delivery that followed from it.
    pub error: Option<String>,
    /// Received at or after.
    pub from: Option<Timestamp>,
    /// Received before.
    pub to: Option<Timestamp>,
    /// Continue below this id.
    pub before: Option<Id>,
    /// At most this many; 0 means 50.
    pub limit: usize,
    /// Also list derived events, not only messages from outside.
    pub events: bool,
}

/// Which deliveries to act on; everything given must hold, and something must be given.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// These deliveries.
    pub deliveries: Vec<DeliveryId>,
    /// All deliveries of these messages.
    pub messages: Vec<MessageId>,
    /// To this destination.
    pub destination: Option<String>,
    /// Of this flow.
    pub flow: Option<String>,
    /// In one of these states.
    pub states: Vec<DeliveryState>,
    /// With this fingerprint (`v1:…`).
    pub fingerprint: Option<String>,
    /// With this key value.
    pub key: Option<String>,
    /// Accepted at or after.
    pub from: Option<Timestamp>,
    /// Accepted before.
    pub to: Option<Timestamp>,
}

/// How to repeat.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayRequest {
    /// What.
    pub select: Selection,
    /// Run the received messages through today's flows again instead of resending the
    /// bodies as they were.
    pub from_raw: bool,
    /// Only say what would happen.
    pub preview: bool,
    /// At most this many per second; 0 means 50.
    pub rate: u32,
    /// Why. Required unless `preview`.
    pub reason: String,
}

/// What a replay would do, or did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReplayReport {
    /// Deliveries selected.
    pub selected: u64,
    /// Per destination: how many, and how many of them had been delivered before (a repeat
    /// sends them again).
    pub destinations: Vec<ReplayCount>,
    /// Open deliveries that are released (tried now) rather than repeated.
    pub released: u64,
    /// New deliveries made; empty for a preview.
    pub created: u64,
    /// Seconds that it will take at the rate.
    pub seconds: u64,
    /// Nothing was done.
    pub preview: bool,
}

/// Part of a [`ReplayReport`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReplayCount {
    /// Destination.
    pub destination: String,
    /// How many.
    pub count: u64,
    /// How many of them had been delivered before.
    pub delivered_before: u64,
}

/// A page of anything.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PageView<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Rows looked at.
    pub scanned: u64,
    /// Pass as `before` to go on.
    pub next: Option<Id>,
}

/// One record of the audit log as it is stored, and opened where its keys are still there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditRecordView {
    /// 0, 1, 2, …
    pub sequence: u64,
    /// When, to the millisecond.
    pub at: Timestamp,
    /// When, in microseconds since 1970: exactly what the log is about.
    pub at_us: i64,
    /// The stored, sealed bytes in base64: a leaf of the log's Merkle tree.
    pub body: String,
    /// Root of the tree that ends with this record, in hexadecimal.
    pub hash: String,
    /// What it says.
    pub entry: Option<AuditEntryView>,
    /// Why it cannot be said.
    pub unreadable: Option<String>,
}

/// What an audit record says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditEntryView {
    /// Who.
    pub actor: String,
    /// `payload.reveal`, `delivery.replay`, …
    pub act: String,
    /// On what.
    pub target: String,
    /// Why.
    pub reason: String,
    /// More about it: counts, selections, ids.
    pub detail: BTreeMap<String, Detail>,
}

/// Where the audit log stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditStateView {
    /// Name of the estate.
    pub estate: String,
    /// Entries.
    pub size: u64,
    /// The log's public key, in the form of a C2SP verifier key.
    pub key: String,
    /// The last signed checkpoint, as a C2SP signed note; `None` before the first.
    pub checkpoint: Option<String>,
}

/// One line of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditView {
    /// 0, 1, 2, …
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// `reveal`, `replay`, `cancel`, …
    pub act: String,
    /// On what.
    pub target: String,
    /// Why.
    pub reason: String,
}

/// Which sealing keys to destroy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestroyKeys {
    /// Keys of days before this one: `2026-11-24`.
    pub before: String,
    /// Those of audit entries, by month, instead of those of payloads.
    #[serde(default)]
    pub audit: bool,
    /// Only say what would be destroyed.
    #[serde(default)]
    pub preview: bool,
    /// Why; it goes into the audit log.
    #[serde(default)]
    pub reason: String,
}

/// Which sealing keys are gone, or would be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DestroyedKeys {
    /// Nothing was destroyed.
    pub preview: bool,
    /// What was sealed before this day cannot be opened.
    pub before: String,
    /// The keys are those of audit entries.
    pub audit: bool,
    /// How many keys.
    pub keys: u64,
    /// How many keys of the kind are left.
    pub left: u64,
    /// Period of the oldest of them.
    pub first: Option<String>,
    /// Period of the newest of them.
    pub last: Option<String>,
    /// When this was said.
    pub at: Timestamp,
}

/// A client's endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebhookView {
    /// `ghx`, or `ghx.orders` for one of several.
    pub name: String,
    /// The client.
    pub client: String,
    /// Where it is.
    pub url: String,
    /// What it is told of.
    pub events: Vec<String>,
    /// `enabled`, `failing`, `disabled`, or `refused` where its client is.
    pub state: String,
    /// Since when it fails or is disabled.
    pub since: Option<Timestamp>,
    /// Why it is disabled.
    pub reason: String,
    /// Who disabled it, as in the audit log.
    pub by: Option<String>,
    /// Deliveries that wait.
    pub waiting: u64,
    /// What its client verifies `v1a` signatures with, `whpk_…`; empty where no server runs.
    #[serde(default)]
    pub public_keys: Vec<String>,
}

/// What an endpoint answered when it was tried.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WebhookTrialView {
    /// The `webhook-id` that was sent.
    pub id: String,
    /// What it answered; empty where nothing did.
    pub status: String,
    /// Code and text where that was no success.
    pub error: Option<String>,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

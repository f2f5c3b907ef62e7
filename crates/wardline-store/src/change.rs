//! What can be asked of the journal: accept, settle, operate, audit.

use crate::process::{Advance, Advanced, CallRef, MailId, NewMail, TaskAct, WaitRow};
use bytes::Bytes;
use wardline_core::{
    BlindIndex, DeliveryId, DeliveryState, Id, Lane, MessageId, OrderingKey, Sealed, Sym, TaskId,
    Timestamp,
};

/// One change; a [`commit`](crate::Store::commit) takes several that stand or fall together.
#[derive(Debug, Clone)]
pub enum Change {
    /// Take a message and everything that follows from it.
    Accept(Box<Acceptance>),
    /// Record how an attempt ended.
    Settle(Box<Settlement>),
    /// An operator's act on deliveries.
    Operate(Operation),
    /// One line of the audit log.
    Audit(AuditRecord),
    /// Set a small named value.
    SetMeta {
        /// Name of the value.
        name: String,
        /// The value; empty removes it.
        value: Vec<u8>,
    },
    /// A request with an idempotency key is about to be carried out.
    BeginKey(KeyBegin),
    /// It was carried out, or certainly was not.
    EndKey(KeyEnd),
    /// An instance of a process advances.
    Advance(Box<Advance>),
    /// Nobody waits for this mail: keep it for whoever will.
    Keep {
        /// Which.
        mail: MailId,
        /// Those that wait but do not want it.
        unwilling: Vec<WaitRow>,
    },
    /// Nobody will ever want this mail: it counts as taken.
    Discard(MailId),
    /// What a person does about a task besides answering it.
    Task {
        /// Which.
        task: TaskId,
        /// What.
        act: TaskAct,
    },
}

/// What became of a change, in the order of the changes.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Of [`Change::Accept`].
    Accepted(Accepted),
    /// Of [`Change::Accept`] with a resource that does not stand as was thought: nothing of it
    /// was recorded.
    Unfit(ResourceStanding),
    /// Of [`Change::Settle`]: false when the lease or the expected state no longer held and
    /// nothing was changed.
    Settled(bool),
    /// Of [`Change::Operate`]: how many deliveries it touched.
    Operated(u64),
    /// Of [`Change::BeginKey`]: what is known of the key.
    Key(KeyStanding),
    /// Of [`Change::Advance`].
    Advanced(Advanced),
    /// Of [`Change::Keep`]: who else waits for it, so that it was not kept.
    Kept(Option<WaitRow>),
    /// Of [`Change::Task`]: false where the task has ended or is somebody else's, and nothing
    /// was changed.
    Task(bool),
    /// Of [`Change::Audit`], [`Change::SetMeta`], [`Change::EndKey`] and [`Change::Discard`].
    Done,
}

/// A request with an idempotency key that is about to be carried out. Where the key is new it is
/// marked from then on, so that two of them at once cannot both be the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBegin {
    /// Keyed hash of client, operation and key.
    pub hash: [u8; 16],
    /// Keyed hash of the request.
    pub digest: [u8; 16],
    /// Until when it is remembered.
    pub until: Timestamp,
}

/// How the request with a key ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEnd {
    /// As in [`KeyBegin`].
    pub hash: [u8; 16],
    /// The answer, to be given again; `None` forgets the key. Of several the first is kept.
    pub answer: Option<Sealed>,
}

/// What is known of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStanding {
    /// Nothing was; it is marked now.
    New,
    /// It was answered.
    Answered(Sealed),
    /// It was marked and not answered: it is being carried out, or whoever did is gone.
    Unanswered,
    /// It came with another request.
    Different,
    /// So many keys are kept that no new one is taken: forgetting one of them could carry a
    /// write out twice.
    Full,
}

/// A message and what follows from it: the unit of acceptance. Ids are given by the writer
/// in commit order, one block per acceptance: messages first, then deliveries.
#[derive(Debug, Clone, Default)]
pub struct Acceptance {
    /// Duplicate recognition; a hit accepts nothing and returns the first answer.
    pub dedup: Option<Dedup>,
    /// Messages: the received one first, then the events it became. Empty for a replay of
    /// deliveries.
    pub messages: Vec<NewMessage>,
    /// The obligations.
    pub deliveries: Vec<NewDelivery>,
    /// What the messages can be found by.
    pub terms: Vec<Term>,
    /// What of it processes wait for, or begin with.
    pub mail: Vec<NewMail>,
    /// The resource that it changes. Where that cannot be changed so, nothing is recorded.
    pub resource: Option<Box<ResourceChange>>,
}

/// A resource that others read back from us (SCIM), as a message leaves it.
#[derive(Debug, Clone)]
pub struct ResourceChange {
    /// The connection that it belongs to.
    pub source: Sym,
    /// What it is; the connection's protocol says the numbers.
    pub kind: u8,
    /// Its name, which nobody else has.
    pub id: [u8; 16],
    /// The version that was changed; `None` where it is new.
    pub was: Option<u64>,
    /// What it is now; `None` where it is gone.
    pub now: Option<ResourceState>,
}

/// What is kept of a resource.
#[derive(Debug, Clone)]
pub struct ResourceState {
    /// Keyed hash of what is unique among its kind.
    pub unique: Option<[u8; 16]>,
    /// Keyed hash of a name by which its sender looks for it.
    pub known: Option<[u8; 16]>,
    /// The whole of it.
    pub sealed: Sealed,
}

/// Why a resource was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceStanding {
    /// It has another version, or is gone.
    Changed,
    /// What should be unique belongs to another.
    Taken,
    /// So many are kept that no new one is taken.
    Full,
}

/// How an inbound message is recognised when it comes again.
#[derive(Debug, Clone)]
pub struct Dedup {
    /// Where it came from.
    pub source: Sym,
    /// Keyed hash of the declared fields.
    pub hash: [u8; 16],
    /// Keyed hash of the body: the same key with another body is accepted and flagged.
    pub digest: i64,
    /// The answer to give again (an ACK, a response body).
    pub answer: Bytes,
    /// For keys that clients choose (`Idempotency-Key`): messages before this id are forgotten,
    /// and another body under a known key is not accepted. `None` for declared fields, where it
    /// is accepted and flagged.
    pub since: Option<Id>,
}

/// A message to be recorded.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Connection, schedule, or flow that made it.
    pub source: Sym,
    /// `ADT^A03`, `encounter.discharged`, …
    pub kind: Sym,
    /// Media type of the payload.
    pub content_type: Sym,
    /// What it follows from; `None` for a message from outside.
    pub cause: Option<Cause>,
    /// Ordering key, inherited by flows that declare none.
    pub key: Option<OrderingKey>,
    /// Urgency.
    pub lane: Lane,
    /// When it was received.
    pub received: Timestamp,
    /// Size of the plain payload in bytes.
    pub size: u32,
    /// The payload.
    pub payload: Sealed,
    /// What each flow said to it.
    pub routes: Vec<Route>,
    /// The same key arrived before with another body (set by the writer on a dedup hit with
    /// a different digest).
    pub flagged: bool,
}

/// What a message follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The n-th message of the same acceptance.
    Ordinal(u32),
    /// A message or delivery already recorded; a forward link is kept too.
    Existing(Id),
}

/// What one flow (or one of its destinations) did with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The flow.
    pub flow: Sym,
    /// The destination whose own `when` decided; `None` when the flow's did.
    pub destination: Option<Sym>,
    /// What happened.
    pub outcome: RouteOutcome,
}

/// Why a message went on or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteOutcome {
    /// The predicate held; events or deliveries follow.
    Taken = 0,
    /// The predicate said no.
    Filtered = 1,
    /// Predicate, map or validation failed; a dead delivery says why.
    Failed = 2,
}

/// Which message a delivery carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageRef {
    /// The n-th message of the same acceptance.
    Ordinal(u32),
    /// A message already recorded (replay).
    Existing(MessageId),
}

/// An obligation to be recorded.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// The message it follows from.
    pub message: MessageRef,
    /// The flow that declared it.
    pub flow: Sym,
    /// `system.operation` or `system.connection`.
    pub destination: Sym,
    /// Urgency.
    pub lane: Lane,
    /// What keeps it in order; `None` means no order.
    pub key: Option<OrderingKey>,
    /// `Pending`, or `Dead` when a map failed at acceptance.
    pub state: DeliveryState,
    /// Why, when it starts dead.
    pub note: Option<Note>,
    /// What will be sent, where it differs from the message's payload.
    pub body: Option<Sealed>,
    /// Size of the plain body in bytes.
    pub size: u32,
    /// Media type of the body.
    pub content_type: Sym,
    /// The delivery this one repeats; a forward link is kept too.
    pub replay_of: Option<DeliveryId>,
    /// The call of an instance that it carries out: its end is mail for the instance. Where it
    /// repeats one, that one's call is taken.
    pub call: Option<CallRef>,
}

/// A reason that may be shown to anyone: never holds a payload value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Stable code (`W4102`).
    pub code: String,
    /// One line for people, at most 500 characters are kept.
    pub text: String,
    /// Groups equal failures: a versioned hash of code, place and text without its values.
    pub fingerprint: i64,
}

/// Something a message can be found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Which message of the acceptance.
    pub ordinal: u32,
    /// Blind index of the value.
    pub index: BlindIndex,
}

/// What [`Change::Accept`] became.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Id of the first message (or first delivery when there is no message) of the block;
    /// the others follow with [`Id::offset`].
    pub first: Id,
    /// Set when nothing was recorded because it had been accepted before.
    pub duplicate: Option<Duplicate>,
}

/// A recognised duplicate.
#[derive(Debug, Clone)]
pub struct Duplicate {
    /// The message accepted the first time.
    pub original: MessageId,
    /// The answer given then.
    pub answer: Bytes,
    /// It came with another body, which was not accepted; only where [`Dedup::since`] is set.
    pub differs: bool,
}

/// Proof of the right to settle; from [`Store::lease`](crate::Store::lease).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub(crate) epoch: u64,
}

impl Lease {
    /// The fencing epoch.
    pub const fn epoch(self) -> u64 {
        self.epoch
    }
}

/// How one attempt at a delivery ended. Applied only if the lease still holds and the
/// delivery is still in state `was`.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The right to do this.
    pub lease: Lease,
    /// Which delivery.
    pub delivery: DeliveryId,
    /// The state it was in when it was sent.
    pub was: DeliveryState,
    /// Number of this attempt, from 1.
    pub attempt: u32,
    /// When the attempt began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// `200`, `AA`, … empty when nothing answered.
    pub status: String,
    /// What was answered, sealed.
    pub response: Option<Sealed>,
    /// The end.
    pub result: SettlementResult,
    /// A message that follows from the answer, committed together with it.
    pub follow: Option<Box<Acceptance>>,
    /// Nobody waits for this to be written down. It may wait some milliseconds to share a commit
    /// with something that somebody waits for; a crash in between sends the delivery again under
    /// the same idempotency key, as a crash before the answer would.
    pub patient: bool,
}

/// The end of an attempt.
#[derive(Debug, Clone)]
pub enum SettlementResult {
    /// The destination has it.
    Delivered,
    /// Try again at `next`; the key waits until then.
    Retry {
        /// When.
        next: Timestamp,
        /// Why it failed.
        note: Note,
    },
    /// Needs a person; the key waits.
    Hold(Note),
    /// Given up; followers pass.
    Dead(Note),
}

/// An operator's act. Every one is committed together with an audit record.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Withdraw open deliveries, so that keys they headed flow on; or say of dead ones that
    /// they were dealt with.
    Cancel {
        /// Which.
        deliveries: Vec<DeliveryId>,
        /// Who and why.
        note: Note,
    },
    /// Try held or retrying deliveries again now, attempts counted from zero.
    Release {
        /// Which.
        deliveries: Vec<DeliveryId>,
    },
    /// Give up open deliveries so that followers pass.
    Park {
        /// Which.
        deliveries: Vec<DeliveryId>,
        /// Who and why.
        note: Note,
    },
}

/// One line of the audit log as the journal keeps it. The vault makes the hash; the store
/// refuses a record whose `sequence` does not continue the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// 0, 1, 2, …
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Canonical JSON of the entry.
    pub body: Vec<u8>,
    /// Hash that covers the entry and all before it.
    pub hash: [u8; 32],
}

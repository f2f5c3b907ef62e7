//! What the journal keeps of processes: instances, what they wait for, what has come for them,
//! when they must be woken, and what they ask of people.
//!
//! An instance advances by [`Advance`], one change: its new state, the mail that it took, what it
//! opens and closes, and the messages and deliveries that follow, together or not at all. What
//! comes for an instance is *mail*: an event that a process waits for, or the end of a delivery
//! that an instance owes. Mail is recorded in the transaction that makes it so, and stays until
//! an instance has taken it or it is too old.

use crate::change::{Acceptance, Lease, Note};
use crate::query::TimeRange;
use wardline_core::{
    BlindIndex, DeliveryId, Id, InstanceId, MessageId, OrderingKey, Sealed, Sym, TaskId, Timestamp,
};

/// Code of the note on a delivery that its own instance withdrew.
pub const WITHDRAWN: &str = "W5011";

/// Names one piece of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailId(pub i64);

/// Which delivery of a message is an instance's: with it the end of the delivery becomes mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallRef {
    /// The instance; `None` in an [`Advance`]'s acceptance for the instance that advances.
    pub instance: Option<InstanceId>,
    /// The instance's own number of the call.
    pub number: u32,
}

/// An event for whoever waits for it, recorded with its acceptance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMail {
    /// What correlates: one name for each (process, event, expression), or a process's start.
    pub correlator: Sym,
    /// Blind index of the value by which it finds its instance.
    pub key: BlindIndex,
    /// Which message of the acceptance it is.
    pub ordinal: u32,
    /// Keyed hash of the event: equal mail with the same correlator and key is one.
    pub digest: i64,
    /// Until when it is kept for somebody who does not wait yet, and remembered when it was taken.
    /// While nobody has looked at it, it stays however late it is.
    pub until: Timestamp,
}

/// Mail that nobody has looked at, as told to [`CommitListener`](crate::CommitListener) and read
/// at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its id; increases with acceptance.
    pub id: MailId,
    /// For whom.
    pub to: MailTo,
    /// The event's message; for the end of a delivery, that delivery's message.
    pub message: MessageId,
}

/// For whom mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailTo {
    /// Whoever waits for this.
    Waiting {
        /// See [`NewMail::correlator`].
        correlator: Sym,
        /// See [`NewMail::key`].
        key: BlindIndex,
    },
    /// An instance whose delivery has ended: delivered, dead or cancelled, each delivery once. A
    /// dead one that is cancelled later had ended before.
    Instance {
        /// The instance.
        instance: InstanceId,
        /// Its number of the call.
        call: u32,
        /// The delivery; where it was repeated, the repetition.
        delivery: DeliveryId,
    },
}

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It goes on by itself, or waits for something that comes by itself.
    Running = 0,
    /// It waits for a person: a task.
    Asking = 1,
    /// A step failed; an operator must retry, skip, set or cancel.
    Stuck = 2,
    /// It came to its end.
    Completed = 3,
    /// It ended by `fail`, or compensated.
    Failed = 4,
    /// An operator ended it.
    Cancelled = 5,
}

impl Phase {
    /// All phases in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Asking,
        Self::Stuck,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether it can advance.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Asking | Self::Stuck)
    }

    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Asking => "asking",
            Self::Stuck => "stuck",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The phase of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word)
    }

    /// The phase of that number.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Running),
            1 => Some(Self::Asking),
            2 => Some(Self::Stuck),
            3 => Some(Self::Completed),
            4 => Some(Self::Failed),
            5 => Some(Self::Cancelled),
            _ => None,
        }
    }
}

/// Which instance advances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// One that begins. Nothing is done where an open instance of the process has the key, or,
    /// unless `again`, where any has.
    New {
        /// The process.
        process: Sym,
        /// Its business key.
        key: OrderingKey,
        /// Whether the same key may begin once more after an instance has ended.
        again: bool,
    },
    /// One that is there. Nothing is done where its revision is another or it has ended, unless
    /// `reopen`.
    Existing {
        /// The instance.
        id: InstanceId,
        /// As it was read.
        revision: u64,
        /// Whether one that has ended may go on (an operator's retry).
        reopen: bool,
    },
}

/// One advance of one instance.
#[derive(Debug, Clone)]
pub struct Advance {
    /// The right to do this.
    pub lease: Lease,
    /// Which.
    pub which: Which,
    /// The definition that it runs by.
    pub definition: Sym,
    /// Where it stands then.
    pub phase: Phase,
    /// The last status that its definition declared.
    pub status: Option<Sym>,
    /// The step that it is at, or one of them: `receive-and-match/await`.
    pub step: Option<Sym>,
    /// Why it is stuck, failed or cancelled.
    pub note: Option<Note>,
    /// Who answers for it now: the role that is asked, else the process's owner.
    pub owner: Option<Sym>,
    /// The facility that it is about.
    pub facility: Option<Sym>,
    /// When the business expects its next step, where something says so.
    pub due: Option<Timestamp>,
    /// Variables and positions; empty once it has ended and nothing is kept.
    pub state: Sealed,
    /// What the business sees of it besides (value, title …), sealed: read for listings without
    /// opening the state.
    pub summary: Option<Sealed>,
    /// Mail that it takes. Nothing is done where one of them is gone.
    pub take: Vec<MailId>,
    /// Timers of its own numbers that it takes. Nothing is done where one of them is gone.
    pub fire: Vec<u32>,
    /// Waits of its own numbers that end. Several waits may share a number.
    pub unwait: Vec<u32>,
    /// Waits that begin.
    pub wait: Vec<NewWait>,
    /// Timers that are no longer needed.
    pub unset: Vec<u32>,
    /// Timers that are set; where one of that number is, it moves.
    pub set: Vec<NewTimer>,
    /// Tasks that end.
    pub answer: Vec<TaskEnd>,
    /// Tasks that begin.
    pub ask: Vec<NewTask>,
    /// Deliveries of its own calls of these numbers, and what repeats them, that are withdrawn
    /// where they are still open. That they ended is no mail.
    pub withdraw: Vec<u32>,
    /// Messages and deliveries that follow. The deliveries of its calls carry a [`CallRef`]. It
    /// recognises no duplicates. A delivery of a message already recorded
    /// ([`MessageRef::Existing`](crate::MessageRef::Existing)) is refused once retention has
    /// removed that message: what an instance sends later it keeps among its variables.
    pub follow: Option<Box<Acceptance>>,
    /// What happened, for people: holds no payload value.
    pub history: Vec<History>,
}

/// A wait that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewWait {
    /// The instance's own number.
    pub number: u32,
    /// See [`NewMail::correlator`].
    pub correlator: Sym,
    /// See [`NewMail::key`].
    pub key: BlindIndex,
    /// The last mail that it was offered before it began, and did not want. Later mail that is
    /// there is mail that nobody has looked at again, even where somebody did and found nobody
    /// waiting.
    pub seen: MailId,
}

/// A timer that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTimer {
    /// The instance's own number.
    pub number: u32,
    /// When.
    pub due: Timestamp,
}

/// A question that only a person can answer.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// The instance's own number.
    pub number: u32,
    /// Who is asked.
    pub role: Sym,
    /// The step that asks.
    pub step: Sym,
    /// When it is due.
    pub due: Option<Timestamp>,
    /// What is asked, the choices, the form, the runbook.
    pub body: Sealed,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEnd {
    /// The instance's own number.
    pub number: u32,
    /// Who answered; empty where nobody had to any more.
    pub by: String,
    /// The choice; empty where nobody had to any more.
    pub choice: String,
}

/// A line of an instance's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The step.
    pub step: String,
    /// What became of it: `began`, `done`, `waiting`, `skipped`, `failed`, `undone` …
    pub what: String,
    /// A few words more, without values.
    pub text: String,
}

/// What people do about tasks, besides answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskAct {
    /// Somebody takes it on; fails where somebody else has.
    Claim {
        /// Who.
        by: String,
    },
    /// It is free again.
    Release,
    /// Another role, or one person of it, is asked; when it is due. The owner of the instance
    /// stays as it is until that advances.
    Reassign {
        /// The role; `None` leaves it.
        role: Option<Sym>,
        /// The person, who has taken it on from then; empty for nobody in particular.
        to: String,
        /// The new time; `None` leaves it.
        due: Option<Timestamp>,
    },
}

/// What became of an [`Advance`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advanced {
    /// It is durable.
    Done {
        /// The instance.
        instance: InstanceId,
        /// Its revision now.
        revision: u64,
        /// The first id of the acceptance, where there was one.
        first: Option<Id>,
        /// Mail is there for a wait that began, later than what it had seen: the instance should
        /// look again. Where it cannot any more, whoever reads unread mail finds it.
        mail: bool,
    },
    /// Something of it no longer held; nothing was done.
    Stale,
}

/// An instance without its variables.
#[derive(Debug, Clone)]
pub struct InstanceRow {
    /// Its id.
    pub id: InstanceId,
    /// Counts its advances.
    pub revision: u64,
    /// The process.
    pub process: Sym,
    /// The definition that it runs by.
    pub definition: Sym,
    /// Its business key.
    pub key: OrderingKey,
    /// Where it stands.
    pub phase: Phase,
    /// Its declared status.
    pub status: Option<Sym>,
    /// The step that it is at.
    pub step: Option<Sym>,
    /// Why it is stuck, failed or cancelled.
    pub note: Option<Note>,
    /// Who answers for it now.
    pub owner: Option<Sym>,
    /// The facility.
    pub facility: Option<Sym>,
    /// When the business expects its next step.
    pub due: Option<Timestamp>,
    /// When it began.
    pub began: Timestamp,
    /// When it last advanced.
    pub advanced: Timestamp,
    /// When its phase last changed.
    pub since: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// See [`Advance::summary`].
    pub summary: Option<Sealed>,
}

/// Which instances.
#[derive(Debug, Clone, Default)]
pub struct InstanceFilter {
    /// Of this process.
    pub process: Option<Sym>,
    /// By this definition.
    pub definition: Option<Sym>,
    /// Of this key, whatever the process.
    pub key: Option<BlindIndex>,
    /// In one of these phases; empty means any.
    pub phases: Vec<Phase>,
    /// In this declared status.
    pub status: Option<Sym>,
    /// Of this facility.
    pub facility: Option<Sym>,
    /// For which this role answers.
    pub owner: Option<Sym>,
    /// Open and due before this.
    pub due_before: Option<Timestamp>,
    /// Begun within.
    pub range: TimeRange,
    /// Continue below this id.
    pub before: Option<Id>,
    /// At most this many rows; 0 means 50, at most 10,000.
    pub limit: usize,
}

/// A wait of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitRow {
    /// Whose.
    pub instance: InstanceId,
    /// The instance's own number.
    pub number: u32,
}

/// A timer of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerRow {
    /// When.
    pub due: Timestamp,
    /// Whose.
    pub instance: InstanceId,
    /// The instance's own number.
    pub number: u32,
}

/// A task.
#[derive(Debug, Clone)]
pub struct TaskRow {
    /// Its id.
    pub id: TaskId,
    /// The instance that asks.
    pub instance: InstanceId,
    /// The instance's own number.
    pub number: u32,
    /// The process.
    pub process: Sym,
    /// The instance's business key.
    pub key: OrderingKey,
    /// The step that asks.
    pub step: Sym,
    /// Who is asked.
    pub role: Sym,
    /// The facility.
    pub facility: Option<Sym>,
    /// Who has taken it on.
    pub claimed: Option<String>,
    /// Since when it is asked.
    pub asked: Timestamp,
    /// When it is due.
    pub due: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Who answered it.
    pub by: Option<String>,
    /// With what choice; `None` where it ended without an answer.
    pub choice: Option<String>,
    /// What is asked.
    pub body: Sealed,
}

/// Which tasks.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Asked of one of these roles; empty means any.
    pub roles: Vec<Sym>,
    /// Of this instance.
    pub instance: Option<InstanceId>,
    /// Of this process.
    pub process: Option<Sym>,
    /// Taken on by this person.
    pub claimed: Option<String>,
    /// Open ones, ended ones, or both.
    pub open: Option<bool>,
    /// Due before this.
    pub due_before: Option<Timestamp>,
    /// Continue below this id.
    pub before: Option<Id>,
    /// At most this many rows; 0 means 50, at most 10,000.
    pub limit: usize,
}

/// A line of an instance's history with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// When.
    pub at: Timestamp,
    /// By which advance.
    pub revision: u64,
    /// What.
    pub line: History,
}

/// How many instances stand somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceCount {
    /// The process.
    pub process: Sym,
    /// The definition.
    pub definition: Sym,
    /// The phase.
    pub phase: Phase,
    /// The declared status.
    pub status: Option<Sym>,
    /// How many; kept by the writer.
    pub count: u64,
}

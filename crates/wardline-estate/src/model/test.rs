//! The estate's own tests: given this message, expect that; and how a process lives through what a
//! script does to it.

use super::MapRef;
use crate::source::{Span, Spanned};
use serde_json::Value;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::Lane;

/// One test.
#[derive(Clone, Debug)]
pub struct TestCase {
    /// What it shows, in words.
    pub name: String,
    /// Where the name stands.
    pub at: Span,
    /// The moment it begins (RFC 3339); the epoch of the test clock where absent.
    pub now: Option<Spanned<String>>,
    /// What is tested.
    pub kind: TestKind,
}

/// What is tested.
#[derive(Clone, Debug)]
pub enum TestKind {
    /// Something arrives, and flows make of it what they do.
    Arrival {
        /// What arrives.
        given: Given,
        /// What must follow.
        expect: Expect,
    },
    /// A map is run by itself.
    Map(MapTest),
    /// A process lives through a script.
    Process(ProcessTest),
}

/// What arrives in a test.
#[derive(Clone, Debug)]
pub enum Given {
    /// A message on a connection.
    Message {
        /// The fixture's path relative to the estate.
        path: PathBuf,
        /// The fixture's bytes.
        content: Fixture,
        /// `system.connection`.
        into: Spanned<String>,
    },
    /// An event.
    Event {
        /// Its type.
        event: Spanned<String>,
        /// Its data.
        data: Value,
    },
}

/// A fixture's bytes. They may look like a patient's, so `Debug` shows only how many there are.
#[derive(Clone)]
pub struct Fixture(pub Arc<[u8]>);

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fixture({} bytes)", self.0.len())
    }
}

/// What must follow. A part that is absent is not checked.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Exactly these events, in any order.
    pub events: Option<Vec<ExpectedEvent>>,
    /// Exactly these deliveries, in any order.
    pub deliveries: Option<Vec<ExpectedDelivery>>,
    /// Flows that must filter the message.
    pub filtered: Vec<Spanned<String>>,
    /// The code of the error that must stop it.
    pub error: Option<Spanned<String>>,
}

/// An event that must be told.
#[derive(Clone, Debug)]
pub struct ExpectedEvent {
    /// Its type.
    pub event: Spanned<String>,
    /// Data that must be in it; more may be.
    pub data: Option<Value>,
    /// Where it stands.
    pub at: Span,
}

/// A delivery that must be made.
#[derive(Clone, Debug)]
pub struct ExpectedDelivery {
    /// `system.operation` or `system.connection`.
    pub to: Spanned<String>,
    /// What must be in its body: JSON that may have more, or text that must be equal.
    pub body: Option<Value>,
    /// HL7 fields of the body, by path.
    pub fields: Vec<(Spanned<String>, String)>,
    /// Its ordering key.
    pub key: Option<String>,
    /// Where it stands.
    pub at: Span,
}

/// A map that is run by itself.
#[derive(Clone, Debug)]
pub struct MapTest {
    /// The map.
    pub map: MapRef,
    /// What it is given.
    pub input: MapInput,
    /// What it must make of it.
    pub expect: ExpectedResult,
}

/// What a map is given.
#[derive(Clone, Debug)]
pub enum MapInput {
    /// A JSON value.
    Json(Value),
    /// A fixture that is not JSON: an HL7 message, or text.
    Fixture {
        /// Its path relative to the estate.
        path: PathBuf,
        /// Its bytes.
        content: Fixture,
    },
}

/// What a map must make of its input. A part that is absent is not checked.
#[derive(Clone, Debug)]
pub struct ExpectedResult {
    /// What its one result must have; a mapping may leave out keys.
    pub result: Option<Value>,
    /// The same for exactly so many results, in this order.
    pub results: Option<Vec<Value>>,
    /// Whether it must filter its input, or must not.
    pub filtered: Option<bool>,
    /// The code of the error that must stop it.
    pub error: Option<Spanned<String>>,
    /// Where it stands.
    pub at: Span,
}

/// A process and what it lives through.
#[derive(Clone, Debug)]
pub struct ProcessTest {
    /// The process.
    pub process: Spanned<String>,
    /// What operations answer, by the reference with which steps call them, or by that of the
    /// system's operation that serves an Api: one after the other, the last from then on. Never
    /// empty. An operation that is not here does not answer.
    pub answers: Vec<(Spanned<String>, Vec<ScriptedAnswer>)>,
    /// What happens and what must follow, in order.
    pub script: Vec<Scene>,
}

/// What an operation answers.
#[derive(Clone, Debug)]
pub enum ScriptedAnswer {
    /// This.
    Body(Value),
    /// Nothing good.
    Fails {
        /// Why.
        reason: String,
        /// Whether trying again does not help.
        permanent: bool,
    },
}

/// One entry of a script.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Where it stands.
    pub at: Span,
    /// What it is.
    pub kind: SceneKind,
}

/// What an entry of a script is.
#[derive(Clone, Debug)]
pub enum SceneKind {
    /// An event is told.
    Event {
        /// Its type.
        event: Spanned<String>,
        /// Its data.
        data: Value,
    },
    /// So much time passes.
    After(Duration),
    /// Time passes until this moment (RFC 3339).
    At(Spanned<String>),
    /// A person answers a task.
    Answer(TaskAnswer),
    /// A person steps in.
    Act(Intervention),
    /// How it must be by now.
    Expect(Box<ExpectedState>),
}

/// A person's answer to a task.
#[derive(Clone, Debug)]
pub struct TaskAnswer {
    /// The path of the step that asks: `await-acknowledgement/else`.
    pub step: Spanned<String>,
    /// The answer.
    pub choice: Spanned<String>,
    /// Who answers.
    pub by: String,
    /// Why.
    pub note: Option<String>,
    /// What else is filled in, by name.
    pub form: Vec<(Spanned<String>, Value)>,
    /// The business key of the instance; the only one where absent.
    pub key: Option<Spanned<String>>,
    /// Whether `accept` must refuse it.
    pub refused: bool,
}

/// What a person does to an instance.
#[derive(Clone, Debug)]
pub struct Intervention {
    /// What.
    pub act: ActKind,
    /// The path of the step, for what is about one; the only one that is stuck where absent.
    pub step: Option<Spanned<String>>,
    /// Variables and what they become.
    pub vars: Vec<(Spanned<String>, Value)>,
    /// Who acts.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// The business key of the instance; the only one where absent.
    pub key: Option<Spanned<String>>,
}

/// What a person can do to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActKind {
    /// The step that is stuck is tried again.
    Retry,
    /// The step that is stuck counts as done.
    Skip,
    /// Variables become something else.
    Set,
    /// The instance ends.
    Cancel,
    /// What it did is undone, then it ends.
    Compensate,
}

impl ActKind {
    /// All with the words used in files.
    pub const ALL: [(&'static str, Self); 5] = [
        ("retry", Self::Retry),
        ("skip", Self::Skip),
        ("set", Self::Set),
        ("cancel", Self::Cancel),
        ("compensate", Self::Compensate),
    ];
}

/// How an instance must be by now. A part that is absent is not checked.
#[derive(Clone, Debug)]
pub struct ExpectedState {
    /// Where it stands.
    pub at: Span,
    /// The business key of the instance; the only one where absent.
    pub key: Option<Spanned<String>>,
    /// How many instances there are in all.
    pub instances: Option<Spanned<u32>>,
    /// Its phase, in the words of the journal: `running`, `asking`, `stuck`, `completed`, `failed`,
    /// `cancelled`.
    pub phase: Option<Spanned<String>>,
    /// Its status.
    pub status: Option<Spanned<String>>,
    /// Exactly the paths of these steps are under way, in any order.
    pub steps: Option<Vec<Spanned<String>>>,
    /// Exactly these calls since the `expect` before that lists calls, in any order.
    pub calls: Option<Vec<ExpectedCall>>,
    /// Exactly these events since the `expect` before that lists events, in any order.
    pub events: Option<Vec<ExpectedEvent>>,
    /// Exactly these open tasks, in any order.
    pub tasks: Option<Vec<ExpectedTask>>,
    /// What variables must have; a mapping may leave out keys.
    pub vars: Vec<(Spanned<String>, Value)>,
    /// The values that it gives to figures.
    pub figures: Vec<(Spanned<String>, Value)>,
    /// What the reason must say for which it is stuck or has failed.
    pub error: Option<Spanned<String>>,
}

/// A call that must be made.
#[derive(Clone, Debug)]
pub struct ExpectedCall {
    /// The operation, by the reference with which the step calls it, or by that of the system's
    /// operation that serves an Api.
    pub to: Spanned<String>,
    /// What must be in its body: JSON that may have more, or text that must be equal.
    pub body: Option<Value>,
    /// The lane that it must take.
    pub lane: Option<Lane>,
    /// Where it stands.
    pub at: Span,
}

/// A task that must be open. A part that is absent is not checked.
#[derive(Clone, Debug)]
pub struct ExpectedTask {
    /// The role that is asked.
    pub role: Option<Spanned<String>>,
    /// The question.
    pub ask: Option<Spanned<String>>,
    /// The path of the step that asks.
    pub step: Option<Spanned<String>>,
    /// Exactly these choices, in this order.
    pub choices: Option<Vec<Spanned<String>>>,
    /// Where it stands.
    pub at: Span,
}

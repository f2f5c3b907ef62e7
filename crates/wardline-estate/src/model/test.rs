//! The estate's own tests: given this message, expect that.

use crate::source::{Span, Spanned};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// One test.
#[derive(Clone, Debug)]
pub struct TestCase {
    /// What it shows, in words.
    pub name: String,
    /// Where the name stands.
    pub at: Span,
    /// What arrives.
    pub given: Given,
    /// The moment it arrives (RFC 3339); the epoch of the test clock where absent.
    pub now: Option<Spanned<String>>,
    /// What must follow.
    pub expect: Expect,
}

/// What arrives in a test.
#[derive(Clone, Debug)]
pub enum Given {
    /// A message on a connection.
    Message {
        /// The fixture's path relative to `tests/`.
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
        data: serde_json::Value,
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
    pub data: Option<serde_json::Value>,
    /// Where it stands.
    pub at: Span,
}

/// A delivery that must be made.
#[derive(Clone, Debug)]
pub struct ExpectedDelivery {
    /// `system.operation` or `system.connection`.
    pub to: Spanned<String>,
    /// What must be in its body: JSON that may have more, or text that must be equal.
    pub body: Option<serde_json::Value>,
    /// HL7 fields of the body, by path.
    pub fields: Vec<(Spanned<String>, String)>,
    /// Its ordering key.
    pub key: Option<String>,
    /// Where it stands.
    pub at: Span,
}

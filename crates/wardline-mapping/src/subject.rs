//! What a program runs on: one message or event, and what is known about it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use vrl::value::{ObjectMap, Value};
use wardline_edi::x12::{Interchange, Set};
use wardline_hl7::Message;

use crate::environment::Input;

/// The content of a [`Subject`]. `Debug` shows its kind only.
#[derive(Clone)]
pub enum Content {
    /// An HL7 v2 message.
    Hl7(Arc<Message>),
    /// One set of an X12 interchange.
    X12(Arc<Set>),
    /// An X12 interchange, whose sets programs get one by one.
    Interchange(Arc<Interchange>),
    /// The data of an event or a JSON body.
    Json(Value),
    /// Any other text.
    Text(Bytes),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hl7(message) => write!(f, "Content::Hl7({message:?})"),
            Self::X12(set) => write!(f, "Content::X12({set:?})"),
            Self::Interchange(all) => write!(f, "Content::Interchange({} sets)", all.len()),
            Self::Json(_) => f.write_str("Content::Json(…)"),
            Self::Text(bytes) => write!(f, "Content::Text({} bytes)", bytes.len()),
        }
    }
}

/// What is known about a message besides its content; a program reads it as `%source`, `%type` …
/// and cannot change it. Absent ones read as null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `%source`: the connection or event it came from (`ehr.adt`).
    pub source: Option<Arc<str>>,
    /// `%type`: message or event type (`ADT^A03`, `encounter.discharged`).
    pub message_type: Option<Arc<str>>,
    /// `%received`: when it was accepted, RFC 3339 in UTC.
    pub received: Option<Arc<str>>,
    /// `%facility`: the facility it belongs to.
    pub facility: Option<Arc<str>>,
    /// `%key`: its ordering key.
    pub key: Option<Arc<str>>,
    /// `%id`: the id of the message in the journal.
    pub id: Option<Arc<str>>,
    /// `%correlation_id`: the id that all messages of one trace share.
    pub correlation_id: Option<Arc<str>>,
}

/// Names of the metadata fields, as programs write them after `%`.
pub(crate) const METADATA: [&str; 7] = [
    "source",
    "type",
    "received",
    "facility",
    "key",
    "id",
    "correlation_id",
];

impl Metadata {
    /// The object that `%` is.
    pub(crate) fn to_value(&self) -> Value {
        let fields = [
            &self.source,
            &self.message_type,
            &self.received,
            &self.facility,
            &self.key,
            &self.id,
            &self.correlation_id,
        ];
        let object: ObjectMap = METADATA
            .iter()
            .zip(fields)
            .map(|(name, value)| {
                (
                    (*name).into(),
                    value.as_deref().map_or(Value::Null, Value::from),
                )
            })
            .collect();
        Value::Object(object)
    }
}

/// One message or event with its metadata.
///
/// ```
/// use wardline_mapping::{Metadata, Subject, from_json_bytes};
/// let data = from_json_bytes(br#"{"amount": 12}"#)?;
/// let subject = Subject::json(data).with(Metadata { source: Some("erp.orders".into()), ..Metadata::default() });
/// # Ok::<(), wardline_mapping::JsonError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Subject {
    /// The content.
    pub content: Content,
    /// What is known about it.
    pub metadata: Metadata,
}

impl Subject {
    /// A subject without metadata.
    pub fn new(content: Content) -> Self {
        Self {
            content,
            metadata: Metadata::default(),
        }
    }

    /// An HL7 v2 message.
    pub fn hl7(message: Arc<Message>) -> Self {
        Self::new(Content::Hl7(message))
    }

    /// One set of an X12 interchange.
    pub fn x12(set: Arc<Set>) -> Self {
        Self::new(Content::X12(set))
    }

    /// The data of an event or a JSON body.
    pub fn json(value: Value) -> Self {
        Self::new(Content::Json(value))
    }

    /// Any other text.
    pub fn text(bytes: Bytes) -> Self {
        Self::new(Content::Text(bytes))
    }

    /// The same with metadata.
    #[must_use]
    pub fn with(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Which input a program for this must be compiled for.
    pub fn input(&self) -> Input {
        match self.content {
            Content::Hl7(_) => Input::Hl7,
            Content::X12(_) | Content::Interchange(_) => Input::X12,
            Content::Json(_) => Input::Json,
            Content::Text(_) => Input::Text,
        }
    }
}

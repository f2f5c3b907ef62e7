//! From one message to everything that follows from it: a pure function of the message and
//! the plan. No clock, no store, no network; `wardline test` and the running engine call the
//! same code.

mod content;
mod hook;
mod process;
mod router;
mod sets;

pub(crate) use content::{field_text, kind_of_text, read, read_as, read_by};
pub(crate) use sets::kind as x12_kind;

use crate::fingerprint;
use crate::plan::{EventPlan, MapPlan, Plan, ThenPlan};
use bytes::Bytes;
use content::valid;
use router::Router;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::{Code, Lane, OrderingKey, Sensitivity};
use wardline_mapping::{Content, Metadata, Runtime, Subject, to_json_bytes};
use wardline_store::{Note, RouteOutcome};

/// Events may follow from events this deep.
const MAX_DEPTH: usize = 16;
/// Messages and deliveries that one message may lead to.
const MAX_DERIVED: usize = 10_000;
/// Bytes of one mapped body.
const MAX_BODY: usize = 64 << 20;

/// Media types of what the engine writes itself.
pub(crate) const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain";
pub(crate) const XML: &str = "application/xml";
pub(crate) const HL7: &str = "application/hl7-v2";
pub(crate) const X12: &str = "application/edi-x12";

/// An ordering key on its way: a value not yet blinded, or one that the journal gave back,
/// whose value is not known any more.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum PlainKey {
    /// A value and its class.
    Value(Arc<str>, Sensitivity),
    /// As recorded.
    Recorded(OrderingKey),
}

impl PlainKey {
    fn text(&self) -> Option<Arc<str>> {
        match self {
            Self::Value(text, _) => Some(Arc::clone(text)),
            Self::Recorded(key) => key.shown.clone(),
        }
    }
}

/// A message or event that follows, in the clear.
pub(crate) struct DerivedMessage {
    /// Event name; `None` for the received message itself.
    pub event: Option<Arc<str>>,
    /// The flow that made it.
    pub flow: Option<usize>,
    /// The message it follows from.
    pub cause: Option<usize>,
    /// Its key.
    pub key: Option<PlainKey>,
    /// Its lane.
    pub lane: Lane,
    /// Its payload; `None` for the received message itself.
    pub body: Option<Bytes>,
    /// What each flow said: flow, target, outcome.
    pub routes: Vec<(usize, Option<usize>, RouteOutcome)>,
    /// Values by which it can be found.
    pub terms: Vec<String>,
}

/// A delivery that follows, in the clear.
pub(crate) struct DerivedDelivery {
    /// The message it carries.
    pub message: usize,
    /// The flow that declared it.
    pub flow: usize,
    /// Which of the flow's targets; `None` when the flow failed before it had one.
    pub target: Option<usize>,
    /// Its key.
    pub key: Option<PlainKey>,
    /// Its lane.
    pub lane: Lane,
    /// Its body, where it differs from the message's payload.
    pub body: Option<(Bytes, &'static str)>,
    /// Why it cannot be sent.
    pub failed: Option<Note>,
}

/// Everything that follows from a message; the first message is the received one.
#[derive(Default)]
pub(crate) struct Derived {
    /// Messages in the order of causation.
    pub messages: Vec<DerivedMessage>,
    /// Deliveries in the order of declaration.
    pub deliveries: Vec<DerivedDelivery>,
    /// What of it processes begin with or wait for.
    pub mail: Vec<DerivedMail>,
}

/// An event for a process, in the clear.
pub(crate) struct DerivedMail {
    /// The message.
    pub message: usize,
    /// What correlates.
    pub correlator: Arc<str>,
    /// The value by which it finds its instance.
    pub key: String,
    /// The event's data.
    pub body: Bytes,
    /// How long it is kept for an instance.
    pub keep: Duration,
}

/// What came in, ready to be routed.
pub(crate) struct Arrival {
    /// Its content, or why it cannot be read.
    pub subject: Result<Subject, Note>,
    /// Key given by whoever made it (an event that is replayed).
    pub key: Option<PlainKey>,
    /// Its lane.
    pub lane: Lane,
}

/// What routing starts from.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// All flows of a source.
    Source(&'a str),
    /// All flows of an event.
    Event(&'a str),
    /// One flow only (a replay of what failed there).
    Flow(usize),
}

struct Failure {
    code: Code,
    text: String,
}

impl Failure {
    fn note(self, place: &str) -> Note {
        let fingerprint = fingerprint::of(self.code.0, place, &self.text);
        Note {
            code: self.code.to_string(),
            text: self.text,
            fingerprint,
        }
    }
}

/// Runs maps one after the other; a failure is a code and a text without values.
pub(crate) fn mapped(
    maps: &[MapPlan],
    subject: &Subject,
    place: &str,
    runtime: &mut Runtime,
) -> Result<Vec<Content>, (Code, String)> {
    router::chain(maps, subject, place, runtime).map_err(|failure| (failure.code, failure.text))
}

/// Routes one message.
pub(crate) fn route(
    plan: &Plan,
    start: Start<'_>,
    arrival: Arrival,
    runtime: &mut Runtime,
) -> Derived {
    let mut router = Router {
        plan,
        runtime,
        out: Derived::default(),
        too_deep: false,
    };
    let first = DerivedMessage {
        event: None,
        flow: None,
        cause: None,
        key: arrival.key,
        lane: arrival.lane,
        body: None,
        routes: Vec::new(),
        terms: Vec::new(),
    };
    router.out.messages.push(first);
    let one;
    let flows: &[usize] = match start {
        Start::Source(source) => plan.flows_of_source(source),
        Start::Event(event) => plan.flows_of_event(event),
        Start::Flow(index) => {
            one = [index];
            &one
        }
    };
    match arrival.subject {
        Ok(subject) => {
            if let Start::Source(source) = start
                && let Some(source) = plan.sources.get(source)
            {
                router.out.messages[0].terms = source
                    .keys
                    .iter()
                    .flat_map(|path| sets::field_texts(path, &subject))
                    .collect();
            }
            for &flow in flows {
                router.flow(flow, 0, &subject, 0);
            }
            if let Start::Event(event) = start {
                router.mail(event, 0, &subject);
            }
        }
        Err(note) => {
            for &flow in flows {
                let name = &plan.flows[flow].failed;
                let note = Note {
                    fingerprint: fingerprint::of(&note.code, name, &note.text),
                    ..note.clone()
                };
                router.fail(flow, 0, note);
            }
        }
    }
    router.out
}

/// An event that a process tells.
pub(crate) struct Told {
    /// The event.
    pub event: EventPlan,
    /// Its data.
    pub content: Content,
    /// Its key.
    pub key: Option<PlainKey>,
    /// Its lane.
    pub lane: Lane,
    /// Metadata that it inherits.
    pub metadata: Metadata,
}

/// Tells events of a process, whose flow is `flow`; each is a message of its own.
pub(crate) fn tell(plan: &Plan, flow: usize, events: Vec<Told>, runtime: &mut Runtime) -> Derived {
    let mut router = Router {
        plan,
        runtime,
        out: Derived::default(),
        too_deep: false,
    };
    for told in events {
        router.event(
            &told.event,
            flow,
            None,
            told.key,
            told.lane,
            told.content,
            &told.metadata,
            0,
        );
    }
    router.out
}

/// Makes the event that follows from an answer. `None` where a map filtered it.
pub(crate) fn follow(
    plan: &Plan,
    flow: usize,
    then: &ThenPlan,
    answer: Subject,
    key: Option<PlainKey>,
    lane: Lane,
    runtime: &mut Runtime,
) -> Derived {
    let mut router = Router {
        plan,
        runtime,
        out: Derived::default(),
        too_deep: false,
    };
    let results = router
        .chain(&then.maps, &answer, &plan.flows[flow].failed)
        .and_then(|results| {
            let name = &plan.flows[flow].failed;
            results
                .into_iter()
                .map(|c| valid(then.schema.as_deref(), c, name))
                .collect::<Result<Vec<_>, _>>()
        });
    match results {
        Ok(results) => {
            for content in results {
                router.event(
                    &then.emit,
                    flow,
                    None,
                    key.clone(),
                    lane,
                    content,
                    &answer.metadata,
                    0,
                );
            }
        }
        Err(failure) => {
            let note = failure.note(&plan.flows[flow].failed);
            // The answer itself is the message, so that nothing is lost with the failed map.
            let body = match &answer.content {
                Content::Json(value) => to_json_bytes(value, MAX_BODY).ok().map(Bytes::from),
                Content::Hl7(message) => Some(message.bytes().clone()),
                Content::X12(set) => Some(sets::alone(set)),
                Content::Interchange(all) => Some(all.bytes().clone()),
                Content::Text(text) => Some(text.clone()),
            };
            router.out.messages.push(DerivedMessage {
                event: Some(then.emit.name.clone()),
                flow: Some(flow),
                cause: None,
                key,
                lane,
                body,
                routes: Vec::new(),
                terms: Vec::new(),
            });
            let index = router.out.messages.len() - 1;
            router.fail(flow, index, note);
        }
    }
    router.out
}

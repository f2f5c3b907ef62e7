//! From one message to everything that follows from it: a pure function of the message and
//! the plan. No clock, no store, no network; `wardline test` and the running engine call the
//! same code.

use crate::codes;
use crate::fingerprint;
use crate::plan::{EventPlan, FieldPath, FlowPlan, KeyPlan, MapPlan, Plan, ThenPlan};
use bytes::Bytes;
use std::sync::Arc;
use wardline_core::{Code, Lane, OrderingKey, Sensitivity};
use wardline_hl7::{CharsetPolicy, ParseOptions};
use wardline_mapping::{
    Content, Metadata, Output, Runtime, Schema, Subject, from_json_bytes, to_json_bytes,
};
use wardline_store::{Note, RouteOutcome};

/// Events may follow from events this deep.
const MAX_DEPTH: usize = 16;
/// Messages and deliveries that one message may lead to.
const MAX_DERIVED: usize = 10_000;
/// Bytes of one mapped body.
const MAX_BODY: usize = 64 << 20;

/// Media types of what the engine writes itself.
pub(crate) const JSON: &str = "application/json";
pub(crate) const HL7: &str = "application/hl7-v2";

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
                    .filter_map(|path| field_text(path, &subject, &[]))
                    .collect();
            }
            for &flow in flows {
                router.flow(flow, 0, &subject, 0);
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

struct Router<'a> {
    plan: &'a Plan,
    runtime: &'a mut Runtime,
    out: Derived,
    too_deep: bool,
}

impl Router<'_> {
    fn flow(&mut self, index: usize, message: usize, subject: &Subject, depth: usize) {
        let plan = self.plan;
        let flow = &plan.flows[index];
        if let Some(when) = &flow.when {
            match when.test(subject, self.runtime) {
                Ok(true) => {}
                Ok(false) => {
                    self.out.messages[message]
                        .routes
                        .push((index, None, RouteOutcome::Filtered));
                    return;
                }
                Err(error) => {
                    let failure = Failure {
                        code: codes::PREDICATE_FAILED,
                        text: format!("the predicate of flow {}: {error}", flow.name),
                    };
                    self.fail(index, message, failure.note(&flow.failed));
                    return;
                }
            }
        }
        match self.apply(flow, message, subject) {
            Err(failure) => self.fail(index, message, failure.note(&flow.failed)),
            Ok((_, results)) if results.is_empty() => {
                self.out.messages[message]
                    .routes
                    .push((index, None, RouteOutcome::Filtered));
            }
            Ok((key, results)) => {
                self.out.messages[message]
                    .routes
                    .push((index, None, RouteOutcome::Taken));
                for content in results {
                    self.result(index, message, subject, key.as_ref(), content, depth);
                }
            }
        }
    }

    /// Key, maps, validation and enrichment of a flow. A result of `None` is the message
    /// itself, unchanged.
    #[allow(clippy::type_complexity)]
    fn apply(
        &mut self,
        flow: &FlowPlan,
        message: usize,
        subject: &Subject,
    ) -> Result<(Option<PlainKey>, Vec<Option<Content>>), Failure> {
        let inherited = self.out.messages[message].key.clone();
        let key = self.key(&flow.key, subject, inherited, &flow.name)?;
        if message == 0 && self.out.messages[0].key.is_none() {
            // The first flow's key is what the received message is found and shown by.
            self.out.messages[0].key.clone_from(&key);
        }
        if flow.maps.is_empty() && flow.enrich.is_empty() {
            if let Some(schema) = &flow.schema {
                valid(Some(schema), subject.content.clone(), &flow.name)?;
            }
            return Ok((key, vec![None]));
        }
        let mut results = Vec::new();
        for content in self.chain(&flow.maps, subject, &flow.name)? {
            let content = valid(flow.schema.as_deref(), content, &flow.name)?;
            if flow.enrich.is_empty() {
                results.push(Some(content));
            } else {
                let subject = Subject {
                    content,
                    metadata: subject.metadata.clone(),
                };
                results.extend(
                    self.chain(&flow.enrich, &subject, &flow.name)?
                        .into_iter()
                        .map(Some),
                );
            }
        }
        Ok((key, results))
    }

    fn result(
        &mut self,
        index: usize,
        message: usize,
        subject: &Subject,
        key: Option<&PlainKey>,
        content: Option<Content>,
        depth: usize,
    ) {
        let plan = self.plan;
        let flow = &plan.flows[index];
        for (position, target) in flow.targets.iter().enumerate() {
            let mapped;
            let view = match &content {
                None => subject,
                Some(content) => {
                    mapped = Subject {
                        content: content.clone(),
                        metadata: subject.metadata.clone(),
                    };
                    &mapped
                }
            };
            if let Some(when) = &target.when {
                match when.test(view, self.runtime) {
                    Ok(true) => {}
                    Ok(false) => {
                        self.out.messages[message].routes.push((
                            index,
                            Some(position),
                            RouteOutcome::Filtered,
                        ));
                        continue;
                    }
                    Err(error) => {
                        let failure = Failure {
                            code: codes::PREDICATE_FAILED,
                            text: format!(
                                "the predicate of {} in flow {}: {error}",
                                target.destination, flow.name
                            ),
                        };
                        let note = failure.note(&target.destination);
                        self.deliver(
                            index,
                            Some(position),
                            message,
                            key.cloned(),
                            None,
                            Some(note),
                        );
                        continue;
                    }
                }
            }
            let place = &target.destination;
            let made = self
                .key(&target.key, view, key.cloned(), &flow.name)
                .and_then(|key| {
                    let bodies = if target.maps.is_empty() {
                        vec![content.clone()]
                    } else {
                        self.chain(&target.maps, view, place)?
                            .into_iter()
                            .map(Some)
                            .collect()
                    };
                    let bodies = bodies
                        .into_iter()
                        .map(|body| body.map(|c| written(&c, place)).transpose());
                    Ok((key, bodies.collect::<Result<Vec<_>, Failure>>()?))
                });
            match made {
                Ok((_, bodies)) if bodies.is_empty() => {
                    self.out.messages[message].routes.push((
                        index,
                        Some(position),
                        RouteOutcome::Filtered,
                    ));
                }
                Ok((key, bodies)) => {
                    for body in bodies {
                        self.deliver(index, Some(position), message, key.clone(), body, None);
                    }
                }
                Err(failure) => {
                    let note = failure.note(place);
                    self.deliver(
                        index,
                        Some(position),
                        message,
                        key.cloned(),
                        None,
                        Some(note),
                    );
                }
            }
        }
        if let Some(event) = &flow.emit {
            let content = content.unwrap_or_else(|| subject.content.clone());
            self.event(
                event,
                index,
                Some(message),
                key.cloned(),
                flow.lane,
                content,
                &subject.metadata,
                depth,
            );
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn event(
        &mut self,
        event: &EventPlan,
        flow: usize,
        cause: Option<usize>,
        key: Option<PlainKey>,
        lane: Lane,
        content: Content,
        inherited: &Metadata,
        depth: usize,
    ) {
        let plan = self.plan;
        let body = match written(&content, &plan.flows[flow].name) {
            Ok((body, _)) => body,
            Err(failure) => {
                let note = failure.note(&plan.flows[flow].failed);
                self.fail(flow, cause.unwrap_or(0), note);
                return;
            }
        };
        if depth >= MAX_DEPTH || self.out.messages.len() + self.out.deliveries.len() >= MAX_DERIVED
        {
            self.stop(flow, cause.unwrap_or(0));
            return;
        }
        let subject = Subject {
            content,
            metadata: Metadata {
                source: Some(Arc::clone(&plan.flows[flow].name)),
                message_type: Some(Arc::clone(&event.name)),
                key: key.as_ref().and_then(PlainKey::text),
                id: inherited
                    .id
                    .as_ref()
                    .map(|id| format!("{id}-{}", self.out.messages.len()).into()),
                received: inherited.received.clone(),
                facility: inherited.facility.clone(),
                correlation_id: inherited.correlation_id.clone(),
            },
        };
        let terms = event
            .keys
            .iter()
            .filter_map(|path| json_text(&subject, path))
            .collect();
        self.out.messages.push(DerivedMessage {
            event: Some(Arc::clone(&event.name)),
            flow: Some(flow),
            cause,
            key,
            lane,
            body: Some(body),
            routes: Vec::new(),
            terms,
        });
        let message = self.out.messages.len() - 1;
        for &next in plan.flows_of_event(&event.name) {
            self.flow(next, message, &subject, depth + 1);
        }
    }

    fn stop(&mut self, flow: usize, message: usize) {
        if self.too_deep {
            return;
        }
        self.too_deep = true;
        let failure = Failure {
            code: codes::TOO_DEEP,
            text: format!(
                "more than {MAX_DERIVED} messages and deliveries, or events {MAX_DEPTH} deep, follow from one message"
            ),
        };
        let note = failure.note(&self.plan.flows[flow].failed);
        self.fail(flow, message, note);
    }

    fn deliver(
        &mut self,
        flow: usize,
        target: Option<usize>,
        message: usize,
        key: Option<PlainKey>,
        body: Option<(Bytes, &'static str)>,
        failed: Option<Note>,
    ) {
        if self.out.messages.len() + self.out.deliveries.len() >= MAX_DERIVED && failed.is_none() {
            self.stop(flow, message);
            return;
        }
        let lane = target.map_or(self.plan.flows[flow].lane, |t| {
            self.plan.flows[flow].targets[t].lane
        });
        self.out.deliveries.push(DerivedDelivery {
            message,
            flow,
            target,
            key,
            lane,
            body,
            failed,
        });
    }

    fn fail(&mut self, flow: usize, message: usize, note: Note) {
        self.out.messages[message]
            .routes
            .push((flow, None, RouteOutcome::Failed));
        let key = self.out.messages[message].key.clone();
        self.deliver(flow, None, message, key, None, Some(note));
    }

    fn key(
        &mut self,
        plan: &KeyPlan,
        subject: &Subject,
        inherited: Option<PlainKey>,
        flow: &str,
    ) -> Result<Option<PlainKey>, Failure> {
        match plan {
            KeyPlan::Inherit => Ok(inherited),
            KeyPlan::Unordered => Ok(None),
            KeyPlan::Expression {
                program,
                sensitivity,
            } => match program.key(subject, self.runtime) {
                Ok(value) => Ok(value
                    .filter(|value| !value.is_empty())
                    .map(|value| PlainKey::Value(value.as_str().into(), *sensitivity))),
                Err(error) => Err(Failure {
                    code: codes::KEY_FAILED,
                    text: format!("the key of flow {flow}: {error}"),
                }),
            },
        }
    }

    /// Runs maps one after the other; each result of one is a subject of the next.
    fn chain(
        &mut self,
        maps: &[MapPlan],
        subject: &Subject,
        place: &str,
    ) -> Result<Vec<Content>, Failure> {
        let mut current = vec![subject.content.clone()];
        for map in maps {
            let mut next = Vec::with_capacity(current.len());
            for content in current {
                let input = Subject {
                    content,
                    metadata: subject.metadata.clone(),
                };
                let output = map
                    .program
                    .run(&input, self.runtime)
                    .map_err(|error| Failure {
                        code: codes::MAP_FAILED,
                        text: format!("{} for {place}: {error}", map.name),
                    })?;
                match output {
                    Output::Json(value) => next.push(Content::Json(value)),
                    Output::Many(values) => next.extend(values.into_iter().map(Content::Json)),
                    Output::Hl7(bytes) => {
                        let message =
                            wardline_hl7::Message::parse(bytes).map_err(|error| Failure {
                                code: codes::MAP_FAILED,
                                text: format!(
                                    "{} for {place} wrote what is not HL7: {error}",
                                    map.name
                                ),
                            })?;
                        next.push(Content::Hl7(Arc::new(message)));
                    }
                    Output::Filtered { .. } => {}
                }
                if next.len() > MAX_DERIVED {
                    return Err(Failure {
                        code: codes::TOO_DEEP,
                        text: format!(
                            "{} for {place} returned more than {MAX_DERIVED} results",
                            map.name
                        ),
                    });
                }
            }
            current = next;
        }
        Ok(current)
    }
}

/// Checks a result against its entity.
fn valid(schema: Option<&Schema>, content: Content, place: &str) -> Result<Content, Failure> {
    let (Some(schema), Content::Json(value)) = (schema, &content) else {
        return Ok(content);
    };
    let violations = schema.validate(value);
    if violations.is_empty() {
        return Ok(content);
    }
    let shown: Vec<String> = violations.iter().take(3).map(ToString::to_string).collect();
    let more = violations.len().saturating_sub(3);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Err(Failure {
        code: codes::INVALID_ENTITY,
        text: format!("the result of {place}: {}{rest}", shown.join("; ")),
    })
}

/// The bytes of a result and their media type.
fn written(content: &Content, place: &str) -> Result<(Bytes, &'static str), Failure> {
    match content {
        Content::Json(value) => match to_json_bytes(value, MAX_BODY) {
            Ok(bytes) => Ok((Bytes::from(bytes), JSON)),
            Err(error) => Err(Failure {
                code: codes::MAP_FAILED,
                text: format!("the result for {place} cannot be written: {error}"),
            }),
        },
        Content::Hl7(message) => Ok((message.bytes().clone(), HL7)),
        Content::Text(bytes) => Ok((bytes.clone(), "text/plain")),
    }
}

/// The text of a field, for keys and duplicates; `None` where it is absent or empty.
pub(crate) fn field_text(
    path: &FieldPath,
    subject: &Subject,
    headers: &[(String, String)],
) -> Option<String> {
    match path {
        FieldPath::Hl7(path) => match &subject.content {
            Content::Hl7(message) => message
                .value(path)
                .map(std::borrow::Cow::into_owned)
                .filter(|v| !v.is_empty()),
            _ => None,
        },
        FieldPath::Header(name) => headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
            .filter(|v| !v.is_empty()),
        FieldPath::Json(path) => json_text(subject, path),
    }
}

fn json_text(subject: &Subject, path: &str) -> Option<String> {
    let Content::Json(value) = &subject.content else {
        return None;
    };
    let mut at = value;
    for part in path.split('.') {
        at = at.as_object()?.get(part)?;
    }
    if at.is_null() {
        return None;
    }
    let text = at
        .to_str_lossy()
        .map_or_else(|| at.to_string(), std::borrow::Cow::into_owned);
    (!text.is_empty()).then_some(text)
}

/// Reads a body as what its media type says.
pub(crate) fn read(content_type: &str, body: &Bytes) -> Result<Content, Note> {
    read_as(content_type, body, CharsetPolicy::default())
}

/// The same with a character set for HL7 text.
pub(crate) fn read_as(
    content_type: &str,
    body: &Bytes,
    charset: CharsetPolicy,
) -> Result<Content, Note> {
    let fail = |text: String| Note {
        code: codes::UNREADABLE_BODY.to_string(),
        fingerprint: fingerprint::of(codes::UNREADABLE_BODY.0, "read", &text),
        text,
    };
    match content_type {
        HL7 => wardline_hl7::Message::parse_with(
            body.clone(),
            &ParseOptions {
                charset,
                ..ParseOptions::default()
            },
        )
        .map(|message| Content::Hl7(Arc::new(message)))
        .map_err(|error| fail(format!("the message is not HL7 v2: {error}"))),
        JSON => from_json_bytes(body)
            .map(Content::Json)
            .map_err(|error| fail(format!("the body is not JSON: {error}"))),
        _ => Ok(Content::Text(body.clone())),
    }
}

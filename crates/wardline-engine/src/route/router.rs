//! The way of one message through its flows: predicate, key, maps, entity, targets, and the
//! events that other flows hear.

use super::content::{json_text, valid, written};
use super::{Derived, DerivedDelivery, DerivedMessage, Failure, MAX_DEPTH, MAX_DERIVED, PlainKey};
use crate::codes;
use crate::plan::{EventPlan, FlowPlan, KeyPlan, MapPlan, Plan};
use bytes::Bytes;
use std::sync::Arc;
use wardline_core::Lane;
use wardline_mapping::{Content, Metadata, Output, Runtime, Subject};
use wardline_store::{Note, RouteOutcome};

pub(super) struct Router<'a> {
    pub(super) plan: &'a Plan,
    pub(super) runtime: &'a mut Runtime,
    pub(super) out: Derived,
    pub(super) too_deep: bool,
}

impl Router<'_> {
    pub(super) fn flow(&mut self, index: usize, message: usize, subject: &Subject, depth: usize) {
        let plan = self.plan;
        let flow = &plan.flows[index];
        if let Some(hook) = &flow.hook {
            self.hook(index, hook, message, subject);
            return;
        }
        if let Some(process) = &flow.process {
            self.start(index, process, message, subject);
            return;
        }
        if let Content::Interchange(all) = &subject.content {
            self.sets(index, message, subject, all, depth);
            return;
        }
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
    pub(super) fn event(
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
        self.mail(&event.name, message, &subject);
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

    pub(super) fn deliver(
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

    pub(super) fn fail(&mut self, flow: usize, message: usize, note: Note) {
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
    pub(super) fn chain(
        &mut self,
        maps: &[MapPlan],
        subject: &Subject,
        place: &str,
    ) -> Result<Vec<Content>, Failure> {
        chain(maps, subject, place, self.runtime)
    }
}

/// Runs maps, each on all results of the one before.
pub(super) fn chain(
    maps: &[MapPlan],
    subject: &Subject,
    place: &str,
    runtime: &mut Runtime,
) -> Result<Vec<Content>, Failure> {
    let mut current = vec![subject.content.clone()];
    for map in maps {
        let mut next = Vec::with_capacity(current.len());
        for content in current {
            let input = Subject {
                content,
                metadata: subject.metadata.clone(),
            };
            let output = map.program.run(&input, runtime).map_err(|error| Failure {
                code: codes::MAP_FAILED,
                text: format!("{} for {place}: {error}", map.name),
            })?;
            match output {
                Output::Json(value) => next.push(Content::Json(value)),
                Output::Many(values) => next.extend(values.into_iter().map(Content::Json)),
                Output::Hl7(bytes) => {
                    let message = wardline_hl7::Message::parse(bytes).map_err(|error| Failure {
                        code: codes::MAP_FAILED,
                        text: format!("{} for {place} wrote what is not HL7: {error}", map.name),
                    })?;
                    next.push(Content::Hl7(Arc::new(message)));
                }
                Output::Xml(bytes) => next.push(Content::Text(bytes)),
                Output::X12(bytes) => {
                    let built = wardline_edi::x12::Interchange::parse(bytes)
                        .ok()
                        .and_then(|all| all.set(0))
                        .ok_or_else(|| Failure {
                            code: codes::MAP_FAILED,
                            text: format!("{} for {place} wrote what is not X12", map.name),
                        })?;
                    next.push(Content::X12(Arc::new(built)));
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

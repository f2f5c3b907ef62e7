//! `flows/*.yaml`.

use super::settings::Levels;
use super::{Decoder, View};
use crate::model::{
    AlertKind, AlertSource, Estate, Flow, Schedule, Source, Target, TargetKind, Then, Validate,
};
use crate::shape::flow::{CALL, FLOW, FROM_ALERT, FROM_CLOCK, FROM_EVENT, FROM_JOB, SEND, THEN};
use crate::source::{Span, Spanned};
use crate::value;
use crate::yaml::Node;
use std::path::PathBuf;
use wardline_core::Lane;

impl<'a> Decoder<'a> {
    pub(super) fn flow(&mut self, node: &'a Node, estate: &Estate) -> Flow {
        let view = View::new(Some(node), &FLOW);
        let name = view.text_or_stand_in("flow", node.at);
        let path = format!("flows.{}", name.value);
        let emit = view.text("emit");
        let runbook = self.runbook(view);
        let targets = view.get("to").map_or(&[][..], Node::one_or_many);
        let source = source(view.get("from"), node.at, estate);
        // Nobody waits for what comes in bulk, unless the flow says so.
        let lane = match source {
            Source::Job(_) => Lane::Bulk,
            _ => Lane::Normal,
        };
        let mut to = Vec::new();
        for (index, target) in targets.iter().enumerate() {
            to.extend(self.target(
                target,
                node,
                estate,
                &format!("{path}.to[{index}]"),
                (runbook.as_ref(), lane),
            ));
        }
        let levels: Levels<'_> = self.levels(&[node], "", None);
        Flow {
            at: name.at,
            title: view.string("title"),
            owner: view.string("owner"),
            source,
            when: view.text("when"),
            key: view.text("key").filter(|key| key.value != "none"),
            map: self.maps(view.texts("map")),
            validate: validate(view, emit.as_ref()),
            enrich: self.maps(view.texts("enrich")),
            emit,
            lane: self.lane_or(&levels, &path, lane),
            to,
            name: name.value,
        }
    }

    pub(super) fn runbook(&mut self, view: View<'_>) -> Option<PathBuf> {
        self.file(view.text("runbook")).map(|file| file.path)
    }

    fn target(
        &mut self,
        node: &'a Node,
        flow: &'a Node,
        estate: &Estate,
        path: &str,
        (runbook, lane): (Option<&PathBuf>, Lane),
    ) -> Option<Target> {
        let call = node.get("call").is_some();
        let (view, key) = if call {
            (View::new(Some(node), &CALL), "call")
        } else {
            (View::new(Some(node), &SEND), "send")
        };
        let written = view.text(key)?;
        let reference = if call {
            served_by(estate, written)
        } else {
            written
        };
        let (system, name) = reference
            .value
            .split_once('.')
            .unwrap_or((&reference.value, ""));
        let (system, name) = (system.to_owned(), name.to_owned());
        let facility = estate
            .systems
            .get(&system)
            .and_then(|system| system.facility.clone());
        let kind = if call {
            // An operation that does not exist is reported by the checks.
            let operation = estate
                .operation(&reference.value)
                .map(|(_, operation)| operation.connection.value.clone());
            TargetKind::Call {
                connection: operation.unwrap_or_default(),
                system: system.clone(),
                operation: name,
            }
        } else {
            TargetKind::Send {
                system: system.clone(),
                connection: name,
            }
        };
        let levels = self.levels(&[node, flow], &system, facility.as_deref());
        Some(Target {
            kind,
            at: reference.at,
            map: self.maps(view.texts("map")),
            when: view.text("when"),
            key: view.text("key").filter(|key| key.value != "none"),
            lane: self.lane_or(&levels, path, lane),
            retry: self.retry(&levels, path),
            on_exhausted: self.exhausted(&levels, path),
            runbook: self.runbook(view).or_else(|| runbook.cloned()),
            then: view.get("then").and_then(|node| self.then(node)),
        })
    }

    fn then(&mut self, node: &Node) -> Option<Then> {
        let view = View::new(Some(node), &THEN);
        let map = self.maps(view.texts("map"));
        let emit = view.text("emit")?;
        Some(Then {
            map,
            validate: validate(view, Some(&emit)),
            emit,
        })
    }
}

/// The operation of the system that serves an operation of an Api, where that is always the same
/// one; else the reference as it is, about which the checks have something to say.
pub(super) fn served_by(estate: &Estate, reference: Spanned<String>) -> Spanned<String> {
    let served = estate
        .api_operation(&reference.value)
        .and_then(|(api, operation)| Some(api.only_binding()?.reference(&operation.name)));
    match served {
        Some(served) if estate.operation(&served).is_some() => reference.map(|_| served),
        _ => reference,
    }
}

/// What `validate` says, else the entity of the event.
fn validate(view: View<'_>, emit: Option<&Spanned<String>>) -> Validate {
    match (view.text("validate"), emit) {
        (Some(entity), _) if entity.value == "none" => Validate::Nothing,
        (Some(entity), _) => Validate::Entity(entity),
        (None, Some(event)) if value::event(&event.value).is_ok() => {
            Validate::Entity(Spanned::new(value::entity_of(&event.value), event.at))
        }
        (None, _) => Validate::Nothing,
    }
}

fn source(node: Option<&Node>, at: Span, estate: &Estate) -> Source {
    let stand_in = || Source::Event(Vec::new());
    let Some(node) = node else { return stand_in() };
    if let Some(reference) = node.text() {
        return Source::Connection(reference);
    }
    if node.get("event").is_some() {
        return Source::Event(View::new(Some(node), &FROM_EVENT).texts("event"));
    }
    if node.get("alert").is_some() {
        let view = View::new(Some(node), &FROM_ALERT);
        let words = view.texts("alert");
        return Source::Alert(AlertSource {
            kinds: words
                .iter()
                .filter_map(|word| AlertKind::named(&word.value))
                .collect(),
            after: view.parsed("after", value::duration).unwrap_or_default(),
        });
    }
    if node.get("job").is_some() {
        let job = View::new(Some(node), &FROM_JOB).text("job");
        return job.map_or_else(stand_in, Source::Job);
    }
    if node.get("every").is_none() {
        return stand_in();
    }
    let view = View::new(Some(node), &FROM_CLOCK);
    let cron = view.text_or_stand_in("every", at);
    let zone = view
        .text("zone")
        .unwrap_or_else(|| Spanned::new(estate.time_zone.clone(), cron.at));
    Source::Schedule(Schedule {
        cron,
        time_zone: zone,
        call: view.text("call").map(|call| served_by(estate, call)),
        body: view.get("body").map(Node::to_json),
    })
}

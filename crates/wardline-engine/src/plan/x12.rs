//! Duties of X12, compiled: each is a flow of its own, so that what it makes is sent, retried and seen like
//! everything else.

use super::{DestinationPlan, FlowPlan, KeyPlan, SourcePlan, TargetPlan};
use crate::dispatch::backoff::Backoff;
use ahash::AHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::Lane;
use wardline_edi::x12::Guides;
use wardline_edi::x12::ack::Form;
use wardline_estate::model::{Connection, Estate, X12Answer};

/// The acknowledgement that is owed for what comes.
#[derive(Clone, Copy)]
pub(crate) struct Owed {
    /// The flow that makes it.
    pub(crate) flow: usize,
    /// Which set.
    pub(crate) form: Form,
}

/// Of whose interchanges acknowledgements come.
#[derive(Clone)]
pub(crate) struct ToldOf {
    /// The flow under which refusals are told.
    pub(crate) flow: usize,
    /// The connection that sent them.
    pub(crate) connection: Arc<str>,
    /// How long the partner may take.
    pub(crate) within: Option<Duration>,
}

/// A duty of one connection.
pub(super) struct Duty {
    pub(super) flow: FlowPlan,
    source: Arc<str>,
    owed: Option<Form>,
    told_of: Option<(Arc<str>, Option<Duration>)>,
}

/// The guides of a connection.
#[derive(Clone)]
pub(crate) struct HeldGuides {
    /// Those of the estate, which what comes is held against.
    pub(crate) own: Arc<Guides>,
    /// The same on top of those that are shipped, for loops in paths.
    pub(crate) all: Arc<Guides>,
}

/// The guides of a connection, where it declares some.
pub(super) fn guides(connection: &Connection) -> Option<HeldGuides> {
    let declared = &connection.x12.as_ref()?.guides;
    if declared.is_empty() {
        return None;
    }
    let (mut own, mut all) = (Guides::default(), (*Guides::shipped()).clone());
    for one in declared {
        own.add((*one.guide).clone());
        all.add((*one.guide).clone());
    }
    Some(HeldGuides {
        own: Arc::new(own),
        all: Arc::new(all),
    })
}

/// How many duties there are.
pub(super) fn count(estate: &Estate) -> usize {
    duties(estate).count()
}

/// All duties, in the order of their connections.
pub(super) fn duties(estate: &Estate) -> impl Iterator<Item = Duty> {
    estate.connections().flat_map(|(system, connection)| {
        let owner = system.owner.as_deref().unwrap_or_default();
        let duties = connection.x12.as_ref();
        let owed = duties.and_then(|duties| {
            let form = match duties.acknowledge? {
                X12Answer::F997 => Form::F997,
                X12Answer::F999 => Form::F999,
            };
            let by = duties.by.as_ref()?.value.as_str();
            Some(Duty {
                owed: Some(form),
                ..duty(connection, "acknowledge", owner, Some(by))
            })
        });
        let told = duties.and_then(|duties| {
            let of = duties.answers.as_ref()?.value.as_str();
            let sends = estate.connection(of);
            let within = sends.and_then(|(_, sends)| sends.x12.as_ref()?.answered_within);
            Some(Duty {
                told_of: Some((of.into(), within)),
                ..duty(connection, "answers", owner, None)
            })
        });
        owed.into_iter().chain(told)
    })
}

fn duty(connection: &Connection, what: &str, owner: &str, by: Option<&str>) -> Duty {
    let name: Arc<str> = format!("x12/{what}/{}", connection.reference).into();
    let target = by.map(|by| TargetPlan {
        destination: by.into(),
        when: None,
        when_text: None,
        key: KeyPlan::Unordered,
        maps: Vec::new(),
        lane: Lane::Normal,
        backoff: Backoff::default(),
        park: true,
        runbook: None,
        then: None,
    });
    let flow = FlowPlan {
        owner: owner.to_owned(),
        from: connection.reference.clone(),
        when: None,
        when_text: None,
        key: KeyPlan::Unordered,
        maps: Vec::new(),
        schema: None,
        enrich: Vec::new(),
        emit: None,
        lane: Lane::Normal,
        targets: target.into_iter().collect(),
        failed: format!("flow/{name}").into(),
        hook: None,
        process: None,
        name,
    };
    Duty {
        flow,
        source: connection.reference.as_str().into(),
        owed: None,
        told_of: None,
    }
}

impl Duty {
    /// Makes source and destination know of it, once its flow has a number.
    pub(super) fn enter(
        &self,
        flow: usize,
        sources: &mut AHashMap<Arc<str>, SourcePlan>,
        destinations: &mut BTreeMap<Arc<str>, DestinationPlan>,
    ) {
        if let Some(source) = sources.get_mut(&self.source) {
            if let Some(form) = self.owed {
                source.acknowledge = Some(Owed { flow, form });
            }
            if let Some((connection, within)) = &self.told_of {
                source.told_of = Some(ToldOf {
                    flow,
                    connection: Arc::clone(connection),
                    within: *within,
                });
            }
        }
        for target in &self.flow.targets {
            destinations
                .entry(Arc::clone(&target.destination))
                .or_insert_with(|| DestinationPlan {
                    connection: Arc::clone(&target.destination),
                    method: None,
                    path: None,
                    runbook: None,
                });
        }
    }
}

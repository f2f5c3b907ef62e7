//! Records on their way into the journal: as messages, or as what was refused.

use super::Trouble;
use super::records::Refusal;
use crate::accept::{AcceptError, Acceptor};
use crate::plan::Plan;
use ahash::AHashSet;
use std::sync::Arc;
use wardline_core::{DeliveryState, Lane};
use wardline_store::{Change, StoreError};

impl From<AcceptError> for Trouble {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Store(error) => error.into(),
            AcceptError::Vault(text, code) => Self::passing(code, text),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        let again = error.is_transient().then_some(std::time::Duration::ZERO);
        Self {
            code: error.code(),
            text: error.to_string(),
            again,
        }
    }
}

/// The changes that keep refused records as dead deliveries.
pub(super) fn refused(
    acceptor: &Acceptor,
    job: &str,
    refused: Vec<Refusal>,
) -> Result<Vec<Change>, Trouble> {
    let plan = acceptor.plan();
    refused
        .into_iter()
        .map(|one| Ok(acceptor.refused_record(&plan, job, one.body, one.code, one.text)?))
        .collect()
}

/// Where records of a job may lead: the destinations of its flows, and of those that hear their
/// events.
pub(super) fn destinations(plan: &Plan, job: &str) -> AHashSet<Arc<str>> {
    let mut found = AHashSet::new();
    let mut seen = AHashSet::new();
    let mut next: Vec<usize> = plan.flows_of_source(&crate::plan::job_source(job)).to_vec();
    while let Some(flow) = next.pop() {
        if !seen.insert(flow) {
            continue;
        }
        let flow = &plan.flows[flow];
        found.extend(
            flow.targets
                .iter()
                .map(|target| Arc::clone(&target.destination)),
        );
        if let Some(event) = &flow.emit {
            next.extend_from_slice(plan.flows_of_event(&event.name));
        }
    }
    found
}

/// Deliveries of lane bulk that are open at some destinations.
pub(super) async fn open(
    acceptor: &Acceptor,
    destinations: &AHashSet<Arc<str>>,
) -> Result<u64, Trouble> {
    let syms: AHashSet<_> = destinations
        .iter()
        .filter_map(|name| acceptor.store.lookup(name))
        .collect();
    let gauges = acceptor.store.gauges().await?;
    let open: i64 = gauges
        .iter()
        .filter(|gauge| {
            gauge.lane == Lane::Bulk
                && syms.contains(&gauge.destination)
                && !matches!(gauge.state, DeliveryState::Dead)
        })
        .map(|gauge| gauge.count)
        .sum();
    Ok(open.max(0).cast_unsigned())
}

//! What a plan learns from the journal after it was compiled: flows and destinations of
//! definitions that instances still run by though the estate no longer has them. They are looked
//! up as all others are; nothing new begins by them.

use super::{DestinationPlan, FlowPlan};
use std::collections::BTreeMap;
use std::ops::Index;
use std::sync::{Arc, OnceLock};

/// The flows of a plan, by number.
pub(crate) struct Flows {
    own: Vec<FlowPlan>,
    past: OnceLock<Vec<FlowPlan>>,
}

impl Flows {
    /// Those of the estate.
    pub(super) const fn new(own: Vec<FlowPlan>) -> Self {
        Self {
            own,
            past: OnceLock::new(),
        }
    }

    /// All of them, in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &FlowPlan> {
        self.own.iter().chain(self.past.get().into_iter().flatten())
    }

    /// How many the estate has.
    pub(super) const fn len(&self) -> usize {
        self.own.len()
    }

    /// Adds one of the estate.
    pub(super) fn push(&mut self, flow: FlowPlan) {
        self.own.push(flow);
    }

    /// Adds those of the past; only the first call counts.
    pub(super) fn remember(&self, past: Vec<FlowPlan>) {
        drop(self.past.set(past));
    }
}

impl Index<usize> for Flows {
    type Output = FlowPlan;

    fn index(&self, number: usize) -> &FlowPlan {
        match number.checked_sub(self.own.len()) {
            None => &self.own[number],
            Some(past) => &self.past.get().map_or(&[][..], Vec::as_slice)[past],
        }
    }
}

/// Where deliveries may go, by name.
pub(crate) struct Destinations {
    own: BTreeMap<Arc<str>, DestinationPlan>,
    past: OnceLock<BTreeMap<Arc<str>, DestinationPlan>>,
}

impl Destinations {
    /// Those of the estate.
    pub(super) const fn new(own: BTreeMap<Arc<str>, DestinationPlan>) -> Self {
        Self {
            own,
            past: OnceLock::new(),
        }
    }

    /// Those of the estate, to add to.
    pub(super) const fn own(&mut self) -> &mut BTreeMap<Arc<str>, DestinationPlan> {
        &mut self.own
    }

    /// Adds those of the past that the estate's flows do not name; only the first call counts.
    pub(super) fn remember(&self, mut past: BTreeMap<Arc<str>, DestinationPlan>) {
        past.retain(|name, _| !self.own.contains_key(name));
        drop(self.past.set(past));
    }

    /// One of them.
    pub(crate) fn get(&self, name: &str) -> Option<&DestinationPlan> {
        let past = || self.past.get()?.get(name);
        self.own.get(name).or_else(past)
    }

    /// Whether it is one.
    pub(crate) fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &DestinationPlan)> {
        self.own.iter().chain(self.past.get().into_iter().flatten())
    }

    /// Their names.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.iter().map(|(name, _)| name)
    }
}

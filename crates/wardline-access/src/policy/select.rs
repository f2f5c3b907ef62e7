//! Which policies a request can concern at all.
//!
//! Cedar looks at every policy of a set, about half a microsecond each. A policy whose head
//! names another principal, action or resource is false without looking, so requests are
//! decided by the set of those whose head fits. Which these are is kept as one bit a policy for
//! each client, action and resource; the sets themselves are made when first needed and shared.

use cedar_policy::{
    ActionConstraint, Entities, EntityUid, Policy, PolicySet, PrincipalConstraint,
    ResourceConstraint,
};
use parking_lot::RwLock;
use smallvec::SmallVec;
use std::sync::Arc;

use super::context::Wanted;
use super::text::Rule;

/// One bit a policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Bits(SmallVec<[u64; 8]>);

impl Bits {
    fn of(rules: &[Rule], fits: impl Fn(&Policy) -> bool) -> Self {
        let mut words = SmallVec::from_elem(0, rules.len().div_ceil(64));
        for (at, rule) in rules.iter().enumerate() {
            if fits(&rule.policy) {
                words[at / 64] |= 1 << (at % 64);
            }
        }
        Self(words)
    }

    fn and(&self, other: &Self, third: &Self) -> Self {
        Self(
            self.0
                .iter()
                .zip(&other.0)
                .zip(&third.0)
                .map(|((a, b), c)| a & b & c)
                .collect(),
        )
    }

    fn has(&self, at: usize) -> bool {
        self.0
            .get(at / 64)
            .is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
}

/// Whether `uid` is `other` or lies below it.
fn within(uid: &EntityUid, other: &EntityUid, entities: &Entities) -> bool {
    uid == other || entities.is_ancestor_of(other, uid)
}

pub(crate) fn of_principal(rules: &[Rule], uid: &EntityUid, entities: &Entities) -> Bits {
    Bits::of(rules, |policy| match policy.principal_constraint() {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::Eq(other) => *uid == other,
        PrincipalConstraint::In(other) => within(uid, &other, entities),
        PrincipalConstraint::Is(kind) => *uid.type_name() == kind,
        PrincipalConstraint::IsIn(kind, other) => {
            *uid.type_name() == kind && within(uid, &other, entities)
        }
    })
}

pub(crate) fn of_resource(rules: &[Rule], uid: &EntityUid, entities: &Entities) -> Bits {
    Bits::of(rules, |policy| match policy.resource_constraint() {
        ResourceConstraint::Any => true,
        ResourceConstraint::Eq(other) => *uid == other,
        ResourceConstraint::In(other) => within(uid, &other, entities),
        ResourceConstraint::Is(kind) => *uid.type_name() == kind,
        ResourceConstraint::IsIn(kind, other) => {
            *uid.type_name() == kind && within(uid, &other, entities)
        }
    })
}

pub(crate) fn of_action(rules: &[Rule], uid: &EntityUid) -> Bits {
    // There are no groups of actions in our schema, so `in` is membership of the list.
    Bits::of(rules, |policy| match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(other) => *uid == other,
        ActionConstraint::In(others) => others.contains(uid),
    })
}

/// A set of policies that some requests are decided by.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) set: PolicySet,
    /// What of the context its policies look at.
    pub(crate) wanted: Wanted,
}

/// The sets that were needed so far.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    known: RwLock<ahash::AHashMap<Bits, Arc<Slice>>>,
}

/// Most sets that are kept; beyond it all are forgotten and made again as needed.
const MOST_SLICES: usize = 4_096;

impl Slices {
    /// The policies whose head fits principal, action and resource.
    pub(crate) fn fitting(
        &self,
        rules: &[Rule],
        principal: &Bits,
        action: &Bits,
        resource: &Bits,
    ) -> Arc<Slice> {
        let bits = principal.and(action, resource);
        if let Some(slice) = self.known.read().get(&bits) {
            return Arc::clone(slice);
        }
        let chosen: Vec<&Rule> = rules
            .iter()
            .enumerate()
            .filter(|(at, _)| bits.has(*at))
            .map(|(_, rule)| rule)
            .collect();
        let slice = Arc::new(Slice {
            set: PolicySet::from_policies(chosen.iter().map(|rule| rule.policy.clone()))
                .expect("names are unique: checked when the policies were compiled"),
            wanted: chosen
                .iter()
                .fold(Wanted::default(), |all, rule| all | Wanted::of(&rule.text)),
        });
        let mut known = self.known.write();
        if known.len() >= MOST_SLICES {
            known.clear();
        }
        known.insert(bits, Arc::clone(&slice));
        slice
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.known.read().len()
    }
}

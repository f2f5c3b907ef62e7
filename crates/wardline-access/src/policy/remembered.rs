//! Decisions that were made already. A decision is a function of the caller, what it asks and
//! what is known, by policies that never change; so one that is asked again need not be made
//! again. What is remembered is compared in full, never by its hash alone.

use super::decide::Decision;
use super::world::{Action, Facts, Resource};
use crate::{Caller, CallerKind, Strength};
use ahash::RandomState;
use parking_lot::RwLock;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::Arc;
use wardline_core::Zone;

/// Decisions that are kept. Who asks ever new questions makes all of them be forgotten, which
/// costs the others one decision each.
const MOST: usize = 8_192;

/// A question, as it is kept.
#[derive(Debug, PartialEq)]
struct Asked {
    name: Arc<str>,
    kind: CallerKind,
    zone: Zone,
    strength: Strength,
    purpose: Option<Arc<str>>,
    scopes: BTreeSet<Arc<str>>,
    roles: BTreeSet<Arc<str>>,
    facilities: BTreeSet<Arc<str>>,
    action: Action,
    resource: Resource,
    facts: Facts,
}

impl Asked {
    fn new(caller: &Caller, action: Action, resource: &Resource, facts: &Facts) -> Self {
        // Everything of the caller but `until`, which who recognised it has looked at.
        let Caller {
            name,
            kind,
            zone,
            scopes,
            roles,
            facilities,
            strength,
            purpose,
            until: _,
        } = caller.clone();
        Self {
            name,
            kind,
            zone,
            strength,
            purpose,
            scopes,
            roles,
            facilities,
            action,
            resource: resource.clone(),
            facts: facts.clone(),
        }
    }

    fn is(&self, caller: &Caller, action: Action, resource: &Resource, facts: &Facts) -> bool {
        let Caller {
            name,
            kind,
            zone,
            scopes,
            roles,
            facilities,
            strength,
            purpose,
            until: _,
        } = caller;
        self.name == *name
            && self.kind == *kind
            && self.zone == *zone
            && self.strength == *strength
            && self.purpose == *purpose
            && self.scopes == *scopes
            && self.roles == *roles
            && self.facilities == *facilities
            && self.action == action
            && self.resource == *resource
            && self.facts == *facts
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    hasher: RandomState,
    all: RwLock<HashMap<u64, (Asked, Arc<Decision>), RandomState>>,
}

impl Remembered {
    /// The decision on a question, made by `decide` where it is new.
    pub(super) fn or(
        &self,
        caller: &Caller,
        action: Action,
        resource: &Resource,
        facts: &Facts,
        decide: impl FnOnce() -> Decision,
    ) -> Arc<Decision> {
        let mut hash = self.hasher.build_hasher();
        (&caller.name, &caller.scopes, &caller.purpose).hash(&mut hash);
        (action as u8, resource, &facts.facility, facts.hour).hash(&mut hash);
        facts.class.map(|class| class as u8).hash(&mut hash);
        let hash = hash.finish();
        if let Some((asked, decision)) = self.all.read().get(&hash)
            && asked.is(caller, action, resource, facts)
        {
            return Arc::clone(decision);
        }
        let decision = Arc::new(decide());
        let asked = Asked::new(caller, action, resource, facts);
        let mut all = self.all.write();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(hash, (asked, Arc::clone(&decision)));
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn caller(name: &str) -> Caller {
        Caller {
            name: name.into(),
            kind: CallerKind::Service,
            zone: Zone::Internal,
            scopes: BTreeSet::new(),
            roles: BTreeSet::new(),
            facilities: BTreeSet::new(),
            strength: Strength::Secret,
            purpose: None,
            until: None,
        }
    }

    #[test]
    fn a_question_is_decided_once_and_another_one_anew() {
        let (memory, made) = (Remembered::default(), Cell::new(0));
        let ask = |caller: &Caller, facts: &Facts| {
            memory.or(caller, Action::Call, &Resource::Estate, facts, || {
                made.set(made.get() + 1);
                Decision::default()
            })
        };
        let facts = Facts::at(Zone::Internal);
        let anna = caller("anna");
        for _ in 0..3 {
            ask(&anna, &facts);
        }
        assert_eq!(made.get(), 1);
        // Whatever differs makes it another question, whether or not the hash takes it in.
        let mut others: Vec<(Caller, Facts)> = vec![(caller("bert"), facts.clone())];
        others.extend(
            [
                Caller {
                    strength: Strength::Certificate,
                    ..anna.clone()
                },
                Caller {
                    roles: ["buyer".into()].into(),
                    ..anna.clone()
                },
                Caller {
                    facilities: ["north".into()].into(),
                    ..anna.clone()
                },
                Caller {
                    zone: Zone::Partner,
                    ..anna.clone()
                },
                Caller {
                    kind: CallerKind::Partner,
                    ..anna.clone()
                },
            ]
            .map(|caller| (caller, facts.clone())),
        );
        others.push((
            anna.clone(),
            Facts {
                mtls: true,
                ..facts.clone()
            },
        ));
        others.push((
            anna.clone(),
            Facts {
                weekday: 7,
                ..facts.clone()
            },
        ));
        let before = made.get();
        for (caller, facts) in &others {
            ask(caller, facts);
        }
        assert_eq!(made.get() - before, others.len());
    }

    #[test]
    fn memory_is_bounded() {
        let memory = Remembered::default();
        for number in 0..MOST + 10 {
            let facts = Facts {
                facility: Some(number.to_string().into()),
                ..Facts::at(Zone::Internal)
            };
            drop(memory.or(
                &caller("anna"),
                Action::Call,
                &Resource::Estate,
                &facts,
                Decision::default,
            ));
        }
        assert!(memory.all.read().len() <= MOST);
    }
}

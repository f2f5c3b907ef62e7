//! One question, one answer.

use cedar_policy::{
    Authorizer, Context, Decision as CedarDecision, Entities, EntityUid, PolicyId, Request,
    RestrictedExpression,
};
use smallvec::SmallVec;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use wardline_core::{Sensitivity, Zone};

use super::context::Wanted;
use super::entities::{self, Names};
use super::remembered::Remembered;
use super::select::{self, Bits, Slice, Slices};
use super::text::Rule;
use super::world::{Action, Client, Facts, Resource, class_name, zone_name};
use crate::mask::Classes;
use crate::{Caller, CallerKind, Strength};

/// Compiled policies and everything they speak of. What they say never changes; deciding makes
/// no I/O and is the same every time, which is why decisions about clients are remembered.
#[derive(Debug)]
pub struct Policies {
    pub(super) authorizer: Authorizer,
    pub(super) remembered: Remembered,
    pub(super) names: Names,
    pub(super) entities: Entities,
    pub(super) rules: Vec<Rule>,
    pub(super) known: HashMap<PolicyId, usize>,
    /// Entities that policies name, which a decision about a person needs besides those asked about.
    pub(super) named: Vec<EntityUid>,
    pub(super) slices: Slices,
    pub(super) actions: [(EntityUid, Bits); Action::ALL.len()],
    pub(super) places: ahash::AHashMap<Resource, Place>,
    pub(super) principals: ahash::AHashMap<Arc<str>, Principal>,
    /// Classes of each entity's sensitive paths.
    pub(super) classes: ahash::AHashMap<Arc<str>, BTreeSet<Sensitivity>>,
}

/// Something that can be asked about.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) uid: EntityUid,
    pub(super) bits: Bits,
    /// For operations.
    pub(super) call: Option<Call>,
    /// For entities: the scope to be told of their events.
    pub(super) receive: Option<Arc<str>>,
}

/// What calling an operation needs.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) scope: Option<Arc<str>>,
    pub(super) zones: SmallVec<[Zone; 3]>,
    pub(super) version: u32,
}

/// A client that can ask.
#[derive(Debug)]
pub(super) struct Principal {
    pub(super) uid: EntityUid,
    pub(super) bits: Bits,
    pub(super) client: Client,
}

/// Why there was nothing to decide, or it could not be decided. The answer is no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDecided {
    /// The caller is no client of this estate (any more).
    #[error("the caller is not a client of this estate")]
    UnknownCaller,
    /// There is no such Api, operation, entity or flow (any more).
    #[error("this estate has nothing of the name that was asked about")]
    UnknownResource,
    /// A policy failed while it was evaluated, such as by overflow. Named here, without values.
    #[error("policy `{0}` could not be evaluated")]
    Policy(Arc<str>),
    /// The request could not be put to the policies.
    #[error("the request could not be put to the policies")]
    Request,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a decision that nobody looks at permits everything"]
pub struct Decision {
    /// Whether it may be done.
    pub allow: bool,
    /// Names of the policies that decided, in order: those that permitted, or those that forbade.
    /// Empty where nothing permitted. For the audit log, never for the caller.
    pub policies: SmallVec<[Arc<str>; 2]>,
    /// What kept it from being decided; never empty together with `allow`.
    pub errors: SmallVec<[NotDecided; 1]>,
}

impl Decision {
    fn not(error: NotDecided) -> Self {
        Self {
            errors: SmallVec::from_iter([error]),
            ..Self::default()
        }
    }
}

/// What a decision is put together from.
struct Question<'a> {
    principal: &'a EntityUid,
    client: Option<&'a Client>,
    place: &'a Place,
    action: &'a EntityUid,
}

impl Policies {
    /// Decides. A client is judged by what its file grants *now* and by what it holds: a scope or
    /// a site that was taken from the file is gone at once, whatever its token says. Roles of a
    /// client are those of its file, roles of a person those of the [`Caller`].
    ///
    /// A caller that is restricted to sites is refused where the request names another site.
    /// Where it names none, what is returned has to be restricted by who serves it.
    ///
    /// ```
    /// use wardline_access::policy::{Action, Facts, Resource, World, compile};
    /// use wardline_access::{Caller, CallerKind, Strength};
    /// use wardline_core::Zone;
    /// let (policies, _) = compile(&World::default());
    /// let policies = policies.expect("the built-in policies compile");
    /// let anna = Caller {
    ///     name: "anna".into(),
    ///     kind: CallerKind::Person,
    ///     zone: Zone::Admin,
    ///     scopes: Default::default(),
    ///     roles: ["support".into()].into(),
    ///     facilities: Default::default(),
    ///     strength: Strength::Secret,
    ///     purpose: None,
    ///     until: None,
    /// };
    /// let facts = Facts::at(Zone::Admin);
    /// let replay = policies.decide(&anna, Action::Replay, &Resource::Estate, &facts);
    /// assert!(replay.allow);
    /// assert_eq!(&*replay.policies[0], "base.operate");
    /// assert!(!policies.decide(&anna, Action::Administer, &Resource::Estate, &facts).allow);
    /// ```
    pub fn decide(
        &self,
        caller: &Caller,
        action: Action,
        resource: &Resource,
        facts: &Facts,
    ) -> Arc<Decision> {
        if caller.kind == CallerKind::Person {
            return Arc::new(self.decide_anew(caller, action, resource, facts));
        }
        self.remembered.or(caller, action, resource, facts, || {
            self.decide_anew(caller, action, resource, facts)
        })
    }

    /// As [`Policies::decide`], whatever was decided before.
    pub fn decide_anew(
        &self,
        caller: &Caller,
        action: Action,
        resource: &Resource,
        facts: &Facts,
    ) -> Decision {
        let Some(place) = self.places.get(resource) else {
            return Decision::not(NotDecided::UnknownResource);
        };
        let (action, fits) = &self.actions[action as usize];
        if caller.kind == CallerKind::Person {
            return self.decide_person(caller, action, fits, place, facts);
        }
        let Some(principal) = self.principals.get(&caller.name) else {
            return Decision::not(NotDecided::UnknownCaller);
        };
        let slice = self
            .slices
            .fitting(&self.rules, &principal.bits, fits, &place.bits);
        let question = Question {
            principal: &principal.uid,
            client: Some(&principal.client),
            place,
            action,
        };
        self.answer(&question, caller, facts, &slice, &self.entities)
    }

    /// People are not part of the snapshot, so a small one is made with what the question and
    /// the policies name: no attribute leads from one entity to another, so nothing else can
    /// be looked at.
    fn decide_person(
        &self,
        caller: &Caller,
        action: &EntityUid,
        fits: &Bits,
        place: &Place,
        facts: &Facts,
    ) -> Decision {
        let person = entities::person(caller, &self.names);
        let uid = person.uid();
        let near = self
            .named
            .iter()
            .chain([&place.uid])
            .flat_map(|uid| {
                self.entities.get(uid).into_iter().chain(
                    self.entities
                        .ancestors(uid)
                        .into_iter()
                        .flatten()
                        .filter_map(|above| self.entities.get(above)),
                )
            })
            .map(|entity| (entity.uid(), entity.clone()))
            .collect::<HashMap<_, _>>();
        let Ok(entities) = Entities::from_entities(near.into_values().chain([person]), None) else {
            return Decision::not(NotDecided::Request);
        };
        let bits = select::of_principal(&self.rules, &uid, &entities);
        let slice = self.slices.fitting(&self.rules, &bits, fits, &place.bits);
        let question = Question {
            principal: &uid,
            client: None,
            place,
            action,
        };
        self.answer(&question, caller, facts, &slice, &entities)
    }

    fn answer(
        &self,
        question: &Question<'_>,
        caller: &Caller,
        facts: &Facts,
        slice: &Slice,
        entities: &Entities,
    ) -> Decision {
        let Ok(context) = Context::from_pairs(pairs(question, caller, facts, slice.wanted)) else {
            return Decision::not(NotDecided::Request);
        };
        let Ok(request) = Request::new(
            question.principal.clone(),
            question.action.clone(),
            question.place.uid.clone(),
            context,
            None,
        ) else {
            return Decision::not(NotDecided::Request);
        };
        let response = self
            .authorizer
            .is_authorized(&request, &slice.set, entities);
        let errors: SmallVec<[NotDecided; 1]> = response
            .diagnostics()
            .errors()
            .map(|error| {
                let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
                NotDecided::Policy(self.name(error.policy_id()))
            })
            .collect();
        let mut decided: SmallVec<[usize; 4]> = response
            .diagnostics()
            .reason()
            .filter_map(|id| self.known.get(id).copied())
            .collect();
        decided.sort_unstable();
        Decision {
            // Cedar leaves out policies that fail, also those that would have forbidden.
            allow: response.decision() == CedarDecision::Allow && errors.is_empty(),
            policies: decided
                .into_iter()
                .map(|at| Arc::clone(&self.rules[at].name))
                .collect(),
            errors,
        }
    }

    /// The same decision by all policies and with all of the context, checked against the
    /// schema: what the short cuts have to agree with.
    #[cfg(test)]
    pub(super) fn decide_the_long_way(
        &self,
        caller: &Caller,
        action: Action,
        resource: &Resource,
        facts: &Facts,
    ) -> Decision {
        let schema: cedar_policy::Schema = super::SCHEMA.parse().unwrap();
        let place = &self.places[resource];
        let principal = self.principals.get(&caller.name);
        let person = entities::person(caller, &self.names);
        let question = Question {
            principal: &principal.map_or_else(|| person.uid(), |principal| principal.uid.clone()),
            client: principal.map(|principal| &principal.client),
            place,
            action: &self.actions[action as usize].0,
        };
        let entities = Entities::from_entities(
            self.entities
                .iter()
                .cloned()
                .chain(principal.is_none().then_some(person)),
            Some(&schema),
        )
        .unwrap();
        let mut wanted = Wanted::ALL;
        if action != Action::Reveal {
            wanted = wanted.without(Wanted::CLASS);
        }
        let context = Context::from_pairs(pairs(&question, caller, facts, wanted)).unwrap();
        Request::new(
            question.principal.clone(),
            question.action.clone(),
            place.uid.clone(),
            context,
            Some(&schema),
        )
        .unwrap();
        let slice = Slice {
            set: cedar_policy::PolicySet::from_policies(
                self.rules.iter().map(|rule| rule.policy.clone()),
            )
            .unwrap(),
            wanted,
        };
        self.answer(&question, caller, facts, &slice, &entities)
    }

    fn name(&self, id: &PolicyId) -> Arc<str> {
        self.known
            .get(id)
            .map_or_else(|| Arc::from("?"), |at| Arc::clone(&self.rules[*at].name))
    }

    /// The classes of an entity's sensitive paths that a caller may see unmasked. Asks once for
    /// each class that the entity has; [`Sensitivity::Secret`] is never among the answers.
    pub fn revealed(&self, caller: &Caller, entity: &Arc<str>, facts: &Facts) -> Classes {
        let resource = Resource::Entity(Arc::clone(entity));
        self.classes
            .get(entity)
            .into_iter()
            .flatten()
            .copied()
            .filter(|class| *class != Sensitivity::Secret)
            .filter(|class| {
                class.may_be_shown() || {
                    let facts = Facts {
                        class: Some(*class),
                        ..facts.clone()
                    };
                    self.decide(caller, Action::Reveal, &resource, &facts).allow
                }
            })
            .collect()
    }

    /// Classes of an entity's sensitive paths; none where there is no such entity.
    pub fn classes(&self, entity: &Arc<str>) -> Option<&BTreeSet<Sensitivity>> {
        self.classes.get(entity)
    }

    pub(super) fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| &*rule.name == name)
    }

    /// How many policies there are, built-in ones included.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Never: there are always the built-in ones.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// Whether a caller may see a site: by what it holds and by what its file grants.
fn facility_allowed(caller: &Caller, client: Option<&Client>, facts: &Facts) -> bool {
    let Some(facility) = &facts.facility else {
        return true;
    };
    let within = |sites: &BTreeSet<Arc<str>>| sites.is_empty() || sites.contains(facility);
    within(&caller.facilities) && client.is_none_or(|client| within(&client.facilities))
}

/// Whether it holds a scope, which its file has to grant still.
pub(super) fn holds(caller: &Caller, client: Option<&Client>, scope: &Arc<str>) -> bool {
    caller.scopes.contains(scope) && client.is_none_or(|client| client.scopes.contains(scope))
}

/// Whether a listener of the zone shows the Api to the caller. A partner is heard in its own
/// zone only.
pub(super) fn shown(caller: &Caller, call: &Call, facts: &Facts) -> bool {
    call.zones.contains(&facts.zone)
        && (caller.kind != CallerKind::Partner || caller.zone == facts.zone)
}

const fn strength(strength: Strength) -> i64 {
    match strength {
        Strength::ApiKey => 1,
        Strength::Secret => 2,
        Strength::PrivateKey => 3,
        Strength::Certificate => 4,
    }
}

fn pairs(
    question: &Question<'_>,
    caller: &Caller,
    facts: &Facts,
    wanted: Wanted,
) -> SmallVec<[(String, RestrictedExpression); 13]> {
    let mut pairs = SmallVec::new();
    let mut put =
        |attribute: Wanted, name: &str, value: &dyn Fn() -> Option<RestrictedExpression>| {
            if wanted.has(attribute)
                && let Some(value) = value()
            {
                pairs.push((name.to_owned(), value));
            }
        };
    let text = |value: &str| Some(RestrictedExpression::new_string(value.to_owned()));
    let flag = |value: bool| Some(RestrictedExpression::new_bool(value));
    let number = |value: i64| Some(RestrictedExpression::new_long(value));
    let client = question.client;
    put(Wanted::ZONE, "zone", &|| text(zone_name(facts.zone)));
    put(Wanted::PURPOSE, "purpose", &|| {
        caller.purpose.as_deref().and_then(text)
    });
    put(Wanted::HOUR, "hour", &|| number(facts.hour.into()));
    put(Wanted::WEEKDAY, "weekday", &|| number(facts.weekday.into()));
    put(Wanted::STRENGTH, "strength", &|| {
        number(strength(caller.strength))
    });
    put(Wanted::MTLS, "mtls", &|| flag(facts.mtls));
    put(Wanted::FACILITY, "facility", &|| {
        facts.facility.as_deref().and_then(text)
    });
    put(Wanted::FACILITY_ALLOWED, "facility_allowed", &|| {
        flag(facility_allowed(caller, client, facts))
    });
    put(Wanted::SCOPES, "scopes", &|| {
        Some(entities::texts(
            caller
                .scopes
                .iter()
                .filter(|scope| holds(caller, client, scope))
                .map(AsRef::as_ref),
        ))
    });
    // Only a call is asked about scope, zone and version; looking at an operation is not.
    let calls = question.action.id().unescaped() == Action::Call.name();
    match &question.place.call {
        Some(call) if calls => {
            put(Wanted::HAS_SCOPE, "has_scope", &|| {
                flag(
                    call.scope
                        .as_ref()
                        .is_none_or(|scope| holds(caller, client, scope)),
                )
            });
            put(Wanted::SHOWN, "shown", &|| flag(shown(caller, call, facts)));
            put(Wanted::VERSION, "version", &|| number(call.version.into()));
        }
        _ => {}
    }
    let receives = question.action.id().unescaped() == Action::Receive.name();
    if let Some(scope) = question.place.receive.as_ref().filter(|_| receives) {
        put(Wanted::HAS_SCOPE, "has_scope", &|| {
            flag(holds(caller, client, scope))
        });
    }
    put(Wanted::CLASS, "class", &|| {
        facts.class.map(class_name).and_then(text)
    });
    pairs
}

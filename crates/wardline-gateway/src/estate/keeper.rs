//! Who passes: identity says who calls, policies whether they may, limits how often, and masks
//! what they see of the answer.

use super::doors::seen;
use crate::plan::{Api, Operation, Transform};
use crate::problem::{Kind, Problem};
use crate::seam::{Facts, Gatekeeper, Pass, Peer};
use ahash::AHashMap;
use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::RwLock;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use wardline_access::identity::Identity;
use wardline_access::mask::{Classes, Fields, Pseudonyms};
use wardline_access::policy::{self, Action, Policies, Resource};
use wardline_access::quota::{
    Ask, Bucket, Limiter, Limits, Period, Quota, Rate, Refusal, rate_limit, rate_limit_policy,
};
use wardline_access::token::Reason;
use wardline_access::{AccessEvent, Caller, Strength};
use wardline_core::{Sensitivity, Zone};
use wardline_estate::model::{self, Estate};

/// Callers whose pseudonyms are kept ready; beyond, they are made anew.
const PSEUDONYMS: usize = 10_000;
/// Header in which a caller says what it needs the data for, where its file names several purposes.
const PURPOSE: &str = "x-purpose-of-use";
/// Header of an API key.
const API_KEY: &str = "x-api-key";
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Classes whose values leave a mark where they are shown.
const SENSITIVE: [Sensitivity; 3] = [Sensitivity::Financial, Sensitivity::Pii, Sensitivity::Phi];

/// An operation as the keeper judges it.
struct Place {
    resource: Resource,
    api: Arc<str>,
    operation: Arc<str>,
    /// The entity that it answers with, where it has one.
    returns: Option<Arc<str>>,
    limits: Limits,
}

/// Api, version, operation.
type PlaceKey = (Arc<str>, Arc<str>, Arc<str>);

/// The gatekeeper of an estate.
pub struct Keeper {
    identity: Arc<Identity>,
    policies: Arc<Policies>,
    limiter: Arc<Limiter>,
    zone: jiff::tz::TimeZone,
    places: AHashMap<PlaceKey, Place>,
    fields: AHashMap<Arc<str>, Arc<Fields>>,
    clients: AHashMap<Arc<str>, Limits>,
    /// Apis that an API key opens, by client.
    key_opens: AHashMap<Arc<str>, Vec<Arc<str>>>,
    root: [u8; 32],
    pseudonyms: RwLock<AHashMap<Arc<str>, Arc<Pseudonyms>>>,
}

impl Keeper {
    /// Judges by these. `root` is the secret that pseudonyms are made with; a new one gives new
    /// pseudonyms.
    pub fn new(
        identity: Arc<Identity>,
        policies: Arc<Policies>,
        limiter: Arc<Limiter>,
        root: [u8; 32],
        estate: &Estate,
    ) -> Self {
        let mut places = AHashMap::new();
        for api in estate.apis.values() {
            let name: Arc<str> = api.name.as_str().into();
            let version: Arc<str> = api.version.to_string().into();
            let limits = Limits {
                rate: rate(api.limits.per_client, Some(api.limits.burst)),
                quota: api.limits.quota.and_then(quota),
                concurrent: None,
            };
            for operation in api.operations.values() {
                let called: Arc<str> = operation.name.as_str().into();
                let place = Place {
                    resource: Resource::Operation {
                        api: Arc::clone(&name),
                        major: api.version.major,
                        operation: Arc::clone(&called),
                    },
                    api: Arc::clone(&name),
                    operation: Arc::clone(&called),
                    returns: operation
                        .returns
                        .as_ref()
                        .map(|entity| entity.value.as_str().into()),
                    limits,
                };
                places.insert((Arc::clone(&name), Arc::clone(&version), called), place);
            }
        }
        let fields = estate.entities.values().map(|entity| {
            let classes = entity.sensitivity.iter();
            let fields = Fields::new(classes.map(|(path, class)| (path, *class)));
            (entity.name.as_str().into(), Arc::new(fields))
        });
        let clients = estate.clients.values().map(|client| {
            let limits = Limits {
                rate: rate(client.limits.rate, client.limits.burst),
                quota: client.limits.quota.and_then(quota),
                concurrent: client.limits.concurrent,
            };
            (client.name.as_str().into(), limits)
        });
        let key_opens = estate.clients.values().filter_map(|client| {
            let key = client.auth.api_key.as_ref()?;
            let apis: Vec<Arc<str>> = key
                .apis
                .iter()
                .map(|api| api.value.as_str().into())
                .collect();
            (!apis.is_empty()).then(|| (client.name.as_str().into(), apis))
        });
        Self {
            identity,
            policies,
            limiter,
            // The loader has checked the name.
            zone: jiff::tz::TimeZone::get(&estate.time_zone).unwrap_or(jiff::tz::TimeZone::UTC),
            places,
            fields: fields.collect(),
            clients: clients.collect(),
            key_opens: key_opens.collect(),
            root,
            pseudonyms: RwLock::default(),
        }
    }

    fn place(&self, api: &Api, operation: &Operation) -> Option<&Place> {
        // The clones count references up and nothing more.
        let key = (
            Arc::clone(&api.name),
            Arc::clone(&api.version),
            Arc::clone(&operation.name),
        );
        self.places.get(&key)
    }

    fn facts(&self, facts: &Facts<'_>) -> policy::Facts {
        let now = jiff::Timestamp::from_microsecond(facts.now.0).unwrap_or_default();
        let local = now.to_zoned_datetime(self.zone.clone());
        policy::Facts {
            zone: facts.peer.zone,
            facility: facts.facility.map(Arc::from),
            hour: u8::try_from(local.hour()).unwrap_or(0),
            weekday: u8::try_from(local.weekday().to_monday_one_offset()).unwrap_or(1),
            mtls: facts.peer.certificate.is_some(),
            class: None,
        }
    }

    /// Tells the audit log who was refused what, and why; the caller learns none of it.
    fn forbidden(&self, caller: &Caller, place: &Place, facts: &Facts<'_>, policies: &str) {
        self.identity.judged(AccessEvent::CallForbidden {
            client: Arc::clone(&caller.name),
            operation: format!("{}.{}", place.api, place.operation),
            policies: policies.to_owned(),
            address: facts.peer.address.ip(),
        });
    }

    /// The sensitive classes of an entity that a caller may see.
    fn shown(&self, caller: &Caller, entity: Option<&Arc<str>>, facts: &policy::Facts) -> Classes {
        let Some((entity, fields)) = entity.and_then(|name| Some((name, self.fields.get(name)?)))
        else {
            return Classes::NONE;
        };
        let revealed = self.policies.revealed(caller, entity, facts);
        let sensitive = fields.classes().iter();
        sensitive
            .filter(|class| SENSITIVE.contains(class) && revealed.contains(*class))
            .collect()
    }

    /// What hides of an entity from a caller what it may not see; `None` where it may see all.
    fn mask(
        &self,
        caller: &Caller,
        entity: Option<&Arc<str>>,
        facts: &policy::Facts,
    ) -> Option<Transform> {
        let entity = entity?;
        let fields = self.fields.get(entity)?;
        let revealed = self.policies.revealed(caller, entity, facts);
        if !fields.hides(revealed) {
            return None;
        }
        let (fields, pseudonyms) = (Arc::clone(fields), self.pseudonyms(&caller.name));
        Some(Arc::new(move |mut value: Value| {
            match &mut value {
                Value::Array(items) => {
                    for item in items {
                        fields.apply(item, revealed, &pseudonyms);
                    }
                }
                one => fields.apply(one, revealed, &pseudonyms),
            }
            Ok(value)
        }))
    }

    fn pseudonyms(&self, caller: &Arc<str>) -> Arc<Pseudonyms> {
        if let Some(known) = self.pseudonyms.read().get(caller) {
            return Arc::clone(known);
        }
        let made = Arc::new(Pseudonyms::new(&self.root, caller));
        let mut all = self.pseudonyms.write();
        if all.len() < PSEUDONYMS {
            all.insert(Arc::clone(caller), Arc::clone(&made));
        }
        made
    }

    async fn charge(&self, caller: &Caller, place: &Place) -> Result<Pass, Problem> {
        let of_client = self.clients.get(&caller.name).copied();
        let asks = [
            Ask {
                bucket: Bucket::of_client(Arc::clone(&caller.name)),
                limits: of_client.unwrap_or_default(),
            },
            Ask {
                bucket: Bucket {
                    client: Arc::clone(&caller.name),
                    api: Some(Arc::clone(&place.api)),
                    operation: None,
                },
                limits: place.limits,
            },
        ];
        let headers = |standings: &[wardline_access::quota::Standing]| {
            let values = [
                (RATE_LIMIT_POLICY, rate_limit_policy(standings)),
                (RATE_LIMIT, rate_limit(standings)),
            ];
            values
                .into_iter()
                .filter(|(_, text)| !text.is_empty())
                .filter_map(|(name, text)| Some((name, HeaderValue::from_str(&text).ok()?)))
        };
        match self.limiter.admit(&asks).await {
            Ok(admission) => {
                let headers = headers(&admission.standings).collect();
                let permits = admission.into_permits();
                Ok(Pass {
                    mask: None,
                    reveals: Classes::NONE,
                    headers,
                    held: (!permits.is_empty()).then(|| Box::new(permits) as Box<dyn Send + Sync>),
                })
            }
            Err(refusal) => {
                let kind = match refusal {
                    Refusal::Store => Kind::Busy,
                    _ => Kind::TooMany,
                };
                let wait = Duration::from_secs(refusal.retry_after());
                let problem = Problem::new(kind).retry_after(wait);
                Err(
                    headers(refusal.standings()).fold(problem, |problem, (name, value)| {
                        problem.header(name, value)
                    }),
                )
            }
        }
    }
}

fn rate(per_second: Option<f64>, burst: Option<u32>) -> Option<Rate> {
    // What the loader lets through is a rate.
    Rate::per_second(per_second?, burst.filter(|burst| *burst > 0)).ok()
}

fn quota(declared: model::Quota) -> Option<Quota> {
    Some(Quota {
        calls: declared.count,
        per: Period::of(declared.per)?,
    })
}

#[async_trait]
impl Gatekeeper for Keeper {
    async fn identify(&self, peer: &Peer, headers: &HeaderMap) -> Result<Arc<Caller>, Problem> {
        match self.identity.recognise(headers, &seen(peer)).await {
            Ok(known) => return Ok(stating(&known.caller, headers)),
            // It may be good: whoever throws it away and gets another has gained nothing.
            Err(refusal) if refusal.reason() == Reason::NoKeys => {
                return Err(Problem::new(Kind::KeysAway).retry_after(Duration::from_secs(10)));
            }
            Err(_) => {}
        }
        // Identity has told the audit log why; the caller learns nothing.
        let challenge = HeaderValue::from_static("Bearer");
        Err(Problem::new(Kind::Unauthenticated).challenge(challenge))
    }

    async fn admit(
        &self,
        api: &Api,
        operation: &Operation,
        facts: &Facts<'_>,
    ) -> Result<Pass, Problem> {
        let Some(caller) = facts.caller else {
            // Nobody has to say who they are where the file says so.
            return if operation.public {
                Ok(Pass::default())
            } else {
                Err(Kind::Forbidden.into())
            };
        };
        let place = self
            .place(api, operation)
            .ok_or_else(|| Problem::from(Kind::Forbidden))?;
        if caller.strength == Strength::ApiKey
            && facts.headers.contains_key(API_KEY)
            && let Some(apis) = self.key_opens.get(&caller.name)
            && !apis.contains(&place.api)
        {
            self.forbidden(caller, place, facts, "the Apis that its key opens");
            return Err(Kind::Forbidden.into());
        }
        let asked = self.facts(facts);
        let decision = self
            .policies
            .decide(caller, Action::Call, &place.resource, &asked);
        if !decision.allow {
            self.forbidden(caller, place, facts, &decision.policies.join(", "));
            return Err(Kind::Forbidden.into());
        }
        let mut pass = self.charge(caller, place).await?;
        pass.mask = self.mask(caller, place.returns.as_ref(), &asked);
        pass.reveals = self.shown(caller, place.returns.as_ref(), &asked);
        Ok(pass)
    }

    fn part(
        &self,
        api: &Api,
        operation: &Operation,
        caller: Option<&Caller>,
    ) -> Result<Option<Transform>, Problem> {
        let returns = self
            .place(api, operation)
            .and_then(|place| place.returns.as_ref());
        match caller {
            Some(caller) => {
                let facts = policy::Facts::at(caller.zone);
                Ok(self.mask(caller, returns, &facts))
            }
            // Whoever nobody knows sees what anybody may see.
            None => Ok(self.mask(&nobody(), returns, &policy::Facts::at(Zone::Partner))),
        }
    }

    fn part_reveals(&self, api: &Api, operation: &Operation, caller: Option<&Caller>) -> Classes {
        let returns = self
            .place(api, operation)
            .and_then(|place| place.returns.as_ref());
        caller.map_or(Classes::NONE, |caller| {
            self.shown(caller, returns, &policy::Facts::at(caller.zone))
        })
    }
}

/// The caller with the purpose that it states, where its file leaves it the choice. Whether it may
/// is for the policies to say.
fn stating(caller: &Arc<Caller>, headers: &HeaderMap) -> Arc<Caller> {
    let stated = headers
        .get(PURPOSE)
        .and_then(|value| value.to_str().ok())
        .map(str::trim)
        .filter(|text| caller.purpose.is_none() && (1..=64).contains(&text.len()));
    match stated {
        None => Arc::clone(caller),
        Some(purpose) => Arc::new(Caller {
            purpose: Some(purpose.into()),
            ..Caller::clone(caller)
        }),
    }
}

/// A caller without a name, for whom nothing is revealed.
fn nobody() -> Caller {
    Caller {
        name: "".into(),
        kind: wardline_access::CallerKind::Partner,
        zone: Zone::Partner,
        scopes: std::collections::BTreeSet::new(),
        roles: std::collections::BTreeSet::new(),
        facilities: std::collections::BTreeSet::new(),
        strength: Strength::ApiKey,
        purpose: None,
        until: None,
    }
}

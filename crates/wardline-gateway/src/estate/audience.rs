//! Who of an estate's clients may receive an event by a webhook, and what of it they see: the same
//! policies and masks as for an answer to a call, with the client as the one who asks.

use super::world;
use ahash::AHashMap;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use wardline_access::mask::{Fields, Pseudonyms};
use wardline_access::policy::{Action, Facts, Policies, Resource};
use wardline_access::{Caller, Strength};
use wardline_core::Timestamp;
use wardline_engine::{Audience, Told};
use wardline_estate::model::{Client, ClientKind, Estate};
use wardline_estate::{Diagnostic, codes};

/// A client as policies see it when it is told something.
struct Receiver {
    /// One for each purpose that an endpoint of it states.
    callers: Vec<(Option<Arc<str>>, Caller)>,
    expires: Option<Timestamp>,
    /// It may see certain sites only.
    restricted: bool,
    pseudonyms: OnceLock<Pseudonyms>,
}

/// The audience of an estate.
pub(super) struct Receivers {
    policies: Arc<Policies>,
    fields: AHashMap<Arc<str>, Fields>,
    clients: AHashMap<Arc<str>, Receiver>,
    zone: jiff::tz::TimeZone,
    root: OnceLock<[u8; 32]>,
}

impl Receivers {
    pub(super) fn new(policies: Arc<Policies>, estate: &Estate) -> Self {
        let fields = estate.entities.values().map(|entity| {
            let classes = entity.sensitivity.iter();
            let fields = Fields::new(classes.map(|(path, class)| (path, *class)));
            (entity.name.as_str().into(), fields)
        });
        Self {
            policies,
            fields: fields.collect(),
            clients: receiving(estate)
                .map(|client| (client.name.as_str().into(), receiver(client)))
                .collect(),
            // The loader has checked the name.
            zone: jiff::tz::TimeZone::get(&estate.time_zone).unwrap_or(jiff::tz::TimeZone::UTC),
            root: OnceLock::new(),
        }
    }

    /// Events that a client asks for and that no policy lets it receive.
    pub(super) fn deaf(&self, estate: &Estate) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for client in receiving(estate) {
            for webhook in &client.webhooks {
                let purpose = webhook.purpose.as_ref().map(|text| text.value.as_str());
                for event in &webhook.events {
                    let entity = entity_of(&event.value);
                    // What has no entity was reported already.
                    if !estate.entities.contains_key(&entity) {
                        continue;
                    }
                    let told = Told {
                        event: &event.value,
                        entity: &entity,
                        purpose,
                        facility: client.facilities.first().map(|site| site.value.as_str()),
                        received: None,
                        data: &Value::Null,
                    };
                    if self.permitted(&client.name, &told).is_some() {
                        continue;
                    }
                    let help = if client.purpose.len() > 1 && purpose.is_none() {
                        "its file names several purposes: say with `purpose` which one this is for"
                            .to_owned()
                    } else {
                        format!(
                            "add `{entity}.receive` to its `scopes`, or write a `permit` for the action `receive`"
                        )
                    };
                    found.push(
                        Diagnostic::warning(
                            codes::DEAF_WEBHOOK,
                            format!("no policy lets `{}` receive `{}`", client.name, event.value),
                        )
                        .at(event.at)
                        .help(help),
                    );
                }
            }
        }
        found
    }

    /// Who asks, and when, where it may receive the event.
    fn permitted(&self, client: &str, told: &Told<'_>) -> Option<(&Receiver, &Caller, Facts)> {
        let receiver = self.clients.get(client)?;
        let mut callers = receiver.callers.iter();
        let (_, caller) = callers.find(|(purpose, _)| purpose.as_deref() == told.purpose)?;
        let received = told
            .received
            .and_then(|text| text.parse::<jiff::Timestamp>().ok());
        if let (Some(expires), Some(received)) = (receiver.expires, received)
            && received.as_microsecond() >= expires.0
        {
            return None;
        }
        // An answer would be restricted by who serves it; here nobody else looks.
        if receiver.restricted && told.facility.is_none() {
            return None;
        }
        let mut facts = Facts::at(caller.zone);
        facts.facility = told.facility.map(Arc::from);
        if let Some(received) = received {
            let local = received.to_zoned_datetime(self.zone.clone());
            facts.hour = u8::try_from(local.hour()).unwrap_or(0);
            facts.weekday = u8::try_from(local.weekday().to_monday_one_offset()).unwrap_or(1);
        }
        let resource = Resource::Entity(told.entity.into());
        let decision = self
            .policies
            .decide(caller, Action::Receive, &resource, &facts);
        decision.allow.then_some((receiver, caller, facts))
    }
}

impl Audience for Receivers {
    fn begin(&self, root: [u8; 32]) {
        // Estates are read anew for each start, so a second one has nothing else to say.
        self.root.get_or_init(|| root);
    }

    fn seen(&self, client: &str, told: &Told<'_>) -> Option<Value> {
        let (receiver, caller, facts) = self.permitted(client, told)?;
        let fields = self.fields.get(told.entity)?;
        let entity: Arc<str> = told.entity.into();
        let revealed = self.policies.revealed(caller, &entity, &facts);
        let mut data = told.data.clone();
        if fields.hides(revealed) {
            let pseudonyms = receiver.pseudonyms.get_or_init(|| {
                // Without one (an estate's own tests) pseudonyms only have to be stable.
                let root = self.root.get().copied().unwrap_or_default();
                Pseudonyms::new(&root, client)
            });
            fields.apply(&mut data, revealed, pseudonyms);
        }
        Some(data)
    }
}

/// Clients that have webhooks and are not refused.
fn receiving(estate: &Estate) -> impl Iterator<Item = &Client> {
    estate.clients.values().filter(|client| {
        !client.webhooks.is_empty() && !client.disabled && client.kind != ClientKind::PersonGroup
    })
}

fn receiver(client: &Client) -> Receiver {
    let names = |all: &[wardline_estate::Spanned<String>]| -> BTreeSet<Arc<str>> {
        all.iter().map(|one| one.value.as_str().into()).collect()
    };
    // A client whose file names one purpose need not say it, here as in a call.
    let only = match client.purpose.as_slice() {
        [one] => Some(one.value.as_str()),
        _ => None,
    };
    let callers = client.webhooks.iter().map(|webhook| {
        let stated = webhook.purpose.as_ref().map(|text| text.value.as_str());
        let caller = Caller {
            name: client.name.as_str().into(),
            kind: world::kind(client.kind),
            zone: client.zone,
            scopes: names(&client.scopes),
            roles: names(&client.roles),
            facilities: names(&client.facilities),
            // Nobody has proven anything: it is called, it does not call.
            strength: Strength::ApiKey,
            purpose: stated.or(only).map(Arc::from),
            until: None,
        };
        (stated.map(Arc::from), caller)
    });
    Receiver {
        callers: callers.collect(),
        expires: client.expires.as_ref().map(|expires| expires.value),
        restricted: !client.facilities.is_empty(),
        pseudonyms: OnceLock::new(),
    }
}

fn entity_of(event: &str) -> String {
    event.split('.').next().unwrap_or(event).replace('_', "-")
}

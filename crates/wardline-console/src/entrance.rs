//! How people come in: whom to ask who they are, and what they may do once that is known.

use axum::response::Response;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use wardline_access::people::{self, People, Person};
use wardline_access::policy::{Action, Decision, Facts, Policies, Resource};
use wardline_core::{Sensitivity, Timestamp};
use wardline_vault::AuditEntry;

use crate::app::App;
use crate::problem::Problem;
use crate::session::Who;

/// Passwords that are worked on at the same time: each takes 19 MiB and tens of milliseconds.
const HASHES: usize = 2;
/// How long somebody may wait for their turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives the policies as they are now.
type Now = Arc<dyn Fn() -> Arc<Policies> + Send + Sync>;

/// How people come in, and for how long.
#[derive(Clone)]
pub struct Entrance {
    pub(crate) people: Arc<People>,
    policies: Now,
    zone: jiff::tz::TimeZone,
    pub(crate) idle: Duration,
    pub(crate) longest: Duration,
    hashes: Arc<Semaphore>,
}

impl std::fmt::Debug for Entrance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entrance")
            .field("people", &self.people)
            .finish_non_exhaustive()
    }
}

impl Entrance {
    /// People, what decides about them (asked each time, so that it may be exchanged), and
    /// where the hospital is. Sessions last 15 minutes idle, 10 hours in all.
    pub fn new(
        people: Arc<People>,
        policies: impl Fn() -> Arc<Policies> + Send + Sync + 'static,
        zone: jiff::tz::TimeZone,
    ) -> Self {
        Self {
            people,
            policies: Arc::new(policies),
            zone,
            idle: Duration::from_secs(15 * 60),
            longest: Duration::from_secs(10 * 3600),
            hashes: Arc::new(Semaphore::new(HASHES)),
        }
    }

    /// Sessions end after so long.
    #[must_use]
    pub fn with_sessions(mut self, idle: Duration, longest: Duration) -> Self {
        self.idle = idle;
        self.longest = longest;
        self
    }

    fn facts(&self) -> Facts {
        people::facts(Timestamp::now(), &self.zone)
    }

    fn decide(&self, person: &Person, asked: &Asked<'_>) -> Decision {
        let policies = (self.policies)();
        let caller = person.caller(asked.purpose);
        let facts = Facts {
            class: asked.class,
            ..self.facts()
        };
        policies.decide_anew(&caller, asked.action, &asked.resource, &facts)
    }

    /// Does work with a password where blocking is allowed, a few at a time.
    pub(crate) async fn hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&People) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.hashes).acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            return Err(Problem::crowded());
        };
        let people = Arc::clone(&self.people);
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&people)
        });
        done.await.map_err(|failed| {
            tracing::error!(%failed, "a sign-in ended abnormally");
            Problem::internal()
        })
    }
}

/// What is asked about somebody.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    pub(crate) action: Action,
    pub(crate) resource: Resource,
    pub(crate) class: Option<Sensitivity>,
    pub(crate) purpose: Option<&'a str>,
}

impl Asked<'_> {
    /// About the estate as a whole.
    pub(crate) const fn of(action: Action) -> Self {
        Self {
            action,
            resource: Resource::Estate,
            class: None,
            purpose: None,
        }
    }
}

/// Purposes that somebody may look at a payload for (HL7 v3 PurposeOfUse), as they are shown.
pub(crate) const PURPOSES: [(&str, &str); 5] = [
    ("HOPERAT", "Operations: mending an integration"),
    ("TREAT", "Treatment"),
    ("HPAYMT", "Payment"),
    ("HSYSADMIN", "Administration of the system"),
    ("ETREAT", "Emergency treatment"),
];

impl App {
    /// Whether somebody may, by the policies; who holds the token may.
    pub(crate) fn may(&self, who: &Who, asked: &Asked<'_>) -> bool {
        self.decision(who, asked)
            .is_none_or(|decision| decision.allow)
    }

    fn decision(&self, who: &Who, asked: &Asked<'_>) -> Option<Decision> {
        match (who, &self.entrance) {
            (Who::Token, _) => None,
            (Who::Person(person), Some(entrance)) => Some(entrance.decide(person, asked)),
            // Nobody comes in without an entrance.
            (Who::Person(_), None) => Some(Decision::default()),
        }
    }

    /// Asks whether somebody may; a refusal is in the audit log with the policies that decided.
    pub(crate) async fn permit(&self, who: &Who, asked: &Asked<'_>) -> Result<(), Problem> {
        let Some(decision) = self.decision(who, asked).filter(|decision| !decision.allow) else {
            return Ok(());
        };
        let Who::Person(person) = who else {
            return Ok(());
        };
        let policies = decision.policies.join(", ");
        let why = if !policies.is_empty() {
            format!("forbidden by {policies}")
        } else if let Some(error) = decision.errors.first() {
            error.to_string()
        } else {
            "no policy permits it".to_owned()
        };
        let entry = AuditEntry::new(person.actor(), "act.forbid", asked.action.name())
            .because(why.clone())
            .with("on", on(&asked.resource))
            .with(
                "roles",
                person
                    .roles
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>(),
            );
        if let Err(error) = self.desk.record(&entry).await {
            tracing::error!(%error, "a refusal is not in the audit log");
        }
        Err(Problem::forbidden(asked, &person.roles, &why))
    }

    /// May somebody act on what a selection names: on the estate, or at least on the one flow
    /// that it is restricted to.
    pub(crate) async fn permit_on(
        &self,
        who: &Who,
        action: Action,
        flow: Option<&str>,
    ) -> Result<(), Problem> {
        let flow = flow.map(|flow| Asked {
            resource: Resource::Flow(flow.into()),
            ..Asked::of(action)
        });
        if flow.is_some_and(|flow| self.may(who, &flow)) {
            return Ok(());
        }
        self.permit(who, &Asked::of(action)).await
    }

    /// May somebody see a payload as it is. `kind` is the type of the message that it was, or
    /// was made of: an event's classes are those of its entity, anything else counts as PHI.
    pub(crate) async fn permit_reveal(
        &self,
        who: &Who,
        kind: &str,
        purpose: Option<&str>,
    ) -> Result<(), Problem> {
        let entity = kind
            .split_once('.')
            .map(|(entity, _)| entity.replace('_', "-"));
        self.permit_reveal_of(who, entity.as_deref(), purpose).await
    }

    /// May somebody see data of an entity as it is; what is of none, or of one that nothing is
    /// known of, counts as PHI.
    pub(crate) async fn permit_reveal_of(
        &self,
        who: &Who,
        entity: Option<&str>,
        purpose: Option<&str>,
    ) -> Result<(), Problem> {
        let (Who::Person(_), Some(entrance)) = (who, &self.entrance) else {
            return Ok(());
        };
        let policies = (entrance.policies)();
        let known = entity.and_then(|entity| {
            let entity: Arc<str> = entity.into();
            let classes = policies.classes(&entity)?;
            Some((entity, classes))
        });
        let (resource, classes) = match known {
            None => (Resource::Estate, BTreeSet::from([Sensitivity::Phi])),
            Some((entity, classes)) => {
                let mut classes: BTreeSet<_> = classes
                    .iter()
                    .copied()
                    .filter(|class| !class.may_be_shown())
                    .collect();
                if classes.is_empty() {
                    classes.insert(Sensitivity::Internal);
                }
                (Resource::Entity(entity), classes)
            }
        };
        for class in classes {
            let asked = Asked {
                action: Action::Reveal,
                resource: resource.clone(),
                class: Some(class),
                purpose,
            };
            self.permit(who, &asked).await?;
        }
        Ok(())
    }

    /// What somebody may not do, so that pages do not offer it.
    pub(crate) fn cannot(&self, who: &Who) -> Vec<&'static str> {
        let acts = [
            Action::View,
            Action::Search,
            Action::Replay,
            Action::Edit,
            Action::Cancel,
            Action::Audit,
        ];
        let mut cannot: Vec<&'static str> = acts
            .into_iter()
            .filter(|action| !self.may(who, &Asked::of(*action)))
            .map(Action::name)
            .collect();
        let classes = [Sensitivity::Financial, Sensitivity::Pii, Sensitivity::Phi];
        let sees = classes.into_iter().any(|class| {
            let asked = Asked {
                class: Some(class),
                purpose: Some(PURPOSES[0].0),
                ..Asked::of(Action::Reveal)
            };
            self.may(who, &asked)
        });
        if !sees {
            cannot.push(Action::Reveal.name());
        }
        cannot
    }
}

pub(crate) fn on(resource: &Resource) -> String {
    match resource {
        Resource::Estate => "the estate".to_owned(),
        Resource::Api(name) => format!("api {name}"),
        Resource::Entity(name) => format!("entity {name}"),
        Resource::Flow(name) => format!("flow {name}"),
        Resource::Operation { api, operation, .. } => format!("operation {api}.{operation}"),
    }
}

/// Writes down what became of a try to come in. Nobody comes in whose coming is not on record.
pub(crate) async fn record(app: &App, entries: &[AuditEntry]) -> Result<(), Problem> {
    for entry in entries {
        app.desk.record(entry).await?;
    }
    Ok(())
}

/// Says how long to wait.
pub(crate) fn wait(mut response: Response, wait: Duration) -> Response {
    let seconds = wait.as_secs().max(1);
    response
        .headers_mut()
        .insert(http::header::RETRY_AFTER, seconds.into());
    response
}

/// Where somebody comes from: the connection's address; behind a proxy on this machine what
/// that proxy says.
pub(crate) fn address(peer: Option<IpAddr>, forwarded: Option<&str>) -> IpAddr {
    let unknown = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    let peer = peer.unwrap_or(unknown);
    if !peer.is_loopback() {
        return peer;
    }
    // The last is what the proxy itself saw; the ones before are what it was told.
    forwarded
        .and_then(|all| all.rsplit(',').next())
        .and_then(|last| last.trim().parse().ok())
        .unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proxy_on_this_machine_says_where_somebody_comes_from() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let from = |peer: &str, said| address(Some(ip(peer)), said);
        assert_eq!(from("10.0.0.9", Some("1.2.3.4")), ip("10.0.0.9"));
        assert_eq!(from("127.0.0.1", Some("9.9.9.9, 1.2.3.4")), ip("1.2.3.4"));
        assert_eq!(from("127.0.0.1", Some("nonsense")), ip("127.0.0.1"));
        assert_eq!(from("127.0.0.1", None), ip("127.0.0.1"));
    }
}

//! Flows that begin when something is wrong with a system that is sent to, and hear again when it is over.
//!
//! What stands is kept in the journal's meta values before it is told, and each message bears a name by which it is known when it
//! comes again: so each alert is told once and taken back once, whatever stops in between.

use crate::desk::Desk;
use crate::plan::{Plan, alert_source};
use crate::view::{DestinationView, Overview};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use wardline_connect::{ContentType, Intake as _, Received, Verdict};
use wardline_core::Timestamp;
use wardline_estate::model::{AlertKind, AlertSource, Source};
use wardline_store::{Change, StoreError};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(2);

/// Looks until it is stopped. Where no flow asks it costs nothing.
pub(crate) async fn watch(desk: Arc<Desk>, stop: CancellationToken) {
    let mut books: BTreeMap<String, Book> = BTreeMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let plan = desk.acceptor.plan();
        let asked: Vec<(&str, &AlertSource)> = plan
            .estate
            .flows
            .values()
            .filter_map(|flow| match &flow.source {
                Source::Alert(alert) => Some((flow.name.as_str(), alert)),
                _ => None,
            })
            .collect();
        books.retain(|known, _| asked.iter().any(|(flow, _)| flow == known));
        if asked.is_empty() {
            continue;
        }
        let overview = match desk.overview().await {
            Ok(overview) => overview,
            Err(error) => {
                tracing::warn!(%error, "how systems stand cannot be read; no alert is told or taken back until it can");
                continue;
            }
        };
        let wrong = wrong(&overview, &plan);
        for (flow, alert) in asked {
            if let Err(error) = look(&desk, &mut books, flow, alert, &wrong).await {
                tracing::warn!(flow, %error, "alerts cannot be kept; they are told at a later look");
            }
        }
    }
}

/// One look for one flow.
async fn look(
    desk: &Desk,
    books: &mut BTreeMap<String, Book>,
    flow: &str,
    alert: &AlertSource,
    wrong: &BTreeMap<Subject, Trouble>,
) -> Result<(), StoreError> {
    let store = &desk.acceptor.store;
    let name = format!("alerts/{flow}");
    let book = match books.entry(flow.to_owned()) {
        Entry::Occupied(book) => book.into_mut(),
        Entry::Vacant(place) => {
            let kept = store.meta(&name).await?;
            let kept = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            place.insert(kept.unwrap_or_default())
        }
    };
    let now = desk.acceptor.clock.now();
    let mut changed = book.turn(wrong, alert, now);
    if changed {
        keep(desk, &name, book).await?;
    }
    changed = false;
    for (subject, state) in book.untold() {
        let Some(standing) = book.stands.get_mut(&subject) else {
            continue;
        };
        if state == CLEARED && !standing.told {
            continue;
        }
        let body = standing.message(&subject, state, wrong.get(&subject));
        let received = Received {
            source: alert_source(flow),
            content_type: ContentType::Json,
            body: Bytes::from(body.to_string()),
            received: now,
            peer: None,
            headers: Vec::new(),
            answer: Bytes::new(),
            once: Some(format!("{}/{state}", standing.id(&subject))),
            fault: None,
        };
        match desk.acceptor.accept(received).await {
            Verdict::Accepted { .. } | Verdict::Duplicate { .. } => {
                changed = true;
                if state == CLEARED {
                    book.stands.remove(&subject);
                } else {
                    standing.told = true;
                }
            }
            // It is told at the next look.
            Verdict::Refused { .. } | Verdict::Busy { .. } => {}
        }
    }
    if changed {
        keep(desk, &name, book).await?;
    }
    Ok(())
}

async fn keep(desk: &Desk, name: &str, book: &Book) -> Result<(), StoreError> {
    let mark = Change::SetMeta {
        name: name.to_owned(),
        value: serde_json::to_vec(book).unwrap_or_default(),
    };
    desk.acceptor.store.commit(vec![mark]).await.map(drop)
}

/// What is wrong, and with what: `down/billing`, `dead/flow/admit`.
type Subject = String;

const RAISED: &str = "raised";
const CLEARED: &str = "cleared";

/// What is wrong now, over all destinations of one system.
#[derive(Debug, Clone, PartialEq)]
struct Trouble {
    kind: AlertKind,
    since: Option<Timestamp>,
    reason: String,
    owner: Option<String>,
    runbook: Option<String>,
    destinations: Vec<String>,
    waiting: u64,
    held: u64,
    dead: u64,
}

/// The system of a destination; a flow whose messages died before they were for anybody stands for itself.
fn system_of(destination: &str) -> &str {
    if destination.starts_with("flow/") {
        return destination;
    }
    destination
        .split_once('.')
        .map_or(destination, |(system, _)| system)
}

/// What is wrong by the dashboard.
fn wrong(overview: &Overview, plan: &Plan) -> BTreeMap<Subject, Trouble> {
    let mut wrong: BTreeMap<Subject, Trouble> = BTreeMap::new();
    for one in &overview.destinations {
        let kinds = [
            (AlertKind::Down, one.state == "down"),
            (AlertKind::Held, one.held > 0),
            (AlertKind::Dead, one.dead > 0),
        ];
        for (kind, _) in kinds.into_iter().filter(|(_, is)| *is) {
            let system = system_of(&one.name);
            let trouble = wrong
                .entry(format!("{}/{system}", kind.as_str()))
                .or_insert_with(|| Trouble {
                    kind,
                    since: None,
                    reason: reason(kind, one),
                    owner: owner(plan, system),
                    runbook: None,
                    destinations: Vec::new(),
                    waiting: 0,
                    held: 0,
                    dead: 0,
                });
            if kind == AlertKind::Down {
                trouble.since = match (trouble.since, one.since) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            }
            trouble.runbook = trouble.runbook.take().or_else(|| one.runbook.clone());
            trouble.destinations.push(one.name.clone());
            trouble.waiting += one.waiting + one.retrying;
            trouble.held += one.held;
            trouble.dead += one.dead;
        }
    }
    wrong
}

fn owner(plan: &Plan, system: &str) -> Option<String> {
    match system.strip_prefix("flow/") {
        Some(flow) => plan.estate.flows.get(flow)?.owner.clone(),
        None => plan.estate.systems.get(system)?.owner.clone(),
    }
}

/// Texts of errors hold no values of payloads.
fn reason(kind: AlertKind, one: &DestinationView) -> String {
    match kind {
        AlertKind::Down => one.reason.clone(),
        AlertKind::Held | AlertKind::Dead => one.last_error.clone().unwrap_or_default(),
    }
}

/// What stands of one flow's alerts.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Book {
    stands: BTreeMap<Subject, Standing>,
}

/// Something that is wrong, or was until now.
#[derive(Debug, Serialize, Deserialize)]
struct Standing {
    since: Timestamp,
    /// When it was long enough; not told before.
    raised: Option<Timestamp>,
    told: bool,
    /// Since when all is well again, as far as anybody looked.
    #[serde(skip)]
    well: Option<Timestamp>,
    /// When it was over; it stands until that is told.
    over: Option<Timestamp>,
}

impl Book {
    /// Takes in what is wrong now. True where something has to be kept before it is told.
    fn turn(
        &mut self,
        wrong: &BTreeMap<Subject, Trouble>,
        alert: &AlertSource,
        now: Timestamp,
    ) -> bool {
        let mut changed = false;
        for (subject, trouble) in wrong {
            if !alert.kinds.contains(&trouble.kind) {
                continue;
            }
            let standing = self
                .stands
                .entry(subject.clone())
                .or_insert_with(|| Standing {
                    since: trouble.since.unwrap_or(now).min(now),
                    raised: None,
                    told: false,
                    well: None,
                    over: None,
                });
            standing.well = None;
            if standing.raised.is_none() && now.since(standing.since) >= alert.after {
                standing.raised = Some(now);
                changed = true;
            }
        }
        self.stands.retain(|subject, standing| {
            if wrong.contains_key(subject) {
                return true;
            }
            let well = *standing.well.get_or_insert(now);
            // A system that comes and goes is one alert.
            let lasts = now.since(well) >= alert.after;
            if standing.raised.is_some() && standing.over.is_none() && lasts {
                standing.over = Some(now);
                changed = true;
            }
            standing.raised.is_some()
        });
        changed
    }

    /// What has to be told next of each, in this order: what is over was raised before.
    fn untold(&self) -> Vec<(Subject, &'static str)> {
        let mut untold = Vec::new();
        for (subject, standing) in &self.stands {
            if standing.raised.is_some() && !standing.told {
                untold.push((subject.clone(), RAISED));
            }
            if standing.over.is_some() {
                untold.push((subject.clone(), CLEARED));
            }
        }
        untold
    }
}

impl Standing {
    /// Its name, the same when it is raised and when it is over.
    fn id(&self, subject: &str) -> String {
        let at = self.raised.unwrap_or(self.since);
        format!("{subject}/{at}")
    }

    fn message(&self, subject: &str, state: &str, trouble: Option<&Trouble>) -> Value {
        let (alert, system) = subject.split_once('/').unwrap_or((subject, ""));
        let at = if state == CLEARED {
            self.over
        } else {
            self.raised
        };
        let mut message = json!({
            "id": self.id(subject), "alert": alert, "system": system, "state": state,
            "since": self.since.to_string(), "at": at.unwrap_or(self.since).to_string(),
        });
        if let (RAISED, Some(trouble)) = (state, trouble) {
            message["reason"] = json!(trouble.reason);
            message["owner"] = json!(trouble.owner);
            message["runbook"] = json!(trouble.runbook);
            message["destinations"] = json!(trouble.destinations);
            message["waiting"] = json!(trouble.waiting);
            message["held"] = json!(trouble.held);
            message["dead"] = json!(trouble.dead);
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::{Book, CLEARED, RAISED, Trouble, system_of};
    use std::collections::BTreeMap;
    use std::time::Duration;
    use wardline_core::Timestamp;
    use wardline_estate::model::{AlertKind, AlertSource};

    const ALERT: AlertSource = AlertSource {
        kinds: Vec::new(),
        after: Duration::from_mins(2),
    };

    fn alert() -> AlertSource {
        AlertSource {
            kinds: vec![AlertKind::Down],
            ..ALERT
        }
    }

    fn down(kind: AlertKind) -> BTreeMap<String, Trouble> {
        let trouble = Trouble {
            kind,
            since: None,
            reason: "connection refused".into(),
            owner: None,
            runbook: None,
            destinations: vec!["billing.post-charge".into()],
            waiting: 3,
            held: 0,
            dead: 0,
        };
        BTreeMap::from([(format!("{}/billing", kind.as_str()), trouble)])
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp(1_700_000_000_000_000 + minutes * 60_000_000)
    }

    #[test]
    fn it_is_raised_when_it_lasts_and_cleared_when_it_is_over() {
        let (mut book, nothing) = (Book::default(), BTreeMap::new());
        assert!(!book.turn(&down(AlertKind::Down), &alert(), at(0)));
        assert!(!book.turn(&down(AlertKind::Down), &alert(), at(1)));
        assert!(book.untold().is_empty());
        assert!(book.turn(&down(AlertKind::Down), &alert(), at(2)));
        assert_eq!(book.untold(), [("down/billing".to_owned(), RAISED)]);
        let standing = book.stands.get_mut("down/billing").unwrap();
        let raised = standing.id("down/billing");
        standing.told = true;
        assert!(!book.turn(&down(AlertKind::Down), &alert(), at(3)));
        // It goes and comes again at once: nothing is told.
        assert!(!book.turn(&nothing, &alert(), at(3)));
        assert!(!book.turn(&down(AlertKind::Down), &alert(), at(3)));
        assert!(!book.turn(&nothing, &alert(), at(3)));
        assert!(book.untold().is_empty());
        assert!(!book.turn(&nothing, &alert(), at(4)));
        assert!(book.turn(&nothing, &alert(), at(5)));
        assert_eq!(book.untold(), [("down/billing".to_owned(), CLEARED)]);
        let standing = &book.stands["down/billing"];
        assert_eq!(standing.id("down/billing"), raised);
        let message = standing.message("down/billing", CLEARED, None);
        assert_eq!(message["alert"], "down");
        assert_eq!(message["system"], "billing");
        assert_eq!(message["at"], at(5).to_string());
        // Until that is told it is the same alert, also where the trouble is back.
        assert!(!book.turn(&down(AlertKind::Down), &alert(), at(6)));
        assert_eq!(book.untold(), [("down/billing".to_owned(), CLEARED)]);
    }

    #[test]
    fn what_does_not_last_is_not_told_and_neither_is_what_nobody_asked_for() {
        let mut book = Book::default();
        book.turn(&down(AlertKind::Down), &alert(), at(0));
        assert!(!book.turn(&BTreeMap::new(), &alert(), at(1)));
        assert!(book.stands.is_empty());
        // It counts anew.
        book.turn(&down(AlertKind::Down), &alert(), at(2));
        assert!(!book.turn(&down(AlertKind::Down), &alert(), at(3)));
        book.turn(&BTreeMap::new(), &alert(), at(4));
        book.turn(&down(AlertKind::Dead), &alert(), at(5));
        assert!(!book.turn(&down(AlertKind::Dead), &alert(), at(9)));
        assert!(book.stands.is_empty());
    }

    #[test]
    fn what_stopped_before_it_was_told_is_told_after_all() {
        let mut book = Book::default();
        book.turn(&down(AlertKind::Down), &alert(), at(0));
        book.turn(&down(AlertKind::Down), &alert(), at(2));
        let kept = serde_json::to_vec(&book).unwrap();
        let mut book: Book = serde_json::from_slice(&kept).unwrap();
        book.turn(&BTreeMap::new(), &alert(), at(3));
        book.turn(&BTreeMap::new(), &alert(), at(5));
        assert_eq!(
            book.untold(),
            [
                ("down/billing".to_owned(), RAISED),
                ("down/billing".to_owned(), CLEARED)
            ]
        );
    }

    #[test]
    fn a_system_is_what_stands_before_the_dot() {
        assert_eq!(system_of("billing.post-charge"), "billing");
        assert_eq!(system_of("flow/admit"), "flow/admit");
        assert_eq!(system_of("research"), "research");
    }
}

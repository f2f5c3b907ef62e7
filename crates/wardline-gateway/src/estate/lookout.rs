//! The lookout: what each client calls, what is usual for it, and what stands out.
//!
//! It is told of every call, counts it, and raises an alert where it stands out. What it knows is
//! kept in the journal, beside the quotas: one value a client, and one with the alerts. It judges
//! nothing itself; whoever hears of an alert does.

use arc_swap::ArcSwap;
use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::mpsc;
use wardline_access::usage::{Call, Counts, OperationUse, Outcome, Usage};
use wardline_access::watch::{
    Acknowledged, Alert, Alerts, Baseline, Event, Raised, Settings, Watch,
};
use wardline_core::{Clock, Timestamp};
use wardline_estate::model::{Estate, WatchAction};
use wardline_store::{Change, Store, StoreError};

use crate::problem::Kind;
use crate::seam::{Ended, Observer};

/// Alerts that may wait for whoever hears of them; each client raises so many an hour at most.
const WAITING: usize = 1_024;
/// Values that are written in one go.
const AT_ONCE: usize = 64;
/// Where the alerts are kept.
const ALERTS: &str = "lookout/alerts";

fn place(client: &str) -> String {
    format!("lookout/client/{client}")
}

/// What is kept of a client.
#[derive(Serialize, Deserialize)]
struct Dossier {
    usage: Usage,
    baseline: Option<Baseline>,
}

struct State {
    watch: Watch,
    usage: BTreeMap<Arc<str>, Usage>,
    alerts: Alerts,
    changed: BTreeSet<Arc<str>>,
    alerts_changed: bool,
}

/// An alert that was just raised, and what its client's file says to do.
#[derive(Debug, Clone)]
pub struct Told {
    /// The alert.
    pub raised: Raised,
    /// What to do.
    pub action: WatchAction,
}

/// What is known of a client's calls.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When it called last.
    pub last: Timestamp,
    /// From where.
    pub address: Option<IpAddr>,
    /// Today's calls.
    pub today: Counts,
    /// All calls that are known of.
    pub total: Counts,
    /// By operation.
    pub operations: Vec<OperationUse>,
}

/// What each client's file says to do.
type Actions = BTreeMap<Arc<str>, WatchAction>;

/// Watches every call of an estate's clients.
pub struct Lookout {
    state: Mutex<State>,
    actions: ArcSwap<Actions>,
    zone: jiff::tz::TimeZone,
    clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    tell: mpsc::Sender<Told>,
    /// One at a time writes, so that nothing older overtakes what is newer.
    writing: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Lookout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookout").finish_non_exhaustive()
    }
}

impl Lookout {
    /// Takes up what the journal knows of the clients of this estate. Alerts come out of the
    /// receiver.
    ///
    /// # Errors
    /// [`StoreError`] where the journal cannot be read.
    pub async fn open(
        estate: &Estate,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, mpsc::Receiver<Told>), StoreError> {
        let mut watch = Watch::new(settings(estate));
        let mut usage = BTreeMap::new();
        for client in estate.clients.values() {
            let name: Arc<str> = client.name.as_str().into();
            let Some(known) = read::<Dossier>(&*store, &place(&name)).await? else {
                continue;
            };
            usage.insert(Arc::clone(&name), known.usage);
            if let Some(baseline) = known.baseline {
                watch.restore(name, baseline);
            }
        }
        let alerts = read::<Alerts>(&*store, ALERTS).await?.unwrap_or_default();
        let (tell, told) = mpsc::channel(WAITING);
        let lookout = Self {
            state: Mutex::new(State {
                watch,
                usage,
                alerts,
                changed: BTreeSet::new(),
                alerts_changed: false,
            }),
            actions: ArcSwap::from_pointee(actions(estate)),
            // The loader has checked the name.
            zone: jiff::tz::TimeZone::get(&estate.time_zone).unwrap_or(jiff::tz::TimeZone::UTC),
            clock,
            store,
            tell,
            writing: tokio::sync::Mutex::default(),
        };
        Ok((lookout, told))
    }

    /// What the journal knows of clients of another estate that this one does not know yet, for
    /// [`Lookout::follow`].
    ///
    /// # Errors
    /// [`StoreError`] where the journal cannot be read.
    pub async fn prepare(&self, estate: &Estate) -> Result<Newcomers, StoreError> {
        let names: Vec<Arc<str>> = {
            let state = self.state.lock();
            let names = estate.clients.keys().map(|name| Arc::from(name.as_str()));
            names
                .filter(|name| !state.usage.contains_key(name))
                .collect()
        };
        let mut known = Vec::new();
        for name in names {
            if let Some(dossier) = read::<Dossier>(&*self.store, &place(&name)).await? {
                known.push((name, dossier));
            }
        }
        Ok(Newcomers(known))
    }

    /// From now on the clients are those of this estate, and stand out as it says. What is known
    /// of one that went is kept, should it come back.
    pub fn follow(&self, estate: &Estate, newcomers: Newcomers) {
        let mut state = self.state.lock();
        state.watch.set(settings(estate));
        for (name, dossier) in newcomers.0 {
            if state.usage.contains_key(&name) {
                continue;
            }
            state.usage.insert(Arc::clone(&name), dossier.usage);
            if let Some(baseline) = dossier.baseline {
                state.watch.restore(name, baseline);
            }
        }
        drop(state);
        self.actions.store(Arc::new(actions(estate)));
    }

    /// Takes a call into account whose caller is known, wherever it was refused.
    pub fn refused(&self, client: &Arc<str>, address: IpAddr) {
        let Some(&action) = self.actions.load().get(client) else {
            return;
        };
        let event = Event {
            client,
            operation: "",
            address,
            denied: true,
        };
        let mut state = self.state.lock();
        self.watch(&mut state, &event, action);
        state.changed.insert(Arc::clone(client));
    }

    fn watch(&self, state: &mut State, event: &Event<'_>, action: WatchAction) {
        if action == WatchAction::Off {
            return;
        }
        let now = self.clock.now();
        if let Some(alert) = state.watch.observe(event, now, &self.zone) {
            self.raise(state, alert, action);
        }
    }

    fn raise(&self, state: &mut State, alert: Alert, action: WatchAction) {
        state.alerts_changed = true;
        let Some(raised) = state.alerts.raise(alert) else {
            return;
        };
        let told = Told {
            raised: raised.clone(),
            action,
        };
        if self.tell.try_send(told).is_err() {
            tracing::error!(
                client = %raised.alert.client,
                "an alert is kept and shown, but the audit log does not keep up with it"
            );
        }
    }

    /// What is known of a client's calls; `None` where it never called.
    pub fn seen(&self, client: &str) -> Option<Seen> {
        let now = self.clock.now();
        let state = self.state.lock();
        let usage = state.usage.get(client)?;
        Some(Seen {
            last: usage.last,
            address: usage.address,
            today: usage.today(now, &self.zone),
            total: usage.total,
            operations: usage.operations().cloned().collect(),
        })
    }

    /// All alerts, newest first.
    pub fn alerts(&self) -> Vec<Raised> {
        self.state.lock().alerts.newest_first().cloned().collect()
    }

    /// How many alerts nobody has looked at.
    pub fn open_alerts(&self) -> usize {
        self.state.lock().alerts.open()
    }

    /// Clients that are refused, and since when.
    pub fn held(&self) -> BTreeMap<Arc<str>, Timestamp> {
        self.state.lock().alerts.held().clone()
    }

    /// Notes who looked at an alert and what they found; `None` where there is none of this
    /// number.
    pub fn acknowledge(&self, id: u64, by: &str, reason: &str) -> Option<Raised> {
        let said = Acknowledged {
            by: by.to_owned(),
            at: self.clock.now(),
            reason: reason.to_owned(),
        };
        let mut state = self.state.lock();
        state.alerts_changed = true;
        state.alerts.acknowledge(id, said).cloned()
    }

    /// Notes that a client is refused; whether it was not so already.
    pub fn hold(&self, client: &Arc<str>, because: Option<u64>) -> bool {
        let now = self.clock.now();
        let mut state = self.state.lock();
        state.alerts_changed = true;
        state.alerts.hold(client, because, now)
    }

    /// Notes that a client is let in again; whether it was refused.
    pub fn release(&self, client: &str) -> bool {
        let mut state = self.state.lock();
        state.alerts_changed = true;
        state.alerts.release(client)
    }

    /// Writes down what has changed; call it every so often, and at the end.
    ///
    /// # Errors
    /// [`StoreError`]; what was not written is tried again next time.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        let (changed, alerts) = {
            let mut state = self.state.lock();
            let alerts = std::mem::take(&mut state.alerts_changed).then(|| state.alerts.clone());
            (std::mem::take(&mut state.changed), alerts)
        };
        let mut rest: Vec<Arc<str>> = changed.into_iter().collect();
        let mut written = match &alerts {
            None => Ok(()),
            Some(alerts) => self.write(vec![value(ALERTS.to_owned(), alerts)]).await,
        };
        if written.is_err() {
            self.state.lock().alerts_changed = true;
        }
        while written.is_ok() && !rest.is_empty() {
            let some: Vec<Arc<str>> = rest.drain(..rest.len().min(AT_ONCE)).collect();
            let changes = some.iter().map(|client| self.dossier(client)).collect();
            written = self.write(changes).await;
            if written.is_err() {
                rest.extend(some);
            }
        }
        self.state.lock().changed.extend(rest);
        written
    }

    fn dossier(&self, client: &Arc<str>) -> Change {
        let dossier = {
            let state = self.state.lock();
            Dossier {
                usage: state
                    .usage
                    .get(client)
                    .cloned()
                    .unwrap_or_else(|| Usage::new(self.clock.now())),
                baseline: state.watch.baseline(client).cloned(),
            }
        };
        value(place(client), &dossier)
    }

    async fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.store.commit(changes).await.map(drop)
    }
}

/// What the journal knows of clients that are new to a running estate.
pub struct Newcomers(Vec<(Arc<str>, Dossier)>);

impl std::fmt::Debug for Newcomers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Newcomers({})", self.0.len())
    }
}

const fn settings(estate: &Estate) -> Settings {
    let declared = &estate.identity.watch;
    Settings {
        learning_days: declared.learning_days,
        learning_active_days: declared.active_days,
        quiet_calls: declared.quiet_calls,
        times_most: declared.times_most,
        few_denials: declared.few_denials,
        denials_ceiling: declared.denials_ceiling,
    }
}

fn actions(estate: &Estate) -> Actions {
    let usual = estate.identity.watch.action;
    let clients = estate.clients.values();
    clients
        .map(|client| (client.name.as_str().into(), client.watch.unwrap_or(usual)))
        .collect()
}

fn value<T: Serialize>(name: String, value: &T) -> Change {
    Change::SetMeta {
        name,
        // Maps of texts and numbers always are JSON; an empty value would be one that is gone.
        value: serde_json::to_vec(value).unwrap_or_default(),
    }
}

/// What was kept under a name. What cannot be read is begun anew: it is knowledge, not a record.
async fn read<T: for<'de> Deserialize<'de>>(
    store: &dyn Store,
    name: &str,
) -> Result<Option<T>, StoreError> {
    let Some(bytes) = store.meta(name).await? else {
        return Ok(None);
    };
    match serde_json::from_slice(&bytes) {
        Ok(read) => Ok(Some(read)),
        Err(error) => {
            tracing::warn!(name, %error, "what was known of a client cannot be read and is learned anew");
            Ok(None)
        }
    }
}

/// What became of a call, as its client sees it.
fn outcome(ended: &Ended<'_>) -> Outcome {
    match ended.problem {
        Some(Kind::Forbidden) => Outcome::Denied,
        Some(Kind::TooMany) => Outcome::Throttled,
        _ if ended.status.is_server_error() => Outcome::Failed,
        _ => Outcome::Served,
    }
}

#[async_trait]
impl Observer for Lookout {
    fn ended(&self, ended: &Ended<'_>) {
        let (Some(caller), Some(api), Some(version), Some(operation)) =
            (ended.caller, ended.api, ended.version, ended.operation)
        else {
            return;
        };
        let actions = self.actions.load();
        let Some((name, &action)) = actions.get_key_value(&caller.name) else {
            return;
        };
        let address = ended.peer.address.ip();
        let outcome = outcome(ended);
        let call = Call {
            api,
            version,
            operation,
            address,
            outcome,
            took: ended.took,
        };
        let whole = format!("{api}.{operation}");
        let event = Event {
            client: name,
            operation: &whole,
            address,
            denied: outcome == Outcome::Denied,
        };
        let now = self.clock.now();
        let mut state = self.state.lock();
        state
            .usage
            .entry(Arc::clone(name))
            .or_insert_with(|| Usage::new(now))
            .count(&call, now, &self.zone);
        self.watch(&mut state, &event, action);
        if !state.changed.contains(name) {
            state.changed.insert(Arc::clone(name));
        }
    }
}

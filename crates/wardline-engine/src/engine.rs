//! The running estate: everything wired, started in order, and stopped in reverse.

use crate::accept::{Acceptor, Root};
use crate::desk::Desk;
use crate::dispatch::Dispatcher;
use crate::dispatch::channel::{CallShape, Channel, Destination, Follow, Policy, Shared};
use crate::dispatch::gate::{Gate, GateConfig};
use crate::dispatch::share::CallGates;
use crate::keys::KeyBook;
use crate::later::Deferral;
use crate::plan::Plan;
use crate::renew::Renewals;
use crate::retention::Forgetting;
use crate::route::{self, PlainKey};
use crate::schedule::{Call, Job};
use crate::webhook::{Endpoint, EndpointParts, News, Standing};
use crate::wire::{Bound, Listening, WireError, Wiring};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wardline_connect::{Intake, Outbound, Reply, http};
use wardline_core::{Clock, Sym};
use wardline_estate::model::{ClientWebhook, Connection, Estate, Idempotency, Source};
use wardline_mapping::Subject;
use wardline_store::{Acceptance, Cause, Ready, Store, StoreError};
use wardline_vault::audit::Break;
use wardline_vault::{Secrets, Vault};

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A listener, sender or secret could not be made ready.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The audit log does not fit its checkpoint.
    #[error(
        "the audit log is broken; run `wardline audit verify` and restore the store from a backup that verifies"
    )]
    Audit(#[from] Break),
}

/// What an engine is made of.
pub struct Parts {
    /// The compiled estate.
    pub plan: Arc<Plan>,
    /// The journal.
    pub store: Arc<dyn Store>,
    /// Keys.
    pub vault: Arc<Vault>,
    /// What `secret:…` stands for.
    pub secrets: Secrets,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// A running estate.
pub struct Engine {
    desk: Arc<Desk>,
    keys: Arc<KeyBook>,
    acceptor: Arc<Acceptor>,
    store: Arc<dyn Store>,
    intake_stop: CancellationToken,
    work_stop: CancellationToken,
    listeners: JoinSet<()>,
    workers: JoinSet<()>,
    inlets: BTreeMap<String, Arc<http::Inlet>>,
    gates: CallGates,
    places: BTreeMap<String, String>,
    renewals: Arc<Renewals>,
}

impl Engine {
    /// Binds every listener and begins to accept and deliver. Nothing is accepted unless all
    /// of it starts.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let renewals = Renewals::new(parts.secrets.clone());
        let Prepared {
            acceptor,
            dispatcher,
            outbounds,
            gates,
            desk,
            news,
        } = prepare(&parts, &renewals).await?;
        let wiring = Wiring::new(&parts.plan.estate, &parts.secrets);
        let intake = Arc::clone(&acceptor) as Arc<dyn Intake>;
        let Bound {
            listening,
            inlets,
            places,
        } = wiring.listen(&parts.plan, &intake, &renewals).await?;
        desk.set_places(places.clone());

        let intake_stop = CancellationToken::new();
        let work_stop = CancellationToken::new();
        let mut listeners = JoinSet::new();
        let mut workers = JoinSet::new();
        parts
            .store
            .listen(Arc::clone(&dispatcher) as Arc<dyn wardline_store::CommitListener>);
        let sending = CancellationToken::new();
        let (sent, stop) = (sending.clone(), work_stop.clone());
        workers.spawn(async move {
            dispatcher.run(stop).await;
            // What the last answers said about endpoints is written down still.
            sent.cancel();
        });
        workers.spawn(write_down(Arc::clone(&desk), news, sending));
        workers.spawn(
            Forgetting {
                retention: parts.plan.estate.retention,
                dedup_within: longest_dedup(&parts.plan),
                store: Arc::clone(&parts.store),
                vault: Arc::clone(&parts.vault),
                clock: Arc::clone(&parts.clock),
            }
            .run(work_stop.clone()),
        );
        workers.spawn(sign_now_and_then(Arc::clone(&desk), work_stop.clone()));
        for flow in parts.plan.estate.flows.values() {
            let Source::Schedule(schedule) = &flow.source else {
                continue;
            };
            let call = schedule
                .call
                .as_ref()
                .and_then(|reference| call_of(&parts.plan, &outbounds, &reference.value));
            let job = Job {
                flow: flow.name.as_str().into(),
                schedule: schedule.clone(),
                started: parts.clock.now(),
                call,
            };
            listeners.spawn(job.run(Arc::clone(&acceptor), intake_stop.clone()));
        }
        for one in listening {
            let intake = Arc::clone(&intake);
            let stop = intake_stop.clone();
            match one {
                Listening::Mllp(listener) => listeners.spawn(listener.run(intake, stop)),
                Listening::Http(ingress) => listeners.spawn(ingress.run(intake, stop)),
            };
        }
        Ok(Self {
            desk,
            keys: Arc::new(KeyBook::new(Arc::clone(&acceptor))),
            acceptor,
            store: parts.store,
            intake_stop,
            work_stop,
            listeners,
            workers,
            inlets,
            gates,
            places,
            renewals,
        })
    }

    /// What is made again when a secret or a certificate changes; somebody has to look.
    pub fn renewals(&self) -> &Arc<Renewals> {
        &self.renewals
    }

    /// The read model and the operators' acts.
    pub fn desk(&self) -> Arc<Desk> {
        Arc::clone(&self.desk)
    }

    /// The journal.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// A secret of the estate for this purpose: the same after every restart, and nothing
    /// without the estate's keys.
    pub fn secret_for(&self, purpose: &str) -> [u8; 32] {
        crate::accept::secret_for(&self.acceptor.vault, purpose)
    }

    /// Where idempotency keys of calls and their answers are kept.
    pub fn key_book(&self) -> Arc<KeyBook> {
        Arc::clone(&self.keys)
    }

    /// Where calls of Apis are handed in that are carried out later.
    pub fn deferral(&self) -> Deferral {
        Deferral::new(Arc::clone(&self.acceptor))
    }

    /// Where messages can be handed in from inside this process.
    pub fn intake(&self) -> Arc<dyn Intake> {
        Arc::clone(&self.acceptor) as Arc<dyn Intake>
    }

    /// Routes at listeners that a gateway opens, by the listener's name.
    pub fn inlets(&self) -> &BTreeMap<String, Arc<http::Inlet>> {
        &self.inlets
    }

    /// What each outbound connection allows, to deliveries and to calls through Apis together.
    pub fn gates(&self) -> &CallGates {
        &self.gates
    }

    /// Where each source listens, in words.
    pub fn places(&self) -> &BTreeMap<String, String> {
        &self.places
    }

    /// Stops in order: no new messages; what is being sent is finished and settled; the journal
    /// is closed. Gives up waiting after `limit`; what is open then is sent after the next start.
    pub async fn stop(mut self, limit: Duration) {
        self.acceptor.stopping.store(true, Ordering::Relaxed);
        self.intake_stop.cancel();
        let drained = tokio::time::timeout(limit, async {
            while self.listeners.join_next().await.is_some() {}
            for inlet in self.inlets.values() {
                inlet.drain().await;
            }
            self.work_stop.cancel();
            while self.workers.join_next().await.is_some() {}
        })
        .await;
        if drained.is_err() {
            tracing::warn!(
                limit_s = limit.as_secs(),
                "not everything came to rest in time; it goes on after the next start"
            );
            self.work_stop.cancel();
        }
        self.desk.checkpoint().await;
        if let Err(error) = self.store.close().await {
            tracing::error!(code = %error.code(), %error, "the journal did not close well; nothing acknowledged is lost");
        }
    }
}

struct Prepared {
    acceptor: Arc<Acceptor>,
    dispatcher: Arc<Dispatcher>,
    outbounds: HashMap<String, Arc<dyn Outbound>>,
    gates: CallGates,
    desk: Arc<Desk>,
    news: mpsc::Receiver<News>,
}

/// Opens the desk alone: everything can be read and decided, nothing is accepted or sent.
/// For the command line while no engine runs.
pub async fn open_desk(parts: Parts) -> Result<Arc<Desk>, StartError> {
    let acceptor = Arc::new(Acceptor::new(
        Arc::clone(&parts.plan),
        Arc::clone(&parts.store),
        Arc::clone(&parts.vault),
        Arc::clone(&parts.clock),
    ));
    acceptor.intern_all().await?;
    let dispatcher = Arc::new(Dispatcher::new(Vec::new()));
    Ok(Arc::new(
        Desk::open(acceptor, dispatcher, BTreeMap::new()).await?,
    ))
}

async fn prepare(parts: &Parts, renewals: &Renewals) -> Result<Prepared, StartError> {
    let plan = &parts.plan;
    let acceptor = Arc::new(Acceptor::new(
        Arc::clone(plan),
        Arc::clone(&parts.store),
        Arc::clone(&parts.vault),
        Arc::clone(&parts.clock),
    ));
    acceptor.intern_all().await?;
    let now = parts.clock.now();
    let mut outbounds: HashMap<String, Arc<dyn Outbound>> = HashMap::new();
    let mut gates: HashMap<String, Arc<Gate>> = HashMap::new();
    for (_, connection) in plan.estate.connections() {
        if let Some(outbound) = renewals.outbound(&plan.estate, connection)? {
            outbounds.insert(connection.reference.clone(), outbound);
            gates.insert(
                connection.reference.clone(),
                Arc::new(Gate::new(gate_config(connection), now)),
            );
        }
    }
    let wiring = Wiring::new(&plan.estate, &parts.secrets);
    let (hooks, news) = webhooks(parts, &wiring, now).await?;
    for (name, (endpoint, gate)) in &hooks {
        let name = crate::webhook::destination(name);
        gates.insert(name.clone(), Arc::clone(gate));
        outbounds.insert(name, Arc::clone(endpoint) as Arc<dyn Outbound>);
    }
    let shared = Arc::new(Shared {
        store: Arc::clone(&parts.store),
        vault: Arc::clone(&parts.vault),
        clock: Arc::clone(&parts.clock),
    });
    let mut by_connection: BTreeMap<Arc<str>, Vec<Arc<Destination>>> = BTreeMap::new();
    for (name, declared) in &plan.destinations {
        let sym = acceptor.sym(name).await?;
        let mut policies: HashMap<Sym, Arc<Policy>> = HashMap::new();
        for (flow_index, flow) in plan.flows.iter().enumerate() {
            for (target_index, target) in flow.targets.iter().enumerate() {
                if target.destination == *name {
                    let policy = Policy {
                        backoff: target.backoff,
                        park: target.park,
                        follow: target
                            .then
                            .as_ref()
                            .map(|_| follow(&acceptor, flow_index, target_index)),
                    };
                    policies.insert(acceptor.sym(&flow.name).await?, Arc::new(policy));
                }
            }
        }
        let shape = CallShape {
            method: declared.method.map(crate::wire::method),
            path: declared.path.clone(),
        };
        let destination = Destination::new(Arc::clone(name), sym, shape, policies);
        by_connection
            .entry(Arc::clone(&declared.connection))
            .or_default()
            .push(Arc::new(destination));
    }
    let mut channels = Vec::new();
    for (connection, destinations) in by_connection {
        let (Some(outbound), Some(gate)) = (outbounds.get(&*connection), gates.get(&*connection))
        else {
            continue;
        };
        let (gate, outbound, shared) =
            (Arc::clone(gate), Arc::clone(outbound), Arc::clone(&shared));
        channels.push(Arc::new(Channel::new(
            connection,
            gate,
            outbound,
            destinations,
            shared,
        )));
    }
    let dispatcher = Arc::new(Dispatcher::new(channels));
    let endpoints = hooks
        .into_iter()
        .map(|(name, (endpoint, _))| (name, endpoint))
        .collect();
    let desk = Desk::open(Arc::clone(&acceptor), Arc::clone(&dispatcher), endpoints).await?;
    Ok(Prepared {
        acceptor,
        dispatcher,
        outbounds,
        gates: CallGates::new(gates, Arc::clone(&parts.clock)),
        desk: Arc::new(desk),
        news,
    })
}

/// Endpoints of clients with their gates, as the journal last knew them.
type Hooks = BTreeMap<Arc<str>, (Arc<Endpoint>, Arc<Gate>)>;

/// Changes of endpoints that may wait for the journal; then sends wait too.
const NEWS: usize = 64;

async fn webhooks(
    parts: &Parts,
    wiring: &Wiring<'_>,
    now: wardline_core::Timestamp,
) -> Result<(Hooks, mpsc::Receiver<News>), StartError> {
    let (tell, news) = mpsc::channel(NEWS);
    let mut hooks = Hooks::new();
    for client in parts.plan.estate.clients.values() {
        for declared in &client.webhooks {
            let destination = crate::webhook::destination(&declared.name);
            // That of a client that is refused is no destination.
            if !parts.plan.destinations.contains_key(destination.as_str()) {
                continue;
            }
            let gate = Arc::new(Gate::new(
                GateConfig {
                    concurrent: declared.concurrent as usize,
                    // The schedule says when to try again, and an outage ends by disabling.
                    open_after: 0,
                    ..GateConfig::default()
                },
                now,
            ));
            let kept = parts.store.meta(&destination).await?;
            let standing =
                kept.map_or_else(Standing::default, |kept| Standing::from_bytes(&kept, now));
            let name: Arc<str> = declared.name.as_str().into();
            let (make, public_keys) = wiring.client_webhook(&destination, declared)?;
            let endpoint = Endpoint::new(EndpointParts {
                name: Arc::clone(&name),
                rule: declared.disable,
                expires: client.expires.as_ref().map(|expires| expires.value),
                events: events_of(declared),
                make,
                url: declared.url.as_ref().map(|url| url.value.clone()),
                public_keys,
                gate: Arc::clone(&gate),
                clock: Arc::clone(&parts.clock),
                standing,
                tell: tell.clone(),
            })
            .map_err(WireError::from)?;
            hooks.insert(name, (Arc::new(endpoint), gate));
        }
    }
    Ok((hooks, news))
}

/// Where the client fetches events of which it was sent the id.
fn events_of(declared: &ClientWebhook) -> String {
    let gateway = declared.fetch.as_ref().map_or("", |url| url.value.as_str());
    format!(
        "{}{}",
        gateway.trim_end_matches('/'),
        crate::webhook::EVENTS_PATH
    )
}

/// Makes the event that a flow declared with `then:` out of an answer. It is committed with
/// the delivery's end, so an answer is never half told.
fn follow(acceptor: &Arc<Acceptor>, flow: usize, target: usize) -> Follow {
    let acceptor = Arc::clone(acceptor);
    Follow(Arc::new(
        move |ready: &Ready, reply: &Reply| -> Option<Acceptance> {
            let plan = Arc::clone(&acceptor.plan);
            let then = plan.flows[flow].targets[target].then.as_ref()?;
            let content_type = match reply
                .content_type
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
            {
                _ if reply.body.starts_with(b"MSH") => route::HL7,
                "" => route::JSON,
                other if other == "application/json" || other.ends_with("+json") => route::JSON,
                other => other,
            };
            let body = if reply.body.is_empty() {
                bytes::Bytes::from_static(b"{}")
            } else {
                reply.body.clone()
            };
            let content =
                route::read(content_type, &body).unwrap_or(wardline_mapping::Content::Text(body));
            let answered = wardline_mapping::Metadata {
                received: Some(acceptor.clock.now().to_string().into()),
                ..wardline_mapping::Metadata::default()
            };
            let key = ready.key.clone().map(PlainKey::Recorded);
            let derived = crate::accept::with_runtime(|runtime| {
                route::follow(
                    &plan,
                    flow,
                    then,
                    Subject::new(content).with(answered),
                    key,
                    ready.lane,
                    runtime,
                )
            });
            if derived.messages.is_empty() {
                return None;
            }
            acceptor
            .seal(derived, None::<Root>, Some(Cause::Existing(ready.id.0)))
            .inspect_err(|error| tracing::error!(%error, "what follows from an answer could not be recorded"))
            .ok()
        },
    ))
}

fn call_of(
    plan: &Plan,
    outbounds: &HashMap<String, Arc<dyn Outbound>>,
    reference: &str,
) -> Option<Call> {
    let (system, operation) = plan.estate.operation(reference)?;
    let outbound = outbounds.get(&format!("{}.{}", system.name, operation.connection.value))?;
    let (method, path) = match &operation.kind {
        wardline_estate::model::OperationKind::Http { method, path } => {
            (Some(crate::wire::method(*method)), Some(path.value.clone()))
        }
        _ => (None, None),
    };
    Some(Call {
        outbound: Arc::clone(outbound),
        method,
        path,
    })
}

fn gate_config(connection: &Connection) -> GateConfig {
    GateConfig {
        rate: connection.limits.rate,
        burst: connection.limits.burst,
        concurrent: connection.limits.concurrent as usize,
        open_after: connection.breaker.open_after,
        within: connection.breaker.within,
        probe_every: connection.breaker.probe_every,
    }
}

fn longest_dedup(plan: &Plan) -> Option<Duration> {
    plan.estate
        .connections()
        .filter_map(|(_, connection)| connection.duplicate.as_ref())
        .map(|d| d.within)
        .chain(idempotent_for(&plan.estate))
        .max()
}

/// How long keys of operations are remembered that become messages.
fn idempotent_for(estate: &Estate) -> impl Iterator<Item = Duration> {
    let operations = estate.apis.values().flat_map(|api| api.operations.values());
    operations.filter_map(|operation| match operation.idempotent {
        Idempotency::Key { keep } => Some(keep),
        Idempotency::No => None,
    })
}

/// Writes changes of endpoints into the journal until nothing is sent any more.
async fn write_down(desk: Arc<Desk>, mut news: mpsc::Receiver<News>, done: CancellationToken) {
    loop {
        let one = tokio::select! {
            biased;
            one = news.recv() => one,
            () = done.cancelled() => {
                news.close();
                news.recv().await
            }
        };
        match one {
            Some(one) => desk.webhook_turned(one).await,
            None => return,
        }
    }
}

/// How long entries of the audit log may go unsigned.
const SIGN_EVERY: Duration = Duration::from_mins(1);

async fn sign_now_and_then(desk: Arc<Desk>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SIGN_EVERY) => desk.checkpoint().await,
            () = shutdown.cancelled() => return,
        }
    }
}

//! Outbound connections while they run. One that says the same keeps its sessions, its breaker
//! and its window, and only learns the new terms of its destinations; one that changed ends what
//! it is sending, and its successor begins with what the journal then owes.

use super::mark::Mark;
use crate::accept::{Acceptor, Root, with_runtime};
use crate::desk::Endpoints;
use crate::dispatch::channel::{CallShape, Channel, Destination, Follow, Policy, Shared, Terms};
use crate::dispatch::gate::{Gate, GateConfig};
use crate::dispatch::share::CallGates;
use crate::dispatch::{Dispatcher, Routes};
use crate::plan::Plan;
use crate::renew::Renewals;
use crate::route;
use crate::webhook::{self, Endpoint, EndpointParts, News, Standing};
use crate::wire::{self, WireError, Wiring};
use crate::x12::Numbered;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wardline_connect::{Outbound, Reply};
use wardline_core::{Clock, Sym, Timestamp};
use wardline_estate::model::{ClientWebhook, Connection, ConnectionKind};
use wardline_mapping::{Metadata, Subject};
use wardline_store::{Acceptance, Cause, Ready, StoreError};

/// The sender of a connection, and what it was made of.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) mark: Mark,
    pub(super) outbound: Arc<dyn Outbound>,
    gate: Arc<Gate>,
    /// Where it is a client's: the same sender, as the desk knows it.
    endpoint: Option<Arc<Endpoint>>,
}

/// A channel and the task that runs it.
#[derive(Clone)]
struct Running {
    channel: Arc<Channel>,
    stop: CancellationToken,
    /// Cancelled when its task has ended, however it ended.
    done: CancellationToken,
}

impl Running {
    fn concerns(&self, other: &Channel) -> bool {
        let mut mine = self.channel.destinations.keys();
        self.channel.name == other.name || mine.any(|sym| other.destinations.contains_key(sym))
    }
}

/// All outbound connections.
#[derive(Default)]
pub(super) struct Senders {
    pub(super) all: BTreeMap<String, Sender>,
    running: BTreeMap<Arc<str>, Running>,
    destinations: HashMap<Sym, Arc<Destination>>,
}

/// The outbound connections of another plan, ready to be run.
pub(super) struct NextSenders {
    pub(super) all: BTreeMap<String, Sender>,
    destinations: HashMap<Sym, Arc<Destination>>,
    terms: HashMap<Sym, Terms>,
    channels: Vec<Arc<Channel>>,
    /// Clients' endpoints whose senders are new though there was one before.
    pub(super) reopened: BTreeSet<String>,
}

/// Makes the sender of a connection. What keeps resources does so by the acceptor.
fn outbound(
    plan: &Plan,
    acceptor: &Arc<Acceptor>,
    renewals: &Renewals,
    connection: &Connection,
) -> Result<Option<Arc<dyn Outbound>>, WireError> {
    let ConnectionKind::FhirKept(declared) = &connection.kind else {
        return renewals.outbound(&plan.estate, connection);
    };
    let resources: std::sync::Weak<Acceptor> = Arc::downgrade(acceptor);
    let name = &connection.reference;
    Ok(Some(wire::keeper(&plan.estate, name, declared, resources)))
}

/// Why senders could not be made ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendersError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Senders {
    /// Makes ready what a plan sends through; nothing changes yet.
    pub(super) async fn prepare(
        &self,
        plan: &Arc<Plan>,
        acceptor: &Arc<Acceptor>,
        renewals: &Renewals,
        tell: &mpsc::Sender<News>,
    ) -> Result<NextSenders, SendersError> {
        let now = acceptor.clock.now();
        let mut all = BTreeMap::new();
        let mut reopened = BTreeSet::new();
        for (_, connection) in plan.estate.connections() {
            let name = &connection.reference;
            // What is kept is what the service offers.
            let kept = match &connection.kind {
                ConnectionKind::FhirKept(declared) => plan.estate.connection(&declared.keep.value),
                _ => None,
            };
            let mark = Mark::said(&(connection, kept.map(|(_, kept)| &kept.kind)));
            let before = self.all.get(name);
            if let Some(same) = before.filter(|before| before.mark == mark) {
                all.insert(name.clone(), same.clone());
            } else if let Some(outbound) = outbound(plan, acceptor, renewals, connection)? {
                let counted = connection.x12.as_ref().and_then(|duties| duties.counted);
                let outbound = match counted {
                    Some(first) => Arc::new(Numbered {
                        inner: outbound,
                        ledger: acceptor.ledgers.beginning(name, first),
                        clock: Arc::clone(&acceptor.clock),
                    }) as Arc<dyn Outbound>,
                    None => outbound,
                };
                let gate = Arc::new(Gate::new(gate_config(connection), now));
                let sender = Sender {
                    mark,
                    outbound,
                    gate,
                    endpoint: None,
                };
                all.insert(name.clone(), sender);
            }
        }
        let wiring = Wiring::new(&plan.estate, renewals.secrets());
        for client in plan.estate.clients.values() {
            for declared in &client.webhooks {
                let name = webhook::destination(&declared.name);
                // That of a client that is refused is no destination.
                if !plan.destinations.contains_key(name.as_str()) {
                    continue;
                }
                let expires = client.expires.as_ref().map(|expires| expires.value);
                let mark = Mark::of(&wiring, &acceptor.vault, &(expires, declared));
                let before = self.all.get(&name);
                if let Some(same) = before.filter(|before| before.mark == mark) {
                    all.insert(name, same.clone());
                    continue;
                }
                if before.is_some() {
                    reopened.insert(name.clone());
                }
                let sender = self
                    .webhook(mark, &name, expires, declared, &wiring, acceptor, tell)
                    .await?;
                all.insert(name, sender);
            }
        }
        let mut by_connection: BTreeMap<Arc<str>, Vec<Arc<Destination>>> = BTreeMap::new();
        let mut destinations = HashMap::new();
        let mut terms = HashMap::new();
        for (name, declared) in plan.destinations.iter() {
            let sym = acceptor.sym(name).await?;
            let shape = CallShape {
                method: declared.method.map(wire::method),
                path: declared.path.clone(),
            };
            let policies = policies(plan, acceptor, name).await?;
            let fresh = Terms { shape, policies };
            let destination = match self.destinations.get(&sym) {
                Some(known) => {
                    terms.insert(sym, fresh);
                    Arc::clone(known)
                }
                None => Arc::new(Destination::new(Arc::clone(name), sym, fresh)),
            };
            destinations.insert(sym, Arc::clone(&destination));
            let connection = Arc::clone(&declared.connection);
            by_connection
                .entry(connection)
                .or_default()
                .push(destination);
        }
        let shared = Arc::new(Shared {
            store: Arc::clone(&acceptor.store),
            vault: Arc::clone(&acceptor.vault),
            clock: Arc::clone(&acceptor.clock),
        });
        let mut channels = Vec::new();
        for (connection, destinations) in by_connection {
            let Some(sender) = all.get(&*connection) else {
                continue;
            };
            let before = self
                .running
                .get(&connection)
                .map(|running| &running.channel);
            if let Some(same) = before.filter(|channel| {
                channel.sends_by(&sender.outbound)
                    && channel.destinations.len() == destinations.len()
                    && destinations
                        .iter()
                        .all(|one| channel.destinations.contains_key(&one.sym))
            }) {
                channels.push(Arc::clone(same));
                continue;
            }
            channels.push(Arc::new(Channel::new(
                connection,
                Arc::clone(&sender.gate),
                Arc::clone(&sender.outbound),
                destinations,
                Arc::clone(&shared),
            )));
        }
        Ok(NextSenders {
            all,
            destinations,
            terms,
            channels,
            reopened,
        })
    }

    /// Makes the sender to a client's endpoint, which stands as the one before it did, or as the
    /// journal last knew it.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is one thing that it is made of"
    )]
    async fn webhook(
        &self,
        mark: Mark,
        destination: &str,
        expires: Option<Timestamp>,
        declared: &ClientWebhook,
        wiring: &Wiring<'_>,
        acceptor: &Acceptor,
        tell: &mpsc::Sender<News>,
    ) -> Result<Sender, SendersError> {
        let now = acceptor.clock.now();
        let config = GateConfig {
            concurrent: declared.concurrent as usize,
            // The schedule says when to try again, and an outage ends by disabling.
            open_after: 0,
            ..GateConfig::default()
        };
        let before = self.all.get(destination);
        // What the one before still sends counts with it, where both allow the same.
        let gate = before
            .map(|before| &before.gate)
            .filter(|gate| gate.allows(&config))
            .map_or_else(|| Arc::new(Gate::new(config, now)), Arc::clone);
        let known = before.and_then(|before| before.endpoint.as_ref());
        let standing = if let Some(known) = known {
            known.shared_standing()
        } else {
            let kept = acceptor.store.meta(destination).await?;
            let kept = kept.map(|kept| Standing::from_bytes(&kept, now));
            Arc::new(Mutex::new(kept.unwrap_or_default()))
        };
        let (make, public_keys) = wiring.client_webhook(destination, declared)?;
        let endpoint = Endpoint::new(EndpointParts {
            name: declared.name.as_str().into(),
            rule: declared.disable,
            expires,
            events: events_of(declared),
            make,
            url: declared.url.as_ref().map(|url| url.value.clone()),
            public_keys,
            gate: Arc::clone(&gate),
            clock: Arc::clone(&acceptor.clock),
            standing,
            tell: tell.clone(),
        })
        .map_err(WireError::from)?;
        let endpoint = Arc::new(endpoint);
        Ok(Sender {
            mark,
            outbound: Arc::clone(&endpoint) as Arc<dyn Outbound>,
            gate,
            endpoint: Some(endpoint),
        })
    }

    /// Clients' endpoints that are sent to, by name.
    pub(super) fn endpoints(&self) -> Endpoints {
        let all = self.all.values().filter_map(|one| one.endpoint.as_ref());
        all.map(|endpoint| (Arc::clone(endpoint.name()), Arc::clone(endpoint)))
            .collect()
    }

    /// Runs what was made ready.
    pub(super) fn apply(
        &mut self,
        next: NextSenders,
        dispatcher: &Dispatcher,
        workers: &mut JoinSet<()>,
        work_stop: &CancellationToken,
    ) {
        for (name, sender) in &next.all {
            let Some(endpoint) = &sender.endpoint else {
                continue;
            };
            let before = self.all.get(name).and_then(|one| one.endpoint.as_ref());
            if !before.is_some_and(|before| Arc::ptr_eq(before, endpoint)) {
                endpoint.begin();
            }
        }
        // From here on the journal's writer tells the new channels. What it told an old one in
        // this moment is in the journal, where its successor begins to read after the old end.
        dispatcher.replace(Routes::new(next.channels.clone()));
        for (sym, terms) in next.terms {
            if let Some(destination) = next.destinations.get(&sym) {
                destination.learn(terms);
            }
        }
        let mut running = BTreeMap::new();
        let mut fresh = Vec::new();
        for channel in next.channels {
            match self.running.remove(&channel.name) {
                Some(same) if Arc::ptr_eq(&same.channel, &channel) => {
                    running.insert(Arc::clone(&channel.name), same);
                }
                Some(other) => {
                    self.running.insert(Arc::clone(&channel.name), other);
                    fresh.push(channel);
                }
                None => fresh.push(channel),
            }
        }
        let retired = std::mem::take(&mut self.running);
        for one in retired.values() {
            one.stop.cancel();
        }
        for channel in fresh {
            // One key is never out at two places: the old channel ends first.
            let before: Vec<CancellationToken> = retired
                .values()
                .filter(|old| old.concerns(&channel))
                .map(|old| old.done.clone())
                .collect();
            let (stop, done) = (work_stop.child_token(), CancellationToken::new());
            let one = Running {
                channel: Arc::clone(&channel),
                stop: stop.clone(),
                done: done.clone(),
            };
            running.insert(Arc::clone(&channel.name), one);
            workers.spawn(async move {
                let ended = done.drop_guard();
                for old in before {
                    old.cancelled().await;
                }
                channel.run(stop).await;
                drop(ended);
            });
        }
        self.running = running;
        self.all = next.all;
        self.destinations = next.destinations;
    }
}

impl NextSenders {
    /// What each connection will allow, to calls and deliveries together.
    pub(super) fn gates(&self, clock: Arc<dyn Clock>) -> CallGates {
        let all = self.all.iter();
        CallGates::new(
            all.map(|(name, one)| (name.clone(), Arc::clone(&one.gate))),
            clock,
        )
    }
}

/// Where the client fetches events of which it was sent the id.
fn events_of(declared: &ClientWebhook) -> String {
    let gateway = declared.fetch.as_ref().map_or("", |url| url.value.as_str());
    format!("{}{}", gateway.trim_end_matches('/'), webhook::EVENTS_PATH)
}

/// What each flow declares about its deliveries to a destination.
async fn policies(
    plan: &Arc<Plan>,
    acceptor: &Arc<Acceptor>,
    name: &str,
) -> Result<HashMap<Sym, Arc<Policy>>, StoreError> {
    let mut policies = HashMap::new();
    for (flow_index, flow) in plan.flows.iter().enumerate() {
        for (target_index, target) in flow.targets.iter().enumerate() {
            if *target.destination == *name {
                let policy = Policy {
                    backoff: target.backoff,
                    park: target.park,
                    follow: target
                        .then
                        .as_ref()
                        .map(|_| follow(plan, acceptor, flow_index, target_index)),
                };
                policies.insert(acceptor.sym(&flow.name).await?, Arc::new(policy));
            }
        }
    }
    Ok(policies)
}

/// Makes the event that a flow declared with `then:` out of an answer. It is committed with
/// the delivery's end, so an answer is never half told.
fn follow(plan: &Arc<Plan>, acceptor: &Arc<Acceptor>, flow: usize, target: usize) -> Follow {
    let (plan, acceptor) = (Arc::clone(plan), Arc::clone(acceptor));
    Follow(Arc::new(
        move |ready: &Ready, reply: &Reply| -> Option<Acceptance> {
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
            let answered = Metadata {
                received: Some(acceptor.clock.now().to_string().into()),
                ..Metadata::default()
            };
            let key = ready.key.clone().map(route::PlainKey::Recorded);
            let derived = with_runtime(|runtime| {
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
                .seal(&plan, derived, None::<Root>, Some(Cause::Existing(ready.id.0)))
                .inspect_err(|error| tracing::error!(%error, "what follows from an answer could not be recorded"))
                .ok()
        },
    ))
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

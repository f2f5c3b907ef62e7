//! The gateway: what runs, and how a plan is put in another's place.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wardline_connect::CountersSnapshot;
use wardline_connect::door::SwappableTls;
use wardline_connect::threads::Threads;

use crate::error::GatewayError;
use crate::idempotency::{Answers, Memory};
use crate::listener::{Opening, Running};
use crate::plan::{Listener, Plan};
use crate::serve::cache::Cache;
use crate::serve::kept::Answered;
use crate::snapshot::Snapshot;

/// How often idle connections to systems are looked at, and the finest grain of health checks.
const SWEEP: Duration = Duration::from_secs(1);

/// What every connection needs.
pub(crate) struct Shared {
    pub(crate) current: ArcSwap<Snapshot>,
    pub(crate) answers: Arc<dyn Answers>,
    pub(crate) cache: Cache,
    /// What systems answered, where it may be given again.
    pub(crate) kept: Answered,
    /// Work that goes on when its caller has gone: writes with a key, shadows.
    pub(crate) tasks: TaskTracker,
    /// Where connections are served.
    pub(crate) threads: Arc<Threads>,
}

/// A running gateway.
///
/// ```
/// # async fn example() -> Result<(), wardline_gateway::GatewayError> {
/// use wardline_gateway::{Gateway, Plan};
/// // A plan without anything: nothing listens, and nobody may do anything.
/// let gateway = Gateway::start(Plan::default()).await?;
/// gateway.replace(Plan::default()).await?;
/// gateway.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct Gateway {
    shared: Arc<Shared>,
    running: Mutex<Vec<Running>>,
    replacing: Mutex<()>,
    stop: CancellationToken,
}

/// A plan that is ready to be served.
pub struct Prepared {
    snapshot: Snapshot,
    wanted: Vec<Listener>,
    fresh: Vec<Opening>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

impl Gateway {
    /// Serves a plan: opens its listeners and begins.
    ///
    /// # Errors
    /// What in the plan cannot be served; nothing listens then.
    pub async fn start(plan: Plan) -> Result<Self, GatewayError> {
        let snapshot = Snapshot::build(plan, None)?;
        let shared = Arc::new(Shared {
            current: ArcSwap::from_pointee(snapshot),
            answers: Arc::new(Memory::default()),
            cache: Cache::default(),
            kept: Answered::default(),
            tasks: TaskTracker::new(),
            threads: Threads::start("gateway")
                .map_err(|source| GatewayError::Threads { source })?,
        });
        let gateway = Self {
            shared,
            running: Mutex::default(),
            replacing: Mutex::default(),
            stop: CancellationToken::new(),
        };
        let listeners = gateway.shared.current.load().plan.listeners.clone();
        let mut running = gateway.running.lock().await;
        for listener in listeners {
            match Opening::bind(listener, None, &gateway.shared).await {
                Ok(one) => running.push(one.run(&gateway.shared)),
                Err(error) => {
                    for one in running.drain(..) {
                        one.stop().await;
                    }
                    return Err(error.into());
                }
            }
        }
        drop(running);
        let (shared, stop) = (Arc::clone(&gateway.shared), gateway.stop.clone());
        tokio::spawn(look_after(shared, stop));
        Ok(gateway)
    }

    /// Serves another plan from now on: [`Gateway::prepare`] and [`Gateway::apply`] in one.
    ///
    /// # Errors
    /// What in the plan cannot be served; the old plan stays in force.
    pub async fn replace(&self, plan: Plan) -> Result<(), GatewayError> {
        let _one_at_a_time = self.replacing.lock().await;
        let prepared = self.prepare(plan).await?;
        self.apply(prepared).await;
        Ok(())
    }

    /// Makes another plan ready: builds its routes and binds its new listeners. Nothing changes
    /// before [`Gateway::apply`]; a plan that was prepared and then dropped leaves no trace. One
    /// plan at a time: what is prepared while another is applied may know of listeners that went.
    ///
    /// # Errors
    /// What in the plan cannot be served.
    pub async fn prepare(&self, plan: Plan) -> Result<Prepared, GatewayError> {
        let before = self.shared.current.load_full();
        let wanted = plan.listeners.clone();
        // Off the runtime's way: many Apis take a while.
        let building = tokio::task::spawn_blocking(move || Snapshot::build(plan, Some(&before)));
        let snapshot = match building.await {
            Ok(built) => built?,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        let running = self.running.lock().await;
        let mut fresh = Vec::new();
        for listener in &wanted {
            if running.iter().any(|have| have.same(listener)) {
                continue;
            }
            // Another form of a listener on the same address takes it over as it is.
            let before = running.iter().find(|have| {
                have.listener.bind == listener.bind
                    && !wanted.iter().any(|wanted| have.same(wanted))
                    && (have.listener.name == listener.name || !listener.bind.ends_with(":0"))
            });
            let socket = before.map(Running::socket);
            fresh.push(Opening::bind(listener.clone(), socket, &self.shared).await?);
        }
        Ok(Prepared {
            snapshot,
            wanted,
            fresh,
        })
    }

    /// Serves what was prepared. Requests in hand end under the old plan; listeners that stay are
    /// not touched, new ones open before removed ones close.
    pub async fn apply(&self, prepared: Prepared) {
        let Prepared {
            snapshot,
            wanted,
            fresh,
        } = prepared;
        let mut running = self.running.lock().await;
        self.shared.current.store(Arc::new(snapshot));
        self.shared.cache.clear();
        self.shared.kept.clear();
        let mut at = 0;
        while at < running.len() {
            let kept = wanted.iter().find(|wanted| running[at].same(wanted));
            if let Some(listener) = kept {
                running[at].renew(listener.tls.as_ref());
                at += 1;
            } else {
                let removed = running.swap_remove(at);
                self.shared.tasks.spawn(removed.stop());
            }
        }
        running.extend(fresh.into_iter().map(|one| one.run(&self.shared)));
    }

    /// Where a listener is bound; tells the port where 0 was asked for.
    pub async fn address(&self, listener: &str) -> Option<SocketAddr> {
        let running = self.running.lock().await;
        running
            .iter()
            .find(|one| &*one.listener.name == listener)
            .map(|one| one.address)
    }

    /// TLS of a listener, to be changed while it runs; `None` where it is plain. It stays the
    /// same for as long as the listener does.
    pub async fn tls(&self, listener: &str) -> Option<SwappableTls> {
        let running = self.running.lock().await;
        let one = running.iter().find(|one| &*one.listener.name == listener);
        one.and_then(Running::tls)
    }

    /// What happened at a listener's door so far.
    pub async fn counters(&self, listener: &str) -> Option<CountersSnapshot> {
        let running = self.running.lock().await;
        running
            .iter()
            .find(|one| &*one.listener.name == listener)
            .map(|one| one.counters.snapshot())
    }

    /// Takes no more connections, answers what is in hand, and returns.
    pub async fn stop(self) {
        self.stop.cancel();
        let running = std::mem::take(&mut *self.running.lock().await);
        futures::future::join_all(running.into_iter().map(Running::stop)).await;
        self.shared.tasks.close();
        if tokio::time::timeout(Duration::from_secs(30), self.shared.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                left = self.shared.tasks.len(),
                "calls without a caller are still in hand; leaving them"
            );
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Closes idle connections to systems and asks for their health, until `stop`.
async fn look_after(shared: Arc<Shared>, stop: CancellationToken) {
    let mut seconds = 0_u64;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP) => {}
        }
        seconds += 1;
        let snapshot = shared.current.load_full();
        for remote in snapshot.remotes.values() {
            for address in remote.addresses() {
                address.sweep(remote.settings.idle);
            }
            let health = &remote.settings.health;
            if health.get.is_some() && seconds.is_multiple_of(health.every.as_secs().max(1)) {
                let remote = Arc::clone(remote);
                tokio::spawn(async move { remote.probe().await });
            }
        }
    }
}

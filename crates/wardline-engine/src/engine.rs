//! The running estate: everything wired, started in order, and stopped in reverse.

use crate::accept::Acceptor;
use crate::desk::Desk;
use crate::dispatch::Dispatcher;
use crate::live::{Live, Prepared, Tasks};
use crate::plan::Plan;
use crate::retention::Forgetting;
use crate::wire::WireError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wardline_connect::{Intake, http};
use wardline_core::Clock;
use wardline_store::{Store, StoreError};
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
    acceptor: Arc<Acceptor>,
    dispatcher: Arc<Dispatcher>,
    store: Arc<dyn Store>,
    secrets: Secrets,
    live: Live,
    tasks: Tasks,
    inlets: BTreeMap<String, Arc<http::Inlet>>,
    places: BTreeMap<String, String>,
}

impl Engine {
    /// Binds every listener and begins to accept and deliver. Nothing is accepted unless all
    /// of it starts.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let plan = Arc::clone(&parts.plan);
        let (acceptor, dispatcher, desk) = open(&parts).await?;
        let Parts { store, secrets, .. } = parts;
        let mut engine = Self {
            desk,
            acceptor,
            dispatcher,
            store,
            secrets,
            live: Live::default(),
            tasks: Tasks {
                intake: JoinSet::new(),
                work: JoinSet::new(),
                intake_stop: CancellationToken::new(),
                work_stop: CancellationToken::new(),
            },
            inlets: BTreeMap::new(),
            places: BTreeMap::new(),
        };
        let prepared = engine.prepare(plan).await?;
        engine
            .store
            .listen(Arc::clone(&engine.dispatcher) as Arc<dyn wardline_store::CommitListener>);
        let (work, stop) = (&mut engine.tasks.work, &engine.tasks.work_stop);
        let forgetting = Forgetting {
            acceptor: Arc::clone(&engine.acceptor),
        };
        work.spawn(forgetting.run(stop.clone()));
        work.spawn(sign_now_and_then(Arc::clone(&engine.desk), stop.clone()));
        engine.apply(prepared);
        Ok(engine)
    }

    /// Makes another plan ready to run: records its names, reads its secrets, binds its new
    /// listeners. Nothing changes before [`Engine::apply`].
    ///
    /// # Errors
    /// As [`Engine::start`]; what runs goes on as it was.
    pub async fn prepare(&self, plan: Arc<Plan>) -> Result<Prepared, StartError> {
        self.live.prepare(plan, &self.secrets, &self.acceptor).await
    }

    /// Puts a plan in force. Messages that come from now on go by it; those in hand end by the
    /// plan they met. Connections, listeners and schedules that say the same are not touched.
    /// Does not wait: what is replaced comes to its end beside what took its place.
    pub fn apply(&mut self, prepared: Prepared) {
        self.live
            .apply(prepared, &self.acceptor, &self.dispatcher, &mut self.tasks);
        self.inlets = self.live.inlets();
        self.places = self.live.places();
        self.desk.set_places(self.places.clone());
    }

    /// The plan in force.
    pub fn plan(&self) -> Arc<Plan> {
        self.acceptor.plan()
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
        let vault = &self.acceptor.vault;
        let mut secret = [0; 32];
        for (part, bytes) in secret.chunks_exact_mut(8).enumerate() {
            let index = vault.blind(purpose, &part.to_string());
            bytes.copy_from_slice(&index.0.to_be_bytes());
        }
        secret
    }

    /// Where messages can be handed in from inside this process.
    pub fn intake(&self) -> Arc<dyn Intake> {
        Arc::clone(&self.acceptor) as Arc<dyn Intake>
    }

    /// Routes at listeners that a gateway opens, by the listener's name.
    pub fn inlets(&self) -> &BTreeMap<String, Arc<http::Inlet>> {
        &self.inlets
    }

    /// Where each source listens, in words.
    pub fn places(&self) -> &BTreeMap<String, String> {
        &self.places
    }

    /// Stops in order: no new messages; what is being sent is finished and settled; the journal
    /// is closed. Gives up waiting after `limit`; what is open then is sent after the next start.
    pub async fn stop(mut self, limit: Duration) {
        self.acceptor.stopping.store(true, Ordering::Relaxed);
        self.tasks.intake_stop.cancel();
        let drained = tokio::time::timeout(limit, async {
            while self.tasks.intake.join_next().await.is_some() {}
            for inlet in self.inlets.values() {
                inlet.drain().await;
            }
            self.tasks.work_stop.cancel();
            while let Some(ended) = self.tasks.work.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection stopped abnormally; its deliveries wait for a restart");
                }
            }
        })
        .await;
        if drained.is_err() {
            tracing::warn!(
                limit_s = limit.as_secs(),
                "not everything came to rest in time; it goes on after the next start"
            );
            self.tasks.work_stop.cancel();
        }
        self.desk.checkpoint().await;
        if let Err(error) = self.store.close().await {
            tracing::error!(code = %error.code(), %error, "the journal did not close well; nothing acknowledged is lost");
        }
    }
}

/// Opens the desk alone: everything can be read and decided, nothing is accepted or sent.
/// For the command line while no engine runs.
pub async fn open_desk(parts: Parts) -> Result<Arc<Desk>, StartError> {
    let (_, _, desk) = open(&parts).await?;
    Ok(desk)
}

async fn open(parts: &Parts) -> Result<(Arc<Acceptor>, Arc<Dispatcher>, Arc<Desk>), StartError> {
    let acceptor = Arc::new(Acceptor::new(
        Arc::clone(&parts.plan),
        Arc::clone(&parts.store),
        Arc::clone(&parts.vault),
        Arc::clone(&parts.clock),
    ));
    acceptor.intern_all(&parts.plan).await?;
    let dispatcher = Arc::new(Dispatcher::default());
    let desk = Desk::open(Arc::clone(&acceptor), Arc::clone(&dispatcher)).await?;
    Ok((acceptor, dispatcher, Arc::new(desk)))
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

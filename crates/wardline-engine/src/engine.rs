//! The running estate: everything wired, started in order, and stopped in reverse.

use crate::accept::Acceptor;
use crate::alert;
use crate::desk::Desk;
use crate::dispatch::Dispatcher;
use crate::dispatch::share::CallGates;
use crate::keys::KeyBook;
use crate::later::Deferral;
use crate::live::{Live, Prepared, Tasks};
use crate::plan::Plan;
use crate::process::{self, Book, ProcessDoor, Runner};
use crate::renew::Renewals;
use crate::retention::Forgetting;
use crate::webhook::News;
use crate::wire::WireError;
use crate::x12;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
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
    /// A directory of the server's own, where rows of bulk jobs wait for their file to be whole;
    /// jobs that write files fail without it.
    pub room: Option<PathBuf>,
}

/// A running estate.
pub struct Engine {
    desk: Arc<Desk>,
    book: Arc<Book>,
    keys: Arc<KeyBook>,
    acceptor: Arc<Acceptor>,
    dispatcher: Arc<Dispatcher>,
    store: Arc<dyn Store>,
    live: Live,
    tasks: Tasks,
    inlets: BTreeMap<String, Arc<http::Inlet>>,
    gates: CallGates,
    places: BTreeMap<String, String>,
    renewals: Arc<Renewals>,
    /// Nothing is sent any more, so nothing changes about clients' endpoints.
    sent: CancellationToken,
    /// Writes those changes down.
    writing: AbortOnDropHandle<()>,
}

impl Engine {
    /// Binds every listener and begins to accept and deliver. Nothing is accepted unless all
    /// of it starts.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let plan = Arc::clone(&parts.plan);
        let (acceptor, dispatcher, book, desk) = open(&parts).await?;
        let Parts {
            store,
            secrets,
            room,
            ..
        } = parts;
        let renewals = Renewals::new(secrets);
        let (tell, news) = mpsc::channel(NEWS);
        let live = Live::new(Arc::clone(&renewals), tell, room);
        let prepared = live.prepare(plan, &acceptor).await?;
        store.listen(Arc::clone(&dispatcher) as Arc<dyn wardline_store::CommitListener>);
        let sent = CancellationToken::new();
        let writing = write_down(Arc::clone(&desk), news, sent.clone());
        let writing = AbortOnDropHandle::new(tokio::spawn(writing));
        let mut engine = Self {
            keys: Arc::new(KeyBook::new(Arc::clone(&acceptor))),
            desk,
            book,
            acceptor,
            dispatcher,
            store,
            live,
            tasks: Tasks {
                intake: JoinSet::new(),
                work: JoinSet::new(),
                intake_stop: CancellationToken::new(),
                work_stop: CancellationToken::new(),
            },
            inlets: BTreeMap::new(),
            gates: prepared.gates().clone(),
            places: BTreeMap::new(),
            renewals,
            sent,
            writing,
        };
        let (work, stop) = (&mut engine.tasks.work, &engine.tasks.work_stop);
        let forgetting = Forgetting {
            acceptor: Arc::clone(&engine.acceptor),
        };
        work.spawn(forgetting.run(stop.clone()));
        work.spawn(sign_now_and_then(Arc::clone(&engine.desk), stop.clone()));
        work.spawn(x12::watch(Arc::clone(&engine.acceptor), stop.clone()));
        work.spawn(alert::watch(Arc::clone(&engine.desk), stop.clone()));
        let runner = Arc::new(Runner::new(Arc::clone(&engine.book)));
        engine.dispatcher.tell(Arc::clone(&runner));
        let stop = stop.clone();
        engine.apply(prepared);
        // Only now: what it does goes by the plan in force.
        engine.tasks.work.spawn(runner.run(stop));
        Ok(engine)
    }

    /// Makes another plan ready to run: records its names, reads its secrets, binds its new
    /// listeners. Nothing changes before [`Engine::apply`].
    ///
    /// # Errors
    /// As [`Engine::start`]; what runs goes on as it was.
    pub async fn prepare(&self, plan: Arc<Plan>) -> Result<Prepared, StartError> {
        self.live.prepare(plan, &self.acceptor).await
    }

    /// Puts a plan in force. Messages that come from now on go by it; those in hand end by the
    /// plan they met. Connections, listeners and schedules that say the same are not touched.
    /// Does not wait: what is replaced comes to its end beside what took its place.
    pub fn apply(&mut self, prepared: Prepared) {
        self.gates = prepared.gates().clone();
        self.live
            .apply(prepared, &self.acceptor, &self.dispatcher, &mut self.tasks);
        self.desk.set_endpoints(self.live.endpoints());
        self.desk.set_jobs(self.live.jobs());
        self.inlets = self.live.inlets();
        self.places = self.live.places();
        self.desk.set_places(self.places.clone());
        self.dispatcher.look_again();
    }

    /// The plan in force.
    pub fn plan(&self) -> Arc<Plan> {
        self.acceptor.plan()
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

    /// Where calls of Apis start processes, tell them something and ask how far they are.
    pub fn process_door(&self) -> ProcessDoor {
        ProcessDoor::new(Arc::clone(&self.acceptor), Arc::clone(&self.book))
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
        // What the last answers said about endpoints is written down still.
        self.sent.cancel();
        if let Err(error) = self.writing.await {
            tracing::error!(%error, "writing down how endpoints stand ended abnormally");
        }
        self.desk.checkpoint().await;
        if let Err(error) = self.store.close().await {
            tracing::error!(code = %error.code(), %error, "the journal did not close well; nothing acknowledged is lost");
        }
    }
}

/// Changes of endpoints that may wait for the journal; then sends wait too.
const NEWS: usize = 64;

/// Opens the desk alone: everything can be read and decided, nothing is accepted or sent.
/// For the command line while no engine runs.
pub async fn open_desk(parts: Parts) -> Result<Arc<Desk>, StartError> {
    let (_, _, _, desk) = open(&parts).await?;
    Ok(desk)
}

type Opened = (Arc<Acceptor>, Arc<Dispatcher>, Arc<Book>, Arc<Desk>);

async fn open(parts: &Parts) -> Result<Opened, StartError> {
    let acceptor = Arc::new(Acceptor::new(
        Arc::clone(&parts.plan),
        Arc::clone(&parts.store),
        Arc::clone(&parts.vault),
        Arc::clone(&parts.clock),
    ));
    process::acquaint(&parts.plan, &parts.plan, &*parts.store).await?;
    acceptor.intern_all(&parts.plan).await?;
    let dispatcher = Arc::new(Dispatcher::default());
    let book = Arc::new(Book::new(Arc::clone(&acceptor), Arc::clone(&dispatcher)));
    let desk = Desk::open(
        Arc::clone(&acceptor),
        Arc::clone(&dispatcher),
        Arc::clone(&book),
    )
    .await?;
    let desk = Arc::new(desk);
    // Set once: an engine has one desk.
    acceptor.desk.get_or_init(|| Arc::downgrade(&desk));
    Ok((acceptor, dispatcher, book, desk))
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

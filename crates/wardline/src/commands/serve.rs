//! `wardline serve`: runs an estate until SIGTERM or Ctrl-C, then drains.

use super::doors::{Doors, Ways};
use super::dropboxes::OpenBoxes;
use super::entrance;
use super::reload::{self, Asks};
use super::renewing::Renewing;
use crate::cli::Serve;
use crate::place::{OpenError, Place, make_private_dir, read_served};
use crate::remote::Server;
use crate::{paint, table};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wardline_access::policy::Policies;
use wardline_console::{AdminToken, Auth, Console};
use wardline_core::Zone;
use wardline_engine::Engine;
use wardline_gateway::estate::Front;

/// An estate that runs in this process, with its console.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    /// Login link of the console, where the estate has one.
    pub(crate) console: Option<String>,
    stop_console: CancellationToken,
    console_task: Option<JoinHandle<()>>,
    /// The Apis, where the estate has some.
    pub(crate) doors: Option<Doors>,
    /// Where clients bring and fetch files, where the estate has that.
    pub(super) dropboxes: Option<OpenBoxes>,
    /// Looks whether secrets and certificates change.
    renewing: Renewing,
    /// What people may do in the console.
    pub(super) policies: Arc<ArcSwap<Policies>>,
    pub(super) place: Place,
}

/// How long a start waits for a command that looks at the journal, or for a server about to end.
const PATIENCE: Duration = Duration::from_secs(10);

impl Running {
    /// Starts everything; nothing is accepted unless all of it starts.
    pub(crate) async fn start(
        place: Place,
        plan: Arc<wardline_engine::Plan>,
        front: &Front,
    ) -> anyhow::Result<Self> {
        crate::descriptors::raise();
        make_private_dir(&place.data)?;
        let listener = plan
            .estate
            .listeners
            .values()
            .find(|listener| listener.zone == Zone::Admin)
            .cloned();
        let parts = place
            .open(Arc::clone(&plan), PATIENCE)
            .map_err(|error| match error {
                OpenError::Store(error) => anyhow::anyhow!("{error} [{}]", error.code()),
                OpenError::Other(error) => error,
            })?;
        let store = Arc::clone(&parts.store);
        let estate = Arc::clone(&plan.estate);
        let policies = Arc::new(ArcSwap::new(Arc::clone(front.policies())));
        let console = match listener {
            None => None,
            Some(listener) => {
                let doors = entrance::Doors::bind(&listener, &estate, &place).await?;
                let base = doors.base(&estate);
                let people = entrance::open(&estate, &place, Arc::clone(&policies), &base)?;
                Some((doors, people))
            }
        };
        let engine = match Engine::start(parts).await {
            Ok(engine) => engine,
            Err(error) => {
                store.close().await?;
                return Err(error.into());
            }
        };
        let ways = Ways {
            inlets: engine.inlets(),
            gates: engine.gates(),
        };
        let opened = Doors::open(front, &place, &plan.estate, &engine, ways);
        let doors = match opened.await {
            Ok(doors) => doors,
            Err(error) => {
                engine.stop(Duration::from_secs(1)).await;
                return Err(error);
            }
        };
        let opened = OpenBoxes::open(&plan.estate, &engine, &place.secrets()).await;
        let dropboxes = match opened {
            Ok(dropboxes) => dropboxes,
            Err(error) => {
                if let Some(doors) = doors {
                    doors.close().await;
                }
                engine.stop(Duration::from_secs(1)).await;
                return Err(error);
            }
        };
        let renewing = Renewing::start(&engine);
        let (hash, desk) = (reload::hash(&plan.estate.sources), engine.desk());
        let recorded = desk
            .record_applied(&hash, &[], "wardline serve", &super::actor())
            .await;
        if let Err(error) = recorded {
            // The journal takes nothing; then it takes no messages either, and says so.
            tracing::error!(%error, "which estate is in force could not be recorded");
        }
        let stop_console = CancellationToken::new();
        let mut link = None;
        let mut console_task = None;
        if let Some((entries, people)) = console {
            let base = entries.base(&estate);
            let token = AdminToken::load_or_create(&place.token_file())?;
            link = Some(token.login_link_at(&base));
            let auth = Auth::new(&token, entries.address())?.with_actor(super::actor());
            let auth = entries.known_to(auth, &estate);
            let access = doors.as_ref().map(|doors| doors.callers() as _);
            let console = Console::with_people(engine.desk(), access, auth, people);
            announce(&place, entries.local_address(), &base)?;
            let doors = entries.into_all();
            let stop = stop_console.clone();
            console_task = Some(tokio::spawn(wardline_console::serve(doors, console, stop)));
        }
        Ok(Self {
            engine,
            console: link,
            stop_console,
            console_task,
            doors,
            dropboxes,
            renewing,
            policies,
            place,
        })
    }

    /// Stops in order and waits for it.
    pub(crate) async fn stop(self, drain: Duration) {
        self.renewing.stop().await;
        // Nobody comes in any more; what came in is in the journal before the engine stops.
        if let Some(doors) = self.doors {
            doors.close().await;
        }
        if let Some(dropboxes) = self.dropboxes {
            dropboxes.close().await;
        }
        self.engine.stop(drain).await;
        self.stop_console.cancel();
        if let Some(task) = self.console_task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the console ended abnormally");
        }
        if let Err(error) = std::fs::remove_file(self.place.server_file())
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "serve.json was not removed; later commands will try to reach this server first");
        }
    }
}

/// Tells later commands where this server is.
fn announce(place: &Place, console: SocketAddr, base: &str) -> anyhow::Result<()> {
    let text = serde_json::to_vec(&Server {
        console,
        base: Some(base.to_owned()),
        pid: std::process::id(),
    })?;
    let path = place.server_file();
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

pub(crate) async fn run(args: Serve) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    crate::dumps::forbid();
    let place = Place::new(&args.estate, args.data.as_deref());
    let secrets = place.secrets();
    let (plan, front) = read_served(&args.estate, Some(&secrets))?;
    let data = place.data.display().to_string();
    let watched = args.watch.then(|| place.clone());
    let mut running = Running::start(place, Arc::clone(&plan), &front).await?;
    let mut asks = Asks::new(running.engine.desk().reload_requests(), watched.as_ref())?;
    for (source, where_) in running.engine.places() {
        anstream::println!("{:<28} {where_}", paint::strong(source));
    }
    for (api, where_) in running.doors.iter().flat_map(Doors::places) {
        anstream::println!("{:<28} {where_}", paint::strong(api));
    }
    for (dropbox, where_) in running.dropboxes.iter().flat_map(OpenBoxes::places) {
        anstream::println!("{:<28} {where_}", paint::strong(&dropbox));
    }
    if let Some(link) = &running.console {
        anstream::println!("{:<28} {link}", paint::strong("console"));
    }
    let overview = running.engine.desk().overview().await?;
    let open: u64 = overview
        .destinations
        .iter()
        .map(|d| d.waiting + d.retrying + d.held)
        .sum();
    // Scripts wait for this line.
    anstream::println!(
        "wardline ready: estate {} with {}, data in {data} ({}, {} open), in {:.1} s",
        plan.estate.name,
        table::counted(plan.estate.flows.len(), "flow", "flows"),
        table::bytes(overview.store.bytes),
        table::number(open),
        began.elapsed().as_secs_f64()
    );
    drop((plan, front));
    let mut stop = std::pin::pin!(wait_for_stop());
    loop {
        tokio::select! {
            stopped = &mut stop => break stopped?,
            ask = asks.next() => running.answer(ask).await,
        }
    }
    tracing::info!("stopping: no new messages, finishing what is being sent");
    running.stop(args.drain).await;
    anstream::println!("wardline stopped");
    Ok(ExitCode::SUCCESS)
}

/// Returns at SIGTERM or Ctrl-C.
pub(crate) async fn wait_for_stop() -> anyhow::Result<()> {
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("cannot listen for SIGTERM")?;
    tokio::select! {
        _ = term.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for Ctrl-C")?,
    }
    Ok(())
}

//! What the pages share, the table of addresses, and the server around it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wardline_connect::door::Door;
use wardline_vault::AuditEntry;

use crate::access::AccessDesk;
use crate::auth::Auth;
use crate::desk::{ConsoleDesk, DeskError};
use crate::entrance::Entrance;
use crate::intent::Intent;
use crate::live::{Alive, Live};
use crate::pages::login::Waiting;
use crate::plan::Plan;
use crate::session::{Session, Sessions};
use crate::shelf::Shelf;
use crate::{access, api, api_people, api_processes, assets, door, guard, pages};

/// How long what belongs to a session is kept at most.
const KEPT: Duration = Duration::from_hours(12);
/// How long a sign-in may take at the identity provider.
const AT_PROVIDER: Duration = Duration::from_mins(10);
/// Sign-ins under way at the identity provider.
const WAITING: usize = 4_096;
/// How often it is looked whose session is over.
const SWEEP: Duration = Duration::from_secs(5);
/// Without an entrance: idle, and in all.
const SESSION: (Duration, Duration) = (Duration::from_mins(15), Duration::from_hours(10));
/// Forms are small; bodies to be edited and sent again are not.
const FORM_BYTES: usize = 256 * 1024;
pub(crate) const BODY_BYTES: usize = 16 * 1024 * 1024;

pub(crate) type Shared = Arc<App>;

pub(crate) struct App {
    pub(crate) desk: Arc<dyn ConsoleDesk>,
    /// Callers, where the estate has Apis.
    pub(crate) access: Option<Arc<dyn AccessDesk>>,
    pub(crate) auth: Auth,
    /// How people come in; without one only the token opens.
    pub(crate) entrance: Option<Entrance>,
    /// By name.
    pub(crate) sessions: Sessions,
    /// Sign-ins at the identity provider, by their state.
    pub(crate) waiting: Shelf<Waiting>,
    /// Searches that hold a key, so that their address does not.
    pub(crate) searches: Shelf<SavedSearch>,
    /// Acts that wait for their confirmation.
    pub(crate) plans: Shelf<Plan>,
    /// The same for instances of processes.
    pub(crate) intents: Shelf<Intent>,
    pub(crate) live: Live,
    /// Acts under way: they outlive the request that began them.
    pub(crate) acts: TaskTracker,
    estate: OnceLock<String>,
}

/// A search behind an opaque link. Deliberately without `Debug`: it holds a key.
#[derive(Clone)]
pub(crate) struct SavedSearch {
    pub(crate) session: String,
    pub(crate) text: String,
}

impl App {
    /// Whether a session is still there; who holds the token itself always is.
    pub(crate) fn alive(self: &Arc<Self>, session: Option<String>) -> Alive {
        let app = self.clone();
        Box::new(move || {
            session
                .as_ref()
                .is_none_or(|name| app.sessions.get(name, false).is_some())
        })
    }

    /// Writes down, for as long as it is polled, that sessions came to their end.
    async fn keep_sweeping(&self) {
        let mut tick = tokio::time::interval(SWEEP);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            for (session, ended) in self.sessions.sweep() {
                self.ended(&session, ended.why()).await;
            }
        }
    }

    /// Writes down that a session came to its end.
    pub(crate) async fn ended(&self, session: &Session, why: &str) {
        let entry = AuditEntry::new(&session.actor, "signin.end", "console").because(why);
        if let Err(error) = self.desk.record(&entry).await {
            tracing::error!(%error, "the end of a session is not in the audit log");
        }
    }

    /// The name of the estate, asked for once.
    pub(crate) async fn estate(&self) -> Result<&str, DeskError> {
        if let Some(name) = self.estate.get() {
            return Ok(name);
        }
        let name = self.desk.overview().await?.estate;
        Ok(self.estate.get_or_init(|| name))
    }
}

/// The console: pages, API and live feed over one desk.
///
/// # Example
/// ```no_run
/// # use std::sync::Arc;
/// # use wardline_console::{AdminToken, Auth, Console, ConsoleDesk};
/// # async fn run(desk: Arc<dyn ConsoleDesk>) -> Result<(), Box<dyn std::error::Error>> {
/// let bind = "127.0.0.1:8420".parse()?;
/// let token = AdminToken::load_or_create("data/admin.token".as_ref())?;
/// let console = Console::new(desk, Auth::new(&token, bind)?);
/// let router = console.router();           // merge it, or serve it
/// let stop = tokio_util::sync::CancellationToken::new();
/// console.watch(stop).await;               // feeds the live pages until stopped
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Console(Shared);

impl Console {
    /// A console over a desk, which only the admin token opens.
    pub fn new(desk: Arc<dyn ConsoleDesk>, auth: Auth) -> Self {
        Self::open(desk, None, auth, None)
    }

    /// A console over a desk, into which people come, and which shows who calls where the estate
    /// has Apis.
    pub fn with_people(
        desk: Arc<dyn ConsoleDesk>,
        access: Option<Arc<dyn AccessDesk>>,
        auth: Auth,
        entrance: Entrance,
    ) -> Self {
        Self::open(desk, access, auth, Some(entrance))
    }

    fn open(
        desk: Arc<dyn ConsoleDesk>,
        access: Option<Arc<dyn AccessDesk>>,
        auth: Auth,
        entrance: Option<Entrance>,
    ) -> Self {
        let (idle, longest) = entrance
            .as_ref()
            .map_or(SESSION, |entrance| (entrance.idle, entrance.longest));
        Self(Arc::new(App {
            desk,
            access,
            auth,
            entrance,
            sessions: Sessions::new(idle, longest),
            waiting: Shelf::new(WAITING, AT_PROVIDER),
            searches: Shelf::new(1024, KEPT),
            plans: Shelf::new(256, KEPT),
            intents: Shelf::new(256, KEPT),
            live: Live::new(),
            acts: TaskTracker::new(),
            estate: OnceLock::new(),
        }))
    }

    /// All addresses of the console, guarded.
    pub fn router(&self) -> Router {
        let large = Router::new()
            .route(
                "/resubmit/{id}",
                get(pages::resubmit::ask).post(pages::resubmit::act),
            )
            .route("/api/resubmit", post(api::resubmit))
            .layer(DefaultBodyLimit::max(BODY_BYTES));
        Router::new()
            .route("/", get(pages::overview::page))
            .route("/live", get(pages::overview::live))
            .route(
                "/messages",
                get(pages::messages::page).post(pages::messages::search),
            )
            .route(
                "/trace/{id}",
                get(pages::trace::page).post(pages::trace::reveal),
            )
            .route("/dead", get(pages::dead::groups))
            .route("/dead/{fingerprint}", get(pages::dead::group))
            .route("/plans", post(pages::plan::make))
            .route(
                "/plans/{id}",
                get(pages::plan::page).post(pages::plan::confirm),
            )
            .route("/destinations/{name}", get(pages::destination::page))
            .route("/audit", get(pages::audit::page))
            .route(
                "/login",
                get(pages::login::by_link).post(pages::login::by_form),
            )
            .route("/login/start", get(pages::login::start))
            .route("/login/return", get(pages::login::back))
            .route(
                "/enrol",
                get(pages::enrol::invited).post(pages::enrol::enrol),
            )
            .route("/logout", post(pages::login::leave))
            .route("/theme", post(pages::login::theme))
            .merge(api::routes())
            .merge(access::routes())
            .merge(api_people::routes())
            .merge(api_processes::routes())
            .merge(pages::processes())
            .layer(DefaultBodyLimit::max(FORM_BYTES))
            .merge(large)
            .route("/assets/{name}", get(assets::serve))
            .fallback(guard::nobody)
            .layer(from_fn_with_state(self.0.clone(), guard::guard))
            .with_state(self.0.clone())
    }

    /// Feeds the live pages: one snapshot a second while somebody watches. Ends the open
    /// streams, waits for acts under way and returns when `stop` is cancelled. Without it
    /// pages work but stand still.
    pub async fn watch(&self, stop: CancellationToken) {
        tokio::select! {
            () = self.0.live.run(self.0.desk.as_ref(), stop) => {}
            () = self.0.keep_sweeping() => {}
        }
        self.0.acts.close();
        self.0.acts.wait().await;
    }
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Console").field(&self.0.auth).finish()
    }
}

/// Serves the console at its doors until `stop` is cancelled, then lets open requests finish.
/// Several doors lead to one console: that of people, and one for the command line where
/// that speaks no TLS.
pub async fn serve(doors: Vec<Door>, console: Console, stop: CancellationToken) {
    let doors = doors
        .into_iter()
        .map(|door| door::serve(door, console.router(), stop.clone()));
    tokio::join!(
        futures::future::join_all(doors),
        console.watch(stop.clone())
    );
}

//! What the pages share, the table of addresses, and the server around it.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::AccessDesk;
use crate::auth::Auth;
use crate::desk::{ConsoleDesk, DeskError};
use crate::error::ConsoleError;
use crate::live::{Alive, Live};
use crate::plan::Plan;
use crate::shelf::Shelf;
use crate::{access, api, assets, guard, pages};

/// A working day and a bit; then the link has to be asked for again.
pub(crate) const SESSION: Duration = Duration::from_hours(12);
/// Forms are small; bodies to be edited and sent again are not.
const FORM_BYTES: usize = 256 * 1024;
pub(crate) const BODY_BYTES: usize = 16 * 1024 * 1024;

pub(crate) type Shared = Arc<App>;

pub(crate) struct App {
    pub(crate) desk: Arc<dyn ConsoleDesk>,
    /// Callers, where the estate has Apis.
    pub(crate) access: Option<Arc<dyn AccessDesk>>,
    pub(crate) auth: Auth,
    /// Session name to actor.
    pub(crate) sessions: Shelf<String>,
    /// Searches that hold a key, so that their address does not.
    pub(crate) searches: Shelf<SavedSearch>,
    /// Acts that wait for their confirmation.
    pub(crate) plans: Shelf<Plan>,
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
                .is_none_or(|name| app.sessions.get(name).is_some())
        })
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
    /// A console over a desk.
    pub fn new(desk: Arc<dyn ConsoleDesk>, auth: Auth) -> Self {
        Self::with_access(desk, None, auth)
    }

    /// A console that also shows who calls, where the estate has Apis.
    pub fn with_access(
        desk: Arc<dyn ConsoleDesk>,
        access: Option<Arc<dyn AccessDesk>>,
        auth: Auth,
    ) -> Self {
        Self(Arc::new(App {
            desk,
            access,
            auth,
            sessions: Shelf::new(256, SESSION),
            searches: Shelf::new(1024, SESSION),
            plans: Shelf::new(256, SESSION),
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
            .route("/logout", post(pages::login::leave))
            .route("/theme", post(pages::login::theme))
            .merge(api::routes())
            .merge(access::routes())
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
        self.0.live.run(self.0.desk.as_ref(), stop).await;
        self.0.acts.close();
        self.0.acts.wait().await;
    }
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Console").field(&self.0.auth).finish()
    }
}

/// Serves the console on a listener until `stop` is cancelled, then lets open requests
/// finish.
pub async fn serve(
    listener: TcpListener,
    desk: Arc<dyn ConsoleDesk>,
    auth: Auth,
    stop: CancellationToken,
) -> Result<(), ConsoleError> {
    serve_console(listener, Console::new(desk, auth), stop).await
}

/// As [`serve`], for a console that was made before.
pub async fn serve_console(
    listener: TcpListener,
    console: Console,
    stop: CancellationToken,
) -> Result<(), ConsoleError> {
    // A failed server must also end the feed, or the join below would wait for ever.
    let over = stop.child_token();
    let ended = over.clone().drop_guard();
    let server = async {
        let ended = ended;
        let outcome = axum::serve(listener, console.router())
            .with_graceful_shutdown(over.clone().cancelled_owned())
            .await;
        drop(ended);
        outcome
    };
    let (outcome, ()) = tokio::join!(server, console.watch(over.clone()));
    outcome.map_err(ConsoleError::Serve)
}

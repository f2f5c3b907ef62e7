//! Messages in by MLLP: the listener. What happens on one connection is in `session`.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::config::InboundConfig;
use super::session::{Rules, Session};
use super::wire::CHUNK;
use crate::admission::Budget;
use crate::door::{Admission, Door, Socket, SwappableTls};
use crate::{ConnectError, Counters, Intake};

/// Application protocols of a listener's TLS: none.
pub const ALPN: &[&[u8]] = &[];

/// A bound MLLP listener.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use wardline_connect::{Intake, mllp::{InboundConfig, Listener}};
/// # use tokio_util::sync::CancellationToken;
/// # async fn listen(intake: Arc<dyn Intake>) -> Result<(), wardline_connect::ConnectError> {
/// let shutdown = CancellationToken::new();
/// let listener = Listener::bind(InboundConfig::new("ehr.adt", "127.0.0.1:2575")).await?;
/// println!("listening on {}", listener.local_addr());
/// listener.run(intake, shutdown).await;
/// # Ok(())
/// # }
/// ```
pub struct Listener {
    door: Door,
    config: InboundConfig,
}

impl Listener {
    /// Binds the address and builds TLS; takes no connection yet.
    pub async fn bind(config: InboundConfig) -> Result<Self, ConnectError> {
        let door = Door::bind(admission(&config)?).await?;
        Ok(Self { door, config })
    }

    /// As [`Listener::bind`], on the address of a listener that is being replaced.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn over(socket: Socket, config: InboundConfig) -> Result<Self, ConnectError> {
        let door = Door::over(socket, admission(&config)?)?;
        Ok(Self { door, config })
    }

    /// Its address, for the listener that will take its place.
    pub fn socket(&self) -> Socket {
        self.door.socket()
    }

    /// The bound address; tells the port where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.door.address()
    }

    /// Its TLS, to be changed while it runs; `None` where it is plain. What is put in speaks
    /// [`ALPN`].
    pub fn tls(&self) -> Option<SwappableTls> {
        self.door.tls()
    }

    /// What happened so far; stays valid while the listener runs.
    pub fn counters(&self) -> Arc<Counters> {
        self.door.counters()
    }

    /// Serves until `shutdown`; then takes no more, finishes the messages in hand, answers
    /// them and closes.
    pub async fn run(self, intake: Arc<dyn Intake>, shutdown: CancellationToken) {
        let budget = Budget::of_bytes(self.config.in_flight_bytes);
        let rules = Arc::new(Rules {
            config: self.config,
            intake,
            counters: self.door.counters(),
            budget,
        });
        let stop = shutdown.clone();
        self.door
            .run(shutdown, move |stream, peer| {
                Session::new(Arc::clone(&rules), stream, peer).run(stop.clone())
            })
            .await;
    }
}

/// Who may come in, with TLS built.
fn admission(config: &InboundConfig) -> Result<Admission, ConnectError> {
    let least = config.max_size.saturating_add(CHUNK);
    if config.in_flight_bytes < least {
        return Err(ConnectError::BadSetting {
            name: config.source.to_string(),
            what: "the limit on bytes in hand",
            value: config.in_flight_bytes.to_string(),
            detail: format!("one message of the largest size must fit: at least {least}"),
        });
    }
    let tls = config
        .tls
        .as_ref()
        .map(|tls| tls.build(&config.source, ALPN))
        .transpose()?;
    Ok(Admission {
        name: Arc::clone(&config.source),
        bind: config.bind.clone(),
        tls: tls.map(|tls| Arc::new(tls.into())),
        allow: config.allow.clone(),
        max_connections: config.max_connections,
        drain: config.drain,
        threads: None,
    })
}

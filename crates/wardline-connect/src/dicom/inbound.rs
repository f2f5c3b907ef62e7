//! The listener. What happens in an association is in `service`.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wardline_dicom::net::{NetError, Terms, serve};

use super::config::InboundConfig;
use super::objects::Objects;
use super::service::Handler;
use super::steps::Steps;
use crate::admission::worth_a_line;
use crate::door::{Admission, Door, Socket, SwappableTls};
use crate::{ConnectError, Counters, Intake};

/// A bound DICOM listener.
pub struct Listener {
    door: Door,
    config: InboundConfig,
    objects: Option<Objects>,
}

impl Listener {
    /// Binds the address, builds TLS and makes the directory of objects; takes nobody yet.
    ///
    /// # Errors
    /// [`ConnectError`] where one of these cannot be.
    pub async fn bind(config: InboundConfig) -> Result<Self, ConnectError> {
        let objects = objects(&config)?;
        let door = Door::bind(admission(&config)?).await?;
        Ok(Self {
            door,
            config,
            objects,
        })
    }

    /// As [`Listener::bind`], on the address of a listener that is being replaced.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn over(socket: Socket, config: InboundConfig) -> Result<Self, ConnectError> {
        let objects = objects(&config)?;
        let door = Door::over(socket, admission(&config)?)?;
        Ok(Self {
            door,
            config,
            objects,
        })
    }

    /// Its address, for the listener that will take its place.
    pub fn socket(&self) -> Socket {
        self.door.socket()
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.door.address()
    }

    /// Its TLS, to be changed while it runs; `None` where it is plain.
    pub fn tls(&self) -> Option<SwappableTls> {
        self.door.tls()
    }

    /// What happened so far; stays valid while the listener runs.
    pub fn counters(&self) -> Arc<Counters> {
        self.door.counters()
    }

    /// Serves until `shutdown`; then finishes the operations in hand and ends the associations.
    pub async fn run(self, intake: Arc<dyn Intake>, shutdown: CancellationToken) {
        let terms = Terms {
            max_object: self.config.max_object,
            idle: self.config.idle_timeout,
            stall: self.config.stall_timeout,
            ..Terms::default()
        };
        let counters = self.door.counters();
        let steps = self.config.steps.clone().map(Steps::new);
        let source = Arc::clone(&self.config.source);
        let handler = Arc::new(Handler {
            objects: self.objects.map(Arc::new),
            steps,
            config: self.config,
            intake,
            counters: Arc::clone(&counters),
        });
        let stop = shutdown.clone();
        self.door
            .run(shutdown, move |stream, peer| {
                let service = handler.for_peer(peer);
                let (stop, counters) = (stop.clone(), Arc::clone(&counters));
                let source = Arc::clone(&source);
                async move {
                    let ended = serve(stream, terms, &service, stop.cancelled()).await;
                    note(&source, peer, &counters, ended);
                }
            })
            .await;
    }
}

/// Counts how an association ended, and says so where it is worth a line.
fn note(source: &str, peer: SocketAddr, counters: &Counters, ended: Result<(), NetError>) {
    let times = match &ended {
        Ok(()) | Err(NetError::Stopping) => return,
        Err(NetError::Refused(_)) => counters.unauthenticated(1),
        Err(NetError::Silent(_)) => counters.idle_closed(1),
        Err(_) => counters.cut(1),
    };
    if let Err(error) = ended
        && worth_a_line(times)
    {
        tracing::warn!(%source, %peer, %error, times, "an association ended before its end");
    }
}

fn objects(config: &InboundConfig) -> Result<Option<Objects>, ConnectError> {
    let Some(root) = &config.objects else {
        return Ok(None);
    };
    Objects::open(root)
        .map(Some)
        .map_err(|error| ConnectError::BadSetting {
            name: config.source.to_string(),
            what: "the directory of objects",
            value: root.display().to_string(),
            detail: error.to_string(),
        })
}

fn admission(config: &InboundConfig) -> Result<Admission, ConnectError> {
    let tls = config
        .tls
        .as_ref()
        .map(|tls| tls.build(&config.source, &[]))
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

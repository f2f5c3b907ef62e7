//! Drop boxes: a partner logs in by its key and finds two directories of its own, `in` and `out`.
//!
//! Nothing else can be named, links are not followed, and nobody gets a shell, a command or a
//! forwarded port. A file that is put there has its name when it is whole and durable, and not
//! before: what is answered well is kept, and what breaks off leaves nothing.

mod login;
mod room;
mod serve;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use arc_swap::ArcSwap;
use russh::keys::{PrivateKey, PublicKey};
use tokio_util::sync::CancellationToken;
use wardline_core::Timestamp;

use super::keys;
use crate::door::{Admission, Door, Socket};
use crate::{ConnectError, Counters, Network, Secret};
use room::Room;

/// What a server is known by, and who may come in.
pub struct ServerConfig {
    /// Its name, for log lines and errors.
    pub name: Arc<str>,
    /// Address and port.
    pub bind: String,
    /// The private keys by which it is known, one of a kind.
    pub host_keys: Vec<HostSecret>,
    /// Networks that may connect; all where empty.
    pub allow: Vec<Network>,
    /// Connections at the same time.
    pub max_connections: usize,
    /// A connection that is silent for so long is closed.
    pub idle: Duration,
}

/// A private key by which a server is known.
pub struct HostSecret(PrivateKey);

impl std::fmt::Debug for HostSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostSecret({})", self.fingerprint())
    }
}

impl HostSecret {
    /// Reads a private key: OpenSSH's form, or PEM.
    ///
    /// # Errors
    /// [`ConnectError::BadPem`] where it is none.
    pub fn read(key: &Secret) -> Result<Self, ConnectError> {
        keys::private_key(key, None).map(Self)
    }

    /// `SHA256:…`, by which partners know it.
    pub fn fingerprint(&self) -> String {
        keys::fingerprint(self.0.public_key())
    }
}

/// A partner's box.
#[derive(Debug)]
pub struct DropBox {
    client: Arc<str>,
    keys: Vec<PublicKey>,
    addresses: Vec<Network>,
    expires: Option<Timestamp>,
    sessions: usize,
    open: AtomicUsize,
    room: Room,
}

/// What is said of a partner's box.
#[derive(Debug, Clone)]
pub struct BoxConfig {
    /// The client, which is the user's name.
    pub client: Arc<str>,
    /// The public keys that open it, a line each, as in `authorized_keys` but without options.
    pub keys: String,
    /// Where the client may come from; everywhere where empty.
    pub addresses: Vec<Network>,
    /// It is refused from then on.
    pub expires: Option<Timestamp>,
    /// Where it is; `in` and `out` are made in it.
    pub directory: PathBuf,
    /// Bytes that may lie in `in`.
    pub quota: u64,
    /// Files that may lie in `in`.
    pub files: usize,
    /// Connections at the same time.
    pub sessions: usize,
}

impl DropBox {
    /// Makes its directories where they are missing.
    ///
    /// # Errors
    /// [`ConnectError::BadSetting`] where a key is none, or the directory cannot be made.
    pub fn new(config: BoxConfig) -> Result<Self, ConnectError> {
        let bad = |what: &'static str, value: String, detail: String| ConnectError::BadSetting {
            name: format!("drop box {}", config.client),
            what,
            value,
            detail,
        };
        let lines = config.keys.lines().map(str::trim);
        let mut known = Vec::new();
        for (number, line) in lines.enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = PublicKey::from_openssh(line).map_err(|_| {
                let detail = "expected one such as `ssh-ed25519 AAAA…`, without options";
                bad("keys", format!("line {}", number + 1), detail.into())
            })?;
            known.push(key);
        }
        if known.is_empty() {
            return Err(bad("keys", String::new(), "there is no key".into()));
        }
        let room = Room {
            root: config.directory.clone(),
            quota: config.quota,
            files: config.files,
            usage: Arc::default(),
        };
        room.prepare().map_err(|error| {
            let shown = config.directory.display().to_string();
            bad("directory", shown, error.to_string())
        })?;
        Ok(Self {
            client: config.client,
            keys: known,
            addresses: config.addresses,
            expires: config.expires,
            sessions: config.sessions,
            open: AtomicUsize::new(0),
            room,
        })
    }

    /// Whether somebody from there may come in now.
    fn admits(&self, peer: IpAddr) -> bool {
        let here = |network: &Network| network.contains(peer);
        (self.addresses.is_empty() || self.addresses.iter().any(here))
            && self.expires.is_none_or(|end| Timestamp::now() < end)
    }
}

/// All boxes, by client.
pub type Boxes = BTreeMap<Arc<str>, Arc<DropBox>>;

/// Something that happened, for the audit log.
#[derive(Debug, Clone)]
pub struct Event {
    /// The client; `None` where nobody proved to be one.
    pub client: Option<Arc<str>>,
    /// Where it came from.
    pub peer: SocketAddr,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Somebody logged in by the key with this fingerprint.
    LoggedIn(String),
    /// Somebody did not get in; why.
    Refused(&'static str),
    /// A file is there, whole, with so many bytes.
    Stored(String, u64),
    /// Bytes of a file were given out.
    Fetched(String, u64),
    /// A file was deleted.
    Removed(String),
    /// A file has another name.
    Renamed(String, String),
}

/// Where events go. It must not block.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;

/// A bound server that takes nobody yet.
pub struct Server {
    door: Door,
    inner: login::Inner,
}

impl Server {
    /// Binds the address.
    ///
    /// # Errors
    /// [`ConnectError::Bind`] where that cannot be done.
    pub async fn bind(
        config: ServerConfig,
        boxes: Arc<ArcSwap<Boxes>>,
        sink: Sink,
    ) -> Result<Self, ConnectError> {
        let door = Door::bind(admission(&config)).await?;
        Ok(Self {
            door,
            inner: login::Inner::new(config, boxes, sink),
        })
    }

    /// Takes over the address of one that is being replaced.
    ///
    /// # Errors
    /// [`ConnectError::Bind`] where the system does not know the address any more.
    pub fn over(
        socket: Socket,
        config: ServerConfig,
        boxes: Arc<ArcSwap<Boxes>>,
        sink: Sink,
    ) -> Result<Self, ConnectError> {
        let door = Door::over(socket, admission(&config))?;
        Ok(Self {
            door,
            inner: login::Inner::new(config, boxes, sink),
        })
    }

    /// Its address, for the one that will take its place.
    pub fn socket(&self) -> Socket {
        self.door.socket()
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// What happened so far.
    pub fn counters(&self) -> Arc<Counters> {
        self.door.counters()
    }

    /// Serves until told to stop. Files that are not whole by then are not kept.
    pub async fn run(self, stop: CancellationToken) {
        let inner = Arc::new(self.inner);
        let token = stop.clone();
        self.door
            .run(stop, move |stream, peer| {
                Arc::clone(&inner).connection(stream, peer, token.clone())
            })
            .await;
    }
}

fn admission(config: &ServerConfig) -> Admission {
    Admission {
        name: Arc::clone(&config.name),
        bind: config.bind.clone(),
        tls: None,
        allow: config.allow.clone(),
        max_connections: config.max_connections,
        drain: Duration::from_secs(10),
        threads: None,
    }
}

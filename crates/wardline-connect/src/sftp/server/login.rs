//! One connection: who it is, and that it wants SFTP and nothing else.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use russh::keys::{Algorithm, PublicKey};
use russh::server::{
    self, Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{
    Channel, ChannelId, ChannelOpenFailure, Disconnect, MethodKind, MethodSet, Preferred, SshId,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::serve::Desk;
use super::{Boxes, DropBox, Event, ServerConfig, Sink, What};
use crate::sftp::keys::fingerprint;
use crate::stream::Stream;

/// How long somebody may take to log in.
const LOGIN: Duration = Duration::from_secs(30);
/// Channels of one connection.
const CHANNELS: usize = 4;
/// How long a connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// What all connections have in common.
pub(super) struct Inner {
    ssh: Arc<server::Config>,
    idle: Duration,
    boxes: Arc<ArcSwap<Boxes>>,
    sink: Sink,
}

impl Inner {
    pub(super) fn new(config: ServerConfig, boxes: Arc<ArcSwap<Boxes>>, sink: Sink) -> Self {
        let ssh = server::Config {
            server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-Wardline")),
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            auth_rejection_time: Duration::from_millis(500),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: config.host_keys.into_iter().map(|key| key.0).collect(),
            inactivity_timeout: Some(config.idle),
            max_auth_attempts: 10,
            nodelay: true,
            preferred: Preferred {
                cipher: Cow::Borrowed(crate::sftp::login::CIPHERS),
                ..Preferred::DEFAULT
            },
            ..server::Config::default()
        };
        Self {
            ssh: Arc::new(ssh),
            idle: config.idle,
            boxes,
            sink,
        }
    }

    /// Serves one connection to its end.
    pub(super) async fn connection(
        self: Arc<Self>,
        stream: Stream,
        peer: SocketAddr,
        stop: CancellationToken,
    ) {
        // Ends with the connection, whoever of the two ends it.
        let stop = stop.child_token();
        let inside = Arc::new(AtomicBool::new(false));
        let visitor = Visitor {
            inner: Arc::clone(&self),
            peer,
            guest: None,
            inside: Arc::clone(&inside),
            channels: HashMap::new(),
            begun: 0,
            refused: None,
            stop: stop.clone(),
        };
        let begun = server::run_stream(Arc::clone(&self.ssh), stream, visitor);
        let mut session = match timeout(LOGIN, begun).await {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "an SSH connection did not begin");
                return;
            }
            Err(_) => return,
        };
        let late = async {
            tokio::time::sleep(LOGIN).await;
            if inside.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        let why = tokio::select! {
            ended = &mut session => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "an SSH connection ended");
                }
                stop.cancel();
                return;
            }
            () = late => "logging in took too long",
            () = stop.cancelled() => "the server ends",
        };
        stop.cancel();
        let handle = session.handle();
        let told = handle.disconnect(Disconnect::ByApplication, why.into(), "en".into());
        if told.await.is_ok() && timeout(GOODBYE, session).await.is_err() {
            tracing::debug!(%peer, "an SSH connection does not say goodbye");
        }
    }
}

/// A box that is in use by one more.
struct Guest(Arc<DropBox>);

impl Guest {
    fn of(room: &Arc<DropBox>) -> Option<Self> {
        if room.open.fetch_add(1, Ordering::Relaxed) >= room.sessions {
            room.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(Arc::clone(room)))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whoever is at the other end.
struct Visitor {
    inner: Arc<Inner>,
    peer: SocketAddr,
    guest: Option<Arc<Guest>>,
    inside: Arc<AtomicBool>,
    channels: HashMap<ChannelId, Channel<Msg>>,
    /// Channels that were ever opened.
    begun: usize,
    /// Why it was not let in, where it tried.
    refused: Option<&'static str>,
    stop: CancellationToken,
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.stop.cancel();
        if let (None, Some(why)) = (&self.guest, self.refused) {
            (self.inner.sink)(Event {
                client: None,
                peer: self.peer,
                what: What::Refused(why),
            });
        }
    }
}

impl Visitor {
    /// The box that a key opens.
    fn opened_by(&mut self, user: &str, key: &PublicKey, by: &Algorithm) -> Option<Arc<DropBox>> {
        let boxes = self.inner.boxes.load();
        self.refused = Some("no such client");
        let found = boxes.get(user)?;
        self.refused = Some("no key of the client, not from where it comes from, or no longer");
        // A signature over SHA-1 proves nothing any more.
        let sound = !matches!(by, Algorithm::Rsa { hash: None } | Algorithm::Dsa);
        let fits = found
            .keys
            .iter()
            .any(|one| one.key_data() == key.key_data());
        (sound && fits && found.admits(self.peer.ip())).then(|| Arc::clone(found))
    }
}

impl server::Handler for Visitor {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(
            match self.opened_by(user, offer.public_key, offer.algorithm) {
                Some(_) => Auth::Accept,
                None => Auth::reject(),
            },
        )
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        let Some(found) = self.opened_by(user, key.public_key, key.algorithm) else {
            return Ok(Auth::reject());
        };
        let client = Arc::clone(&found.client);
        let event = |what| Event {
            client: Some(Arc::clone(&client)),
            peer: self.peer,
            what,
        };
        let Some(guest) = Guest::of(&found) else {
            (self.inner.sink)(event(What::Refused("too many connections of the client")));
            self.refused = None;
            return Ok(Auth::reject());
        };
        (self.inner.sink)(event(What::LoggedIn(fingerprint(key.public_key))));
        self.guest = Some(Arc::new(guest));
        self.inside.store(true, Ordering::Relaxed);
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.guest.is_none() || self.begun >= CHANNELS {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        self.begun += 1;
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channels.remove(&channel);
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let (Some(guest), "sftp") = (&self.guest, name) else {
            return session.channel_failure(channel);
        };
        let Some(opened) = self.channels.remove(&channel) else {
            return session.channel_failure(channel);
        };
        session.channel_success(channel)?;
        let (client, peer) = (Arc::clone(&guest.0.client), self.peer);
        let desk = Desk {
            room: guest.0.room.clone(),
            number: rand::random(),
            idle: self.inner.idle,
            stop: self.stop.clone(),
            tell: Arc::new(move |what| Event {
                client: Some(Arc::clone(&client)),
                peer,
                what,
            }),
            sink: Arc::clone(&self.inner.sink),
        };
        let guest = Arc::clone(guest);
        // It ends with its channel, which ends with the connection.
        tokio::task::spawn_blocking(move || {
            desk.serve(opened);
            drop(guest);
        });
        Ok(())
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(channel)
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(channel)
    }
}

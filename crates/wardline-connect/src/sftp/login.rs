//! From an address to an open SFTP channel: the server proves who it is before anything of ours
//! leaves, then we do.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use russh::client::{self, AuthResult, KeyboardInteractiveAuthResponse as Asked};
use russh::keys::{PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelOpenFailure, Preferred, cipher};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::ClientConfig;
use super::keys::{HostKey, asked_for, fingerprint};
use crate::codes;
use crate::files::Trouble;

/// Bytes that a server may send before we have looked at them.
pub(super) const WINDOW: u32 = 4 << 20;
/// The fast ones first; all of them are good.
pub(super) const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

pub(super) type Connection = client::Handle<Host>;

/// Watches a server: whether it is the one it should be, and that it begins nothing itself.
pub(super) struct Host {
    pins: Vec<HostKey>,
    shown: Arc<Mutex<Option<PublicKey>>>,
}

/// Channels are opened by us alone: whatever a server opens could reach into this house.
async fn unasked(reply: client::ChannelOpenHandle) -> Result<(), russh::Error> {
    reply
        .reject(ChannelOpenFailure::AdministrativelyProhibited)
        .await;
    Ok(())
}

impl client::Handler for Host {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let key = shown.public_key();
        let known = self.pins.iter().any(|pin| pin.is(&key));
        *self.shown.lock() = Some(key);
        Ok(known)
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<client::Msg>,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), russh::Error> {
        unasked(reply).await
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<client::Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), russh::Error> {
        unasked(reply).await
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<client::Msg>,
        _: &str,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), russh::Error> {
        unasked(reply).await
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<client::Msg>,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), russh::Error> {
        unasked(reply).await
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<client::Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), russh::Error> {
        unasked(reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<client::Msg>,
        _: &str,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), russh::Error> {
        unasked(reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<client::Msg>,
        _: &str,
        _: u32,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), russh::Error> {
        unasked(reply).await
    }
}

/// Connects, makes sure of the server, and logs in.
pub(super) async fn log_in(config: &ClientConfig) -> io::Result<Connection> {
    let mut shown = None;
    for algorithms in asked_for(&config.host_keys) {
        let preferred = Preferred {
            key: Cow::Owned(algorithms),
            cipher: Cow::Borrowed(CIPHERS),
            ..Preferred::DEFAULT
        };
        let seen = Arc::new(Mutex::new(None));
        match connect(config, preferred, &seen).await? {
            Ok(mut connection) => {
                let proven = timeout(config.connect_timeout, prove(config, &mut connection));
                proven.await.map_err(|_| too_slow(config, "logging in"))??;
                return Ok(connection);
            }
            // It has no key of this kind; perhaps it has the right one of another.
            Err(russh::Error::NoCommonAlgo {
                kind: russh::AlgorithmKind::Key,
                ..
            }) => {}
            Err(russh::Error::UnknownKey) => shown = seen.lock().take().or(shown),
            Err(error) => {
                return Err(Trouble::error(
                    io::ErrorKind::NotConnected,
                    codes::SFTP_NOT_SPOKEN,
                    format!("{} and we do not agree on SSH: {error}", config.address()),
                ));
            }
        }
    }
    let pinned: Vec<String> = config.host_keys.iter().map(ToString::to_string).collect();
    let shows = shown.map_or_else(
        || "has no host key of that kind".to_owned(),
        |key| format!("shows {} ({})", fingerprint(&key), key.algorithm()),
    );
    Err(Trouble::error(
        io::ErrorKind::PermissionDenied,
        codes::SFTP_HOST_KEY,
        format!(
            "{} {shows}, and `host_key` says {}; nothing was sent to it",
            config.address(),
            pinned.join(" or ")
        ),
    ))
}

type Shaken = Result<Connection, russh::Error>;

async fn connect(
    config: &ClientConfig,
    preferred: Preferred,
    seen: &Arc<Mutex<Option<PublicKey>>>,
) -> io::Result<Shaken> {
    let address = config.address();
    let dialled = timeout(config.connect_timeout, TcpStream::connect(&address)).await;
    let unreachable = |why: &dyn std::fmt::Display| {
        let text = format!("no connection to {address}: {why}");
        Trouble::error(io::ErrorKind::NotConnected, codes::SFTP_UNREACHABLE, text)
    };
    let stream = match dialled {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(unreachable(&error)),
        Err(_) => return Err(unreachable(&"it did not answer in time")),
    };
    stream.set_nodelay(true)?;
    let settings = client::Config {
        window_size: WINDOW,
        preferred,
        keepalive_interval: Some(Duration::from_secs(20)),
        keepalive_max: 3,
        nodelay: true,
        ..client::Config::default()
    };
    let host = Host {
        pins: config.host_keys.clone(),
        shown: Arc::clone(seen),
    };
    let shaken = client::connect_stream(Arc::new(settings), stream, host);
    timeout(config.connect_timeout, shaken)
        .await
        .map_err(|_| too_slow(config, "agreeing on keys"))
}

fn too_slow(config: &ClientConfig, what: &str) -> io::Error {
    let text = format!("{} took too long: {what}", config.address());
    Trouble::error(io::ErrorKind::TimedOut, codes::SFTP_LOST, text)
}

/// Proves who we are, by the best that we have and the server takes.
async fn prove(config: &ClientConfig, connection: &mut Connection) -> io::Result<()> {
    let lost = |error: russh::Error| {
        let text = format!(
            "{} ended the connection while logging in: {error}",
            config.address()
        );
        Trouble::error(io::ErrorKind::NotConnected, codes::SFTP_LOST, text)
    };
    let user = config.user.as_str();
    let own = &config.credentials;
    let mut tried = Vec::new();
    if let (Some(key), Some(certificate)) = (&own.key, &own.certificate) {
        tried.push("certificate");
        let (key, certificate) = (Arc::clone(key), certificate.clone());
        let asked = connection.authenticate_openssh_cert(user, key, certificate);
        if asked.await.map_err(lost)?.success() {
            return Ok(());
        }
    }
    if let Some(key) = &own.key {
        tried.push("key");
        let hash = if key.algorithm().is_rsa() {
            connection.best_supported_rsa_hash().await.map_err(lost)?
        } else {
            None
        };
        // Where a server does not say, it may be too old to say and new enough to understand.
        let hash = hash.unwrap_or(Some(russh::keys::HashAlg::Sha256));
        let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
        let asked = connection.authenticate_publickey(user, key);
        if asked.await.map_err(lost)?.success() {
            return Ok(());
        }
    }
    if let Some(password) = &own.password {
        tried.push("password");
        let password = String::from_utf8_lossy(password.expose()).into_owned();
        let password = password.trim_end_matches('\n');
        if let AuthResult::Success = connection
            .authenticate_password(user, password)
            .await
            .map_err(lost)?
        {
            return Ok(());
        }
        if by_questions(connection, user, password)
            .await
            .map_err(lost)?
        {
            return Ok(());
        }
    }
    let text = format!(
        "{} does not let `{user}` in by {}",
        config.address(),
        tried.join(" or ")
    );
    Err(Trouble::error(
        io::ErrorKind::PermissionDenied,
        codes::SFTP_CREDENTIALS,
        text,
    ))
}

/// Many servers ask for the password as a question.
async fn by_questions(
    connection: &mut Connection,
    user: &str,
    password: &str,
) -> Result<bool, russh::Error> {
    let mut asked = connection
        .authenticate_keyboard_interactive_start(user, None)
        .await?;
    // More than one question is about something that we do not know.
    for _ in 0..3 {
        match asked {
            Asked::Success => return Ok(true),
            Asked::InfoRequest { prompts, .. } if prompts.len() <= 1 => {
                let answers = prompts.iter().map(|_| password.to_owned()).collect();
                asked = connection
                    .authenticate_keyboard_interactive_respond(answers)
                    .await?;
            }
            Asked::Failure { .. } | Asked::InfoRequest { .. } => return Ok(false),
        }
    }
    Ok(matches!(asked, Asked::Success))
}

//! One connection to a server: bytes in, bytes out, plain or inside TLS. All of it can be dropped
//! in the midst of waiting without losing a byte.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::future::BoxFuture;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::config::Place;
use super::fault::Fault;
use crate::ConnectError;
use crate::stream::Stream;

/// Read at least so much at once.
const CHUNK: usize = 16 << 10;

/// The servers of a broker, checked, with what is needed to speak TLS to them.
#[derive(Debug)]
pub(crate) struct Servers {
    all: Vec<Server>,
    tls: Option<Arc<ClientConfig>>,
}

#[derive(Debug)]
struct Server {
    address: String,
    name: Option<ServerName<'static>>,
}

impl Servers {
    pub(crate) fn new(place: &Place) -> Result<Self, ConnectError> {
        let all = place
            .servers
            .iter()
            .map(|address| {
                let bad = |detail: &str| ConnectError::BadSetting {
                    name: place.name.to_string(),
                    what: "the address",
                    value: address.clone(),
                    detail: detail.into(),
                };
                let (host, port) = address
                    .rsplit_once(':')
                    .ok_or_else(|| bad("write host:port"))?;
                port.parse::<u16>()
                    .map_err(|_| bad("the port must be a number up to 65535"))?;
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let name = place.tls.as_ref();
                let name = name.map(|tls| tls.verified_name(&place.name, host));
                Ok(Server {
                    address: address.clone(),
                    name: name.transpose()?,
                })
            })
            .collect::<Result<_, ConnectError>>()?;
        let tls = place.tls.as_ref().map(|tls| tls.build(&place.name));
        Ok(Self {
            all,
            tls: tls.transpose()?.map(Arc::new),
        })
    }

    pub(crate) const fn wants_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Connects to the first that takes the connection, and lets `greet` say what comes first.
    pub(crate) async fn open<'a, T>(
        &'a self,
        limit: Duration,
        greet: impl Fn(Link, &'a str) -> BoxFuture<'a, Result<T, Fault>> + Send + Sync,
    ) -> Result<T, Fault> {
        let mut last = Fault::Unreachable("the connection names no server".to_owned());
        for server in &self.all {
            let opening = async {
                let stream = TcpStream::connect(&server.address)
                    .await
                    .map_err(|error| Fault::Unreachable(error.to_string()))?;
                stream
                    .set_nodelay(true)
                    .map_err(|error| Fault::Unreachable(error.to_string()))?;
                greet(Link::new(stream), &server.address).await
            };
            let opened = timeout(limit, opening).await.unwrap_or_else(|_| {
                let text = format!("nothing came of it within {limit:?}");
                Err(Fault::Unreachable(text))
            });
            match opened {
                Ok(opened) => return Ok(opened),
                // What another server would say as well is not asked twice.
                Err(
                    fault @ (Fault::Credentials(_)
                    | Fault::Spoken(_)
                    | Fault::Refused(_)
                    | Fault::Ended(_)),
                ) => return Err(fault),
                // Nothing was sent yet, whatever was said.
                Err(fault) => last = Fault::Unreachable(fault.to_string()),
            }
        }
        Err(last)
    }

    /// Connects to a server that another one named, with TLS where it is declared: what is
    /// verified is the name that was given.
    pub(crate) async fn follow(&self, place: &Place, host: &str, port: u16) -> Result<Link, Fault> {
        let unreachable = |error: &dyn std::fmt::Display| Fault::Unreachable(error.to_string());
        let name = place.tls.as_ref();
        let name = name.map(|tls| tls.verified_name(&place.name, host));
        let name = name.transpose().map_err(|error| unreachable(&error))?;
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(|error| unreachable(&error))?;
        stream
            .set_nodelay(true)
            .map_err(|error| unreachable(&error))?;
        self.wrap(Link::new(stream), name).await
    }

    /// Puts TLS around a connection, where it is declared.
    pub(crate) async fn secure(&self, link: Link, address: &str) -> Result<Link, Fault> {
        let server = self.all.iter().find(|server| server.address == address);
        let name = server.and_then(|server| server.name.clone());
        self.wrap(link, name).await
    }

    async fn wrap(&self, link: Link, name: Option<ServerName<'static>>) -> Result<Link, Fault> {
        let Some(config) = &self.tls else {
            return Ok(link);
        };
        let (Some(name), Stream::Plain(stream)) = (name, link.stream) else {
            return Err(Fault::Spoken("there is TLS around it already".to_owned()));
        };
        if !link.input.is_empty() {
            // What came in the clear must not be taken for what came inside.
            return Err(Fault::Spoken(
                "it spoke before the TLS handshake".to_owned(),
            ));
        }
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await
            .map_err(|error| Fault::Unreachable(format!("the TLS handshake failed: {error}")))?;
        Ok(Link {
            stream: Stream::Tls(Box::new(stream.into())),
            input: BytesMut::new(),
            output: BytesMut::new(),
        })
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Stream,
    /// What came and was not read yet.
    pub(crate) input: BytesMut,
    /// What is to be sent.
    pub(crate) output: BytesMut,
}

impl Link {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream: Stream::Plain(stream),
            input: BytesMut::new(),
            output: BytesMut::new(),
        }
    }

    /// Waits for more input.
    pub(crate) async fn fill(&mut self) -> Result<(), Fault> {
        self.input.reserve(CHUNK);
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) => Err(Fault::Lost("the other side closed it".to_owned())),
            Ok(_) => Ok(()),
            Err(error) => Err(Fault::Lost(error.to_string())),
        }
    }

    /// Sends all output.
    pub(crate) async fn flush(&mut self) -> Result<(), Fault> {
        let lost = |error: std::io::Error| Fault::Lost(error.to_string());
        while !self.output.is_empty() {
            let sent = self
                .stream
                .write_buf(&mut self.output)
                .await
                .map_err(lost)?;
            if sent == 0 {
                return Err(Fault::Lost("the other side takes no more".to_owned()));
            }
        }
        self.stream.flush().await.map_err(lost)
    }
}

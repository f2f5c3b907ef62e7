//! Object stores that speak S3: objects of a bucket as files of a directory.
//!
//! [`Remote`] is a [`Directory`](crate::files::Directory): whatever is promised of files holds for
//! objects, too. What is added:
//! - An object is written by one request or, where it is larger than 16 MiB, in parts that become an
//!   object together: a reader sees all of it or nothing. Parts of an attempt that failed are thrown
//!   away.
//! - A reading that breaks off is taken up where it was, and only while the object is the same (`If-Match`).
//! - A key is in no request: what is sent is a signature (AWS Signature Version 4) of that one request, good
//!   for five minutes. No address with a signature is in an error or a log.
//!
//! Source: Amazon S3 API Reference, version 2006-03-01.

mod answer;
mod calls;
mod remote;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rusty_s3::{Bucket, Credentials, UrlStyle};

use crate::tls::ClientTls;
use crate::{ConnectError, Secret};

pub use remote::Remote;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Where the name of a bucket stands in an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// In the host: `https://lake.s3.eu-central-1.amazonaws.com/`.
    Host,
    /// In the path: `https://s3.example/lake/`.
    Path,
}

/// How a bucket is reached.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The connection's name, for errors.
    pub name: String,
    /// The service, such as `https://s3.eu-central-1.amazonaws.com`.
    pub url: String,
    /// The bucket.
    pub bucket: String,
    /// Its region; a part of what is signed.
    pub region: String,
    /// Where the bucket's name stands.
    pub style: Style,
    /// The id of our access key.
    pub key_id: Secret,
    /// The access key itself.
    pub key: Secret,
    /// What the keys of all objects begin with; empty for the whole bucket.
    pub directory: String,
    /// How the service's certificate is verified.
    pub tls: ClientTls,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the service may be silent.
    pub timeout: Duration,
}

/// A bucket that can be asked.
#[derive(Clone)]
pub struct Place {
    client: Client<HttpsConnector<HttpConnector>, Full<bytes::Bytes>>,
    bucket: Arc<Bucket>,
    /// `None` while a secret may not be used.
    credentials: Option<Arc<Credentials>>,
    /// Empty, or with `/` at its end.
    prefix: String,
    timeout: Duration,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("bucket", &self.bucket.base_url().as_str())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Place {
    /// Connects to nothing before it is asked.
    ///
    /// # Errors
    /// Where the address, a key or a certificate cannot be used.
    pub fn new(config: &ClientConfig) -> Result<Self, ConnectError> {
        let bad = |what, value: &str, detail: String| ConnectError::BadSetting {
            name: config.name.clone(),
            what,
            value: value.to_owned(),
            detail,
        };
        let url = config
            .url
            .parse()
            .map_err(|error| bad("url", &config.url, format!("{error}")))?;
        let style = match config.style {
            Style::Host => UrlStyle::VirtualHost,
            Style::Path => UrlStyle::Path,
        };
        let bucket = Bucket::new(url, style, config.bucket.clone(), config.region.clone())
            .map_err(|error| bad("bucket", &config.bucket, error.to_string()))?;
        let text = |what, secret: &Secret| {
            let text = std::str::from_utf8(secret.expose()).map(str::trim);
            match text {
                Ok(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) => {
                    Ok(text.to_owned())
                }
                _ => Err(bad(what, "…", "it is no text of printable letters".into())),
            }
        };
        let credentials =
            Credentials::new(text("key_id", &config.key_id)?, text("key", &config.key)?);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        let tls = if config.url.starts_with("http:") {
            ClientTls::for_plain_connections()
        } else {
            config.tls.build(&config.name)?
        };
        let mut connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http();
        if config.tls.server_name.is_some() {
            let host = bucket.base_url().host_str().unwrap_or_default();
            let name = config.tls.verified_name(&config.name, host)?;
            connector = connector.with_server_name_resolver(FixedServerNameResolver::new(name));
        }
        let connector = connector.enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        let directory = config.directory.trim_matches('/');
        Ok(Self {
            client,
            bucket: Arc::new(bucket),
            credentials: Some(Arc::new(credentials)),
            prefix: if directory.is_empty() {
                String::new()
            } else {
                format!("{directory}/")
            },
            timeout: config.timeout,
        })
    }

    /// The same, and asks for nothing any more.
    #[must_use]
    pub fn without_credentials(&self) -> Self {
        Self {
            credentials: None,
            ..self.clone()
        }
    }
}

/// What an object store answers, for the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if answer::is_error(&text) {
        let _error = answer::error(http::StatusCode::BAD_REQUEST, &text, "read");
    }
    for name in ["Code", "Message", "UploadId", "ETag"] {
        let _value = answer::value(&text, name);
    }
    let _listed = rusty_s3::actions::ListObjectsV2::parse_response(&*text);
}

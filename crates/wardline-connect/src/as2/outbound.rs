//! One payload, one message, one receipt.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Uri};
use wardline_as2::{Certificate, Disposition, Identity, Message, Receipt, Sent, Wants};

use crate::http::{Asker, OutboundAuth};
use crate::tls::{ClientTls, Pem};
use crate::{ConnectError, Failure, FailureKind, Reply, Request, codes};

/// The longest receipt.
const RECEIPT: usize = 1 << 20;

/// A partner.
#[derive(Clone)]
pub struct OutboundConfig {
    /// The connection's name, for errors.
    pub name: Arc<str>,
    /// Where the partner receives.
    pub url: String,
    /// Our AS2 name.
    pub from: String,
    /// The partner's.
    pub to: String,
    /// Our certificate and key, which sign; nothing is signed where absent.
    pub identity: Option<(Pem, Pem)>,
    /// The partner's certificates: all may sign receipts, the first is encrypted for.
    pub partner: Option<Pem>,
    /// Whether payloads are encrypted.
    pub encrypt: bool,
    /// Whether receipts must be signed; none are asked for where absent.
    pub receipt: Option<bool>,
    /// What messages are about, for people.
    pub subject: String,
    /// The media type of payloads, where not that of the delivery.
    pub content_type: Option<String>,
    /// How we prove who we are to the server.
    pub auth: OutboundAuth,
    /// TLS.
    pub tls: ClientTls,
    /// How long the partner may take.
    pub timeout: Duration,
}

/// Sends to one partner.
pub struct Outbound {
    config: Arc<OutboundConfig>,
    asker: Asker,
    target: Uri,
    identity: Option<Arc<Identity>>,
    partner: Arc<Vec<Certificate>>,
    credential: Option<(HeaderName, HeaderValue)>,
}

impl Outbound {
    /// Reads keys and certificates; connects with the first payload.
    ///
    /// # Errors
    /// [`ConnectError`] where one of them, the URL or TLS cannot be used.
    pub fn new(config: OutboundConfig) -> Result<Self, ConnectError> {
        let bad = |what, detail: String| ConnectError::BadSetting {
            name: config.name.to_string(),
            what,
            value: config.url.clone(),
            detail,
        };
        let target: Uri = config
            .url
            .parse()
            .map_err(|_| bad("the URL", "it is no URL".into()))?;
        let identity = match &config.identity {
            None => None,
            Some((certificate, key)) => {
                let certificate = certificate.read("our AS2 certificate")?;
                let key = key.read("our AS2 key")?;
                let identity = Identity::new(certificate.expose(), key.expose());
                Some(Arc::new(identity.map_err(|error| {
                    bad("our AS2 certificate and key", error.to_string())
                })?))
            }
        };
        let partner = match &config.partner {
            None => Vec::new(),
            Some(pem) => {
                let pem = pem.read("the partner's certificate")?;
                Certificate::all(pem.expose())
                    .map_err(|error| bad("the partner's certificate", error.to_string()))?
            }
        };
        if partner.is_empty() && (config.encrypt || config.receipt == Some(true)) {
            let detail = "encrypting and signed receipts need the partner's certificate";
            return Err(bad("the partner's certificate", detail.into()));
        }
        let credential = config.auth.header().map_err(|_| {
            bad(
                "the credential",
                "it holds bytes that no header may hold".into(),
            )
        })?;
        let asker = Asker::new(&config.name, &config.tls, RECEIPT, config.timeout)?;
        Ok(Self {
            config: Arc::new(config),
            asker,
            target,
            identity,
            partner: Arc::new(partner),
            credential,
        })
    }

    fn fail(
        &self,
        kind: FailureKind,
        code: wardline_core::Code,
        what: impl std::fmt::Display,
    ) -> Failure {
        let text = format!("{} ({}): {what}", self.config.name, self.config.url);
        Failure::new(kind, code, text)
    }

    /// Signs and encrypts, on a thread that may take its time.
    async fn make(&self, id: &str, request: &Request<'_>) -> Result<Sent, Failure> {
        let (config, identity) = (Arc::clone(&self.config), self.identity.clone());
        let partner = Arc::clone(&self.partner);
        let (id, body) = (id.to_owned(), request.body.clone());
        let kind = self.config.content_type.clone();
        let kind = kind.unwrap_or_else(|| request.content_type.to_owned());
        let made = tokio::task::spawn_blocking(move || {
            let message = Message {
                payload: &body,
                content_type: &kind,
                file_name: None,
                from: &config.from,
                to: &config.to,
                id: &id,
                subject: &config.subject,
                wants: config.receipt.map(|signed| Wants {
                    signed,
                    ..Wants::default()
                }),
            };
            let encrypt = partner.first().filter(|_| config.encrypt);
            message.make(identity.as_deref(), encrypt, jiff::Timestamp::now())
        });
        made.await.ok().flatten().ok_or_else(|| {
            let what = "the message could not be signed or encrypted";
            self.fail(FailureKind::Transient, codes::AS2_UNSENDABLE, what)
        })
    }

    /// What a receipt means.
    fn judged(&self, id: &str, mic: &str, kind: &str, body: &Bytes) -> Result<String, Failure> {
        let Some(must_sign) = self.config.receipt else {
            return Ok("accepted".into());
        };
        let read = Receipt::read(kind, body, &self.partner, must_sign).map_err(|error| {
            // It may have been taken: a person has to look before it is sent again.
            self.fail(FailureKind::Permanent, codes::AS2_BAD_RECEIPT, error)
        })?;
        if read.original != id {
            let what = "the receipt is for another message";
            return Err(self.fail(FailureKind::Permanent, codes::AS2_BAD_RECEIPT, what));
        }
        if let Disposition::Failed(why) = &read.disposition {
            let kind = match why.as_str() {
                // The fault lies in a key, and not in the payload.
                "authentication-failed" | "decryption-failed" | "insufficient-message-security" => {
                    FailureKind::Transient
                }
                _ => FailureKind::Permanent,
            };
            let why: String = why
                .chars()
                .filter(char::is_ascii_graphic)
                .take(60)
                .collect();
            let what = format!("the receipt says that it was not taken: {why}");
            return Err(self.fail(kind, codes::AS2_REFUSED, what));
        }
        match &read.mic {
            Some((theirs, _)) if theirs == mic => Ok("processed".into()),
            Some(_) => {
                let what = "the receipt is for other content than was sent";
                Err(self.fail(FailureKind::Permanent, codes::AS2_OTHER_CONTENT, what))
            }
            None => {
                let what = "the receipt does not say what was taken";
                Err(self.fail(FailureKind::Permanent, codes::AS2_BAD_RECEIPT, what))
            }
        }
    }
}

#[async_trait]
impl crate::Outbound for Outbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        // The same for all attempts, by which the partner knows a repetition.
        let host: String = self
            .config
            .from
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let id = format!("{}@{host}", request.idempotency_key);
        let sent = self.make(&id, &request).await?;
        let mut asked = http::Request::new(Bytes::from(sent.body));
        *asked.method_mut() = Method::POST;
        *asked.uri_mut() = self.target.clone();
        let headers = asked.headers_mut();
        for (name, value) in &sent.headers {
            let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
            let (Ok(name), Ok(value)) = pair else {
                let what = format!("`{name}` holds what no header may hold");
                return Err(self.fail(FailureKind::Permanent, codes::AS2_UNSENDABLE, what));
            };
            headers.insert(name, value);
        }
        headers.insert(USER_AGENT, HeaderValue::from_static("wardline"));
        if let Some((name, value)) = &self.credential {
            headers.insert(name, value.clone());
        }
        let answer = self.asker.ask(asked).await.map_err(|error| {
            // Whether it arrived is not known; the message's id is the same next time.
            self.fail(FailureKind::Transient, codes::AS2_UNREACHABLE, error)
        })?;
        let status = answer.status();
        let kind = answer.headers().get(http::header::CONTENT_TYPE);
        let kind = kind
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let mut reply = Reply {
            status: status.as_str().to_owned(),
            content_type: kind.clone(),
            body: answer.into_body(),
            truncated: false,
        };
        if !status.is_success() {
            let (kind, code) = match status.as_u16() {
                401 | 403 | 407 => (FailureKind::Transient, codes::HTTP_CREDENTIALS),
                408 | 429 | 500..=599 => (FailureKind::Transient, codes::AS2_UNREACHABLE),
                _ => (FailureKind::Permanent, codes::AS2_REFUSED),
            };
            let failure = self.fail(kind, code, format!("the server answered {status}"));
            return Err(failure.with_reply(reply));
        }
        match self.judged(&id, &sent.mic, &kind, &reply.body) {
            Ok(word) => {
                reply.status = word;
                Ok(reply)
            }
            Err(failure) => Err(failure.with_reply(reply)),
        }
    }

    fn describe(&self) -> String {
        format!("as2 {} {}", self.config.to, self.config.url)
    }
}

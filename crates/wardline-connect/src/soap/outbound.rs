//! SOAP out: JSON to an envelope, one request, and its answer or fault back to JSON.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use serde_json::Value;
use wardline_core::Code;
use wardline_soap::envelope::Envelope;
use wardline_soap::fault::{Fault, FaultCode};
use wardline_soap::mtom::{self, Package};
use wardline_soap::security::{Protection, Signer, Username};
use wardline_soap::wsdl::{Definitions, Operation, Port, Version};
use wardline_soap::xml::{Limits, parse};

use crate::tls::Pem;
use crate::{ConnectError, Failure, FailureKind, Reply, Request, Secret, codes, http as web};

const SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");
/// Bytes below which a value stays within the envelope (MTOM).
const BESIDE: usize = 1024;
/// Bytes of an answer.
const LARGEST_ANSWER: usize = 8 << 20;

/// How a message proves who sent it by a user name.
#[derive(Debug, Clone)]
pub struct UserToken {
    /// `user:password`.
    pub credential: Secret,
    /// Whether the password goes as text; only where TLS hides it.
    pub plain: bool,
}

/// What messages are signed with.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, PEM.
    pub certificate: Pem,
    /// Its private key, PEM (PKCS#8).
    pub key: Secret,
}

/// One port of a service.
#[derive(Debug, Clone)]
pub struct OutboundConfig {
    /// How it is reached.
    pub http: web::OutboundConfig,
    /// What it offers.
    pub definitions: Arc<Definitions>,
    /// The service; the first where absent.
    pub service: Option<String>,
    /// The port; the first where absent.
    pub port: Option<String>,
    /// A user token of WS-Security.
    pub user: Option<UserToken>,
    /// A signature of WS-Security.
    pub sign: Option<Identity>,
    /// How long a message is good (a timestamp of WS-Security).
    pub good_for: Option<Duration>,
    /// Whether large values of bytes travel beside the envelope.
    pub mtom: bool,
}

/// Sends to one port of a service. The name of the operation is the request's path, behind a `/`.
pub struct Outbound {
    web: web::Outbound,
    definitions: Arc<Definitions>,
    port: Port,
    protection: Protection,
    mtom: bool,
    name: Arc<str>,
}

/// A message that asks for an operation.
#[derive(Debug, Clone)]
pub struct Asking {
    /// What it is.
    pub content_type: String,
    /// Further headers that say so.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its bytes.
    pub body: Bytes,
}

impl Outbound {
    /// Reads keys; connects to nothing yet.
    ///
    /// # Errors
    /// [`ConnectError::BadSetting`] where there is no such port, or a key cannot be used.
    pub fn new(mut config: OutboundConfig) -> Result<Self, ConnectError> {
        let name = Arc::clone(&config.http.name);
        let bad = |what, detail: String| ConnectError::BadSetting {
            name: name.to_string(),
            what,
            value: config.http.url.clone(),
            detail,
        };
        let port = config
            .definitions
            .port(config.service.as_deref(), config.port.as_deref())
            .cloned()
            .ok_or_else(|| bad("the port", "the description has no such port".into()))?;
        let username = match &config.user {
            Some(token) => {
                let text = token.credential.expose();
                let at = text.iter().position(|byte| *byte == b':').ok_or_else(|| {
                    bad("the user token", "the secret is not `user:password`".into())
                })?;
                let user = String::from_utf8(text[..at].to_vec())
                    .map_err(|_| bad("the user token", "the user is not UTF-8".into()))?;
                Some(Username {
                    user,
                    password: text[at + 1..].to_vec(),
                    plain: token.plain,
                })
            }
            None => None,
        };
        let signer = match &config.sign {
            Some(identity) => {
                let certificate = identity.certificate.read("the certificate")?;
                let signer = Signer::from_pem(identity.key.expose(), certificate.expose())
                    .map_err(|error| bad("the signature", error.to_string()))?;
                Some(signer)
            }
            None => None,
        };
        let mtom = config.mtom;
        if mtom && signer.is_some() {
            return Err(bad(
                "mtom",
                "messages are either signed or sent with parts beside them".into(),
            ));
        }
        let protection = Protection {
            username,
            signer,
            good_for: config.good_for,
        };
        config.http.max_response = LARGEST_ANSWER;
        config.http.method = Method::POST;
        Ok(Self {
            web: web::Outbound::new(config.http)?,
            definitions: config.definitions,
            port,
            protection,
            mtom,
            name,
        })
    }

    /// The message that asks for an operation: for whoever sends it by connections of its own.
    ///
    /// # Errors
    /// Where the payload does not fit, and why.
    pub fn ask(&self, operation: &str, body: &Bytes) -> Result<Asking, Failure> {
        let operation = self.operation(operation)?;
        let (content_type, body) = self.envelope(operation, body)?;
        Ok(Asking {
            content_type,
            headers: self.action(operation),
            body,
        })
    }

    /// What an answer to such a message says: JSON by the types of the description.
    ///
    /// # Errors
    /// The fault, or why it is no answer.
    pub fn understand(&self, operation: &str, reply: Reply) -> Result<Reply, Failure> {
        let operation = self.operation(operation)?;
        if reply.status.starts_with('2') {
            return self.answer(operation, reply);
        }
        let said = Self::open(&reply)
            .ok()
            .and_then(|envelope| self.fault(operation, &envelope, &reply));
        Err(said.unwrap_or_else(|| {
            let text = format!("answered {} with HTTP {}", operation.name, reply.status);
            let kind = FailureKind::Transient;
            self.failed(kind, codes::SOAP_BAD_ANSWER, &text)
                .with_reply(reply)
        }))
    }

    fn operation(&self, name: &str) -> Result<&Operation, Failure> {
        self.port.operation(name).ok_or_else(|| {
            let what = "the description has no operation of this name";
            self.failed(FailureKind::Permanent, codes::SOAP_UNSENDABLE, what)
        })
    }

    /// The header that names the action, in SOAP 1.1.
    fn action(&self, operation: &Operation) -> Vec<(HeaderName, HeaderValue)> {
        if self.port.version != Version::V11 {
            return Vec::new();
        }
        let action: String = operation
            .action
            .chars()
            .filter(|one| !one.is_control() && *one != '"')
            .collect();
        let value = HeaderValue::from_str(&format!("\"{action}\""));
        value
            .map(|value| vec![(SOAP_ACTION, value)])
            .unwrap_or_default()
    }

    fn failed(&self, kind: FailureKind, code: Code, what: &str) -> Failure {
        Failure::new(kind, code, format!("{}: {what}", self.name))
    }

    /// The body to send, with its content type.
    fn envelope(&self, operation: &Operation, body: &Bytes) -> Result<(String, Bytes), Failure> {
        let unsendable =
            |what: String| self.failed(FailureKind::Permanent, codes::SOAP_UNSENDABLE, &what);
        let value: Value = serde_json::from_slice(body)
            .map_err(|_| unsendable("the payload is not JSON".to_owned()))?;
        let element = operation
            .input
            .encode(&self.definitions.schemas, &value)
            .map_err(|error| {
                unsendable(format!(
                    "the payload does not fit {}: {error}",
                    operation.name
                ))
            })?;
        let version = self.port.version;
        let mut envelope = Envelope::new(version, Vec::new(), element);
        if self.mtom && self.protection.is_empty() {
            let boundary = format!("wardline-{:032x}", rand::random::<u128>());
            let written = mtom::write(&mut envelope.root, version.media(), &boundary, BESIDE);
            let (mut kind, bytes) = written.map_err(|error| unsendable(error.to_string()))?;
            if version == Version::V12 && !operation.action.is_empty() {
                let plain = version.content_type(&operation.action);
                if let Some((_, action)) = plain.split_once("action=") {
                    kind = format!("{kind}; action={action}");
                }
            }
            return Ok((kind, bytes.into()));
        }
        let bytes = self
            .protection
            .write(&envelope, Timestamp::now())
            .map_err(|error| unsendable(error.to_string()))?;
        Ok((version.content_type(&operation.action), bytes.into()))
    }

    /// The answer's envelope, where it is one.
    fn open(reply: &Reply) -> Result<Envelope, String> {
        if reply.truncated {
            return Err("the answer is larger than 8 MiB".to_owned());
        }
        let limits = Limits::MESSAGE.of_bytes(LARGEST_ANSWER);
        if mtom::is_package(&reply.content_type) {
            let package = Package::read(&reply.content_type, &reply.body)
                .map_err(|error| error.to_string())?;
            let mut root = parse(package.root, limits).map_err(|error| error.to_string())?;
            package
                .put_back(&mut root, LARGEST_ANSWER)
                .map_err(|error| error.to_string())?;
            return Envelope::open(root).map_err(|error| error.to_string());
        }
        Envelope::parse(&reply.body, limits).map_err(|error| error.to_string())
    }

    fn fault(&self, operation: &Operation, envelope: &Envelope, reply: &Reply) -> Option<Failure> {
        let content = envelope.content();
        let fault = Fault::read(envelope.version, content.first()?)?;
        let json = fault.to_json(&self.definitions.schemas, Some(operation));
        let declared = json.get("fault").and_then(Value::as_str);
        let named = declared
            .map(|name| format!(" `{name}`"))
            .unwrap_or_default();
        let credentials = fault.subcodes.iter().any(|code| {
            matches!(
                code.as_str(),
                "FailedAuthentication" | "InvalidSecurityToken"
            )
        });
        let (kind, code, whose) = match fault.code {
            _ if credentials => (
                FailureKind::Transient,
                codes::SOAP_CREDENTIALS,
                "it refuses our credentials",
            ),
            FaultCode::Receiver => (
                FailureKind::Transient,
                codes::SOAP_RECEIVER,
                "a fault of its own",
            ),
            FaultCode::Sender | FaultCode::Other => (
                FailureKind::Permanent,
                codes::SOAP_SENDER,
                "it refuses this request",
            ),
            FaultCode::MustUnderstand
            | FaultCode::VersionMismatch
            | FaultCode::DataEncodingUnknown => (
                FailureKind::Permanent,
                codes::SOAP_NOT_SPOKEN,
                "it does not speak SOAP as the description says",
            ),
        };
        let text = format!("answered {} with the fault{named}: {whose}", operation.name);
        Some(
            self.failed(kind, code, &text)
                .with_reply(json_reply(&reply.status, &json)),
        )
    }

    fn answer(&self, operation: &Operation, reply: Reply) -> Result<Reply, Failure> {
        let Some(output) = &operation.output else {
            return Ok(json_reply(
                &reply.status,
                &Value::Object(serde_json::Map::new()),
            ));
        };
        // What was asked may have been done: asking again would do it twice.
        let bad = |what: String, reply: Reply| {
            let text = format!("answered {}, and {what}", operation.name);
            self.failed(FailureKind::Permanent, codes::SOAP_BAD_ANSWER, &text)
                .with_reply(reply)
        };
        let envelope = match Self::open(&reply) {
            Ok(envelope) => envelope,
            Err(why) => return Err(bad(why, reply)),
        };
        if let Some(failure) = self.fault(operation, &envelope, &reply) {
            return Err(failure);
        }
        match output.decode(&self.definitions.schemas, &envelope.content()) {
            Ok(value) => Ok(json_reply(&reply.status, &value)),
            Err(error) => Err(bad(format!("the answer does not fit: {error}"), reply)),
        }
    }
}

fn json_reply(status: &str, value: &Value) -> Reply {
    Reply {
        status: status.to_owned(),
        content_type: "application/json".to_owned(),
        body: value.to_string().into(),
        truncated: false,
    }
}

#[async_trait]
impl crate::Outbound for Outbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let wanted = request.path.unwrap_or_default().trim_start_matches('/');
        let operation = self.operation(wanted)?;
        let (content_type, body) = self.envelope(operation, &request.body)?;
        let headers = self.action(operation);
        let sent = Request {
            body,
            content_type: &content_type,
            method: Some(Method::POST),
            path: None,
            ..request
        };
        match self.web.send_with(sent, &headers).await {
            Ok(reply) => self.answer(operation, reply),
            Err(failure) => {
                // A fault says more than the status that it came with, unless that speaks of
                // credentials or of coming later.
                let told = [codes::HTTP_SERVER_ERROR, codes::HTTP_REJECTED].contains(&failure.code);
                let said = failure.reply.as_ref().filter(|_| told).and_then(|reply| {
                    let envelope = Self::open(reply).ok()?;
                    self.fault(operation, &envelope, reply)
                });
                Err(said.unwrap_or(failure))
            }
        }
    }

    fn describe(&self) -> String {
        let inner = crate::Outbound::describe(&self.web);
        let url = inner.strip_prefix("http ").unwrap_or(&inner);
        format!("soap {} {} at {url}", self.port.version, self.port.name)
    }
}

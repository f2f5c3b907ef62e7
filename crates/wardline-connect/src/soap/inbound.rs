//! SOAP in: what comes to a path of a listener is opened by the service's description, and what is
//! answered is written by it. The listener's part (routes, proofs by HTTP, memory) is `http`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};
use wardline_core::Code;
use wardline_hl7::Message;
use wardline_hl7::ack::{Ack, ErrorCode, Fault as Ack8};
use wardline_soap::fault::FaultCode;
use wardline_soap::security::{Guard, SecurityError};
use wardline_soap::service::{Asked, Refusal, Service, Written, unbelieved};
use wardline_soap::wsdl::{Published, Version};

use crate::{ContentType, codes};

/// From the value of a request to that of its answer. The error holds no value.
pub type Respond = Arc<dyn Fn(&Value, Timestamp) -> Result<Value, String> + Send + Sync>;

/// An operation that carries an HL7 v2 message as text.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The operation.
    pub operation: String,
    /// The element that holds the message.
    pub message: String,
    /// The element of the answer that holds the acknowledgement.
    pub answer: String,
    /// Elements that hold user and password, where these are in the body.
    pub credentials: Option<(String, String)>,
}

/// An operation that answers with what it was given, by which a sender tries the connection.
#[derive(Debug, Clone)]
pub struct Echo {
    /// The operation.
    pub operation: String,
    /// The element that is given back.
    pub from: String,
    /// The element of the answer.
    pub to: String,
}

/// A service at a path.
pub struct Endpoint {
    /// Its description, with what is asked of messages.
    pub service: Service,
    /// The description as others get it.
    pub published: Published,
    /// Its address, where the one that a request names is not the right one.
    pub address: Option<String>,
    /// Whether it is reached by https.
    pub secured: bool,
    /// Answers, by operation.
    pub answers: BTreeMap<String, Respond>,
    /// The operation that carries HL7 v2.
    pub hl7: Option<Carried>,
    /// Who may send it, where user and password are in the body.
    pub credentials: Option<Arc<Guard>>,
    /// The operation that is answered with what it was given.
    pub echo: Option<Echo>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.service.ports().iter();
        f.debug_struct("Endpoint")
            .field("ports", &ports.map(|port| &port.name).collect::<Vec<_>>())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A request that can be taken, with its answer.
pub(crate) struct Taken {
    pub(crate) operation: String,
    pub(crate) version: Version,
    pub(crate) content_type: ContentType,
    pub(crate) body: Bytes,
    /// What is said when it was taken; nothing where the operation has no answer.
    pub(crate) answer: Option<Written>,
    /// Whether it is a message at all.
    pub(crate) recorded: bool,
}

/// A request that is not taken.
pub(crate) struct NotTaken {
    pub(crate) status: u16,
    pub(crate) written: Written,
    /// Whether it does not prove who sent it, and why: for the log.
    pub(crate) unbelieved: Option<SecurityError>,
}

impl From<Box<Refusal>> for NotTaken {
    fn from(mut refusal: Box<Refusal>) -> Self {
        let code = match (refusal.security, refusal.fault.code) {
            (Some(_), _) => codes::SOAP_NOT_BELIEVED,
            (None, FaultCode::Receiver) => codes::SOAP_NO_ANSWER,
            (None, _) => codes::SOAP_NOT_TAKEN,
        };
        refusal.name(code.0);
        Self {
            status: refusal.status(),
            written: refusal.write(),
            unbelieved: refusal.security,
        }
    }
}

/// What the sender of a message that was opened is told instead of its answer.
pub(crate) fn refusal(version: Version, permanent: bool, code: Code, text: &str) -> NotTaken {
    let whose = if permanent {
        FaultCode::Sender
    } else {
        FaultCode::Receiver
    };
    let refusal = Refusal::new(version, whose, code.0, text);
    NotTaken {
        status: refusal.status(),
        written: refusal.write(),
        unbelieved: None,
    }
}

impl Endpoint {
    /// Opens a request and makes its answer, before anything of it is taken: one that could not be
    /// answered is refused while it can still be sent again.
    pub(crate) fn take(
        &self,
        content_type: &str,
        action: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Taken, NotTaken> {
        let asked = self.service.open(content_type, action, body, now)?;
        if let Some(echo) = self
            .echo
            .as_ref()
            .filter(|echo| echo.operation == asked.operation.name)
        {
            let given = asked.value.get(&echo.from).cloned().unwrap_or(Value::Null);
            let answer = self.service.answer(&asked, &object(&echo.to, given))?;
            return Ok(taken(asked, ContentType::Json, Bytes::new(), answer, false));
        }
        if let Some(carried) = self
            .hl7
            .as_ref()
            .filter(|carried| carried.operation == asked.operation.name)
        {
            return self.carried(carried, asked);
        }
        let value = match self.answers.get(&asked.operation.name) {
            Some(respond) => respond(&asked.value, now).map_err(|error| {
                tracing::warn!(operation = asked.operation.name, error, code = %codes::SOAP_NO_ANSWER, "the map of an answer failed; the request was not taken");
                let text = "no answer could be made; nothing was taken";
                refusal(asked.version, false, codes::SOAP_NO_ANSWER, text)
            })?,
            None => Value::Object(Map::new()),
        };
        let answer = self.service.answer(&asked, &value)?;
        let body = Bytes::from(asked.value.to_string());
        Ok(taken(asked, ContentType::Json, body, answer, true))
    }

    fn carried(&self, carried: &Carried, asked: Asked) -> Result<Taken, NotTaken> {
        let text = |key: &str| {
            asked
                .value
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if let (Some((user, password)), Some(guard)) = (&carried.credentials, &self.credentials)
            && !guard.knows(text(user), text(password))
        {
            return Err(Box::new(Refusal {
                version: asked.version,
                fault: unbelieved(),
                security: Some(SecurityError::Credential),
            })
            .into());
        }
        let bytes = carried_text(text(&carried.message));
        let (ack, recorded) = match Message::parse(bytes.clone()) {
            Ok(message) => (Ack::for_message(&message).accept().to_bytes(), true),
            Err(error) => {
                let fault = Ack8::new(ErrorCode::SegmentSequence, error.to_string())
                    .diagnostic(codes::NOT_HL7.0);
                (Ack::for_unreadable(&bytes, fault).to_bytes(), false)
            }
        };
        let ack = Value::String(String::from_utf8_lossy(&ack).into_owned());
        let answer = self.service.answer(&asked, &object(&carried.answer, ack))?;
        Ok(taken(asked, ContentType::Hl7, bytes, answer, recorded))
    }

    /// The description, or a file that it imports, as `?wsdl` asks for it. `host` is what the request
    /// calls this machine.
    pub(crate) fn describe(&self, query: &str, host: Option<&str>, path: &str) -> Option<String> {
        let (key, value) = query.split_once('=').unwrap_or((query, ""));
        if !key.eq_ignore_ascii_case("wsdl") {
            return None;
        }
        let index = if value.is_empty() {
            0
        } else {
            value.parse().ok()?
        };
        if let Some(address) = &self.address {
            return self.published.at(index, address);
        }
        let host: http::uri::Authority = host?.parse().ok()?;
        let scheme = if self.secured { "https" } else { "http" };
        self.published
            .at(index, &format!("{scheme}://{host}{path}"))
    }
}

/// An HL7 v2 message as it stood in XML, which makes one end of a line of all ends of lines.
pub fn carried_text(text: &str) -> Bytes {
    let text = text.trim_start();
    Bytes::from(if text.contains('\r') {
        text.to_owned()
    } else {
        text.replace('\n', "\r")
    })
}

fn object(key: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

fn taken(
    asked: Asked,
    content_type: ContentType,
    body: Bytes,
    answer: Option<Written>,
    recorded: bool,
) -> Taken {
    Taken {
        operation: asked.operation.name,
        version: asked.version,
        content_type,
        body,
        answer,
        recorded,
    }
}

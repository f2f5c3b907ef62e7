//! One delivery, one interaction: what it is, the payload says.
//!
//! | payload | interaction |
//! | --- | --- |
//! | HL7 v2 | the transaction that it makes |
//! | Bundle of type `transaction` or `batch` | `POST` to the base |
//! | Bundle of type `message` | `$process-message` |
//! | a resource with an id | update: `PUT Type/id` |
//! | a resource with an identifier that has a system | conditional update: `PUT Type?identifier=…` |
//! | any other resource | create: `POST Type` |
//!
//! What operations ask for is in [`super::calls`].
//!
//! All but the last may be repeated without a second effect, and the last says so: it carries the
//! delivery's id as its `Idempotency-Key`, which few servers heed.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use jiff::tz::TimeZone;
use serde_json::Value;
use wardline_core::Code;
use wardline_fhir::Options;
use wardline_hl7::Message;

use super::calls::Call;
use super::encode;
use super::outcome::{self, Meaning};
use super::token::{Smart, Tokens};
use crate::{ConnectError, ContentType, Failure, FailureKind, Reply, Request, codes, http as web};

/// The media type of FHIR in JSON.
pub(super) const JSON: &str = "application/fhir+json";
/// Bytes of an answer that are read.
const LARGEST_ANSWER: usize = 8 << 20;
/// Bytes of a payload that is a resource.
const LARGEST: usize = 64 << 20;

/// A FHIR server.
#[derive(Clone, Debug)]
pub struct OutboundConfig {
    /// How it is reached; the URL is its base.
    pub http: web::OutboundConfig,
    /// Backend Services, where it wants them.
    pub smart: Option<Smart>,
    /// The zone of times of HL7 v2 that name none.
    pub zone: Option<String>,
    /// The systems of identifiers, by the name of who gave them in HL7 v2.
    pub systems: BTreeMap<String, String>,
    /// Whether payloads are held against the definitions before they leave.
    pub check: bool,
}

/// Sends to a FHIR server.
pub struct Outbound {
    pub(super) web: web::Outbound,
    tokens: Option<Tokens>,
    hl7: Options,
    check: bool,
    pub(super) name: Arc<str>,
}

/// What is sent.
struct Interaction {
    method: Method,
    path: String,
    body: Bytes,
    /// What it is, for people.
    what: String,
}

impl Outbound {
    /// Reads keys; connects to nothing yet.
    ///
    /// # Errors
    /// [`ConnectError::BadSetting`] where a key or a URL cannot be used.
    pub fn new(mut config: OutboundConfig) -> Result<Self, ConnectError> {
        let name = Arc::clone(&config.http.name);
        config.http.max_response = LARGEST_ANSWER;
        let zone = config
            .zone
            .map(|zone| {
                TimeZone::get(&zone).map_err(|error| ConnectError::BadSetting {
                    name: name.to_string(),
                    what: "the zone",
                    value: zone,
                    detail: error.to_string(),
                })
            })
            .transpose()?;
        let hl7 = Options {
            zone,
            systems: config.systems,
            ..Options::default()
        };
        let tokens = config
            .smart
            .map(|smart| Tokens::new(&name, smart))
            .transpose()?;
        Ok(Self {
            web: web::Outbound::new(config.http)?,
            tokens,
            hl7,
            check: config.check,
            name,
        })
    }

    pub(super) fn failed(&self, kind: FailureKind, code: Code, what: &str) -> Failure {
        Failure::new(kind, code, format!("{}: {what}", self.name))
    }

    pub(super) fn unsendable(&self, what: &str) -> Failure {
        self.failed(FailureKind::Permanent, codes::FHIR_UNSENDABLE, what)
    }

    /// What the payload asks for.
    fn interaction(&self, request: &Request<'_>) -> Result<Interaction, Failure> {
        let is_hl7 = ContentType::from_media_type(request.content_type) == ContentType::Hl7;
        let body = if is_hl7 {
            let message = Message::parse(request.body.clone())
                .map_err(|_| self.unsendable("the payload is not an HL7 v2 message"))?;
            let bundle = wardline_fhir::from_hl7(&message, &self.hl7)
                .map_err(|error| self.unsendable(&error.to_string()))?;
            Bytes::from(bundle.to_json())
        } else {
            request.body.clone()
        };
        let resource = wardline_fhir::read(&body, LARGEST)
            .map_err(|error| self.unsendable(&format!("the payload is no resource: {error}")))?;
        if self.check {
            let outcome = wardline_fhir::check(&resource);
            if !outcome.ok() {
                let first: Vec<String> = outcome
                    .issues
                    .iter()
                    .take(3)
                    .map(ToString::to_string)
                    .collect();
                let text = format!("the payload is not FHIR R4: {}", first.join("; "));
                return Err(self.failed(FailureKind::Permanent, codes::FHIR_INVALID, &text));
            }
        }
        let kind = resource
            .get("resourceType")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !wardline_fhir::is_resource(kind) {
            return Err(self.unsendable("the payload has no `resourceType` of R4"));
        }
        let (method, path) = aim(kind, &resource);
        Ok(Interaction {
            what: format!("{method} of a {kind}"),
            method,
            path,
            body,
        })
    }

    /// Sends with a token, where one is wanted. Gives head and answer; so many bytes of it are passed over.
    pub(super) async fn sent(
        &self,
        request: Request<'_>,
        what: &str,
        more: &[(HeaderName, HeaderValue)],
        skip: u64,
    ) -> Result<(HeaderMap, Reply), Failure> {
        let mut headers: Vec<(HeaderName, HeaderValue)> =
            vec![(ACCEPT, HeaderValue::from_static(JSON))];
        if let Some(tokens) = &self.tokens {
            let header = tokens.header().await.map_err(|why| {
                let text = format!("the authorisation server gave no token: {why}");
                self.failed(FailureKind::Transient, codes::FHIR_TOKEN, &text)
            })?;
            headers.push((AUTHORIZATION, header));
        }
        headers.extend_from_slice(more);
        match self.web.ask(request, &headers, skip).await {
            Ok(answered) => Ok(answered),
            Err(failure) => {
                if failure.code == codes::HTTP_CREDENTIALS
                    && let Some(tokens) = &self.tokens
                {
                    tokens.forget().await;
                }
                Err(self.explained(what, failure))
            }
        }
    }

    /// What a refusal means, where the server says it in FHIR.
    fn explained(&self, what: &str, failure: Failure) -> Failure {
        let told = [
            codes::HTTP_SERVER_ERROR,
            codes::HTTP_REJECTED,
            codes::HTTP_CREDENTIALS,
        ];
        if !told.contains(&failure.code) {
            return failure;
        }
        let Some(reply) = &failure.reply else {
            return failure;
        };
        let status = reply.status.clone();
        let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
        let meaning = body.as_ref().and_then(outcome::read);
        let conflict = matches!(status.as_str(), "409" | "412");
        let (kind, code, why) = match meaning {
            _ if conflict => (
                FailureKind::Permanent,
                codes::FHIR_CONFLICT,
                "what is stored there stands against it".to_owned(),
            ),
            Some((Meaning::Conflict, told)) => (FailureKind::Permanent, codes::FHIR_CONFLICT, told),
            // The status speaks of credentials or of later: that is for the connection to say.
            _ if failure.code == codes::HTTP_CREDENTIALS => return failure,
            Some((Meaning::Refused, told)) if status.starts_with('4') => {
                (FailureKind::Permanent, codes::FHIR_REFUSED, told)
            }
            Some((Meaning::Credentials, told)) => {
                (FailureKind::Transient, codes::HTTP_CREDENTIALS, told)
            }
            Some((Meaning::Later | Meaning::Refused, told)) => {
                (FailureKind::Transient, codes::FHIR_LATER, told)
            }
            None => return failure,
        };
        let text = format!("answered {status} to {what}: {why}");
        let made = self.failed(kind, code, &text);
        match failure.reply {
            Some(reply) => made.with_reply(*reply),
            None => made,
        }
    }

    fn answer(&self, what: &str, reply: Reply) -> Result<Reply, Failure> {
        if reply.truncated || reply.body.is_empty() {
            return Ok(reply);
        }
        let Ok(body) = serde_json::from_slice::<Value>(&reply.body) else {
            return Ok(reply);
        };
        match outcome::failed_entries(&body) {
            Some((failed, all)) if failed > 0 => {
                let text = format!(
                    "answered {} to {what}, and {failed} of {all} entries failed",
                    reply.status
                );
                Err(self
                    .failed(FailureKind::Permanent, codes::FHIR_PART, &text)
                    .with_reply(reply))
            }
            _ => Ok(reply),
        }
    }
}

/// Method and path of a resource.
fn aim(kind: &str, resource: &Value) -> (Method, String) {
    let text = |key: &str| resource.get(key).and_then(Value::as_str);
    if kind == "Bundle" {
        match text("type") {
            Some("transaction" | "batch") => return (Method::POST, String::new()),
            Some("message") => return (Method::POST, "/$process-message".to_owned()),
            _ => {}
        }
    }
    if let Some(id) = text("id") {
        return (Method::PUT, format!("/{kind}/{}", encode(id)));
    }
    let identifiers = match resource.get("identifier") {
        Some(Value::Array(all)) => all.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let known = identifiers.iter().find_map(|one| {
        let part = |key: &str| one.get(key).and_then(Value::as_str);
        Some((part("system")?, part("value")?))
    });
    match known {
        Some((system, value)) => (
            Method::PUT,
            format!("/{kind}?identifier={}%7C{}", encode(system), encode(value)),
        ),
        None => (Method::POST, format!("/{kind}")),
    }
}

#[async_trait]
impl crate::Outbound for Outbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        if let Some(call) = request.path.and_then(Call::of) {
            return self.call(call, &request).await;
        }
        let wanted = self.interaction(&request)?;
        let sent = Request {
            body: wanted.body,
            content_type: JSON,
            method: Some(wanted.method),
            path: (!wanted.path.is_empty()).then_some(wanted.path.as_str()),
            ..request
        };
        let (_, reply) = self.sent(sent, &wanted.what, &[], 0).await?;
        self.answer(&wanted.what, reply)
    }

    fn describe(&self) -> String {
        let inner = crate::Outbound::describe(&self.web);
        let url = inner.strip_prefix("http ").unwrap_or(&inner);
        format!("fhir R4 at {url}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_payload_says_what_is_asked_for() {
        let cases = [
            (
                json!({"resourceType":"Bundle","type":"transaction"}),
                "POST ",
            ),
            (
                json!({"resourceType":"Bundle","type":"message"}),
                "POST /$process-message",
            ),
            (
                json!({"resourceType":"Bundle","type":"collection","id":"b"}),
                "PUT /Bundle/b",
            ),
            (
                json!({"resourceType":"Patient","id":"a.1"}),
                "PUT /Patient/a.1",
            ),
            (
                json!({"resourceType":"Patient","identifier":[{"value":"7"},{"system":"urn:x","value":"8&9"}]}),
                "PUT /Patient?identifier=urn%3Ax%7C8%269",
            ),
            (json!({"resourceType":"Observation"}), "POST /Observation"),
        ];
        for (resource, wanted) in cases {
            let kind = resource["resourceType"].as_str().unwrap().to_owned();
            let (method, path) = aim(&kind, &resource);
            assert_eq!(format!("{method} {path}"), wanted);
        }
    }
}

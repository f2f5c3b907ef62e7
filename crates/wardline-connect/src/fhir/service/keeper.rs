//! Flows keep resources, too: what is sent here is put where a service has its resources, as if it had come by `PUT`.

use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use wardline_core::{Code, Timestamp};
use wardline_fhir::Raw;

use super::shelf::{Done, Kind, Shelf, Terms};
use crate::resources::Resources;
use crate::{ContentType, Failure, FailureKind, Received, Reply, Request, codes};

/// Bytes of one resource that is kept.
const LARGEST: usize = 16 << 20;

/// Keeps resources for a service.
pub struct Keeper {
    name: Arc<str>,
    kept: Arc<str>,
    kinds: Vec<Kind>,
    resources: Weak<dyn Resources>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("name", &self.name)
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl Keeper {
    /// Called `name`, for the service of the connection `kept`, which has resources of these kinds.
    pub fn new(
        name: &str,
        kept: Arc<str>,
        kinds: Vec<Kind>,
        resources: Weak<dyn Resources>,
    ) -> Self {
        Self {
            name: name.into(),
            kept,
            kinds,
            resources,
        }
    }

    fn failed(&self, kind: FailureKind, code: Code, what: &str) -> Failure {
        Failure::new(kind, code, format!("{}: {what}", self.name))
    }

    fn unsendable(&self, what: &str) -> Failure {
        self.failed(FailureKind::Permanent, codes::FHIR_UNSENDABLE, what)
    }

    fn read(&self, body: &Bytes) -> Result<(&Kind, Raw, Value), Failure> {
        let (raw, value) = Raw::read(body, LARGEST)
            .map_err(|error| self.unsendable(&format!("the payload is no resource: {error}")))?;
        let named = |kind: &&Kind| value["resourceType"] == kind.offered.kind;
        let Some(kind) = self.kinds.iter().find(named) else {
            let what = "the service keeps no resources of the payload's type";
            return Err(self.unsendable(what));
        };
        let outcome = wardline_fhir::check(&value);
        if !outcome.ok() {
            let first = outcome.issues.iter().take(3).map(ToString::to_string);
            let first = first.collect::<Vec<_>>().join("; ");
            let text = format!("the payload is not FHIR R4: {first}");
            return Err(self.failed(FailureKind::Permanent, codes::FHIR_INVALID, &text));
        }
        Ok((kind, raw, value))
    }
}

/// The id of a resource: its own, or one that its first identifier with a system makes, the same each time.
fn id(kind: &str, resource: &Value) -> Option<String> {
    if let Some(id) = resource["id"].as_str() {
        return Some(id.to_owned());
    }
    let all = match &resource["identifier"] {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    let (system, value) = all
        .iter()
        .find_map(|one| one["system"].as_str().zip(one["value"].as_str()))?;
    let name = format!("{kind}?identifier={system}|{value}");
    Some(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes()).to_string())
}

#[async_trait]
impl crate::Outbound for Keeper {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let (kind, raw, value) = self.read(&request.body)?;
        let Some(id) = id(kind.offered.kind, &value) else {
            let what = "the payload has neither an `id` nor an identifier with a system";
            return Err(self.unsendable(what));
        };
        let Some(resources) = self.resources.upgrade() else {
            let what = "nothing is kept any more: the process is ending";
            return Err(self.failed(FailureKind::Transient, codes::FHIR_NOT_KEPT, what));
        };
        let received = Received {
            source: Arc::clone(&self.kept),
            content_type: ContentType::Json,
            body: Bytes::new(),
            received: Timestamp::now(),
            peer: None,
            headers: vec![(
                "x-correlation-id".to_owned(),
                request.correlation.to_owned(),
            )],
            answer: Bytes::new(),
            once: None,
            fault: None,
        };
        let shelf = Shelf {
            resources: &*resources,
            source: &self.kept,
        };
        let terms = Terms {
            if_match: None,
            create: true,
            update: true,
        };
        match shelf
            .put(kind, &id, (&raw, &value), &received, &terms)
            .await
        {
            Ok((done, found)) => Ok(Reply {
                status: match done {
                    Done::Created => "201",
                    Done::Changed => "200",
                    Done::Same => "304",
                }
                .to_owned(),
                content_type: "application/json".to_owned(),
                body: serde_json::json!({ "id": id, "versionId": found.version.to_string() })
                    .to_string()
                    .into(),
                truncated: false,
            }),
            Err(problem) => {
                let (kind, code) = match problem.status().as_u16() {
                    409 | 412 => (FailureKind::Permanent, codes::FHIR_CONFLICT),
                    status if status < 500 => (FailureKind::Permanent, codes::FHIR_REFUSED),
                    _ => (FailureKind::Transient, codes::FHIR_NOT_KEPT),
                };
                Err(self.failed(kind, code, &problem.text()))
            }
        }
    }

    fn describe(&self) -> String {
        format!("fhir resources of {}", self.kept)
    }
}

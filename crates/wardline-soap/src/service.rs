//! The side that is asked: from the bytes of a request to the operation and its value, and from a
//! value or a refusal to the bytes of the answer. It knows no network.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::envelope::Envelope;
use crate::fault::{Fault, FaultCode};
use crate::mtom::{self, Package};
use crate::security::{Guard, SecurityError, Verified, WSSE};
use crate::wsdl::{Definitions, Operation, Port, Version};
use crate::xml::{Element, Limits, Name, parse};

/// The namespace of what our faults say in their detail.
pub const DETAIL: &str = "urn:wardline:fault";

/// A service at one address: all ports of one service, or one of them.
pub struct Service {
    definitions: Arc<Definitions>,
    ports: Vec<Port>,
    guard: Arc<Guard>,
    limits: Limits,
}

/// A request that was opened: it fits the description, and who sent it is believed.
#[derive(Debug)]
pub struct Asked {
    /// What is asked.
    pub operation: Operation,
    /// The version of SOAP, which the answer has too.
    pub version: Version,
    /// The body, by the types of the description.
    pub value: Value,
    /// Who sent it, as far as it was asked.
    pub sender: Verified,
}

/// Why a request is not taken.
#[derive(Debug)]
pub struct Refusal {
    /// The version of SOAP in which it is said.
    pub version: Version,
    /// What the sender is told.
    pub fault: Fault,
    /// Why its security does not hold: for the log, not for the sender.
    pub security: Option<SecurityError>,
}

/// An answer, ready to be sent.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its content type.
    pub content_type: String,
    /// Its bytes.
    pub body: Vec<u8>,
}

impl Service {
    /// The ports of a service of a description: those of `service` and `port`, where these are named.
    /// `None` where there are none.
    pub fn new(
        definitions: Arc<Definitions>,
        service: Option<&str>,
        port: Option<&str>,
        guard: Arc<Guard>,
        largest: usize,
    ) -> Option<Self> {
        let mut services = definitions.services.iter();
        let chosen = services.find(|known| {
            service.is_none_or(|name| known.name == name)
                && port.is_none_or(|name| known.ports.iter().any(|one| one.name == name))
        })?;
        let ports: Vec<Port> = chosen
            .ports
            .iter()
            .filter(|known| port.is_none_or(|name| known.name == name))
            .cloned()
            .collect();
        let limits = Limits::MESSAGE.of_bytes(largest);
        (!ports.is_empty()).then_some(Self {
            definitions,
            ports,
            guard,
            limits,
        })
    }

    /// What is offered.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Its ports.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// What is asked of messages.
    pub fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// The version in which a request is answered that cannot be opened.
    pub fn version_of(&self, content_type: &str) -> Version {
        let wanted = if content_type.contains("application/soap+xml") {
            Version::V12
        } else {
            Version::V11
        };
        let mut versions = self.ports.iter().map(|port| port.version);
        if versions.any(|version| version == wanted) {
            return wanted;
        }
        self.ports.first().map_or(wanted, |port| port.version)
    }

    /// Opens a request.
    ///
    /// # Errors
    /// What the sender is told instead.
    pub fn open(
        &self,
        content_type: &str,
        action: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Asked, Box<Refusal>> {
        let version = self.version_of(content_type);
        let refuse = |version, code, reason: String| {
            Box::new(Refusal {
                version,
                fault: Fault::new(code, reason),
                security: None,
            })
        };
        let sender = |reason: String| refuse(version, FaultCode::Sender, reason);
        let envelope = self.envelope(content_type, body).map_err(sender)?;
        let version = envelope.version;
        let mut ports = self.ports.iter().filter(|port| port.version == version);
        let Some(port) = ports.next() else {
            let answered = self.ports.first().map_or(version, |port| port.version);
            let reason = format!("SOAP {version} is not spoken here");
            return Err(refuse(answered, FaultCode::VersionMismatch, reason));
        };
        // Whoever is not known learns nothing of what is offered.
        let verified = self.guard.check(&envelope, now).map_err(|error| {
            Box::new(Refusal {
                version,
                fault: unbelieved(),
                security: Some(error),
            })
        })?;
        if !envelope.not_understood(&[(WSSE, "Security")]).is_empty() {
            let reason = "a header block that must be understood is not";
            return Err(refuse(version, FaultCode::MustUnderstand, reason.into()));
        }
        let schemas = &self.definitions.schemas;
        let content = envelope.content();
        let name = content.first().map(|element| &element.name);
        let in_type = mtom::parameter(content_type, "action");
        let action = in_type
            .as_deref()
            .or(action)
            .map(|one| one.trim_matches('"'));
        let found = std::iter::once(port)
            .chain(ports)
            .find_map(|port| port.find(schemas, name, action));
        let Some(operation) = found else {
            let reason = "no operation of this service takes what the body holds";
            return Err(refuse(version, FaultCode::Sender, reason.into()));
        };
        let value = operation.input.decode(schemas, &content).map_err(|error| {
            let reason = format!("the body does not fit {}: {error}", operation.name);
            refuse(version, FaultCode::Sender, reason)
        })?;
        Ok(Asked {
            operation: operation.clone(),
            version,
            value,
            sender: verified,
        })
    }

    fn envelope(&self, content_type: &str, body: &[u8]) -> Result<Envelope, String> {
        if mtom::is_package(content_type) {
            let package = Package::read(content_type, body).map_err(|error| error.to_string())?;
            let mut root = parse(package.root, self.limits).map_err(|error| error.to_string())?;
            package
                .put_back(&mut root, self.limits.bytes)
                .map_err(|error| error.to_string())?;
            return Envelope::open(root).map_err(|error| error.to_string());
        }
        Envelope::parse(body, self.limits).map_err(|error| error.to_string())
    }

    /// The answer of an operation. `None` where it has none.
    ///
    /// # Errors
    /// Where the value does not fit the description: what the sender is told instead.
    pub fn answer(&self, asked: &Asked, value: &Value) -> Result<Option<Written>, Box<Refusal>> {
        let Some(output) = &asked.operation.output else {
            return Ok(None);
        };
        let failed = |reason: String| {
            Box::new(Refusal {
                version: asked.version,
                fault: Fault::new(FaultCode::Receiver, reason),
                security: None,
            })
        };
        let element = output
            .encode(&self.definitions.schemas, value)
            .map_err(|error| {
                failed(format!(
                    "the answer does not fit {}: {error}",
                    asked.operation.name
                ))
            })?;
        let body = Envelope::new(asked.version, Vec::new(), element)
            .write()
            .map_err(|error| failed(format!("the answer cannot be written: {error}")))?;
        Ok(Some(Written {
            content_type: asked.version.content_type(""),
            body,
        }))
    }
}

/// Whether an operation can be answered with nothing said: it has no answer, or one that may be empty.
pub fn answers_itself(definitions: &Definitions, operation: &Operation) -> bool {
    operation.output.as_ref().is_none_or(|output| {
        let nothing = Value::Object(serde_json::Map::new());
        output.encode(&definitions.schemas, &nothing).is_ok()
    })
}

/// What somebody is told whose message is not believed: the same for every reason.
pub fn unbelieved() -> Fault {
    let mut fault = Fault::new(FaultCode::Sender, "the message does not prove who sent it");
    fault.subcodes.push("FailedAuthentication".into());
    fault
}

impl Refusal {
    /// A refusal with a stable code in its detail.
    pub fn new(version: Version, code: FaultCode, stable: &str, reason: &str) -> Box<Self> {
        let mut refusal = Box::new(Self {
            version,
            fault: Fault::new(code, reason),
            security: None,
        });
        refusal.name(stable);
        refusal
    }

    /// Puts a stable code into its detail.
    pub fn name(&mut self, stable: &str) {
        let code = Element::new(Name::new(DETAIL, "code")).with_text(stable);
        self.fault.detail.push(code);
    }

    /// The status of HTTP that goes with it.
    pub const fn status(&self) -> u16 {
        match (self.version, self.fault.code) {
            (Version::V12, FaultCode::Sender | FaultCode::Other) => 400,
            _ => 500,
        }
    }

    /// The answer that says it.
    pub fn write(&self) -> Written {
        let fault = self.fault.write(self.version);
        let envelope = Envelope::new(self.version, Vec::new(), Some(fault));
        Written {
            content_type: self.version.content_type(""),
            // Its texts are ours.
            body: envelope.write().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::{Credential, Policy, Protection, Username};
    use crate::source::Directory;
    use crate::wsdl::Published;
    use serde_json::json;
    use std::time::Duration;

    fn definitions() -> Arc<Definitions> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        Arc::new(Definitions::read(&Directory::new(folder), "orders.wsdl").unwrap())
    }

    fn policy(users: Vec<Credential>) -> Policy {
        Policy {
            users,
            plain: false,
            certificates: Vec::new(),
            skew: Duration::from_secs(300),
        }
    }

    fn service(users: Vec<Credential>) -> Service {
        let guard = Arc::new(Guard::new(policy(users)));
        Service::new(definitions(), None, None, guard, 1 << 20).unwrap()
    }

    fn request(version: Version, protection: &Protection) -> Vec<u8> {
        let all = definitions();
        let operation = all.services[0].ports[0].operation("CreateOrder").unwrap();
        let value = json!({"number": "7", "line": [{"item": "a", "quantity": "1.50"}]});
        let element = operation.input.encode(&all.schemas, &value).unwrap();
        let envelope = Envelope::new(version, Vec::new(), element);
        protection.write(&envelope, Timestamp::now()).unwrap()
    }

    #[test]
    fn a_request_is_opened_and_answered_in_its_version() {
        let service = service(Vec::new());
        for version in [Version::V11, Version::V12] {
            let body = request(version, &Protection::default());
            let asked = service
                .open(version.media(), None, &body, Timestamp::now())
                .unwrap();
            assert_eq!(asked.operation.name, "CreateOrder");
            assert_eq!(asked.value["line"][0]["quantity"], "1.50");
            let answer = json!({"reference": "R", "accepted": true});
            let written = service.answer(&asked, &answer).unwrap().unwrap();
            assert!(written.content_type.starts_with(version.media()));
            let open = Envelope::parse(&written.body, Limits::MESSAGE).unwrap();
            assert_eq!(open.version, version);
            let wrong = service
                .answer(&asked, &json!({"reference": "R"}))
                .unwrap_err();
            assert_eq!(wrong.status(), 500);
        }
        let operations = &definitions().services[0].ports[0].operations;
        let itself: Vec<bool> = operations
            .iter()
            .map(|one| answers_itself(&definitions(), one))
            .collect();
        assert_eq!(itself, [false, true]);
    }

    #[test]
    fn what_is_not_believed_or_does_not_fit_is_a_fault() {
        let credential = Credential {
            user: "supplier".into(),
            passwords: vec![b"sesame".to_vec()],
        };
        let swapped = Arc::new(arc_swap::ArcSwap::from_pointee(policy(vec![credential])));
        let guard = Arc::new(Guard::over(&swapped));
        let service = Service::new(definitions(), None, None, guard, 1 << 20).unwrap();
        let as_user = |password: &str| Protection {
            username: Some(Username {
                user: "supplier".into(),
                password: password.as_bytes().to_vec(),
                plain: false,
            }),
            ..Protection::default()
        };
        let open = |body: &[u8]| service.open("text/xml", None, body, Timestamp::now());
        let good = request(Version::V11, &as_user("sesame"));
        assert_eq!(
            open(&good).unwrap().sender.user.as_deref(),
            Some("supplier")
        );
        assert_eq!(
            open(&good).unwrap_err().security,
            Some(SecurityError::Replayed)
        );
        let wrong = open(&request(Version::V11, &as_user("open"))).unwrap_err();
        assert_eq!(wrong.security, Some(SecurityError::Credential));
        let told = String::from_utf8(wrong.write().body).unwrap();
        assert!(told.contains("FailedAuthentication"), "{told}");
        assert!(
            open(b"<a/>")
                .unwrap_err()
                .fault
                .reason
                .contains("not an envelope")
        );
        assert!(service.guard().knows("supplier", "sesame"));
        assert!(!service.guard().knows("supplier", "open"));
        let nobody = Credential {
            user: "x".into(),
            passwords: Vec::new(),
        };
        swapped.store(Arc::new(policy(vec![nobody])));
        assert!(open(&request(Version::V11, &as_user("sesame"))).is_err());
    }

    #[test]
    fn a_description_is_given_away_with_our_address() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        let source = Directory::new(folder);
        let all = definitions();
        let published = Published::read(&source, &all.files).unwrap();
        let main = published.at(0, "https://here.example/ws?a=1&b").unwrap();
        assert!(
            main.contains("location=\"https://here.example/ws?a=1&amp;b\""),
            "{main}"
        );
        assert!(main.contains("schemaLocation=\"https://here.example/ws?a=1&amp;b?wsdl=1\""));
        assert!(main.contains("http:address location=\"https://erp.example"));
        assert!(published.at(1, "x").unwrap().contains("complexType"));
        assert!(published.at(2, "x").is_none());
    }
}

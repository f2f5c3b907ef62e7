//! SOAP services that are offered: description, proofs and answers made ready.

use super::{WireError, Wiring};
use crate::accept::with_runtime;
use crate::renew::Renewals;
use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;
use wardline_connect::soap::{Carried, Echo, Endpoint, Respond, carried_text};
use wardline_connect::{ConnectError, tls};
use wardline_estate::model::{self, Connection, ConnectionKind, Estate};
use wardline_mapping::{Metadata, Output, Program, Subject, from_json_bytes, to_json_bytes};
use wardline_soap::security::{Credential, Guard, Policy};
use wardline_soap::service::Service;
use wardline_soap::source::Directory;
use wardline_soap::wsdl::{Definitions, Published};

/// The largest answer that a map may make.
const LARGEST: usize = 8 << 20;

impl Wiring<'_> {
    /// A service at its path. What messages must show is kept in step with its secrets and
    /// certificates from now on.
    pub(super) fn endpoint(
        &self,
        estate: &Arc<Estate>,
        renewals: &Renewals,
        connection: &Connection,
        declared: &model::SoapIn,
        answers: &BTreeMap<String, Arc<Program>>,
        secured: bool,
    ) -> Result<Endpoint, WireError> {
        let definitions = Arc::new(self.definitions(connection, &declared.wsdl)?);
        let source = Directory::new(&self.estate.root);
        let published = Published::read(&source, &definitions.files).map_err(|error| {
            WireError::Description {
                connection: connection.reference.clone(),
                file: declared.wsdl.path.display().to_string(),
                error,
            }
        })?;
        let guard = renewals.guard(estate, connection, declared)?;
        // User and password stand in the body or in the header, not in both.
        let in_body = declared
            .hl7
            .as_ref()
            .is_some_and(|hl7| hl7.username.is_some());
        let (guard, credentials) = if in_body {
            (Arc::new(Guard::new(nothing())), Some(guard))
        } else {
            (guard, None)
        };
        let largest = usize::try_from(declared.http.max_size).unwrap_or(usize::MAX);
        let named = |name: &Option<wardline_estate::Spanned<String>>| {
            name.as_ref().map(|name| name.value.clone())
        };
        let service = Service::new(
            definitions,
            named(&declared.service).as_deref(),
            named(&declared.port).as_deref(),
            guard,
            largest,
        )
        .ok_or_else(|| ConnectError::BadSetting {
            name: connection.reference.clone(),
            what: "the port",
            value: named(&declared.port).unwrap_or_default(),
            detail: "the description has no such port".into(),
        })?;
        let answers = answers
            .iter()
            .map(|(operation, program)| {
                let respond = respond(connection, operation, Arc::clone(program));
                (operation.clone(), respond)
            })
            .collect();
        Ok(Endpoint {
            service,
            published,
            address: declared.address.clone(),
            secured,
            answers,
            hl7: declared.hl7.as_ref().map(|hl7| Carried {
                operation: hl7.operation.value.clone(),
                message: hl7.message.value.clone(),
                answer: hl7.answer.value.clone(),
                credentials: named(&hl7.username).zip(named(&hl7.password)),
            }),
            credentials,
            echo: declared.echo.as_ref().map(|echo| Echo {
                operation: echo.operation.value.clone(),
                from: echo.from.value.clone(),
                to: echo.to.value.clone(),
            }),
        })
    }
}

/// A digest of what a service is made of beyond its declaration: its description, the maps of its
/// answers, and the tables that these look into.
pub(crate) fn said(estate: &Estate, declared: &model::SoapIn) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (_, map) in &declared.answers {
        estate.sources.text(map.file).hash(&mut hasher);
    }
    wardline_estate::said(&estate.codes).hash(&mut hasher);
    let source = Directory::new(&estate.root);
    if let Ok(read) = Definitions::read(&source, &declared.wsdl.path.to_string_lossy()) {
        for file in &read.files {
            std::fs::read(estate.root.join(file)).ok().hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// What a SOAP message is to the flows of its connection, for tests: its body and operation. Who sent it is
/// not asked. `None` where the connection is no service, or the body no XML.
pub(crate) fn opened(
    estate: &Estate,
    source: &str,
    body: &[u8],
) -> Option<Result<(Bytes, String), String>> {
    let (_, connection) = estate.connection(source)?;
    let ConnectionKind::SoapIn(declared) = &connection.kind else {
        return None;
    };
    if body.first() != Some(&b'<') {
        return None;
    }
    Some(open(estate, declared, body))
}

fn open(estate: &Estate, declared: &model::SoapIn, body: &[u8]) -> Result<(Bytes, String), String> {
    let source = Directory::new(&estate.root);
    let read = Definitions::read(&source, &declared.wsdl.path.to_string_lossy());
    let definitions = Arc::new(read.map_err(|error| error.to_string())?);
    let service = declared.service.as_ref().map(|name| name.value.as_str());
    let port = declared.port.as_ref().map(|name| name.value.as_str());
    let guard = Arc::new(Guard::new(nothing()));
    let service = Service::new(definitions, service, port, guard, LARGEST)
        .ok_or("the description has no such port")?;
    let asked = service
        .open("text/xml", None, body, jiff::Timestamp::UNIX_EPOCH)
        .map_err(|refusal| refusal.fault.reason)?;
    let carried = declared.hl7.as_ref();
    let body = match carried.filter(|one| one.operation.value == asked.operation.name) {
        Some(carried) => {
            let text = asked.value.get(&carried.message.value);
            carried_text(text.and_then(Value::as_str).unwrap_or_default())
        }
        None => asked.value.to_string().into(),
    };
    Ok((body, asked.operation.name))
}

impl Renewals {
    /// What holds messages against the users and certificates that are declared now.
    fn guard(
        &self,
        estate: &Arc<Estate>,
        connection: &Connection,
        declared: &model::SoapIn,
    ) -> Result<Arc<Guard>, WireError> {
        let wiring = Wiring::new(estate, self.secrets());
        let policy = Arc::new(ArcSwap::from_pointee(wiring.policy(connection, declared)?));
        let (owned, secrets) = (Arc::clone(estate), self.secrets().clone());
        let reference = connection.reference.clone();
        let what = format!("connection {reference}");
        let none = Some(Arc::new(nobody()));
        self.keep(what, &policy, wiring.inputs(), none, move || {
            let wiring = Wiring::new(&owned, &secrets);
            let policy = match owned.connection(&reference) {
                Some((_, connection)) => match &connection.kind {
                    ConnectionKind::SoapIn(declared) => wiring.policy(connection, declared)?,
                    _ => nobody(),
                },
                None => nobody(),
            };
            Ok((policy, wiring.inputs()))
        });
        Ok(Arc::new(Guard::over(&policy)))
    }
}

impl Wiring<'_> {
    fn policy(
        &self,
        connection: &Connection,
        declared: &model::SoapIn,
    ) -> Result<Policy, WireError> {
        let Some(security) = &declared.security else {
            return Ok(nothing());
        };
        let bad = |what, detail: &str| ConnectError::BadSetting {
            name: connection.reference.clone(),
            what,
            value: String::new(),
            detail: detail.into(),
        };
        let mut users = Vec::new();
        for reference in &security.users {
            for secret in self.accepted(reference)? {
                let text = secret.expose();
                let at = text.iter().position(|byte| *byte == b':');
                let at = at.ok_or_else(|| bad("a user", "the secret is not `user:password`"))?;
                let user = String::from_utf8(text[..at].to_vec())
                    .map_err(|_| bad("a user", "its name is not UTF-8"))?;
                users.push(Credential {
                    user,
                    passwords: vec![text[at + 1..].to_vec()],
                });
            }
        }
        let mut certificates = Vec::new();
        for file in &security.certs {
            let pem: tls::Pem = self.pem(file);
            let pem = pem.read("the certificate")?;
            let read = Policy::certificates_of(pem.expose());
            if read.is_empty() {
                return Err(bad("a certificate", "the file holds none (PEM)").into());
            }
            certificates.extend(read);
        }
        Ok(Policy {
            users,
            plain: security.plain,
            certificates,
            skew: security.skew,
        })
    }
}

/// Asks for nothing.
fn nothing() -> Policy {
    Policy {
        users: Vec::new(),
        plain: false,
        certificates: Vec::new(),
        skew: Duration::ZERO,
    }
}

/// Asks for what nobody has.
fn nobody() -> Policy {
    let nobody = Credential {
        user: String::new(),
        passwords: Vec::new(),
    };
    Policy {
        users: vec![nobody],
        ..nothing()
    }
}

/// Runs the maps of an answer on what was asked.
fn respond(connection: &Connection, operation: &str, program: Arc<Program>) -> Respond {
    let source: Arc<str> = connection.reference.as_str().into();
    let operation: Arc<str> = operation.into();
    Arc::new(move |asked: &Value, now: jiff::Timestamp| {
        let value =
            from_json_bytes(asked.to_string().as_bytes()).map_err(|error| error.to_string())?;
        let subject = Subject::json(value).with(Metadata {
            source: Some(Arc::clone(&source)),
            message_type: Some(Arc::clone(&operation)),
            received: Some(now.to_string().into()),
            ..Metadata::default()
        });
        let value = match with_runtime(|runtime| program.run(&subject, runtime)) {
            Ok(Output::Json(made)) => made,
            Ok(_) => return Err("it gave no single document".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        let bytes = to_json_bytes(&value, LARGEST).map_err(|error| error.to_string())?;
        serde_json::from_slice(&bytes).map_err(|_| "it gave no JSON".to_owned())
    })
}

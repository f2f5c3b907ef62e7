//! Systems that speak SOAP as the gateway calls them: JSON in, JSON out, by the types of their description.

use super::FrontError;
use crate::speech::{Speech, Unsaid, Whose};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use std::collections::BTreeMap;
use std::sync::Arc;
use wardline_connect::{Failure, FailureKind, Reply, soap};
use wardline_engine::{Renewals, Wiring};
use wardline_estate::model::{ConnectionKind, Estate};

/// What speaks for each connection, `system.connection`, kept in step with its secrets and certificates.
pub(super) type Speakers = BTreeMap<String, Arc<ArcSwap<soap::Outbound>>>;

/// Makes them all.
pub(super) fn speakers(estate: &Arc<Estate>, renewals: &Renewals) -> Result<Speakers, FrontError> {
    let mut all = Speakers::new();
    for (_, connection) in estate.connections() {
        let ConnectionKind::SoapOut(declared) = &connection.kind else {
            continue;
        };
        let wiring = Wiring::new(estate, renewals.secrets());
        let made = Arc::new(ArcSwap::from_pointee(wiring.soap(connection, declared)?));
        let (owned, secrets) = (Arc::clone(estate), renewals.secrets().clone());
        let reference = connection.reference.clone();
        let what = format!("calls of {reference} by SOAP");
        renewals.keep(what, &made, wiring.inputs(), None, move || {
            let wiring = Wiring::new(&owned, &secrets);
            let found = owned.connection(&reference);
            let (connection, declared) = found
                .and_then(|(_, connection)| match &connection.kind {
                    ConnectionKind::SoapOut(declared) => Some((connection, declared)),
                    _ => None,
                })
                .ok_or_else(|| wardline_engine::WireError::Gone {
                    connection: reference.clone(),
                })?;
            Ok((wiring.soap(connection, declared)?, wiring.inputs()))
        });
        all.insert(connection.reference.clone(), made);
    }
    Ok(all)
}

/// How one operation is asked for and its answer understood.
pub(super) fn speech(speaker: &Arc<ArcSwap<soap::Outbound>>, operation: &str) -> Speech {
    let operation: Arc<str> = operation.into();
    let (asker, asked) = (Arc::clone(speaker), Arc::clone(&operation));
    let reader = Arc::clone(speaker);
    Speech {
        ask: Arc::new(move |json: &Bytes| {
            let sent = asker.load().ask(&asked, json).map_err(|why| unsaid(&why))?;
            let mut headers = HeaderMap::new();
            if let Ok(kind) = HeaderValue::from_str(&sent.content_type) {
                headers.insert(CONTENT_TYPE, kind);
            }
            headers.extend(sent.headers);
            Ok((headers, sent.body))
        }),
        understand: Arc::new(move |status, kind: &str, body| {
            let reply = Reply {
                status: status.as_str().to_owned(),
                content_type: kind.to_owned(),
                body,
                truncated: false,
            };
            let answer = reader.load().understand(&operation, reply);
            answer.map(|reply| reply.body).map_err(|why| unsaid(&why))
        }),
    }
}

fn unsaid(failure: &Failure) -> Unsaid {
    use wardline_connect::codes;
    let whose = match failure.code {
        codes::SOAP_UNSENDABLE | codes::SOAP_SENDER => Whose::Request,
        _ if failure.kind == FailureKind::Transient => Whose::System,
        _ => Whose::Answer,
    };
    Unsaid {
        whose,
        text: failure.text.clone(),
    }
}

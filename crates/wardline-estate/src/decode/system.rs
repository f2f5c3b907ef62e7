//! `systems/*.yaml`: the system and its operations.

use super::{Decoder, View};
use crate::model::{Caching, FhirAsked, Method, Operation, OperationKind, System};
use crate::shape::fhir::FHIR_CALL;
use crate::shape::scim::SCIM_CALL;
use crate::shape::sql::SQL_CALL;
use crate::shape::system::{CACHE, HTTP_CALL, OPERATION, PLAIN_CALL, SOAP_CALL, SYSTEM};
use crate::source::Spanned;
use crate::value;
use crate::yaml::{Data, Entry, Node};
use std::collections::BTreeMap;
use std::time::Duration;

impl<'a> Decoder<'a> {
    pub(super) fn system(&mut self, node: &'a Node) -> System {
        let view = View::new(Some(node), &SYSTEM);
        let name = view.text_or_stand_in("system", node.at);
        self.learned.facilities.extend(view.text("facility"));
        let facility = view.string("facility");
        let mut system = System {
            name: name.value,
            at: name.at,
            title: view.string("title"),
            owner: view.string("owner"),
            facility,
            connections: BTreeMap::new(),
            operations: BTreeMap::new(),
        };
        for entry in view.get("connections").map_or(&[][..], Node::entries) {
            let connection = self.connection(entry, &system.name, system.facility.as_deref());
            system
                .connections
                .entry(entry.key.clone())
                .or_insert(connection);
        }
        for entry in view.get("operations").map_or(&[][..], Node::entries) {
            let operation = self.operation(entry, &system.name);
            system
                .operations
                .entry(entry.key.clone())
                .or_insert(operation);
        }
        system
    }

    fn operation(&mut self, entry: &Entry, system: &str) -> Operation {
        let view = View::new(Some(&entry.value), &OPERATION);
        let (kind, connection) = if let Some(node) = view.get("http") {
            let call = View::new(Some(node), &HTTP_CALL);
            let method = Method::ALL
                .into_iter()
                .find(|(key, _)| node.get(key).is_some());
            let (key, method) = method.unwrap_or(Method::ALL[0]);
            let kind = OperationKind::Http {
                method,
                path: call.text_or_stand_in(key, entry.key_at),
            };
            (kind, call.text("connection"))
        } else if let Some(node) = view.get("soap") {
            let call = View::new(Some(node), &SOAP_CALL);
            let kind = OperationKind::Soap {
                operation: call.text_or_stand_in("operation", entry.key_at),
            };
            (kind, call.text("connection"))
        } else if let Some(node) = view.get("scim") {
            let call = View::new(Some(node), &SCIM_CALL);
            let kind = OperationKind::Scim {
                verb: call.text_or_stand_in("do", entry.key_at),
            };
            (kind, call.text("connection"))
        } else if let Some(node) = view.get("fhir") {
            let call = View::new(Some(node), &FHIR_CALL);
            let asked = FhirAsked::ALL
                .into_iter()
                .find(|(key, _)| node.get(key).is_some());
            let (key, asked) = asked.unwrap_or(FhirAsked::ALL[0]);
            let mut of = call.text_or_stand_in(key, entry.key_at);
            if asked == FhirAsked::Export && of.value == "all" {
                of.value.clear();
            }
            (OperationKind::Fhir { asked, of }, call.text("connection"))
        } else if let Some(node) = view.get("sql") {
            let call = View::new(Some(node), &SQL_CALL);
            let kind = OperationKind::Sql {
                statement: call.text_or_stand_in("statement", entry.key_at),
            };
            (kind, call.text("connection"))
        } else if let Some(node) = view.get("mllp") {
            (
                OperationKind::Mllp,
                View::new(Some(node), &PLAIN_CALL).text("connection"),
            )
        } else {
            (
                OperationKind::Null,
                view.below("null", &PLAIN_CALL).text("connection"),
            )
        };
        let mut map = |key| view.text(key).and_then(|written| self.map(written));
        let (request, response) = (map("request"), map("response"));
        Operation {
            name: entry.key.clone(),
            reference: format!("{system}.{}", entry.key),
            at: entry.key_at,
            connection: connection.unwrap_or_else(|| Spanned::new(String::new(), entry.key_at)),
            kind,
            accepts: view.text("accepts"),
            returns: view.text("returns"),
            request,
            response,
            cache: caching(view),
        }
    }
}

fn caching(view: View<'_>) -> Option<Caching> {
    let node = view.get("cache")?;
    if matches!(node.data, Data::Mapping(_)) {
        let view = View::new(Some(node), &CACHE);
        return Some(Caching {
            keep: view.parsed("keep", value::duration)?,
            stale_if_error: view
                .parsed("stale_if_error", value::duration)
                .unwrap_or_default(),
        });
    }
    Some(Caching {
        keep: view.parsed("cache", value::duration)?,
        stale_if_error: Duration::ZERO,
    })
}

//! FHIR services that Wardline offers, and what flows keep there.

use super::{Decoder, View};
use crate::model::{
    AckWhen, ConnectionKind, FhirIn, FhirKept, FhirResource, HttpAck, HttpContent, HttpIn, Method,
};
use crate::shape::fhir::{FHIR_IN, FHIR_KEEP, FHIR_RESOURCE};
use crate::source::{Span, Spanned};
use crate::value;
use crate::yaml::{Entry, Node};

impl Decoder<'_> {
    /// A connection of whichever of the three ways.
    pub(super) fn fhir(&mut self, node: &Node, at: Span) -> Option<ConnectionKind> {
        if node.get("listen").is_some() {
            return Some(ConnectionKind::FhirIn(Box::new(self.fhir_in(node, at))));
        }
        if node.get("keep").is_some() {
            let view = View::new(Some(node), &FHIR_KEEP);
            return Some(ConnectionKind::FhirKept(FhirKept {
                keep: view.text_or_stand_in("keep", at),
            }));
        }
        let fhir = self.fhir_out(node, at)?;
        Some(ConnectionKind::FhirOut(Box::new(fhir)))
    }

    fn fhir_in(&mut self, node: &Node, at: Span) -> FhirIn {
        let view = View::new(Some(node), &FHIR_IN);
        let resources = view.get("resources").map_or(&[][..], Node::entries);
        FhirIn {
            http: HttpIn {
                listener: view.text_or_stand_in("listen", at),
                method: Method::Post,
                path: view.text_or_stand_in("path", at),
                auth: self.auth(view.get("auth")),
                ack: HttpAck {
                    when: AckWhen::Committed,
                    status: 200,
                },
                max_size: view.parsed("max_size", value::size).unwrap_or_default(),
                content: HttpContent::Json,
            },
            address: view.string("address"),
            of: view.text("of"),
            resources: resources.iter().map(resource).collect(),
        }
    }
}

fn resource(entry: &Entry) -> FhirResource {
    let view = View::new(Some(&entry.value), &FHIR_RESOURCE);
    FhirResource {
        kind: Spanned::new(entry.key.clone(), entry.key_at),
        acts: view.texts("do"),
        search: view.texts("search"),
        hide: view.texts("hide"),
        unique: view.text("unique"),
    }
}

//! `fhir:` of connections.

use super::{Decoder, View};
use crate::model::{FhirOut, SmartClient};
use crate::shape::fhir::{FHIR_OUT, SMART};
use crate::source::Span;
use crate::yaml::Node;

impl Decoder<'_> {
    pub(super) fn fhir_out(&mut self, node: &Node, at: Span) -> Option<FhirOut> {
        let view = View::new(Some(node), &FHIR_OUT);
        let smart = match view.get("smart") {
            Some(node) => {
                let view = View::new(Some(node), &SMART);
                Some(SmartClient {
                    token: view.text("token")?,
                    client: view.string("client")?,
                    key: self.secret(view.text("key"))?,
                    key_id: view.string("key_id")?,
                    scope: view.string("scope").unwrap_or_default(),
                })
            }
            None => None,
        };
        let systems = view.get("systems").map_or(&[][..], Node::entries).iter();
        Some(FhirOut {
            // The keys of `http` are among its own.
            http: self.http_out(node, at),
            smart,
            check: view.is_true("check"),
            zone: view.text("zone"),
            systems: systems
                .filter_map(|entry| Some((entry.key.clone(), entry.value.text()?.value)))
                .collect(),
        })
    }
}

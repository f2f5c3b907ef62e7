//! SCIM services that Wardline offers.

use super::{Decoder, View};
use crate::model::{AckWhen, HttpAck, HttpContent, HttpIn, Method, ScimIn};
use crate::shape::scim::SCIM_IN;
use crate::source::Span;
use crate::value;
use crate::yaml::Node;

impl Decoder<'_> {
    pub(super) fn scim_in(&mut self, node: &Node, at: Span) -> ScimIn {
        let view = View::new(Some(node), &SCIM_IN);
        ScimIn {
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
        }
    }
}

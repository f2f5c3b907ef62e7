//! SOAP services that Wardline offers.

use super::{Decoder, View};
use crate::model::{
    AckWhen, CarriedHl7, HttpAck, HttpContent, HttpIn, Method, SoapEcho, SoapIn, WsGuard,
};
use crate::shape::soap_in::{CARRIED, ECHO, SOAP_IN, WS_GUARD};
use crate::source::{Span, Spanned};
use crate::value;
use crate::yaml::Node;

impl Decoder<'_> {
    pub(super) fn soap_in(&mut self, node: &Node, at: Span) -> Option<SoapIn> {
        let view = View::new(Some(node), &SOAP_IN);
        let http = HttpIn {
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
        };
        let security = view.get("security").map(|node| {
            let view = View::new(Some(node), &WS_GUARD);
            let files = view.texts("certs");
            WsGuard {
                users: self.secrets(view.texts("users")),
                plain: view.string("password").as_deref() == Some("text"),
                certs: files
                    .into_iter()
                    .filter_map(|file| self.file(Some(file)))
                    .collect(),
                skew: view.parsed("skew", value::duration).unwrap_or_default(),
                at: node.at,
            }
        });
        let answers = view.get("answers").map_or(&[][..], Node::entries).iter();
        let answers = answers
            .filter_map(|entry| {
                let map = self.map(entry.value.text()?)?;
                Some((Spanned::new(entry.key.clone(), entry.key_at), map))
            })
            .collect();
        let hl7 = view.get("hl7").map(|node| {
            let view = View::new(Some(node), &CARRIED);
            CarriedHl7 {
                operation: view.text_or_stand_in("operation", node.at),
                message: view.text_or_stand_in("message", node.at),
                answer: view.text_or_stand_in("answer", node.at),
                username: view.text("username"),
                password: view.text("password"),
            }
        });
        let echo = view.get("echo").map(|node| {
            let view = View::new(Some(node), &ECHO);
            SoapEcho {
                operation: view.text_or_stand_in("operation", node.at),
                from: view.text_or_stand_in("from", node.at),
                to: view.text_or_stand_in("to", node.at),
            }
        });
        Some(SoapIn {
            http,
            wsdl: self.file(view.text("wsdl"))?,
            service: view.text("service"),
            port: view.text("port"),
            address: view.string("address"),
            security,
            answers,
            hl7,
            echo,
        })
    }
}

//! AS2 connections.

use super::top::bind;
use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{As2Content, As2Identity, As2In, As2Out, ConnectionKind};
use crate::shape::as2::{AS2_IN, AS2_OUT, AS2_PREVIOUS};
use crate::source::Span;
use crate::value;
use crate::yaml::Node;

impl Decoder<'_> {
    /// A connection of either way.
    pub(super) fn as2(&mut self, node: &Node, at: Span) -> Option<ConnectionKind> {
        if node.get("listen").is_some() {
            return Some(ConnectionKind::As2In(Box::new(self.as2_in(node, at))));
        }
        node.get("url")?;
        Some(ConnectionKind::As2Out(Box::new(self.as2_out(node, at))))
    }

    fn as2_in(&mut self, node: &Node, at: Span) -> As2In {
        let view = View::new(Some(node), &AS2_IN);
        let own = self.as2_identity(view);
        let before = view.get("previous");
        let before =
            before.and_then(|node| self.as2_identity(View::new(Some(node), &AS2_PREVIOUS)));
        let (signed, encrypted) = (view.is_true("signed"), view.is_true("encrypted"));
        let partner = self.file(view.text("partner"));
        self.as2_needs(at, signed && partner.is_none(), "`signed`", "`partner`");
        self.as2_needs(
            at,
            encrypted && own.is_none(),
            "`encrypted`",
            "`cert` and `key`",
        );
        let allow = view.texts("allow");
        let allow = allow
            .iter()
            .filter_map(|text| value::network(&text.value).ok());
        As2In {
            bind: bind(view, "listen", at),
            path: view.string("path").unwrap_or_default(),
            to: view.string("to").unwrap_or_default(),
            from: view.string("from").unwrap_or_default(),
            identities: own.into_iter().chain(before).collect(),
            partner,
            signed,
            encrypted,
            receipts: view.string("receipts"),
            content: match view.string("content").as_deref() {
                Some("json") => As2Content::Json,
                Some("text") => As2Content::Text,
                _ => As2Content::X12,
            },
            max_size: view.parsed("max_size", value::size).unwrap_or_default(),
            max_connections: view.integer("max_connections"),
            allow: allow.collect(),
            tls: self.server_tls(view.get("tls")),
            remember: view.parsed("remember", value::duration).unwrap_or_default(),
        }
    }

    fn as2_out(&mut self, node: &Node, at: Span) -> As2Out {
        let view = View::new(Some(node), &AS2_OUT);
        let partner = self.file(view.text("partner"));
        let encrypt = view.is_true("encrypt");
        let receipt = match view.string("receipt").as_deref() {
            Some("none") => None,
            Some("plain") => Some(false),
            _ => Some(true),
        };
        self.as2_needs(at, encrypt && partner.is_none(), "`encrypt`", "`partner`");
        let signed = receipt == Some(true);
        self.as2_needs(
            at,
            !encrypt && signed && partner.is_none(),
            "`receipt: signed`",
            "`partner`",
        );
        As2Out {
            url: view.text_or_stand_in("url", at),
            from: view.string("from").unwrap_or_default(),
            to: view.string("to").unwrap_or_default(),
            identity: self.as2_identity(view),
            partner,
            encrypt,
            receipt,
            subject: view.string("subject").unwrap_or_default(),
            content: view.string("content"),
            auth: self.auth(view.get("auth")),
            timeout: view.parsed("timeout", value::duration).unwrap_or_default(),
            tls: self.client_tls(view.get("tls")),
        }
    }

    fn as2_identity(&mut self, view: View<'_>) -> Option<As2Identity> {
        let (cert, key) = (view.text("cert"), view.text("key"));
        if cert.is_some() != key.is_some() {
            let at = cert.as_ref().or(key.as_ref()).map(|one| one.at);
            let mut problem =
                Diagnostic::error(codes::MISSING_KEY, "`cert` and `key` belong together")
                    .help("give both, or neither: then nothing is signed");
            if let Some(at) = at {
                problem = problem.at(at);
            }
            self.files.problems.push(problem);
        }
        let cert = self.file(cert);
        let key = self.secret(key);
        Some(As2Identity {
            cert: cert?,
            key: key?,
        })
    }

    fn as2_needs(&mut self, at: Span, lacks: bool, what: &str, needs: &str) {
        if lacks {
            self.files.problems.push(
                Diagnostic::error(codes::MISSING_KEY, format!("{what} needs {needs}"))
                    .at(at)
                    .help(format!("add {needs}, or turn {what} off")),
            );
        }
    }
}

//! Connections to mail servers.

use super::{Decoder, View};
use crate::model::{SmtpOut, SmtpSecurity};
use crate::shape::smtp::SMTP_OUT;
use crate::value;
use crate::yaml::Node;
use wardline_core::mail::Address;

impl Decoder<'_> {
    /// `classified`: whether the connection says what passes through.
    pub(super) fn smtp_out(&mut self, node: &Node, classified: bool) -> Option<SmtpOut> {
        let view = View::new(Some(node), &SMTP_OUT);
        let duration = |key: &str| view.parsed(key, value::duration).unwrap_or_default();
        let to = view.texts("to").into_iter();
        Some(SmtpOut {
            server: view.text("server")?,
            security: match view.string("security").as_deref() {
                Some("implicit") => SmtpSecurity::Implicit,
                Some("none") => SmtpSecurity::None,
                _ => SmtpSecurity::StartTls,
            },
            tls: self.client_tls(view.get("tls")).unwrap_or_default(),
            login: self.secret(view.text("login")),
            // What is no address was reported by its shape.
            from: Address::parse(&view.text("from")?.value).ok()?,
            to: to
                .filter_map(|text| Some((Address::parse(&text.value).ok()?, text.at)))
                .collect(),
            recipients: view
                .texts("recipients")
                .into_iter()
                .map(|text| text.value)
                .collect(),
            connect_timeout: duration("connect_timeout"),
            timeout: duration("timeout"),
            max_size: view.parsed("max_size", value::size).unwrap_or_default(),
            classified,
        })
    }
}

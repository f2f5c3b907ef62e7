//! Connections to mail servers.

use super::{WireError, Wiring};
use std::sync::Arc;
use wardline_connect::{Outbound, smtp};
use wardline_core::mail::Recipients;
use wardline_estate::model::{Connection, SmtpOut, SmtpSecurity};

impl Wiring<'_> {
    /// What sends mail.
    pub(super) fn smtp_out(
        &self,
        connection: &Connection,
        declared: &SmtpOut,
    ) -> Result<Arc<dyn Outbound>, WireError> {
        // The loader has checked that it is a host and a port.
        let server = declared.server.value.rsplit_once(':');
        let (host, port) = server.unwrap_or((declared.server.value.as_str(), "587"));
        Ok(Arc::new(smtp::Outbound::new(smtp::OutboundConfig {
            name: connection.reference.as_str().into(),
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.parse().unwrap_or(587),
            security: match declared.security {
                SmtpSecurity::StartTls => smtp::Security::StartTls,
                SmtpSecurity::Implicit => smtp::Security::Implicit,
                SmtpSecurity::None => smtp::Security::None,
            },
            tls: self.client_tls(&declared.tls)?,
            login: declared
                .login
                .as_ref()
                .map(|login| self.secret(login))
                .transpose()?,
            from: declared.from.clone(),
            to: declared
                .to
                .iter()
                .map(|(address, _)| address.clone())
                .collect(),
            recipients: Recipients::new(declared.recipients.iter().cloned()),
            greeting: declared.from.domain().to_owned(),
            connect_timeout: declared.connect_timeout,
            timeout: declared.timeout,
            max_size: usize::try_from(declared.max_size).unwrap_or(usize::MAX),
        })))
    }
}

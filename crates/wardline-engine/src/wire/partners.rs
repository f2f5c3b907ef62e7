//! AS2 connections.

use super::{WireError, Wiring, network};
use std::sync::Arc;
use wardline_connect::door::Socket;
use wardline_connect::{ContentType, Outbound, as2, tls};
use wardline_estate::model::{As2Content, As2Identity, As2In, As2Out, Connection};

impl Wiring<'_> {
    /// Binds a listener, or takes over the address of the one before.
    pub(crate) async fn as2_listener(
        &self,
        connection: &Connection,
        declared: &As2In,
        before: Option<Socket>,
    ) -> Result<as2::Listener, WireError> {
        let identities = declared.identities.iter().map(|one| self.as2_identity(one));
        let config = as2::InboundConfig {
            source: connection.reference.as_str().into(),
            bind: declared.bind.value.to_string(),
            tls: declared
                .tls
                .as_ref()
                .map(|tls| self.server_tls(tls))
                .transpose()?,
            allow: declared.allow.iter().filter_map(network).collect(),
            path: declared.path.clone(),
            to: declared.to.clone(),
            from: declared.from.clone(),
            identities: identities.collect::<Result<_, _>>()?,
            partner: declared.partner.as_ref().map(|file| self.pem(file)),
            must_sign: declared.signed,
            must_encrypt: declared.encrypted,
            receipts: declared.receipts.clone(),
            content_type: match declared.content {
                As2Content::X12 => ContentType::Other("application/edi-x12".into()),
                As2Content::Json => ContentType::Json,
                As2Content::Text => ContentType::Text,
            },
            max_size: usize::try_from(declared.max_size).unwrap_or(usize::MAX),
            max_connections: declared.max_connections as usize,
            drain: std::time::Duration::from_secs(20),
        };
        Ok(match before {
            Some(socket) => as2::Listener::over(socket, config)?,
            None => as2::Listener::bind(config).await?,
        })
    }

    fn as2_identity(&self, declared: &As2Identity) -> Result<(tls::Pem, tls::Pem), WireError> {
        let key = tls::Pem::Text(self.secret(&declared.key)?);
        Ok((self.pem(&declared.cert), key))
    }

    /// A sender to each of a partner's URLs.
    pub(super) fn as2_senders(
        &self,
        connection: &Connection,
        declared: &As2Out,
        all: &mut Vec<Arc<dyn Outbound>>,
    ) -> Result<(), WireError> {
        for url in std::iter::once(&declared.url).chain(&connection.failover) {
            let identity = declared.identity.as_ref();
            let tls = declared.tls.as_ref();
            let tls = tls.map(|tls| self.client_tls(tls)).transpose()?;
            let config = as2::OutboundConfig {
                name: connection.reference.as_str().into(),
                url: url.value.clone(),
                from: declared.from.clone(),
                to: declared.to.clone(),
                identity: identity.map(|one| self.as2_identity(one)).transpose()?,
                partner: declared.partner.as_ref().map(|file| self.pem(file)),
                encrypt: declared.encrypt,
                receipt: declared.receipt,
                subject: declared.subject.clone(),
                content_type: declared.content.clone(),
                auth: self.outbound_auth(connection, &declared.auth)?,
                tls: tls.unwrap_or_default(),
                timeout: declared.timeout,
            };
            all.push(Arc::new(as2::Outbound::new(config)?));
        }
        Ok(())
    }
}

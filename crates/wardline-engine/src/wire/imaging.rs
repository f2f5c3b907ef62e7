//! DICOM connections.

use super::{WireError, Wiring, network};
use std::sync::Arc;
use wardline_connect::door::Socket;
use wardline_connect::{Outbound, dicom, files};
use wardline_estate::model::{Connection, DicomEntries, DicomIn, DicomOut, DicomWeb};

impl Wiring<'_> {
    /// Binds a listener, or takes over the address of the one before.
    pub(crate) async fn dicom_listener(
        &self,
        connection: &Connection,
        declared: &DicomIn,
        before: Option<Socket>,
    ) -> Result<dicom::Listener, WireError> {
        let bind = declared.bind.value.to_string();
        let mut config = dicom::InboundConfig::new(connection.reference.as_str(), bind);
        config.tls = declared
            .tls
            .as_ref()
            .map(|tls| self.server_tls(tls))
            .transpose()?;
        config.allow = declared.allow.iter().filter_map(network).collect();
        config.title.clone_from(&declared.title);
        config.callers = declared
            .callers
            .iter()
            .map(|one| one.value.clone())
            .collect();
        let objects = declared.objects.as_ref();
        config.objects = objects.map(|below| self.estate.root.join(&below.value));
        let worklist = declared.worklist.as_ref();
        config.worklist = worklist.map(|below| self.made(&below.value));
        let steps = declared.steps.as_ref();
        config.steps = steps.map(|below| self.made(&below.value));
        config.max_object = declared.max_object;
        config.max_connections = declared.max_connections as usize;
        config.idle_timeout = declared.idle_timeout;
        config.stall_timeout = declared.stall_timeout;
        Ok(match before {
            Some(socket) => dicom::Listener::over(socket, config)?,
            None => dicom::Listener::bind(config).await?,
        })
    }

    /// A directory that is ours, made where it is not there.
    fn made(&self, below: &str) -> Arc<dyn files::Directory> {
        let path = self.estate.root.join(below);
        if let Err(error) = std::fs::create_dir_all(&path) {
            // Whoever uses it will say so again, and be tried again.
            tracing::warn!(%error, "cannot make {}", path.display());
        }
        self.local(below)
    }

    /// A sender to each of a peer's addresses.
    pub(super) fn dicom_senders(
        &self,
        connection: &Connection,
        declared: &DicomOut,
        all: &mut Vec<Arc<dyn Outbound>>,
    ) -> Result<(), WireError> {
        for address in std::iter::once(&declared.address).chain(&connection.failover) {
            let tls = declared.tls.as_ref();
            let config = dicom::OutboundConfig {
                name: connection.reference.as_str().into(),
                address: address.value.clone(),
                tls: tls.map(|tls| self.client_tls(tls)).transpose()?,
                called: declared.called.clone(),
                calling: declared.calling.clone(),
                objects: self.local(&declared.objects.value),
                connect_timeout: declared.connect_timeout,
                timeout: declared.timeout,
            };
            all.push(Arc::new(dicom::Outbound::new(config)?));
        }
        Ok(())
    }

    /// A sender to each of a DICOMweb server's URLs.
    pub(super) fn dicom_web(
        &self,
        connection: &Connection,
        declared: &DicomWeb,
        all: &mut Vec<Arc<dyn Outbound>>,
    ) -> Result<(), WireError> {
        for url in std::iter::once(&declared.url).chain(&connection.failover) {
            let tls = declared.tls.as_ref();
            let tls = tls.map(|tls| self.client_tls(tls)).transpose()?;
            let config = dicom::WebConfig {
                name: connection.reference.as_str().into(),
                url: url.value.clone(),
                auth: self.outbound_auth(connection, &declared.auth)?,
                tls: tls.unwrap_or_default(),
                objects: self.local(&declared.objects.value),
                connect_timeout: declared.connect_timeout,
                timeout: declared.timeout,
            };
            all.push(Arc::new(dicom::WebOutbound::new(config)?));
        }
        Ok(())
    }

    /// What keeps entries of a worklist.
    pub(super) fn dicom_entries(
        &self,
        connection: &Connection,
        declared: &DicomEntries,
    ) -> Arc<dyn Outbound> {
        let directory = self.made(&declared.entries.value);
        Arc::new(dicom::Entries::new(
            connection.reference.as_str(),
            directory,
        ))
    }
}

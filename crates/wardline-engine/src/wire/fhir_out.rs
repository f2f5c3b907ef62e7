//! What a FHIR server is called with.

use super::{WireError, Wiring};
use wardline_connect::fhir;
use wardline_connect::tls::ClientTls;
use wardline_estate::model::{Connection, FhirOut};

impl Wiring<'_> {
    pub(super) fn fhir_config(
        &self,
        connection: &Connection,
        declared: &FhirOut,
        url: &str,
    ) -> Result<fhir::OutboundConfig, WireError> {
        let tls = declared.http.tls.as_ref();
        let smart = declared
            .smart
            .as_ref()
            .map(|smart| {
                Ok::<_, WireError>(fhir::Smart {
                    token_url: smart.token.value.clone(),
                    client: smart.client.clone(),
                    key: self.secret(&smart.key)?,
                    key_id: smart.key_id.clone(),
                    scope: smart.scope.clone(),
                    tls: match tls {
                        Some(tls) => self.client_tls(tls)?,
                        None => ClientTls::default(),
                    },
                })
            })
            .transpose()?;
        Ok(fhir::OutboundConfig {
            http: self.http_config(connection, &declared.http, url)?,
            smart,
            check: declared.check,
            zone: declared.zone.as_ref().map(|zone| zone.value.clone()),
            systems: declared.systems.iter().cloned().collect(),
        })
    }
}

//! Clients' secrets and listeners' certificates, kept in step while Apis are served.

use super::Front;
use crate::Gateway;
use std::sync::Arc;
use wardline_access::identity::{ClientDirectory, Identity, clients_of_estate};
use wardline_engine::{Inputs, Renewals, Wiring};
use wardline_estate::model::OAuth2;
use wardline_vault::{SecretRef, Secrets};

/// Application protocols of a listener's TLS, most wanted first.
pub(super) const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

impl Front {
    /// What the listeners' TLS is made of. Ask before it is made, so that no change falls
    /// between.
    pub fn listener_inputs(&self, secrets: &Secrets) -> Vec<(String, Inputs)> {
        let listeners = self.estate.listeners.values();
        let shown = listeners.filter(|listener| self.estate.has_apis_at(listener));
        let noted = shown.filter_map(|listener| {
            let wiring = Wiring::new(&self.estate, secrets);
            // What is wrong is told when it is made.
            wiring.server_tls(listener.tls.as_ref()?).ok()?;
            Some((listener.name.clone(), wiring.inputs()))
        });
        noted.collect()
    }

    /// Keeps certificates of a gateway's listeners in step with their files.
    pub async fn keep_listeners(
        &self,
        gateway: &Gateway,
        renewals: &Renewals,
        inputs: Vec<(String, Inputs)>,
    ) {
        for (name, inputs) in inputs {
            let declared = self.estate.listeners.get(&name);
            let declared = declared.and_then(|listener| listener.tls.as_ref());
            if let (Some(declared), Some(tls)) = (declared, gateway.tls(&name).await) {
                renewals.server_tls(&self.estate, &name, declared, &tls, ALPN, inputs);
            }
        }
    }

    /// Keeps what clients show in step with the secrets it is compared with.
    pub fn keep_clients(&self, identity: &Arc<Identity>, renewals: &Renewals) {
        let mut inputs = Inputs::default();
        for client in self.estate.clients.values() {
            if let Some(OAuth2::ClientSecretBasic { secret }) = &client.auth.oauth2
                && let Ok(reference) = secret.text.parse::<SecretRef>()
            {
                inputs.note_secret(&reference);
            }
        }
        let (estate, secrets) = (Arc::clone(&self.estate), renewals.secrets().clone());
        let (identity, again) = (Arc::downgrade(identity), inputs.clone());
        renewals.add("clients", inputs, move || {
            let Some(identity) = identity.upgrade() else {
                return Ok(None);
            };
            let (clients, errors) = clients_of_estate(&estate, &secrets);
            let directory = ClientDirectory::new(clients).map_err(|error| error.to_string())?;
            // Nobody is refused for another's mistake.
            identity.replace_clients(directory);
            match errors.first() {
                None => Ok(Some(again.clone())),
                Some(error) => Err(error.to_string()),
            }
        });
    }
}

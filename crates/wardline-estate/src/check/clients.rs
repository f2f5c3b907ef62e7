//! Clients: can each prove who it is, and is there anything behind what it is granted.

use super::references::References;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Api, Client, ClientKind, OAuth2};
use crate::source::Spanned;
use crate::suggest::{clip, did_you_mean};
use crate::value;
use std::collections::BTreeSet;
use wardline_core::Timestamp;

impl References<'_> {
    pub(super) fn clients(&mut self) {
        let estate = self.whole.estate;
        for client in estate.clients.values() {
            if client.owner.is_none() {
                self.problems.push(
                    Diagnostic::warning(
                        codes::NO_OWNER,
                        format!("nobody answers for the client `{}`", client.name),
                    )
                    .at(client.at)
                    .help("add `owner`"),
                );
            }
            self.credentials(client);
            self.scopes(client);
            self.webhooks(client);
            if let Some(expires) = &client.expires {
                self.expired("the client", expires);
            }
            if let Some(key) = &client.auth.api_key {
                self.expired("the key", &key.expires);
                for api in &key.apis {
                    self.api_name(api);
                }
            }
        }
    }

    fn credentials(&mut self, client: &Client) {
        let estate = self.whole.estate;
        let auth = &client.auth;
        // What is there but cannot be read was reported already.
        if auth.is_empty() && !self.whole.learned.with_auth.contains(&client.name) {
            self.problems.push(
                Diagnostic::error(
                    codes::NO_CREDENTIAL,
                    format!("`{}` cannot prove who it is", client.name),
                )
                .at(client.at)
                .help("say how under `auth`: `oauth2`, `mtls`, `issuer` or `api_key`"),
            );
        }
        if matches!(auth.oauth2, Some(OAuth2::TlsClientAuth)) && auth.mtls.is_none() {
            self.problems.push(
                Diagnostic::error(codes::NO_CREDENTIAL, "`tls_client_auth` needs `mtls`")
                    .at(client.at)
                    .help("say what the certificate must hold: `mtls: { subject: … }`"),
            );
        }
        if let Some(mtls) = &auth.mtls {
            let asked = estate.listeners.values().any(|listener| {
                let tls = listener.tls.as_ref();
                listener.zone == client.zone && tls.is_some_and(|tls| tls.client_ca.is_some())
            });
            if !asked && self.whole.complete("estate") {
                self.problems.push(
                    Diagnostic::warning(
                        codes::NO_CREDENTIAL,
                        format!(
                            "no listener of zone `{}` asks for certificates",
                            client.zone
                        ),
                    )
                    .at(mtls.at)
                    .label("so this one is never seen")
                    .help("add `client_ca` to the `tls` of a listener"),
                );
            }
        }
        if let Some(issuer) = &auth.issuer {
            let known = &estate.identity.issuers;
            if self.whole.complete("estate") && !known.contains_key(&issuer.name.value) {
                self.missing(
                    codes::UNKNOWN_ISSUER,
                    format!("there is no issuer `{}`", clip(&issuer.name)),
                    issuer.name.at,
                    did_you_mean(&issuer.name, known.keys().map(String::as_str)),
                );
            }
        }
    }

    /// Scopes that open nothing the client could reach.
    fn scopes(&mut self, client: &Client) {
        let estate = self.whole.estate;
        if !self.whole.complete("api") {
            return;
        }
        let asked = |api: &Api| -> Vec<String> {
            let operations = api.operations.values();
            operations
                .filter_map(|operation| Some(operation.scope.as_ref()?.value.clone()))
                .collect()
        };
        let (mut within, mut beyond) = (BTreeSet::new(), BTreeSet::new());
        for api in estate.apis.values() {
            if api.visible_in(client.zone) {
                within.extend(asked(api));
            } else {
                beyond.extend(asked(api));
            }
        }
        // A webhook needs a scope too, for each entity that it tells of.
        let told = client.webhooks.iter().flat_map(|webhook| &webhook.events);
        within.extend(told.map(|event| format!("{}.receive", value::entity_of(&event.value))));
        for scope in &client.scopes {
            if within.contains(&scope.value) {
                continue;
            }
            let message = if beyond.contains(&scope.value) {
                format!(
                    "`{}` opens nothing in the zone `{}`",
                    clip(scope),
                    client.zone
                )
            } else {
                format!("`{}` opens nothing", clip(scope))
            };
            self.problems.push(
                Diagnostic::warning(codes::UNKNOWN_SCOPE, message)
                    .at(scope.at)
                    .help_if(did_you_mean(scope, within.iter().map(String::as_str))),
            );
        }
    }

    /// Webhooks that could never be told anything.
    fn webhooks(&mut self, client: &Client) {
        let Some(first) = client.webhooks.first() else {
            return;
        };
        if client.kind == ClientKind::PersonGroup {
            self.problems.push(
                Diagnostic::error(codes::DEAF_WEBHOOK, "a group of people has no webhook")
                    .at(first.at)
                    .help("declare the application that is to be told as a client of its own"),
            );
            return;
        }
        let entities = &self.whole.estate.entities;
        if !self.whole.complete("entity") {
            return;
        }
        for event in client.webhooks.iter().flat_map(|webhook| &webhook.events) {
            let entity = value::entity_of(&event.value);
            if value::event(&event.value).is_ok() && !entities.contains_key(&entity) {
                self.problems.push(
                    Diagnostic::error(
                        codes::DEAF_WEBHOOK,
                        format!("nobody may receive `{}`", clip(&event.value)),
                    )
                    .at(event.at)
                    .label(format!("there is no entity `{}`", clip(&entity)))
                    .help("declare the entity: its file says what of it is sensitive"),
                );
            }
        }
    }

    fn expired(&mut self, what: &str, expires: &Spanned<Timestamp>) {
        // What could not be read stands at the beginning of time, and was reported.
        if expires.value < Timestamp::now() && expires.value != Timestamp::default() {
            self.problems.push(
                Diagnostic::warning(codes::EXPIRED, format!("{what} has expired"))
                    .at(expires.at)
                    .help("renew or remove it"),
            );
        }
    }
}

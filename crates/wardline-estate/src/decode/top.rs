//! `wardline.yaml`.

use super::{Decoder, View};
use crate::model::{Estate, KeySource, Listener, ListenerLimits, Retention, ServerTls, StoreUrl};
use crate::origin::{Origin, Origins};
use crate::shape::estate::{ESTATE, IDENTITY, LISTENER_LIMITS, RETENTION, SERVER_TLS};
use crate::shape::people::PEOPLE;
use crate::source::{SourceMap, Span, Spanned};
use crate::value;
use crate::yaml::{Entry, Node};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wardline_core::Zone;
use wardline_soap::source::Held;
use wardline_soap::xsd::Library;

impl Decoder<'_> {
    pub(super) fn top(&mut self, node: Option<&Node>) -> Estate {
        let view = View::new(node, &ESTATE);
        let store = view.parsed("store", |text| match text {
            _ if text.starts_with("postgres") => Ok(StoreUrl::Postgres(text.to_owned())),
            _ => Ok(StoreUrl::Sqlite),
        });
        let keys = view.get("keys");
        let key_word = |key: &str| Some(keys?.get(key)?.scalar()?.text.clone());
        let keys = match key_word("provider").as_deref() {
            Some("env") => KeySource::Env,
            Some("vault") => KeySource::Vault {
                mount: key_word("mount").unwrap_or_else(|| "transit".to_owned()),
                key: key_word("key").unwrap_or_else(|| "wardline".to_owned()),
            },
            _ => KeySource::File {
                path: PathBuf::from(key_word("path").unwrap_or_else(|| "./keys".to_owned())),
            },
        };
        let mut listeners = BTreeMap::new();
        for entry in view.get("listeners").map_or(&[][..], Node::entries) {
            let listener = self.listener(entry);
            listeners.entry(entry.key.clone()).or_insert(listener);
        }
        let secrets = self.secret_sources(view);
        if let (KeySource::Vault { .. }, None, Some(node)) =
            (&keys, &secrets.vault, view.get("keys"))
        {
            self.no_vault(node.at);
        }
        let identity = self.identity(view.below("identity", &IDENTITY), &listeners);
        Estate {
            root: self.files.root().to_owned(),
            name: view.string("estate").unwrap_or_default(),
            title: view.string("title"),
            facilities: view
                .texts("facilities")
                .into_iter()
                .map(|text| text.value)
                .collect(),
            store: store.unwrap_or(StoreUrl::Sqlite),
            keys,
            secrets,
            time_zone: view
                .parsed("zone", |text| {
                    value::time_zone(text).map(|()| text.to_owned())
                })
                .unwrap_or_default(),
            listeners,
            dropboxes: view.get("dropboxes").map(|node| self.dropboxes(node)),
            retention: self.retention(view),
            identity,
            people: self.people(view.below("people", &PEOPLE)),
            systems: BTreeMap::new(),
            entities: BTreeMap::new(),
            flows: BTreeMap::new(),
            processes: BTreeMap::new(),
            jobs: BTreeMap::new(),
            apis: BTreeMap::new(),
            clients: BTreeMap::new(),
            policies: BTreeMap::new(),
            codes: BTreeMap::new(),
            tests: Vec::new(),
            origins: Origins::default(),
            xml: Arc::new(Library::new(Held::default())),
            sources: SourceMap::new(),
        }
    }

    fn listener(&mut self, entry: &Entry) -> Listener {
        let view = View::new(Some(&entry.value), &crate::shape::estate::LISTENER);
        let zone = view.parsed("zone", super::api::zone);
        let limits = view.below("limits", &LISTENER_LIMITS);
        let duration = |key| limits.parsed(key, value::duration).unwrap_or_default();
        let size = |key| limits.parsed(key, value::size).unwrap_or_default();
        Listener {
            name: entry.key.clone(),
            zone: zone.unwrap_or(Zone::Internal),
            bind: bind(view, "bind", entry.key_at),
            tls: self.server_tls(view.get("tls")),
            limits: ListenerLimits {
                connections: limits.integer("connections"),
                head: size("head"),
                body: size("body"),
                slow: duration("slow"),
                idle: duration("idle"),
            },
        }
    }

    pub(super) fn server_tls(&mut self, node: Option<&Node>) -> Option<ServerTls> {
        let view = View::new(Some(node?), &SERVER_TLS);
        let (client_ca, crl) = (view.text("client_ca"), view.text("crl"));
        let cert = self.file(view.text("cert"));
        let key = self.secret(view.text("key"));
        let client_ca = self.file(client_ca);
        if let (None, Some(crl)) = (&client_ca, &crl) {
            self.crl_of_nobody(crl.at);
        }
        let crl = self.file(crl);
        Some(ServerTls {
            cert: cert?,
            key: key?,
            client_ca,
            crl,
        })
    }

    fn retention(&mut self, view: View<'_>) -> Retention {
        let below = view.below("retention", &RETENTION);
        let mut read = |key: &str| -> Duration {
            let origin = below
                .get(key)
                .map_or(Origin::BuiltIn, |node| Origin::File(node.at));
            let duration = below.parsed(key, value::duration).unwrap_or_default();
            self.origins.record(
                format!("retention.{key}"),
                value::show_duration(duration),
                origin,
            );
            duration
        };
        Retention {
            payloads: read("payloads"),
            records: read("records"),
            audit: read("audit"),
        }
    }
}

/// An address to listen on; port 0 of the unspecified address stands in for one that cannot be read.
pub(super) fn bind(view: View<'_>, key: &str, at: Span) -> Spanned<SocketAddr> {
    let written = view.text_or_stand_in(key, at);
    let address = value::bind(&written.value)
        .unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    written.map(|_| address)
}

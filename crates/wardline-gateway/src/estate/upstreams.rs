//! HTTP connections of systems as the gateway calls them.

use super::FrontError;
use super::tls::KnownTls;
use crate::plan::{Breaker, Health, Upstream};
use std::num::NonZeroU32;
use std::sync::Arc;
use wardline_engine::Wiring;
use wardline_estate::model::{Connection, ConnectionKind, Estate, HttpOut};

/// Every HTTP connection, named `system.connection`.
pub(super) fn all(
    estate: &Estate,
    wiring: &Wiring<'_>,
    known: &KnownTls,
) -> Result<Vec<Upstream>, FrontError> {
    let mut all = Vec::new();
    for (_, connection) in estate.connections() {
        if let ConnectionKind::HttpOut(http) = &connection.kind {
            all.push(one(connection, http, wiring, known)?);
        }
    }
    known.keep(|name| all.iter().any(|upstream| &*upstream.name == name));
    Ok(all)
}

fn one(
    connection: &Connection,
    http: &HttpOut,
    wiring: &Wiring<'_>,
    known: &KnownTls,
) -> Result<Upstream, FrontError> {
    let urls = std::iter::once(&http.url).chain(&connection.failover);
    let urls: Result<Vec<http::Uri>, _> = urls
        .map(|url| {
            url.value.parse().map_err(|_| FrontError::Url {
                connection: connection.reference.clone(),
                url: url.value.clone(),
            })
        })
        .collect();
    let mut upstream = Upstream::at(connection.reference.as_str(), urls?);
    let tls = http
        .tls
        .as_ref()
        .map(|tls| wiring.client_tls(tls))
        .transpose()?;
    if upstream
        .urls
        .iter()
        .any(|url| url.scheme_str() == Some("https"))
    {
        upstream.tls = Some(known.of(&connection.reference, &tls.unwrap_or_default())?);
    }
    let headers = wiring.request_headers(connection, http)?;
    if !headers.is_empty() {
        upstream.credentials = Some(Arc::new(move || headers.clone()));
    }
    upstream.connect_time = http.connect_timeout;
    upstream.time = http.timeout;
    upstream.connections = (connection.limits.concurrent as usize).max(1);
    // Declared as 0 it never opens; so many failures in a row are as good as never.
    upstream.breaker = Breaker {
        failures: NonZeroU32::new(connection.breaker.open_after).unwrap_or(NonZeroU32::MAX),
        pause: connection.breaker.probe_every,
    };
    if let Some(health) = &connection.health {
        upstream.health = Health {
            get: Some(health.get.value.clone()),
            every: health.every,
            well_after: health.healthy_after,
            ill_after: health.unhealthy_after,
        };
    }
    Ok(upstream)
}

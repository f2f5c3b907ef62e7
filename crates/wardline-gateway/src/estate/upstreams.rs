//! HTTP connections of systems as the gateway calls them.

use super::FrontError;
use crate::plan::{Breaker, Health, Upstream};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Weak};
use wardline_engine::{CallGates, Renewals, WireError, Wiring};
use wardline_estate::model::{Auth, Connection, ConnectionKind, Estate, HttpOut};
use wardline_estate::said;

/// Credentials and TLS towards systems that are in use: from plan to plan the same where a connection
/// declares the same, by which the gateway knows that connections made under it may stay in use.
/// What changes in secrets and files meanwhile is put in by [`Renewals`].
#[derive(Default)]
pub struct KnownUpstreams {
    tls: Known<rustls::ClientConfig>,
    headers: Known<::http::HeaderMap>,
}

impl std::fmt::Debug for KnownUpstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownUpstreams").finish_non_exhaustive()
    }
}

/// By what was declared, for as long as a plan uses it.
struct Known<T>(Mutex<BTreeMap<String, Weak<ArcSwap<T>>>>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Known<T> {
    fn of(
        &self,
        said: String,
        make: impl FnOnce() -> Result<Arc<ArcSwap<T>>, WireError>,
    ) -> Result<Arc<ArcSwap<T>>, WireError> {
        let mut known = self.0.lock();
        if let Some(same) = known.get(&said).and_then(Weak::upgrade) {
            return Ok(same);
        }
        let made = make()?;
        known.retain(|_, one| one.strong_count() > 0);
        known.insert(said, Arc::downgrade(&made));
        Ok(made)
    }
}

/// Every HTTP connection, named `system.connection`, its credentials and TLS kept in step with
/// the secrets and files they are made of, with the gate that it shares with deliveries.
pub(super) fn all(
    estate: &Arc<Estate>,
    renewals: &Renewals,
    gates: &CallGates,
    known: &KnownUpstreams,
) -> Result<Vec<Upstream>, FrontError> {
    let mut all = Vec::new();
    for (_, connection) in estate.connections() {
        if let Some(http) = called(connection) {
            let mut upstream = one(estate, connection, http, renewals, known)?;
            upstream.gate = gates.of(&connection.reference);
            all.push(upstream);
        }
    }
    Ok(all)
}

/// The connection as the estate declares it, for making something of it again.
fn declared<'a>(estate: &'a Estate, reference: &str) -> Option<(&'a Connection, &'a HttpOut)> {
    let (_, connection) = estate.connection(reference)?;
    Some((connection, called(connection)?))
}

/// How a connection is reached that is called over HTTP, whatever is said there.
fn called(connection: &Connection) -> Option<&HttpOut> {
    match &connection.kind {
        ConnectionKind::HttpOut(http) => Some(http),
        ConnectionKind::SoapOut(soap) => Some(&soap.http),
        _ => None,
    }
}

fn client_tls(
    wiring: &Wiring<'_>,
    connection: &Connection,
    http: &HttpOut,
) -> Result<rustls::ClientConfig, WireError> {
    let tls = http
        .tls
        .as_ref()
        .map(|tls| wiring.client_tls(tls))
        .transpose()?;
    Ok(tls.unwrap_or_default().build(&connection.reference)?)
}

fn one(
    estate: &Arc<Estate>,
    connection: &Connection,
    http: &HttpOut,
    renewals: &Renewals,
    known: &KnownUpstreams,
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
    let secrets = renewals.secrets();
    let what = || format!("calls of {}", connection.reference);
    if upstream
        .urls
        .iter()
        .any(|url| url.scheme_str() == Some("https"))
    {
        let said = format!("{} {}", connection.reference, said(&http.tls));
        let tls = known.tls.of(said, || {
            let wiring = Wiring::new(estate, secrets);
            let tls = client_tls(&wiring, connection, http)?;
            let tls = Arc::new(ArcSwap::from_pointee(tls));
            let (estate, secrets) = (Arc::clone(estate), secrets.clone());
            let reference = connection.reference.clone();
            renewals.keep(what(), &tls, wiring.inputs(), None, move || {
                let wiring = Wiring::new(&estate, &secrets);
                let tls = match declared(&estate, &reference) {
                    Some((connection, http)) => client_tls(&wiring, connection, http)?,
                    None => wardline_connect::tls::ClientTls::default().build(&reference)?,
                };
                Ok((tls, wiring.inputs()))
            });
            Ok(tls)
        })?;
        upstream.tls = Some(tls);
    }
    let said = said(&(&connection.reference, &http.headers, &http.auth));
    let headers = known.headers.of(said, || {
        let wiring = Wiring::new(estate, secrets);
        let headers = wiring.request_headers(connection, http)?;
        let headers = Arc::new(ArcSwap::from_pointee(headers));
        let (estate, secrets) = (Arc::clone(estate), secrets.clone());
        let reference = connection.reference.clone();
        // Whatever may not be used is not sent; the system then refuses, and says so.
        let none = Arc::new(::http::HeaderMap::new());
        renewals.keep(what(), &headers, wiring.inputs(), Some(none), move || {
            let wiring = Wiring::new(&estate, &secrets);
            let headers = match declared(&estate, &reference) {
                Some((connection, http)) => wiring.request_headers(connection, http)?,
                None => ::http::HeaderMap::new(),
            };
            Ok((headers, wiring.inputs()))
        });
        Ok(headers)
    })?;
    if !http.headers.is_empty() || !matches!(http.auth, Auth::None) {
        upstream.credentials = Some(Arc::new(move || (**headers.load()).clone()));
    }
    upstream.public = http.public_only;
    upstream.connect_time = http.connect_timeout;
    upstream.time = http.timeout;
    upstream.connections = (connection.limits.concurrent as usize).max(1);
    // Declared as 0 it never opens; so many failures in a row are as good as never.
    upstream.breaker = Breaker {
        failures: NonZeroU32::new(connection.breaker.open_after).unwrap_or(NonZeroU32::MAX),
        pause: connection.breaker.probe_every,
    };
    upstream.hedge = connection.hedge.as_ref().map(|hedge| hedge.after);
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

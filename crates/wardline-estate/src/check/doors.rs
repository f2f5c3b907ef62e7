//! Everything that listens: can it start, and who can get in.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Auth, ConnectionKind, HeaderValue};
use crate::source::{Span, Spanned};
use crate::suggest::{clip, did_you_mean};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use wardline_core::Zone;

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    ports(whole, problems);
    paths(whole, problems);
    open(whole, problems);
    headers(whole, problems);
}

/// Headers that carry a credential must take it from a secret.
fn headers(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    const CREDENTIALS: [&str; 5] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-api-key",
        "api-key",
    ];
    for (_, connection) in whole.estate.connections() {
        let http = match &connection.kind {
            ConnectionKind::HttpOut(http) => http,
            ConnectionKind::SoapOut(soap) => &soap.http,
            ConnectionKind::ScimOut(http) => http,
            ConnectionKind::FhirOut(fhir) => &fhir.http,
            _ => continue,
        };
        for (name, value) in &http.headers {
            let HeaderValue::Plain(written) = value else {
                continue;
            };
            if CREDENTIALS.contains(&name.to_lowercase().as_str()) {
                problems.push(
                    Diagnostic::error(
                        codes::BAD_SECRET,
                        format!("the header `{name}` carries a credential"),
                    )
                    .at(written.at)
                    .label("expected a reference such as `secret:erp/token`"),
                );
            }
        }
    }
}

fn ports(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    let listeners = whole
        .estate
        .listeners
        .values()
        .map(|listener| (format!("listener `{}`", listener.name), &listener.bind));
    let connections =
        whole
            .estate
            .connections()
            .filter_map(|(_, connection)| match &connection.kind {
                ConnectionKind::MllpListen(mllp) => {
                    Some((format!("connection `{}`", connection.reference), &mllp.bind))
                }
                _ => None,
            });
    let mut taken: Vec<(String, &Spanned<SocketAddr>)> = Vec::new();
    let dropboxes = whole.estate.dropboxes.as_ref();
    let dropboxes = dropboxes.map(|one| ("`dropboxes`".to_owned(), &one.bind));
    for (name, bind) in listeners.chain(connections).chain(dropboxes) {
        if let Some((other, first)) = taken
            .iter()
            .find(|(_, first)| clash(first.value, bind.value))
        {
            problems.push(
                Diagnostic::error(
                    codes::PORT_CLASH,
                    format!("{name} and {other} listen on the same port"),
                )
                .at(bind.at)
                .label("this port is taken")
                .related(first.at, "by this"),
            );
        }
        taken.push((name, bind));
    }
}

/// Port 0 is "any free port" and clashes with nothing.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() != 0
        && a.port() == b.port()
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}

fn paths(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    let estate = whole.estate;
    let mut taken: BTreeMap<(&str, &str, &str), Span> = BTreeMap::new();
    for (_, connection) in estate.connections() {
        let Some(http) = connection.kind.receives_at() else {
            continue;
        };
        let name = &http.listener;
        if name.value.is_empty() || http.path.value.is_empty() {
            continue;
        }
        if whole.complete("estate") && !estate.listeners.contains_key(&name.value) {
            problems.push(
                Diagnostic::error(
                    codes::UNKNOWN_LISTENER,
                    format!("there is no listener `{}`", clip(&name.value)),
                )
                .at(name.at)
                .help_if(did_you_mean(
                    &name.value,
                    estate.listeners.keys().map(String::as_str),
                )),
            );
        }
        let place = (
            name.value.as_str(),
            http.method.as_str(),
            http.path.value.as_str(),
        );
        if let Some(first) = taken.get(&place) {
            problems.push(
                Diagnostic::error(
                    codes::PATH_CLASH,
                    format!(
                        "two connections receive {} {} on `{}`",
                        place.1,
                        clip(place.2),
                        place.0
                    ),
                )
                .at(http.path.at)
                .label("again here")
                .related(*first, "first here"),
            );
        } else {
            taken.insert(place, http.path.at);
        }
    }
}

fn open(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    let estate = whole.estate;
    for listener in estate.listeners.values() {
        if listener.zone == Zone::Partner
            && listener.tls.is_none()
            && !listener.bind.value.ip().is_loopback()
        {
            problems.push(
                Diagnostic::warning(
                    codes::OPEN_DOOR,
                    format!("partners reach `{}` without TLS", listener.name),
                )
                .at(listener.bind.at)
                .help("add `tls: { cert: …, key: secret:… }`"),
            );
        }
    }
    for (_, connection) in estate.connections() {
        let Some(http) = connection.kind.receives_at() else {
            continue;
        };
        let zone = estate
            .listeners
            .get(&http.listener.value)
            .map(|listener| listener.zone);
        let guarded =
            matches!(&connection.kind, ConnectionKind::SoapIn(soap) if soap.security.is_some());
        if zone == Some(Zone::Partner) && matches!(http.auth, Auth::None) && !guarded {
            problems.push(
                Diagnostic::warning(
                    codes::OPEN_DOOR,
                    format!(
                        "anybody who reaches `{}` may send to `{}`",
                        http.listener.value, connection.reference
                    ),
                )
                .at(http.path.at)
                .help("add `auth: { webhook: secret:… }`, or one of `basic`, `bearer`, `header`"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::clash;

    #[test]
    fn unspecified_addresses_clash_with_all_and_port_zero_with_none() {
        let clashes = |a: &str, b: &str| clash(a.parse().unwrap(), b.parse().unwrap());
        assert!(clashes("0.0.0.0:1", "127.0.0.1:1"));
        assert!(clashes("[::]:1", "127.0.0.1:1"));
        assert!(!clashes("10.0.0.1:1", "10.0.0.2:1"));
        assert!(!clashes("0.0.0.0:0", "0.0.0.0:0"));
    }
}

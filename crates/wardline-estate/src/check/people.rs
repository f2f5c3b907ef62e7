//! People: do their roles exist, and do their passwords travel in the open.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::Estate;
use crate::suggest::{clip, did_you_mean};
use std::collections::BTreeSet;
use std::net::IpAddr;
use wardline_core::Zone;

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    let estate = whole.estate;
    let people = &estate.people;
    if let Some(oidc) = &people.oidc {
        let known = roles(estate);
        for role in oidc.roles.iter().flat_map(|group| &group.roles) {
            if !known.contains(role.value.as_str()) && whole.complete("client") {
                problems.push(
                    Diagnostic::error(
                        codes::UNKNOWN_ROLE,
                        format!("there is no role `{}`", clip(role)),
                    )
                    .at(role.at)
                    .help("roles of your own are listed under `people.roles`")
                    .help_if(did_you_mean(role, known.iter().copied())),
                );
            }
        }
        if is_open(&oidc.issuer.value) {
            problems.push(
                Diagnostic::error(
                    codes::OPEN_DOOR,
                    "what this issuer says could be changed on its way",
                )
                .at(oidc.issuer.at)
                .help("its URL must begin with `https://`"),
            );
        }
    }
    if let Some(url) = people.url.as_ref().filter(|url| is_open(&url.value)) {
        problems.push(
            Diagnostic::warning(codes::OPEN_DOOR, "people reach the console without TLS")
                .at(url.at)
                .help("add `tls` to its listener, or put a proxy in front, and write `https://`"),
        );
    }
    for listener in estate.listeners.values() {
        let proxied = people.url.is_some();
        if listener.zone == Zone::Admin
            && listener.tls.is_none()
            && !proxied
            && !listener.bind.value.ip().is_loopback()
        {
            problems.push(
                Diagnostic::warning(
                    codes::OPEN_DOOR,
                    format!("passwords and sessions reach `{}` without TLS", listener.name),
                )
                .at(listener.bind.at)
                .help("add `tls: { cert: …, key: secret:… }`, or listen on 127.0.0.1 behind a proxy and say its address as `people.url`"),
            );
        }
    }
}

/// Roles that somebody may have. Those of clients are roles too: policies speak of both alike.
pub(super) fn roles(estate: &Estate) -> BTreeSet<&str> {
    let clients = estate.clients.values().flat_map(|client| &client.roles);
    estate
        .people
        .all_roles()
        .chain(clients.map(|role| role.value.as_str()))
        .collect()
}

/// Plain HTTP to another machine.
fn is_open(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.rfind(':') {
        Some(at) if !authority[at..].contains(']') => &authority[..at],
        _ => authority,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host != "localhost"
        && !address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_open;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for open in [
            "http://idp.example",
            "http://10.0.0.1:80/x",
            "http://localhost.evil",
        ] {
            assert!(is_open(open), "{open}");
        }
        for closed in [
            "https://idp.example",
            "http://localhost:9000/x",
            "http://127.0.0.1",
            "http://[::1]:80",
        ] {
            assert!(!is_open(closed), "{closed}");
        }
    }
}

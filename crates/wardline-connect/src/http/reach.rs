//! Where an HTTP connection may lead: a guard against server-side request forgery.
//!
//! A url that somebody else supplied, such as a webhook's target, may name the inside of this
//! house, directly or by a DNS record that says so a moment later. With [`Reach::Public`] a
//! connection speaks `https` only, and each time a name is resolved every address is checked
//! before one of them is connected to; the certificate is still that of the name. One address
//! that is not public refuses them all, since which one a client would take is chance.
//!
//! The lists are those of the IANA special-purpose address registries (RFC 6890 and its heirs).

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use rustls_pki_types::ServerName;
use tower::Service;

/// Where a connection may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Wherever its url says: urls of the estate, which people of this house wrote.
    #[default]
    Anywhere,
    /// Public addresses only, over https: urls that others supplied.
    Public,
}

/// A name or address that leads to where others' urls must not.
#[derive(Debug)]
pub struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Which address it was would tell the supplier of the url what is inside.
        f.write_str("it leads to an address that is not public")
    }
}

impl StdError for NotPublic {}

/// Whether an address belongs to the public internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)      // this network, private, loopback, multicast, reserved
            | (100, 64..=127, _)              // carrier-grade NAT
            | (169, 254, _)                   // link-local; clouds answer here with credentials
            | (172, 16..=31, _)               // private
            | (192, 0, 0 | 2)                 // protocol assignments, documentation
            | (192, 88, 99)                   // 6to4 relays
            | (192, 168, _)                   // private
            | (198, 18..=19, _)               // benchmarks
            | (198, 51, 100)                  // documentation
            | (203, 0, 113) // documentation
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [a, b, ..] = address.segments();
    // Only 2000::/3 is assigned to the public; of that, these are not it: Teredo and other
    // protocol assignments, documentation (twice), 6to4. NAT64 lies outside anyway.
    a & 0xe000 == 0x2000
        && !(a == 0x2001 && b < 0x0200)
        && !(a == 0x2001 && b == 0x0db8)
        && a != 0x2002
        && !(a == 0x3fff && b < 0x1000)
}

/// The system's resolver, with the guard behind it.
#[derive(Clone)]
pub(super) struct Resolver {
    system: GaiResolver,
    reach: Reach,
}

impl Resolver {
    pub(super) fn new(reach: Reach) -> Self {
        Self {
            system: GaiResolver::new(),
            reach,
        }
    }
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Service::<Name>::poll_ready(&mut self.system, cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach;
        let found = self.system.call(name);
        Box::pin(async move {
            let all: Vec<SocketAddr> = found.await?.collect();
            if reach == Reach::Public && !all.iter().all(|found| is_public(found.ip())) {
                return Err(BoxError::from(NotPublic));
            }
            Ok(all.into_iter())
        })
    }
}

/// Why a url that others supply cannot be used, as far as its text tells: it has to be https to a
/// name, or to a public address in the usual form, without password or query. What its name leads
/// to is checked at each connection.
#[must_use]
pub fn why_not_public(url: &str) -> Option<&'static str> {
    let Ok(url) = url.parse::<http::Uri>() else {
        return Some("it is not a URL");
    };
    let host = url.host().unwrap_or_default();
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    if url.scheme_str() != Some("https") {
        Some("one that others supply must begin with https://")
    } else if authority.contains('@') || url.query().is_some() {
        Some("it may hold neither a query nor a password")
    // `127.1`, `0x7f000001` and their like: resolvers read them, nobody else writes them.
    } else if !is_plain(host) {
        Some("its host is neither a name nor an address in the usual form")
    } else if is_refused_literal(host) {
        Some("it leads to an address that is not public")
    } else {
        None
    }
}

/// Whether a url's host is an address that may not be reached. The connector does not resolve
/// those, so the resolver does not see them; every other spelling is a name and is resolved.
pub(super) fn is_refused_literal(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>()
        .is_ok_and(|address| !is_public(address))
}

/// Whether a host is a DNS name or an address as RFC 3986 and RFC 5952 write them, which is
/// what a certificate can be for.
pub(super) fn is_plain(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_public() {
        for good in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2a00::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(good.parse().unwrap()), "{good}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        for bad in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
            assert!(is_refused_literal(bad), "{bad}");
            assert!(is_refused_literal(&format!("[{bad}]")), "{bad}");
        }
        assert!(
            !is_refused_literal("localhost"),
            "a name, and for the resolver to refuse"
        );
    }
}

//! Which headers go on, in both directions.

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, PROXY_AUTHENTICATE,
    RANGE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What concerns one connection only (RFC 9110, 7.6.1), whatever it says.
fn of_one_connection(name: &HeaderName) -> bool {
    [
        CONNECTION,
        TRANSFER_ENCODING,
        UPGRADE,
        TE,
        TRAILER,
        KEEP_ALIVE,
        PROXY_CONNECTION,
    ]
    .contains(name)
}

/// Removes what concerns one connection, what its `Connection` headers name, and what `more` says.
///
/// One look at what is there: most requests bear little that must go, and a removal that finds
/// nothing costs as much as one that does.
fn without(headers: &mut HeaderMap, more: impl Fn(&HeaderName) -> bool) {
    let gone: SmallVec<[HeaderName; 4]> = headers
        .keys()
        .filter(|name| of_one_connection(name) || more(name))
        .cloned()
        .collect();
    for name in gone {
        if name == CONNECTION {
            named(headers);
        }
        headers.remove(name);
    }
}

/// Removes what a connection's headers name.
fn named(headers: &mut HeaderMap) {
    while let Some(value) = headers.remove(CONNECTION) {
        for name in value.to_str().unwrap_or_default().split(',') {
            let name = name.trim();
            if !name.eq_ignore_ascii_case("keep-alive") && !name.eq_ignore_ascii_case("close") {
                headers.remove(name);
            }
        }
    }
}

/// What goes to a system: without what concerns this connection or Wardline.
pub(super) fn outward(headers: &mut HeaderMap, withheld: &[HeaderName], read: bool, held: bool) {
    without(headers, |name| {
        *name == EXPECT
            // The body may be another one now; what is sent says its length.
            || (read && [CONTENT_LENGTH, CONTENT_ENCODING].contains(name))
            // What is to be read must not be compressed.
            || (held && [ACCEPT_ENCODING, RANGE].contains(name))
            || withheld.contains(name)
    });
}

/// What goes to the caller.
pub(super) fn inward(headers: &mut HeaderMap) {
    without(headers, |name| *name == PROXY_AUTHENTICATE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn nothing_of_one_connection_goes_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Private"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("authorization", "Bearer x"),
            ("accept", "application/json"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        headers.append(CONNECTION, HeaderValue::from_static("accept"));
        outward(&mut headers, &[http::header::AUTHORIZATION], true, true);
        // A second Connection header counts as well.
        assert!(!headers.contains_key(CONNECTION));
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert!(left.is_empty() || left == ["accept"], "{left:?}");
    }
}

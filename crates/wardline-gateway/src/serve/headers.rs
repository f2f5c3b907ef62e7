//! Which headers go on, in both directions.

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, PROXY_AUTHENTICATE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Removes what concerns one connection only (RFC 9110, 7.6.1).
fn one_connection(headers: &mut HeaderMap) {
    // Most requests name nothing here, and a removal that finds nothing still costs a lookup.
    while let Some(value) = headers.remove(CONNECTION) {
        for name in value.to_str().unwrap_or_default().split(',') {
            let name = name.trim();
            if !name.eq_ignore_ascii_case("keep-alive") && !name.eq_ignore_ascii_case("close") {
                headers.remove(name);
            }
        }
    }
    for name in [
        TRANSFER_ENCODING,
        UPGRADE,
        TE,
        TRAILER,
        KEEP_ALIVE,
        PROXY_CONNECTION,
    ] {
        headers.remove(name);
    }
}

/// What goes to a system: without what concerns this connection or Wardline.
pub(super) fn outward(headers: &mut HeaderMap, withheld: &[HeaderName], read: bool, held: bool) {
    one_connection(headers);
    headers.remove(EXPECT);
    if read {
        // The body may be another one now; hyper says its length.
        headers.remove(CONTENT_LENGTH);
        headers.remove(http::header::CONTENT_ENCODING);
    }
    if held {
        // What is to be read must not be compressed.
        headers.remove(ACCEPT_ENCODING);
        headers.remove(http::header::RANGE);
    }
    for name in withheld {
        headers.remove(name);
    }
}

/// What goes to the caller.
pub(super) fn inward(headers: &mut HeaderMap) {
    one_connection(headers);
    headers.remove(PROXY_AUTHENTICATE);
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

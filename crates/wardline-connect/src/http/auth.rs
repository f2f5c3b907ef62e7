//! Proof of who sends, on both sides.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, header};
use wardline_core::Timestamp;

use super::hmac::VendorHmac;
use super::webhook::WebhookKeys;
use crate::secret::{Secret, same};

/// Longest `Authorization` header that is looked at.
const LONGEST_CREDENTIAL: usize = 8 * 1024;

/// Values of which any one will do: the one in use, and the one before while it is changed.
/// Without any, nobody is admitted.
#[derive(Debug, Clone, Default)]
pub struct AnyOf(Vec<Secret>);

impl AnyOf {
    /// All are compared, whichever fits.
    fn matches(&self, given: &[u8]) -> bool {
        let fitting = self.0.iter().filter(|one| same(one.expose(), given));
        fitting.count() > 0
    }
}

impl From<Vec<Secret>> for AnyOf {
    fn from(all: Vec<Secret>) -> Self {
        Self(all)
    }
}

impl From<&str> for AnyOf {
    fn from(one: &str) -> Self {
        Self(vec![one.into()])
    }
}

/// How a sender proves who it is. Values are compared in constant time.
#[derive(Debug, Clone)]
pub enum InboundAuth {
    /// Not at all. Only for listeners that nothing else can reach.
    None,
    /// HTTP Basic (RFC 7617); the secret is `user:password`.
    Basic(AnyOf),
    /// A bearer token (RFC 6750).
    Bearer(AnyOf),
    /// A signature over id, time and body (Standard Webhooks).
    Webhook(WebhookKeys),
    /// An HMAC in a header, as a vendor does it.
    Hmac(VendorHmac),
}

impl InboundAuth {
    /// The scheme to name in `WWW-Authenticate`.
    pub(super) const fn challenge(&self) -> &'static str {
        match self {
            Self::None | Self::Webhook(_) | Self::Hmac(_) => "Signature",
            Self::Basic(_) => "Basic realm=\"wardline\", charset=\"UTF-8\"",
            Self::Bearer(_) => "Bearer realm=\"wardline\"",
        }
    }

    /// Checks what needs the whole body, before anything in it is looked at.
    pub(super) fn admits_body(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> bool {
        match self {
            Self::Webhook(keys) => keys.verify(headers, body, now),
            Self::Hmac(vendor) => vendor.verify(headers, body, now),
            Self::None | Self::Basic(_) | Self::Bearer(_) => true,
        }
    }

    /// Checks what can be checked before the body is read.
    pub(super) fn admits_head(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::None => true,
            Self::Webhook(_) => WebhookKeys::has_headers(headers),
            Self::Hmac(vendor) => vendor.has_headers(headers),
            Self::Basic(expected) => credential(headers, "basic")
                .and_then(|text| STANDARD.decode(text).ok())
                .map(Secret::new)
                .is_some_and(|given| expected.matches(given.expose())),
            Self::Bearer(expected) => credential(headers, "bearer")
                .is_some_and(|given| expected.matches(given.as_bytes())),
        }
    }
}

/// The credential behind `scheme`, where there is exactly one `Authorization` header.
fn credential<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?;
    if values.next().is_some() || value.len() > LONGEST_CREDENTIAL {
        return None;
    }
    let (given, credential) = value.to_str().ok()?.split_once(' ')?;
    given
        .eq_ignore_ascii_case(scheme)
        .then(|| credential.trim())
}

/// Credentials that every request carries.
#[derive(Debug, Clone)]
pub enum OutboundAuth {
    /// None.
    None,
    /// HTTP Basic (RFC 7617); the secret is `user:password`.
    Basic(Secret),
    /// A bearer token (RFC 6750).
    Bearer(Secret),
    /// A header of the server's own, such as `X-Api-Key`.
    Header(HeaderName, Secret),
}

impl OutboundAuth {
    /// The header to send, marked sensitive; an error where the secret holds bytes that no
    /// header may hold.
    pub fn header(&self) -> Result<Option<(HeaderName, HeaderValue)>, header::InvalidHeaderValue> {
        let prefixed = |scheme: &str, value: &[u8]| {
            let text = Secret::new([scheme.as_bytes(), value].concat());
            HeaderValue::from_bytes(text.expose())
        };
        let (name, value) = match self {
            Self::None => return Ok(None),
            Self::Basic(secret) => {
                let encoded = Secret::new(STANDARD.encode(secret.expose()));
                (AUTHORIZATION, prefixed("Basic ", encoded.expose()))
            }
            Self::Bearer(secret) => (AUTHORIZATION, prefixed("Bearer ", secret.expose())),
            Self::Header(name, secret) => (name.clone(), prefixed("", secret.expose())),
        };
        let mut value = value?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn credentials_are_compared_whole() {
        let basic = InboundAuth::Basic("erp:pass:word".into());
        let bearer = InboundAuth::Bearer("abc".into());
        let right = STANDARD.encode("erp:pass:word");
        let wrong = STANDARD.encode("erp:pass:wor");
        assert!(basic.admits_head(&headers(&[&format!("Basic {right}")])));
        assert!(basic.admits_head(&headers(&[&format!("basic {right}")])));
        assert!(bearer.admits_head(&headers(&["BEARER abc"])));
        for refused in [
            vec![],
            vec![format!("Basic {wrong}")],
            vec![format!("Bearer {right}")],
            vec!["Basic ???".to_owned()],
            vec![format!("Basic {right}"), format!("Basic {right}")],
        ] {
            let values: Vec<&str> = refused.iter().map(String::as_str).collect();
            assert!(!basic.admits_head(&headers(&values)), "{values:?}");
        }
        assert!(!bearer.admits_head(&headers(&["Bearer abcd"])));
        assert!(!bearer.admits_head(&headers(&["abc"])));
    }

    #[test]
    fn any_of_several_will_do_and_none_admits_nobody() {
        let two = InboundAuth::Bearer(vec!["new".into(), "old".into()].into());
        for (token, admitted) in [("new", true), ("old", true), ("other", false), ("", false)] {
            let given = headers(&[&format!("Bearer {token}")]);
            assert_eq!(two.admits_head(&given), admitted, "{token}");
            assert!(!InboundAuth::Bearer(AnyOf::default()).admits_head(&given));
        }
    }

    #[test]
    fn outbound_headers_are_sensitive() {
        let (name, value) = OutboundAuth::Basic("Aladdin:open sesame".into())
            .header()
            .unwrap()
            .unwrap();
        assert_eq!(name, AUTHORIZATION);
        // The example of RFC 7617 section 2.
        assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(format!("{value:?}"), "Sensitive");
        assert!(OutboundAuth::Bearer("a\nb".into()).header().is_err());
    }
}

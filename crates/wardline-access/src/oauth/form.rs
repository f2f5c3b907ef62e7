//! Bodies of the endpoints: `application/x-www-form-urlencoded`, each parameter once
//! (RFC 6749 §3.2).

use super::MAX_BODY;
use crate::token::Reason;
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use std::collections::BTreeMap;

/// Parameters of one request.
const MAX_PARAMETERS: usize = 32;

/// Parameters by name. An empty one is one that was not sent (RFC 6749 §3.2).
#[derive(Default)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    pub(super) fn of(request: &Request<Bytes>) -> Result<Self, Reason> {
        let kind = request.headers().get(CONTENT_TYPE);
        let is_form = kind
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| {
                let kind = kind.split(';').next().unwrap_or("").trim();
                kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
            });
        // Credentials do not belong into URLs, which are logged everywhere.
        if !is_form || request.body().len() > MAX_BODY || request.uri().query().is_some() {
            return Err(Reason::Request);
        }
        let mut form = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(request.body()) {
            if form.len() >= MAX_PARAMETERS
                || form.insert(name.into_owned(), value.into_owned()).is_some()
            {
                return Err(Reason::Request);
            }
        }
        form.retain(|_, value| !value.is_empty());
        Ok(Self(form))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Undoes the form encoding of one value, as the two parts of Basic credentials are encoded
/// (RFC 6749 §2.3.1); `None` where an escape is none.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => (digit(bytes.next()?)? << 4 | digit(bytes.next()?)?) as u8,
            other => other,
        });
    }
    Some(out)
}

//! Fills `/accounts/{account}/close` from the body that will be sent.

use std::fmt::Write as _;

/// Renders a path template with top-level members of a JSON body; values are
/// percent-encoded as one path segment (RFC 3986 section 3.3). Returns the name of the
/// first member that is missing or is no text, number or boolean.
pub(crate) fn render(template: &str, body: &[u8]) -> Result<String, String> {
    let members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(body).unwrap_or_default();
    let mut out = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}').map(|i| open + i) else {
            break;
        };
        out.push_str(&rest[..open]);
        let name = &rest[open + 1..close];
        match members.get(name) {
            Some(serde_json::Value::String(text)) if !text.is_empty() => encode(text, &mut out),
            Some(serde_json::Value::Number(number)) => encode(&number.to_string(), &mut out),
            Some(serde_json::Value::Bool(flag)) => encode(&flag.to_string(), &mut out),
            _ => return Err(name.to_owned()),
        }
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// A text as a part of a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    encode(text, &mut out);
    out
}

fn encode(text: &str, out: &mut String) {
    // `.` and `..` alone would be resolved away by clients and proxies.
    let dots = matches!(text, "." | "..");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'~')
            || (byte == b'.' && !dots)
        {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn values_stay_one_segment() {
        let body = br#"{"account":"A/../7 \u00e9","n":12,"dots":"..","empty":""}"#;
        assert_eq!(
            render("/accounts/{account}/close", body).unwrap(),
            "/accounts/A%2F..%2F7%20%C3%A9/close"
        );
        assert_eq!(render("/n/{n}", body).unwrap(), "/n/12");
        assert_eq!(render("/d/{dots}", body).unwrap(), "/d/%2E%2E");
        assert_eq!(render("/e/{empty}", body).unwrap_err(), "empty");
        assert_eq!(render("/x/{missing}", b"not json").unwrap_err(), "missing");
        assert_eq!(render("/plain", b"").unwrap(), "/plain");
    }
}

//! One id for everything that follows from a request.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it, in both directions.
pub const HEADER: HeaderName = HeaderName::from_static("x-correlation-id");
/// W3C Trace Context, which is believed where `x-correlation-id` is absent.
const TRACE: HeaderName = HeaderName::from_static("traceparent");
/// Longer ids are not taken over.
const LONGEST: usize = 64;

/// A correlation id: the caller's where it is well formed, else a fresh one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Correlation(HeaderValue);

impl Correlation {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let own = headers.get(HEADER).filter(|value| {
            let bytes = value.as_bytes();
            let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:".contains(byte);
            (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(fine)
        });
        if let Some(own) = own {
            return Self(own.clone());
        }
        let traced = headers
            .get(TRACE)
            .and_then(|value| trace_id(value.as_bytes()));
        traced.map_or_else(Self::fresh, Self)
    }

    fn fresh() -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text
            .chunks_exact_mut(2)
            .zip(rand::random::<u128>().to_le_bytes())
        {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        Self(HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("unknown")))
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// The trace id of a `traceparent` (version, trace, parent, flags), where it is valid.
fn trace_id(value: &[u8]) -> Option<HeaderValue> {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let shape = value.len() >= 55 && value[2] == b'-' && value[35] == b'-' && value[52] == b'-';
    if !shape || (value.len() > 55 && (value.starts_with(b"00") || value[55] != b'-')) {
        return None;
    }
    let (version, trace, parent, flags) =
        (&value[..2], &value[3..35], &value[36..52], &value[53..55]);
    let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == b'0');
    let fine = [version, trace, parent, flags].into_iter().all(hex)
        && version != b"ff"
        && !zero(trace)
        && !zero(parent);
    fine.then(|| HeaderValue::from_bytes(trace).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &HeaderName, value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(name.clone(), HeaderValue::from_str(value).unwrap());
        Correlation::of(&headers).as_str().to_owned()
    }

    #[test]
    fn valid_ids_are_taken_over_and_others_replaced() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(of(&HEADER, "order-7.a:b"), "order-7.a:b");
        assert_eq!(
            of(&TRACE, &format!("00-{trace}-00f067aa0ba902b7-01")),
            trace
        );
        assert_eq!(
            of(&TRACE, &format!("cc-{trace}-00f067aa0ba902b7-01-what")),
            trace
        );
        for bad in [
            format!("00-{trace}-00f067aa0ba902b7-01-what"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            "00".into(),
        ] {
            let id = of(&TRACE, &bad);
            assert_eq!(id.len(), 32, "{bad}");
            assert_ne!(id, trace);
        }
        for bad in ["a b", "<script>", &"x".repeat(65), ""] {
            assert_eq!(of(&HEADER, bad).len(), 32, "{bad}");
        }
    }
}

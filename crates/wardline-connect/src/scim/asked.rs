//! A request of SCIM, read from its head.

use http::Method;
use wardline_scim::{Error, Why};

/// What is asked for.
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// The segments below the service's address.
    pub(crate) segments: Vec<String>,
    pub(crate) query: Query,
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
    /// The service's address, as answers name it.
    pub(crate) base: String,
}

impl Asked {
    /// The first segments, empty where there are none.
    pub(crate) fn place(&self) -> (&str, Option<&str>) {
        let mut all = self.segments.iter().map(String::as_str);
        (all.next().unwrap_or_default(), all.next())
    }
}

/// The segments of a path, unescaped. `None` where they are no texts.
pub(crate) fn segments(path: &str) -> Option<Vec<String>> {
    let all = path.split('/').filter(|one| !one.is_empty());
    all.map(|one| unescaped(one, false)).collect()
}

/// The parameters of a request.
#[derive(Debug, Default, Clone)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands behind the `?`.
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        let all = text.split('&').filter(|one| !one.is_empty()).map(|one| {
            let (name, value) = one.split_once('=').unwrap_or((one, ""));
            Some((unescaped(name, true)?, unescaped(value, true)?))
        });
        let all: Option<Vec<_>> = all.collect();
        let broken = || {
            Error::bad(
                Why::InvalidSyntax,
                "the query is not escaped as it should be",
            )
        };
        all.map(Self).ok_or_else(broken)
    }

    /// Reads the body of a search by POST.
    pub(crate) fn of_search(body: &serde_json::Value) -> Result<Self, Error> {
        let body = body
            .as_object()
            .ok_or_else(|| Error::bad(Why::InvalidSyntax, "a search is a JSON object"))?;
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(all) => {
                let all: Vec<&str> = all.iter().filter_map(serde_json::Value::as_str).collect();
                all.join(",")
            }
            other => other.to_string(),
        };
        let all = body.iter().filter(|(_, value)| !value.is_null());
        Ok(Self(
            all.map(|(name, value)| (name.clone(), text(value)))
                .collect(),
        ))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// A number, not below `least`.
    pub(crate) fn number(&self, name: &str, least: i64) -> Result<Option<u64>, Error> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let bad = |_| Error::bad(Why::InvalidValue, format!("`{name}` is a whole number"));
        let number = text.parse::<i64>().map_err(bad)?;
        Ok(Some(number.max(least).unsigned_abs()))
    }
}

/// A text without its escapes; in a form `+` is a space. `None` where it is no text.
pub(crate) fn unescaped(text: &str, form: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if form => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Whether an entity tag of a header is that of a version. `*` is that of any.
pub(crate) fn tagged(header: &str, tag: &str) -> bool {
    let weak = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let mut all = header.split(',').map(str::trim);
    all.any(|one| one == "*" || weak(one) == weak(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_is_read_and_what_is_not_is_refused() {
        let query = Query::read("filter=userName%20eq+%22%C3%A9%22&count=-3&x").unwrap();
        assert_eq!(query.get("Filter"), Some("userName eq \"é\""));
        assert_eq!(query.number("count", 0).unwrap(), Some(0));
        assert_eq!(query.get("x"), Some(""));
        for broken in ["a=%", "a=%f", "a=%zz", "a=%ff"] {
            assert!(Query::read(broken).is_err());
        }
        assert_eq!(segments("/Users/a%2Fb/").unwrap(), ["Users", "a/b"]);
    }

    #[test]
    fn tags_are_compared_weakly() {
        assert!(tagged("W/\"3\", \"4\"", "W/\"4\"") && tagged("*", "W/\"1\""));
        assert!(!tagged("W/\"3\"", "W/\"33\""));
    }
}

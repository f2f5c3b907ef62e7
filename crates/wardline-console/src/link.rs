//! Addresses within the console, built in one place so that they are escaped in one place.

use wardline_core::Id;
use wardline_engine::view::Part;

/// Percent-encodes everything that is not unreserved (RFC 3986 section 2.3).
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                for half in [byte >> 4, byte & 15] {
                    out.push(
                        char::from_digit(u32::from(half), 16)
                            .unwrap_or('0')
                            .to_ascii_uppercase(),
                    );
                }
            }
        }
    }
    out
}

/// The search page for a text that holds no key.
pub(crate) fn messages(query: &str) -> String {
    format!("/messages?q={}", encode(query))
}

/// The page of a destination.
pub(crate) fn destination(name: &str) -> String {
    format!("/destinations/{}", encode(name))
}

/// The page of a process.
pub(crate) fn process(name: &str) -> String {
    format!("/processes/{}", encode(name))
}

/// An address with parameters; those without a value are left out. None may hold a key.
pub(crate) fn with(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut out = path.to_owned();
    let mut sign = '?';
    for (name, value) in parameters {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            out.push(sign);
            out.push_str(name);
            out.push('=');
            out.push_str(&encode(value));
            sign = '&';
        }
    }
    out
}

/// The page of a group of failures at a destination.
pub(crate) fn group(fingerprint: &str, destination: &str) -> String {
    format!(
        "/dead/{}?destination={}",
        encode(fingerprint),
        encode(destination)
    )
}

/// A trace with one hop opened.
pub(crate) fn hop(root: Id, hop: Id, part: Part) -> String {
    format!("/trace/{root}?hop={hop}&part={}", part_word(part))
}

/// The word of a part in addresses.
pub(crate) const fn part_word(part: Part) -> &'static str {
    match part {
        Part::Payload => "payload",
        Part::Body => "body",
        Part::Response => "response",
    }
}

/// The part of a word in an address.
pub(crate) fn part_of(word: &str) -> Option<Part> {
    [Part::Payload, Part::Body, Part::Response]
        .into_iter()
        .find(|part| part_word(*part) == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_odd_is_escaped() {
        assert_eq!(encode("a b&c=é/../"), "a%20b%26c%3D%C3%A9%2F..%2F");
        assert_eq!(destination("x/../y"), "/destinations/x%2F..%2Fy");
        assert_eq!(
            with(
                "/x",
                &[
                    ("a", None),
                    ("b", Some("1 2")),
                    ("c", Some("")),
                    ("d", Some("&"))
                ]
            ),
            "/x?b=1%202&d=%26"
        );
        assert_eq!(messages("type:ADT^A03"), "/messages?q=type%3AADT%5EA03");
    }
}

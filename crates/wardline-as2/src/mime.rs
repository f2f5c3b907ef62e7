//! MIME as far as AS2 needs it: heads, parameters, parts, transfer encodings. Parts are the very bytes
//! that came, because signatures are over them.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, PAD};

/// Parts of a multipart that are read.
const PARTS: usize = 16;
/// The longest head.
const HEAD: usize = 16 << 10;

/// Something with a head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entity<'a> {
    head: &'a [u8],
    pub(crate) body: &'a [u8],
    /// All of it.
    pub(crate) raw: &'a [u8],
}

impl<'a> Entity<'a> {
    /// Parts head from body.
    pub(crate) fn read(raw: &'a [u8]) -> Option<Self> {
        if let Some(body) = raw.strip_prefix(b"\r\n") {
            return Some(Self {
                head: &[],
                body,
                raw,
            });
        }
        let found = |end: &[u8]| memchr::memmem::find(raw, end).map(|at| (at, at + end.len()));
        let (crlf, lf) = (found(b"\r\n\r\n"), found(b"\n\n"));
        let (head, body) = match (crlf, lf) {
            (Some(crlf), Some(lf)) if lf.0 < crlf.0 => lf,
            (Some(crlf), _) => crlf,
            (None, lf) => lf?,
        };
        (head <= HEAD).then(|| Self {
            head: &raw[..head],
            body: &raw[body..],
            raw,
        })
    }

    /// The value of a field of its head, unfolded.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        field(self.head, name)
    }

    /// Its body without a transfer encoding.
    pub(crate) fn decoded(&self) -> Option<Vec<u8>> {
        let encoding = self.field("content-transfer-encoding").unwrap_or_default();
        decode(self.body, &encoding)
    }
}

/// Takes a transfer encoding away.
pub(crate) fn decode(body: &[u8], encoding: &str) -> Option<Vec<u8>> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "7bit" | "8bit" | "binary" => Some(body.to_vec()),
        "base64" => {
            let plain: Vec<u8> = body
                .iter()
                .copied()
                .filter(|byte| !byte.is_ascii_whitespace())
                .collect();
            let engine = GeneralPurpose::new(
                &STANDARD,
                NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent),
            );
            engine.decode(plain).ok()
        }
        "quoted-printable" => quoted(body),
        _ => None,
    }
}

fn quoted(body: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            plain.push(byte);
        } else if let Some(after) = rest
            .strip_prefix(b"\r\n")
            .or_else(|| rest.strip_prefix(b"\n"))
        {
            rest = after;
        } else {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            plain.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        }
    }
    Some(plain)
}

/// Base64 in lines.
pub(crate) fn lines(bytes: &[u8]) -> String {
    let all = encode(bytes);
    let mut text = String::with_capacity(all.len() + all.len() / 32);
    for (n, one) in all.chars().enumerate() {
        if n > 0 && n % 64 == 0 {
            text.push_str("\r\n");
        }
        text.push(one);
    }
    text
}

/// Base64 in one line.
pub(crate) fn encode(bytes: &[u8]) -> String {
    GeneralPurpose::new(&STANDARD, PAD).encode(bytes)
}

/// The value of a field in lines of fields, unfolded; the first of its name.
pub(crate) fn field(head: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    let mut found: Option<String> = None;
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some(value) = &mut found {
                value.push(' ');
                value.push_str(line.trim());
            }
            continue;
        }
        if found.is_some() {
            break;
        }
        if let Some((key, value)) = line.split_once(':')
            && key.trim().eq_ignore_ascii_case(name)
        {
            found = Some(value.trim().to_owned());
        }
    }
    found
}

/// A media type without its parameters, in lower case.
pub(crate) fn essence(value: &str) -> String {
    value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// A parameter of a value; quotes taken away.
pub(crate) fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    loop {
        // What stands in quotes parts nothing.
        let mut quoted = false;
        let mut escaped = false;
        let at = rest.char_indices().find(|(_, one)| {
            let parts = *one == ';' && !quoted;
            if escaped {
                escaped = false;
            } else {
                quoted ^= *one == '"';
                escaped = quoted && *one == '\\';
            }
            parts
        });
        let (one, after) = match at {
            Some((at, _)) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        if let Some((key, value)) = one.split_once('=')
            && key.trim().eq_ignore_ascii_case(name)
        {
            return Some(unquoted(value));
        }
        rest = after?;
    }
}

/// A text without the quotes around it.
pub(crate) fn unquoted(text: &str) -> String {
    let text = text.trim();
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner.map_or_else(
        || text.to_owned(),
        |inner| inner.replace("\\\"", "\"").replace("\\\\", "\\"),
    )
}

/// The parts of a multipart, byte for byte.
pub(crate) fn parts<'a>(body: &'a [u8], boundary: &str) -> Option<Vec<&'a [u8]>> {
    if boundary.is_empty() || boundary.len() > 100 {
        return None;
    }
    let mark = format!("--{boundary}");
    let mut found = Vec::new();
    let mut begin: Option<usize> = None;
    for at in memchr::memmem::find_iter(body, mark.as_bytes()) {
        // A mark stands at the beginning of a line, and its line ends with it.
        if at > 0 && body[at - 1] != b'\n' {
            continue;
        }
        let after = &body[at + mark.len()..];
        let last = after.starts_with(b"--");
        let line = after.iter().position(|byte| *byte == b'\n');
        let rest = &after[..line.unwrap_or(after.len())];
        let rest = if last { &rest[2..] } else { rest };
        if !rest.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            continue;
        }
        if let Some(begin) = begin {
            // The line's end before a mark belongs to the mark.
            let mut end = at;
            if end > begin && body[end - 1] == b'\n' {
                end -= 1;
                if end > begin && body[end - 1] == b'\r' {
                    end -= 1;
                }
            }
            found.push(&body[begin..end.max(begin)]);
        }
        if last {
            return Some(found);
        }
        if found.len() == PARTS {
            return None;
        }
        begin = Some(at + mark.len() + line? + 1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_bytes_that_came() {
        let body = b"before\r\n--b\r\nA: 1\r\n\r\none\r\n\r\n--b \r\n\r\ntwo --b\r\n--bc\r\n--b--\r\nafter";
        let found = parts(body, "b").unwrap_or_default();
        assert_eq!(found, [&b"A: 1\r\n\r\none\r\n"[..], b"\r\ntwo --b\r\n--bc"]);
        assert_eq!(
            Entity::read(found[0]).and_then(|one| one.field("a")),
            Some("1".into())
        );
        assert!(parts(b"--b\r\nno end", "b").is_none());
    }

    #[test]
    fn parameters_are_found_in_quotes_and_without() {
        let value = "multipart/signed; protocol=\"a;b\"; Boundary = \"x\\\"y\"; micalg=sha-256";
        assert_eq!(parameter(value, "protocol").as_deref(), Some("a;b"));
        assert_eq!(parameter(value, "boundary").as_deref(), Some("x\"y"));
        assert_eq!(parameter(value, "micalg").as_deref(), Some("sha-256"));
        assert_eq!(parameter(value, "none"), None);
        assert_eq!(essence(value), "multipart/signed");
        assert_eq!(
            field(b"A: 1\r\nB: 2\r\n 3\r\nC: 4", "b").as_deref(),
            Some("2 3")
        );
        assert_eq!(
            decode(b"a=3D\r\nb=\r\nc", "quoted-printable"),
            Some(b"a=\r\nbc".to_vec())
        );
    }
}

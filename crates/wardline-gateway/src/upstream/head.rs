//! Heads of calls and of answers (RFC 9112), as bytes.
//!
//! What a system answers is read as strictly as what callers send: an answer whose end can be
//! understood in two ways is none, since what is left over would answer the next caller.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// Larger heads are no answers.
pub(super) const MOST_BYTES: usize = 64 * 1024;
/// Neither are heads of more headers.
const MOST_HEADERS: usize = 128;

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Exact(u64),
    Chunked,
    /// It ends with the connection.
    ToEnd,
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) length: Length,
    /// Whether the system keeps the connection open.
    pub(super) keeps: bool,
}

/// The bytes are no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoAnswer;

/// What a call's head is written of.
pub(super) struct Lines<'a> {
    pub(super) method: &'a Method,
    /// What stands before the target.
    pub(super) prefix: &'a str,
    pub(super) target: &'a str,
    pub(super) authority: &'a HeaderValue,
    pub(super) headers: &'a HeaderMap,
    /// `None`: no body, and nothing is said of one.
    pub(super) length: Option<Length>,
}

/// Writes the head of a call; `None` where its target is none, of which nothing may leave.
pub(super) fn write(out: &mut Vec<u8>, lines: &Lines<'_>) -> Option<()> {
    let blank = |byte: u8| byte <= b' ' || byte == 0x7f;
    if lines.prefix.bytes().chain(lines.target.bytes()).any(blank) {
        return None;
    }
    out.extend_from_slice(lines.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(lines.prefix.as_bytes());
    if !lines.prefix.is_empty() || lines.target.starts_with('/') {
        out.extend_from_slice(lines.target.as_bytes());
    } else {
        out.push(b'/');
        out.extend_from_slice(lines.target.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(lines.authority.as_bytes());
    for (name, value) in lines.headers {
        // These are said by what is really sent, and to whom.
        if name == HOST || name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
            continue;
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
    }
    match lines.length {
        Some(Length::Exact(length)) => {
            out.extend_from_slice(b"\r\ncontent-length: ");
            decimal(out, length);
        }
        Some(Length::Chunked) => out.extend_from_slice(b"\r\ntransfer-encoding: chunked"),
        Some(Length::ToEnd) | None => {}
    }
    out.extend_from_slice(b"\r\n\r\n");
    Some(())
}

fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Where a head ends, looking on from where the line that is not whole begins; `line` is moved on.
pub(super) fn end(bytes: &[u8], line: &mut usize) -> Result<Option<usize>, NoAnswer> {
    // Who speaks something else says so with the first bytes, and may then wait for us.
    if !bytes.iter().zip(b"HTTP/1.").all(|(is, must)| is == must) {
        return Err(NoAnswer);
    }
    let from = *line;
    for feed in memchr::memchr_iter(b'\n', &bytes[from..]) {
        let feed = from + feed;
        if feed == *line || bytes[feed - 1] != b'\r' {
            return Err(NoAnswer);
        }
        if feed == *line + 1 {
            return Ok(Some(feed + 1));
        }
        *line = feed + 1;
    }
    if bytes.len() > MOST_BYTES {
        return Err(NoAnswer);
    }
    Ok(None)
}

/// Reads a whole head of an answer to `method`.
pub(super) fn read(bytes: &Bytes, method: &Method) -> Result<Head, NoAnswer> {
    let mut space = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut answer = httparse::Response::new(&mut []);
    let read = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut answer,
        bytes,
        &mut space,
    );
    if read != Ok(httparse::Status::Complete(bytes.len())) {
        return Err(NoAnswer);
    }
    let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(NoAnswer)?;
    let old = answer.version == Some(0);
    let mut headers = HeaderMap::with_capacity(answer.headers.len() + 4);
    let (mut length, mut chunked, mut keeps) = (None, false, !old);
    for header in &*answer.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| NoAnswer)?;
        // Nothing is copied: values are parts of what was read.
        let value =
            HeaderValue::from_maybe_shared(bytes.slice_ref(header.value)).map_err(|_| NoAnswer)?;
        if name == CONTENT_LENGTH {
            let digits = header.value;
            let fine = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
            if length.is_some() || !fine {
                return Err(NoAnswer);
            }
            length = value.to_str().ok().and_then(|text| text.parse().ok());
        } else if name == TRANSFER_ENCODING {
            if chunked || old || !header.value.eq_ignore_ascii_case(b"chunked") {
                return Err(NoAnswer);
            }
            chunked = true;
        } else if name == CONNECTION {
            for word in header.value.split(|byte| *byte == b',') {
                let word = word.trim_ascii();
                if word.eq_ignore_ascii_case(b"close") {
                    keeps = false;
                } else if old && word.eq_ignore_ascii_case(b"keep-alive") {
                    keeps = true;
                }
            }
        }
        headers.append(name, value);
    }
    let without = *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = match (length, chunked) {
        (Some(_), true) => return Err(NoAnswer),
        _ if without => Length::Exact(0),
        (Some(length), false) => Length::Exact(length),
        (None, true) => Length::Chunked,
        (None, false) => Length::ToEnd,
    };
    Ok(Head {
        status,
        headers,
        length,
        keeps: keeps && length != Length::ToEnd,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(text: &str, method: &Method) -> Result<Head, NoAnswer> {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let mut line = 0;
        match end(&bytes, &mut line)? {
            Some(at) => read(&bytes.slice(..at), method),
            None => Err(NoAnswer),
        }
    }

    #[test]
    fn the_end_of_an_answer_is_known_in_one_way_or_it_is_none() {
        use Length::{Chunked, Exact, ToEnd};
        for (text, length, keeps) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n",
                Exact(12),
                true,
            ),
            (
                "HTTP/1.1 200\r\ncontent-length:0\r\nConnection: Close\r\n\r\n",
                Exact(0),
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
                Chunked,
                true,
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", ToEnd, false),
            ("HTTP/1.1 204 No\r\n\r\n", Exact(0), true),
            (
                "HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n",
                Exact(0),
                true,
            ),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
                Exact(1),
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\nConnection: x, keep-alive\r\nContent-Length: 1\r\n\r\n",
                Exact(1),
                true,
            ),
        ] {
            let head = answer(text, &Method::GET).unwrap();
            assert_eq!((head.length, head.keeps), (length, keeps), "{text:?}");
        }
        let head = answer(
            "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n",
            &Method::HEAD,
        );
        assert_eq!(head.unwrap().length, Exact(0));
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
            "HTTP/1.1 200 OK\nA: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "\n",
            "220 mail.example ESMTP\r\n\r\n",
        ] {
            assert_eq!(
                answer(text, &Method::GET).unwrap_err(),
                NoAnswer,
                "{text:?}"
            );
        }
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(MOST_BYTES));
        assert_eq!(answer(&long, &Method::GET).unwrap_err(), NoAnswer);
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(129));
        assert_eq!(answer(&many, &Method::GET).unwrap_err(), NoAnswer);
    }

    #[test]
    fn a_call_says_of_its_body_what_is_sent() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "caller.example"),
            ("content-length", "7"),
            ("transfer-encoding", "chunked"),
            ("accept", "a/b"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let said = |target: &str, length: Option<Length>| {
            let mut out = Vec::new();
            let lines = Lines {
                method: &Method::PUT,
                prefix: "/v1",
                target,
                authority: &HeaderValue::from_static("erp.example"),
                headers: &headers,
                length,
            };
            write(&mut out, &lines).map(|()| String::from_utf8(out).unwrap())
        };
        let head = "PUT /v1/a?b HTTP/1.1\r\nhost: erp.example\r\naccept: a/b\r\n";
        assert_eq!(said("/a?b", None), Some(format!("{head}\r\n")));
        assert_eq!(
            said("/a?b", Some(Length::Exact(1_048_576))),
            Some(format!("{head}content-length: 1048576\r\n\r\n"))
        );
        assert_eq!(
            said("/a?b", Some(Length::Chunked)),
            Some(format!("{head}transfer-encoding: chunked\r\n\r\n"))
        );
        for target in ["/a b", "/a\r\nx: y", "/\u{7f}"] {
            assert_eq!(said(target, None), None, "{target:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut line = 0;
            let _ = end(&bytes, &mut line);
            let _ = read(&Bytes::from(bytes), &Method::GET);
        }

        #[test]
        fn where_a_head_ends_does_not_depend_on_how_it_is_cut(cut in 0_usize..38) {
            let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
            let mut line = 0;
            let first = end(&text[..cut], &mut line).unwrap();
            prop_assert_eq!(first, None);
            prop_assert_eq!(end(text, &mut line), Ok(Some(38)));
        }
    }
}

//! The HTTP receiver: reads the mark in `message_id` of a JSON body and says 200; 503 for keys
//! that fail. HTTP/1.1 (RFC 9112) as far as a client with a known body length uses it.

use super::Shared;
use crate::sample::Mark;
use memchr::memmem;
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Head and body together; more is no request of a bench.
const MOST: usize = 1 << 20;
const TAKEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const FAILING: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

pub(super) async fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut input: Vec<u8> = Vec::with_capacity(8 * 1_024);
    let find_mark = memmem::Finder::new(b"\"message_id\":\"");
    loop {
        let mut done = 0;
        let mut answers: Vec<u8> = Vec::new();
        while let Some(request) = request(&input[done..])? {
            let body = &input[done + request.body..done + request.end];
            let mark = find_mark
                .find(body)
                .and_then(|at| Mark::read(&body[at + find_mark.needle().len()..]));
            if mark.is_some_and(|mark| shared.faults.now(mark.key)) {
                answers.extend_from_slice(FAILING);
            } else {
                shared.order.arrived(mark);
                answers.extend_from_slice(TAKEN);
            }
            done += request.end;
        }
        input.drain(..done);
        if !answers.is_empty() {
            stream.write_all(&answers).await?;
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

/// Where the body of a request begins and where the request ends.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    body: usize,
    end: usize,
}

/// The first request of `input`, if it is there as a whole.
fn request(input: &[u8]) -> io::Result<Option<Request>> {
    let refuse = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let Some(head) = memmem::find(input, END_OF_HEAD) else {
        return if input.len() > MOST {
            Err(refuse("a head without an end"))
        } else {
            Ok(None)
        };
    };
    let body = head + END_OF_HEAD.len();
    let mut length = 0_usize;
    for line in input[..head].split(|&byte| byte == b'\n').skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let text =
                std::str::from_utf8(value).map_err(|_| refuse("a length that is no text"))?;
            length = text
                .parse()
                .map_err(|_| refuse("a length that is no number"))?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(refuse("a body of unknown length"));
        }
    }
    if length > MOST {
        return Err(refuse("a body that is too large"));
    }
    let end = body + length;
    Ok((input.len() >= end).then_some(Request { body, end }))
}

#[cfg(test)]
mod tests {
    use super::{Request, request};

    #[test]
    fn requests_are_cut_where_they_end() {
        let text = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloPOST";
        assert_eq!(request(text).unwrap(), Some(Request { body: 48, end: 53 }));
        assert_eq!(&text[48..53], b"hello");
        assert_eq!(request(&text[..52]).unwrap(), None);
        assert_eq!(request(&text[..20]).unwrap(), None);
        assert_eq!(
            request(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap(),
            Some(Request { body: 27, end: 27 })
        );
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for head in [
            "content-length: x",
            "transfer-encoding: chunked",
            "content-length: 99999999999",
        ] {
            let text = format!("POST / HTTP/1.1\r\n{head}\r\n\r\n");
            assert!(request(text.as_bytes()).is_err(), "{head}");
        }
    }
}

//! Where one request ends and the next begins, read strictly (RFC 9112), before hyper reads it.
//!
//! hyper forgives what a proxy in front may read differently: it drops a `Content-Length` beside
//! `Transfer-Encoding`, merges equal lengths and takes a bare LF for a line's end. Each of those
//! has been used to smuggle requests, so whatever can be read in two ways is refused here.

use crate::chunk::{Chunk, NEW_CHUNK, Next, next};

/// Why a connection's bytes are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// They can be read in two ways.
    Framing,
    /// The head is larger than is taken.
    TooLarge,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes may go on.
    Pass(usize),
    /// The head is not whole yet: come again with these bytes and more.
    Incomplete,
    /// A head must not go on.
    RefusedHead(Refused),
    /// A body that began must not go on.
    RefusedBody,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Empty lines that may stand before a request line.
const EMPTY_LINES: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing came yet: may be HTTP/2.
    First,
    Head {
        empty: u8,
    },
    Length(u64),
    Chunked(Chunk),
    /// HTTP/2 frames itself.
    Through,
}

/// Reads along with one connection.
#[derive(Debug)]
pub(crate) struct Framing {
    state: State,
    head_bytes: usize,
    headers: usize,
}

impl Framing {
    pub(crate) fn new(head_bytes: usize, headers: usize) -> Self {
        Self {
            state: State::First,
            head_bytes,
            headers,
        }
    }

    /// Whether a body began and is not at its end.
    pub(crate) fn in_body(&self) -> bool {
        matches!(self.state, State::Length(_) | State::Chunked(_))
    }

    /// Looks at the bytes that come next; call again with what is left after [`Step::Pass`].
    pub(crate) fn step(&mut self, bytes: &[u8]) -> Step {
        match self.state {
            State::Through => Step::Pass(bytes.len()),
            State::First => {
                if bytes.starts_with(PREFACE) {
                    self.state = State::Through;
                    return Step::Pass(bytes.len());
                }
                if PREFACE.starts_with(bytes) {
                    return Step::Incomplete;
                }
                self.state = State::Head { empty: 0 };
                self.head(bytes, 0)
            }
            State::Head { empty } => self.head(bytes, empty),
            State::Length(left) => {
                let taken = left.min(bytes.len() as u64);
                self.state = if taken == left {
                    State::Head { empty: 0 }
                } else {
                    State::Length(left - taken)
                };
                Step::Pass(taken as usize)
            }
            State::Chunked(chunk) => self.chunks(bytes, chunk),
        }
    }

    fn head(&mut self, bytes: &[u8], empty: u8) -> Step {
        if bytes.starts_with(b"\r\n") {
            if empty == EMPTY_LINES {
                return Step::RefusedHead(Refused::Framing);
            }
            self.state = State::Head { empty: empty + 1 };
            return Step::Pass(2);
        }
        let mut reading = Head::default();
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            if end >= self.head_bytes {
                return Step::RefusedHead(Refused::TooLarge);
            }
            let Some(line) = bytes[begin..end].strip_suffix(b"\r") else {
                return Step::RefusedHead(Refused::Framing);
            };
            if line.is_empty() {
                return match reading.body() {
                    Some(state) => {
                        self.state = state;
                        Step::Pass(end + 1)
                    }
                    None => Step::RefusedHead(Refused::Framing),
                };
            }
            if reading.lines > self.headers {
                return Step::RefusedHead(Refused::TooLarge);
            }
            if reading.line(line).is_none() {
                return Step::RefusedHead(Refused::Framing);
            }
            begin = end + 1;
        }
        if bytes.len() > self.head_bytes {
            Step::RefusedHead(Refused::TooLarge)
        } else {
            Step::Incomplete
        }
    }

    fn chunks(&mut self, bytes: &[u8], mut chunk: Chunk) -> Step {
        let mut at = 0;
        while at < bytes.len() {
            if let Chunk::Data(left) = chunk {
                let taken = left.min((bytes.len() - at) as u64);
                at += taken as usize;
                chunk = if taken == left {
                    Chunk::DataCr
                } else {
                    Chunk::Data(left - taken)
                };
                continue;
            }
            let byte = bytes[at];
            at += 1;
            chunk = match next(chunk, byte) {
                Next::Goes(chunk) => chunk,
                Next::Ends => {
                    self.state = State::Head { empty: 0 };
                    return Step::Pass(at);
                }
                Next::Refused => return Step::RefusedBody,
            };
        }
        self.state = State::Chunked(chunk);
        Step::Pass(bytes.len())
    }
}

/// What a head says about the body that follows.
#[derive(Debug, Default)]
struct Head {
    lines: usize,
    old: bool,
    length: Option<u64>,
    chunked: bool,
    hosts: usize,
}

impl Head {
    /// `None` where the line is refused.
    fn line(&mut self, line: &[u8]) -> Option<()> {
        if memchr::memchr2(b'\r', 0, line).is_some() {
            return None;
        }
        self.lines += 1;
        if self.lines == 1 {
            return self.request_line(line);
        }
        // A name with a space before the colon, or a folded line, ends here as well.
        let colon = memchr::memchr(b':', line).filter(|at| *at > 0)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.iter().any(|byte| !byte.is_ascii_graphic()) {
            return None;
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.hosts += 1,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let digits =
                    (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
                if self.length.is_some() || !digits {
                    return None;
                }
                self.length = std::str::from_utf8(value).ok()?.parse().ok();
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || self.old || !value.eq_ignore_ascii_case(b"chunked") {
                    return None;
                }
                self.chunked = true;
            }
            _ => {}
        }
        Some(())
    }

    fn request_line(&mut self, line: &[u8]) -> Option<()> {
        let mut words = line.split(|byte| *byte == b' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        self.old = version == b"HTTP/1.0";
        let known = self.old || version == b"HTTP/1.1";
        let fine = known && words.next().is_none() && !target.is_empty() && method != b"CONNECT";
        (fine && !method.is_empty()).then_some(())
    }

    fn body(&self) -> Option<State> {
        let hosts = self.hosts == 1 || (self.old && self.hosts == 0);
        match (self.lines > 0 && hosts, self.length, self.chunked) {
            (false, ..) | (true, Some(_), true) => None,
            (true, None, true) => Some(State::Chunked(NEW_CHUNK)),
            (true, Some(length @ 1..), false) => Some(State::Length(length)),
            (true, _, false) => Some(State::Head { empty: 0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds everything; gives the requests that were found, or the refusal.
    fn read(bytes: &[u8]) -> Result<usize, Step> {
        let mut framing = Framing::new(1_024, 16);
        let (mut at, mut found) = (0, 0);
        while at < bytes.len() {
            let head = matches!(framing.state, State::First | State::Head { .. });
            match framing.step(&bytes[at..]) {
                Step::Pass(n) => {
                    found += usize::from(head && n > 2);
                    at += n;
                }
                Step::Incomplete => break,
                refused => return Err(refused),
            }
        }
        Ok(found)
    }

    #[test]
    fn ordinary_requests_pass_also_when_pipelined() {
        let one = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
        let two = "POST /a HTTP/1.1\r\nhost:x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nt: v\r\n\r\n";
        let three = "\r\nGET / HTTP/1.0\r\n\r\n";
        assert_eq!(
            read(format!("{one}{two}{three}{one}{two}").as_bytes()),
            Ok(5)
        );
        assert_eq!(
            read(&[PREFACE, b"\x00\x00\x00\x04\x00\n\n"].concat()),
            Ok(1)
        );
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for head in [
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
            "GET / HTTP/1.1\nHost: x\n\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n: v\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/3.0\r\nHost: x\r\n\r\n",
            "GET /\r\n\r\n",
            "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
            "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            assert_eq!(
                read(head.as_bytes()),
                Err(Step::RefusedHead(Refused::Framing)),
                "{head:?}"
            );
        }
        let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        for body in [
            "3\nabc\r\n0\r\n\r\n",
            "\r\n",
            "g\r\n",
            "3 \r\nabc",
            "-1\r\n",
            "0x3\r\n",
            "3\r\nabcd",
            "3\r\nabc\n",
            "3;a\nb\r\n",
            "10000000000000000\r\n",
            "0\r\nt: v\n\r\n",
            "0\r\n folded\r\n\r\n",
        ] {
            assert_eq!(
                read(format!("{chunked}{body}").as_bytes()),
                Err(Step::RefusedBody),
                "{body:?}"
            );
        }
    }

    #[test]
    fn large_heads_are_refused_before_they_are_whole() {
        let long = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(1_100));
        assert_eq!(
            read(long.as_bytes()),
            Err(Step::RefusedHead(Refused::TooLarge))
        );
        let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(17));
        assert_eq!(
            read(many.as_bytes()),
            Err(Step::RefusedHead(Refused::TooLarge))
        );
        let endless = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;{}",
            "a".repeat(300)
        );
        assert_eq!(read(endless.as_bytes()), Err(Step::RefusedBody));
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_changes_nothing(cuts in prop::collection::vec(1_usize..40, 1..30), bad in any::<bool>()) {
            let mut text = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n".to_vec();
            text.extend_from_slice(if bad { b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n" } else { b"\r\n" });
            let mut framing = Framing::new(1_024, 16);
            let (mut passed, mut refused, mut held) = (0, false, Vec::new());
            let mut cuts = cuts.iter().cycle();
            let mut rest = &text[..];
            while !rest.is_empty() && !refused {
                let (now, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                rest = later;
                held.extend_from_slice(now);
                while !held.is_empty() {
                    match framing.step(&held) {
                        Step::Pass(n) => { passed += n; held.drain(..n); }
                        Step::Incomplete => break,
                        _ => { refused = true; break; }
                    }
                }
            }
            prop_assert_eq!(refused, bad);
            prop_assert!(bad || passed == text.len());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}

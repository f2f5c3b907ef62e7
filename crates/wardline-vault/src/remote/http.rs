//! One HTTP/1.1 exchange over a connection of its own, with every length and time bounded.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Largest answer: a secret with all its metadata is far smaller.
const MOST_ANSWER: usize = 2 << 20;
const MOST_HEADERS: usize = 64;

/// Where to connect to.
pub(super) struct Endpoint {
    host: String,
    port: u16,
    /// As `Host` says it.
    authority: String,
    /// A path before every path.
    prefix: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// Why there is no answer.
pub(super) enum CallError {
    /// No connection, or it broke, or it took too long.
    Away(String),
    /// There is one, but not of this protocol.
    Unusable(String),
}

/// An answer; its body is wiped when dropped.
pub(crate) struct Reply {
    pub(super) status: u16,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Reply {
    /// The body as JSON. The error repeats nothing of it.
    pub(crate) fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|_| "its answer is not JSON".to_owned())
    }
}

impl Endpoint {
    pub(super) fn new(address: &str, ca: Option<&Path>) -> Result<Self, String> {
        let (secure, rest) = match address.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err("its address must begin with https://".to_owned()),
        };
        let (authority, prefix) = match rest.split_once('/') {
            Some((authority, prefix)) => (authority, format!("/{}", prefix.trim_end_matches('/'))),
            None => (rest, String::new()),
        };
        let prefix = if prefix == "/" { String::new() } else { prefix };
        if authority.is_empty() || authority.contains(['@', '?', '#', ' ']) {
            return Err("its address must be a host, with or without a port".to_owned());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (
                host,
                port.parse()
                    .map_err(|_| "its port is no number".to_owned())?,
            ),
            _ => (authority, if secure { 443 } else { 80 }),
        };
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !secure && !here {
            return Err("secrets travel by https:// only, except within this machine".to_owned());
        }
        let tls = if secure {
            let name = ServerName::try_from(host.clone())
                .map_err(|_| "its host is neither a name nor an address".to_owned())?;
            Some((Arc::new(trusting(ca)?), name))
        } else {
            None
        };
        Ok(Self {
            host,
            port,
            authority: authority.to_owned(),
            prefix,
            tls,
        })
    }

    pub(super) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &[u8])],
        body: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Reply, CallError> {
        let deadline = Instant::now() + limit;
        let away = |error: io::Error| CallError::Away(said(&error));
        let mut head = Zeroizing::new(Vec::with_capacity(1024));
        let line = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: wardline\r\nAccept: application/json\r\nConnection: close\r\n",
            self.prefix, self.authority
        );
        head.extend_from_slice(line.as_bytes());
        for (name, value) in headers {
            if value.iter().any(u8::is_ascii_control) {
                return Err(CallError::Unusable(format!(
                    "what we would send as {name} fits no header"
                )));
            }
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        if let Some(body) = body {
            let length = format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            );
            head.extend_from_slice(length.as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(body.unwrap_or_default());

        let tcp = self.connect(deadline).map_err(away)?;
        let answer = match &self.tls {
            None => exchange(&mut Timed { tcp, deadline }, &head),
            Some((config, name)) => {
                let connection = ClientConnection::new(Arc::clone(config), name.clone())
                    .map_err(|error| CallError::Unusable(error.to_string()))?;
                let mut stream = StreamOwned::new(connection, Timed { tcp, deadline });
                exchange(&mut stream, &head)
            }
        }
        .map_err(away)?;
        read(&answer).ok_or_else(|| CallError::Unusable("it does not speak HTTP".to_owned()))
    }

    fn connect(&self, deadline: Instant) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "its name leads nowhere");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, left(deadline)?) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// A stream whose every read and write ends at a deadline.
struct Timed {
    tcp: TcpStream,
    deadline: Instant,
}

fn left(deadline: Instant) -> io::Result<Duration> {
    deadline
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
        .ok_or_else(|| io::ErrorKind::TimedOut.into())
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(Some(left(self.deadline)?))?;
        self.tcp.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(left(self.deadline)?))?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// Sends, and reads to the end that `Connection: close` asks for.
fn exchange(stream: &mut (impl Read + Write), head: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    stream.write_all(head)?;
    stream.flush()?;
    // Full capacity at once would cost two megabytes a call; pieces that move are wiped.
    let mut answer = Zeroizing::new(Vec::with_capacity(8 << 10));
    let mut piece = Zeroizing::new([0; 8 << 10]);
    loop {
        let count = match stream.read(piece.as_mut_slice()) {
            Ok(0) => return Ok(answer),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // Many close without TLS's goodbye. Whether the answer is whole, its lengths tell.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !answer.is_empty() => {
                return Ok(answer);
            }
            Err(error) => return Err(error),
        };
        if answer.len() + count > MOST_ANSWER {
            return Err(io::Error::other("its answer is too long"));
        }
        if answer.capacity() < answer.len() + count {
            let mut larger = Zeroizing::new(Vec::with_capacity(answer.capacity() * 2));
            larger.extend_from_slice(&answer);
            answer = larger;
        }
        answer.extend_from_slice(&piece[..count]);
    }
}

/// Reads one response; `None` where it is none, or not whole.
fn read(answer: &[u8]) -> Option<Reply> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(at) = head.parse(answer).ok()? else {
        return None;
    };
    let status = head.code?;
    let header = |name: &str| {
        let found = head
            .headers
            .iter()
            .find(|one| one.name.eq_ignore_ascii_case(name));
        found.and_then(|one| std::str::from_utf8(one.value).ok())
    };
    let rest = &answer[at..];
    let chunked = header("transfer-encoding")
        .is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"));
    let body = if chunked {
        unchunked(rest)?
    } else if let Some(length) = header("content-length") {
        Zeroizing::new(rest.get(..length.trim().parse().ok()?)?.to_vec())
    } else {
        Zeroizing::new(rest.to_vec())
    };
    Some(Reply { status, body })
}

fn unchunked(mut rest: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut body = Zeroizing::new(Vec::with_capacity(rest.len()));
    loop {
        let (at, size) = match httparse::parse_chunk_size(rest).ok()? {
            httparse::Status::Complete(found) => found,
            httparse::Status::Partial => return None,
        };
        let size = usize::try_from(size).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(at..at.checked_add(size)?)?);
        rest = rest.get(at + size..)?.strip_prefix(b"\r\n")?;
    }
}

fn trusting(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(path) => {
            let bad = |error: String| format!("its authorities in {}: {error}", path.display());
            let found = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| bad(error.to_string()))?;
            for certificate in found {
                roots
                    .add(certificate)
                    .map_err(|error| bad(error.to_string()))?;
            }
        }
    }
    if roots.is_empty() {
        return Err("there is no authority to trust: name one with `ca`".to_owned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "it does not answer in time".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        let body =
            |text: &str| read(text.as_bytes()).map(|reply| (reply.status, reply.body.to_vec()));
        let ok = |bytes: &[u8]| Some((200, bytes.to_vec()));
        assert_eq!(
            body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"),
            ok(b"ab")
        );
        assert_eq!(body("HTTP/1.1 200 OK\r\n\r\nab"), ok(b"ab"));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(
            body(&format!("{chunked}2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")),
            ok(b"abc")
        );
        for cut in [
            "2\r\nab\r\n",
            "2\r\na",
            "",
            "FFFFFFFFFFFFFFFF\r\nab\r\n0\r\n\r\n",
        ] {
            assert_eq!(body(&format!("{chunked}{cut}")), None, "{cut}");
        }
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), None);
        assert_eq!(body("SSH-2.0-OpenSSH\r\n"), None);
    }

    #[test]
    fn secrets_do_not_travel_in_the_open() {
        for bad in [
            "http://vault.example:8200",
            "vault.example",
            "ftp://x",
            "https://",
            "https://user@vault",
            "https://vault:port",
        ] {
            assert!(Endpoint::new(bad, None).is_err(), "{bad}");
        }
        let here = Endpoint::new("http://127.0.0.1:8200/prefix/", None)
            .ok()
            .unwrap();
        assert_eq!((here.port, here.prefix.as_str()), (8200, "/prefix"));
        assert!(Endpoint::new("http://[::1]:8200", None).is_ok());
    }
}

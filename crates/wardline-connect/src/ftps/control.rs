//! The connection over which a server is told what to do.

use std::io::{self, ErrorKind, Read, Write as _};
use std::net::{IpAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::{ClientConnection, StreamOwned};

use super::listing;
use super::{Mode, Place};
use crate::codes;
use crate::files::Trouble;

/// The longest line of a reply.
const LINE: usize = 8 << 10;
/// Lines that a reply may have.
const LINES: usize = 256;

pub(super) type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A reply: its code, and its text for people.
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) lines: Vec<String>,
}

impl Reply {
    pub(super) const fn is_good(&self) -> bool {
        self.code >= 200 && self.code < 300
    }

    pub(super) const fn is_begun(&self) -> bool {
        self.code >= 100 && self.code < 200
    }

    fn first(&self) -> &str {
        self.lines.first().map_or("", String::as_str)
    }

    /// As an error. What a server says may repeat a path, never a payload.
    pub(super) fn error(&self, doing: &str) -> io::Error {
        let said: String = self
            .first()
            .chars()
            .filter(|c| !c.is_control())
            .take(120)
            .collect();
        let text = format!("the server answered {} ({said}) when {doing}", self.code);
        match self.code {
            // RFC 959: the file is not there, or may not be touched; which of both only the text knows.
            550 => Trouble::error(ErrorKind::NotFound, codes::FTPS_REFUSED, text),
            421 | 425 | 426 => lost(text),
            530 | 532 => Trouble::error(ErrorKind::PermissionDenied, codes::FTPS_CREDENTIALS, text),
            553 => Trouble::error(ErrorKind::InvalidInput, codes::FTPS_REFUSED, text),
            _ => Trouble::error(ErrorKind::Other, codes::FTPS_REFUSED, text),
        }
    }
}

pub(super) fn lost(text: impl Into<String>) -> io::Error {
    Trouble::error(ErrorKind::NotConnected, codes::FTPS_LOST, text)
}

pub(super) fn not_spoken(text: impl Into<String>) -> io::Error {
    Trouble::error(ErrorKind::InvalidData, codes::FTPS_NOT_SPOKEN, text)
}

/// Whether something can stand on a line of a command.
pub(super) fn fits(text: &[u8]) -> bool {
    text.len() < LINE && !text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

/// What a server can do beyond RFC 959.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Features {
    pub(super) mlst: bool,
    pub(super) mdtm: bool,
    pub(super) size: bool,
    pub(super) rest: bool,
    utf8: bool,
    /// EPSV was tried and is not known there.
    pub(super) no_epsv: bool,
}

/// A server that let us in.
pub(super) struct Control {
    stream: Tls,
    unread: Vec<u8>,
    pub(super) place: Arc<Place>,
    pub(super) peer: IpAddr,
    pub(super) features: Features,
    /// Where one is after logging in; without `/` at its end.
    home: String,
}

impl Control {
    /// Connects and logs in.
    pub(super) fn open(place: Arc<Place>) -> io::Result<Self> {
        if !place.may_log_in {
            return Err(Trouble::error(
                ErrorKind::PermissionDenied,
                codes::FTPS_CREDENTIALS,
                "the password may not be used now",
            ));
        }
        let mut tcp = connect(&place)?;
        let peer = tcp.peer_addr()?.ip();
        if place.config.mode == Mode::Explicit {
            // Byte by byte: what a server, or somebody between, sends ahead of TLS is not to be taken
            // for what it says in it.
            let mut greeting = reply(|byte| tcp.read(byte))?;
            while greeting.is_begun() {
                greeting = reply(|byte| tcp.read(byte))?;
            }
            if !greeting.is_good() {
                return Err(greeting.error("greeting"));
            }
            tcp.write_all(b"AUTH TLS\r\n").map_err(ended)?;
            let answer = reply(|byte| tcp.read(byte))?;
            if answer.code != 234 {
                let text = format!("the server has no TLS: it answered {}", answer.code);
                return Err(not_spoken(text));
            }
        }
        let stream = secure(&place, tcp)?;
        let mut control = Self {
            stream,
            unread: Vec::new(),
            place,
            peer,
            features: Features::default(),
            home: String::new(),
        };
        control.log_in()?;
        Ok(control)
    }

    fn log_in(&mut self) -> io::Result<()> {
        if self.place.config.mode == Mode::Implicit {
            let greeting = self.reply()?;
            if !greeting.is_good() {
                return Err(greeting.error("greeting"));
            }
        }
        let place = Arc::clone(&self.place);
        let mut said = self.say(&[b"USER ", place.config.user.as_bytes()])?;
        if said.code == 331 {
            said = self.say(&[b"PASS ", place.config.password.expose()])?;
        }
        if !said.is_good() {
            let text = format!("the server answered {} to who we are", said.code);
            return Err(Trouble::error(
                ErrorKind::PermissionDenied,
                codes::FTPS_CREDENTIALS,
                text,
            ));
        }
        self.order(b"PBSZ 0", "agreeing on TLS")?;
        self.order(b"PROT P", "asking for TLS on transfers")?;
        self.order(b"TYPE I", "asking for bytes as they are")?;
        let features = self.say(&[b"FEAT"])?;
        for line in features.lines.iter().filter(|_| features.code == 211) {
            let line = line.trim().to_ascii_uppercase();
            let all = &mut self.features;
            match line.split([' ', ';']).next().unwrap_or_default() {
                "MLST" | "MLSD" => all.mlst = true,
                "MDTM" => all.mdtm = true,
                "SIZE" => all.size = true,
                "REST" => all.rest = true,
                "UTF8" => all.utf8 = true,
                _ => {}
            }
        }
        if self.features.utf8 {
            // Servers that have it on answer whatever they like.
            self.say(&[b"OPTS UTF8 ON"])?;
        }
        let home = self.say(&[b"PWD"])?;
        self.home = home
            .is_good()
            .then(|| listing::quoted(home.first()))
            .flatten()
            .ok_or_else(|| not_spoken("the server does not say where one is after logging in"))?;
        while self.home.ends_with('/') {
            self.home.pop();
        }
        Ok(())
    }

    /// The path of something at the connection's directory.
    pub(super) fn path(&self, below: Option<&str>, name: Option<&str>) -> String {
        let directory = self.place.config.directory.trim_end_matches('/');
        let mut path = if self.place.config.directory.starts_with('/') {
            directory.to_owned()
        } else if directory.is_empty() {
            self.home.clone()
        } else {
            format!("{}/{directory}", self.home)
        };
        for part in below.into_iter().chain(name) {
            path.push('/');
            path.push_str(part);
        }
        if path.is_empty() {
            path.push('/');
        }
        path
    }

    /// Sends one command and reads the reply.
    pub(super) fn say(&mut self, words: &[&[u8]]) -> io::Result<Reply> {
        self.send(words)?;
        self.reply()
    }

    pub(super) fn send(&mut self, words: &[&[u8]]) -> io::Result<()> {
        let mut line = zeroize::Zeroizing::new(words.concat());
        if !fits(&line) {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "it does not fit on a line of FTP",
            ));
        }
        line.extend_from_slice(b"\r\n");
        self.stream
            .write_all(&line)
            .and_then(|()| self.stream.flush())
            .map_err(ended)
    }

    pub(super) fn reply(&mut self) -> io::Result<Reply> {
        let Self { stream, unread, .. } = self;
        reply(|byte| {
            if unread.is_empty() {
                let mut some = [0; 1024];
                let length = stream.read(&mut some)?;
                unread.extend(some[..length].iter().rev());
            }
            Ok(match unread.pop() {
                Some(next) => {
                    byte[0] = next;
                    1
                }
                None => 0,
            })
        })
    }

    /// A command that has to be done.
    pub(super) fn order(&mut self, command: &[u8], doing: &str) -> io::Result<Reply> {
        let reply = self.say(&[command])?;
        if reply.is_good() {
            Ok(reply)
        } else {
            Err(reply.error(doing))
        }
    }

    /// Bytes of a file; `None` where it is not there.
    pub(super) fn size(&mut self, path: &str) -> io::Result<Option<u64>> {
        let reply = self.say(&[b"SIZE ", path.as_bytes()])?;
        match reply.code {
            213 => reply
                .first()
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| not_spoken("the server does not say how large a file is")),
            550 => Ok(None),
            _ => Err(reply.error("asking for the size of a file")),
        }
    }

    /// When a file was written last; the beginning of time where the server does not tell.
    pub(super) fn modified(&mut self, path: &str) -> io::Result<SystemTime> {
        if !self.features.mdtm {
            return Ok(SystemTime::UNIX_EPOCH);
        }
        let reply = self.say(&[b"MDTM ", path.as_bytes()])?;
        Ok(match reply.code {
            213 => listing::time(reply.first().trim()).unwrap_or(SystemTime::UNIX_EPOCH),
            _ => SystemTime::UNIX_EPOCH,
        })
    }
}

fn connect(place: &Place) -> io::Result<TcpStream> {
    let config = &place.config;
    let unreachable =
        |text: String| Trouble::error(ErrorKind::NotConnected, codes::FTPS_UNREACHABLE, text);
    let all = (config.host.as_str(), config.port)
        .to_socket_addrs()
        .map_err(|error| unreachable(format!("{}: {error}", config.host)))?;
    let mut last = format!("{} has no address", config.host);
    for address in all {
        match TcpStream::connect_timeout(&address, config.connect_timeout) {
            Ok(tcp) => {
                bound(place, &tcp)?;
                return Ok(tcp);
            }
            Err(error) => last = format!("{}:{}: {error}", config.host, config.port),
        }
    }
    Err(unreachable(last))
}

/// How long either side may be silent on a connection.
pub(super) fn bound(place: &Place, tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(place.config.timeout))?;
    tcp.set_write_timeout(Some(place.config.timeout))
}

/// TLS over a connection, with the server's certificate verified.
pub(super) fn secure(place: &Place, mut tcp: TcpStream) -> io::Result<Tls> {
    let mut session = ClientConnection::new(Arc::clone(&place.tls), place.server.clone())
        .map_err(|error| untrusted(&error))?;
    while session.is_handshaking() {
        session.complete_io(&mut tcp).map_err(|error| {
            match error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            {
                Some(error) => untrusted(error),
                None => ended(error),
            }
        })?;
    }
    Ok(StreamOwned::new(session, tcp))
}

fn untrusted(error: &rustls::Error) -> io::Error {
    let text = format!("TLS with the server does not come about: {error}");
    Trouble::error(ErrorKind::NotConnected, codes::FTPS_UNTRUSTED, text)
}

/// An error of a connection in the midst.
pub(super) fn ended(error: io::Error) -> io::Error {
    if Trouble::of(&error).is_some() {
        return error;
    }
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => lost("the server fell silent"),
        _ => lost(format!("the connection ended: {error}")),
    }
}

/// Reads one reply. Lines of several: `123-…` up to `123 …` (RFC 959, 4.2).
fn reply(mut read: impl FnMut(&mut [u8; 1]) -> io::Result<usize>) -> io::Result<Reply> {
    let (mut lines, mut code) = (Vec::new(), None);
    while lines.len() < LINES {
        let line = line(&mut read)?;
        let number = line
            .get(..3)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u16>().ok());
        let more = line.as_bytes().get(3) == Some(&b'-');
        let rest = line.get(4..).unwrap_or_default();
        match (code, number) {
            (None, Some(number)) => {
                lines.push(rest.to_owned());
                if !more {
                    return Ok(Reply {
                        code: number,
                        lines,
                    });
                }
                code = Some(number);
            }
            (None, None) => return Err(not_spoken("the server does not speak FTP")),
            (Some(code), Some(number)) if code == number && !more => {
                return Ok(Reply { code, lines });
            }
            (Some(_), _) => lines.push(line),
        }
    }
    Err(not_spoken("a reply of the server does not end"))
}

fn line(read: &mut impl FnMut(&mut [u8; 1]) -> io::Result<usize>) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match read(&mut byte) {
            Ok(0) => return Err(lost("the server closed the connection")),
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(ended(error)),
        }
        if line.len() > LINE {
            return Err(not_spoken("a line of the server does not end"));
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<Reply> {
        let mut bytes = text.bytes();
        reply(move |byte| {
            Ok(bytes.next().map_or(0, |next| {
                byte[0] = next;
                1
            }))
        })
    }

    #[test]
    fn replies_of_one_and_of_many_lines() {
        let one = read("220 ready\r\n").unwrap();
        assert_eq!((one.code, one.first()), (220, "ready"));
        let many = read("211-Features:\r\n MDTM\r\n 211 is no end\r\n211-nor this\r\n211 End\r\n")
            .unwrap();
        assert_eq!(many.code, 211);
        assert_eq!(
            many.lines,
            ["Features:", " MDTM", " 211 is no end", "211-nor this"]
        );
    }

    #[test]
    fn what_is_no_reply_is_refused_in_bounded_memory() {
        for hostile in ["hello\r\n", "2\r\n", "", "220"] {
            assert!(read(hostile).is_err(), "{hostile}");
        }
        let endless = "2".repeat(LINE + 10);
        assert!(read(&endless).is_err());
        let lines = format!("211-a\r\n{}", "x\r\n".repeat(LINES + 1));
        assert!(read(&lines).is_err());
    }

    #[test]
    fn errors_are_told_without_control_characters() {
        let reply = read("550 no such\u{1b}[31m file\r\n").unwrap();
        let error = reply.error("reading");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
}

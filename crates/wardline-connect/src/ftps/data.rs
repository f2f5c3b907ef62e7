//! Connections over which files and lists go.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::control::{Control, Tls, bound, ended, lost, not_spoken, secure};
use super::listing;

/// The longest list of a directory.
const LIST: u64 = 16 << 20;
/// How long is waited for the end of a connection over which nothing comes any more.
const FAREWELL: Duration = Duration::from_secs(2);

impl Control {
    /// A connection for one transfer. Of where the server wants it, only the port counts.
    fn passive(&mut self) -> io::Result<TcpStream> {
        let mut port = None;
        if !self.features.no_epsv {
            let reply = self.say(&[b"EPSV"])?;
            if reply.code == 229 {
                port = reply.lines.first().and_then(|text| listing::epsv(text));
                if port.is_none() {
                    return Err(not_spoken("the server names no port for a transfer"));
                }
            } else if reply.code >= 500 {
                self.features.no_epsv = true;
            } else {
                return Err(reply.error("asking for a transfer"));
            }
        }
        let port = if let Some(port) = port {
            port
        } else {
            let reply = self.order(b"PASV", "asking for a transfer")?;
            reply
                .lines
                .first()
                .and_then(|text| listing::pasv(text))
                .ok_or_else(|| not_spoken("the server names no port for a transfer"))?
        };
        let to = SocketAddr::new(self.peer, port);
        let tcp = TcpStream::connect_timeout(&to, self.place.config.connect_timeout)
            .map_err(|error| lost(format!("no connection for a transfer: {error}")))?;
        bound(&self.place, &tcp)?;
        Ok(tcp)
    }

    /// Begins a transfer; `from` is how many bytes of a file are not wanted.
    pub(super) fn begin(
        &mut self,
        command: &[u8],
        path: &str,
        from: u64,
        doing: &str,
    ) -> io::Result<Tls> {
        let tcp = self.passive()?;
        if from > 0 {
            let reply = self.say(&[format!("REST {from}").as_bytes()])?;
            if reply.code != 350 {
                return Err(reply.error("taking up a file where it was"));
            }
        }
        let reply = if path.is_empty() {
            self.say(&[command])?
        } else {
            self.say(&[command, b" ", path.as_bytes()])?
        };
        if !reply.is_begun() {
            return Err(reply.error(doing));
        }
        secure(&self.place, tcp)
    }

    /// What the server says once all has come or gone.
    pub(super) fn end(&mut self, doing: &str) -> io::Result<()> {
        let reply = self.reply()?;
        if reply.is_good() {
            Ok(())
        } else {
            Err(reply.error(doing))
        }
    }

    /// A list of a directory, as text.
    pub(super) fn list(&mut self, command: &[u8], path: &str) -> io::Result<String> {
        const DOING: &str = "listing a directory";
        let data = self.begin(command, path, 0, DOING)?;
        let mut list = Vec::new();
        let read = data.take(LIST + 1).read_to_end(&mut list).map_err(ended)?;
        if read as u64 > LIST {
            return Err(not_spoken("the list of a directory does not end"));
        }
        self.end(DOING)?;
        Ok(String::from_utf8_lossy(&list).into_owned())
    }

    /// Writes a file; what is there under its name is replaced.
    pub(super) fn store(&mut self, path: &str, from: &mut dyn Read) -> io::Result<u64> {
        const DOING: &str = "writing a file";
        let mut data = self.begin(b"STOR", path, 0, DOING)?;
        let mut block = vec![0; 64 << 10];
        let mut written = 0;
        loop {
            let length = match from.read(&mut block) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            data.write_all(&block[..length]).map_err(ended)?;
            written += length as u64;
        }
        data.conn.send_close_notify();
        data.flush().map_err(ended)?;
        data.sock.shutdown(Shutdown::Write).map_err(ended)?;
        // What the server says for later sessions comes now, if it says anything.
        data.sock.set_read_timeout(Some(FAREWELL))?;
        let mut rest = [0; 64];
        while matches!(data.read(&mut rest), Ok(1..)) {}
        self.end(DOING)?;
        Ok(written)
    }
}

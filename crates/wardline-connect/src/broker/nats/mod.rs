//! NATS with JetStream: messages are published to subjects that a stream takes, with its
//! confirmation, and pulled through a durable consumer, so many at a time as there is room for.

mod pull;
mod push;
mod wire;

pub(super) use pull::Pull;
pub(super) use push::Push;

use serde::Deserialize;
use serde_json::json;

use super::config::Place;
use super::fault::{Fault, quoted};
use super::link::{Link, Servers};
use wire::{Decoder, Message, Said};

/// What a server says of itself, as far as it matters.
#[derive(Debug, Default, Deserialize)]
struct Info {
    #[serde(default)]
    headers: bool,
    #[serde(default)]
    jetstream: bool,
    #[serde(default)]
    tls_required: bool,
    #[serde(default)]
    tls_available: bool,
    #[serde(default)]
    max_payload: usize,
}

/// An answer of JetStream's that says no.
#[derive(Debug, Deserialize)]
struct Refusal {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    err_code: u32,
    #[serde(default)]
    description: String,
}

/// A session with a server.
struct Client {
    link: Link,
    decoder: Decoder,
    info: Info,
    /// Where answers come: it and a number.
    inbox: String,
    asked: u64,
}

impl Client {
    /// Greets, with TLS and credentials as declared.
    async fn open(
        mut link: Link,
        address: &str,
        servers: &Servers,
        place: &Place,
        most: usize,
    ) -> Result<Self, Fault> {
        let mut decoder = Decoder::new(most);
        let info = loop {
            match decoder.next(&mut link.input)? {
                Some(Said::Info(text)) => break read_info(&text)?,
                Some(Said::Err(text)) => return Err(refused(text)),
                Some(_) => return Err(Fault::Spoken("it does not greet as NATS does".to_owned())),
                None => link.fill().await?,
            }
        };
        if servers.wants_tls() {
            if !info.tls_required && !info.tls_available {
                return Err(Fault::Spoken("it does not offer TLS".to_owned()));
            }
            link = servers.secure(link, address).await?;
        } else if info.tls_required {
            return Err(Fault::Spoken("it wants TLS: declare `tls`".to_owned()));
        }
        let mut greeting = json!({
            "verbose": false, "pedantic": false, "lang": "rust", "name": format!("wardline {}", place.name),
            "version": env!("CARGO_PKG_VERSION"), "protocol": 1, "headers": true, "no_responders": true,
            "tls_required": servers.wants_tls(),
        });
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if let Some((user, password)) = place.user_and_password() {
            greeting["user"] = text(user).into();
            greeting["pass"] = text(password).into();
        }
        if let Some(token) = &place.token {
            greeting["auth_token"] = text(token.expose()).into();
        }
        let inbox = format!("_INBOX.{:032x}", rand::random::<u128>());
        link.output.extend_from_slice(
            format!("CONNECT {greeting}\r\nSUB {inbox}.* 1\r\nPING\r\n").as_bytes(),
        );
        link.flush().await?;
        let mut client = Self {
            link,
            decoder,
            info,
            inbox,
            asked: 0,
        };
        loop {
            match client.said().await? {
                Said::Pong => break,
                Said::Message(_) => {
                    return Err(Fault::Spoken("a message that nobody asked for".to_owned()));
                }
                _ => {}
            }
        }
        if !client.info.headers || !client.info.jetstream {
            return Err(Fault::Spoken(
                "it has no JetStream, or not for this account".to_owned(),
            ));
        }
        Ok(client)
    }

    /// What the server says next; its pings are answered. May be dropped while it waits.
    async fn said(&mut self) -> Result<Said, Fault> {
        loop {
            // First: an answer to a ping may have been left when this was dropped.
            self.link.flush().await?;
            match self.decoder.next(&mut self.link.input)? {
                None => self.link.fill().await?,
                Some(Said::Ping) => self.link.output.extend_from_slice(b"PONG\r\n"),
                Some(Said::Info(text)) => self.info = read_info(&text)?,
                Some(Said::Err(text)) => return Err(refused(text)),
                Some(Said::Ok) => {}
                Some(other) => return Ok(other),
            }
        }
    }

    /// An address for the answer to what is asked next.
    fn reply(&mut self) -> String {
        self.asked += 1;
        format!("{}.{}", self.inbox, self.asked)
    }

    /// Waits for the answer that comes to an address.
    async fn answer(&mut self, reply: &str) -> Result<Message, Fault> {
        loop {
            match self.said().await? {
                Said::Message(message) if message.subject == reply => return Ok(message),
                _ => {}
            }
        }
    }

    /// Asks JetStream something; the answer is JSON, or why not.
    async fn ask(&mut self, subject: &str, body: &[u8]) -> Result<serde_json::Value, Asked> {
        let reply = self.reply();
        wire::publish(&mut self.link.output, subject, Some(&reply), &[], body);
        self.link.flush().await?;
        let answer = self.answer(&reply).await?;
        if answer.status.as_deref() == Some("503") {
            return Err(Asked::Fault(Fault::Spoken(
                "it has no JetStream, or not for this account".to_owned(),
            )));
        }
        let answer: serde_json::Value = serde_json::from_slice(&answer.body)
            .map_err(|_| Fault::Spoken("an answer of JetStream's that is no JSON".to_owned()))?;
        match answer.get("error") {
            Some(error) => Err(Asked::Refused(
                Refusal::deserialize(error)
                    .map_err(|_| Fault::Spoken("an error that cannot be read".to_owned()))?,
            )),
            None => Ok(answer),
        }
    }

    /// Reads what came meanwhile without waiting; false where the connection is not good any more.
    fn is_well(&mut self) -> bool {
        use futures::FutureExt as _;
        loop {
            match self.said().now_or_never() {
                None => return true,
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
            }
        }
    }
}

/// How asking can end, besides well.
enum Asked {
    Refused(Refusal),
    Fault(Fault),
}

impl From<Fault> for Asked {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Refusal {
    fn text(&self) -> String {
        let words = quoted(self.description.as_bytes());
        format!("{words} ({}, {})", self.code, self.err_code)
    }
}

fn read_info(text: &[u8]) -> Result<Info, Fault> {
    serde_json::from_slice(text)
        .map_err(|_| Fault::Spoken("its greeting cannot be read".to_owned()))
}

/// What the server does not like, which nearly always ends the connection.
fn refused(text: String) -> Fault {
    let lower = text.to_ascii_lowercase();
    if ["authorization", "authentication", "permissions", "expired"]
        .iter()
        .any(|word| lower.contains(word))
    {
        Fault::Credentials(text)
    } else {
        Fault::Lost(text)
    }
}

/// Whether a text can stand in a line of the protocol as a subject to publish to.
fn is_subject(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 1024
        && text
            .split('.')
            .all(|token| !token.is_empty() && token != "*" && token != ">")
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// What a server says, for the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut decoder = wire::Decoder::new(1 << 16);
    crate::fuzzing::in_parts(
        bytes,
        |input| {
            while let Ok(Some(_)) = decoder.next(input) {}
        },
    );
}

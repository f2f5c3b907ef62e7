//! Pulling through a durable consumer.
//!
//! One request is out at a time, for as many messages as there is room for; the next goes out when
//! what was asked for has come and half of what is in hand is done.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::super::config::{ConsumerConfig, Take};
use super::super::consumer::{Access, Incoming, Subscription};
use super::super::fault::Fault;
use super::super::link::Link;
use super::wire::{self, Message, Said};
use super::{Asked, Client, is_subject};

/// JetStream's number for a consumer that is not there.
const NO_CONSUMER: u32 = 10014;
/// How long a request stands.
const STANDS: Duration = Duration::from_secs(30);
/// How often the server says that it is there while nothing comes, and how long its silence is
/// borne.
const HEARTBEAT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(15);
/// How long nothing is asked after a request was refused.
const QUIET: Duration = Duration::from_millis(250);

/// A session that pulls.
pub(in crate::broker) struct Pull {
    client: Client,
    config: Arc<ConsumerConfig>,
    ask: String,
    /// The address to which messages come for the request that stands.
    inbox: String,
    /// So many are still due of it.
    due: usize,
    /// Tags of what was given out and not settled: where to acknowledge it.
    in_hand: std::collections::HashMap<u64, String>,
    next_tag: u64,
    silent_since: Instant,
    /// Nothing is asked before: the last request was refused at once.
    quiet: Option<Instant>,
}

impl Pull {
    pub(in crate::broker) async fn open(
        link: Link,
        address: &str,
        access: &Access,
        config: &Arc<ConsumerConfig>,
    ) -> Result<Self, Fault> {
        let Take::Nats {
            stream,
            consumer,
            subject,
            ack_wait,
        } = &config.take
        else {
            return Err(Fault::Spoken("this is no consumer of NATS".to_owned()));
        };
        if [stream, consumer]
            .iter()
            .any(|name| !is_subject(name) || name.contains('.'))
        {
            return Err(Fault::Refused(
                "stream or consumer has a name that NATS does not allow".to_owned(),
            ));
        }
        let mut client = Client::open(
            link,
            address,
            &access.servers,
            &access.place,
            config.max_size,
        )
        .await?;
        let known = format!("$JS.API.CONSUMER.INFO.{stream}.{consumer}");
        let found = match client.ask(&known, b"").await {
            Err(Asked::Refused(refusal)) if refusal.err_code == NO_CONSUMER => {
                let make = format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{consumer}");
                let wanted = json!({
                    "stream_name": stream,
                    "config": {
                        "durable_name": consumer, "description": "Wardline",
                        "ack_policy": "explicit", "ack_wait": ack_wait.as_nanos() as u64,
                        "deliver_policy": "all", "replay_policy": "instant",
                        "filter_subject": subject, "max_ack_pending": config.ahead,
                    },
                });
                client.ask(&make, wanted.to_string().as_bytes()).await
            }
            other => other,
        };
        let found = found.map_err(|asked| match asked {
            Asked::Refused(refusal) => Fault::Refused(refusal.text()),
            Asked::Fault(fault) => fault,
        })?;
        if found["config"]["ack_policy"] != "explicit" {
            return Err(Fault::Refused(format!(
                "the consumer `{consumer}` does not acknowledge each message: it needs the policy `explicit`"
            )));
        }
        if found["config"]["deliver_subject"].is_string() {
            return Err(Fault::Refused(format!(
                "the consumer `{consumer}` is one that is pushed: name another"
            )));
        }
        let held = found["config"]["filter_subject"].as_str().unwrap_or(">");
        if held != subject && !(held.is_empty() && subject == ">") {
            return Err(Fault::Refused(format!(
                "the consumer `{consumer}` takes other subjects than `{subject}`: name another, or change it there"
            )));
        }
        Ok(Self {
            client,
            config: Arc::clone(config),
            ask: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            inbox: String::new(),
            due: 0,
            in_hand: std::collections::HashMap::new(),
            next_tag: 0,
            silent_since: Instant::now(),
            quiet: None,
        })
    }

    /// Asks for more where there is room.
    fn want(&mut self) {
        let ahead = self.config.ahead;
        if self.due > 0 || self.quiet.is_some() || self.in_hand.len() > ahead / 2 {
            return;
        }
        self.due = ahead - self.in_hand.len();
        self.inbox = self.client.reply();
        let request = json!({
            "batch": self.due, "expires": STANDS.as_nanos() as u64,
            "idle_heartbeat": HEARTBEAT.as_nanos() as u64,
        });
        let (output, inbox) = (&mut self.client.link.output, self.inbox.as_str());
        wire::publish(
            output,
            &self.ask,
            Some(inbox),
            &[],
            request.to_string().as_bytes(),
        );
        self.silent_since = Instant::now();
    }

    /// A message that came, unless it is the server that speaks.
    fn message(&mut self, message: Message) -> Result<Option<Incoming>, Fault> {
        if let Some(status) = &message.status {
            let gone = message.description.to_ascii_lowercase();
            match status.as_str() {
                "100" => {}
                "409" if gone.contains("deleted") || gone.contains("shutdown") => {
                    return Err(Fault::Lost(message.description));
                }
                // The request has ended: nothing came in its time, or the server moved.
                _ if message.subject == self.inbox => {
                    self.due = 0;
                    if status != "408" {
                        self.quiet = Some(Instant::now() + QUIET);
                    }
                }
                _ => {}
            }
            return Ok(None);
        }
        let Some((address, sequence)) = message
            .reply
            .as_ref()
            .and_then(|reply| Some((reply, stream_sequence(reply)?)))
        else {
            return Err(Fault::Spoken(
                "a message that cannot be acknowledged".to_owned(),
            ));
        };
        let Take::Nats { stream, .. } = &self.config.take else {
            return Ok(None);
        };
        let name = message.header("Nats-Msg-Id").map_or_else(
            || format!("{stream}\0{sequence}"),
            |id| format!("{stream}\0id\0{id}"),
        );
        self.due = self.due.saturating_sub(1);
        self.next_tag += 1;
        self.in_hand.insert(self.next_tag, address.clone());
        let mut incoming = Incoming {
            tag: self.next_tag,
            name: Some(name),
            content_type: message
                .header("Content-Type")
                .unwrap_or_default()
                .to_owned(),
            body: message.body,
            oversize: message.oversize,
            ..Incoming::default()
        };
        for (header, value) in message.headers {
            match header.get(..3) {
                Some(prefix) if prefix.eq_ignore_ascii_case("ce-") => incoming
                    .attributes
                    .push((header[3..].to_owned(), decode(&value))),
                _ => incoming.headers.push((header, value)),
            }
        }
        Ok(Some(incoming))
    }

    fn settle(&mut self, tag: u64, how: &[u8]) {
        if let Some(address) = self.in_hand.remove(&tag) {
            wire::publish(&mut self.client.link.output, &address, None, &[], how);
        }
    }
}

#[async_trait]
impl Subscription for Pull {
    async fn next(&mut self) -> Result<Incoming, Fault> {
        loop {
            self.want();
            let until = match self.quiet {
                _ if self.due > 0 => self.silent_since + SILENCE,
                Some(until) => until,
                None => Instant::now() + STANDS,
            };
            let Ok(said) = timeout_at(until, self.client.said()).await else {
                if self.due > 0 {
                    return Err(Fault::Lost(format!("nothing came in {SILENCE:?}")));
                }
                self.quiet = None;
                continue;
            };
            let said = said?;
            self.silent_since = Instant::now();
            if let Said::Message(message) = said
                && let Some(incoming) = self.message(message)?
            {
                return Ok(incoming);
            }
        }
    }

    fn taken(&mut self, tag: u64) {
        self.settle(tag, b"+ACK");
    }

    fn given_back(&mut self, tag: u64) {
        self.settle(tag, b"-NAK");
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        self.client.link.flush().await
    }
}

/// The number of a message in its stream, from where it is acknowledged.
fn stream_sequence(reply: &str) -> Option<u64> {
    let parts: Vec<&str> = reply.split('.').collect();
    if parts.first() != Some(&"$JS") || parts.get(1) != Some(&"ACK") || !is_subject(reply) {
        return None;
    }
    // $JS.ACK.<stream>.<consumer>.<delivered>.<sequence>…, since 2.9 with domain and account
    // before the stream.
    let at = if parts.len() >= 11 { 7 } else { 5 };
    parts.get(at)?.parse().ok()
}

/// Undoes percent-encoding; what is none stays as it is.
fn decode(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        let pair = (byte == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if let Some(decoded) = pair {
            out.push(decoded);
            rest = &after[2..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_found_in_both_forms() {
        assert_eq!(
            stream_sequence("$JS.ACK.ORDERS.wardline.1.42.7.1700000000.3"),
            Some(42)
        );
        assert_eq!(
            stream_sequence("$JS.ACK._.hash.ORDERS.wardline.1.42.7.1700000000.3"),
            Some(42)
        );
        assert_eq!(stream_sequence("_INBOX.1"), None);
        assert_eq!(stream_sequence("$JS.ACK.a b.c.1.42.7.1.3"), None);
    }

    #[test]
    fn values_of_headers_are_decoded() {
        assert_eq!(decode("a%20b%C3%A9%2"), "a bé%2");
    }
}

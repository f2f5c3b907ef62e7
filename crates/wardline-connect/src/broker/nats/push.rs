//! Publishing with JetStream's confirmation.

use async_trait::async_trait;
use bytes::Bytes;

use super::super::config::Place;
use super::super::fault::Fault;
use super::super::link::{Link, Servers};
use super::super::publisher::{Outgoing, Session};
use super::{Client, Refusal, is_subject, wire};
use crate::Reply;

/// JetStream's number for a message that is larger than the stream takes.
const TOO_LARGE: u32 = 10054;
/// What headers need at most beside the values that are counted.
const ROOM_FOR_HEADERS: usize = 4 << 10;
/// The largest answer to a publication.
const LARGEST_ANSWER: usize = 64 << 10;

/// A session that publishes.
pub(in crate::broker) struct Push(Client);

impl Push {
    pub(in crate::broker) async fn open(
        link: Link,
        address: &str,
        servers: &Servers,
        place: &Place,
    ) -> Result<Self, Fault> {
        let client = Client::open(link, address, servers, place, LARGEST_ANSWER).await?;
        Ok(Self(client))
    }
}

#[async_trait]
impl Session for Push {
    async fn publish(&mut self, message: &Outgoing<'_>) -> Result<Reply, Fault> {
        let client = &mut self.0;
        let most = client.info.max_payload;
        if message.body.len() + ROOM_FOR_HEADERS > most {
            return Err(Fault::Unsendable(format!(
                "the payload has {} bytes, and the server takes at most {most} with headers",
                message.body.len()
            )));
        }
        if !is_subject(&message.to) {
            return Err(Fault::Unsendable(
                "what the subject's template makes of this payload is no subject".to_owned(),
            ));
        }
        let attributes: Vec<(String, String)> = message
            .attributes
            .iter()
            .map(|(name, value)| (format!("ce-{name}"), encode(value)))
            .collect();
        // The stream drops what comes again under the same id within its own time.
        let mut headers = vec![
            ("Nats-Msg-Id", message.id),
            ("Content-Type", message.content_type.as_str()),
            ("X-Correlation-Id", message.correlation),
        ];
        headers.extend(
            attributes
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let reply = client.reply();
        let (to, body) = (message.to.as_str(), &message.body);
        wire::publish(&mut client.link.output, to, Some(&reply), &headers, body);
        client.link.flush().await?;
        let answer = client.answer(&reply).await?;
        if answer.status.as_deref() == Some("503") {
            return Err(Fault::Refused(
                "no stream takes this subject, or the stream is not up".to_owned(),
            ));
        }
        let said: serde_json::Value = serde_json::from_slice(&answer.body)
            .map_err(|_| Fault::Spoken("what answered is no stream of JetStream".to_owned()))?;
        if let Some(error) = said.get("error") {
            let refusal: Refusal = serde::Deserialize::deserialize(error)
                .map_err(|_| Fault::Spoken("an error that cannot be read".to_owned()))?;
            return Err(if refusal.err_code == TOO_LARGE {
                Fault::Unsendable(refusal.text())
            } else {
                Fault::Refused(refusal.text())
            });
        }
        if said.get("stream").is_none() || said.get("seq").is_none() {
            return Err(Fault::Spoken(
                "what answered is no stream of JetStream".to_owned(),
            ));
        }
        let twice = said.get("duplicate").and_then(serde_json::Value::as_bool) == Some(true);
        Ok(Reply {
            status: if twice { "stored before" } else { "stored" }.to_owned(),
            content_type: "application/json".to_owned(),
            body: Bytes::from(said.to_string()),
            truncated: false,
        })
    }

    fn is_well(&mut self) -> bool {
        self.0.is_well()
    }
}

/// Values of headers as CloudEvents' bindings for headers write them.
fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

//! Publishing with the broker's confirmation.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut as _, Bytes};

use super::super::config::Place;
use super::super::fault::{Fault, quoted};
use super::super::link::Link;
use super::super::publisher::{Outgoing, Session};
use super::wire::{self, Frame, Properties, method, put_short};
use super::{CHANNEL, Client};
use crate::Reply;

/// A session that publishes to one exchange.
pub(in crate::broker) struct Publisher {
    client: Client,
    exchange: String,
    /// The number of the last message; the broker counts with us.
    last: u64,
}

impl Publisher {
    pub(in crate::broker) async fn open(
        link: Link,
        place: &Place,
        vhost: &str,
        exchange: &str,
    ) -> Result<Self, Fault> {
        // One that is silent for a while is not used again, so no heartbeat is needed.
        let mut client = Client::open(link, place, vhost, Duration::ZERO).await?;
        client.say(CHANNEL, method::CONFIRM, |out| out.put_u8(0));
        client.link.flush().await?;
        client.expect(CHANNEL, method::CONFIRM_OK).await?;
        Ok(Self {
            client,
            exchange: exchange.to_owned(),
            last: 0,
        })
    }

    /// What a frame says of the message that is out: nothing, that it was confirmed or not, or that
    /// it came back.
    fn heard(&self, frame: &Frame) -> Result<Heard, Fault> {
        if frame.kind != wire::METHOD {
            // What comes back comes with all of its content.
            return Ok(Heard::Nothing);
        }
        let (what, mut reader) = Client::method(frame)?;
        match what {
            method::ACK | method::NACK => {
                let (number, multiple) = (reader.u64()?, reader.u8()? & 1 != 0);
                if number != self.last && !(multiple && number >= self.last) {
                    return Ok(Heard::Nothing);
                }
                Ok(if what == method::ACK {
                    Heard::Confirmed
                } else {
                    Heard::Refused
                })
            }
            method::RETURN => {
                let (code, text) = (reader.u16()?, reader.short()?);
                Ok(Heard::Returned(format!(
                    "{code} {}",
                    quoted(text.as_bytes())
                )))
            }
            _ => Ok(Heard::Nothing),
        }
    }
}

enum Heard {
    Nothing,
    Confirmed,
    Refused,
    Returned(String),
}

#[async_trait]
impl Session for Publisher {
    async fn publish(&mut self, message: &Outgoing<'_>) -> Result<Reply, Fault> {
        let long = [&message.to, &message.content_type]
            .iter()
            .any(|text| text.len() > 255);
        if long {
            return Err(Fault::Unsendable(
                "the routing key or the content type has more than 255 bytes".to_owned(),
            ));
        }
        let headers: Vec<(String, String)> = message
            .attributes
            .iter()
            .map(|(name, value)| (format!("cloudEvents_{name}"), value.clone()))
            .collect();
        // The header of a message is one frame.
        let size: usize = headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 8)
            .sum();
        if size + 1024 > self.client.frame_max as usize {
            return Err(Fault::Unsendable(
                "the attributes of the event are too long for one frame".to_owned(),
            ));
        }
        let properties = Properties {
            content_type: message.content_type.clone(),
            headers,
            correlation: Some(message.correlation.to_owned()),
            message_id: Some(message.id.to_owned()),
        };
        let exchange = self.exchange.clone();
        self.client.say(CHANNEL, method::PUBLISH, |out| {
            out.put_u16(0);
            put_short(out, &exchange);
            put_short(out, &message.to);
            // Mandatory: what no queue takes comes back.
            out.put_u8(1);
        });
        let frame_max = self.client.frame_max;
        wire::write_content(
            &mut self.client.link.output,
            frame_max,
            &properties,
            &message.body,
        );
        self.last += 1;
        let mut returned = None;
        loop {
            let frame = self.client.frame().await?;
            match self.heard(&frame)? {
                Heard::Nothing => {}
                Heard::Returned(text) => returned = Some(text),
                Heard::Refused => {
                    return Err(Fault::Refused("it could not keep the message".to_owned()));
                }
                // What came back is confirmed all the same, and stands nowhere.
                Heard::Confirmed => break,
            }
        }
        match returned {
            Some(text) => Err(Fault::Refused(format!("no queue takes it: {text}"))),
            None => Ok(Reply {
                status: "confirmed".to_owned(),
                content_type: String::new(),
                body: Bytes::new(),
                truncated: false,
            }),
        }
    }

    fn is_well(&mut self) -> bool {
        use futures::FutureExt as _;
        loop {
            match self.client.frame().now_or_never() {
                None => return true,
                Some(Ok(frame)) => {
                    if self.heard(&frame).is_err() {
                        return false;
                    }
                }
                Some(Err(_)) => return false,
            }
        }
    }
}

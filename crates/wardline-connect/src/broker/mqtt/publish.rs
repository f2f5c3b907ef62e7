//! Publishing at QoS 1.

use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut as _, Bytes, BytesMut};

use super::super::config::Place;
use super::super::fault::Fault;
use super::super::link::Link;
use super::super::publisher::{Outgoing, Session};
use super::wire::{self, Packet, Reader, put_bytes};
use super::{Client, Greeting, because};
use crate::Reply;

/// "There is nobody who subscribed": confirmed all the same.
const NO_SUBSCRIBER: u8 = 0x10;

/// A session that publishes.
pub(in crate::broker) struct Publisher {
    client: Client,
    last: u16,
}

impl Publisher {
    pub(in crate::broker) async fn open(link: Link, place: &Place) -> Result<Self, Fault> {
        let greeting = Greeting {
            // The server gives it a name.
            client: "",
            keep: Duration::ZERO,
            ahead: 1,
            most: wire::ROOM_FOR_HEAD,
        };
        Ok(Self {
            client: Client::open(link, place, greeting).await?,
            last: 0,
        })
    }

    /// How it ended, where the packet says so.
    fn heard(&self, packet: Packet) -> Result<Option<u8>, Fault> {
        if packet.kind() != wire::PUBACK {
            return Ok(None);
        }
        let mut reader = Reader(packet.rest);
        if reader.u16()? != self.last {
            return Ok(None);
        }
        if reader.0.is_empty() {
            return Ok(Some(0));
        }
        let reason = reader.u8()?;
        if reason < 0x80 {
            return Ok(Some(reason));
        }
        let said = reader.properties().ok().and_then(|all| all.reason);
        Err(because(reason, said))
    }
}

#[async_trait]
impl Session for Publisher {
    async fn publish(&mut self, message: &Outgoing<'_>) -> Result<Reply, Fault> {
        let unsendable = |text: &str| Err(Fault::Unsendable(text.to_owned()));
        let topic = &message.to;
        if topic.is_empty() || topic.len() > 65_535 || topic.contains(['+', '#', '\0']) {
            return unsendable("what the topic's template makes of this payload is no topic");
        }
        let mut properties = BytesMut::new();
        properties.put_u8(0x03);
        put_bytes(&mut properties, message.content_type.as_bytes());
        let own = [
            ("message-id", message.id),
            ("x-correlation-id", message.correlation),
        ];
        let attributes = message
            .attributes
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        for (name, value) in own.into_iter().chain(attributes) {
            properties.put_u8(0x26);
            put_bytes(&mut properties, name.as_bytes());
            put_bytes(&mut properties, value.as_bytes());
        }
        self.last = self.last.checked_add(1).unwrap_or(1);
        let mut rest = BytesMut::with_capacity(message.body.len() + 512);
        put_bytes(&mut rest, topic.as_bytes());
        rest.put_u16(self.last);
        wire::put_varint(&mut rest, properties.len());
        rest.put_slice(&properties);
        rest.put_slice(&message.body);
        if rest.len() + 5 > self.client.largest || rest.len() >= 1 << 28 {
            return unsendable("the message is larger than the server takes");
        }
        let output = &mut self.client.link.output;
        wire::write_packet(output, wire::PUBLISH | 1 << 1, &rest);
        let reason = loop {
            let packet = self.client.packet().await?;
            if let Some(reason) = self.heard(packet)? {
                break reason;
            }
        };
        let status = if reason == NO_SUBSCRIBER {
            "acknowledged, nobody has subscribed"
        } else {
            "acknowledged"
        };
        Ok(Reply {
            status: status.to_owned(),
            content_type: String::new(),
            body: Bytes::new(),
            truncated: false,
        })
    }

    fn is_well(&mut self) -> bool {
        use futures::FutureExt as _;
        loop {
            match self.client.packet().now_or_never() {
                None => return true,
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
            }
        }
    }
}

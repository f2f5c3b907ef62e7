//! Taking what is published on topics.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{BufMut as _, BytesMut};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::super::config::{ConsumerConfig, Place, Take};
use super::super::consumer::{Incoming, Subscription};
use super::super::fault::Fault;
use super::super::link::Link;
use super::wire::{self, Packet, Reader, put_bytes, spoken};
use super::{Client, Greeting, because};

/// A session that takes.
pub(in crate::broker) struct Subscriber {
    client: Client,
    config: Arc<ConsumerConfig>,
    /// What was given out and not settled: its number, where the server waits for an acknowledgement.
    in_hand: HashMap<u64, Option<u16>>,
    next_tag: u64,
    heard: Instant,
    said: Instant,
}

impl Subscriber {
    pub(in crate::broker) async fn open(
        link: Link,
        place: &Place,
        config: &Arc<ConsumerConfig>,
    ) -> Result<Self, Fault> {
        let Take::Mqtt {
            client: name,
            filter,
            keep,
        } = &config.take
        else {
            return Err(spoken("this is no consumer of MQTT"));
        };
        let greeting = Greeting {
            client: name,
            keep: *keep,
            ahead: u16::try_from(config.ahead).unwrap_or(u16::MAX),
            most: config.max_size + wire::ROOM_FOR_HEAD,
        };
        let client = Client::open(link, place, greeting).await?;
        let now = Instant::now();
        let mut made = Self {
            client,
            config: Arc::clone(config),
            in_hand: HashMap::new(),
            next_tag: 0,
            heard: now,
            said: now,
        };
        let mut rest = BytesMut::new();
        rest.put_u16(1);
        rest.put_u8(0);
        put_bytes(&mut rest, filter.as_bytes());
        // QoS 1; what is retained comes with the first subscription only.
        rest.put_u8(1 | 1 << 4);
        wire::write_packet(&mut made.client.link.output, wire::SUBSCRIBE, &rest);
        // What the session kept may come before the answer, and stays in the input: it is small,
        // since the server waits for acknowledgements.
        made.client.link.flush().await?;
        Ok(made)
    }

    fn packet(&mut self, packet: Packet) -> Result<Option<Incoming>, Fault> {
        match packet.kind() {
            wire::PUBLISH => {}
            wire::SUBACK => {
                let mut reader = Reader(packet.rest);
                reader.u16()?;
                let said = reader.properties()?.reason;
                let reason = reader.u8()?;
                return if reason >= 0x80 {
                    Err(because(reason, said))
                } else {
                    Ok(None)
                };
            }
            wire::PINGRESP => return Ok(None),
            _ => return Err(spoken("a packet out of its turn")),
        }
        let mut reader = Reader(packet.rest);
        reader.text()?;
        let number = match packet.first >> 1 & 3 {
            0 => None,
            1 => Some(reader.u16()?),
            _ => return Err(spoken("a quality of service that was not asked for")),
        };
        let properties = reader.properties()?;
        self.next_tag += 1;
        self.in_hand.insert(self.next_tag, number);
        let size = reader.0.len();
        let mut incoming = Incoming {
            tag: self.next_tag,
            content_type: properties.content_type,
            headers: properties.users.clone(),
            attributes: properties.users,
            ..Incoming::default()
        };
        if size > self.config.max_size {
            incoming.oversize = Some(size);
        } else {
            incoming.body = reader.0;
        }
        Ok(Some(incoming))
    }
}

#[async_trait]
impl Subscription for Subscriber {
    async fn next(&mut self) -> Result<Incoming, Fault> {
        loop {
            let rhythm = self.client.keep_alive / 2;
            let due = self.said + rhythm;
            // What comes at QoS 0 is held back by not reading it.
            let full = self.in_hand.len() >= self.config.ahead;
            let packet = if full {
                sleep_until(due).await;
                None
            } else {
                timeout_at(due, self.client.packet()).await.ok()
            };
            if let Some(packet) = packet {
                self.heard = Instant::now();
                if let Some(incoming) = self.packet(packet?)? {
                    return Ok(incoming);
                }
            } else {
                if full {
                    self.heard = Instant::now();
                } else if self.heard.elapsed() > 3 * rhythm {
                    return Err(Fault::Lost(format!("nothing came in {:?}", 3 * rhythm)));
                }
                wire::write_packet(&mut self.client.link.output, wire::PINGREQ, &[]);
                self.said = Instant::now();
                self.client.link.flush().await?;
            }
        }
    }

    fn taken(&mut self, tag: u64) {
        if let Some(Some(number)) = self.in_hand.remove(&tag) {
            let output = &mut self.client.link.output;
            wire::write_packet(output, wire::PUBACK, &number.to_be_bytes());
            self.said = Instant::now();
        }
    }

    fn given_back(&mut self, tag: u64) {
        // What is not acknowledged comes again when the session goes on.
        self.in_hand.remove(&tag);
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        self.client.link.flush().await
    }
}

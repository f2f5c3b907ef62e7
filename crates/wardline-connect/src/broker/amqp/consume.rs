//! Consuming a queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut as _, BytesMut};
use tokio::time::{Instant, timeout_at};

use super::super::config::{ConsumerConfig, Place, Take};
use super::super::consumer::{Incoming, Subscription};
use super::super::fault::Fault;
use super::super::link::Link;
use super::wire::{self, Frame, method, put_short, put_table, spoken};
use super::{CHANNEL, Client};

/// How often each side says that it is there; silent for twice as long, it is not.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// A session that consumes.
pub(in crate::broker) struct Consume {
    client: Client,
    config: Arc<ConsumerConfig>,
    by_message_id: bool,
    /// A message of which parts are still to come.
    coming: Option<Coming>,
    /// What was given out and not settled; whether it was too large to be read.
    in_hand: HashMap<u64, bool>,
    heard: Instant,
    said: Instant,
}

struct Coming {
    tag: u64,
    /// Absent until the header has come.
    incoming: Option<Incoming>,
    size: usize,
    left: usize,
    body: BytesMut,
}

impl Consume {
    pub(in crate::broker) async fn open(
        link: Link,
        place: &Place,
        config: &Arc<ConsumerConfig>,
    ) -> Result<Self, Fault> {
        let Take::Amqp {
            vhost,
            queue,
            by_message_id,
        } = &config.take
        else {
            return Err(spoken("this is no consumer of AMQP"));
        };
        let mut client = Client::open(link, place, vhost, HEARTBEAT).await?;
        let ahead = u16::try_from(config.ahead).unwrap_or(u16::MAX);
        client.say(CHANNEL, method::QOS, |out| {
            out.put_u32(0);
            out.put_u16(ahead);
            out.put_u8(0);
        });
        client.link.flush().await?;
        client.expect(CHANNEL, method::QOS_OK).await?;
        client.say(CHANNEL, method::CONSUME, |out| {
            out.put_u16(0);
            put_short(out, queue);
            put_short(out, "wardline");
            // Acknowledged one by one, others may consume too, with an answer.
            out.put_u8(0);
            put_table(out, std::iter::empty());
        });
        client.link.flush().await?;
        client.expect(CHANNEL, method::CONSUME_OK).await?;
        let now = Instant::now();
        Ok(Self {
            client,
            config: Arc::clone(config),
            by_message_id: *by_message_id,
            coming: None,
            in_hand: HashMap::new(),
            heard: now,
            said: now,
        })
    }

    fn frame(&mut self, frame: &Frame) -> Result<Option<Incoming>, Fault> {
        match (frame.kind, &mut self.coming) {
            (wire::HEARTBEAT, _) => return Ok(None),
            (wire::METHOD, coming) => {
                let (what, mut reader) = Client::method(frame)?;
                match what {
                    method::DELIVER if coming.is_none() => {
                        reader.short()?;
                        let tag = reader.u64()?;
                        *coming = Some(Coming {
                            tag,
                            incoming: None,
                            size: 0,
                            left: 0,
                            body: BytesMut::new(),
                        });
                    }
                    method::CANCEL => {
                        return Err(Fault::Lost("the queue is gone".to_owned()));
                    }
                    _ => return Err(spoken("a method out of its turn")),
                }
                return Ok(None);
            }
            (wire::HEADER, Some(coming)) if coming.incoming.is_none() => {
                let (size, properties) = wire::read_header(frame.payload.clone())?;
                coming.size = usize::try_from(size).unwrap_or(usize::MAX);
                coming.left = coming.size;
                let mut incoming = Incoming {
                    tag: coming.tag,
                    name: properties
                        .message_id
                        .filter(|_| self.by_message_id)
                        .map(|id| format!("id\0{id}")),
                    content_type: properties.content_type,
                    ..Incoming::default()
                };
                if coming.size > self.config.max_size {
                    incoming.oversize = Some(coming.size);
                }
                if let Some(id) = properties.correlation {
                    incoming.headers.push(("x-correlation-id".to_owned(), id));
                }
                for (name, value) in properties.headers {
                    let attribute = name
                        .strip_prefix("cloudEvents_")
                        .or_else(|| name.strip_prefix("cloudEvents:"));
                    match attribute {
                        Some(attribute) => incoming.attributes.push((attribute.to_owned(), value)),
                        None => incoming.headers.push((name, value)),
                    }
                }
                coming.incoming = Some(incoming);
            }
            (wire::BODY, Some(coming)) if coming.incoming.is_some() => {
                let size = frame.payload.len();
                if size > coming.left {
                    return Err(spoken("a message longer than it said"));
                }
                coming.left -= size;
                if coming.size <= self.config.max_size {
                    coming.body.extend_from_slice(&frame.payload);
                }
            }
            _ => return Err(spoken("a frame out of its turn")),
        }
        let whole = self.coming.take_if(|coming| coming.left == 0);
        let whole = whole.and_then(|coming| {
            let mut incoming = coming.incoming?;
            incoming.body = coming.body.freeze();
            Some(incoming)
        });
        if let Some(incoming) = &whole {
            let large = incoming.oversize.is_some();
            self.in_hand.insert(incoming.tag, large);
        }
        Ok(whole)
    }

    fn settle(&mut self, tag: u64, what: (u16, u16), bits: u8) {
        self.client.say(CHANNEL, what, |out| {
            out.put_u64(tag);
            out.put_u8(bits);
        });
        self.said = Instant::now();
    }
}

#[async_trait]
impl Subscription for Consume {
    async fn next(&mut self) -> Result<Incoming, Fault> {
        loop {
            if self.heard.elapsed() > 2 * HEARTBEAT {
                return Err(Fault::Lost(format!("nothing came in {:?}", 2 * HEARTBEAT)));
            }
            let due = self.said + HEARTBEAT / 2;
            match timeout_at(due, self.client.frame()).await {
                Err(_) => {
                    wire::write_frame(&mut self.client.link.output, wire::HEARTBEAT, 0, |_| {});
                    self.said = Instant::now();
                }
                Ok(frame) => {
                    let frame = frame?;
                    self.heard = Instant::now();
                    if let Some(incoming) = self.frame(&frame)? {
                        return Ok(incoming);
                    }
                }
            }
        }
    }

    fn taken(&mut self, tag: u64) {
        match self.in_hand.remove(&tag) {
            // What could not be read goes where the queue sends what is dead, if anywhere.
            Some(true) => self.settle(tag, method::REJECT, 0),
            Some(false) => self.settle(tag, method::ACK, 0),
            None => {}
        }
    }

    fn given_back(&mut self, tag: u64) {
        if self.in_hand.remove(&tag).is_some() {
            self.settle(tag, method::REJECT, 1);
        }
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        self.client.link.flush().await
    }
}

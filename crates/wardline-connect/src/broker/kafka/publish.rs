//! Publishing: a batch of one record, confirmed by all replicas that are in step.
//!
//! Within one attempt a record is written again when its leader moves or the connection breaks,
//! under the same producer and number, by which the broker sees that it has it already. After an
//! attempt that ends in doubt that producer is given up: what comes next under its number would
//! be taken for what is in doubt.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::time::{Instant, sleep};

use super::super::consumer::Access;
use super::super::fault::Fault;
use super::super::link::Link;
use super::super::publisher::{Outgoing, Session};
use super::cluster::{self, Cluster};
use super::node::{INIT_PRODUCER, Node, PRODUCE};
use super::records::{self, Compression, Producer, Written};
use super::wire::{Reader, put_bytes, put_list, put_no_text, put_text, spoken};
use super::{errors, partition};
use crate::Reply;

/// How long to wait before asking who leads now.
const PAUSE: Duration = Duration::from_millis(100);

/// How it is published.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Manner {
    pub(in crate::broker) compression: Compression,
    pub(in crate::broker) idempotent: bool,
    /// How long all of one attempt may take.
    pub(in crate::broker) timeout: Duration,
}

/// A session that publishes.
pub(in crate::broker) struct Publisher {
    access: Arc<Access>,
    manner: Manner,
    cluster: Cluster,
    /// The connection that it began with, for questions that any broker answers.
    first: Option<Node>,
    /// Connections to leaders.
    nodes: HashMap<i32, Node>,
    producer: Option<Producer>,
    /// The next number of each partition under that producer.
    numbers: HashMap<(String, i32), i32>,
}

impl Publisher {
    pub(in crate::broker) async fn open(
        link: Link,
        access: &Arc<Access>,
        manner: Manner,
    ) -> Result<Self, Fault> {
        Ok(Self {
            first: Some(Node::open(link, &access.place).await?),
            access: Arc::clone(access),
            manner,
            cluster: Cluster::default(),
            nodes: HashMap::new(),
            producer: None,
            numbers: HashMap::new(),
        })
    }

    /// A connection for questions that any broker answers. It is taken out, so that one that is
    /// dropped in the midst of an answer is not asked again.
    async fn any(&mut self) -> Result<Node, Fault> {
        if let Some(mut node) = self.first.take()
            && node.is_well()
        {
            return Ok(node);
        }
        cluster::any(&self.access).await
    }

    async fn learn(&mut self, topic: &str) -> Result<(), Fault> {
        let mut node = self.any().await?;
        let learnt = Cluster::ask(&mut node, &[topic.to_owned()]).await?;
        self.first = Some(node);
        self.cluster.learn(learnt);
        Ok(())
    }

    async fn producer(&mut self) -> Result<Option<Producer>, Fault> {
        if !self.manner.idempotent || self.producer.is_some() {
            return Ok(self.producer);
        }
        let mut node = self.any().await?;
        let mut answer = node
            .ask(INIT_PRODUCER, |out| {
                put_no_text(out);
                out.put_i32(60_000);
            })
            .await?;
        let _throttled = answer.i32()?;
        let error = answer.i16()?;
        if error != errors::NONE {
            return Err(errors::fault(
                error,
                "asking for the number of a producer (`idempotent: false` does without)",
            ));
        }
        let (id, epoch) = (answer.i64()?, answer.i16()?);
        self.first = Some(node);
        self.numbers.clear();
        self.producer = Some(Producer { id, epoch });
        Ok(self.producer)
    }

    /// The partition where a message belongs.
    fn partition(&self, message: &Outgoing<'_>) -> Result<i32, Fault> {
        let leaders = &self.cluster.topic(&message.to)?.leaders;
        // What has no key has no order either: the delivery's id spreads it, and is the same for
        // all attempts.
        let key = message.key.as_deref().unwrap_or(message.id);
        let place = partition::of(key.as_bytes(), leaders.len());
        let partition = leaders.keys().nth(place).copied();
        partition.ok_or_else(|| spoken("a topic without partitions"))
    }

    /// The connection to who leads a partition.
    async fn leader(&mut self, topic: &str, partition: i32) -> Result<(i32, Node), Fault> {
        let Some(leader) = self.cluster.leader(topic, partition) else {
            let on = format!("partition {partition} of topic {topic}");
            return Err(errors::fault(errors::NO_LEADER, &on));
        };
        if let Some(mut node) = self.nodes.remove(&leader)
            && node.is_well()
        {
            return Ok((leader, node));
        }
        let (host, port) = self.cluster.place(leader)?;
        Ok((leader, Node::connect(&self.access, &host, port).await?))
    }

    async fn attempt(&mut self, message: &Outgoing<'_>) -> Result<Reply, Fault> {
        if !cluster::is_topic(&message.to) {
            return Err(Fault::Unsendable(
                "what the topic's template makes of this payload is no name of a topic".to_owned(),
            ));
        }
        let began = Instant::now();
        if self.cluster.topic(&message.to).is_err() {
            self.learn(&message.to).await?;
        }
        let partition = self.partition(message)?;
        let producer = self.producer().await?;
        let slot = (message.to.clone(), partition);
        let number = self.numbers.get(&slot).copied().unwrap_or_default();
        let batch = self.batch(message, producer, number)?;
        let mut again = false;
        loop {
            let fault = match self.write(message, partition, &batch).await {
                Ok(offset) => {
                    self.numbers
                        .insert(slot, number.checked_add(1).unwrap_or(0));
                    return Ok(Reply {
                        status: format!("partition {partition} offset {offset}"),
                        content_type: String::new(),
                        body: Bytes::new(),
                        truncated: false,
                    });
                }
                Err(Wrote::Before) if again => {
                    self.numbers
                        .insert(slot, number.checked_add(1).unwrap_or(0));
                    return Ok(Reply {
                        status: format!("partition {partition}, written before"),
                        content_type: String::new(),
                        body: Bytes::new(),
                        truncated: false,
                    });
                }
                Err(Wrote::Before) => {
                    return Err(errors::fault(errors::DUPLICATE_SEQUENCE, "writing"));
                }
                Err(Wrote::Not(fault)) => return Err(fault),
                // In doubt: only the broker can tell, by the number.
                Err(Wrote::Perhaps(fault)) if producer.is_none() => return Err(fault),
                Err(Wrote::Moved(fault) | Wrote::Perhaps(fault)) => fault,
            };
            if began.elapsed() + PAUSE > self.manner.timeout.mul_f64(0.75) {
                return Err(fault);
            }
            again = true;
            sleep(PAUSE).await;
            // Where nobody can be asked, what is known is tried again.
            if self.learn(&message.to).await.is_err() {
                self.first = None;
            }
        }
    }

    fn batch(
        &self,
        message: &Outgoing<'_>,
        producer: Option<Producer>,
        number: i32,
    ) -> Result<Bytes, Fault> {
        let mut headers = vec![
            ("message-id".to_owned(), message.id.to_owned()),
            (
                "x-correlation-id".to_owned(),
                message.correlation.to_owned(),
            ),
            ("content-type".to_owned(), message.content_type.clone()),
        ];
        let attributes = message.attributes.iter();
        headers.extend(attributes.map(|(name, value)| (format!("ce_{name}"), value.clone())));
        let written = Written {
            time: jiff::Timestamp::now().as_millisecond(),
            key: message.key.as_deref().map(str::as_bytes),
            value: &message.body,
            headers: &headers,
        };
        records::batch(&written, self.manner.compression, producer, number)
    }

    async fn write(
        &mut self,
        message: &Outgoing<'_>,
        partition: i32,
        batch: &Bytes,
    ) -> Result<i64, Wrote> {
        let topic = &message.to;
        let (leader, mut node) = match self.leader(topic, partition).await {
            Ok(found) => found,
            Err(fault @ Fault::Credentials(_)) => return Err(Wrote::Not(fault)),
            Err(fault) => return Err(Wrote::Moved(fault)),
        };
        let limit = self.manner.timeout;
        let put = |out: &mut BytesMut| {
            put_no_text(out);
            // All replicas that are in step.
            out.put_i16(-1);
            out.put_i32(i32::try_from(limit.as_millis()).unwrap_or(i32::MAX));
            put_list(out, std::iter::once(topic), |out, topic| {
                put_text(out, topic);
                put_list(out, std::iter::once(partition), |out, partition| {
                    out.put_i32(partition);
                    put_bytes(out, batch);
                });
            });
        };
        let answer = node.ask_within(PRODUCE, 1 << 20, limit, put).await;
        let (error, offset) = match answer {
            Ok(answer) => read(answer.reader, topic, partition).map_err(Wrote::Perhaps)?,
            Err(fault @ Fault::Spoken(_)) => return Err(Wrote::Not(fault)),
            Err(fault) => return Err(Wrote::Perhaps(fault)),
        };
        self.nodes.insert(leader, node);
        let fault = || errors::fault(error, &format!("partition {partition} of topic {topic}"));
        match error {
            errors::NONE => Ok(offset),
            errors::DUPLICATE_SEQUENCE => Err(Wrote::Before),
            // The wait for its replicas ended, or the broker's own connection did.
            7 | 13 | 20 => Err(Wrote::Perhaps(fault())),
            _ if errors::leader_moved(error) => Err(Wrote::Moved(fault())),
            _ => Err(Wrote::Not(fault())),
        }
    }
}

/// How writing can end, besides well.
enum Wrote {
    /// The broker has it already.
    Before,
    /// It was not written, and will not be.
    Not(Fault),
    /// It was not written there.
    Moved(Fault),
    /// It may have been written.
    Perhaps(Fault),
}

fn read(mut answer: Reader, topic: &str, partition: i32) -> Result<(i16, i64), Fault> {
    let topics = answer.list(|one| {
        let name = one.text()?;
        let partitions = one.list(|one| {
            let (number, error, offset) = (one.i32()?, one.i16()?, one.i64()?);
            let _times = (one.i64()?, one.i64()?);
            Ok((number, error, offset))
        })?;
        Ok((name, partitions))
    })?;
    let found = topics.into_iter().filter(|(name, _)| name == topic);
    let mut found = found.flat_map(|(_, partitions)| partitions);
    let found = found.find(|(number, _, _)| *number == partition);
    let (_, error, offset) = found.ok_or_else(|| spoken("a confirmation of something else"))?;
    Ok((error, offset))
}

#[async_trait]
impl Session for Publisher {
    async fn publish(&mut self, message: &Outgoing<'_>) -> Result<Reply, Fault> {
        let answer = self.attempt(message).await;
        if answer.is_err() {
            // Whatever was or was not written under its numbers.
            self.producer = None;
            self.numbers.clear();
        }
        answer
    }

    fn is_well(&mut self) -> bool {
        self.nodes.retain(|_, node| node.is_well());
        true
    }
}

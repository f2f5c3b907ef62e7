//! Which brokers a cluster has, and which of them leads which partition.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::BufMut as _;
use futures::FutureExt as _;

use super::super::consumer::Access;
use super::super::fault::Fault;
use super::errors;
use super::node::{METADATA, Node};
use super::wire::{Reader, put_list, put_text, spoken};

/// What a cluster says of itself.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    /// Host and port by number.
    brokers: HashMap<i32, (String, u16)>,
    topics: HashMap<String, Topic>,
}

/// A topic.
#[derive(Debug, Default)]
pub(super) struct Topic {
    error: i16,
    /// Who leads, by number of the partition; nobody, where below nought.
    pub(super) leaders: BTreeMap<i32, i32>,
}

impl Cluster {
    /// Asks a broker.
    pub(super) async fn ask(node: &mut Node, topics: &[String]) -> Result<Self, Fault> {
        let answer = node
            .ask(METADATA, |out| {
                put_list(out, topics.iter(), |out, topic| put_text(out, topic));
                // None is made: topics belong to the broker's people.
                out.put_u8(0);
            })
            .await?;
        Self::read(answer)
    }

    /// Asks whichever of the servers can be reached.
    pub(super) async fn ask_any(access: &Arc<Access>, topics: &[String]) -> Result<Self, Fault> {
        let mut node = any(access).await?;
        Self::ask(&mut node, topics).await
    }

    fn read(mut answer: Reader) -> Result<Self, Fault> {
        let _throttled = answer.i32()?;
        let brokers = answer.list(|one| {
            let (number, host, port) = (one.i32()?, one.text()?, one.i32()?);
            let _rack = one.text_if_any()?;
            let port = u16::try_from(port).map_err(|_| spoken("a broker at no port"))?;
            Ok((number, (host, port)))
        })?;
        let _cluster = answer.text_if_any()?;
        let _controller = answer.i32()?;
        let topics = answer.list(|one| {
            let (error, name) = (one.i16()?, one.text()?);
            let _internal = one.i8()?;
            let leaders = one.list(|one| {
                let (_error, number, leader) = (one.i16()?, one.i32()?, one.i32()?);
                one.list(Reader::i32)?;
                one.list(Reader::i32)?;
                Ok((number, leader))
            })?;
            let leaders = leaders.into_iter().filter(|(number, _)| *number >= 0);
            let leaders = leaders.collect();
            Ok((name, Topic { error, leaders }))
        })?;
        Ok(Self {
            brokers: brokers.into_iter().collect(),
            topics: topics.into_iter().collect(),
        })
    }

    /// A topic, or why it cannot be used.
    pub(super) fn topic(&self, name: &str) -> Result<&Topic, Fault> {
        let on = || format!("topic {name}");
        match self.topics.get(name) {
            Some(topic) if topic.error == errors::NONE && !topic.leaders.is_empty() => Ok(topic),
            // One that was made a moment ago has no leaders yet.
            Some(topic) if topic.error == errors::NONE || topic.error == errors::NO_LEADER => {
                Err(errors::fault(errors::NO_LEADER, &on()))
            }
            Some(topic) => Err(errors::fault(topic.error, &on())),
            None => Err(errors::fault(errors::UNKNOWN_TOPIC, &on())),
        }
    }

    /// Who leads a partition, where anybody does.
    pub(super) fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let leader = *self.topics.get(topic)?.leaders.get(&partition)?;
        (leader >= 0).then_some(leader)
    }

    /// Host and port of a broker.
    pub(super) fn place(&self, broker: i32) -> Result<(String, u16), Fault> {
        let place = self.brokers.get(&broker).cloned();
        place.ok_or_else(|| Fault::Unreachable(format!("nobody says where broker {broker} is")))
    }

    /// Takes over what another says of topics that it knows.
    pub(super) fn learn(&mut self, other: Self) {
        self.brokers = other.brokers;
        self.topics.extend(other.topics);
    }
}

/// A connection to whichever of the declared servers can be reached.
pub(super) async fn any(access: &Arc<Access>) -> Result<Node, Fault> {
    let (servers, place) = (&access.servers, &access.place);
    servers
        .open(place.connect_timeout, |link, address| {
            async move {
                let link = servers.secure(link, address).await?;
                Node::open(link, place).await
            }
            .boxed()
        })
        .await
}

/// Whether a name can be that of a topic.
pub(super) fn is_topic(name: &str) -> bool {
    (1..=249).contains(&name.len())
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(bytes: bytes::Bytes) {
    let _cluster = Cluster::read(Reader(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    /// An answer about a topic with one partition, as the protocol's documentation lays it out.
    const SAID: &[u8] = b"\0\0\0\0\
        \0\0\0\x01\0\0\0\x01\0\x09127.0.0.1\0\0\x99\x8d\xff\xff\
        \0\x0bmockCluster\0\0\0\x01\
        \0\0\0\x01\0\0\0\x06orders\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\x01\
        \0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01";

    #[test]
    fn leaders_are_known() {
        let cluster = Cluster::read(Reader(Bytes::from_static(SAID))).unwrap();
        assert_eq!(cluster.leader("orders", 0), Some(1));
        assert_eq!(cluster.leader("orders", 1), None);
        assert_eq!(cluster.place(1).unwrap(), ("127.0.0.1".to_owned(), 39_309));
        assert!(cluster.place(2).is_err());
        assert!(cluster.topic("orders").is_ok());
        assert!(cluster.topic("others").is_err());
        for end in 0..SAID.len() {
            assert!(Cluster::read(Reader(Bytes::from_static(&SAID[..end]))).is_err());
        }
    }

    #[test]
    fn names_of_topics() {
        assert!(is_topic("lab.results_v1-north"));
        for bad in ["", ".", "..", "a b", "a/b", "ä", "a%2Eb"] {
            assert!(!is_topic(bad), "{bad}");
        }
        assert!(!is_topic(&"a".repeat(250)));
    }
}

//! Connections whose other side is a message broker.

use super::{ClientTls, FileContent, SecretRef};
use crate::source::Spanned;
use std::time::Duration;

/// Where a broker is, and how it is proved who we are.
#[derive(Clone, Debug)]
pub struct Broker {
    /// `host:port` of each server.
    pub servers: Vec<Spanned<String>>,
    /// `user:password`.
    pub login: Option<SecretRef>,
    /// A token; NATS only.
    pub token: Option<SecretRef>,
    /// How user and password are shown; Kafka only.
    pub sasl: Sasl,
    /// TLS, if the other side wants it.
    pub tls: Option<ClientTls>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
}

/// How it is proved to Kafka who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sasl {
    /// SCRAM-SHA-512.
    ScramSha512,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// The password itself.
    Plain,
}

/// Messages of a broker that are taken.
#[derive(Clone, Debug)]
pub struct BrokerIn {
    /// Where it is.
    pub broker: Broker,
    /// Subjects, queue or topics.
    pub take: Spanned<String>,
    /// Through what.
    pub through: Through,
    /// What bodies are.
    pub content: BrokerContent,
    /// Messages that may be in hand together.
    pub ahead: u32,
    /// Largest body taken, in bytes.
    pub max_size: u64,
    /// How long messages are remembered.
    pub remember: Duration,
}

/// Through what messages come; each broker has its own.
#[derive(Clone, Debug)]
pub enum Through {
    /// A durable consumer of JetStream.
    Nats {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// After how long what was not acknowledged comes again.
        ack_wait: Duration,
    },
    /// A queue.
    Amqp {
        /// The virtual host.
        vhost: String,
        /// Whether `message-id` names a message.
        message_id: bool,
    },
    /// A session.
    Mqtt {
        /// Its name.
        client: String,
        /// How long the server keeps it.
        keep: Duration,
    },
    /// A consumer group.
    Kafka {
        /// Its name.
        group: String,
        /// Whether it begins behind the last record.
        latest: bool,
        /// Whether all of a record is read.
        record: bool,
        /// After how long without a word of us it goes on without us.
        session: Duration,
    },
}

/// What bodies are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerContent {
    /// As declared.
    As(FileContent),
    /// CloudEvents 1.0.
    CloudEvents,
}

impl BrokerIn {
    /// Whether every message has a name of its own, so that what comes again is recognised
    /// without more being declared.
    pub fn names_messages(&self) -> bool {
        self.content == BrokerContent::CloudEvents
            || match self.through {
                Through::Nats { .. } | Through::Kafka { .. } => true,
                Through::Amqp { message_id, .. } => message_id,
                Through::Mqtt { .. } => false,
            }
    }

    /// The key that declares it.
    pub const fn word(&self) -> &'static str {
        match self.through {
            Through::Nats { .. } => "nats",
            Through::Amqp { .. } => "amqp",
            Through::Mqtt { .. } => "mqtt",
            Through::Kafka { .. } => "kafka",
        }
    }
}

/// Where deliveries are published.
#[derive(Clone, Debug)]
pub struct BrokerOut {
    /// Where it is.
    pub broker: Broker,
    /// Subject, routing key or topic, with members of the payload.
    pub publish: Spanned<String>,
    /// Into what.
    pub into: PublishInto,
    /// In what.
    pub envelope: Option<CloudEvents>,
    /// How long a confirmation is waited for.
    pub timeout: Duration,
    /// Largest payload, in bytes.
    pub max_size: u64,
}

/// Into what messages go; each broker has its own.
#[derive(Clone, Debug)]
pub enum PublishInto {
    /// A subject of JetStream.
    Nats,
    /// An exchange.
    Amqp {
        /// The virtual host.
        vhost: String,
        /// The exchange.
        exchange: String,
    },
    /// A topic.
    Mqtt,
    /// A topic of Kafka.
    Kafka {
        /// The record's key, with members of the payload.
        key: Option<String>,
        /// How records are packed.
        compression: Compression,
        /// Whether the broker sees that it is given the same again.
        idempotent: bool,
    },
}

/// How records are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl BrokerOut {
    /// The key that declares it.
    pub const fn word(&self) -> &'static str {
        match self.into {
            PublishInto::Nats => "nats",
            PublishInto::Amqp { .. } => "amqp",
            PublishInto::Mqtt => "mqtt",
            PublishInto::Kafka { .. } => "kafka",
        }
    }
}

/// The envelope of CloudEvents 1.0.
#[derive(Clone, Debug)]
pub struct CloudEvents {
    /// Whether attributes are headers.
    pub binary: bool,
    /// Who says it.
    pub source: String,
    /// What happened.
    pub kind: String,
    /// To what.
    pub subject: Option<String>,
    /// When.
    pub time: Option<String>,
    /// The member of the payload that is the data.
    pub data: Option<String>,
}

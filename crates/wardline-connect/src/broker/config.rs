//! What can be set.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::kafka::{Compression, Sasl};
use super::template::Template;
use crate::tls::ClientTls;
use crate::{ContentType, Secret};

/// Where a broker is, and how it is proved who we are.
#[derive(Debug, Clone)]
pub struct Place {
    /// The connection, `system.connection`.
    pub name: Arc<str>,
    /// `host:port` of each of its servers, tried in turn.
    pub servers: Vec<String>,
    /// TLS, if it is spoken.
    pub tls: Option<ClientTls>,
    /// User and password, as `user:password`.
    pub login: Option<Secret>,
    /// A token; NATS only.
    pub token: Option<Secret>,
    /// How user and password are shown; Kafka only.
    pub sasl: Sasl,
    /// How long connecting may take, with all that is said before the first message.
    pub connect_timeout: Duration,
}

impl Place {
    /// One without secrets, for a start.
    pub fn new(name: impl Into<Arc<str>>, servers: Vec<String>) -> Self {
        Self {
            name: name.into(),
            servers,
            tls: None,
            login: None,
            token: None,
            sasl: Sasl::default(),
            connect_timeout: Duration::from_secs(10),
        }
    }

    /// User and password.
    pub(crate) fn user_and_password(&self) -> Option<(&[u8], &[u8])> {
        let login = self.login.as_ref()?.expose();
        let colon = login.iter().position(|&byte| byte == b':');
        Some(colon.map_or((login, &[][..]), |at| (&login[..at], &login[at + 1..])))
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let tls = if self.tls.is_some() { " (tls)" } else { "" };
        format!("{}{tls}", self.servers.join(", "))
    }
}

/// What is taken from where.
#[derive(Debug, Clone)]
pub enum Take {
    /// A durable consumer of a JetStream stream.
    Nats {
        /// The stream; it must be there.
        stream: String,
        /// The consumer; made where it is not there.
        consumer: String,
        /// Which subjects.
        subject: String,
        /// How long the server waits before what was not acknowledged comes again.
        ack_wait: Duration,
    },
    /// A queue of AMQP 0.9.1; it must be there.
    Amqp {
        /// The virtual host.
        vhost: String,
        /// The queue.
        queue: String,
        /// Whether `message-id` names a message, so that what comes again under it is not taken twice.
        by_message_id: bool,
    },
    /// A subscription of MQTT 5, with a session that the server keeps.
    Mqtt {
        /// The name of the session; nobody else may use it.
        client: String,
        /// Which topics.
        filter: String,
        /// How long the server keeps what comes while we are away.
        keep: Duration,
    },
    /// Topics of Kafka, as a member of a consumer group.
    Kafka {
        /// The topics; they must be there.
        topics: Vec<String>,
        /// The group.
        group: String,
        /// Whether what is there already is left out where the group has no offset yet.
        latest: bool,
        /// After how long without a word of us the group goes on without us.
        session: Duration,
        /// Whether all of a record is handed in, as one JSON object, and not its value alone.
        whole: bool,
    },
}

/// What bodies are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// As declared.
    As(ContentType),
    /// CloudEvents 1.0, structured or binary; each becomes its structured form.
    CloudEvents,
}

/// How messages are taken from a broker.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// Where it is.
    pub place: Place,
    /// What is taken.
    pub take: Take,
    /// What bodies are.
    pub content: Content,
    /// Messages that may be in hand together.
    pub ahead: usize,
    /// The largest body, in bytes.
    pub max_size: usize,
}

/// Where messages are published.
#[derive(Debug, Clone)]
pub enum Publish {
    /// A subject that a JetStream stream takes.
    Nats {
        /// The subject.
        subject: Template,
    },
    /// An exchange of AMQP 0.9.1.
    Amqp {
        /// The virtual host.
        vhost: String,
        /// The exchange; the default one where empty.
        exchange: String,
        /// The routing key.
        key: Template,
    },
    /// A topic of MQTT 5, at QoS 1.
    Mqtt {
        /// The topic.
        topic: Template,
    },
    /// A topic of Kafka.
    Kafka {
        /// The topic.
        topic: Template,
        /// The record's key.
        key: Option<Template>,
        /// How records are packed.
        compression: Compression,
        /// Whether the broker sees within an attempt that it is given the same again.
        idempotent: bool,
    },
}

/// The envelope of CloudEvents 1.0.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Whether attributes are headers; else they and the data are one JSON object.
    pub binary: bool,
    /// `source`: who says it.
    pub source: String,
    /// `type`: what happened.
    pub kind: Template,
    /// `subject`: to what it happened.
    pub subject: Option<Template>,
    /// `time`: when.
    pub time: Option<Template>,
    /// The member of the payload that is the data; all of it where absent.
    pub data: Option<String>,
}

/// How messages are published.
#[derive(Debug, Clone)]
pub struct PublisherConfig {
    /// Where it is.
    pub place: Place,
    /// Where to.
    pub publish: Publish,
    /// In what.
    pub envelope: Option<Envelope>,
    /// How long a confirmation is waited for.
    pub timeout: Duration,
    /// Most that may wait for their confirmation together, each on a connection of its own.
    pub sessions: usize,
    /// The largest payload, in bytes.
    pub max_size: usize,
}

impl Take {
    /// The protocol's name, and what is taken.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Nats {
                stream, consumer, ..
            } => format!("nats stream {stream} as {consumer} at"),
            Self::Amqp { queue, .. } => format!("amqp queue {queue} at"),
            Self::Mqtt { filter, client, .. } => format!("mqtt {filter} as {client} at"),
            Self::Kafka { topics, group, .. } => {
                format!("kafka {} as {group} at", topics.join(", "))
            }
        }
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nats { subject } => write!(f, "nats {}", subject.as_str()),
            Self::Amqp { exchange, key, .. } => write!(f, "amqp {exchange}/{}", key.as_str()),
            Self::Mqtt { topic } => write!(f, "mqtt {}", topic.as_str()),
            Self::Kafka { topic, .. } => write!(f, "kafka {}", topic.as_str()),
        }
    }
}

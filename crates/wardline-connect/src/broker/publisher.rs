//! Publishing to a broker, whatever it speaks. One attempt is one message and its confirmation;
//! after anything that leaves doubt about what the other side will say next, the connection is
//! dropped, so that a late confirmation is never taken for that of another message.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::config::{Publish, PublisherConfig};
use super::consumer::Access;
use super::fault::Fault;
use super::template::{Template, Within};
use super::{amqp, kafka, mqtt, nats};
use crate::{ConnectError, Failure, Reply, Request};

/// A connection that nobody used for so long is not used again: brokers close silent ones.
const IDLE: Duration = Duration::from_secs(20);
/// After a failed connect, attempts fail at once for so long, so that a broker that is down is not
/// hammered by every delivery that waits for it.
const QUIET: Duration = Duration::from_millis(500);

/// A message, ready to be written.
pub(crate) struct Outgoing<'a> {
    /// The same for all attempts.
    pub(crate) id: &'a str,
    pub(crate) correlation: &'a str,
    /// Subject, topic or routing key.
    pub(crate) to: String,
    /// The record's key; Kafka only.
    pub(crate) key: Option<String>,
    pub(crate) content_type: String,
    /// Attributes of an event, without the protocol's prefix.
    pub(crate) attributes: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

/// A connection that takes messages.
#[async_trait]
pub(crate) trait Session: Send {
    /// Writes a message and waits for its confirmation. Gives the broker's own words for it.
    async fn publish(&mut self, message: &Outgoing<'_>) -> Result<Reply, Fault>;

    /// Reads what the broker said meanwhile; false where the connection is not good any more.
    fn is_well(&mut self) -> bool;
}

struct Idle {
    session: Box<dyn Session>,
    used: Instant,
}

/// Publishes to a broker.
pub struct Outbound {
    config: PublisherConfig,
    access: Arc<Access>,
    /// One permit a connection; fair, so that messages leave in the order they were given.
    turns: Semaphore,
    idle: Mutex<Vec<Idle>>,
    /// Until when nobody connects, and why.
    quiet: Mutex<Option<(Instant, Fault)>>,
}

impl Outbound {
    /// Checks addresses and builds TLS; connects with the first message.
    ///
    /// # Errors
    /// Where an address or a certificate cannot be used.
    pub fn new(config: PublisherConfig) -> Result<Self, ConnectError> {
        Ok(Self {
            access: Arc::new(Access::new(config.place.clone())?),
            turns: Semaphore::new(config.sessions.max(1)),
            config,
            idle: Mutex::default(),
            quiet: Mutex::default(),
        })
    }

    /// The message that a request becomes.
    fn outgoing<'a>(&self, request: &Request<'a>) -> Result<Outgoing<'a>, Fault> {
        let unsendable = |text: String| Err(Fault::Unsendable(text));
        let most = self.config.max_size;
        if request.body.len() > most {
            let has = request.body.len();
            return unsendable(format!(
                "the payload has {has} bytes, and messages of this connection at most {most}"
            ));
        }
        let to = match &self.config.publish {
            Publish::Nats { subject: to }
            | Publish::Amqp { key: to, .. }
            | Publish::Mqtt { topic: to }
            | Publish::Kafka { topic: to, .. } => to,
        };
        let key = match &self.config.publish {
            Publish::Kafka { key, .. } => key.as_ref(),
            _ => None,
        };
        let reads = self.config.envelope.is_some()
            || to.has_members()
            || key.is_some_and(Template::has_members);
        let payload: Value = if reads {
            match serde_json::from_slice(&request.body) {
                Ok(payload) => payload,
                Err(_) => {
                    return unsendable("where it goes and its envelope are filled from the payload, which is no JSON".to_owned());
                }
            }
        } else {
            Value::Null
        };
        let fill = |template: &Template, within| {
            template.render(&payload, within).map_err(|member| {
                Fault::Unsendable(format!(
                    "`{}` needs `{member}`, which the payload does not have: let the map set it",
                    template.as_str()
                ))
            })
        };
        let to = fill(to, Within::Level)?;
        let key = key.map(|key| fill(key, Within::Anything)).transpose()?;
        let (content_type, attributes, body) = match &self.config.envelope {
            None => (
                request.content_type.to_owned(),
                Vec::new(),
                request.body.clone(),
            ),
            Some(envelope) => {
                let id = request.idempotency_key;
                let made = envelope.wrap(id, &payload, &request.body, request.content_type);
                let made = made.map_err(Fault::Unsendable)?;
                (made.content_type, made.attributes, made.body)
            }
        };
        Ok(Outgoing {
            id: request.idempotency_key,
            correlation: request.correlation,
            to,
            key,
            content_type,
            attributes,
            body,
        })
    }

    async fn exchange(&self, message: &Outgoing<'_>) -> Result<Reply, Fault> {
        let Ok(_turn) = self.turns.acquire().await else {
            return Err(Fault::Unreachable("it was closed".to_owned()));
        };
        let mut session = match self.rested() {
            Some(session) => session,
            None => self.connect().await?,
        };
        let limit = self.config.timeout;
        let answer = timeout(limit, session.publish(message))
            .await
            .unwrap_or_else(|_| Err(Fault::Lost(format!("no confirmation within {limit:?}"))));
        if answer.as_ref().err().is_none_or(Fault::leaves_whole) {
            let used = Instant::now();
            self.idle.lock().push(Idle { session, used });
        }
        answer
    }

    /// A connection that is open and was used lately.
    fn rested(&self) -> Option<Box<dyn Session>> {
        let mut idle = self.idle.lock();
        while let Some(mut one) = idle.pop() {
            if one.used.elapsed() < IDLE && one.session.is_well() {
                return Some(one.session);
            }
        }
        None
    }

    async fn connect(&self) -> Result<Box<dyn Session>, Fault> {
        if let Some((until, fault)) = &*self.quiet.lock()
            && Instant::now() < *until
        {
            return Err(fault.clone());
        }
        let (config, access) = (&self.config, &self.access);
        let servers = &access.servers;
        let opened = servers
            .open(config.place.connect_timeout, |link, address| {
                async move {
                    let link = match &config.publish {
                        // NATS greets in the clear.
                        Publish::Nats { .. } => link,
                        _ => servers.secure(link, address).await?,
                    };
                    let session: Box<dyn Session> = match &config.publish {
                        Publish::Nats { .. } => {
                            Box::new(nats::Push::open(link, address, servers, &config.place).await?)
                        }
                        Publish::Amqp {
                            vhost, exchange, ..
                        } => Box::new(
                            amqp::Publisher::open(link, &config.place, vhost, exchange).await?,
                        ),
                        Publish::Mqtt { .. } => {
                            Box::new(mqtt::Publisher::open(link, &config.place).await?)
                        }
                        Publish::Kafka {
                            compression,
                            idempotent,
                            ..
                        } => {
                            let manner = kafka::Manner {
                                compression: *compression,
                                idempotent: *idempotent,
                                timeout: config.timeout,
                            };
                            Box::new(kafka::Publisher::open(link, access, manner).await?)
                        }
                    };
                    Ok(session)
                }
                .boxed()
            })
            .await;
        *self.quiet.lock() = match &opened {
            Ok(_) => None,
            Err(fault) => Some((Instant::now() + QUIET, fault.clone())),
        };
        opened
    }
}

#[async_trait]
impl crate::Outbound for Outbound {
    async fn send(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let sent = match self.outgoing(&request) {
            Ok(message) => self.exchange(&message).await,
            Err(fault) => Err(fault),
        };
        sent.map_err(|fault| fault.into_failure(&self.describe()))
    }

    fn describe(&self) -> String {
        format!(
            "{} at {}",
            self.config.publish,
            self.config.place.describe()
        )
    }
}

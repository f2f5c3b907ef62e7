//! From declared connections to brokers to live ones.

use super::{WireError, Wiring, sessions};
use crate::renew::Renewals;
use std::sync::Arc;
use wardline_connect::{ConnectError, ContentType, Outbound, broker};
use wardline_estate::model::{
    Broker, BrokerContent, BrokerIn, BrokerOut, Compression, Connection, Estate, FileContent,
    PublishInto, Sasl, SecretRef, Through,
};

impl Renewals {
    /// Makes what takes messages of a broker. After a change of a secret or certificate it
    /// connects with the new one, the next time that it does.
    pub(crate) fn consumer(
        &self,
        estate: &Arc<Estate>,
        connection: &Connection,
        declared: &BrokerIn,
    ) -> Result<broker::Consumer, WireError> {
        let wiring = Wiring::new(estate, self.secrets());
        let consumer = wiring.consumer(connection, declared)?;
        let inputs = wiring.inputs();
        if inputs.is_empty() {
            return Ok(consumer);
        }
        let (owned, secrets) = (Arc::clone(estate), self.secrets().clone());
        let (connection, declared) = (connection.clone(), declared.broker.clone());
        let what = format!("connection {}", connection.reference);
        self.keep(what, &consumer.access(), inputs, None, move || {
            let wiring = Wiring::new(&owned, &secrets);
            let place = wiring.broker(&connection, &declared)?;
            Ok::<_, WireError>((broker::Access::new(place)?, wiring.inputs()))
        });
        Ok(consumer)
    }
}

impl Wiring<'_> {
    /// What takes messages of an inbound connection; it connects to nothing yet.
    ///
    /// # Errors
    /// Where a secret is missing, or an address or certificate cannot be used.
    fn consumer(
        &self,
        connection: &Connection,
        declared: &BrokerIn,
    ) -> Result<broker::Consumer, WireError> {
        let take = declared.take.value.clone();
        let take = match &declared.through {
            Through::Nats {
                stream,
                consumer,
                ack_wait,
            } => broker::Take::Nats {
                stream: stream.clone(),
                consumer: consumer.clone(),
                subject: take,
                ack_wait: *ack_wait,
            },
            Through::Amqp { vhost, message_id } => broker::Take::Amqp {
                vhost: vhost.clone(),
                queue: take,
                by_message_id: *message_id,
            },
            Through::Mqtt { client, keep } => broker::Take::Mqtt {
                client: client.clone(),
                filter: take,
                keep: *keep,
            },
            Through::Kafka {
                group,
                latest,
                record,
                session,
            } => broker::Take::Kafka {
                topics: vec![take],
                group: group.clone(),
                latest: *latest,
                session: *session,
                whole: *record,
            },
        };
        let content = match declared.content {
            BrokerContent::CloudEvents => broker::Content::CloudEvents,
            BrokerContent::As(kind) => broker::Content::As(match kind {
                FileContent::Text => ContentType::Text,
                FileContent::Json => ContentType::Json,
                FileContent::Xml => ContentType::Xml,
                FileContent::Hl7 => ContentType::Hl7,
                FileContent::X12 => ContentType::Other("application/edi-x12".into()),
                FileContent::Binary => ContentType::Binary,
            }),
        };
        let config = broker::ConsumerConfig {
            place: self.broker(connection, &declared.broker)?,
            take,
            content,
            ahead: declared.ahead.max(1) as usize,
            max_size: usize::try_from(declared.max_size).unwrap_or(usize::MAX),
        };
        Ok(broker::Consumer::new(config)?)
    }

    /// What publishes to a broker.
    pub(super) fn publisher(
        &self,
        connection: &Connection,
        declared: &BrokerOut,
    ) -> Result<Arc<dyn Outbound>, WireError> {
        let template = |text: &str| {
            broker::Template::new(text).map_err(|detail| ConnectError::BadSetting {
                name: connection.reference.clone(),
                what: "a text with members of the payload",
                value: text.to_owned(),
                detail,
            })
        };
        let to = template(&declared.publish.value)?;
        let publish = match &declared.into {
            PublishInto::Nats => broker::Publish::Nats { subject: to },
            PublishInto::Amqp { vhost, exchange } => broker::Publish::Amqp {
                vhost: vhost.clone(),
                exchange: exchange.clone(),
                key: to,
            },
            PublishInto::Mqtt => broker::Publish::Mqtt { topic: to },
            PublishInto::Kafka {
                key,
                compression,
                idempotent,
            } => broker::Publish::Kafka {
                topic: to,
                key: key.as_deref().map(template).transpose()?,
                compression: match compression {
                    Compression::None => broker::Compression::None,
                    Compression::Gzip => broker::Compression::Gzip,
                    Compression::Zstd => broker::Compression::Zstd,
                },
                idempotent: *idempotent,
            },
        };
        let envelope = declared.envelope.as_ref().map(|declared| {
            let optional = |text: &Option<String>| text.as_deref().map(template).transpose();
            Ok::<_, ConnectError>(broker::Envelope {
                binary: declared.binary,
                source: declared.source.clone(),
                kind: template(&declared.kind)?,
                subject: optional(&declared.subject)?,
                time: optional(&declared.time)?,
                data: declared.data.clone(),
            })
        });
        let config = broker::PublisherConfig {
            place: self.broker(connection, &declared.broker)?,
            publish,
            envelope: envelope.transpose()?,
            timeout: declared.timeout,
            sessions: sessions(connection.limits),
            max_size: usize::try_from(declared.max_size).unwrap_or(usize::MAX),
        };
        Ok(Arc::new(broker::Outbound::new(config)?))
    }

    fn broker(
        &self,
        connection: &Connection,
        declared: &Broker,
    ) -> Result<broker::Place, WireError> {
        let servers = declared.servers.iter().map(|one| one.value.clone());
        let mut place = broker::Place::new(connection.reference.as_str(), servers.collect());
        let secret = |reference: &SecretRef| self.secret(reference);
        place.login = declared.login.as_ref().map(secret).transpose()?;
        place.token = declared.token.as_ref().map(secret).transpose()?;
        place.sasl = match declared.sasl {
            Sasl::Plain => broker::Sasl::Plain,
            Sasl::ScramSha256 => broker::Sasl::ScramSha256,
            Sasl::ScramSha512 => broker::Sasl::ScramSha512,
        };
        let tls = declared.tls.as_ref().map(|tls| self.client_tls(tls));
        place.tls = tls.transpose()?;
        place.connect_timeout = declared.connect_timeout;
        Ok(place)
    }
}

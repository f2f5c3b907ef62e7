//! Message brokers: taking from them ([`Consumer`]) and publishing to them ([`Outbound`]).
//!
//! What is promised, whatever a broker speaks:
//! - A message is acknowledged only when it and all that follows from it are on stable storage. Where
//!   the connection ends before that, it comes again and is recognised by the name that the broker
//!   gives it, where it gives one.
//! - What is published counts as delivered only when the broker has confirmed it. Each attempt
//!   carries the same id.
//! - Memory is bounded: at most so many messages are in hand as declared, each at most so large.
//! - Values of a payload that stand in a subject, topic or routing key stay one level of it.
//! - The protocols are written here, from their specifications, over the house's TLS: a broker is
//!   believed no more than any other peer.

mod amqp;
mod config;
mod consumer;
mod events;
mod fault;
mod kafka;
mod link;
mod mqtt;
mod nats;
mod publisher;
mod template;

pub use config::{ConsumerConfig, Content, Envelope, Place, Publish, PublisherConfig, Take};
pub use consumer::{Access, Consumer};
pub use kafka::{Compression, Sasl};
pub use publisher::Outbound;
pub use template::Template;

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing {
    //! What brokers say, read as it comes.

    pub(crate) use super::amqp::fuzz as amqp;
    pub(crate) use super::kafka::fuzz as kafka;
    pub(crate) use super::mqtt::fuzz as mqtt;
    pub(crate) use super::nats::fuzz as nats;
}

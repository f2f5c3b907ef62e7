//! Kafka: records are taken as a member of a consumer group, whose offset follows what is on
//! stable storage, and published with the confirmation of all replicas that are in step.
//!
//! Each question is asked in one version that brokers from 2.1 up to those of 4 know.

mod assigned;
mod cluster;
mod consume;
mod crc;
mod errors;
mod fetch;
mod group;
mod node;
mod partition;
mod publish;
mod records;
mod sasl;
mod take;
mod wire;

pub(super) use consume::Consume;
pub(super) use publish::{Manner, Publisher};
pub use records::Compression;
pub use sasl::Sasl;

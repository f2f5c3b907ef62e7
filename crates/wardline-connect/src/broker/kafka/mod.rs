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

/// Batches of records, assignments and answers to fetches, for the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let mut set = bytes.clone();
    while let Ok(Some(batch)) = records::next(&mut set) {
        let _abort = batch.is_abort();
        if let Ok(mut opened) = batch.open(1 << 20) {
            while let Ok(Some(_)) = opened.next() {}
        }
    }
    let _span = records::span(&bytes);
    fetch::fuzz(bytes.clone());
    group::fuzz(bytes.clone());
    cluster::fuzz(bytes);
}

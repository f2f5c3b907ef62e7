//! Doors for the fuzzer of `fuzz/`: what comes from the other side of a wire, read as the connectors
//! read it. Only there with the feature `fuzzing`, which nothing that runs has.

use bytes::BytesMut;

/// A wire.
pub type Wire = fn(&[u8]);

/// All of them, by name.
pub const WIRES: [(&str, Wire); 6] = [
    ("amqp", crate::broker::fuzzing::amqp),
    ("ftps", crate::ftps::fuzz),
    ("kafka", crate::broker::fuzzing::kafka),
    ("mqtt", crate::broker::fuzzing::mqtt),
    ("nats", crate::broker::fuzzing::nats),
    ("s3", crate::s3::fuzz),
];

/// Bytes as they gather from a socket: in two parts, so that what is cut is met too.
pub(crate) fn in_parts(bytes: &[u8], mut read: impl FnMut(&mut BytesMut)) {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut input = BytesMut::from(first);
    read(&mut input);
    input.extend_from_slice(second);
    read(&mut input);
}

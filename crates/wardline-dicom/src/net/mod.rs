//! Associations: the upper layer of PS3.8 and the messages of PS3.7, over any byte stream.
//!
//! [`serve`] answers an association that a peer opened and asks a [`Service`] what to do with what
//! comes; [`Client`] opens one. TLS is the stream's business.

mod client;
mod command;
mod link;
mod messages;
mod pdu;
mod server;
mod status;

pub use client::{Client, Proposal};
pub use link::NetError;
pub use server::{Incoming, Performed, Service, Sink, serve};
pub use status::{Rejection, Status};

use std::time::Duration;

/// What a side insists on.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The longest PDU that is received; told to the peer.
    pub max_pdu: u32,
    /// The largest object that is received.
    pub max_object: u64,
    /// The largest query or step, which are kept whole while they are read.
    pub max_data_set: usize,
    /// How long a peer may be silent between messages.
    pub idle: Duration,
    /// How long anything that has begun may take to go on: a PDU to be whole, the next fragment of a
    /// message to come, an answer to be taken.
    pub stall: Duration,
}

impl Default for Terms {
    /// PDUs of 128 KiB, objects of 4 GiB, other data sets of 1 MiB; 60 s of silence, 30 s within
    /// something.
    fn default() -> Self {
        Self {
            max_pdu: 128 << 10,
            max_object: 4 << 30,
            max_data_set: 1 << 20,
            idle: Duration::from_secs(60),
            stall: Duration::from_secs(30),
        }
    }
}

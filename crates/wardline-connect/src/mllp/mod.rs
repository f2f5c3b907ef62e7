//! HL7 v2 over MLLP (HL7 v2.5.1 appendix C), both ways.
//!
//! [`Listener`] takes messages in and acknowledges them, [`Outbound`] sends them and waits for
//! the acknowledgement. [`send_once`] and [`Receiver`] are the two small tools behind
//! `wardline send` and `wardline listen`.

mod answer;
mod client;
mod config;
mod inbound;
mod outbound;
mod receiver;
mod session;
mod share;
pub(crate) mod wire;

pub use client::send_once;
pub use config::{AckMode, Correlation, InboundConfig, OnError, OutboundConfig};
pub use inbound::{ALPN, Listener};
pub use outbound::Outbound;
pub use receiver::Receiver;

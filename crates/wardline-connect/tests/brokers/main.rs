//! Brokers that others wrote, killed in the midst: what they confirmed is there, what is taken from
//! them is taken once, and nothing is acknowledged before it is kept.
//!
//! Each test starts its own broker on a port of the loopback interface, and says so and ends where
//! the broker is not installed (`cargo xtask peers` installs it).
// clippy's exemption for tests covers only functions marked #[test], not what they call.
#![allow(clippy::unwrap_used)]

mod amqp;
mod cluster;
mod kafka;
mod mqtt;
mod nats;
mod stage;

//! DICOM: objects, queries and steps that modalities send ([`Listener`]), objects sent to others
//! ([`Outbound`], [`WebOutbound`]), and entries of the worklist that flows keep ([`Entries`]).
//!
//! What is promised:
//! - A peer hears of success only when its object lies whole and synchronised under its own name, and
//!   the message about it is on stable storage. Before, there is at most a part under `.incoming/`.
//! - Objects are written as they come: memory does not depend on their size. What a message says of
//!   one are its attributes, without pixel data and whatever else is large.
//! - Nobody is let in who is not named, and whoever stalls is sent away.

mod config;
mod entries;
mod inbound;
mod objects;
mod outbound;
mod service;
mod steps;
mod web;

pub use config::{InboundConfig, OutboundConfig};
pub use entries::Entries;
pub use inbound::Listener;
pub use outbound::Outbound;
pub use web::{WebConfig, WebOutbound};

//! The engine as a whole: a real journal, real sockets on both sides, and other systems that
//! fail in the ways that other systems do.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up should stop"
)]

mod again;
mod change;
mod flowing;
mod http_receiver;
mod judged;
mod keys;
mod lasting;
mod logs;
mod people;
mod processes;
mod reconciles;
mod sender;
mod stage;
mod told;
mod trouble;

//! The heart: accepts messages, routes them through the estate's flows, and sees to it that
//! every delivery reaches a visible end.
//!
//! - [`Plan::compile`] makes an estate ready to run and reports what does not compile.
//! - [`Engine::start`] runs a plan on a store: listeners accept, destinations deliver;
//!   [`Engine::apply`] puts another plan in its place without losing a step.
//! - [`Desk`] is what people read and decide, the same for console, command line and API.
//! - [`trial`] runs an estate's own tests without network, store or clock.
//!
//! What it promises: nothing is acknowledged before it and everything that follows from it is
//! durable; per destination and key, deliveries leave in the order of acceptance; a failing
//! key stops nobody else; every act of a person is an audit entry, committed with what it
//! changes. What it never does: speak a protocol, write SQL.
//!
//! The way of a message: `accept.rs` → `route.rs` → the store → `dispatch/` → the store.

mod accept;
mod alert;
mod bulk;
pub mod certs;
pub mod codes;
mod desk;
mod dispatch;
mod engine;
mod fingerprint;
mod keys;
mod later;
mod live;
mod metrics;
mod plan;
mod process;
mod recorder;
mod renew;
mod retention;
mod route;
mod schedule;
pub mod trial;
mod tryout;
pub mod view;
mod webhook;
mod wire;
mod x12;

pub use desk::{Balance, Desk, DeskError, Found, RegisterError, ReloadRequest};
pub use dispatch::share::{CallGate, CallGates, CallPass, Shut};
pub use engine::{Engine, Parts, StartError, open_desk};
pub use keys::{KeyBook, KeyError, KeyHash, KeyState};
pub use later::{Deferral, LaterCall, NotTaken, Once, Progress, Taken};
pub use live::{Change, How, Prepared, difference, needs_restart};
pub use plan::{Plan, diagnostic_in, environment};
pub use process::{Begun, Definition, ProcessDoor, Refused};
pub use recorder::{Place, Recorder, Unrecorded};
pub use renew::{Inputs, Renewals, Renewed};
pub use tryout::MapBench;
pub use webhook::{Audience, EVENTS_PATH, Nobody, Told};
pub use wire::{WireError, Wiring};

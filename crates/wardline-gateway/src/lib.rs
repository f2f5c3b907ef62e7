//! The front door: everything another application asks comes through here.
//!
//! A [`Plan`] says what is served, as plain data; [`Gateway::start`] serves it and
//! [`Gateway::replace`] puts another in its place while requests are served. What the crate
//! promises:
//!
//! - **Nobody passes by default.** Who may is the [`Gatekeeper`]'s word; without one nobody may.
//! - **What can be read in two ways is refused** (RFC 9112), before a system behind could read it
//!   another way.
//! - **Memory is bounded.** Heads, bodies as they arrive and unpacked, answers that must be held,
//!   connections, calls in hand and everything that is kept have limits.
//! - **Nothing is written twice.** A call is repeated only where it never left, its method is
//!   idempotent, or it carries an idempotency key.
//! - **A replaced plan drops nothing.** A request ends under the plan it began with.
//! - **No value of a request stands in a problem, a log line or a `Debug` text.**
//!
//! Start with [`Plan`] (what is served), [`seam`] (what others decide) and [`Kind`] (what callers
//! are told when something is wrong).

mod body;
mod chunk;
mod correlation;
mod error;
pub mod estate;
mod framing;
mod gateway;
mod guard;
pub mod idempotency;
mod lanes;
mod listener;
pub mod plan;
mod problem;
pub mod route;
pub mod seam;
mod seldom;
mod serve;
pub mod shadow;
mod snapshot;
pub mod speech;
mod upstream;
mod versions;

pub use correlation::HEADER as CORRELATION;
pub use error::{
    BAD_TEMPLATE, BAD_URL, EXPLANATIONS, GatewayError, NO_SUCH_PART, NO_SUCH_UPSTREAM, NO_THREADS,
    NOT_SERVED, ROUTE_CLASH,
};
pub use gateway::{Gateway, Prepared};
pub use plan::Plan;
pub use problem::{Kind, Problem, Violation, explanations};
pub use seam::{Contract, Gatekeeper};

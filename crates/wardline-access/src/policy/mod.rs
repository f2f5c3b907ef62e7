//! Authorization: who may do what to what, decided by Cedar policies.
//!
//! [`compile`] makes [`Policies`] of a [`World`] (plain data, from the estate) or says what is
//! wrong with its policy files; [`Policies::decide`] answers one question. What is not permitted
//! is refused, a forbidding policy beats every permitting one, and where a policy could not be
//! evaluated the answer is no.
//!
//! The built-in policies ([`BASE`]) permit a call where the caller holds the operation's scope,
//! and console acts by role ([`ROLES`]). They *forbid* what the listener's zone does not show and
//! sites that are not the caller's, so no policy of an estate can permit these. Grants are data
//! (the client's file), not policies: a thousand clients cost what one does.
//!
//! A snapshot is immutable. When the estate changes, compile another and swap it.

mod compile;
mod context;
mod decide;
mod entities;
mod explain;
mod problem;
mod remembered;
mod select;
#[cfg(test)]
mod tests;
mod text;
mod world;

pub use compile::{BASE, SCHEMA, compile, receive_scope};
pub use decide::{Decision, NotDecided, Policies};
pub use explain::{Explanation, Reason};
pub use problem::{Problem, ProblemKind};
pub use world::{
    Action, Api, Client, Entity, Facts, Flow, Operation, PolicyText, ROLES, Resource, World,
};

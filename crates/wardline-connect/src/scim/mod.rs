//! SCIM 2.0 in and out. In: a service that others keep people and groups at ([`Endpoint`]); the
//! listener's part (routes, proofs, memory) is `http`.
//!
//! Out (RFC 7643, 7644): people and groups are put, changed and taken away at a service
//! that keeps accounts, by the id that *we* know them by (`externalId`).
//!
//! What is promised:
//! - An account is found by `externalId`, compared by us: a service that does not filter, or knows
//!   two by that id, is told apart from one that knows none.
//! - What was read is changed only as it was read (`If-Match`), where the service says versions.
//! - Every operation can be tried again: what is there already is not made twice, what is gone is
//!   not an error where it was to go.

mod asked;
mod inbound;
mod list;
mod outbound;
mod resource;

pub(crate) use asked::{Asked, Query, segments, tagged, unescaped};
pub use inbound::Endpoint;
pub(crate) use inbound::{Answered, Became};
pub use outbound::{Outbound, OutboundConfig};
pub use resource::Verb;
pub use wardline_scim::discovery::Proof;

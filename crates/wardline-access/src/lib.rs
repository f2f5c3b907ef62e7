//! Access: who calls, and what they may do.
//!
//! The gateway and the console stand side by side and must judge alike, so what they judge by
//! is below both. It promises to refuse by default, to say in the audit log why, and to tell
//! the caller no more than that it was refused.
//!
//! Start with [`Caller`] (who it is, once that is known) and [`Identity`](identity::Identity)
//! (how that becomes known, and who issues tokens).
//!
//! Which people come in is [`people`]. What a caller may do is [`policy`], what it sees of
//! sensitive fields [`mask`], how much it may do [`quota`], what it does [`usage`], and what about
//! that stands out [`watch`].

mod caller;
mod error;
pub mod identity;
pub mod mask;
pub mod oauth;
pub mod people;
pub mod policy;
pub mod quota;
pub mod token;
pub mod usage;
pub mod watch;

pub use caller::{Caller, CallerKind, Strength};
pub use error::AccessError;
pub use identity::AccessEvent;

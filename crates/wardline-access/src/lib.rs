//! Access: who calls, and what they may do.
//!
//! The gateway and the console stand side by side and must judge alike, so what they judge by
//! is below both. It promises to refuse by default, to say in the audit log why, and to tell
//! the caller no more than that it was refused.
//!
//! Start with [`Caller`] (who it is, once that is known).
//!
//! What a caller may do is [`policy`], what it sees of sensitive fields [`mask`], how much it may
//! do [`quota`], and what about its calls stands out [`watch`].

mod caller;
pub mod mask;
pub mod policy;
pub mod quota;
pub mod watch;

pub use caller::{Caller, CallerKind, Strength};

//! AS2 (RFC 4130): payloads sent to a partner ([`Outbound`]) and received from one ([`Listener`]),
//! signed and encrypted, each acknowledged by a receipt that names what was taken.
//!
//! What is promised:
//! - A delivery has ended well only when the partner's receipt says so, is signed where that was asked
//!   for, names this message, and holds the digest of what was sent.
//! - A receipt of ours leaves only when the message is on stable storage; the same message again gets
//!   its receipt again, and is no second message.
//! - Receipts go nowhere that the estate does not name.

mod inbound;
mod outbound;

pub use inbound::{ALPN, InboundConfig, Listener};
pub use outbound::{Outbound, OutboundConfig};

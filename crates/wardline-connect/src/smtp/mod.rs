//! Mail out: deliveries become messages to people, by SMTP (RFC 5321).
//!
//! What is promised:
//! - Mail goes only to addresses and domains that the connection names. A payload can choose among
//!   them, and can add no header: what holds a line's end where none may be is refused.
//! - The delivery's id is the message's id, the same for every attempt, so that whoever gets a mail
//!   twice can tell.
//! - A password goes only over TLS. A server that does not offer it is not written to.
//! - No error text holds an address, a subject or a word of the text.

mod config;
mod message;
mod outbound;
mod session;

pub use config::{OutboundConfig, Security};
pub use outbound::Outbound;
pub use wardline_core::mail::{Address, Recipients};

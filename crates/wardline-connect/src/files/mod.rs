//! Files: taken from a directory ([`Watch`]), and written into one ([`Outbound`]).
//!
//! What is promised of files that come in:
//! - A file is checked from its first to its last byte before anything of it is taken. One that is
//!   cut, does not tie or is no text of its charset is refused as a whole, kept in `refused/`
//!   beside a note that says why, and recorded as a dead delivery.
//! - Every record is taken once, whatever dies when: each is accepted under a name made of the
//!   file's name, the digest of its content and the record's number, and that name is committed
//!   with the message. After a crash the file is read again and what was taken is recognised.
//! - What is read the second time is what was checked the first time: digests of its parts are
//!   compared before a part is used.
//! - A file leaves its place only when all of it is on stable storage.
//! - Memory does not depend on the size of a file. Links, devices and names that lead elsewhere are
//!   never followed.

mod config;
mod digest;
mod directory;
mod local;
mod outbound;
mod take;
mod watch;

pub use config::{OutboundConfig, Split, Then, WatchConfig};
pub use directory::{Directory, Entry, Place, Trouble};
pub(crate) use directory::{is_name, join, read_block, split, time_of};
pub use local::Local;
pub use outbound::Outbound;
pub use watch::Watch;

//! Identity from outside: tokens, grants, keys, issuers, and whatever anybody may send.
#![allow(
    clippy::unwrap_used,
    clippy::unused_self,
    reason = "a test that cannot be set up should stop; the world's methods read alike"
)]

mod estate;
mod grants;
mod hostile;
mod issuers;
mod lifecycle;
mod malformed;
mod support;

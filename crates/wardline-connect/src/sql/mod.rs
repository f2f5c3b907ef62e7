//! Databases of others: PostgreSQL, MySQL and MariaDB, SQLite. Rows become messages ([`Poll`]), and
//! deliveries become statements ([`Outbound`]).
//!
//! What is promised:
//! - A value never becomes a part of a statement: every parameter is bound.
//! - What one delivery does is one transaction, where it changes anything: all of its statements, or
//!   none.
//! - A row is taken once, whatever dies when: it is accepted under a name made of its key (or of all
//!   that it holds), and that name is committed with the message. How far reading came ([`Marks`])
//!   and which rows were marked as done may lag behind; what is read again is recognised.
//! - Memory is bounded: so many rows and bytes at a time, whatever a statement would give.
//! - No error text holds a value. What a database says of an error mostly does, so only its code, and
//!   the names of constraint, table and column are passed on.

mod bound;
mod config;
mod mysql;
mod outbound;
mod poll;
mod postgres;
mod round;
mod session;
mod sqlite;
mod trouble;

pub use config::{Access, Expect, Follow, OutboundConfig, Overlap, PollConfig, Procedure};
pub use outbound::Outbound;
pub use poll::{Marks, Poll};

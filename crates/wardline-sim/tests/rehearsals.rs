//! Rehearsals without Wardline: a listener that takes what the systems tell, and plain requests in place of processes.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "rehearsals/claims.rs"]
mod claims;
#[path = "rehearsals/departments.rs"]
mod departments;
#[path = "rehearsals/duties.rs"]
mod duties;
#[path = "rehearsals/ledgers.rs"]
mod ledgers;
#[path = "rehearsals/listener.rs"]
mod listener;
#[path = "rehearsals/people.rs"]
mod people;
#[path = "rehearsals/stays.rs"]
mod stays;
#[path = "rehearsals/stock.rs"]
mod stock;
#[path = "rehearsals/supply.rs"]
mod supply;

//! The pages and the API without a browser: who gets in, what every answer carries, what
//! never stands in one, and that acts happen once, with a reason.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

mod access;
mod acts;
mod api;
#[path = "../fake/mod.rs"]
mod fake;
mod live;
mod people;
mod processes;
mod reading;
mod site;

//! The OWASP API Security Top 10 of 2023, item by item, through the real binary: the example
//! estate, its ERPs, and callers who want more than they were given.
//!
//! Every refusal is looked at from both sides: what the caller is told, and that the system
//! behind was not asked.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "owasp/amount.rs"]
mod amount;
#[path = "owasp/content.rs"]
mod content;
#[path = "peers/house.rs"]
mod house;
#[path = "owasp/proof.rs"]
mod proof;
#[path = "owasp/reach.rs"]
mod reach;
#[path = "owasp/surface.rs"]
mod surface;
#[path = "peers/town.rs"]
mod town;

use town::{Answer, ask};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const V100: &str = "/supplier-master/v1/suppliers/V-100";
const CARD: &str = "/supplier-portal/v1/suppliers/V-100/card";

fn get(at: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(at, "GET", path, headers, b"")
}

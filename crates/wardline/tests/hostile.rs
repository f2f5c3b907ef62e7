//! The gateway against connections that do not behave, through the real binary: slow ones, idle
//! ones, heads that two readers cut differently, by themselves and with nginx in between, and bulk
//! that wants all there is. Whatever they do, the realtime path answers and memory is bounded.
//!
//! `nginx` comes with Debian's `nginx-light`; without it its test says so and skips, and fails
//! where `CI` is set.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "hostile/connections.rs"]
mod connections;
#[path = "hostile/framing.rs"]
mod framing;
#[path = "peers/house.rs"]
mod house;
#[path = "hostile/lanes.rs"]
mod lanes;
#[path = "peers/town.rs"]
mod town;

use serde_json::Value;
use town::{Town, ask};

const V100: &str = "/supplier-master/v1/suppliers/V-100";

/// Memory of the server now, in MiB.
fn resident(town: &Town) -> usize {
    let text = std::fs::read(town.house.data().join("serve.json")).unwrap();
    let server: Value = serde_json::from_slice(&text).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", server["pid"])).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

/// The realtime path answers, on a connection of its own, so many times.
#[track_caller]
fn realtime(town: &Town, token: &str, times: usize) {
    let headers = [("Authorization", token), ("X-Purpose-Of-Use", "payment")];
    for _ in 0..times {
        ask(&town.internal, "GET", V100, &headers, b"").is(200);
    }
}

//! The gateway against programs that look for faults: `schemathesis` over every contract that the
//! example serves, `sslyze` and `openssl s_client` at a TLS listener, `curl` with a certificate, and
//! the files of JSON test suites.
//!
//! `cargo xtask peers` installs the programs. Without them the tests say so and skip; where `CI` is
//! set they fail. The files are read from `../shared/testdata` beside the workspace, where that is.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests they serve"
)]

#[path = "strangers/contracts.rs"]
mod contracts;
#[path = "peers/house.rs"]
mod house;
#[path = "strangers/json.rs"]
mod json;
#[path = "strangers/tls.rs"]
mod tls;
#[path = "peers/town.rs"]
mod town;

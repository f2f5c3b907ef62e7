//! How fast the scanner reads, beside `serde_json`: `cargo run --release -p wardline-contract
//! --example json_speed`.

use std::time::Instant;

use wardline_contract::json::{Limits, check};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let record = r#"{"id":"S-000123","name":"Müller & Söhne \"Medical\"","terms":30,"price":-12.50e1,"active":true,"tags":["a","b"],"address":{"city":"Saint Brigid","zip":"02139","note":null}}"#;
    let text = format!("[{}]", vec![record; 40_000].join(","));
    let limits = Limits {
        bytes: u64::MAX,
        nodes: u32::MAX,
        ..Limits::default()
    };
    for _ in 0..3 {
        let start = Instant::now();
        let seen = check(text.as_bytes(), &limits)?;
        let ours = start.elapsed();
        let lenient = Limits {
            duplicate_keys: true,
            ..limits
        };
        let start = Instant::now();
        check(text.as_bytes(), &lenient)?;
        let duplicates = start.elapsed();
        let start = Instant::now();
        let value: serde_json::Value = serde_json::from_str(&text)?;
        let theirs = start.elapsed();
        assert!(value.is_array());
        let rate = |time: std::time::Duration| text.len() as f64 / 1e6 / time.as_secs_f64();
        println!(
            "{} values: scanner {:.0} MB/s, without looking for duplicate keys {:.0} MB/s; serde_json::Value {:.0} MB/s",
            seen.nodes,
            rate(ours),
            rate(duplicates),
            rate(theirs)
        );
    }
    Ok(())
}

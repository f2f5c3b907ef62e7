//! Records a second of the flat file reader beside the bare `csv` reader, over the same bytes:
//! `cargo run --release -p wardline-edi --example flat_rate [MIB]`.

use std::io::Read;
use std::time::Instant;

use serde_json::json;
use wardline_edi::flat::{Plan, Reader};

/// The same block of lines, again and again: no file is needed, and no memory for one.
struct Lines {
    block: Vec<u8>,
    at: usize,
    left: u64,
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.block[self.at..];
        let length = rest.len().min(into.len());
        if length == 0 || self.left == 0 {
            return Ok(0);
        }
        into[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        if self.at == self.block.len() {
            self.at = 0;
            self.left -= 1;
        }
        Ok(length)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mib: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(256), |text| text.parse())?;
    let mut block = String::new();
    for n in 0..10_000 {
        let quoted = if n % 10 == 0 {
            "\"Gauze, sterile \"\"4x4\"\"\""
        } else {
            "Gauze sterile"
        };
        block += &format!(
            "R,45{n:05},20261127,{},{quoted},{}.{:02}\n",
            n % 40 + 1,
            n % 900,
            n % 100
        );
    }
    let lines = || Lines {
        block: block.clone().into_bytes(),
        at: 0,
        left: (mib << 20) / block.len() as u64,
    };
    let text = json!({ "delimited": {}, "fields": [{ "name": "a" }, { "name": "b" }, { "name": "c" }, { "name": "d" }, { "name": "e" }, { "name": "f" }] });
    let typed = json!({ "delimited": {}, "fields": [
        { "name": "kind" }, { "name": "order", "required": true }, { "name": "day", "type": "date", "format": "YYYYMMDD" },
        { "name": "quantity", "type": "integer" }, { "name": "item" }, { "name": "amount", "type": "decimal" }] });
    for round in 1..=3 {
        let began = Instant::now();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(lines());
        let mut record = csv::StringRecord::new();
        let mut count = 0_u64;
        while reader.read_record(&mut record)? {
            count += 1;
        }
        let bare = count as f64 / began.elapsed().as_secs_f64();
        println!("round {round}: csv {bare:.0} records/s");
        for (name, layout) in [("text", &text), ("typed", &typed)] {
            let plan = Plan::from_json(layout)?;
            let began = Instant::now();
            let mut reader = Reader::new(&plan, lines());
            let mut seen = 0_u64;
            while let Some(record) = reader.read()? {
                seen += u64::from(record.problems.is_empty());
            }
            assert_eq!(seen, count);
            let rate = seen as f64 / began.elapsed().as_secs_f64();
            println!(
                "round {round}: flat, {name}: {rate:.0} records/s, {:.0} % of csv",
                100.0 * rate / bare
            );
        }
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    if let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM")) {
        println!("{peak}");
    }
    Ok(())
}

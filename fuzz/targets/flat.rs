//! Flat files: the same records however the file is cut into reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use std::io::Read;
use std::sync::OnceLock;
use wardline_edi::flat::{Plan, Reader};

static PLANS: OnceLock<[Plan; 3]> = OnceLock::new();

fn plans() -> [Plan; 3] {
    let delimited = json!({
        "delimited": { "delimiter": ";" },
        "records": [
            { "record": "head", "role": "header", "when": { "column": 1, "is": "H" }, "fields": [{ "name": "type" }] },
            { "record": "receipt", "when": { "column": 1, "is": "R" },
              "fields": [{ "name": "type" }, { "name": "order", "required": true }, { "name": "quantity", "type": "integer" },
                         { "name": "amount", "type": "decimal" }] },
            { "record": "tail", "role": "trailer", "when": { "column": 1, "is": "T" },
              "fields": [{ "name": "type" }, { "name": "count", "type": "integer" }] },
        ],
        "totals": [{ "in": "tail", "field": "count", "counts": "details" }],
    });
    let fixed = json!({
        "fixed": {},
        "records": [
            { "record": "line", "fields": [
                { "name": "number", "start": 1, "length": 6, "type": "integer" },
                { "name": "day", "start": 7, "length": 8, "type": "date", "format": "YYYYMMDD" },
                { "name": "text", "start": 15, "length": 10 } ] },
        ],
    });
    let plan = |layout: &Value| Plan::from_json(layout).expect("a layout of ours");
    [Plan::csv(), plan(&delimited), plan(&fixed)]
}

struct Drip<'a>(&'a [u8], usize);

impl Read for Drip<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = self.0.len().min(self.1).min(into.len());
        into[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

fn records(plan: &Plan, bytes: &[u8], step: usize) -> Vec<Value> {
    let mut reader = Reader::new(plan, Drip(bytes, step));
    let mut all = Vec::new();
    while let Ok(Some(record)) = reader.read() {
        all.push(Value::Object(record.to_json()));
    }
    all
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    for plan in PLANS.get_or_init(plans) {
        let whole = records(plan, bytes, usize::MAX);
        assert_eq!(whole, records(plan, bytes, usize::from(step % 5) + 1), "the cut into reads shows");
    }
});

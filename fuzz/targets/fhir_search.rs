//! Searches by FHIR's parameters: values and modifiers of anybody, over resources of anybody.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wardline_fhir::search::{Criterion, parameters};

fuzz_target!(|input: (u8, &str, &str, &[u8])| {
    let (which, modifier, text, body) = input;
    let resource: Value = serde_json::from_slice(body).unwrap_or_default();
    for kind in ["Patient", "Observation", "Encounter"] {
        let all = parameters(kind);
        let parameter = &all[usize::from(which) % all.len()];
        let modifier = (!modifier.is_empty()).then_some(modifier);
        if let Ok(criterion) = Criterion::read(parameter, modifier, text, "https://fhir.example") {
            let _ = criterion.admits(&resource);
        }
    }
});

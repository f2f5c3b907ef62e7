//! SCIM: filters, paths and changes by whoever holds a token.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wardline_scim::filter::Filter;
use wardline_scim::schema::ResourceType;
use wardline_scim::{patch, resource};

fuzz_target!(|input: (&str, &[u8])| {
    let (filter, body) = input;
    for segment in ["Users", "Groups"] {
        let Some(of) = ResourceType::at(segment) else {
            continue;
        };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let read = resource::read(of, &body).unwrap_or_default();
        if let Ok(filter) = Filter::read(of, filter) {
            let _ = filter.admits(&read);
        }
        if let Ok(changed) = patch::apply(of, &read, &body) {
            // What a change leaves can be read again.
            let _ = resource::read(of, &Value::Object(changed));
        }
    }
});

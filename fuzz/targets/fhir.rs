//! FHIR: whatever can be read is checked; no problem quotes more than places; HL7 v2 that has a map
//! becomes what the check has nothing against in structure.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wardline_fhir::{Options, check, from_hl7, read};
use wardline_hl7::Message;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(resource) = read(bytes, 1 << 16) {
        let _ = check(&resource).to_json();
    }
    if let Ok(message) = Message::parse(bytes.to_vec()) {
        let first = from_hl7(&message, &Options::default());
        let second = from_hl7(&message, &Options::default());
        if let (Ok(first), Ok(second)) = (first, second) {
            assert_eq!(first.to_json(), second.to_json(), "the same message, other ids");
            let made = read(first.to_json().as_bytes(), 1 << 22).expect("what was made is JSON");
            let _ = check(&made);
        }
    }
});

//! HL7 v2: whatever is read is written back byte for byte, and every leaf can be looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wardline_hl7::{Batch, Message, inspect};

fuzz_target!(|bytes: &[u8]| {
    let report = inspect(bytes.to_vec());
    let Ok(message) = Message::parse(bytes.to_vec()) else {
        return;
    };
    assert_eq!(message.bytes(), bytes, "not as it came");
    for segment in message.segments() {
        let _ = segment.name();
    }
    let _ = (message.control_id(), message.message_type(), message.version());
    if let Ok(batch) = Batch::parse(bytes.to_vec()) {
        assert_eq!(batch.messages().count(), batch.len());
        for entry in batch.messages().take(50) {
            let _ = entry.parse();
        }
    }
    let _ = report;
});

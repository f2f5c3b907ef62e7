//! X12: whatever is read is written back byte for byte; what is renumbered reads as before.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use wardline_edi::x12::{Guides, Interchange, inspect, renumber};

static GUIDES: OnceLock<std::sync::Arc<Guides>> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let guides = GUIDES.get_or_init(Guides::shipped);
    let _ = inspect(bytes, Some(guides.clone()));
    let Ok(interchange) = Interchange::parse(bytes.to_vec()) else {
        return;
    };
    assert_eq!(interchange.bytes(), bytes, "not as it came");
    if let Ok(numbered) = renumber(bytes, 7, 9) {
        let again = Interchange::parse(numbered.bytes.clone());
        assert!(again.is_ok_and(|again| again.len() == interchange.len()), "renumbered it reads otherwise");
    }
});

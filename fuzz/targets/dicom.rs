//! DICOM: files are read within their limits; a data set that was written reads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use wardline_dicom::data::{Stream, read, write};
use wardline_dicom::{Encoding, Limits, examine, from_json, to_json};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        value: 1 << 10,
        total: 1 << 14,
        depth: 8,
    };
    let Ok(object) = examine(Cursor::new(bytes), limits) else {
        return;
    };
    let _ = object.findings();
    let json = to_json(&object.data);
    let Ok(set) = from_json(&json) else { return };
    let mut written = Vec::new();
    write(&set, Encoding::ExplicitLittle, &mut written);
    let again = read(&mut Stream(&written[..]), Encoding::ExplicitLittle, Limits::default());
    assert!(again.is_ok(), "what was written cannot be read");
});

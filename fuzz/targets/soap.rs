//! XML and SOAP: what is read is written, and what was written reads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wardline_soap::envelope::Envelope;
use wardline_soap::mtom::Package;
use wardline_soap::xml::{Limits, parse};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(envelope) = Envelope::parse(bytes, Limits::MESSAGE) {
        let written = envelope.write().expect("what was read can be written");
        let again = Envelope::parse(&written, Limits::MESSAGE).expect("what was written can be read");
        assert!(again.write().is_ok_and(|again| again == written), "written it reads otherwise");
    }
    let _ = parse(bytes, Limits::MESSAGE);
    let kind = "multipart/related; type=\"application/xop+xml\"; start=\"<r>\"; start-info=\"text/xml\"; boundary=b";
    let _ = Package::read(kind, bytes);
});

//! AS2: nothing is handed on that was not signed, and every receipt is read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wardline_as2::{Certificate, Receipt, receive, wants};

fuzz_target!(|input: (&str, &[u8])| {
    let (kind, body) = input;
    let headers = vec![("content-type".to_owned(), kind.to_owned())];
    let _ = wants(&headers);
    let received = receive(&headers, body, &[], &[], true, false);
    assert!(received.is_err(), "nobody is known, so nobody can have signed");
    let _ = receive(&headers, body, &[], &[], false, false);
    let _ = Receipt::read(kind, body, &[], false);
    let _ = Certificate::all(body);
});

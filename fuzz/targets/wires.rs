//! What the other sides of wires say: brokers, FTPS servers, object stores. The first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wardline_connect::fuzzing::WIRES;

fuzz_target!(|input: &[u8]| {
    if let Some((which, bytes)) = input.split_first() {
        let (_, wire) = WIRES[usize::from(*which) % WIRES.len()];
        wire(bytes);
    }
});

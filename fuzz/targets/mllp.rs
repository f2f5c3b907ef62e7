//! MLLP: frames are the same however the bytes are cut into reads, and no byte is counted twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wardline_hl7::mllp::{Decoder, Event};

fn frames(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
    let mut decoder = Decoder::new(4096);
    let (mut buffer, mut found) = (bytes::BytesMut::new(), Vec::new());
    for part in bytes.chunks(step.max(1)) {
        decoder.make_room(&mut buffer);
        buffer.extend_from_slice(part);
        while let Some(event) = decoder.decode(&mut buffer) {
            match event {
                Event::Frame(payload) | Event::Unterminated(payload) => found.push(payload.to_vec()),
                Event::TooLarge { head, .. } => found.push(head.to_vec()),
            }
        }
    }
    found
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    let whole = frames(bytes, bytes.len());
    let cut = frames(bytes, usize::from(step % 7) + 1);
    assert_eq!(whole, cut, "the cut into reads shows");
});

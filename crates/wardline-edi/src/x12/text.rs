//! Bytes of elements as text.

use std::borrow::Cow;

/// Text of an element: UTF-8 where it is that, else windows-1252, which reads any bytes.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            encoding_rs::WINDOWS_1252
                .decode_without_bom_handling(bytes)
                .0
        }
    }
}

/// The number that some digits are.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.trim_ascii();
    if bytes.is_empty() || bytes.len() > 18 || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0')),
    )
}

/// Control numbers are compared as numbers where they are, else as text without its padding.
pub(super) fn same_control(a: &[u8], b: &[u8]) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a.trim_ascii() == b.trim_ascii(),
    }
}

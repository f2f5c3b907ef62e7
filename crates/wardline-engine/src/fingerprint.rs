//! Groups equal failures: the same code at the same place with the same words, whatever
//! numbers and quoted values stand between them. Version 1 of the rule; a later version gets
//! another prefix and never regroups what has been grouped.

/// Hash of code, place and normalised text (FNV-1a, 63 bits: stable over versions and
/// machines, which the standard hashers are not).
pub(crate) fn of(code: &str, place: &str, text: &str) -> i64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |byte: u8| {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0100_0000_01b3);
    };
    for part in [code, place] {
        part.bytes().for_each(&mut add);
        add(0);
    }
    let mut in_number = false;
    let mut quoted = false;
    for byte in text.bytes() {
        if matches!(byte, b'`' | b'"' | b'\'') {
            quoted = !quoted;
            add(byte);
        } else if quoted {
            // Quoted values differ from message to message.
        } else if byte.is_ascii_digit() {
            if !in_number {
                add(b'#');
            }
        } else {
            add(byte.to_ascii_lowercase());
        }
        in_number = byte.is_ascii_digit();
    }
    (hash >> 1) as i64
}

/// How a fingerprint is written: `v1:00c0ffee…`.
pub(crate) fn text(fingerprint: i64) -> String {
    format!("v1:{fingerprint:016x}")
}

/// Reads what [`text`] wrote.
pub(crate) fn parse(text: &str) -> Option<i64> {
    i64::from_str_radix(text.strip_prefix("v1:")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_matter_but_words_do() {
        let a = of(
            "W3201",
            "erp.ws",
            "503 from erp after 120 ms: `A-1` unknown",
        );
        assert_eq!(
            a,
            of("W3201", "erp.ws", "503 from erp after 7 ms: `B-22` unknown")
        );
        assert_ne!(
            a,
            of("W3201", "erp.ws", "503 from erp after 7 ms: `B-22` refused")
        );
        assert_ne!(
            a,
            of(
                "W3202",
                "erp.ws",
                "503 from erp after 120 ms: `A-1` unknown"
            )
        );
        assert_eq!(parse(&text(a)), Some(a));
        assert_eq!(parse("9f2a"), None);
    }
}

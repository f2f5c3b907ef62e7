//! Escape sequences inside values (HL7 v2.5.1 section 2.7): reading them and writing them.
//!
//! | sequence | becomes |
//! | --- | --- |
//! | `\F\` `\S\` `\T\` `\R\` `\E\` `\P\` | the message's own field, component, subcomponent, repetition, escape, truncation byte |
//! | `\Xhh..\` | those bytes, then read in the message's character set |
//! | `\.br\` | a line feed |
//! | `\H\` `\N\` `\.sp\` `\.in\` … | kept: formatting is the reader's business |
//! | `\Cxxyy\` `\Mxxyyzz\` `\Z..\` and unknown ones | kept as they are |

use std::borrow::Cow;

use crate::Delimiters;

/// Longest text between two escape bytes that is taken for a sequence: a stray escape byte must
/// not make a long value cost a search to its end for every such byte.
const LONGEST: usize = 4096;

/// Resolves the sequences of the table above. Borrows where there is nothing to resolve.
///
/// ```
/// use wardline_hl7::{Delimiters, unescape};
/// assert_eq!(unescape(br"M\S\M \X41\ \Zx\", &Delimiters::STANDARD).as_ref(), br"M^M A \Zx\");
/// ```
#[inline]
pub fn unescape<'a>(bytes: &'a [u8], delimiters: &Delimiters) -> Cow<'a, [u8]> {
    let mark = delimiters.escape;
    let Some(first) = memchr::memchr(mark, bytes) else {
        return Cow::Borrowed(bytes);
    };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first..];
    // Invariant: `rest` starts with an escape byte.
    while let [_, after @ ..] = rest {
        let window = &after[..after.len().min(LONGEST)];
        let Some(length) = memchr::memchr(mark, window) else {
            // No closing byte near: the escape byte is text.
            out.push(mark);
            rest = copy_to_next(after, mark, &mut out);
            continue;
        };
        if resolve(&after[..length], *delimiters, &mut out) {
            rest = copy_to_next(&after[length + 1..], mark, &mut out);
        } else if length == 0 || plausible(&after[..length]) {
            // An unknown sequence stays, both its escape bytes included.
            out.extend_from_slice(&rest[..length + 2]);
            rest = copy_to_next(&after[length + 1..], mark, &mut out);
        } else {
            // The text up to the next escape byte is no sequence ("C:\dir and \F\"): that byte may
            // open a real one.
            out.push(mark);
            rest = copy_to_next(after, mark, &mut out);
        }
    }
    Cow::Owned(out)
}

/// Copies up to the next `mark` and returns what starts there.
fn copy_to_next<'a>(bytes: &'a [u8], mark: u8, out: &mut Vec<u8>) -> &'a [u8] {
    let end = memchr::memchr(mark, bytes).unwrap_or(bytes.len());
    out.extend_from_slice(&bytes[..end]);
    &bytes[end..]
}

/// Whether text between two escape bytes could be a sequence of some kind.
fn plausible(body: &[u8]) -> bool {
    match body {
        [b'H' | b'N' | b'F' | b'S' | b'T' | b'R' | b'E' | b'P']
        | [b'.' | b'Z' | b'X' | b'C' | b'M', ..] => true,
        _ => body.len() <= 2,
    }
}

/// Appends what a sequence stands for; false where it stands for nothing we resolve.
fn resolve(body: &[u8], delimiters: Delimiters, out: &mut Vec<u8>) -> bool {
    let byte = match body {
        b"F" => delimiters.field,
        b"S" => delimiters.component,
        b"T" => delimiters.subcomponent,
        b"R" => delimiters.repetition,
        b"E" => delimiters.escape,
        b"P" => match delimiters.truncation() {
            Some(byte) => byte,
            None => return false,
        },
        b".br" => b'\n',
        [b'X', hex @ ..] => return resolve_hex(hex, out),
        _ => return false,
    };
    // A delimiter that the message lacks is stored as CR: then there is nothing to stand for.
    if byte == b'\r' {
        return false;
    }
    out.push(byte);
    true
}

fn resolve_hex(hex: &[u8], out: &mut Vec<u8>) -> bool {
    if hex.is_empty() || !hex.len().is_multiple_of(2) || !hex.iter().all(u8::is_ascii_hexdigit) {
        return false;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => byte - b'A' + 10,
    };
    out.extend(
        hex.chunks_exact(2)
            .map(|pair| digit(pair[0]) << 4 | digit(pair[1])),
    );
    true
}

/// Writes text so that it can stand in a value: delimiters become sequences, LF becomes `\.br\`,
/// and every other control byte becomes `\Xhh\`. Borrows where nothing needs it.
///
/// Reading what this wrote gives the same bytes again. Where the message has no escape byte,
/// delimiters and controls become blanks: there is no other way to keep the structure whole.
///
/// ```
/// use wardline_hl7::{Delimiters, escape};
/// assert_eq!(escape(b"A|B\nC", &Delimiters::STANDARD).as_ref(), br"A\F\B\.br\C");
/// ```
pub fn escape<'a>(bytes: &'a [u8], delimiters: &Delimiters) -> Cow<'a, [u8]> {
    let special = |byte: u8| {
        byte < 0x20
            || byte == delimiters.field
            || byte == delimiters.component
            || byte == delimiters.repetition
            || byte == delimiters.subcomponent
            || byte == delimiters.escape
            || byte == delimiters.truncation
    };
    let Some(first) = bytes.iter().position(|byte| special(*byte)) else {
        return Cow::Borrowed(bytes);
    };
    let mut out = Vec::with_capacity(bytes.len() + 16);
    out.extend_from_slice(&bytes[..first]);
    for &byte in &bytes[first..] {
        if !special(byte) {
            out.push(byte);
            continue;
        }
        let Some(mark) = delimiters.escape() else {
            out.push(b' ');
            continue;
        };
        out.push(mark);
        match byte {
            // With '.' as a delimiter the sequence itself would be cut.
            b'\n' if !special(b'.') => out.extend_from_slice(b".br"),
            _ if byte < 0x20 => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.extend_from_slice(&[
                    b'X',
                    HEX[usize::from(byte >> 4)],
                    HEX[usize::from(byte & 15)],
                ]);
            }
            _ if byte == delimiters.field => out.push(b'F'),
            _ if byte == delimiters.component => out.push(b'S'),
            _ if byte == delimiters.subcomponent => out.push(b'T'),
            _ if byte == delimiters.repetition => out.push(b'R'),
            _ if byte == delimiters.escape => out.push(b'E'),
            _ => out.push(b'P'),
        }
        out.push(mark);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        String::from_utf8(unescape(text.as_bytes(), &Delimiters::STANDARD).into_owned()).unwrap()
    }

    #[test]
    fn resolves_and_keeps() {
        for (text, expected) in [
            ("none", "none"),
            (r"\F\\S\\T\\R\\E\", r"|^&~\"),
            (r"\P\", r"\P\"),
            (r"a\X0D0A\b", "a\r\nb"),
            (r"\X4\", r"\X4\"),
            (r"\X\", r"\X\"),
            (r"\XZZ\", r"\XZZ\"),
            (r"one\.br\two", "one\ntwo"),
            (r"\.sp3\x\H\bold\N\", r"\.sp3\x\H\bold\N\"),
            (r"\C2842\\M254244\", r"\C2842\\M254244\"),
            (r"\Zany thing\", r"\Zany thing\"),
            (r"ends with \", r"ends with \"),
            (r"C:\directory\F\x", r"C:\directory|x"),
            (r"\\", r"\\"),
            (r"\\F\", r"\\F\"),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }

    #[test]
    fn truncation_where_the_message_has_one() {
        let own = Delimiters::new(b'|', *b"^~\\&", Some(b'#')).unwrap();
        assert_eq!(unescape(br"a\P\", &own).as_ref(), b"a#");
        assert_eq!(escape(b"a#", &own).as_ref(), br"a\P\");
        assert_eq!(escape(b"a#", &Delimiters::STANDARD).as_ref(), b"a#");
    }

    #[test]
    fn writes_what_it_reads() {
        let all: Vec<u8> = (0..=255).collect();
        let own = Delimiters::new(b'*', *b":+/!", Some(b'?')).unwrap();
        for delimiters in [Delimiters::STANDARD, own] {
            let written = escape(&all, &delimiters);
            assert!(!written.contains(&b'\r') && !written.contains(&delimiters.field));
            assert_eq!(unescape(&written, &delimiters).as_ref(), all);
        }
    }
}

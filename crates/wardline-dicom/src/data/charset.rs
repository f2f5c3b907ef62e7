//! Texts: the character sets of `SpecificCharacterSet`, with the escapes of ISO 2022.

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GB18030, GBK, ISO_2022_JP, ISO_8859_2, ISO_8859_3, ISO_8859_4,
    ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8, SHIFT_JIS, UTF_8, WINDOWS_874, WINDOWS_1254,
};

const ESC: u8 = 0x1b;

/// In which character sets the texts of a data set are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Charset {
    /// The one a text begins in.
    first: Kind,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    /// ASCII. Senders who forgot to say that they write Latin-1 are understood, too.
    #[default]
    Latin1,
    /// Japanese half width in the upper half.
    Katakana,
    Other(&'static Encoding),
}

impl Charset {
    /// Of what the attribute says, several names parted by backslashes. What is not known is taken
    /// for Latin-1.
    pub fn named(names: &str) -> Self {
        let first = names.split('\\').next().unwrap_or_default().trim();
        let first = match first
            .trim_start_matches("ISO 2022 ")
            .trim_start_matches("ISO_IR ")
            .trim_start_matches("IR ")
        {
            "101" => Kind::Other(ISO_8859_2),
            "109" => Kind::Other(ISO_8859_3),
            "110" => Kind::Other(ISO_8859_4),
            "144" => Kind::Other(ISO_8859_5),
            "127" => Kind::Other(ISO_8859_6),
            "126" => Kind::Other(ISO_8859_7),
            "138" => Kind::Other(ISO_8859_8),
            "148" => Kind::Other(WINDOWS_1254),
            "166" => Kind::Other(WINDOWS_874),
            "13" => Kind::Katakana,
            "192" => Kind::Other(UTF_8),
            "149" => Kind::Other(EUC_KR),
            "58" | "GBK" => Kind::Other(GBK),
            "GB18030" => Kind::Other(GB18030),
            "BIG5" => Kind::Other(BIG5),
            _ => Kind::Latin1,
        };
        Self { first }
    }

    /// The text of bytes. Every byte becomes something; what means nothing becomes `\u{fffd}`.
    pub fn decode(&self, bytes: &[u8]) -> String {
        if bytes.is_ascii() && !bytes.contains(&ESC) {
            return bytes.iter().map(|byte| char::from(*byte)).collect();
        }
        let mut text = String::with_capacity(bytes.len() * 2);
        if !bytes.contains(&ESC) {
            self.first.decode(bytes, &mut text);
            return text;
        }
        let mut kind = self.first;
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            let mut from = 0;
            if byte == ESC
                && let Some((skip, next)) = escape(rest)
            {
                kind = next;
                if kind == Kind::Other(ISO_2022_JP) {
                    // What JIS means is told by the escape itself.
                    from = 1;
                } else {
                    rest = &rest[skip..];
                    continue;
                }
            }
            // A set in force ends with the part of the text.
            let ends = |byte: &u8| {
                *byte == ESC || (from == 0 && matches!(byte, b'\\' | b'^' | b'=' | b'\r' | b'\n'))
            };
            let end = rest[from..].iter().position(ends);
            let end = end.map_or(rest.len(), |at| at + from);
            if end == 0 {
                text.push(char::from(byte));
                kind = self.first;
                rest = &rest[1..];
                continue;
            }
            kind.decode(&rest[..end], &mut text);
            rest = &rest[end..];
        }
        text
    }
}

impl Kind {
    fn decode(self, bytes: &[u8], into: &mut String) {
        match self {
            Self::Latin1 => into.extend(bytes.iter().map(|byte| char::from(*byte))),
            Self::Katakana => {
                let (decoded, _) = SHIFT_JIS.decode_without_bom_handling(bytes);
                into.push_str(&decoded);
            }
            Self::Other(encoding) => {
                let (decoded, _) = encoding.decode_without_bom_handling(bytes);
                into.push_str(&decoded);
            }
        }
    }
}

/// How long an escape is, and what it brings.
fn escape(bytes: &[u8]) -> Option<(usize, Kind)> {
    let other = |encoding| Some((3, Kind::Other(encoding)));
    match bytes.get(1..)? {
        [b'(', b'B' | b'J', ..] | [b'-', b'A', ..] => Some((3, Kind::Latin1)),
        [b')' | b'(', b'I', ..] => Some((3, Kind::Katakana)),
        [b'-', b'B', ..] => other(ISO_8859_2),
        [b'-', b'C', ..] => other(ISO_8859_3),
        [b'-', b'D', ..] => other(ISO_8859_4),
        [b'-', b'L', ..] => other(ISO_8859_5),
        [b'-', b'G', ..] => other(ISO_8859_6),
        [b'-', b'F', ..] => other(ISO_8859_7),
        [b'-', b'H', ..] => other(ISO_8859_8),
        [b'-', b'M', ..] => other(WINDOWS_1254),
        [b'-', b'T', ..] => other(WINDOWS_874),
        [b'$', b'B', ..] => other(ISO_2022_JP),
        [b'$', b'(', b'D', ..] => Some((4, Kind::Other(ISO_2022_JP))),
        [b'$', b')', b'C', ..] => Some((4, Kind::Other(EUC_KR))),
        [b'$', b')', b'A', ..] => Some((4, Kind::Other(GBK))),
        _ => None,
    }
}

/// Whether a text needs no character set to be named.
pub fn is_plain(text: &str) -> bool {
    text.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_many_countries_are_read() {
        for (charset, bytes, expected) in [
            ("", &b"Plain^Name"[..], "Plain^Name"),
            ("ISO_IR 100", b"B\xfcc^J\xe9r\xf4me", "Büc^Jérôme"),
            ("ISO_IR 144", b"\xbb\xee\xda", "Люк"),
            (
                "ISO_IR 192",
                "Wang^XiaoDong=王^小東".as_bytes(),
                "Wang^XiaoDong=王^小東",
            ),
            (
                "\\ISO 2022 IR 87",
                b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
                "Yamada^Tarou=山田^太郎",
            ),
            (
                "\\ISO 2022 IR 149",
                b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
                "Hong^Gildong=洪^吉洞",
            ),
            ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ] {
            assert_eq!(Charset::named(charset).decode(bytes), expected, "{charset}");
        }
    }
}

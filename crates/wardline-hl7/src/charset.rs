//! Character sets of MSH-18 (HL7 table 0211) and how values are turned into text and back.
//!
//! Some character sets (GB 18030, BIG-5, Shift JIS, ISO 2022 with its escapes, UTF-16) use bytes that
//! look like `|`, `^` or `\` inside a character. Messages in them are transcoded once to UTF-8 when
//! they are parsed, so that cutting at delimiters stays exact; the bytes as received are kept.

use std::borrow::Cow;

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GB18030, ISO_2022_JP, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5,
    ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_10, ISO_8859_13, ISO_8859_14, ISO_8859_15,
    SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
};

/// A character set that HL7 names and that can be read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset {
    label: &'static str,
    encoding: &'static Encoding,
}

/// How the character set of a message is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CharsetPolicy {
    /// As MSH-18 says. Where it is empty or unknown, or says ASCII or UTF-8 although a value's bytes
    /// are not, as [`CharsetPolicy::Auto`].
    #[default]
    Declared,
    /// Per value: UTF-8 where the bytes are valid UTF-8, else as MSH-18 says, else windows-1252.
    Auto,
    /// This one, whatever MSH-18 says: for senders that declare the wrong one.
    Fixed(Charset),
}

const fn set(label: &'static str, encoding: &'static Encoding) -> Charset {
    Charset { label, encoding }
}

/// HL7 table 0211 and the spellings that are met in the field.
const TABLE: &[(&str, Charset)] = &[
    ("ASCII", Charset::ASCII),
    ("UNICODE UTF-8", Charset::UTF_8),
    ("UNICODE", Charset::UTF_8),
    ("UTF-8", Charset::UTF_8),
    ("UTF8", Charset::UTF_8),
    ("UNICODE UTF-16", Charset::UTF_16),
    ("8859/1", Charset::LATIN_1),
    ("8859/2", set("8859/2", ISO_8859_2)),
    ("8859/3", set("8859/3", ISO_8859_3)),
    ("8859/4", set("8859/4", ISO_8859_4)),
    ("8859/5", set("8859/5", ISO_8859_5)),
    ("8859/6", set("8859/6", ISO_8859_6)),
    ("8859/7", set("8859/7", ISO_8859_7)),
    ("8859/8", set("8859/8", ISO_8859_8)),
    ("8859/9", set("8859/9", WINDOWS_1254)),
    ("8859/10", set("8859/10", ISO_8859_10)),
    ("8859/11", set("8859/11", WINDOWS_874)),
    ("8859/13", set("8859/13", ISO_8859_13)),
    ("8859/14", set("8859/14", ISO_8859_14)),
    ("8859/15", set("8859/15", ISO_8859_15)),
    ("GB 18030-2000", Charset::GB_18030),
    ("GB 18030-2022", Charset::GB_18030),
    ("GB18030", Charset::GB_18030),
    ("KS X 1001", set("KS X 1001", EUC_KR)),
    ("BIG-5", set("BIG-5", BIG5)),
    ("ISO IR6", Charset::ASCII),
    ("ISO IR14", Charset::ISO_IR87),
    ("ISO IR87", Charset::ISO_IR87),
    ("ISO IR159", Charset::ISO_IR87),
];

impl Charset {
    /// `ASCII`; bytes above 0x7F are read as the policy says.
    pub const ASCII: Self = set("ASCII", UTF_8);
    /// `UNICODE UTF-8`.
    pub const UTF_8: Self = set("UNICODE UTF-8", UTF_8);
    /// `UNICODE UTF-16`; little endian unless a byte order mark or the header says otherwise.
    pub const UTF_16: Self = set("UNICODE UTF-16", UTF_16LE);
    /// `8859/1`, read as windows-1252, its superset.
    pub const LATIN_1: Self = set("8859/1", WINDOWS_1252);
    /// `GB 18030-2000`.
    pub const GB_18030: Self = set("GB 18030-2000", GB18030);
    /// `ISO IR87`: Japanese by ISO 2022 escapes, together with ISO IR14.
    pub const ISO_IR87: Self = set("ISO IR87", ISO_2022_JP);
    pub(crate) const UTF_16_BIG: Self = set("UNICODE UTF-16", UTF_16BE);

    /// The character set that MSH-18 or a configuration file names, by HL7's name (`8859/1`) or
    /// any label of the WHATWG Encoding Standard (`windows-1250`); `None` where it is unknown.
    ///
    /// ```
    /// use wardline_hl7::Charset;
    /// assert_eq!(Charset::named("8859/15").unwrap().label(), "8859/15");
    /// assert_eq!(Charset::named("iso-8859-1"), Some(Charset::LATIN_1));
    /// assert!(Charset::named("CNS 11643-1992").is_none());
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        if let Some((_, found)) = TABLE
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            return Some(*found);
        }
        let encoding = Encoding::for_label(name.as_bytes())?;
        // ASCII shares UTF-8's decoder, so a label that means UTF-8 must not come out as ASCII.
        let known = TABLE
            .iter()
            .map(|(_, charset)| *charset)
            .find(|known| known.encoding == encoding && *known != Self::ASCII);
        Some(known.unwrap_or(set(encoding.name(), encoding)))
    }

    /// HL7's name where it has one, else the WHATWG name.
    pub fn label(&self) -> &'static str {
        self.label
    }

    /// Whether bytes of a character may equal a delimiter, so that the whole message must be
    /// transcoded before it is cut.
    pub(crate) fn hides_delimiters(self) -> bool {
        let unsafe_ones = [
            GB18030,
            BIG5,
            SHIFT_JIS,
            ISO_2022_JP,
            UTF_16LE,
            UTF_16BE,
            encoding_rs::GBK,
        ];
        unsafe_ones.contains(&self.encoding)
    }

    pub(crate) fn is_wide(self) -> bool {
        self.encoding == UTF_16LE || self.encoding == UTF_16BE
    }

    /// Bytes in this character set as text; what cannot be read becomes U+FFFD.
    pub fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        if self == Self::ASCII {
            return TextRules::AUTO.decode(bytes);
        }
        self.encoding.decode_without_bom_handling(bytes).0
    }

    /// A whole input as UTF-8, without its byte order mark, and whether something was unreadable.
    pub(crate) fn decode_whole(self, bytes: &[u8]) -> (String, bool) {
        let (text, damaged) = self.encoding.decode_with_bom_removal(bytes);
        (text.into_owned(), damaged)
    }

    /// Text as bytes in this character set; `None` where it lacks a character.
    pub fn encode(self, text: &str) -> Option<Cow<'_, [u8]>> {
        if self == Self::ASCII {
            return text.is_ascii().then_some(Cow::Borrowed(text.as_bytes()));
        }
        if self.is_wide() {
            let big = self.encoding == UTF_16BE;
            let bytes = text.encode_utf16().flat_map(|unit| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            });
            return Some(Cow::Owned(bytes.collect()));
        }
        let (bytes, _, unmappable) = self.encoding.encode(text);
        (!unmappable).then_some(bytes)
    }

    /// The character set that the repetitions of MSH-18 come to.
    ///
    /// The first repetition is the default of the message; further ones are reached by ISO 2022
    /// escapes (HL7 v2.5.1 section 2.15.9.18), which is how Japanese is sent: there any of the
    /// `ISO IR` names makes the whole message ISO 2022.
    pub(crate) fn from_repetitions<'a>(names: impl Iterator<Item = &'a [u8]>) -> Declared {
        let mut declared = Declared::default();
        for (index, name) in names.enumerate() {
            let Ok(name) = std::str::from_utf8(name) else {
                declared.unknown = true;
                continue;
            };
            if name.trim().is_empty() {
                continue;
            }
            match Self::named(name) {
                Some(charset)
                    if index == 0 || declared.charset.is_none() || charset == Self::ISO_IR87 =>
                {
                    declared.charset = Some(charset);
                }
                Some(_) => {}
                None => declared.unknown = true,
            }
        }
        declared
    }
}

/// What MSH-18 said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Declared {
    pub(crate) charset: Option<Charset>,
    pub(crate) unknown: bool,
}

/// How one value's bytes become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextRules {
    /// Valid UTF-8 is taken as such whatever `otherwise` says.
    try_utf8: bool,
    otherwise: &'static Encoding,
}

impl TextRules {
    pub(crate) const AUTO: Self = Self {
        try_utf8: true,
        otherwise: WINDOWS_1252,
    };
    pub(crate) const UTF_8: Self = Self {
        try_utf8: false,
        otherwise: UTF_8,
    };

    /// For a text that was transcoded to UTF-8. Bytes of another kind come only from `\X..\`, and
    /// those are in the character set of the message as it was received.
    pub(crate) fn transcoded(from: Charset) -> Self {
        Self {
            try_utf8: true,
            otherwise: from.encoding,
        }
    }

    pub(crate) fn choose(policy: CharsetPolicy, declared: Declared) -> Self {
        let charset = match policy {
            CharsetPolicy::Fixed(charset) => Some(charset),
            CharsetPolicy::Declared | CharsetPolicy::Auto => declared.charset,
        };
        match charset {
            None => Self::AUTO,
            Some(charset) if charset == Charset::ASCII => Self::AUTO,
            // A sender that says UTF-8 and is not: windows-1252 loses nothing, U+FFFD would.
            Some(charset) if charset == Charset::UTF_8 && policy == CharsetPolicy::Declared => {
                Self::AUTO
            }
            Some(charset) if policy == CharsetPolicy::Auto && charset.encoding != UTF_8 => Self {
                try_utf8: true,
                otherwise: charset.encoding,
            },
            Some(_) if policy == CharsetPolicy::Auto => Self::AUTO,
            Some(charset) => Self {
                try_utf8: false,
                otherwise: charset.encoding,
            },
        }
    }

    #[inline]
    pub(crate) fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        if (self.try_utf8 || bytes.is_ascii())
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            return Cow::Borrowed(text);
        }
        self.otherwise.decode_without_bom_handling(bytes).0
    }

    /// Text as bytes of a message that so far holds `present`; `None` where a character is missing.
    pub(crate) fn encode(
        self,
        text: &str,
        present: impl FnOnce() -> bool,
    ) -> Option<Cow<'_, [u8]>> {
        if text.is_ascii() || self.otherwise == UTF_8 {
            return Some(Cow::Borrowed(text.as_bytes()));
        }
        // Undeclared and nothing in the message contradicts UTF-8: write UTF-8.
        if self.try_utf8 && present() {
            return Some(Cow::Borrowed(text.as_bytes()));
        }
        let (bytes, _, unmappable) = self.otherwise.encode(text);
        (!unmappable).then_some(bytes)
    }

    pub(crate) fn name(self) -> &'static str {
        self.otherwise.name()
    }
}

/// The form in which the whole input is written, where its first bytes give it away.
pub(crate) fn wide_form(bytes: &[u8]) -> Option<Charset> {
    match bytes {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => None,
        [0xFF, 0xFE, ..] | [b'M' | b'F' | b'B', 0, b'S' | b'H', 0, ..] => Some(Charset::UTF_16),
        [0xFE, 0xFF, ..] | [0, b'M' | b'F' | b'B', 0, b'S' | b'H', ..] => Some(Charset::UTF_16_BIG),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_table_0211() {
        for name in [
            "ASCII",
            "8859/1",
            "8859/9",
            "8859/15",
            "ISO IR87",
            "ISO IR14",
            "GB 18030-2000",
            "KS X 1001",
            "BIG-5",
        ] {
            assert!(Charset::named(name).is_some(), "{name}");
        }
        assert_eq!(Charset::named("utf-8"), Some(Charset::UTF_8));
        assert_eq!(
            Charset::named("windows-1250").unwrap().label(),
            "windows-1250"
        );
        assert_eq!(
            Charset::named("euc-jp").map(|c| c.encoding),
            Some(encoding_rs::EUC_JP)
        );
    }

    #[test]
    fn repetitions_choose() {
        let names = [b"ASCII".as_slice(), b"ISO IR87"];
        assert_eq!(
            Charset::from_repetitions(names.into_iter()).charset,
            Some(Charset::ISO_IR87)
        );
        let names = [b"UNICODE UTF-8".as_slice(), b"8859/1"];
        assert_eq!(
            Charset::from_repetitions(names.into_iter()).charset,
            Some(Charset::UTF_8)
        );
        let names = [b"".as_slice(), b"8859/1", b"CNS 11643-1992"];
        let declared = Charset::from_repetitions(names.into_iter());
        assert_eq!(
            declared,
            Declared {
                charset: Some(Charset::LATIN_1),
                unknown: true
            }
        );
    }

    #[test]
    fn auto_reads_utf8_then_declared_then_windows_1252() {
        let greek = Declared {
            charset: Charset::named("8859/7"),
            unknown: false,
        };
        let auto = TextRules::choose(CharsetPolicy::Auto, greek);
        assert_eq!(auto.decode("é".as_bytes()), "é");
        assert_eq!(auto.decode(b"\xe1"), "α");
        assert_eq!(TextRules::AUTO.decode(b"M\xfcller"), "Müller");
        let declared = TextRules::choose(CharsetPolicy::Declared, greek);
        assert_eq!(declared.decode(b"\xe1\xe2"), "αβ");
    }
}

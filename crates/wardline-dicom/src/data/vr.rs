//! Value representations: what kind of value an attribute has.

macro_rules! representations {
    ($($name:ident)*) => {
        /// A value representation of the standard.
        #[allow(missing_docs, reason = "the names are the standard's")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Vr { $($name),* }

        impl Vr {
            /// By its two letters.
            pub fn of(letters: [u8; 2]) -> Option<Self> {
                $(if letters == *stringify!($name).as_bytes() { return Some(Self::$name); })*
                None
            }

            /// Its two letters.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

representations! {
    AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV
}

impl Vr {
    /// Whether its length has 32 bits in explicit encodings.
    pub(crate) const fn is_long(self) -> bool {
        matches!(
            self,
            Self::OB
                | Self::OD
                | Self::OF
                | Self::OL
                | Self::OV
                | Self::OW
                | Self::SQ
                | Self::SV
                | Self::UC
                | Self::UN
                | Self::UR
                | Self::UT
                | Self::UV
        )
    }

    /// Whether its values are bytes that mean nothing to a reader of attributes.
    pub const fn is_bulk(self) -> bool {
        matches!(
            self,
            Self::OB | Self::OD | Self::OF | Self::OL | Self::OV | Self::OW | Self::UN
        )
    }

    /// Whether its texts are in the character set that the data set names.
    pub const fn is_charset_text(self) -> bool {
        matches!(
            self,
            Self::LO | Self::LT | Self::PN | Self::SH | Self::ST | Self::UC | Self::UT
        )
    }

    /// Whether its values are texts.
    pub const fn is_text(self) -> bool {
        self.is_charset_text()
            || matches!(
                self,
                Self::AE
                    | Self::AS
                    | Self::CS
                    | Self::DA
                    | Self::DS
                    | Self::DT
                    | Self::IS
                    | Self::TM
                    | Self::UI
                    | Self::UR
            )
    }

    /// Whether a backslash in its text is a backslash and does not part values.
    pub const fn is_single(self) -> bool {
        matches!(self, Self::LT | Self::ST | Self::UT | Self::UR)
    }

    /// Bytes of a number, which turn around between the byte orders; 1 for everything else.
    pub(crate) const fn width(self) -> usize {
        match self {
            Self::AT | Self::OW | Self::SS | Self::US => 2,
            Self::FL | Self::OF | Self::OL | Self::SL | Self::UL => 4,
            Self::FD | Self::OD | Self::OV | Self::SV | Self::UV => 8,
            _ => 1,
        }
    }

    /// The most characters of one value, where the standard has a limit.
    pub(crate) const fn longest(self) -> Option<usize> {
        Some(match self {
            Self::AE | Self::CS | Self::DS | Self::SH => 16,
            Self::AS => 4,
            Self::DA => 8,
            Self::DT => 26,
            Self::IS => 12,
            Self::LO | Self::UI => 64,
            Self::TM => 14,
            Self::ST => 1024,
            Self::LT => 10240,
            // Three groups of it, each of 64.
            Self::PN => 194,
            _ => return None,
        })
    }

    pub(crate) fn from_foreign(vr: dicom_core::VR) -> Self {
        let letters = vr.to_bytes();
        Self::of(letters).unwrap_or(Self::UN)
    }
}

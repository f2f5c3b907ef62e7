//! Names of attributes.

use std::fmt;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

use super::Vr;

/// Group and element of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u16, pub u16);

impl Tag {
    /// Whether it belongs to a vendor: its meaning is nobody else's business.
    pub const fn is_private(self) -> bool {
        self.0 % 2 == 1
    }

    /// Its keyword in the standard, such as `PatientID`.
    pub fn keyword(self) -> Option<&'static str> {
        // The dictionary also answers for groups of tags, such as overlays, and for group lengths.
        (!self.is_private() && self.1 != 0)
            .then(|| StandardDataDictionary.by_tag(self.foreign()))
            .flatten()
            .map(DataDictionaryEntry::alias)
    }

    /// The attribute of a keyword, or of eight hexadecimal digits.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(entry) = StandardDataDictionary.by_name(name) {
            let tag = entry.tag();
            return Some(Self(tag.0, tag.1));
        }
        if name.len() != 8 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let half = |text: &str| u16::from_str_radix(text, 16).ok();
        Some(Self(half(&name[..4])?, half(&name[4..])?))
    }

    /// Its value representation where the bytes do not say.
    pub fn vr(self) -> Vr {
        if self.1 == 0 {
            return Vr::UL;
        }
        if self.is_private() {
            // Private creators name who owns a block.
            return if (0x10..=0xff).contains(&self.1) {
                Vr::LO
            } else {
                Vr::UN
            };
        }
        StandardDataDictionary
            .by_tag(self.foreign())
            .map_or(Vr::UN, |entry| Vr::from_foreign(entry.vr().relaxed()))
    }

    const fn foreign(self) -> dicom_core::Tag {
        dicom_core::Tag(self.0, self.1)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:04X},{:04X})", self.0, self.1)
    }
}

/// Attributes that this crate itself reads or writes.
#[allow(missing_docs, reason = "each is its keyword in the standard")]
pub mod tags {
    use super::Tag;

    pub const GROUP_LENGTH: Tag = Tag(0x0000, 0x0000);
    pub const AFFECTED_SOP_CLASS: Tag = Tag(0x0000, 0x0002);
    pub const REQUESTED_SOP_CLASS: Tag = Tag(0x0000, 0x0003);
    pub const COMMAND_FIELD: Tag = Tag(0x0000, 0x0100);
    pub const MESSAGE_ID: Tag = Tag(0x0000, 0x0110);
    pub const MESSAGE_ID_RESPONDED_TO: Tag = Tag(0x0000, 0x0120);
    pub const PRIORITY: Tag = Tag(0x0000, 0x0700);
    pub const DATA_SET_TYPE: Tag = Tag(0x0000, 0x0800);
    pub const STATUS: Tag = Tag(0x0000, 0x0900);
    pub const ERROR_COMMENT: Tag = Tag(0x0000, 0x0902);
    pub const AFFECTED_SOP_INSTANCE: Tag = Tag(0x0000, 0x1000);
    pub const REQUESTED_SOP_INSTANCE: Tag = Tag(0x0000, 0x1001);

    pub const META_LENGTH: Tag = Tag(0x0002, 0x0000);
    pub const META_VERSION: Tag = Tag(0x0002, 0x0001);
    pub const MEDIA_SOP_CLASS: Tag = Tag(0x0002, 0x0002);
    pub const MEDIA_SOP_INSTANCE: Tag = Tag(0x0002, 0x0003);
    pub const TRANSFER_SYNTAX: Tag = Tag(0x0002, 0x0010);
    pub const IMPLEMENTATION_CLASS: Tag = Tag(0x0002, 0x0012);
    pub const IMPLEMENTATION_VERSION: Tag = Tag(0x0002, 0x0013);
    pub const SOURCE_AE_TITLE: Tag = Tag(0x0002, 0x0016);

    pub const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
    pub const SOP_CLASS: Tag = Tag(0x0008, 0x0016);
    pub const SOP_INSTANCE: Tag = Tag(0x0008, 0x0018);
    pub const PERFORMED_STATUS: Tag = Tag(0x0040, 0x0252);
    pub const STUDY_INSTANCE: Tag = Tag(0x0020, 0x000d);
    pub const PIXEL_DATA: Tag = Tag(0x7fe0, 0x0010);

    pub const ITEM: Tag = Tag(0xfffe, 0xe000);
    pub const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
    pub const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_lead_to_tags_and_back() {
        let patient = Tag(0x0010, 0x0020);
        assert_eq!(patient.keyword(), Some("PatientID"));
        assert_eq!(Tag::named("PatientID"), Some(patient));
        assert_eq!(Tag::named("00100020"), Some(patient));
        assert_eq!(patient.vr(), Vr::LO);
        assert_eq!(Tag::named("PatientId"), None);
        assert_eq!(Tag::named("ÄÄÄÄ"), None);
        assert_eq!(Tag(0x0009, 0x0010).vr(), Vr::LO);
        assert_eq!(Tag(0x0009, 0x1010).keyword(), None);
        assert_eq!(Tag(0x0008, 0x0000).keyword(), None);
    }
}

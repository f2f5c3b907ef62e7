//! UIDs: which are well formed, what the known ones are called, and how their data sets are laid out.

use dicom_core::dictionary::UidDictionary;
use dicom_dictionary_std::sop_class::StandardSopClassDictionary;

use crate::Encoding;

/// Of the association's own service: is anybody there.
pub const VERIFICATION: &str = "1.2.840.10008.1.1";
/// Of a query for a modality's worklist.
pub const WORKLIST_FIND: &str = "1.2.840.10008.5.1.4.31";
/// Of a step that a modality performs.
pub const PERFORMED_STEP: &str = "1.2.840.10008.3.1.2.3.3";
/// What every association speaks.
pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
/// Under this lie the standard's storage classes.
const STORAGE: &str = "1.2.840.10008.5.1.4.1.1.";
/// The transfer syntax that everybody must know.
pub const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
/// The usual one.
pub const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
/// All of the data set deflated.
pub const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";

/// Who wrote a file, as files say it: made of a UUID, so that it is nobody else's.
pub const IMPLEMENTATION_CLASS: &str = "2.25.201548366437061268312475820437861155627";
/// The same for people.
pub const IMPLEMENTATION_VERSION: &str = "WARDLINE";

/// Whether it is one: digits in parts, at most 64 of all. Such a text is also safe as a file's name.
pub fn is_valid(uid: &str) -> bool {
    !uid.is_empty()
        && uid.len() <= 64
        && uid.split('.').all(|part| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_digit())
                && (part.len() == 1 || !part.starts_with('0'))
        })
}

/// Whether objects of this class are stored: those of the standard, and of vendors who have their own
/// roots for them.
pub fn is_storage(class: &str) -> bool {
    class.strip_prefix(STORAGE).is_some() || !class.starts_with("1.2.840.10008.")
}

/// How data sets of a transfer syntax are laid out. Those with compressed pixel data are explicit,
/// and so must be whatever comes later.
pub fn encoding(transfer_syntax: &str) -> Encoding {
    match transfer_syntax {
        IMPLICIT_LITTLE => Encoding::ImplicitLittle,
        EXPLICIT_BIG => Encoding::ExplicitBig,
        _ => Encoding::ExplicitLittle,
    }
}

/// What a class of objects is called.
pub fn class_name(class: &str) -> Option<&'static str> {
    StandardSopClassDictionary
        .by_uid(class)
        .map(|entry| entry.name)
}

/// What a transfer syntax is called; those that are met.
pub fn syntax_name(uid: &str) -> Option<&'static str> {
    Some(match uid {
        IMPLICIT_LITTLE => "Implicit VR Little Endian",
        EXPLICIT_LITTLE => "Explicit VR Little Endian",
        DEFLATED => "Deflated Explicit VR Little Endian",
        EXPLICIT_BIG => "Explicit VR Big Endian",
        "1.2.840.10008.1.2.4.50" => "JPEG Baseline",
        "1.2.840.10008.1.2.4.51" => "JPEG Extended",
        "1.2.840.10008.1.2.4.57" => "JPEG Lossless",
        "1.2.840.10008.1.2.4.70" => "JPEG Lossless, first-order prediction",
        "1.2.840.10008.1.2.4.80" => "JPEG-LS Lossless",
        "1.2.840.10008.1.2.4.81" => "JPEG-LS Near-Lossless",
        "1.2.840.10008.1.2.4.90" => "JPEG 2000 Lossless",
        "1.2.840.10008.1.2.4.91" => "JPEG 2000",
        "1.2.840.10008.1.2.4.100" => "MPEG-2 Main Profile",
        "1.2.840.10008.1.2.4.102" => "MPEG-4 AVC/H.264",
        "1.2.840.10008.1.2.4.201" => "HTJ2K Lossless",
        "1.2.840.10008.1.2.5" => "RLE Lossless",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uids_are_uids() {
        assert!(is_valid("1.2.840.10008.1.2") && is_valid(IMPLEMENTATION_CLASS));
        for bad in [
            "",
            "1..2",
            ".1",
            "1.",
            "1.02",
            "1.a",
            "../1",
            "1/2",
            &"1.".repeat(33),
            "1 ",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn known_ones_have_names() {
        assert_eq!(
            class_name("1.2.840.10008.5.1.4.1.1.2"),
            Some("CT Image Storage")
        );
        assert_eq!(
            syntax_name(EXPLICIT_LITTLE),
            Some("Explicit VR Little Endian")
        );
        assert!(
            is_storage("1.2.840.10008.5.1.4.1.1.2")
                && !is_storage(WORKLIST_FIND)
                && !is_storage(VERIFICATION)
        );
    }
}

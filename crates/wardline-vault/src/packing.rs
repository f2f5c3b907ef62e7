//! Making payloads small before they are encrypted: zstd with contexts that each thread keeps.
//!
//! Most payloads are messages of about a kilobyte that share their structure with all
//! others, so short ones are compressed against a built-in dictionary. It was trained on
//! synthetic messages (`examples/train_dictionary.rs`) and holds no data of anyone. It is
//! part of the sealed form: never change `v1.zdict`, add a second one.

use crate::VaultError;
use crate::envelope::Packing;
use std::cell::RefCell;
use std::sync::LazyLock;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

static DICTIONARY: &[u8] = include_bytes!("dictionary/v1.zdict");
/// zstd's fastest regular level: higher ones save a few per cent at several times the cost.
const LEVEL: i32 = 1;
/// Below this, what compression saves is not worth its time.
const MIN_SIZE: usize = 64;
/// Above this a payload is its own best dictionary.
const MAX_DICTIONARY_SIZE: usize = 16 << 10;
/// Payloads up to this size are compressed into a buffer that the thread keeps.
const MAX_SCRATCH: usize = 64 << 10;

static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

/// Contexts of one thread, made at first use; each is some hundred kilobytes.
#[derive(Default)]
struct Contexts {
    short: Option<Compressor<'static>>,
    long: Option<Compressor<'static>>,
    open_short: Option<Decompressor<'static>>,
    open_long: Option<Decompressor<'static>>,
    scratch: Vec<u8>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::default();
}

/// Hands `with` the smaller of `plain` and its compressed form.
pub(crate) fn pack<T>(
    plain: &[u8],
    with: impl FnOnce(Packing, &[u8]) -> Result<T, VaultError>,
) -> Result<T, VaultError> {
    if plain.len() < MIN_SIZE {
        return with(Packing::Plain, plain);
    }
    CONTEXTS.with_borrow_mut(|contexts| {
        let failed = |error: std::io::Error| VaultError::Compression {
            doing: "compressing a payload",
            reason: error.to_string(),
        };
        let (packing, compressor) = if plain.len() <= MAX_DICTIONARY_SIZE {
            let make = || Compressor::with_prepared_dictionary(&ENCODER);
            (
                Packing::ZstdWithDictionary,
                get_or_make(&mut contexts.short, make).map_err(failed)?,
            )
        } else {
            let make = || Compressor::new(LEVEL);
            (
                Packing::Zstd,
                get_or_make(&mut contexts.long, make).map_err(failed)?,
            )
        };
        let mut large = Vec::new();
        let out = if plain.len() <= MAX_SCRATCH {
            &mut contexts.scratch
        } else {
            &mut large
        };
        out.clear();
        out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        compressor.compress_to_buffer(plain, out).map_err(failed)?;
        if out.len() < plain.len() {
            with(packing, out)
        } else {
            with(Packing::Plain, plain)
        }
    })
}

/// Undoes [`pack`]; `size` is authenticated and within the limit, and no more is produced.
pub(crate) fn unpack(
    packing: Packing,
    packed: Vec<u8>,
    size: usize,
) -> Result<Vec<u8>, VaultError> {
    let failed = |reason: String| VaultError::Compression {
        doing: "decompressing a payload",
        reason,
    };
    let plain = match packing {
        Packing::Plain => packed,
        Packing::Zstd | Packing::ZstdWithDictionary => CONTEXTS
            .with_borrow_mut(|contexts| {
                let decompressor = if packing == Packing::Zstd {
                    get_or_make(&mut contexts.open_long, Decompressor::new)?
                } else {
                    get_or_make(&mut contexts.open_short, || {
                        Decompressor::with_prepared_dictionary(&DECODER)
                    })?
                };
                let mut plain = Vec::with_capacity(size);
                decompressor.decompress_to_buffer(&packed, &mut plain)?;
                Ok(plain)
            })
            .map_err(|error: std::io::Error| failed(error.to_string()))?,
    };
    if plain.len() == size {
        Ok(plain)
    } else {
        Err(failed(format!("{} bytes instead of {size}", plain.len())))
    }
}

fn get_or_make<T>(
    place: &mut Option<T>,
    make: impl FnOnce() -> std::io::Result<T>,
) -> std::io::Result<&mut T> {
    if place.is_none() {
        *place = Some(make()?);
    }
    Ok(place.as_mut().expect("made just above"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(plain: &[u8]) -> Packing {
        let (packing, packed) =
            pack(plain, |packing, bytes| Ok((packing, bytes.to_vec()))).unwrap();
        assert!(packed.len() <= plain.len());
        assert_eq!(unpack(packing, packed, plain.len()).unwrap(), plain);
        packing
    }

    #[test]
    fn each_size_takes_its_way() {
        assert_eq!(round_trip(b""), Packing::Plain);
        assert_eq!(round_trip(&[b'x'; MIN_SIZE - 1]), Packing::Plain);
        assert_eq!(round_trip(&[b'x'; MIN_SIZE]), Packing::ZstdWithDictionary);
        assert_eq!(
            round_trip(&vec![b'x'; MAX_DICTIONARY_SIZE + 1]),
            Packing::Zstd
        );
        assert_eq!(round_trip(&vec![b'x'; MAX_SCRATCH * 4]), Packing::Zstd);
    }

    #[test]
    fn the_dictionary_is_the_one_that_journals_need() {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, DICTIONARY);
        assert_eq!(
            crate::provider::hex(hash.as_ref()),
            "10837b55142dd451c87d32745606f4d3533fd0825415f6e6500e918d9d62ade6"
        );
    }

    #[test]
    fn a_short_message_shrinks_by_its_structure_alone() {
        let message = b"MSH|^~\\&|QEHR|QN|WARD|STB|20261124104203||ADT^A03^ADT_A03|Q7731|P|2.5.1|||AL|NE\rEVN|A03|20261124104203\r";
        let (packing, packed) = pack(message, |packing, bytes| Ok((packing, bytes.len()))).unwrap();
        assert_eq!(packing, Packing::ZstdWithDictionary);
        assert!(
            packed < message.len() * 7 / 10,
            "{packed} of {}",
            message.len()
        );
    }

    #[test]
    fn what_does_not_shrink_stays_as_it_is() {
        let noise: [u8; 4096] = crate::provider::random().unwrap();
        assert_eq!(round_trip(&noise), Packing::Plain);
    }

    #[test]
    fn no_more_than_the_recorded_size_is_produced() {
        let (packing, packed) = pack(&vec![0; 100_000], |packing, bytes| {
            Ok((packing, bytes.to_vec()))
        })
        .unwrap();
        assert!(unpack(packing, packed.clone(), 99_999).is_err());
        assert!(unpack(packing, packed, 100_001).is_err());
    }
}

//! The form of sealed bytes.
//!
//! ```text
//! 0        version, 1
//! 1        flags: bit 0 compressed (zstd), bit 1 with the built-in dictionary
//! 2..4     part: which of the day's keys, little-endian
//! 4..8     day since 1970-01-01 UTC, little-endian
//! 8..12    plain size in bytes, little-endian
//! 12..24   nonce
//! 24..     AES-256-GCM of the (compressed) payload, then its tag of 16 bytes
//! ```
//!
//! Authenticated with it: SHA-256 of the estate's name, the [`Kind`] and the first twelve
//! bytes. So a payload cannot pass for a response, for one of another estate, or for
//! another size. It is not bound to its row, whose id is not known before the commit.

use crate::{Day, Kind, VaultError};
use aws_lc_rs::aead::NONCE_LEN;

const VERSION: u8 = 1;
const COMPRESSED: u8 = 1;
const WITH_DICTIONARY: u8 = 2;
/// Header without the nonce.
pub(crate) const HEADER: usize = 12;
/// Where the encrypted bytes begin.
pub(crate) const BODY: usize = HEADER + NONCE_LEN;
/// Bytes that sealing adds to what compression leaves.
pub(crate) const OVERHEAD: usize = BODY + 16;

/// How a payload was made smaller before it was encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Zstd,
    ZstdWithDictionary,
}

/// What the first twelve bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) packing: Packing,
    pub(crate) day: Day,
    pub(crate) part: u16,
    pub(crate) plain_size: u32,
}

impl Header {
    pub(crate) fn encode(self) -> [u8; HEADER] {
        let flags = match self.packing {
            Packing::Plain => 0,
            Packing::Zstd => COMPRESSED,
            Packing::ZstdWithDictionary => COMPRESSED | WITH_DICTIONARY,
        };
        let mut out = [0; HEADER];
        out[0] = VERSION;
        out[1] = flags;
        out[2..4].copy_from_slice(&self.part.to_le_bytes());
        out[4..8].copy_from_slice(&self.day.0.to_le_bytes());
        out[8..12].copy_from_slice(&self.plain_size.to_le_bytes());
        out
    }

    /// Reads a header; the caller still has to authenticate it.
    pub(crate) fn decode(kind: Kind, sealed: &[u8]) -> Result<Self, VaultError> {
        let malformed = |reason| VaultError::Malformed { kind, reason };
        if sealed.len() < OVERHEAD {
            return Err(malformed("it is cut short"));
        }
        let &[
            version,
            flags,
            part0,
            part1,
            day0,
            day1,
            day2,
            day3,
            size0,
            size1,
            size2,
            size3,
        ] = sealed
            .first_chunk::<HEADER>()
            .ok_or_else(|| malformed("it is cut short"))?;
        if version != VERSION {
            return Err(malformed("its version is unknown"));
        }
        let packing = match flags {
            0 => Packing::Plain,
            COMPRESSED => Packing::Zstd,
            f if f == COMPRESSED | WITH_DICTIONARY => Packing::ZstdWithDictionary,
            _ => return Err(malformed("its flags are unknown")),
        };
        Ok(Self {
            packing,
            part: u16::from_le_bytes([part0, part1]),
            day: Day(u32::from_le_bytes([day0, day1, day2, day3])),
            plain_size: u32::from_le_bytes([size0, size1, size2, size3]),
        })
    }
}

/// What is authenticated together with the encrypted bytes.
pub(crate) fn associated(
    estate: &[u8; 32],
    kind: Kind,
    header: [u8; HEADER],
) -> [u8; 32 + 1 + HEADER] {
    let mut out = [0; 32 + 1 + HEADER];
    out[..32].copy_from_slice(estate);
    out[32] = kind.number();
    out[33..].copy_from_slice(&header);
    out
}

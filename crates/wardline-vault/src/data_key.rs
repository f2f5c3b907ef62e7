//! Data keys: made and claimed in the ring, used with fresh nonces.
//!
//! A key seals at most 2³² payloads, the limit of NIST SP 800-38D for random nonces. Uses are
//! claimed in the ring in blocks before they happen, so the limit holds across restarts.

use crate::keyring::{DataKeyRecord, KeyRing, Series};
use crate::provider::{fresh_key, random};
use crate::{Day, KeyProvider, VaultError};
use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, NONCE_LEN, UnboundKey};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// Most payloads sealed with one key (NIST SP 800-38D, section 8.3).
const MAX_USES: u64 = 1 << 32;
/// Uses claimed at once: a few hours of a busy day, and sixteen restarts a key.
const BLOCK: u64 = 1 << 28;

/// A data key ready for use. `ring` does not wipe its expanded keys when they are dropped;
/// what we hold ourselves is wiped.
pub(crate) struct DataKey {
    pub(crate) day: Day,
    pub(crate) part: u16,
    pub(crate) cipher: LessSafeKey,
}

impl DataKey {
    pub(crate) fn new(day: Day, part: u16, bytes: &[u8; 32]) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, bytes).expect("AES-256-GCM takes 32 bytes");
        Self {
            day,
            part,
            cipher: LessSafeKey::new(unbound),
        }
    }
}

/// The data key that seals now, and how often it still may.
pub(crate) struct Current {
    pub(crate) key: Arc<DataKey>,
    used: AtomicU64,
    end: u64,
}

impl Current {
    /// One use of the claim is already taken, by whoever asked for it.
    pub(crate) fn of(key: &Arc<DataKey>, claim: &Claim) -> Self {
        Self {
            key: Arc::clone(key),
            used: AtomicU64::new(claim.first + 1),
            end: claim.end,
        }
    }

    /// Takes one use for a day, if there is one.
    pub(crate) fn take(&self, day: Day) -> bool {
        // Far from overflow: whoever is refused replaces `self` at once.
        self.key.day == day && self.used.fetch_add(1, Ordering::Relaxed) < self.end
    }
}

/// A block of uses of one data key.
pub(crate) struct Claim {
    pub(crate) part: u16,
    /// Uses of the key that were claimed earlier.
    pub(crate) first: u64,
    /// Where the block ends.
    pub(crate) end: u64,
    pub(crate) bytes: Zeroizing<[u8; 32]>,
}

/// Claims a block of uses: of the day's newest key while it has any left, else of a new one.
pub(crate) fn claim(
    ring: &mut KeyRing,
    series: Series,
    day: Day,
    provider: &dyn KeyProvider,
) -> Result<Claim, VaultError> {
    let estate = ring.estate.clone();
    let purpose = |part| KeyRing::purpose_of_data_key(&estate, series, day, part);
    let part = match ring.newest_mut(series, day) {
        Some(record) if record.claimed + BLOCK <= MAX_USES => {
            let first = record.claimed;
            record.claimed += BLOCK;
            return Ok(Claim {
                part: record.part,
                first,
                end: record.claimed,
                bytes: provider.unwrap(&purpose(record.part), &record.key)?,
            });
        }
        Some(record) => record
            .part
            .checked_add(1)
            .ok_or(VaultError::Exhausted { day })?,
        None => 0,
    };
    let bytes = fresh_key()?;
    let key = provider.wrap(&purpose(part), &bytes)?;
    ring.insert(
        series,
        DataKeyRecord {
            day,
            part,
            claimed: BLOCK,
            key,
        },
    );
    Ok(Claim {
        part,
        first: 0,
        end: BLOCK,
        bytes,
    })
}

/// Nonces are public, so a thread may fetch many with one call to the system.
const NONCES: usize = 64;

/// A fresh random nonce.
pub(crate) fn nonce() -> Result<[u8; NONCE_LEN], VaultError> {
    struct Stock {
        bytes: [u8; NONCES * NONCE_LEN],
        next: usize,
    }
    thread_local! {
        static STOCK: RefCell<Stock> =
            const { RefCell::new(Stock { bytes: [0; NONCES * NONCE_LEN], next: NONCES }) };
    }
    STOCK.with_borrow_mut(|stock| {
        if stock.next == NONCES {
            stock.bytes = random()?;
            stock.next = 0;
        }
        let at = stock.next * NONCE_LEN;
        stock.next += 1;
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&stock.bytes[at..at + NONCE_LEN]);
        Ok(nonce)
    })
}

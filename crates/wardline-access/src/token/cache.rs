//! Tokens that were verified a moment ago: a check of an ES256 signature costs three times
//! what proxying a request costs.

use crate::identity::Recognised;
use ahash::AHashMap;
use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::Mutex;
use std::sync::Arc;

const SHARDS: usize = 16;
/// Tokens in each shard: 16,384 in all.
const PER_SHARD: usize = 1024;
/// How long a verified token is believed, in seconds.
const BELIEVED: i64 = 30;

/// Verified tokens by their hash, never by themselves.
#[derive(Debug, Default)]
pub(crate) struct Cache([Mutex<AHashMap<[u8; 32], Entry>>; SHARDS]);

#[derive(Debug)]
struct Entry {
    recognised: Arc<Recognised>,
    /// The generations of revocations and of the directory under which it was verified.
    generation: (u64, u64),
    /// Second from which it is not believed any more.
    until: i64,
}

pub(crate) fn key(token: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    key
}

impl Cache {
    pub(crate) fn get(
        &self,
        key: &[u8; 32],
        generation: (u64, u64),
        now: i64,
    ) -> Option<Arc<Recognised>> {
        let shard = self.shard(key).lock();
        let entry = shard.get(key)?;
        (entry.generation == generation && now < entry.until).then(|| Arc::clone(&entry.recognised))
    }

    /// Believes a token until `exp`, but no longer than a moment. `generation` is what was
    /// in force before the check began: a revocation meanwhile makes the entry void.
    pub(crate) fn put(
        &self,
        key: [u8; 32],
        recognised: Arc<Recognised>,
        generation: (u64, u64),
        exp: i64,
        now: i64,
    ) {
        let mut shard = self.shard(&key).lock();
        if shard.len() >= PER_SHARD {
            shard.retain(|_, entry| entry.generation == generation && now < entry.until);
        }
        if shard.len() >= PER_SHARD {
            // All are in use: some must go, and which does not matter.
            let mut keep = 0;
            shard.retain(|_, _| {
                keep += 1;
                keep % 4 != 0
            });
        }
        let until = exp.min(now + BELIEVED);
        shard.insert(
            key,
            Entry {
                recognised,
                generation,
                until,
            },
        );
    }

    fn shard(&self, key: &[u8; 32]) -> &Mutex<AHashMap<[u8; 32], Entry>> {
        &self.0[usize::from(key[0]) % SHARDS]
    }
}

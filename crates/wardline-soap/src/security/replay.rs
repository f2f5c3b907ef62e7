//! What came lately, so that it cannot come again.

use std::collections::VecDeque;

use ahash::AHashSet;
use aws_lc_rs::digest::{SHA256, digest};

use super::SecurityError;

/// Nonces and signatures that are remembered; each costs some 100 bytes.
const MOST: usize = 200_000;

/// The marks of messages that are still fresh.
#[derive(Debug, Default)]
pub(super) struct Replay {
    seen: AHashSet<[u8; 32]>,
    /// Until when (in seconds), oldest first.
    order: VecDeque<(i64, [u8; 32])>,
}

impl Replay {
    /// Remembers a mark for `keep` seconds.
    pub(super) fn first(
        &mut self,
        mark: &[&[u8]],
        now: i64,
        keep: i64,
    ) -> Result<(), SecurityError> {
        while let Some((until, old)) = self.order.front() {
            if *until >= now {
                break;
            }
            self.seen.remove(old);
            self.order.pop_front();
        }
        let mut whole = Vec::new();
        for part in mark {
            whole.extend_from_slice(&(part.len() as u64).to_be_bytes());
            whole.extend_from_slice(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &whole).as_ref());
        if self.seen.contains(&hash) {
            return Err(SecurityError::Replayed);
        }
        if self.seen.len() >= MOST {
            return Err(SecurityError::Full);
        }
        self.seen.insert(hash);
        self.order.push_back((now + keep, hash));
        Ok(())
    }
}

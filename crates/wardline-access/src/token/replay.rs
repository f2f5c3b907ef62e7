//! Assertions are good once: which were used, until they expire.

use ahash::AHashMap;
use aws_lc_rs::digest::{Context, SHA256};
use parking_lot::Mutex;
use std::sync::Arc;

use super::Reason;

/// Unexpired assertions remembered for one client: thirty a second for five minutes.
const MAX_PER_CLIENT: usize = 10_000;

/// The ids of assertions that were used, by client; only the first 16 bytes of their hashes,
/// since their length is the client's choice. Bounded for each client on its own: one that
/// floods is refused itself and costs no other anything. Lives as long as the process.
#[derive(Debug, Default)]
pub(crate) struct Replays(Mutex<AHashMap<Arc<str>, Used>>);

#[derive(Debug, Default)]
struct Used {
    until: AHashMap<[u8; 16], i64>,
    /// When the expired ones are worth looking for.
    tidy_at: usize,
}

impl Replays {
    /// Remembers an assertion until the second it is surely expired.
    pub(crate) fn take(
        &self,
        client: &Arc<str>,
        jti: &str,
        until: i64,
        now: i64,
    ) -> Result<(), Reason> {
        let mut hash = Context::new(&SHA256);
        hash.update(jti.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finish().as_ref()[..16]);
        let mut all = self.0.lock();
        let used = all.entry(Arc::clone(client)).or_default();
        if used.until.get(&id).is_some_and(|until| *until > now) {
            return Err(Reason::Replay);
        }
        if used.until.len() >= used.tidy_at.clamp(64, MAX_PER_CLIENT) {
            used.until.retain(|_, until| *until > now);
            used.tidy_at = used.until.len() * 2;
            if used.until.len() >= MAX_PER_CLIENT {
                return Err(Reason::TooMany);
            }
        }
        used.until.insert(id, until);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_until_expired_and_bounded_by_client() {
        let replays = Replays::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        assert_eq!(replays.take(&a, "1", 100, 0), Ok(()));
        assert_eq!(replays.take(&a, "1", 100, 99), Err(Reason::Replay));
        assert_eq!(replays.take(&b, "1", 100, 99), Ok(()));
        assert_eq!(replays.take(&a, "1", 200, 100), Ok(()), "long expired");

        let mut refused = 0;
        for n in 0..MAX_PER_CLIENT * 2 {
            refused += usize::from(replays.take(&a, &format!("x{n}"), 300, 0).is_err());
        }
        assert!(refused >= MAX_PER_CLIENT);
        assert_eq!(replays.take(&b, "other", 300, 0), Ok(()), "others go on");
        assert_eq!(
            replays.take(&a, "later", 600, 301),
            Ok(()),
            "and it itself, later"
        );
    }
}

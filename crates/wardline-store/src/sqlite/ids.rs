//! Ids in commit order: strictly increasing, across restarts and clocks that step back.

use wardline_core::{Id, Timestamp};

/// The most ids one acceptance may take: a block never crosses a millisecond, and a
/// millisecond holds this many.
pub(super) const MAX_BLOCK: usize = 1 << 16;

/// Hands out blocks of consecutive ids. Only the writer has one, so order of ids is order
/// of commits.
#[derive(Debug)]
pub(super) struct IdSource {
    node: u8,
    last: Id,
}

impl IdSource {
    /// Continues after `last`, the highest id on disk.
    pub(super) fn after(node: u8, last: Id) -> Self {
        Self {
            node: node & 63,
            last,
        }
    }

    /// The highest id given so far.
    pub(super) fn last(&self) -> Id {
        self.last
    }

    /// Takes `len` consecutive ids, 1 to [`MAX_BLOCK`] of them, and returns the first. When
    /// the clock stands still, steps back, or the millisecond has no room left, the block
    /// comes from the millisecond after.
    pub(super) fn take(&mut self, len: usize, now: Timestamp) -> Id {
        debug_assert!((1..=MAX_BLOCK).contains(&len));
        let more = u32::try_from(len - 1).unwrap_or(u32::MAX);
        let mut first = Id::from_parts(now.unix_ms(), self.node, 0);
        if first <= self.last {
            let ms = self.last.unix_ms();
            let next =
                Id::from_parts(ms, self.node, 0).as_i64() | ((self.last.as_i64() & 0xffff) + 1);
            let same_node =
                self.last.as_i64() >> 16 == Id::from_parts(ms, self.node, 0).as_i64() >> 16;
            let room = (self.last.as_i64() & 0xffff) + len as i64 <= 0xffff;
            first = if same_node && room {
                Id::from_i64(next)
            } else {
                Id::from_parts(ms + 1, self.node, 0)
            };
        }
        self.last = first.offset(more);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_764_000_000_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    #[test]
    fn blocks_follow_one_another_within_a_millisecond() {
        let mut ids = IdSource::after(3, Id::ZERO);
        let a = ids.take(4, at(MS));
        let b = ids.take(2, at(MS));
        assert_eq!(b, a.offset(4));
        assert_eq!(ids.last(), a.offset(5));
        assert_eq!(ids.take(1, at(MS + 1)), Id::from_parts(MS + 1, 3, 0));
    }

    #[test]
    fn a_full_millisecond_borrows_from_the_next() {
        let mut ids = IdSource::after(63, Id::ZERO);
        let a = ids.take(MAX_BLOCK, at(MS));
        assert_eq!(
            (a, ids.last()),
            (Id::from_parts(MS, 63, 0), Id::from_parts(MS, 63, 65_535))
        );
        assert_eq!(ids.take(1, at(MS)), Id::from_parts(MS + 1, 63, 0));
        assert_eq!(ids.take(65_535, at(MS)), Id::from_parts(MS + 1, 63, 1));
        assert_eq!(
            ids.take(2, at(MS)),
            Id::from_parts(MS + 2, 63, 0),
            "a block never crosses a millisecond"
        );
    }

    #[test]
    fn a_clock_that_steps_back_and_a_lower_node_still_go_forward() {
        let mut ids = IdSource::after(9, Id::from_parts(MS + 5_000, 9, 7));
        assert_eq!(ids.take(1, at(MS)), Id::from_parts(MS + 5_000, 9, 8));
        let mut ids = IdSource::after(2, Id::from_parts(MS, 9, 7));
        assert_eq!(ids.take(1, at(MS)), Id::from_parts(MS + 1, 2, 0));
        let mut ids = IdSource::after(9, Id::from_parts(MS, 2, 7));
        assert_eq!(ids.take(1, at(MS)), Id::from_parts(MS, 9, 0));
    }
}

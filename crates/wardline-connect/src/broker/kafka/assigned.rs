//! A partition that is ours: what of it was fetched, what is in hand, and up to where all is done.

use std::collections::{BTreeSet, VecDeque};

use tokio::time::Instant;

use super::fetch::Stretch;

/// A partition that is ours.
#[derive(Debug, Default)]
pub(super) struct Assigned {
    /// Where to fetch next; unknown until the broker said where the partition begins or ends.
    pub(super) fetch: Option<i64>,
    /// What was fetched and not looked at.
    stretches: VecDeque<Stretch>,
    /// Bytes of it.
    held: usize,
    /// All before it was handed out or left out.
    at: i64,
    /// What was handed out and is not taken.
    out: BTreeSet<i64>,
    /// What the group knows.
    known: Option<i64>,
    /// Nothing is asked before.
    pub(super) rests: Option<Instant>,
}

impl Assigned {
    pub(super) fn new(at: Option<i64>) -> Self {
        Self {
            fetch: at,
            at: at.unwrap_or_default(),
            known: at,
            ..Self::default()
        }
    }

    /// Begins at an end that the broker named.
    pub(super) fn begin(&mut self, at: i64) {
        self.fetch = Some(at);
        self.at = at;
    }

    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Whether nothing of it waits to be looked at.
    pub(super) fn is_drained(&self) -> bool {
        self.stretches.is_empty()
    }

    /// Takes in what was fetched. Gives its bytes.
    pub(super) fn fill(&mut self, came: VecDeque<Stretch>) -> usize {
        let mut more = 0;
        for stretch in came {
            let next = self.fetch.unwrap_or_default();
            if stretch.end() <= next {
                continue;
            }
            self.fetch = Some(stretch.end());
            more += stretch.size();
            self.stretches.push_back(stretch);
        }
        self.held += more;
        more
    }

    /// The next stretch to be looked at.
    pub(super) fn next(&mut self) -> Option<Stretch> {
        let stretch = self.stretches.pop_front()?;
        self.held -= stretch.size();
        Some(stretch)
    }

    /// Whether an offset is still to be handed out; it begins in the midst of a batch.
    pub(super) const fn wants(&self, offset: i64) -> bool {
        offset >= self.at
    }

    /// Something is handed out that ends before `end`. Gives the offset by which it is taken.
    pub(super) fn hand_out(&mut self, end: i64) -> i64 {
        let offset = self.at;
        self.out.insert(offset);
        self.at = end;
        offset
    }

    /// There is nothing for us before `end`.
    pub(super) fn leave_out(&mut self, end: i64) {
        self.at = self.at.max(end);
    }

    /// It is on stable storage.
    pub(super) fn taken(&mut self, offset: i64) {
        self.out.remove(&offset);
    }

    /// Up to where all is done, where the group does not know it.
    pub(super) fn to_commit(&self) -> Option<i64> {
        self.fetch?;
        let done = self.out.first().copied().unwrap_or(self.at);
        (self.known != Some(done)).then_some(done)
    }

    /// The group knows it.
    pub(super) const fn committed(&mut self, at: i64) {
        self.known = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_ends_before_the_first_that_is_not_taken() {
        let mut part = Assigned::new(Some(10));
        assert_eq!(part.to_commit(), None);
        let came = [Stretch::Gap(12), Stretch::Gap(9), Stretch::Gap(20)];
        assert_eq!(part.fill(came.into()), 0);
        assert_eq!(part.fetch, Some(20));
        assert_eq!((part.hand_out(11), part.hand_out(12)), (10, 11));
        part.taken(11);
        assert_eq!(part.to_commit(), None, "10 is in hand");
        part.taken(10);
        assert_eq!(part.to_commit(), Some(12));
        part.leave_out(20);
        part.committed(20);
        assert_eq!(part.to_commit(), None);
        assert!(!part.wants(19) && part.wants(20));
        assert_eq!(part.next().map(|one| one.end()), Some(12));
        assert!(!part.is_drained());
    }
}

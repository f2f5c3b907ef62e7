//! Proofs about the log that anybody can check with a hash function and nothing else:
//! RFC 9162, section 2.1.3 (an entry is in the log) and 2.1.4 (a longer log begins with a
//! shorter one).
//!
//! A proof is a handful of subtree roots. Which subtrees is known before anything is read,
//! so making one takes a single pass over the log and memory for its own result.
//!
//! ```
//! use wardline_vault::audit::{Prover, leaf_hash, verify_inclusion};
//!
//! let entries = [b"one".as_slice(), b"two", b"three"];
//! let mut prover = Prover::inclusion(1, 3).expect("1 is below 3");
//! for entry in entries {
//!     prover.read(entry);
//! }
//! let made = prover.finish().expect("all three were read");
//! assert!(verify_inclusion(&leaf_hash(b"two"), 1, 3, &made.path, &made.root));
//! assert!(!verify_inclusion(&leaf_hash(b"one"), 1, 3, &made.path, &made.root));
//! ```

use super::tree::{self, Hash, Tree, interior};
use std::ops::Range;

/// The hash of an entry as a leaf of the tree: SHA-256 of a zero byte and the stored body.
#[must_use]
pub fn leaf_hash(body: &[u8]) -> [u8; 32] {
    tree::leaf(body)
}

/// A finished proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Subtree roots in the order in which RFC 9162 combines them.
    pub path: Vec<[u8; 32]>,
    /// Root of the tree of the first `size` entries.
    pub root: [u8; 32],
    /// Entries of that tree.
    pub size: u64,
    /// For inclusion the hash of the entry; for consistency the root of the shorter tree.
    pub subject: [u8; 32],
}

/// Makes one proof while the log goes by.
#[derive(Debug)]
pub struct Prover {
    size: u64,
    /// Range of leaves and the tree over those read so far, in the order of the path.
    parts: Vec<(Range<u64>, Tree)>,
    whole: Tree,
    subject: Subject,
}

#[derive(Debug)]
enum Subject {
    Leaf(u64, Option<Hash>),
    Older(u64, Option<Hash>),
}

impl Prover {
    /// Proves that entry `index` is in the log of the first `size` entries; `None` where it
    /// is not below `size`.
    #[must_use]
    pub fn inclusion(index: u64, size: u64) -> Option<Self> {
        (index < size).then(|| {
            let mut ranges = Vec::new();
            inclusion_ranges(index, 0..size, &mut ranges);
            Self::over(size, ranges, Subject::Leaf(index, None))
        })
    }

    /// Proves that the log of the first `size` entries begins with that of the first `older`;
    /// `None` where `older` is larger. From an empty log, and from a log to itself, the proof
    /// is empty.
    #[must_use]
    pub fn consistency(older: u64, size: u64) -> Option<Self> {
        (older <= size).then(|| {
            let mut ranges = Vec::new();
            if older > 0 {
                consistency_ranges(older, 0..size, true, &mut ranges);
            }
            let root = (older == 0).then(|| Tree::default().root());
            Self::over(size, ranges, Subject::Older(older, root))
        })
    }

    fn over(size: u64, ranges: Vec<Range<u64>>, subject: Subject) -> Self {
        let parts = ranges
            .into_iter()
            .map(|range| (range, Tree::default()))
            .collect();
        Self {
            size,
            parts,
            whole: Tree::default(),
            subject,
        }
    }

    /// How many entries it still needs.
    #[must_use]
    pub const fn needs(&self) -> u64 {
        self.size - self.whole.size()
    }

    /// Takes the body of the next entry, from the first on. What follows `size` is ignored.
    pub fn read(&mut self, body: &[u8]) {
        let at = self.whole.size();
        if at == self.size {
            return;
        }
        let leaf = tree::leaf(body);
        for (range, tree) in &mut self.parts {
            if range.contains(&at) {
                tree.push(leaf);
            }
        }
        self.whole.push(leaf);
        match &mut self.subject {
            Subject::Leaf(index, found) if *index == at => *found = Some(leaf),
            Subject::Older(older, found) if *older == at + 1 => *found = Some(self.whole.root()),
            _ => {}
        }
    }

    /// The proof; `None` where fewer entries were read than it is about.
    #[must_use]
    pub fn finish(self) -> Option<Proof> {
        let (Subject::Leaf(_, subject) | Subject::Older(_, subject)) = self.subject;
        (self.whole.size() == self.size).then_some(Proof {
            path: self.parts.iter().map(|(_, tree)| tree.root()).collect(),
            root: self.whole.root(),
            size: self.size,
            subject: subject?,
        })
    }
}

/// The largest power of two below `n`, which is at least 2.
const fn split(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

/// PATH of RFC 9162, section 2.1.3.1, as ranges of leaves.
fn inclusion_ranges(index: u64, within: Range<u64>, out: &mut Vec<Range<u64>>) {
    let n = within.end - within.start;
    if n <= 1 {
        return;
    }
    let middle = within.start + split(n);
    if index < middle {
        inclusion_ranges(index, within.start..middle, out);
        out.push(middle..within.end);
    } else {
        inclusion_ranges(index, middle..within.end, out);
        out.push(within.start..middle);
    }
}

/// SUBPROOF of RFC 9162, section 2.1.4.1, as ranges of leaves. `older` counts from the start
/// of the log; `whole` says that the shorter tree is a subtree its verifier has.
fn consistency_ranges(older: u64, within: Range<u64>, whole: bool, out: &mut Vec<Range<u64>>) {
    if older == within.end {
        if !whole {
            out.push(within);
        }
        return;
    }
    let middle = within.start + split(within.end - within.start);
    if older <= middle {
        consistency_ranges(older, within.start..middle, whole, out);
        out.push(middle..within.end);
    } else {
        consistency_ranges(older, middle..within.end, false, out);
        out.push(within.start..middle);
    }
}

/// Whether a proof shows that the log of `size` entries with this root holds this leaf at
/// `index` (RFC 9162, section 2.1.3.2).
#[must_use]
pub fn verify_inclusion(
    leaf: &[u8; 32],
    index: u64,
    size: u64,
    path: &[[u8; 32]],
    root: &[u8; 32],
) -> bool {
    if index >= size {
        return false;
    }
    let (mut position, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            hash = interior(sibling, &hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = interior(&hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether a proof shows that the log of `size` entries with root `new` begins with that of
/// `older` entries with root `old` (RFC 9162, section 2.1.4.2).
#[must_use]
pub fn verify_consistency(
    older: u64,
    size: u64,
    old: &[u8; 32],
    new: &[u8; 32],
    path: &[[u8; 32]],
) -> bool {
    if older > size {
        return false;
    }
    if older == size {
        return path.is_empty() && old == new;
    }
    if older == 0 {
        return path.is_empty() && *old == Tree::default().root();
    }
    let mut path = path.iter();
    let first = if older.is_power_of_two() {
        Some(old)
    } else {
        path.next()
    };
    let Some(first) = first else {
        return false;
    };
    let (mut position, mut last) = (older - 1, size - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    let (mut of_old, mut of_new) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            of_old = interior(sibling, &of_old);
            of_new = interior(sibling, &of_new);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            of_new = interior(&of_new, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && of_old == *old && of_new == *new
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(n: u64) -> Vec<u8> {
        format!("entry {n}").into_bytes()
    }

    fn root(size: u64) -> Hash {
        let mut tree = Tree::default();
        (0..size).for_each(|n| tree.push(leaf_hash(&body(n))));
        tree.root()
    }

    fn made(mut prover: Prover, size: u64) -> Proof {
        for n in 0..size + 3 {
            prover.read(&body(n));
        }
        prover.finish().unwrap()
    }

    #[test]
    fn every_entry_of_every_size_is_proven_and_nothing_else() {
        for size in 1..40 {
            let root = root(size);
            for index in 0..size {
                let proof = made(Prover::inclusion(index, size).unwrap(), size);
                assert_eq!(proof.root, root);
                let leaf = leaf_hash(&body(index));
                assert_eq!(proof.subject, leaf);
                assert!(verify_inclusion(&leaf, index, size, &proof.path, &root));
                for other in (0..size + 2).filter(|other| *other != index) {
                    assert!(!verify_inclusion(&leaf, other, size, &proof.path, &root));
                }
                let mut changed = proof.path.clone();
                for at in 0..changed.len() {
                    changed[at][5] ^= 1;
                    assert!(!verify_inclusion(&leaf, index, size, &changed, &root));
                    changed[at][5] ^= 1;
                }
                changed.push(root);
                assert!(!verify_inclusion(&leaf, index, size, &changed, &root));
                if !proof.path.is_empty() {
                    assert!(!verify_inclusion(
                        &leaf,
                        index,
                        size,
                        &proof.path[1..],
                        &root
                    ));
                }
            }
        }
        assert!(Prover::inclusion(5, 5).is_none());
    }

    #[test]
    fn every_beginning_is_proven_and_no_other_history() {
        for size in 0..40 {
            let new = root(size);
            for older in 0..=size {
                let old = root(older);
                let proof = made(Prover::consistency(older, size).unwrap(), size);
                assert_eq!((proof.root, proof.subject), (new, old), "{older} of {size}");
                assert!(verify_consistency(older, size, &old, &new, &proof.path));
                let mut wrong = old;
                wrong[0] ^= 1;
                assert!(!verify_consistency(older, size, &wrong, &new, &proof.path));
                if older > 0 {
                    let mut wrong = new;
                    wrong[31] ^= 1;
                    assert!(!verify_consistency(older, size, &old, &wrong, &proof.path));
                }
                let mut longer = proof.path.clone();
                longer.push(new);
                assert!(!verify_consistency(older, size, &old, &new, &longer));
                if !proof.path.is_empty() {
                    assert!(!verify_consistency(
                        older,
                        size,
                        &old,
                        &new,
                        &proof.path[1..]
                    ));
                }
            }
        }
        assert!(Prover::consistency(6, 5).is_none());
    }

    #[test]
    fn a_log_that_is_too_short_proves_nothing() {
        let mut prover = Prover::inclusion(0, 4).unwrap();
        (0..3).for_each(|n| prover.read(&body(n)));
        assert_eq!(prover.needs(), 1);
        assert!(prover.finish().is_none());
    }
}

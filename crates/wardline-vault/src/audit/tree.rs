//! The running Merkle tree: enough of it to append and to know the root.
//!
//! A tree of `n` leaves is kept as the roots of its largest complete subtrees, one for each
//! one-bit of `n`. Appending therefore takes at most 64 hashes and no reading.

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256 hash.
pub(crate) type Hash = [u8; 32];

/// RFC 6962, section 2.1: the hash of a leaf.
pub(crate) fn leaf(body: &[u8]) -> Hash {
    hash(&[&[0], body])
}

/// RFC 6962, section 2.1: the hash of two subtrees.
pub(super) fn interior(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], left, right])
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// A tree that can only grow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tree {
    size: u64,
    /// Largest subtree first.
    subtrees: Vec<Hash>,
}

impl Tree {
    /// A tree from its parts; `None` where their number does not fit the size.
    pub(crate) fn from_parts(size: u64, subtrees: Vec<Hash>) -> Option<Self> {
        (subtrees.len() == size.count_ones() as usize).then_some(Self { size, subtrees })
    }

    /// How many leaves it has.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the complete subtrees, largest first.
    pub(crate) fn subtrees(&self) -> &[Hash] {
        &self.subtrees
    }

    /// Appends a leaf.
    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Each trailing one-bit of the size is a subtree as large as the node to its right.
        for _ in 0..self.size.trailing_ones() {
            let left = self.subtrees.pop().expect("a subtree for each one-bit");
            node = interior(&left, &node);
        }
        self.subtrees.push(node);
        self.size += 1;
    }

    /// The root of the whole tree; of an empty one the hash of nothing.
    pub(crate) fn root(&self) -> Hash {
        let mut from_right = self.subtrees.iter().rev();
        match from_right.next() {
            Some(last) => from_right.fold(*last, |right, left| interior(left, &right)),
            None => hash(&[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: Hash) -> String {
        crate::provider::hex(&hash)
    }

    /// The definition of RFC 6962 word for word.
    fn by_definition(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => hash(&[]),
            [one] => leaf(one),
            many => {
                let split = many.len().next_power_of_two() / 2;
                interior(
                    &by_definition(&many[..split]),
                    &by_definition(&many[split..]),
                )
            }
        }
    }

    #[test]
    fn roots_equal_the_definition_at_every_size() {
        let leaves: Vec<Vec<u8>> = (0..130_u8).map(|n| vec![n; usize::from(n)]).collect();
        let mut tree = Tree::default();
        for (size, next) in leaves.iter().enumerate() {
            assert_eq!(tree.root(), by_definition(&leaves[..size]), "size {size}");
            assert_eq!(
                Tree::from_parts(tree.size(), tree.subtrees().to_vec()),
                Some(tree.clone())
            );
            tree.push(leaf(next));
        }
    }

    #[test]
    fn roots_equal_published_vectors() {
        // The test vectors of Certificate Transparency's reference implementation.
        let leaves: [&[u8]; 8] = [
            b"",
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[
                0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
                0x6e, 0x6f,
            ],
        ];
        let mut tree = Tree::default();
        assert_eq!(
            hex(tree.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        tree.push(leaf(leaves[0]));
        assert_eq!(
            hex(tree.root()),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        for body in &leaves[1..] {
            tree.push(leaf(body));
        }
        assert_eq!(
            hex(tree.root()),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
    }
}

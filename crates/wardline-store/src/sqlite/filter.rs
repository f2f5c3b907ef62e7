//! Filters that spare the inbox most of its look-ups.

/// A keyed hash of what makes a message recognisable.
pub(super) type Hash = [u8; 16];

/// Filter blocks are a cache line; with 32 entries a block, two bytes an entry.
const ENTRIES_PER_BLOCK: usize = 32;
const BLOCK_BYTES: usize = 64;

/// A Bloom filter in blocks of one cache line: "not here" is certain, "here" is wrong about
/// twice in a thousand.
#[derive(Debug)]
pub(super) struct Filter(pub(super) Vec<u8>);

/// Where a filter is looked at: a block, and seven bits of nine bits each in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    block: u64,
    bits: u64,
}

impl Probe {
    pub(super) fn of((hash, source): &(Hash, u32)) -> Self {
        let (a, b) = hash.split_at(8);
        let word = |half: &[u8]| {
            half.iter()
                .fold(0u64, |word, byte| word << 8 | u64::from(*byte))
        };
        // The hash is keyed and even; the source is not, and callers may err about the hash.
        let bits = mix(word(a) ^ mix(word(b) ^ u64::from(*source)));
        Self {
            block: mix(bits),
            bits,
        }
    }

    fn places(self, filter_bytes: usize) -> impl Iterator<Item = (usize, u8)> {
        let blocks = (filter_bytes / BLOCK_BYTES).max(1) as u64;
        // The high half of the product spreads a 64-bit number evenly over the blocks.
        let block = ((u128::from(self.block) * u128::from(blocks)) >> 64) as usize * BLOCK_BYTES;
        (0..7).map(move |n| {
            let bit = (self.bits >> (9 * n)) as usize & 511;
            (block + bit / 8, 1 << (bit % 8))
        })
    }
}

impl Filter {
    pub(super) fn of<'a>(keys: impl ExactSizeIterator<Item = &'a (Hash, u32)>) -> Self {
        let mut bytes = vec![0; keys.len().div_ceil(ENTRIES_PER_BLOCK).max(1) * BLOCK_BYTES];
        for key in keys {
            for (at, bit) in Probe::of(key).places(bytes.len()) {
                bytes[at] |= bit;
            }
        }
        Self(bytes)
    }

    pub(super) fn may_hold(&self, probe: Probe) -> bool {
        probe
            .places(self.0.len())
            .all(|(at, bit)| self.0.get(at).is_none_or(|byte| byte & bit != 0))
    }
}

/// The finaliser of SplitMix64.
pub(super) const fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u64) -> Hash {
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&mix(n).to_be_bytes());
        hash
    }

    #[test]
    fn the_filter_is_seldom_wrong_and_never_misses() {
        let keys: Vec<_> = (0..65_536u64).map(|n| (hash(n), 1)).collect();
        let filter = Filter::of(keys.iter());
        assert_eq!(filter.0.len(), 2 * 65_536);
        assert!(keys.iter().all(|key| filter.may_hold(Probe::of(key))));
        let wrong = (0..100_000u64)
            .filter(|n| filter.may_hold(Probe::of(&(hash(n + 1_000_000), 1))))
            .count();
        assert!(wrong < 400, "{wrong} of 100,000");
    }
}

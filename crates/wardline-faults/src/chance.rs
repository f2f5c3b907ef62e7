//! Chance that can be repeated: a failing seed has to fail again, in every release.

/// SplitMix64 (Steele, Lea and Flood, 2014). Written out because a crate may change its
/// algorithm, and then the seed in a bug report would no longer fail.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.draw()) * bound as u128) >> 64) as usize
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn equal_seeds_fall_alike_and_stay_in_bounds() {
        let (mut a, mut b) = (Chance::new(3), Chance::new(3));
        let drawn: Vec<usize> = (0..1_000).map(|_| a.below(6)).collect();
        assert!(drawn.iter().all(|n| *n == b.below(6)));
        for face in 0..6 {
            assert!(drawn.contains(&face), "{face} never fell");
        }
        assert_eq!(a.below(0), 0);
    }
}

//! Chance that can be repeated.
//!
//! The generator is written out here (SplitMix64, Steele, Lea and Flood, 2014) rather than taken
//! from a crate because a seed has to give the same hospital in every release: a crate may change
//! its algorithm, and then a failing seed from a bug report would no longer fail.

/// A small, fast, seedable source of pseudo-random numbers. Not for secrets.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall the same way for the same `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Independent dice for part number `part` of the work, so that parts may run in any order
    /// and still draw the same numbers.
    #[must_use]
    pub fn fork(&self, part: u64) -> Self {
        let mut dice = Self(self.0 ^ part.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03));
        dice.roll();
        dice
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to but not including `bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Multiply-shift: the bias is below 2^-32 for the small bounds used here.
        ((u128::from(self.roll()) * u128::from(bound)) >> 64) as u64
    }

    /// True in the share `probability` (0.0 to 1.0) of calls.
    pub fn chance(&mut self, probability: f64) -> bool {
        ((self.roll() >> 11) as f64) < probability * (1_u64 << 53) as f64
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_gives_the_published_sequence() {
        // First outputs of the reference implementation for seed 1234567.
        let mut dice = Dice::new(1_234_567);
        assert_eq!(dice.roll(), 6_457_827_717_110_365_317);
        assert_eq!(dice.roll(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn below_stays_below_and_reaches_every_number() {
        let mut dice = Dice::new(7);
        let mut seen = [false; 6];
        for _ in 0..1_000 {
            seen[dice.below(6) as usize] = true;
        }
        assert_eq!(seen, [true; 6]);
        assert_eq!(dice.below(0), 0);
    }

    #[test]
    fn chance_follows_its_probability() {
        let mut dice = Dice::new(9);
        let hits = (0..100_000).filter(|_| dice.chance(0.2)).count();
        assert!((19_000..21_000).contains(&hits), "{hits}");
        assert!((0..1_000).all(|_| !dice.chance(0.0)));
        assert!((0..1_000).all(|_| dice.chance(1.0)));
    }

    #[test]
    fn forks_differ_from_each_other() {
        let dice = Dice::new(1);
        assert_ne!(dice.fork(0).roll(), dice.fork(1).roll());
        assert_eq!(dice.fork(3).roll(), dice.fork(3).roll());
    }
}

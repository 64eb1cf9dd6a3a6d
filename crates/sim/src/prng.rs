//! Chance, from the run's one seed.
//!
//! Each consumer takes a stream of its own by label (`sched`, `net/0-1`, `disk/n3/life2`, `plan/faults`), so that
//! turning one of them off does not shift any other.
//!
//! Invariant: equal (seed, label) give equal streams, on every machine.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// A stream of chance.
#[derive(Clone, Debug)]
pub struct Prng {
    generator: Pcg64,
}

impl Prng {
    /// The stream called `label` of `seed`.
    pub fn stream(seed: u64, label: &str) -> Self {
        let low = xxh3_128_with_seed(label.as_bytes(), seed).to_le_bytes();
        let high = xxh3_128_with_seed(label.as_bytes(), !seed).to_le_bytes();
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(low.iter().chain(&high)) {
            *to = *from;
        }
        Self { generator: Pcg64::from_seed(key) }
    }

    /// A stream of its own that starts from this one.
    pub fn fork(&mut self, label: &str) -> Self {
        Self::stream(self.bits(), label)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A number of `low..=high`; `low` if the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low);
        low + if span == u64::MAX { self.bits() } else { self.below(span + 1) }
    }

    /// An index of a list of `length` entries; 0 for an empty one.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// True in `per_mille` of 1 000 cases.
    pub fn per_mille(&mut self, per_mille: u32) -> bool {
        self.below(1_000) < u64::from(per_mille)
    }

    /// One of `choices`; `None` if there is none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let index = self.index(choices.len());
        choices.get(index)
    }

    /// An index drawn by `weights`; 0 if all are zero.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut left = self.below(total);
        for (index, &weight) in weights.iter().enumerate() {
            if left < u64::from(weight) {
                return index;
            }
            left -= u64::from(weight);
        }
        0
    }

    /// Fills `out`.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.generator.fill_bytes(out);
    }
}

#[cfg(test)]
mod tests {
    use super::Prng;

    #[test]
    fn streams_are_repeatable_and_independent() {
        let draw = |seed, label: &str| {
            let mut prng = Prng::stream(seed, label);
            (0..8).map(|_| prng.bits()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, "net/0-1"), draw(7, "net/0-1"));
        assert_ne!(draw(7, "net/0-1"), draw(7, "net/1-0"));
        assert_ne!(draw(7, "net/0-1"), draw(8, "net/0-1"));
    }

    #[test]
    fn ranges_are_kept_and_reached() {
        let mut prng = Prng::stream(1, "ranges");
        let drawn: std::collections::BTreeSet<u64> = (0..200).map(|_| prng.between(3, 6)).collect();
        assert_eq!(drawn, (3..=6).collect());
        assert_eq!(prng.below(0), 0);
        assert_eq!((0..50).map(|_| prng.weighted(&[0, 3, 0])).max(), Some(1));
        assert!(!(0..1_000).any(|_| prng.per_mille(0)));
        assert!((0..1_000).all(|_| prng.per_mille(1_000)));
    }
}

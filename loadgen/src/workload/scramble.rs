//! A permutation of `0..n`, so that the popular ranks of a law lie anywhere among the keys, each of them once.
//!
//! YCSB hashes the rank and takes the remainder, which makes some keys out of several ranks and others out of none; then
//! the frequencies are not Zipf's any more. Here:
//!
//! 1. Rounds of invertible steps (add, multiply by an odd number, xor with the own high bits) permute the smallest power
//!    of two that holds `n`.
//! 2. A result at or above `n` goes through again until it is below: *cycle walking*, less than two rounds on average.
//!
//! Source: Black and Rogaway, "Ciphers with arbitrary finite domains", 2002, for the cycle walking.

/// Odd multipliers with well mixed bits, one per round.
const MULTIPLIERS: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];

/// The permutation for one `n`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scramble {
    end: u64,
    bits: u32,
}

impl Scramble {
    /// The permutation of `0..end`.
    pub(super) fn new(end: u64) -> Self {
        assert!(end > 0, "something to permute");
        let bits = u64::BITS - (end - 1).leading_zeros();
        Self { end, bits: bits.max(1) }
    }

    /// Where `index` goes.
    pub(super) fn apply(&self, index: u64) -> u64 {
        assert!(index < self.end, "{index} is not below {}", self.end);
        let mut at = self.round(index);
        while at >= self.end {
            at = self.round(at);
        }
        at
    }

    fn round(&self, index: u64) -> u64 {
        let mask = u64::MAX >> (u64::BITS - self.bits);
        let shift = self.bits.div_ceil(2);
        let mut value = index;
        for multiplier in MULTIPLIERS {
            value = value.wrapping_add(multiplier >> 7).wrapping_mul(multiplier | 1) & mask;
            value ^= value >> shift;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::Scramble;

    #[test]
    fn every_index_is_reached_once() {
        for end in [1, 2, 3, 7, 8, 9, 100, 1_000, 1_023, 1_024, 1_025, 50_000] {
            let scramble = Scramble::new(end);
            let mut seen = vec![false; usize::try_from(end).unwrap()];
            for index in 0..end {
                let at = usize::try_from(scramble.apply(index)).unwrap();
                assert!(!std::mem::replace(&mut seen[at], true), "{at} of {end} twice");
            }
        }
    }

    #[test]
    fn neighbours_are_parted() {
        let scramble = Scramble::new(1_000_000);
        let places: Vec<u64> = (0..1_000).map(|index| scramble.apply(index)).collect();
        let low = places.iter().filter(|place| **place < 500_000).count();
        assert!((400..600).contains(&low), "{low} of the first 1000 ranks are in the lower half");
    }

    #[test]
    fn large_domains_work() {
        for end in [u64::MAX, 1 << 63, (1 << 40) + 1] {
            assert!(Scramble::new(end).apply(end - 1) < end);
        }
    }
}

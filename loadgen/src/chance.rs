//! Chance: one seeded generator per stream of draws.
//!
//! Every stream is named by the seed of the run, the process and a purpose, so that a run with the same seed makes the
//! same requests, whatever the other processes do.
//!
//! Source: O'Neill, "PCG", 2014 (`rand_pcg`).

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Chance(Pcg64);

/// 2^-53: the distance of neighbouring doubles just below 1.
const ULP: f64 = 1.0 / (1u64 << 53) as f64;

impl Chance {
    /// The stream called `purpose` of process `agent`.
    pub(crate) fn new(seed: u64, agent: u64, purpose: u64) -> Self {
        let mixed = mix(mix(seed).wrapping_add(mix(agent ^ (purpose << 32))));
        Self(Pcg64::seed_from_u64(mixed))
    }

    /// Any number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// From 0, included, to 1, excluded; uniform.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 * ULP
    }

    /// From 0 to `end`, excluded; uniform. 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The high half of the product (Lemire, 2019); its bias is below end / 2^64.
        let product = u128::from(self.draw()) * u128::from(end);
        u64::try_from(product >> 64).unwrap_or(0)
    }
}

/// SplitMix64's finaliser: every bit depends on every other one, and no two numbers become one.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

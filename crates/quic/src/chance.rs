//! Chance from a seed: SplitMix64.
//!
//! For what must be repeatable and need not be secret: losses of emulated links, connection ids under foreign
//! surroundings. Keys never come from here.
//!
//! Invariant: the same seed and the same order of questions give the same numbers.
//!
//! Source: Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014.

use std::sync::atomic::{AtomicU64, Ordering};

/// The golden ratio, in 64 bits.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of numbers.
#[derive(Debug)]
pub(crate) struct Chance {
    state: AtomicU64,
}

impl Chance {
    /// The stream of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    /// The next number: a counter by the golden ratio, mixed.
    pub(crate) fn draw(&self) -> u64 {
        mix(self.state.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN))
    }
}

/// Spreads the bits of `state`; neighbours get nothing in common.
pub(crate) fn mix(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

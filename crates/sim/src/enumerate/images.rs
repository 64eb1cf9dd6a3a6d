//! Which images of a crash point are built.
//!
//! Pure: from the list of unsynced items to the survivals to try.
//!
//! 1. Few items: all legal subsets.
//! 2. Many: nothing, everything, each item alone, each item missing, and subsets by chance up to the bound.
//! 3. In either case some subsets by chance in which files end at a length that they had in between.
//!
//! Invariant: every survival handed out is legal.

use crate::disk::{Survival, Unsynced};
use crate::prng::Prng;

/// How thoroughly a crash point is tried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    /// Up to this many items all subsets are tried.
    pub(super) items_exhaustive_max: usize,
    /// Images of a crash point with more items.
    pub(super) samples: usize,
    /// Subsets with lengths in between.
    pub(super) cuts: usize,
}

/// Crashes of the workload: at most 2^12 = 4 096 subsets.
pub(super) const FIRST: Depth = Depth { items_exhaustive_max: 12, samples: 256, cuts: 8 };

/// Crashes of a recovery: there are about twenty crash points in each, so fewer images of each.
pub(super) const SECOND: Depth = Depth { items_exhaustive_max: 4, samples: 16, cuts: 2 };

/// Calls `each` with the survivals to try.
pub(super) fn for_each_survival(
    unsynced: &Unsynced,
    depth: Depth,
    prng: &mut Prng,
    mut each: impl FnMut(&Survival),
) {
    let items = unsynced.len();
    let mut given = 0;
    if items <= depth.items_exhaustive_max {
        for mask in 0..1u64 << items {
            if unsynced.is_legal(|item| mask >> item & 1 == 1) {
                each(&Survival::of_mask(mask, items));
            }
        }
    } else {
        let mut sample = |survival: Survival| {
            if given < depth.samples {
                each(&survival.made_legal(unsynced));
                given += 1;
            }
        };
        sample(Survival::nothing(items));
        sample(Survival::everything(items));
        for item in 0..items {
            sample(Survival::only(items, item));
            sample(Survival::all_but(items, item));
        }
        for _ in 0..depth.samples.saturating_sub(2 + 2 * items) {
            sample(Survival::by_chance(unsynced, per_mille(prng), prng));
        }
    }
    if unsynced.has_lengths() {
        for _ in 0..depth.cuts {
            let survival = Survival::by_chance(unsynced, per_mille(prng), prng);
            each(&survival.made_legal(unsynced));
        }
    }
}

/// From one item in five to four in five.
fn per_mille(prng: &mut Prng) -> u32 {
    100 * u32::try_from(prng.between(2, 8)).unwrap_or(5)
}

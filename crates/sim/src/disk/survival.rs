//! [`Survival`]: which unsynced items a crash keeps.
//!
//! Drawn here for simulated crashes; the crash enumerator counts through all of them.
//!
//! Uniform choices would hardly ever lose everything or nothing, and those are the crashes that happen most; so the
//! draw first picks a kind: nothing survives, everything, one item only, all but one, or each by a drawn chance.
//!
//! Invariant: a drawn survival is legal: no change of a name without those that it builds on.

use std::collections::BTreeMap;

use crate::prng::Prng;

use super::names::FileNumber;
use super::volume::Unsynced;

/// How often each kind is drawn: nothing, everything, one only, all but one, each by chance.
const WEIGHTS: [u32; 5] = [3, 2, 2, 2, 6];

/// A file whose length is not synced ends at one that it had in between in this many of 1 000 cases.
const CUT_PER_MILLE: u32 = 250;

/// The fate of each item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survival {
    kept: Vec<bool>,
    cuts: BTreeMap<FileNumber, u64>,
}

impl Survival {
    /// The items whose bit is set in `mask` survive.
    pub(crate) fn of_mask(mask: u64, items: usize) -> Self {
        let kept = (0..items).map(|item| item < 64 && mask >> item & 1 == 1).collect();
        Self { kept, cuts: BTreeMap::new() }
    }

    /// No item survives.
    pub(crate) fn nothing(items: usize) -> Self {
        Self { kept: vec![false; items], cuts: BTreeMap::new() }
    }

    /// Every item survives.
    pub(crate) fn everything(items: usize) -> Self {
        Self { kept: vec![true; items], cuts: BTreeMap::new() }
    }

    /// Only the item at `index` survives.
    pub(crate) fn only(items: usize, index: usize) -> Self {
        Self::nothing(items).flipped(index)
    }

    /// Every item survives but the one at `index`.
    pub(crate) fn all_but(items: usize, index: usize) -> Self {
        Self::everything(items).flipped(index)
    }

    /// Each item survives in `per_mille` of 1 000 cases, and lengths may be those in between.
    pub(crate) fn by_chance(unsynced: &Unsynced, per_mille: u32, prng: &mut Prng) -> Self {
        let kept = (0..unsynced.len()).map(|_| prng.per_mille(per_mille)).collect();
        let mut cuts = BTreeMap::new();
        for (file, lengths) in &unsynced.lengths {
            if prng.per_mille(CUT_PER_MILLE)
                && let Some(span) = prng.pick(&lengths.spans)
            {
                cuts.insert(*file, prng.between(span.low, span.high));
            }
        }
        Self { kept, cuts }
    }

    /// A legal one, with the bias described above.
    pub(crate) fn draw(unsynced: &Unsynced, prng: &mut Prng) -> Self {
        let items = unsynced.len();
        let survival = match prng.weighted(&WEIGHTS) {
            0 => Self::nothing(items),
            1 => Self::everything(items),
            2 => Self::only(items, prng.index(items)),
            3 => Self::all_but(items, prng.index(items)),
            _ => {
                let per_mille = 100 * u32::try_from(prng.between(1, 9)).unwrap_or(5);
                Self::by_chance(unsynced, per_mille, prng)
            }
        };
        survival.made_legal(unsynced)
    }

    /// Loses every change of a name that builds on a lost one.
    pub(crate) fn made_legal(mut self, unsynced: &Unsynced) -> Self {
        for (first, second) in unsynced.dependencies() {
            if !self.keeps(*first)
                && let Some(kept) = self.kept.get_mut(*second)
            {
                *kept = false;
            }
        }
        debug_assert!(unsynced.is_legal(|item| self.keeps(item)));
        self
    }

    /// Whether an item survives.
    pub(crate) fn keeps(&self, item: usize) -> bool {
        self.kept.get(item) == Some(&true)
    }

    /// Where `file` ends, if the fate of its length does not say so.
    pub(super) fn cut_of(&self, file: FileNumber) -> Option<u64> {
        self.cuts.get(&file).copied()
    }

    pub(super) fn cuts(&self) -> impl Iterator<Item = (FileNumber, u64)> {
        self.cuts.iter().map(|(file, len)| (*file, *len))
    }

    fn flipped(mut self, index: usize) -> Self {
        if let Some(kept) = self.kept.get_mut(index) {
            *kept = !*kept;
        }
        self
    }
}

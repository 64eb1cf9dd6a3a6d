//! The entries of a record, in order of incarnation.
//!
//! Almost every record names one incarnation and holds one cell: both stand in the record itself, so that decoding one
//! allocates nothing.
//!
//! Cost: finding is logarithmic. Adding one moves what stands behind it, so many are added at once ([`Entries::add`]).

use smallvec::SmallVec;

use super::Entry;
use crate::ids::Incarnation;

/// Entries by incarnation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entries {
    /// Sorted; no incarnation twice.
    sorted: SmallVec<[(Incarnation, Entry); 1]>,
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Incarnation, &Entry)> + '_ {
        self.sorted.iter().map(|(incarnation, entry)| (*incarnation, entry))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Incarnation, &mut Entry)> + '_ {
        self.sorted.iter_mut().map(|(incarnation, entry)| (*incarnation, entry))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Entry> + '_ {
        self.sorted.iter().map(|(_, entry)| entry)
    }

    pub(super) fn get(&self, incarnation: Incarnation) -> Option<&Entry> {
        let index = self.position(incarnation).ok()?;
        self.sorted.get(index).map(|(_, entry)| entry)
    }

    /// Adds an entry without floor and cells for each of `incarnations`, which differ, that has none: one sort for all of them.
    pub(super) fn add(&mut self, incarnations: impl Iterator<Item = Incarnation>) {
        let known = self.sorted.len();
        for incarnation in incarnations {
            let before = self.sorted.get(..known).unwrap_or_default();
            if before.binary_search_by_key(&incarnation, |(other, _)| *other).is_err() {
                self.sorted.push((incarnation, Entry::default()));
            }
        }
        if self.sorted.len() > known {
            self.sorted.sort_by_key(|(incarnation, _)| *incarnation);
        }
        debug_assert!(self.sorted.is_sorted_by(|(a, _), (b, _)| a < b), "no incarnation twice");
    }

    /// The entry of `incarnation`: a new one without floor and cells, if there was none.
    #[expect(
        clippy::indexing_slicing,
        reason = "the position was found, or made, in the line before"
    )]
    pub(super) fn of(&mut self, incarnation: Incarnation) -> &mut Entry {
        let index = self.position(incarnation).unwrap_or_else(|index| {
            self.sorted.insert(index, (incarnation, Entry::default()));
            index
        });
        let (_, entry) = &mut self.sorted[index];
        entry
    }

    /// Adds an entry behind all others; false, and nothing is added, if it does not belong there.
    pub(super) fn push(&mut self, incarnation: Incarnation, entry: Entry) -> bool {
        let belongs = self.sorted.last().is_none_or(|(last, _)| *last < incarnation);
        if belongs {
            self.sorted.push((incarnation, entry));
        }
        belongs
    }

    pub(super) fn clear(&mut self) {
        self.sorted.clear();
    }

    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&Entry) -> bool) {
        self.sorted.retain(|(_, entry)| keeps(entry));
    }

    /// Where `incarnation` stands, or would.
    fn position(&self, incarnation: Incarnation) -> Result<usize, usize> {
        self.sorted.binary_search_by_key(&incarnation, |(other, _)| *other)
    }
}

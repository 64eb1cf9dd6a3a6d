//! Insertions that have ended in a row, so that `latest` draws no key whose insertion is still under way.
//!
//! One that failed has ended, too: a get may then find nothing, which is counted as missing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Insertions of one process.
#[derive(Debug, Default)]
pub(crate) struct Insertions {
    in_a_row: AtomicU64,
    /// Those that have ended beyond the row; as many as are under way, at most.
    beyond: Mutex<BTreeSet<u64>>,
}

impl Insertions {
    /// How many have ended, counted from the first without a gap.
    pub(crate) fn ended(&self) -> u64 {
        self.in_a_row.load(Ordering::Relaxed)
    }

    /// Notes the end of insertion `number`.
    pub(crate) fn note_end(&self, number: u64) {
        let mut beyond = self.beyond.lock();
        beyond.insert(number);
        let mut row = self.in_a_row.load(Ordering::Relaxed);
        while beyond.remove(&row) {
            row += 1;
        }
        self.in_a_row.store(row, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Insertions;

    #[test]
    fn gaps_hold_back_what_is_behind_them() {
        let insertions = Insertions::default();
        for (end, row) in [(1, 0), (2, 0), (0, 3), (4, 3), (3, 5)] {
            insertions.note_end(end);
            assert_eq!(insertions.ended(), row, "after the end of {end}");
        }
    }
}

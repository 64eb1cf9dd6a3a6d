//! When each leaf may hold something that is dead: deleted, or expired.
//!
//! Noted by the stripes with every write, taken by `src/purge`, which looks through the leaf then. Leaves are those of the Merkle
//! trees: some keys each, which lie together.
//!
//! Invariants
//! - A leaf is due no later than the first of its records is dead; in the beginning all are due, because nobody has looked.
//! - It is noted after the write can be read: whoever takes it and then looks, sees the write.

use std::sync::atomic::{AtomicU64, Ordering};

use atoll_protocol::merkle::{LEAVES, Leaf};
use atoll_protocol::record::{CellBody, Record};
use atoll_protocol::time::WallTime;
use atoll_protocol::token::{Partition, Partitions, Token};

/// Nothing is dead, nor will be.
const NEVER: u64 = u64::MAX;

/// Microseconds of the wall clock per leaf: 2 KiB for each partition.
#[derive(Debug)]
pub struct DeletionMarks {
    partitions: Partitions,
    due: Box<[AtomicU64]>,
}

impl DeletionMarks {
    /// All due at once.
    pub fn new(partitions: Partitions) -> Self {
        let count = partitions.count() as usize * LEAVES;
        Self { partitions, due: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }

    /// The leaf of `token` may hold something dead from `at` on.
    pub fn note(&self, token: Token, at: WallTime) {
        let partition = self.partitions.partition_of(token);
        self.note_leaf(partition, Leaf::of(token, self.partitions), at);
    }

    /// The same of a leaf.
    pub fn note_leaf(&self, partition: Partition, leaf: Leaf, at: WallTime) {
        if let Some(due) = self.of(partition).get(usize::from(leaf.0)) {
            due.fetch_min(at.as_micros(), Ordering::AcqRel);
        }
    }

    /// The leaves of `partition` that are due at `now`, in order. Whoever asks looks through them now, and notes what is still
    /// to come.
    pub fn take(&self, partition: Partition, now: WallTime) -> Vec<Leaf> {
        let is_due = |leaf: &Leaf| {
            let due = self.of(partition).get(usize::from(leaf.0));
            due.is_some_and(|due| {
                let is_due = due.load(Ordering::Acquire) <= now.as_micros();
                if is_due {
                    due.store(NEVER, Ordering::Release);
                }
                is_due
            })
        };
        Leaf::all().filter(is_due).collect()
    }

    fn of(&self, partition: Partition) -> &[AtomicU64] {
        let start = partition.0 as usize * LEAVES;
        self.due.get(start..start + LEAVES).unwrap_or_default()
    }
}

/// When something of `record` is dead; `None` for never.
pub(super) fn dead_from(record: &Record) -> Option<WallTime> {
    let from = record.cells().filter_map(|(_, cell)| match cell.body {
        CellBody::Tombstone => Some(WallTime::from_micros(0)),
        CellBody::Value(_) => cell.expires_at,
    });
    from.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_note_counts_until_it_is_taken() {
        let marks = DeletionMarks::new(Partitions::new(4).unwrap());
        let at = WallTime::from_micros;
        let (here, late) = (Partition(1), at(u64::MAX - 1));
        assert_eq!(marks.take(here, at(0)).len(), LEAVES, "nobody has looked");
        assert_eq!(marks.take(here, late), []);
        let token = |leaf: u64| Token(1 << 62 | leaf << 54 | 77);
        marks.note(token(200), at(50));
        marks.note_leaf(here, Leaf(200), at(70));
        marks.note(token(3), at(60));
        assert_eq!(marks.take(here, at(49)), []);
        assert_eq!(marks.take(here, at(50)), [Leaf(200)]);
        assert_eq!(marks.take(here, late), [Leaf(3)], "taken once");
        assert_eq!(marks.take(Partition(2), at(0)).len(), LEAVES);
        assert_eq!(marks.take(Partition(4), late), [], "there is no such partition");
    }
}

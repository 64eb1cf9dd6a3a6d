//! Which leaves were written since they were last hashed: one bit per leaf and partition.
//!
//! Set by the stripes after every write, taken by `src/repair` when it brings a tree up to date.
//!
//! Invariants
//! - A bit is set after the write can be read and before it is acknowledged: whoever takes the bit and then reads,
//!   reads the write.
//! - In the beginning all are set: what the disk holds was never hashed.

use std::sync::atomic::{AtomicU64, Ordering};

use atoll_protocol::merkle::{LEAVES, Leaf};
use atoll_protocol::token::{Partition, Partitions, Token};

/// Leaves whose marks share one word.
const WORD_BITS: usize = u64::BITS as usize;

/// Words of one partition.
const WORDS: usize = LEAVES / WORD_BITS;

/// The marks of all partitions: 32 bytes each.
#[derive(Debug)]
pub struct LeafMarks {
    partitions: Partitions,
    words: Box<[AtomicU64]>,
}

impl LeafMarks {
    /// All leaves marked.
    pub fn new(partitions: Partitions) -> Self {
        let count = partitions.count() as usize * WORDS;
        Self { partitions, words: (0..count).map(|_| AtomicU64::new(u64::MAX)).collect() }
    }

    /// Marks the leaf of `token`.
    pub fn mark(&self, token: Token) {
        let leaf = usize::from(Leaf::of(token, self.partitions).0);
        let (word, bit) = (leaf / WORD_BITS, leaf % WORD_BITS);
        if let Some(word) = self.words_of(self.partitions.partition_of(token)).get(word) {
            word.fetch_or(1 << bit, Ordering::AcqRel);
        }
    }

    /// Marks every leaf of `partition`.
    pub fn mark_all(&self, partition: Partition) {
        self.words_of(partition).iter().for_each(|word| word.store(u64::MAX, Ordering::Release));
    }

    /// Whether a leaf of `partition` is marked.
    pub fn has_any(&self, partition: Partition) -> bool {
        self.words_of(partition).iter().any(|word| word.load(Ordering::Acquire) != 0)
    }

    /// The marked leaves of `partition`, in order; they are not marked any more.
    pub fn take(&self, partition: Partition) -> Vec<Leaf> {
        let taken: Vec<u64> =
            self.words_of(partition).iter().map(|word| word.swap(0, Ordering::AcqRel)).collect();
        let is_marked = |leaf: &Leaf| {
            let (word, bit) = (usize::from(leaf.0) / WORD_BITS, usize::from(leaf.0) % WORD_BITS);
            taken.get(word).is_some_and(|word| word & (1 << bit) != 0)
        };
        Leaf::all().filter(is_marked).collect()
    }

    fn words_of(&self, partition: Partition) -> &[AtomicU64] {
        let start = partition.0 as usize * WORDS;
        self.words.get(start..start + WORDS).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_once_and_by_partition() {
        let partitions = Partitions::new(4).unwrap();
        let marks = LeafMarks::new(partitions);
        let all: Vec<Leaf> = Leaf::all().collect();
        assert_eq!(marks.take(Partition(3)), all);
        assert_eq!(marks.take(Partition(3)), []);
        assert!(marks.has_any(Partition(2)) && !marks.has_any(Partition(3)));
        let token = |partition: u64, leaf: u64| Token(partition << 62 | leaf << 54 | 77);
        for leaf in [200, 3, 64, 3] {
            marks.mark(token(3, leaf));
        }
        assert_eq!(marks.take(Partition(2)), all, "another partition's marks are its own");
        assert_eq!(marks.take(Partition(3)), [3, 64, 200].map(Leaf));
        marks.mark_all(Partition(3));
        assert_eq!(marks.take(Partition(3)), all);
        assert_eq!(marks.take(Partition(4)), [], "there is no such partition");
    }
}

//! [`DroppedRange`]: a range of keys that was given up as a whole.
//!
//! A partition that has moved to another node is dropped with one edit of the manifest, whatever it holds.
//!
//! 1. Entries of the range up to the drop's sequence number count as absent, in memtables and tables alike.
//! 2. Tables that lie in the range are removed by the same edit; others lose those entries when they are rewritten.
//! 3. The drop is retired when nothing older than it is left that could hold such entries.
//!
//! Invariant: files with ids above the drop's were written by who knew of it.

use bytes::Bytes;

/// A dropped range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DroppedRange {
    /// Minted when it was dropped, from the same counter as ids of files.
    pub(crate) id: u64,
    /// The first key.
    pub(crate) start: Bytes,
    /// The first key behind it.
    pub(crate) end: Bytes,
    /// The last sequence number that is dropped.
    pub(crate) sequence: u64,
}

impl DroppedRange {
    /// Whether all keys from `first` to `last`, inclusive, are in it.
    pub(crate) fn covers(&self, first: &[u8], last: &[u8]) -> bool {
        self.start <= first && last < self.end
    }
}

/// The sequence number up to which `key` was dropped; 0 if it was not.
pub(crate) fn floor_of(dropped: &[DroppedRange], key: &[u8]) -> u64 {
    let covering = dropped.iter().filter(|range| range.covers(key, key));
    covering.map(|range| range.sequence).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{DroppedRange, floor_of};

    #[test]
    fn the_latest_drop_of_a_key_counts() {
        let range = |start: &'static str, end: &'static str, sequence| DroppedRange {
            id: sequence,
            start: Bytes::from(start),
            end: Bytes::from(end),
            sequence,
        };
        let dropped = [range("b", "d", 7), range("c", "f", 9)];
        let floors = ["a", "b", "c", "d", "ezz", "f"].map(|key| floor_of(&dropped, key.as_bytes()));
        assert_eq!(floors, [0, 7, 9, 9, 9, 0]);
        assert_eq!(floor_of(&[], b"k"), 0);
    }
}

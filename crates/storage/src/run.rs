//! Runs and their merge: many sorted sources seen as one.
//!
//! Scans and compaction give their sources newest first; each step yields one key with everything stored for it.
//!
//! 1. Every source keeps its next entry at hand.
//! 2. The smallest of those keys is taken; on equal keys the newest source goes first.
//! 3. All entries of that key are pushed on one [`Stack`], until it is settled; the older ones are skipped.
//!
//! Invariants
//! - Sources are given newest first: an entry of an earlier source is newer than any of the same key in a later one.
//! - Keys come out strictly ascending.
//! - The first error ends the merge.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;

use crate::entry::KeyedEntry;
use crate::error::Error;
use crate::fold::Stack;

/// A sorted source of entries.
pub(crate) type Run = Box<dyn Iterator<Item = Result<KeyedEntry, Error>> + Send>;

/// Several runs as one.
pub(crate) struct MergedRuns {
    runs: Vec<Run>,
    /// The next entry of each run that has one; the smallest key, then the newest run, on top.
    heads: BinaryHeap<Reverse<Head>>,
}

struct Head {
    key: Bytes,
    /// Position among the runs: lower is newer.
    rank: usize,
    entry: KeyedEntry,
}

impl Head {
    fn order(&self) -> (&Bytes, usize) {
        (&self.key, self.rank)
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Head) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl MergedRuns {
    /// Merges `runs`, newest first.
    pub(crate) fn new(runs: Vec<Run>) -> Result<MergedRuns, Error> {
        let mut merged = MergedRuns { heads: BinaryHeap::with_capacity(runs.len()), runs };
        for rank in 0..merged.runs.len() {
            merged.refill(rank)?;
        }
        Ok(merged)
    }

    /// The key that [`next_key`](MergedRuns::next_key) will yield.
    pub(crate) fn peek_key(&self) -> Option<&Bytes> {
        self.heads.peek().map(|Reverse(head)| &head.key)
    }

    /// Moves to the next key, puts its entries on `stack` (emptied first) and returns it with their encoded bytes.
    pub(crate) fn next_key(&mut self, stack: &mut Stack) -> Result<Option<(Bytes, u64)>, Error> {
        stack.clear();
        let Some(key) = self.peek_key().cloned() else {
            return Ok(None);
        };
        let mut taken_bytes = 0;
        while self.peek_key() == Some(&key) {
            let Some(Reverse(head)) = self.heads.pop() else {
                break;
            };
            let KeyedEntry { key, entry } = head.entry;
            taken_bytes += (key.len() + entry.value.payload().len()) as u64;
            if !stack.is_settled() {
                stack.push(entry);
            }
            self.refill(head.rank)?;
        }
        assert!(!stack.is_empty(), "a key comes with an entry");
        debug_assert!(self.peek_key().is_none_or(|next| *next > key), "keys ascend");
        Ok(Some((key, taken_bytes)))
    }

    fn refill(&mut self, rank: usize) -> Result<(), Error> {
        if let Some(next) = self.runs.get_mut(rank).and_then(Iterator::next) {
            let entry = next?;
            self.heads.push(Reverse(Head { key: entry.key.clone(), rank, entry }));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{MergedRuns, Run};
    use crate::entry::{Entry, KeyedEntry, Value};
    use crate::fold::Stack;

    fn run(entries: &[(&'static str, u64, Value)]) -> Run {
        let keyed = |(key, sequence, value): &(&'static str, u64, Value)| {
            let entry = Entry { sequence: *sequence, value: value.clone() };
            Ok(KeyedEntry { key: Bytes::from_static(key.as_bytes()), entry })
        };
        Box::new(entries.iter().map(keyed).collect::<Vec<_>>().into_iter())
    }

    #[test]
    fn keys_ascend_and_entries_go_newest_first_down_to_the_base() {
        let operand = Value::Merge(Bytes::from_static(b"+"));
        let put = Value::Put(Bytes::from_static(b"="));
        let newer =
            run(&[("b", 9, operand.clone()), ("b", 8, operand.clone()), ("d", 7, put.clone())]);
        let older = run(&[("a", 1, put.clone()), ("b", 3, put.clone()), ("b", 2, operand)]);
        let mut merged = MergedRuns::new(vec![newer, older]).unwrap();
        let mut stack = Stack::default();
        let mut seen = Vec::new();
        while let Some((key, _bytes)) = merged.next_key(&mut stack).unwrap() {
            seen.push((key, format!("{stack:?}").matches("sequence").count()));
        }
        let expected = [("a", 1), ("b", 3), ("d", 1)];
        assert_eq!(seen, expected.map(|(key, count)| (Bytes::from(key), count)));
    }
}

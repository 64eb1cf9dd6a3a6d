//! [`MemtableCursor`]: walks a memtable in key order, newest entry of a key first.
//!
//! Shards are ranges of keys, so that walking them one after the other walks the keys in order. A few keys are copied
//! each time the lock is taken.
//!
//! Invariant: no lock is held between calls.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::entry::Entry;

use super::chain::visible;
use super::key::{KeyView, Probe};
use super::{Memtable, SHARDS, shard_of};

/// Keys a cursor copies per lock acquisition: long enough to amortise the lock, short enough not to stall the writer.
pub(super) const CURSOR_KEYS_MAX: usize = 128;

/// Iterates over a memtable; stands at an entry until it is taken.
pub(crate) struct MemtableCursor {
    memtable: Arc<Memtable>,
    shard: usize,
    /// Where to go on in the shard.
    from: Bound<Bytes>,
    end: Option<Bytes>,
    sequence: u64,
    ready: VecDeque<(Bytes, Entry)>,
}

impl MemtableCursor {
    pub(super) fn new(
        memtable: Arc<Memtable>,
        start: &[u8],
        end: Option<&[u8]>,
        sequence: u64,
    ) -> MemtableCursor {
        let mut cursor = MemtableCursor {
            memtable,
            shard: shard_of(start),
            from: Bound::Included(Bytes::copy_from_slice(start)),
            end: end.map(Bytes::copy_from_slice),
            sequence,
            ready: VecDeque::new(),
        };
        cursor.refill();
        cursor
    }

    /// The key of the entry it stands at; `None` at the end.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.ready.front().map(|(key, _)| key.as_ref())
    }

    /// Takes that entry and moves on.
    pub(crate) fn take(&mut self) -> Option<Entry> {
        let (_, entry) = self.ready.pop_front()?;
        if self.ready.is_empty() {
            self.refill();
        }
        Some(entry)
    }

    fn refill(&mut self) {
        while self.ready.is_empty() && self.shard < SHARDS {
            if let Some(last) = self.copy_from_shard() {
                self.from = Bound::Excluded(last);
            } else {
                self.shard += 1;
                self.from = Bound::Unbounded;
            }
        }
    }

    /// Copies the next keys of the shard; returns the last one, or `None` if there may be none behind.
    fn copy_from_shard(&mut self) -> Option<Bytes> {
        let chains = self.memtable.shards.get(self.shard)?.read();
        if let (Bound::Included(start) | Bound::Excluded(start), Some(end)) =
            (&self.from, &self.end)
            && start >= end
        {
            return None; // BTreeMap::range refuses an empty range
        }
        let from = self.from.as_ref().map(|key| Probe::new(key));
        let end =
            self.end.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(Probe::new(key)));
        let bounds = (from.as_ref().map(Probe::view), end.as_ref().map(Probe::view));
        let range = chains.range::<dyn KeyView + '_, _>(bounds);
        let mut last = None;
        for (copied, (key, chain)) in range.enumerate() {
            if copied == CURSOR_KEYS_MAX {
                return last;
            }
            let entries = visible(chain, self.sequence);
            self.ready.extend(entries.map(|entry| (key.bytes().clone(), entry)));
            last = Some(key.bytes().clone());
        }
        if self.ready.is_empty() { None } else { last }
    }
}

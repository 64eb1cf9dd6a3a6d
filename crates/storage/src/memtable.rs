//! The memtable: the newest entries, in memory, in key order.
//!
//! The leader of a group commit inserts what the log has taken; reads look here first; flush turns a sealed memtable
//! into an SSTable. Each memtable belongs to exactly one log segment.
//!
//! 1. Each key has a *chain*: its entries, oldest first, only ever appended to.
//! 2. A reader at sequence number *s* ignores links newer than *s*; nothing is changed under it.
//! 3. Every [`CHAIN_FOLD_LENGTH`] operands the writer stores the join so far beside the link, so that a hot key costs
//!    a read a constant number of operands instead of all of them.
//!
//! Invariants
//! - Sequence numbers within a chain strictly rise.
//! - A group is inserted under one write lock; it becomes visible when the engine publishes its sequence number.
//! - A sealed memtable never changes (the engine keeps no path that would insert).

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::entry::{Entry, KeyedEntry, Value};
use crate::error::Error;
use crate::fold::{Floor, Fold, Stack};
use crate::merge::MergeOperator;

/// Operands after which a chain stores their join: a read joins at most 17, and joins cost 1/16 of a write each.
const CHAIN_FOLD_LENGTH: usize = 16;

/// Estimated bytes of tree node, chain and link per entry, on top of key and value.
const ENTRY_OVERHEAD_BYTES: u64 = 128;

/// Keys a cursor copies per lock acquisition: long enough to amortise the lock, short enough not to stall the writer.
const CURSOR_KEYS_MAX: usize = 128;

/// Entries of one log segment, by key.
pub(crate) struct Memtable {
    segment_id: u64,
    chains: RwLock<BTreeMap<Bytes, Vec<Link>>>,
    bytes: AtomicU64,
    sequence_last: AtomicU64,
}

struct Link {
    entry: Entry,
    /// The join of this entry and all older ones down to the base or the start of the chain.
    folded: Option<Value>,
}

impl Memtable {
    /// An empty memtable of log segment `segment_id`, whose first entry will follow `sequence_before`.
    pub(crate) fn new(segment_id: u64, sequence_before: u64) -> Memtable {
        Memtable {
            segment_id,
            chains: RwLock::new(BTreeMap::new()),
            bytes: AtomicU64::new(0),
            sequence_last: AtomicU64::new(sequence_before),
        }
    }

    /// Inserts operations with consecutive sequence numbers from `sequence_first`, under one lock.
    pub(crate) fn insert(
        &self,
        sequence_first: u64,
        operations: impl Iterator<Item = (Bytes, Value)>,
        merge: &dyn MergeOperator,
    ) {
        let mut chains = self.chains.write();
        assert!(sequence_first > self.sequence_last.load(Ordering::Relaxed), "sequences rise");
        let mut added_bytes = 0;
        let mut sequence_last = sequence_first - 1;
        for (key, value) in operations {
            sequence_last += 1;
            added_bytes += (key.len() + value.payload().len()) as u64 + ENTRY_OVERHEAD_BYTES;
            let entry = Entry { sequence: sequence_last, value };
            match chains.get_mut(&key) {
                Some(chain) => added_bytes += append(chain, &key, entry, merge),
                None => {
                    chains.insert(key, vec![Link { entry, folded: None }]);
                }
            }
        }
        self.bytes.fetch_add(added_bytes, Ordering::Relaxed);
        assert!(sequence_last >= sequence_first, "a group has an operation");
        self.sequence_last.store(sequence_last, Ordering::Relaxed);
    }

    /// Pushes the entries of `key` up to `sequence` on `stack`, newest first, until it is settled.
    pub(crate) fn gather(&self, key: &[u8], sequence: u64, stack: &mut Stack) {
        let chains = self.chains.read();
        if let Some(chain) = chains.get(key) {
            visible(chain, sequence).for_each(|entry| stack.push(entry));
        }
    }

    /// The log segment whose entries these are.
    pub(crate) fn segment_id(&self) -> u64 {
        self.segment_id
    }

    /// Estimated bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The newest sequence number inserted, or the one before the first.
    pub(crate) fn sequence_last(&self) -> u64 {
        self.sequence_last.load(Ordering::Relaxed)
    }

    /// Whether nothing was inserted.
    pub(crate) fn is_empty(&self) -> bool {
        self.chains.read().is_empty()
    }

    /// Entries up to `sequence` with keys from `start`, before `end`; copies a few keys per lock.
    pub(crate) fn cursor(
        self: &Arc<Memtable>,
        start: &[u8],
        end: Option<&[u8]>,
        sequence: u64,
    ) -> MemtableCursor {
        MemtableCursor {
            memtable: Arc::clone(self),
            next_from: Some(Bound::Included(Bytes::copy_from_slice(start))),
            end: end.map(Bytes::copy_from_slice),
            sequence,
            ready: VecDeque::new(),
        }
    }
}

/// Appends to a chain; returns the bytes of a stored join.
fn append(chain: &mut Vec<Link>, key: &[u8], entry: Entry, merge: &dyn MergeOperator) -> u64 {
    debug_assert!(chain.last().is_none_or(|link| link.entry.sequence < entry.sequence));
    let sequence = entry.sequence;
    let plain = |link: &&Link| link.folded.is_none() && !link.entry.value.is_base();
    let unfolded = chain.iter().rev().take_while(plain).count();
    chain.push(Link { entry, folded: None });
    if unfolded < CHAIN_FOLD_LENGTH {
        return 0;
    }
    let mut stack = Stack::default();
    visible(chain, sequence).for_each(|entry| stack.push(entry));
    let Fold::One(joined) = stack.fold(key, merge, Floor::Maybe) else {
        return 0;
    };
    let bytes = joined.value.payload().len() as u64;
    if let Some(link) = chain.last_mut() {
        link.folded = Some(joined.value);
    }
    bytes
}

/// The entries of a chain that a reader at `sequence` needs, newest first: down to a base or a stored join.
fn visible(chain: &[Link], sequence: u64) -> impl Iterator<Item = Entry> {
    let mut complete = false;
    let newest_first = chain.iter().rev().skip_while(move |link| link.entry.sequence > sequence);
    newest_first.map_while(move |link| {
        if complete {
            return None;
        }
        let value = link.folded.as_ref().unwrap_or(&link.entry.value).clone();
        complete = link.folded.is_some() || value.is_base();
        Some(Entry { sequence: link.entry.sequence, value })
    })
}

/// Iterates over a memtable in key order, newest entry of a key first.
pub(crate) struct MemtableCursor {
    memtable: Arc<Memtable>,
    /// `None` once the end was reached.
    next_from: Option<Bound<Bytes>>,
    end: Option<Bytes>,
    sequence: u64,
    ready: VecDeque<KeyedEntry>,
}

impl MemtableCursor {
    fn refill(&mut self, from: Bound<Bytes>) {
        let chains = self.memtable.chains.read();
        if let (Bound::Included(start) | Bound::Excluded(start), Some(end)) = (&from, &self.end)
            && start >= end
        {
            return; // BTreeMap::range refuses an empty range
        }
        let end = self.end.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let mut keys = 0;
        for (key, chain) in chains.range((from, end)) {
            let entries = visible(chain, self.sequence);
            self.ready.extend(entries.map(|entry| KeyedEntry { key: key.clone(), entry }));
            keys += 1;
            if keys == CURSOR_KEYS_MAX {
                self.next_from = Some(Bound::Excluded(key.clone()));
                return;
            }
        }
    }
}

impl Iterator for MemtableCursor {
    type Item = Result<KeyedEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            let from = self.next_from.take()?;
            self.refill(from);
        }
        self.ready.pop_front().map(Ok)
    }
}

#[cfg(test)]
mod tests;

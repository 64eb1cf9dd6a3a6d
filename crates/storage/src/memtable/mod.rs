//! The memtable: the newest entries, in memory, in key order.
//!
//! The leader of a group commit inserts what the log has taken; reads look here first; flush turns a sealed memtable
//! into an SSTable. Each memtable belongs to exactly one log segment, which becomes a value file when it is flushed.
//!
//! 1. Keys are dealt to shards by their first bits: small trees, and a lock that nobody waits for. Stored keys begin
//!    with a token, so that shards fill evenly (`docs/decisions/0006`: measured against a skiplist).
//! 2. Each key has a *chain* (`chain.rs`): its entries, oldest first, only ever appended to.
//! 3. A reader at sequence number *s* ignores links newer than *s*; nothing is changed under it.
//!
//! Invariants
//! - Sequence numbers within a chain strictly rise.
//! - A group becomes visible as a whole, when the engine publishes its last sequence number.
//! - A sealed memtable never changes (the engine keeps no path that would insert).

mod chain;

mod cursor;

mod key;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::dropped::{DroppedRange, floor_of};
use crate::entry::{Entry, Value};
use crate::error::Error;
use crate::fold::Stack;
use crate::merge::MergeOperator;

pub(crate) use cursor::MemtableCursor;

use chain::{Chain, append, push_visible};
use key::{MemtableKey, Probe};

/// Bits of a key's first byte that choose its shard: 64 shards of about 1 000 records each at 64 MiB of 1 KiB values.
const SHARD_BITS: u32 = 6;

/// Shards of a memtable.
const SHARDS: usize = 1 << SHARD_BITS;

/// Estimated bytes of tree node, chain and reference counts per entry, on top of key and value: 104 bytes at about 70 %
/// occupancy of the tree's nodes, and 40 for the allocation of the batch.
const ENTRY_OVERHEAD_BYTES: u64 = 192;

type Shard = RwLock<BTreeMap<MemtableKey, Chain>>;

/// Entries of one log segment, by key.
pub(crate) struct Memtable {
    segment_id: u64,
    shards: Box<[Shard]>,
    bytes: AtomicU64,
    sequence_last: AtomicU64,
}

impl Memtable {
    /// An empty memtable of log segment `segment_id`, whose first entry will follow `sequence_before`.
    pub(crate) fn new(segment_id: u64, sequence_before: u64) -> Memtable {
        Memtable {
            segment_id,
            shards: (0..SHARDS).map(|_| RwLock::new(BTreeMap::new())).collect(),
            bytes: AtomicU64::new(0),
            sequence_last: AtomicU64::new(sequence_before),
        }
    }

    /// Inserts operations with consecutive sequence numbers from `sequence_first`. One caller at a time.
    pub(crate) fn insert(
        &self,
        sequence_first: u64,
        operations: impl Iterator<Item = (Bytes, Value)>,
        merge: &dyn MergeOperator,
    ) {
        assert!(sequence_first > self.sequence_last.load(Ordering::Relaxed), "sequences rise");
        let mut added_bytes = 0;
        let mut sequence_last = sequence_first - 1;
        for (key, value) in operations {
            sequence_last += 1;
            added_bytes += key.len() as u64 + value.payload_bytes() + ENTRY_OVERHEAD_BYTES;
            let entry = Entry { sequence: sequence_last, value };
            let mut chains = self.shard(&key).write();
            match chains.get_mut(Probe::new(&key).view()) {
                Some(chain) => added_bytes += append(chain, &key, entry, merge),
                None => {
                    chains.insert(MemtableKey::new(key), Chain::One(entry));
                }
            }
        }
        self.bytes.fetch_add(added_bytes, Ordering::Relaxed);
        assert!(sequence_last >= sequence_first, "a group has an operation");
        self.sequence_last.store(sequence_last, Ordering::Relaxed);
    }

    /// Pushes the entries of `key` up to `sequence` on `stack`, newest first, until it is settled.
    pub(crate) fn gather(&self, key: &[u8], sequence: u64, stack: &mut Stack) {
        let chains = self.shard(key).read();
        if let Some(chain) = chains.get(Probe::new(key).view()) {
            push_visible(chain, sequence, stack);
        }
    }

    /// Hands every key, in order, to `each`, with its entries on the stack, newest first, without what was `dropped`.
    ///
    /// Holds the lock of a shard meanwhile: for a sealed memtable, which nobody writes to.
    pub(crate) fn walk(
        &self,
        dropped: &[DroppedRange],
        mut each: impl FnMut(&[u8], &mut Stack) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut stack = Stack::default();
        for shard in &self.shards {
            for (key, chain) in shard.read().iter() {
                stack.begin(floor_of(dropped, key.bytes()));
                push_visible(chain, u64::MAX, &mut stack);
                each(key.bytes(), &mut stack)?;
            }
        }
        Ok(())
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
        self.shards.iter().all(|shard| shard.read().is_empty())
    }

    /// Entries up to `sequence` with keys from `start`, before `end`; copies a few keys per lock.
    pub(crate) fn cursor(
        self: &Arc<Memtable>,
        start: &[u8],
        end: Option<&[u8]>,
        sequence: u64,
    ) -> MemtableCursor {
        MemtableCursor::new(Arc::clone(self), start, end, sequence)
    }

    fn shard(&self, key: &[u8]) -> &Shard {
        self.shards.get(shard_of(key)).expect("the first bits name a shard")
    }
}

/// The shard of a key; ascends with the key.
fn shard_of(key: &[u8]) -> usize {
    usize::from(key.first().copied().unwrap_or(0) >> (u8::BITS - SHARD_BITS))
}

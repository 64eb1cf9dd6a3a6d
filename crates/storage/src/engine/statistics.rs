//! Counters of an engine, for metrics and tests.
//!
//! Counted where things happen, with relaxed atomics; collected on demand by
//! [`Engine::statistics`](super::Engine::statistics).
//!
//! Invariant: counters only rise while the engine is open; sizes are of the moment they were read, each by itself.

use std::sync::atomic::{AtomicU64, Ordering};

use super::health::Status;

/// Numbers about one engine since it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Whether it serves.
    pub status: Status,
    /// Sequence number of the last visible write.
    pub sequence_visible: u64,
    /// Live tables.
    pub tables: u64,
    /// Live tables in level 0, each of which a read may visit.
    pub tables_l0: u64,
    /// Bytes of live tables.
    pub table_bytes: u64,
    /// Estimated bytes of all memtables.
    pub memtable_bytes: u64,
    /// Memtables waiting for a flush.
    pub memtables_sealed: u64,
    /// Bytes of the active log segment.
    pub wal_bytes: u64,
    /// Fsyncs of the log by groups and by [`Engine::sync`](super::Engine::sync).
    pub fsyncs: u64,
    /// Group commits.
    pub groups: u64,
    /// Operations written.
    pub entries: u64,
    /// Memtables flushed.
    pub flushes: u64,
    /// Units of compaction done.
    pub compactions: u64,
    /// Bytes of keys and values that compaction has taken from its inputs.
    pub compaction_bytes: u64,
    /// Keys that flush and compaction kept unjoined, because the merge operator failed.
    pub merge_failures: u64,
    /// Files that wait for a reader to let go before they are unlinked.
    pub removals_pending: u64,
    /// Bytes that recovery cut off as the torn tail of the log.
    pub torn_bytes: u64,
}

/// A number that only rises.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) fsyncs: Counter,
    pub(super) groups: Counter,
    pub(super) entries: Counter,
    pub(super) flushes: Counter,
    pub(super) compactions: Counter,
    pub(super) compaction_bytes: Counter,
    pub(super) merge_failures: Counter,
    pub(super) torn_bytes: Counter,
}

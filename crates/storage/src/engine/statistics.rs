//! Counters of an engine, for metrics and tests.
//!
//! Counted where things happen, with relaxed atomics; collected on demand by
//! [`Engine::statistics`](super::Engine::statistics).
//!
//! Invariant: counters only rise while the engine is open; sizes are of the moment they were read, each by itself.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::cache::CacheStatistics;
use crate::compaction::Counts;

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
    /// Tables and their bytes by level, from level 0.
    pub levels: Vec<LevelShape>,
    /// Ranges that were dropped and are not all gone from tables.
    pub dropped_ranges: u64,
    /// Value files: log segments that were flushed, and files of joined or relocated values.
    pub value_files: u64,
    /// Bytes of value files.
    pub value_file_bytes: u64,
    /// Bytes of values in them that tables point to; what newer tables hide is still counted.
    pub value_live_bytes: u64,
    /// Estimated bytes of all memtables.
    pub memtable_bytes: u64,
    /// Memtables waiting for a flush.
    pub memtables_sealed: u64,
    /// Bytes of the active log segment.
    pub wal_bytes: u64,
    /// Log segments that were prepared ahead: 0 or 1.
    pub spare_segments: u8,
    /// Fsyncs of the log by groups, by maintenance and by [`Engine::sync`](super::Engine::sync).
    pub fsyncs: u64,
    /// Group commits.
    pub groups: u64,
    /// Operations written.
    pub entries: u64,
    /// Bytes of batches written, as the log takes them: what write amplification is relative to.
    pub written_bytes: u64,
    /// Memtables flushed.
    pub flushes: u64,
    /// Bytes that flushes wrote.
    pub flushed_bytes: u64,
    /// Units of compaction done.
    pub compactions: u64,
    /// Pieces of them that threads other than their owner did.
    pub subcompactions: u64,
    /// Bytes of keys and values that compaction has taken from its inputs.
    pub compaction_bytes: u64,
    /// Bytes that compaction wrote.
    pub compacted_bytes: u64,
    /// Units of relocation done.
    pub relocations: u64,
    /// Tables written anew because they, or value files that they pointed into, are damaged.
    pub salvages: u64,
    /// Bytes that relocation wrote, tables included.
    pub relocated_bytes: u64,
    /// Times that a writer had to flush or compact before it could write.
    pub stalls: u64,
    /// Keys that flush and compaction kept unjoined, because the merge operator failed or a value is damaged.
    pub merge_failures: u64,
    /// Values that could not be relocated, because they are damaged.
    pub damaged_values: u64,
    /// Files that wait for a reader to let go before they are unlinked.
    pub removals_pending: u64,
    /// Bytes that recovery cut off as the torn tail of the log.
    pub torn_bytes: u64,
    /// What the cache holds and how often it helped.
    pub cache: CacheStatistics,
}

/// One level of the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelShape {
    /// Live tables.
    pub tables: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Statistics {
    /// Bytes written to disk per byte of batches: log, flush, compaction and relocation. 0 before anything was written.
    pub fn write_amplification(&self) -> f64 {
        let all =
            self.written_bytes + self.flushed_bytes + self.compacted_bytes + self.relocated_bytes;
        ratio(all, self.written_bytes)
    }

    /// Bytes of tables and value files per byte that is known to be alive. 0 for an empty store.
    pub fn space_amplification(&self) -> f64 {
        ratio(self.table_bytes + self.value_file_bytes, self.table_bytes + self.value_live_bytes)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people; 53 bits are 9 petabytes")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
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
    pub(super) written_bytes: Counter,
    pub(super) flushes: Counter,
    pub(super) flushed_bytes: Counter,
    pub(super) compactions: Counter,
    pub(super) subcompactions: Counter,
    pub(super) compaction_bytes: Counter,
    pub(super) compacted_bytes: Counter,
    pub(super) relocations: Counter,
    pub(super) salvages: Counter,
    pub(super) relocated_bytes: Counter,
    pub(super) stalls: Counter,
    pub(super) merge_failures: Counter,
    pub(super) damaged_values: Counter,
    pub(super) torn_bytes: Counter,
}

impl Counters {
    /// The counted part of the statistics.
    pub(super) fn collect(&self) -> Statistics {
        Statistics {
            status: Status::Open,
            sequence_visible: 0,
            tables: 0,
            tables_l0: 0,
            table_bytes: 0,
            levels: Vec::new(),
            dropped_ranges: 0,
            value_files: 0,
            value_file_bytes: 0,
            value_live_bytes: 0,
            memtable_bytes: 0,
            memtables_sealed: 0,
            wal_bytes: 0,
            spare_segments: 0,
            fsyncs: self.fsyncs.value(),
            groups: self.groups.value(),
            entries: self.entries.value(),
            written_bytes: self.written_bytes.value(),
            flushes: self.flushes.value(),
            flushed_bytes: self.flushed_bytes.value(),
            compactions: self.compactions.value(),
            subcompactions: self.subcompactions.value(),
            compaction_bytes: self.compaction_bytes.value(),
            compacted_bytes: self.compacted_bytes.value(),
            relocations: self.relocations.value(),
            salvages: self.salvages.value(),
            relocated_bytes: self.relocated_bytes.value(),
            stalls: self.stalls.value(),
            merge_failures: self.merge_failures.value(),
            damaged_values: self.damaged_values.value(),
            removals_pending: 0,
            torn_bytes: self.torn_bytes.value(),
            cache: CacheStatistics::default(),
        }
    }

    /// Counts what outputs could not do.
    pub(super) fn count_outputs(&self, counts: &Counts) {
        self.merge_failures.add(counts.unfolded_keys);
        self.damaged_values.add(counts.damaged_values);
    }
}

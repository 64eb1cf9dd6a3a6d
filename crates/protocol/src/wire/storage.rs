//! What nodes tell operators of their storage engines.
//!
//! Asked for apart from the status, which programs poll: this is for people who look into one thing.
//!
//! Invariants
//! - Counters rise from the start of the node's process; sizes are of the moment of the answer.
//! - The reports of [`NODES_MAX`](crate::limits::NODES_MAX) nodes fit one frame, as long as the writer keeps
//!   [`LEVELS_MAX`] and [`REASON_BYTES_MAX`].

use serde::{Deserialize, Serialize};

use crate::ids::Name;

/// Levels in a report: an engine that holds a petabyte has seven.
pub const LEVELS_MAX: usize = 8;

/// Longest reason for silence in a report, in bytes: a sentence.
pub const REASON_BYTES_MAX: usize = 256;

/// `reason` within [`REASON_BYTES_MAX`].
pub fn cut_reason(mut reason: String) -> String {
    let end = reason.floor_char_boundary(REASON_BYTES_MAX);
    reason.truncate(end);
    reason
}

/// The storage engine of one node, as the asked node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageReport {
    /// The node.
    pub node: Name,
    /// Its datacenter.
    pub dc: Name,
    /// What it says of its engine, or why it says nothing.
    pub told: Result<StorageStatus, String>,
}

/// An engine's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageStatus {
    /// Tables by level, from level 0.
    pub levels: Vec<FilesStatus>,
    /// Files of separated values.
    pub value_files: FilesStatus,
    /// Bytes of values in them that tables point to.
    pub value_live_bytes: u64,
    /// Estimated bytes of all memtables.
    pub memtable_bytes: u64,
    /// Memtables that wait for a flush.
    pub memtables_sealed: u64,
    /// Bytes of the active log segment.
    pub wal_bytes: u64,
    /// Operations written.
    pub entries: u64,
    /// Bytes of batches written, as the log takes them.
    pub written_bytes: u64,
    /// Group commits.
    pub groups: u64,
    /// Syncs of the log.
    pub fsyncs: u64,
    /// Memtables that became tables.
    pub flushes: WorkStatus,
    /// Units of tables merged downwards.
    pub compactions: WorkStatus,
    /// Units of values moved out of files that are mostly garbage.
    pub relocations: WorkStatus,
    /// Times that a writer had to flush or compact before it could write.
    pub stalls: u64,
    /// Keys that background work kept unjoined.
    pub merge_failures: u64,
    /// Values that could not be relocated, because they are damaged.
    pub damaged_values: u64,
    /// Files that wait for a reader to let go.
    pub removals_pending: u64,
    /// Bytes that recovery cut off as the torn tail of the log.
    pub torn_bytes: u64,
    /// Bytes written to disk per 1 000 bytes of batches.
    pub write_amplification_per_mille: u64,
    /// Bytes on disk per 1 000 bytes that are known to be alive.
    pub space_amplification_per_mille: u64,
    /// Bytes in the cache.
    pub cache_bytes: u64,
    /// Questions to the cache for blocks.
    pub cache_blocks: CacheUsageStatus,
    /// Questions to the cache for values.
    pub cache_values: CacheUsageStatus,
    /// How the search for damage goes.
    pub scrub: ScrubStatus,
    /// How long syncs took, by kind of file; kinds without any are left out.
    pub syncs: Vec<SyncStatus>,
}

/// Files of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesStatus {
    /// Their number.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Background work of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkStatus {
    /// Units done.
    pub units: u64,
    /// Bytes that they wrote.
    pub bytes: u64,
}

/// The search for damage in files, and its mending. A file may be found, mended and found again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubStatus {
    /// Times that every file was checked.
    pub cycles: u64,
    /// Files checked.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files found damaged, by the scrub or by a read.
    pub found: u64,
    /// Damaged files that were mended from other replicas.
    pub mended: u64,
    /// Records joined from other replicas for that.
    pub gathered: u64,
    /// Damaged files that wait to be mended.
    pub damaged: u64,
    /// Those among them with keys that have no other replica.
    pub unmendable: u64,
}

/// How often the cache helped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheUsageStatus {
    /// Found.
    pub hits: u64,
    /// Not found.
    pub misses: u64,
}

/// How long the syncs of one kind of file took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncStatus {
    /// The kind.
    pub kind: SyncKind,
    /// Since the node's process started.
    pub since_start: SyncSpans,
    /// Within the last minute.
    pub last_minute: SyncSpans,
}

/// A kind of file, as far as syncs go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SyncKind {
    /// A log segment in use: writers wait for it.
    Log,
    /// A table.
    Table,
    /// A file of joined or relocated values.
    Values,
    /// A manifest.
    Manifest,
    /// Anything else: a log segment before its use, the name of the live manifest, directories.
    Other,
}

/// Spans of many syncs, in microseconds; all 0 if there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSpans {
    /// Number of syncs.
    pub count: u64,
    /// Half of them took at most this.
    pub p50_us: u64,
    /// 99 of 100 took at most this.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

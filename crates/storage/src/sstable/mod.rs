//! SSTables: immutable sorted files of entries.
//!
//! Written by flush and compaction ([`TableWriter`]), read by everything ([`Table`]).
//!
//! 1. Data blocks of about `block_bytes`, with prefix-compressed keys and restart points; compressed where it pays.
//! 2. An index in two levels: partitions of about `block_bytes` name the data blocks, the top index names the
//!    partitions.
//! 3. Two filters: over whole keys (split-block Bloom), and the set of the keys' first two bytes.
//! 4. The references: which value files the entries point into, with how many bytes.
//! 5. A fixed footer. Opening reads footer, top index, filters and references, which stay in memory; partitions and
//!    data blocks come through the cache, so that a point read costs no disk read, one, or two.
//!
//! Invariants
//! - Keys ascend; entries of one key descend by sequence number.
//! - Every byte of the file is covered by a checksum that is bound to file id, offset and block ordinal: damage is
//!   [`Error::Corrupt`](crate::Error::Corrupt), never "not found".
//! - A table is read only if the manifest lists it, and it is listed only after it was synced.
//! - What a table's references say is alive is the sum of its pointers, counted once, by the writer.
//!
//! Source: LevelDB's table format and RocksDB's partitioned index; Putze et al., "Cache-, Hash- and Space-Efficient
//! Bloom Filters", 2007.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

mod writer;

mod dissect;

mod table;

mod index;

mod footer;

mod frame;

mod compress;

mod block;

mod references;

mod prefixes;

mod bloom;

mod bisect;

#[cfg(test)]
mod tests;

pub(crate) use bloom::KeyHash;
pub(crate) use dissect::dissect_table;
pub(crate) use table::{Table, TableContext, TableCursor};
pub(crate) use writer::{TableShape, TableWriter};

use bytes::Bytes;

/// What the manifest knows about a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableMeta {
    /// The file's id.
    pub(crate) file_id: u64,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// Number of entries, at least one.
    pub(crate) entries: u64,
    /// Lowest sequence number of an entry.
    pub(crate) sequence_min: u64,
    /// Highest sequence number of an entry.
    pub(crate) sequence_max: u64,
    /// First key.
    pub(crate) key_first: Bytes,
    /// Last key.
    pub(crate) key_last: Bytes,
}

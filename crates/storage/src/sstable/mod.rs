//! SSTables: immutable sorted files of entries.
//!
//! Written by flush and compaction ([`TableWriter`]), read by everything ([`Table`]).
//!
//! 1. Data blocks of about `block_bytes`, with prefix-compressed keys and restart points.
//! 2. A filter over all keys (split-block Bloom), the index (last key of each block), a fixed footer.
//! 3. Opening reads footer, filter and index, which stay in memory; a point read then costs one block.
//!
//! Invariants
//! - Keys ascend; entries of one key descend by sequence number.
//! - Every byte of the file is covered by a checksum that is bound to file id, offset and block ordinal: damage is
//!   [`Error::Corrupt`](crate::Error::Corrupt), never "not found".
//! - A table is read only if the manifest lists it, and it is listed only after it was synced.
//!
//! Source: LevelDB's table format; Putze et al., "Cache-, Hash- and Space-Efficient Bloom Filters", 2007.

mod writer;

mod table;

mod index;

mod footer;

mod frame;

mod block;

mod bloom;

#[cfg(test)]
mod tests;

pub(crate) use bloom::KeyHash;
pub(crate) use table::Table;
pub(crate) use writer::TableWriter;

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

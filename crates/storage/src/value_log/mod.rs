//! The value log: files of values that tables point into.
//!
//! Values from `value_separation_bytes` on are written once: the log segment of a memtable stays after the flush, and
//! the table keeps pointers into it. Joined and relocated values go to files of their own kind.
//!
//! 1. A *value file* is a log segment (`.wal`) whose memtable was flushed, or a file written by [`ValueWriter`]
//!    (`.vlog`); in both, values lie in records of operations, with the same checksums.
//! 2. A pointer carries the digest of its value, so that one read of exactly the value's bytes is enough to know that
//!    they are the right ones.
//! 3. Each table lists the value files that it points into, and how many bytes of each. What a file's references add
//!    up to is alive; the rest is garbage. Nothing is counted anywhere else, so no crash can make the count wrong.
//! 4. A file without references is removed; one with much garbage is emptied by relocating the rest
//!    (`compaction/relocate.rs`).
//!
//! Invariants
//! - A value file is synced before the table that points into it, and that one before the manifest names it.
//! - A value file is unlinked only after the edit that drops its last reference is durable, and nobody reads it.
//!
//! Source: Lu et al., "WiscKey", FAST 2016; counting by table as in RocksDB's BlobDB, without its persistent counters.

mod registry;

mod writer;

mod dissect;

mod verify;

mod file;

pub(crate) use dissect::dissect_records;
pub(crate) use file::{ValueFile, ValueKind};
pub(crate) use registry::ValueFiles;
pub(crate) use verify::{RecordWalk, Stretch, are_well_formed};
pub(crate) use writer::ValueWriter;

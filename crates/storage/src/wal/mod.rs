//! The write-ahead log: what was acknowledged, until an SSTable holds it; and the first home of large values.
//!
//! Written by the leader of a group commit; read back by recovery. One segment per memtable. After the flush a segment
//! that holds separated values stays, as a value file (`value_log`).
//!
//! 1. A segment is created under a temporary name, synced, renamed, and the directory synced; ahead of its use.
//! 2. One group of batches is one record: one checksum, one write, one fsync. Either all of it is found or none.
//! 3. Each record says how many bytes of the segment were durable when it was written, and all segments before it.
//! 4. Replay reads records until the end or the first bad one, and decides what the bad one is:
//!    the torn tail of a crash, or damage to bytes that had been durable.
//!
//! Invariants
//! - A file named `*.wal` has a valid header.
//! - Sequence numbers continue without a gap within a segment and from one segment to the next.
//! - Segments become durable in order.
//! - Something bad followed by a valid record that vouches for it is corruption; nothing is ever skipped.
//!
//! Source: failures.md 5.1, S4 to S6; RocksDB's `kPointInTimeRecovery`, made strict.

mod replay;

mod log;

mod segment;

mod format;

#[cfg(test)]
mod tests;

pub(crate) use format::{Origin, RECORD_HEADER_BYTES, RECORD_MAGIC, RecordHeader, SegmentHeader};
pub(crate) use log::{Durable, Log, SyncStep};
pub(crate) use replay::{Record, read_header, replay};
pub(crate) use segment::Segment;

/// Bytes of a segment without records.
pub(crate) fn segment_header_bytes() -> u64 {
    format::SEGMENT_HEADER_BYTES as u64
}

/// Bytes of a record before its operations.
pub(crate) fn record_header_bytes() -> u64 {
    RECORD_HEADER_BYTES as u64
}

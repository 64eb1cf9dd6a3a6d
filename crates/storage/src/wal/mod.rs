//! The write-ahead log: what was acknowledged, until an SSTable holds it.
//!
//! Written by the leader of a group commit; read only by recovery. One segment per memtable.
//!
//! 1. A segment is created complete under a temporary name, synced, renamed, and the directory synced.
//! 2. One group of batches is one record: one checksum, one write, one fsync. Either all of it is found or none.
//! 3. Each record says how many bytes of the segment were durable when it was written.
//! 4. Replay reads records until the end or the first bad one, and decides what the bad one is:
//!    the torn tail of a crash, or damage to bytes that had been durable.
//!
//! Invariants
//! - A file named `*.wal` has a valid header.
//! - Sequence numbers continue without a gap within a segment and from one segment to the next.
//! - Only the last segment may have a torn tail; a segment is synced before its successor is created.
//! - A bad record followed by a valid one that vouches for it is corruption; nothing is ever skipped.
//!
//! Source: failures.md 5.1, S4 to S6; RocksDB's `kPointInTimeRecovery`, made strict.

mod replay;

mod segment;

mod format;

#[cfg(test)]
mod tests;

pub(crate) use replay::{Tail, read_header, replay};
pub(crate) use segment::{Segment, Synced};

pub(crate) use format::Origin;

/// Bytes of a segment without records.
pub(crate) fn segment_header_bytes() -> u64 {
    format::SEGMENT_HEADER_BYTES as u64
}

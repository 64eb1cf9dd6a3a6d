//! Reads a segment back after a crash and judges its end.
//!
//! Called by recovery, once per live segment, oldest first.
//!
//! 1. Check the header; a segment without one is corrupt (it was synced before it got its name).
//! 2. Hand over records as long as they check and continue the sequence numbers.
//! 3. At the first bad record, search the rest for a valid later record that was written when the bad one's bytes
//!    were already durable.
//! 4. Found: corruption, wherever it is. Not found, in the last segment: the torn tail of a crash, cut off here.
//!    Not found, in an inner segment: corruption, because a segment is synced before its successor exists.
//!
//! Invariants
//! - Three-way end: clean, torn, corrupt; never "skip and continue".
//! - Valid records behind a tear that vouch for nothing were never durable, hence never acknowledged as such.
//!
//! Cost: one read of the segment; the search in step 3 is linear, plus a checksum per occurrence of the magic.

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::disk::{Disk, OpenHow};
use crate::error::Error;
use crate::files::{FileKind, StoreFile};

use super::format::{RECORD_MAGIC, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader};

/// Which end a segment may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// A successor exists: the segment was synced, and must be whole.
    Whole,
    /// The last segment: a crash may have torn it.
    MayBeTorn,
}

/// What a replay found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// The last sequence number of a valid record, or the one before the segment.
    pub(crate) sequence_last: u64,
    /// Bytes behind the last valid record that were cut off.
    pub(crate) torn_bytes: u64,
}

/// Reads only the header of segment `file_id`.
pub(crate) fn read_header(disk: &dyn Disk, file_id: u64) -> Result<SegmentHeader, Error> {
    let file = StoreFile::open(disk, &FileKind::Segment.name(file_id), OpenHow::Read)?;
    let bytes = file.read_exact(0, SEGMENT_HEADER_BYTES)?;
    SegmentHeader::decode(&bytes, file_id)
        .ok_or_else(|| file.corrupt(0, "segment header does not check"))
}

/// Hands the records of segment `file_id` to `on_record` as (first sequence, operations count, operations).
pub(crate) fn replay(
    disk: &dyn Disk,
    file_id: u64,
    tail: Tail,
    mut on_record: impl FnMut(u64, u32, Bytes) -> Result<(), Error>,
) -> Result<Replayed, Error> {
    let file = StoreFile::open(disk, &FileKind::Segment.name(file_id), OpenHow::Read)?;
    let bytes = file.read_all()?;
    let header = SegmentHeader::decode(&bytes, file_id)
        .ok_or_else(|| file.corrupt(0, "segment header does not check"))?;
    let mut sequence_last = header.sequence_before;
    let mut rest = bytes.slice(SEGMENT_HEADER_BYTES..);
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    while !rest.is_empty() {
        let Some(record) = RecordHeader::decode(&rest, file_id, offset) else {
            judge_bad_record(&file, file_id, &bytes, offset, tail)?;
            return Ok(Replayed { sequence_last, torn_bytes: rest.len() as u64 });
        };
        if record.sequence_first != sequence_last + 1 {
            return Err(file.corrupt(offset, "a valid record does not continue the sequence"));
        }
        let whole = usize::try_from(record.record_bytes()).unwrap_or(rest.len());
        let taken = rest.split_to(whole.min(rest.len()));
        let payload = taken.slice(super::format::RECORD_HEADER_BYTES.min(taken.len())..);
        assert!(payload.len() as u64 == u64::from(record.payload_bytes));
        assert!(record.durable_bytes <= offset);
        on_record(record.sequence_first, record.operations, payload)?;
        sequence_last = record.sequence_last();
        offset += record.record_bytes();
    }
    assert!(offset == bytes.len() as u64, "records tile the segment");
    Ok(Replayed { sequence_last, torn_bytes: 0 })
}

/// Decides what the bad record at `bad_offset` is: `Ok` for a torn tail, an error for corruption.
fn judge_bad_record(
    file: &StoreFile,
    file_id: u64,
    bytes: &[u8],
    bad_offset: u64,
    tail: Tail,
) -> Result<(), Error> {
    if tail == Tail::Whole {
        return Err(file.corrupt(bad_offset, "bad record in a segment that has a successor"));
    }
    assert!(bad_offset >= SEGMENT_HEADER_BYTES as u64);
    let start = usize::try_from(bad_offset).unwrap_or(usize::MAX);
    let behind = bytes.get(start..).unwrap_or_default();
    let vouched = (1..behind.len()).any(|skip| {
        let candidate = behind.get(skip..).unwrap_or_default();
        candidate.starts_with(&RECORD_MAGIC)
            && RecordHeader::decode(candidate, file_id, bad_offset + skip as u64)
                .is_some_and(|later| later.durable_bytes > bad_offset)
    });
    if vouched && !seeded_bug(Mutant::MidLogDamageTruncated) {
        return Err(
            file.corrupt(bad_offset, "bad record before a valid one that was written later")
        );
    }
    Ok(())
}

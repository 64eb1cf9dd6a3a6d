//! Reads the log back after a crash and judges its end.
//!
//! Called by recovery with the live segments, oldest first.
//!
//! 1. Check each header; a segment without one is corrupt (it was synced before it got its name).
//! 2. Hand over records as long as they check and continue the sequence numbers, from segment to segment.
//! 3. At the first bad record, or where a segment does not continue the one before it, search what lies behind for a
//!    valid record that was written when the missing bytes were already durable.
//! 4. Found: corruption, wherever it is. Not found: the torn tail of a crash. The log ends here, and what was written
//!    behind it, in this segment or a later one, was never acknowledged as durable.
//!
//! Invariants
//! - Three-way end: clean, torn, corrupt; never "skip and continue".
//! - Valid records behind a tear that vouch for nothing were never durable, hence never acknowledged as such.
//!
//! Cost: one read of each segment; the search in step 3 is linear, plus a checksum per occurrence of the magic.

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::{Buf, Bytes};

use crate::disk::{Disk, OpenHow};
use crate::error::Error;
use crate::files::{FileKind, StoreFile};

use super::format::{
    RECORD_HEADER_BYTES, RECORD_MAGIC, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader,
};

/// A record, as replay hands it over.
pub(crate) struct Record {
    /// Sequence number of its first operation.
    pub(crate) sequence_first: u64,
    /// How many operations it says it has.
    pub(crate) operations: u32,
    /// The operations.
    pub(crate) encoded: Bytes,
}

/// What a replay found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// The last sequence number of a valid record, or the one before the log.
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

/// Hands over the records of `segments`, oldest first, that follow `sequence_before`.
///
/// Holds all segments in memory: as much as their memtables held.
pub(crate) fn replay(
    disk: &dyn Disk,
    segments: &[u64],
    sequence_before: u64,
    mut on_record: impl FnMut(Record) -> Result<(), Error>,
) -> Result<Replayed, Error> {
    let readers: Result<Vec<_>, Error> =
        segments.iter().map(|file_id| SegmentReader::open(disk, *file_id)).collect();
    let mut readers = readers?;
    let mut sequence_last = sequence_before;
    let mut rest = readers.as_mut_slice();
    while let Some((segment, later)) = rest.split_first_mut() {
        while let Some(record) = segment.next_record(sequence_last) {
            sequence_last += u64::from(record.operations);
            on_record(record)?;
        }
        if !segment.rest.is_empty() || !continues(later, sequence_last) {
            let torn_bytes = segment.judge_end(later)?;
            return Ok(Replayed { sequence_last, torn_bytes });
        }
        rest = later;
    }
    Ok(Replayed { sequence_last, torn_bytes: 0 })
}

/// Whether the first record of `segments`, if there is any, follows `sequence_last`.
fn continues(segments: &[SegmentReader], sequence_last: u64) -> bool {
    let Some(next) = segments.iter().find(|segment| !segment.rest.is_empty()) else {
        return true;
    };
    let record = RecordHeader::decode(&next.rest, next.file_id, next.offset);
    // A bad record is judged as the end of its own segment.
    record.is_none_or(|record| record.sequence_first == sequence_last + 1)
}

/// A segment that is being read.
struct SegmentReader {
    file_id: u64,
    file: StoreFile,
    /// Where `rest` begins.
    offset: u64,
    rest: Bytes,
}

impl SegmentReader {
    fn open(disk: &dyn Disk, file_id: u64) -> Result<SegmentReader, Error> {
        let file = StoreFile::open(disk, &FileKind::Segment.name(file_id), OpenHow::Read)?;
        let bytes = file.read_all()?;
        SegmentHeader::decode(&bytes, file_id)
            .ok_or_else(|| file.corrupt(0, "segment header does not check"))?;
        let rest = bytes.slice(SEGMENT_HEADER_BYTES..);
        Ok(SegmentReader { file_id, file, offset: SEGMENT_HEADER_BYTES as u64, rest })
    }

    /// The next record, if it checks and continues the sequence.
    fn next_record(&mut self, sequence_last: u64) -> Option<Record> {
        let header = RecordHeader::decode(&self.rest, self.file_id, self.offset)
            .filter(|header| header.sequence_first == sequence_last + 1)?;
        let whole = usize::try_from(header.record_bytes()).ok()?;
        let mut encoded = self.rest.split_to(whole);
        encoded.advance(RECORD_HEADER_BYTES);
        assert!(encoded.len() as u64 == u64::from(header.payload_bytes));
        assert!(header.durable_bytes <= self.offset, "a record cannot vouch for itself");
        self.offset += header.record_bytes();
        let (sequence_first, operations) = (header.sequence_first, header.operations);
        Some(Record { sequence_first, operations, encoded })
    }

    /// Decides what the end of the log in this segment is: the torn bytes, or an error for corruption.
    fn judge_end(&self, later: &[SegmentReader]) -> Result<u64, Error> {
        let mut torn_bytes = self.rest.len() as u64;
        let mut vouched = self.is_vouched_for(1, |record| record.durable_bytes > self.offset);
        for segment in later {
            torn_bytes += segment.rest.len() as u64;
            vouched |= segment.is_vouched_for(0, |record| record.durable_bytes > 0);
        }
        if vouched && !seeded_bug(Mutant::MidLogDamageTruncated) {
            let what = "the log is damaged before a valid record that was written later";
            return Err(self.file.corrupt(self.offset, what));
        }
        Ok(torn_bytes)
    }

    /// Whether a valid record `skip` or more bytes ahead satisfies `vouches`.
    fn is_vouched_for(&self, skip: usize, vouches: impl Fn(&RecordHeader) -> bool) -> bool {
        (skip..self.rest.len()).any(|ahead| {
            let candidate = self.rest.get(ahead..).unwrap_or_default();
            candidate.starts_with(&RECORD_MAGIC)
                && RecordHeader::decode(candidate, self.file_id, self.offset + ahead as u64)
                    .is_some_and(|record| vouches(&record))
        })
    }
}

//! [`Segment`]: one file of the log, open for appending.
//!
//! Owned by [`Log`](super::Log), which knows what is durable; also written by recovery, before it has a name.
//!
//! 1. [`Segment::draft`] creates the file under its temporary name, with its header.
//! 2. Recovery appends what it replayed; a fresh segment stays empty.
//! 3. [`Segment::publish`] syncs, renames and syncs the directory: from now on the segment exists.
//! 4. [`Segment::append`] adds one record per group.
//!
//! Invariants
//! - Every record carries what an fsync had confirmed when it was written.
//! - An append refused by a full disk leaves the segment as it was, so that it heals; any other failure poisons.

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::{Buf, Bytes, BytesMut};

use crate::codec::length_u32;
use crate::disk::{Disk, OpenHow};
use crate::error::Error;
use crate::files::{FileKind, StoreFile, publish, temporary};

use super::format::{Origin, RECORD_HEADER_BYTES, RecordHeader, SegmentHeader};

/// Bytes of memory that records are built in, one after the other, and that the memtable keeps slices of: few large
/// allocations instead of one for each record.
const ARENA_BYTES: usize = 1_024 * 1_024;

/// A log segment open for appending.
pub(crate) struct Segment {
    file_id: u64,
    file: StoreFile,
    stage: Stage,
    end: u64,
    sequence_last: u64,
    arena: BytesMut,
}

/// Whether the file has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Under a temporary name, which nobody reads after a crash.
    Draft,
    /// Found by recovery.
    Published,
}

/// Where an append landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The operations, as they were written.
    pub(crate) operations: Bytes,
    /// Sequence number of the first operation.
    pub(crate) sequence_first: u64,
    /// Where in the segment the operations begin.
    pub(crate) begin: u64,
}

/// [`Appended`] without the operations.
struct Landed {
    sequence_first: u64,
    begin: u64,
}

impl Landed {
    fn with(self, mut record: Bytes) -> Appended {
        record.advance(RECORD_HEADER_BYTES);
        Appended { operations: record, sequence_first: self.sequence_first, begin: self.begin }
    }
}

impl Segment {
    /// Creates segment `file_id` under a temporary name. `sequence_before` is for a relog; a fresh one learns it later.
    pub(crate) fn draft(
        disk: &dyn Disk,
        file_id: u64,
        origin: Origin,
        sequence_before: u64,
    ) -> Result<Segment, Error> {
        debug_assert!(origin == Origin::Relog || sequence_before == 0, "see `SegmentHeader`");
        let name = temporary(&FileKind::Segment.name(file_id));
        let file = StoreFile::open(disk, &name, OpenHow::Replace)?;
        let header = SegmentHeader { file_id, origin, sequence_before }.encode();
        file.write_all(0, &header)?;
        Ok(Segment {
            file_id,
            file,
            stage: Stage::Draft,
            end: header.len() as u64,
            sequence_last: sequence_before,
            arena: BytesMut::new(),
        })
    }

    /// Makes everything appended so far durable and gives the file its name.
    pub(crate) fn publish(mut self, disk: &dyn Disk) -> Result<Segment, Error> {
        assert!(self.stage == Stage::Draft, "a segment is published once");
        if !seeded_bug(Mutant::DraftNotSynced) {
            self.file.sync()?;
        }
        publish(disk, &FileKind::Segment.name(self.file_id))?;
        self.stage = Stage::Published;
        Ok(self)
    }

    /// Appends one record that holds the operations of `batches`, `operations` in number.
    ///
    /// `vouched_bytes` of this segment are durable, with all segments before it; 0 if those are not. All of a draft is
    /// durable before anyone can read it, so that its records vouch for each other.
    pub(crate) fn append<'a>(
        &mut self,
        batches: impl Iterator<Item = &'a [u8]> + Clone,
        operations: u32,
        vouched_bytes: u64,
    ) -> Result<Appended, Error> {
        let bytes: usize = batches.clone().map(<[u8]>::len).sum();
        let record_bytes = RECORD_HEADER_BYTES + bytes;
        if self.arena.capacity() < record_bytes {
            self.arena = BytesMut::with_capacity(record_bytes.max(ARENA_BYTES));
        }
        self.arena.resize(RECORD_HEADER_BYTES, 0);
        batches.for_each(|batch| self.arena.extend_from_slice(batch));
        let mut record = self.arena.split();
        let landed = self.write(&mut record, operations, vouched_bytes)?;
        Ok(landed.with(record.freeze()))
    }

    /// Appends a `record` whose operations are behind [`RECORD_HEADER_BYTES`] of any content. See
    /// [`append`](Segment::append).
    pub(crate) fn append_record(
        &mut self,
        mut record: Vec<u8>,
        operations: u32,
        vouched_bytes: u64,
    ) -> Result<Appended, Error> {
        let landed = self.write(&mut record, operations, vouched_bytes)?;
        Ok(landed.with(Bytes::from(record)))
    }

    /// Fills in the header of a record, which covers its operations, and writes both.
    fn write(
        &mut self,
        record: &mut [u8],
        operations: u32,
        vouched_bytes: u64,
    ) -> Result<Landed, Error> {
        assert!(operations > 0, "a record holds at least one operation");
        let (head, body) = record
            .split_at_mut_checked(RECORD_HEADER_BYTES)
            .expect("the record was begun with room for its header");
        let header = RecordHeader {
            payload_bytes: length_u32(body.len()),
            operations,
            sequence_first: self.sequence_last + 1,
            durable_bytes: match self.stage {
                Stage::Draft => self.end,
                Stage::Published => vouched_bytes,
            },
        };
        head.copy_from_slice(&header.encode(self.file_id, self.end, body));
        let written = self.file.write_all(self.end, record).map_err(Error::into_poison);
        let refused = matches!(written, Err(Error::Overloaded { .. }));
        if refused && !seeded_bug(Mutant::PartialAppendKept) {
            // A full disk may have taken a part, which must not stay behind the last record when this segment is sealed.
            self.file.set_len(self.end).map_err(Error::into_poison)?;
        }
        written?;
        assert!(header.durable_bytes <= self.end);
        let misplaces = seeded_bug(Mutant::PointerWithoutHeader);
        let begin = self.end + if misplaces { 0 } else { RECORD_HEADER_BYTES as u64 };
        self.end += header.record_bytes();
        self.sequence_last = header.sequence_last();
        Ok(Landed { sequence_first: header.sequence_first, begin })
    }

    /// The file's id.
    pub(crate) fn file_id(&self) -> u64 {
        self.file_id
    }

    /// The file.
    pub(super) fn file(&self) -> &StoreFile {
        &self.file
    }

    /// Bytes written.
    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }

    /// A fresh segment goes on behind `sequence`.
    pub(super) fn begin_after(&mut self, sequence: u64) {
        assert!(self.sequence_last == 0, "a segment begins once");
        self.sequence_last = sequence;
    }

    /// The last sequence number appended, or the one before the first.
    pub(crate) fn sequence_last(&self) -> u64 {
        self.sequence_last
    }
}

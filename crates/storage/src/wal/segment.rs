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
use bytes::Bytes;

use crate::codec::length_u32;
use crate::disk::{Disk, OpenHow};
use crate::error::Error;
use crate::files::{FileKind, StoreFile, publish, temporary};

use super::format::{Origin, RECORD_HEADER_BYTES, RecordHeader, SegmentHeader};

/// Capacity of the write buffer that is kept between appends; a larger group gives its memory back.
const BUFFER_BYTES_KEPT: usize = 4 * 1_024 * 1_024;

/// A log segment open for appending.
pub(crate) struct Segment {
    file_id: u64,
    file: StoreFile,
    stage: Stage,
    end: u64,
    sequence_last: u64,
    buffer: Vec<u8>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// Sequence number of the first operation.
    pub(crate) sequence_first: u64,
    /// Where in the segment the operations begin.
    pub(crate) begin: u64,
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
            buffer: Vec::new(),
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
        batches: impl Iterator<Item = &'a Bytes>,
        operations: u32,
        vouched_bytes: u64,
    ) -> Result<Appended, Error> {
        assert!(operations > 0, "a record holds at least one operation");
        let mut payload = std::mem::take(&mut self.buffer);
        payload.clear();
        // The header's place is filled in once the payload, which it covers, is known.
        payload.resize(RECORD_HEADER_BYTES, 0);
        batches.for_each(|batch| payload.extend_from_slice(batch));
        let (head, body) =
            payload.split_at_mut_checked(RECORD_HEADER_BYTES).expect("the buffer was sized above");
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
        let written = self.file.write_all(self.end, &payload).map_err(Error::into_poison);
        let refused = matches!(written, Err(Error::Overloaded { .. }));
        if refused && !seeded_bug(Mutant::PartialAppendKept) {
            // A full disk may have taken a part, which must not stay behind the last record when this segment is sealed.
            self.file.set_len(self.end).map_err(Error::into_poison)?;
        }
        if payload.capacity() <= BUFFER_BYTES_KEPT {
            self.buffer = payload;
        }
        written?;
        assert!(header.durable_bytes <= self.end);
        let begin = self.end + RECORD_HEADER_BYTES as u64;
        self.end += header.record_bytes();
        self.sequence_last = header.sequence_last();
        Ok(Appended { sequence_first: header.sequence_first, begin })
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

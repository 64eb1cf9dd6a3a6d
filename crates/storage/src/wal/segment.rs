//! [`Segment`]: the log segment that takes writes.
//!
//! Owned by the leader of a group commit, behind the engine's log lock; also written by recovery, before it has a name.
//!
//! 1. [`Segment::draft`] creates the file under its temporary name, with its header.
//! 2. Recovery appends what it replayed; a fresh segment stays empty.
//! 3. [`Segment::publish`] syncs, renames and syncs the directory: from now on the segment exists.
//! 4. [`Segment::append`] adds one record per group; [`Segment::sync`] makes it durable.
//!
//! Invariants
//! - `durable_bytes` is what an fsync has confirmed; every record carries the value it was written under.
//! - An append refused by a full disk leaves the segment as it was, so that it heals; any other failure poisons.

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::codec::length_u32;
use crate::disk::{Disk, OpenHow};
use crate::error::Error;
use crate::files::{FileKind, StoreFile, publish, temporary};

use super::format::{Origin, RecordHeader, SegmentHeader};

/// Capacity of the write buffer that is kept between appends; a larger group gives its memory back.
const BUFFER_BYTES_KEPT: usize = 4 * 1_024 * 1_024;

/// A log segment open for appending.
pub(crate) struct Segment {
    file_id: u64,
    file: StoreFile,
    stage: Stage,
    end: u64,
    durable_bytes: u64,
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

impl Segment {
    /// Creates segment `file_id` under a temporary name.
    pub(crate) fn draft(
        disk: &dyn Disk,
        file_id: u64,
        origin: Origin,
        sequence_before: u64,
    ) -> Result<Segment, Error> {
        let name = temporary(&FileKind::Segment.name(file_id));
        let file = StoreFile::open(disk, &name, OpenHow::Replace)?;
        let header = SegmentHeader { file_id, origin, sequence_before }.encode();
        file.write_all(0, &header)?;
        Ok(Segment {
            file_id,
            file,
            stage: Stage::Draft,
            end: header.len() as u64,
            durable_bytes: 0,
            sequence_last: sequence_before,
            buffer: Vec::new(),
        })
    }

    /// Makes everything appended so far durable and gives the file its name.
    pub(crate) fn publish(mut self, disk: &dyn Disk) -> Result<Segment, Error> {
        assert!(self.stage == Stage::Draft, "a segment is published once");
        self.sync()?;
        assert!(self.durable_bytes == self.end, "a name promises durable content");
        publish(disk, &FileKind::Segment.name(self.file_id))?;
        self.stage = Stage::Published;
        Ok(self)
    }

    /// Appends one record that holds the operations of `batches`, `operations` in number; returns its first sequence.
    pub(crate) fn append<'a>(
        &mut self,
        batches: impl Iterator<Item = &'a Bytes>,
        operations: u32,
    ) -> Result<u64, Error> {
        assert!(operations > 0, "a record holds at least one operation");
        let mut payload = std::mem::take(&mut self.buffer);
        payload.clear();
        // The header's place is filled in once the payload, which it covers, is known.
        payload.resize(super::format::RECORD_HEADER_BYTES, 0);
        batches.for_each(|batch| payload.extend_from_slice(batch));
        let (head, body) = payload
            .split_at_mut_checked(super::format::RECORD_HEADER_BYTES)
            .expect("the buffer was sized above");
        let header = RecordHeader {
            payload_bytes: length_u32(body.len()),
            operations,
            sequence_first: self.sequence_last + 1,
            durable_bytes: match self.stage {
                // All of a draft is durable before anyone can read it: its records vouch for each other.
                Stage::Draft => self.end,
                Stage::Published => self.durable_bytes,
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
        self.end += header.record_bytes();
        self.sequence_last = header.sequence_last();
        Ok(header.sequence_first)
    }

    /// Makes every append durable; does nothing if they are.
    pub(crate) fn sync(&mut self) -> Result<Synced, Error> {
        if self.durable_bytes == self.end {
            return Ok(Synced::Already);
        }
        assert!(self.durable_bytes < self.end, "durable bytes never exceed the written ones");
        if self.stage == Stage::Published || !seeded_bug(Mutant::DraftNotSynced) {
            self.file.sync()?;
        }
        self.durable_bytes = self.end;
        Ok(Synced::Now)
    }

    /// The file's id.
    pub(crate) fn file_id(&self) -> u64 {
        self.file_id
    }

    /// Bytes written.
    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }

    /// The last sequence number appended, or the one before the first.
    pub(crate) fn sequence_last(&self) -> u64 {
        self.sequence_last
    }
}

/// Whether [`Segment::sync`] had to call the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synced {
    /// Everything was durable before.
    Already,
    /// One fsync was issued.
    Now,
}

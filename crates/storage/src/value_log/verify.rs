//! Reads a file of records again, record by record, and checks all that can be checked.
//!
//! Called by the scrub and by offline inspection; [`RecordWalk`] also takes apart segments of the live log.
//!
//! 1. A record is read as a whole, once its header says that it lies within the file: at most a group of writes
//!    (`engine/queue.rs`), or a record of a value file.
//! 2. Its checksum is bound to file id and offset. Its operations must be well-formed and as many as it says.
//! 3. Records tile the file from the header to its last byte, and their sequence numbers continue each other.
//! 4. Behind a bad record the walk goes on: where the bad one says that it ends, if a valid one begins there, else at the
//!    next valid one.
//!
//! Invariants
//! - Whatever the bytes are, the walk ends, and its stretches tile the file.
//! - Nothing is kept: memory is one record, and [`SEARCH_BYTES`] while it searches.

use bytes::{Buf, Bytes};

use crate::batch::operations;
use crate::codec::Reader;
use crate::error::Error;
use crate::files::StoreFile;
use crate::finding::Damage;
use crate::wal::{
    RECORD_MAGIC, RecordHeader, SegmentHeader, record_header_bytes, segment_header_bytes,
};

use super::file::ValueFile;

/// How much is read at once in search of the next valid record, in bytes: 64 KiB, a large read for any disk.
const SEARCH_BYTES: u64 = 64 * 1_024;

/// Damages of one file that are told apart; a file with more is lost, and a list of them helps nobody.
const DAMAGES_MAX: usize = 32;

/// What was read of a file of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordTally {
    /// Bytes from the beginning of the file that were read.
    pub(crate) bytes: u64,
    /// Operations in valid records.
    pub(crate) operations: u64,
}

impl ValueFile {
    /// Reads every byte of the file again and appends what is wrong to `damages`; calls `each` with the bytes of every
    /// part after it was read.
    ///
    /// # Errors
    /// [`Error::Disk`] if the file cannot be read.
    pub(crate) fn verify(
        &self,
        each: &mut dyn FnMut(u64),
        damages: &mut Vec<Damage>,
    ) -> Result<RecordTally, Error> {
        let mut tally = RecordTally::default();
        let name = self.name();
        let bytes = self.file().len()?;
        if bytes != self.bytes() {
            damages.push(Damage::new(
                &name,
                bytes,
                "the file's length changed since it was opened",
            ));
        }
        let before = damages.len();
        tally.bytes = bytes.min(segment_header_bytes());
        if let Some(what) = header_damage(self.file(), self.file_id())? {
            damages.push(Damage::new(&name, 0, what));
        }
        each(tally.bytes);
        let mut walk = RecordWalk::new(self.file(), self.file_id(), bytes);
        let mut sequence_last = None;
        while let Some(stretch) = walk.step()? {
            let wrong = match &stretch {
                Stretch::Damaged { .. } => Some("record does not check"),
                Stretch::Record { header, encoded, .. } => {
                    tally.operations += u64::from(header.operations);
                    let follows = sequence_last.replace(header.sequence_last());
                    let gap = follows.is_some_and(|last| header.sequence_first != last + 1);
                    let malformed = !are_well_formed(encoded.clone(), header.operations);
                    malformed
                        .then_some("a record that checks is malformed")
                        .or(gap.then_some("records do not continue each other"))
                }
            };
            if matches!(stretch, Stretch::Damaged { .. }) {
                sequence_last = None;
            }
            tally.bytes += stretch.bytes();
            each(stretch.bytes());
            if let Some(what) = wrong {
                damages.push(Damage::new(&name, stretch.offset(), what));
            }
            if damages.len() - before >= DAMAGES_MAX {
                damages.push(Damage::new(&name, walk.offset, "and perhaps more: not read further"));
                return Ok(tally);
            }
        }
        assert!(tally.bytes == bytes, "header and records tile the file");
        Ok(tally)
    }
}

/// What is wrong with the header of a file of records, if anything.
fn header_damage(file: &StoreFile, file_id: u64) -> Result<Option<&'static str>, Error> {
    let Some(count) = usize::try_from(segment_header_bytes().min(file.len()?)).ok() else {
        return Ok(Some("header does not check"));
    };
    let bytes = file.read_exact(0, count)?;
    let header = SegmentHeader::decode(&bytes, file_id);
    Ok(header.is_none().then_some("header does not check"))
}

/// Whether `encoded` are operations, this many, and nothing else.
pub(crate) fn are_well_formed(encoded: Bytes, count: u32) -> bool {
    let mut whole = 0;
    for operation in operations(encoded) {
        if operation.is_none() {
            return false;
        }
        whole += 1;
    }
    whole == u64::from(count)
}

/// A part of a file of records, behind its header.
pub(crate) enum Stretch {
    /// A record that checks.
    Record {
        /// Where it begins.
        offset: u64,
        /// Its header.
        header: RecordHeader,
        /// Its operations.
        encoded: Bytes,
    },
    /// Bytes without one.
    Damaged {
        /// Where they begin.
        offset: u64,
        /// How many they are.
        bytes: u64,
    },
}

impl Stretch {
    /// Where it begins.
    pub(crate) fn offset(&self) -> u64 {
        match self {
            Stretch::Record { offset, .. } | Stretch::Damaged { offset, .. } => *offset,
        }
    }

    /// How many bytes of the file it covers.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Stretch::Record { header, .. } => header.record_bytes(),
            Stretch::Damaged { bytes, .. } => *bytes,
        }
    }
}

/// Walks the records of a segment or value file, damaged or not.
pub(crate) struct RecordWalk<'a> {
    file: &'a StoreFile,
    file_id: u64,
    /// Length of the file.
    end: u64,
    offset: u64,
}

impl<'a> RecordWalk<'a> {
    /// From the first record of the file, which is `end` bytes long.
    pub(crate) fn new(file: &'a StoreFile, file_id: u64, end: u64) -> RecordWalk<'a> {
        RecordWalk { file, file_id, end, offset: segment_header_bytes().min(end) }
    }

    /// The next stretch, or `None` at the end of the file.
    ///
    /// # Errors
    /// [`Error::Disk`]; the walk stays where it is.
    pub(crate) fn step(&mut self) -> Result<Option<Stretch>, Error> {
        let offset = self.offset;
        if offset >= self.end {
            return Ok(None);
        }
        let stretch = match self.record_at(offset)? {
            Some((header, encoded)) => Stretch::Record { offset, header, encoded },
            None => Stretch::Damaged { offset, bytes: self.next_valid()? - offset },
        };
        self.offset += stretch.bytes();
        debug_assert!(self.offset > offset && self.offset <= self.end, "every step leads on");
        Ok(Some(stretch))
    }

    /// The record at `offset`, if there is a valid one.
    fn record_at(&self, offset: u64) -> Result<Option<(RecordHeader, Bytes)>, Error> {
        let Some(record_bytes) = self.claimed_bytes(offset)? else {
            return Ok(None);
        };
        let Ok(count) = usize::try_from(record_bytes) else {
            return Ok(None);
        };
        let mut bytes = self.file.read_exact(offset, count)?;
        let Some(header) = RecordHeader::decode(&bytes, self.file_id, offset) else {
            return Ok(None);
        };
        assert!(header.record_bytes() == record_bytes, "the same bytes say the same");
        bytes.advance(usize::try_from(record_header_bytes()).unwrap_or(count).min(count));
        Ok(Some((header, bytes)))
    }

    /// How long the record at `offset` says that it is, if that is within the file.
    fn claimed_bytes(&self, offset: u64) -> Result<Option<u64>, Error> {
        let room = self.end.saturating_sub(offset);
        if room < record_header_bytes() {
            return Ok(None);
        }
        let head = self.file.read_exact(offset, RECORD_MAGIC.len() + size_of::<u32>())?;
        let mut reader = Reader::new(&head);
        if reader.bytes(RECORD_MAGIC.len()) != Some(&RECORD_MAGIC) {
            return Ok(None);
        }
        let claimed = reader.u32().map(|payload| record_header_bytes() + u64::from(payload));
        Ok(claimed.filter(|claimed| *claimed <= room))
    }

    /// Where the next valid record behind the bad one at the current offset begins, or the end of the file.
    fn next_valid(&self) -> Result<u64, Error> {
        if let Some(claimed) = self.claimed_bytes(self.offset)? {
            let behind = self.offset + claimed;
            if behind == self.end || self.record_at(behind)?.is_some() {
                return Ok(behind);
            }
        }
        let mut from = self.offset + 1;
        while from < self.end {
            // Consecutive pieces overlap, so that no magic is cut.
            let bytes = (self.end - from).min(SEARCH_BYTES);
            let piece = self.file.read_exact(from, usize::try_from(bytes).unwrap_or(0))?;
            for (ahead, window) in (0u64..).zip(piece.windows(RECORD_MAGIC.len())) {
                if window == RECORD_MAGIC && self.record_at(from + ahead)?.is_some() {
                    return Ok(from + ahead);
                }
            }
            if from + bytes == self.end {
                break;
            }
            from += bytes - (RECORD_MAGIC.len() as u64 - 1);
        }
        Ok(self.end)
    }
}

//! [`ValueWriter`]: writes values that tables will point to into a file of their own.
//!
//! Used by flush for joined values, by compaction for joined and relocated ones. A file belongs to one unit of work.
//!
//! 1. Values gather as operations in a buffer; [`RECORD_BYTES`] of them become a record, as in the log.
//! 2. [`finish`](ValueWriter::finish) syncs the file. The caller syncs the directory and commits the tables that point
//!    into it.
//!
//! Invariants
//! - A file that is not finished is an orphan, removed at the next open.
//! - A pointer handed out is good once the file is finished.

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::batch::{OperationKind, put_operation};
use crate::codec::length_u32;
use crate::disk::{Disk, OpenHow};
use crate::entry::{Pointer, digest};
use crate::error::Error;
use crate::files::{FileKind, StoreFile};
use crate::wal::{Origin, RECORD_HEADER_BYTES, RecordHeader, SegmentHeader};

/// Bytes of operations after which a record is written: large writes, and a small part of the file to distrust when one
/// of its bytes rots.
const RECORD_BYTES: usize = 256 * 1_024;

/// Bytes after which what was written is synced: one long sync at the end would keep the file system's journal, and with
/// it the writers of the log, waiting.
const SYNC_BYTES: u64 = 8 * 1_024 * 1_024;

/// Writes one value file.
pub(crate) struct ValueWriter {
    file_id: u64,
    file: StoreFile,
    /// Bytes of the file before the open record.
    end: u64,
    /// Bytes that were synced on the way.
    synced: u64,
    /// The open record: room for its header, then operations.
    record: Vec<u8>,
    operations: u32,
    /// Operations in records before the open one: what the records are numbered by.
    written: u64,
}

impl ValueWriter {
    /// Creates value file `file_id`.
    pub(crate) fn create(disk: &dyn Disk, file_id: u64) -> Result<ValueWriter, Error> {
        let file = StoreFile::open(disk, &FileKind::Values.name(file_id), OpenHow::Create)?;
        let header = SegmentHeader { file_id, origin: Origin::Fresh, sequence_before: 0 }.encode();
        file.write_all(0, &header)?;
        let end = header.len() as u64;
        Ok(ValueWriter {
            file_id,
            file,
            end,
            synced: 0,
            record: Vec::new(),
            operations: 0,
            written: 0,
        })
    }

    /// Appends a value of `key`.
    pub(crate) fn append(
        &mut self,
        kind: OperationKind,
        key: &[u8],
        value: &Bytes,
    ) -> Result<Pointer, Error> {
        if self.record.is_empty() {
            self.record.resize(RECORD_HEADER_BYTES, 0);
        }
        let value_at = put_operation(&mut self.record, kind, key, value);
        self.operations += 1;
        let pointer = Pointer {
            file_id: self.file_id,
            offset: self.end + value_at as u64,
            bytes: length_u32(value.len()),
            digest: digest(value),
        };
        if self.record.len() >= RECORD_BYTES {
            self.write_record()?;
        }
        Ok(pointer)
    }

    /// The file's id.
    pub(crate) fn file_id(&self) -> u64 {
        self.file_id
    }

    /// Completes and syncs the file; returns its length.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        if self.operations > 0 {
            self.write_record()?;
        }
        if !seeded_bug(Mutant::ValueFileNotSynced) {
            self.file.sync()?;
        }
        assert!(self.record.is_empty() && self.written > 0, "a value file has a value");
        Ok(self.end)
    }

    fn write_record(&mut self) -> Result<(), Error> {
        let (head, body) = self
            .record
            .split_at_mut_checked(RECORD_HEADER_BYTES)
            .expect("the record begins with room");
        let header = RecordHeader {
            payload_bytes: length_u32(body.len()),
            operations: self.operations,
            sequence_first: self.written + 1,
            durable_bytes: 0,
        };
        head.copy_from_slice(&header.encode(self.file_id, self.end, body));
        self.file.write_all(self.end, &self.record)?;
        assert!(header.record_bytes() == self.record.len() as u64);
        self.end += header.record_bytes();
        self.written += u64::from(self.operations);
        self.record.clear();
        self.operations = 0;
        if self.end - self.synced >= SYNC_BYTES {
            self.file.sync()?;
            self.synced = self.end;
        }
        Ok(())
    }
}

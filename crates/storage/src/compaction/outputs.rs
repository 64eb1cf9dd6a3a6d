//! [`Outputs`]: writes folded keys into one or more new tables, and values into one new value file.
//!
//! Used by compaction (many tables of `table_bytes`), by flush (one table, however large) and by relocation.
//!
//! 1. Each key's fold is appended; a table that has reached its size is finished before the next key.
//! 2. Where a payload goes is decided by [`Placing`]: small ones into the table; large ones stay where they are, or are
//!    written to the value file if they are nowhere yet or are to leave their file.
//! 3. `finish` completes the value file, then the tables, makes the names durable, and opens the tables for reading.
//!
//! Invariants
//! - All entries of a key go into one table, so that tables of a level never overlap.
//! - The value file is synced before the first table that points into it is finished.
//! - Files of outputs that are not finished are removed; if that fails they are orphans for the next open.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::batch::OperationKind;
use crate::codec::length_u32;
use crate::entry::{Entry, Fetch, Payload, Pointer, Value};
use crate::error::Error;
use crate::files::{FileKind, ROOT};
use crate::finding::KeyRange;
use crate::fold::Fold;
use crate::options::{Compression, Options};
use crate::sstable::{Table, TableContext, TableMeta, TableShape, TableWriter};
use crate::value_log::{ValueKind, ValueWriter};

/// Mints the ids of the store's files.
#[derive(Debug)]
pub(crate) struct FileIds {
    next: AtomicU64,
}

impl FileIds {
    /// Continues at `next`.
    pub(crate) fn starting_at(next: u64) -> FileIds {
        FileIds { next: AtomicU64::new(next) }
    }

    /// An id that no file of the store has had.
    pub(crate) fn mint(&self) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        assert!(id < u64::MAX, "file ids are exhausted");
        id
    }

    /// The lowest id not minted yet.
    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }
}

/// What new files are made with.
#[derive(Clone, Copy)]
pub(crate) struct Making<'a> {
    /// Disk, cache and open value files.
    pub(crate) tables: TableContext<'a>,
    /// Table shape.
    pub(crate) options: &'a Options,
    /// Names new files.
    pub(crate) file_ids: &'a FileIds,
    /// Reads values that are to move, and knows the kinds of their files.
    pub(crate) values: &'a dyn Values,
}

/// The value files that inputs point into.
pub(crate) trait Values: Fetch {
    /// The kind of value file `file_id`.
    fn kind(&self, file_id: u64) -> ValueKind;
}

/// Where payloads are, and where they shall not stay.
pub(crate) struct Placing {
    /// The segment of logged payloads.
    pub(crate) logged_in: Option<u64>,
    /// Value files to be emptied.
    pub(crate) leaving: BTreeSet<u64>,
    /// How blocks are compressed.
    pub(crate) compression: Compression,
    /// A table that has reached this many bytes is finished.
    pub(crate) table_bytes: u64,
    /// Keys whose entries are left out if their values are to leave their file and cannot be read.
    pub(crate) mended: Vec<KeyRange>,
}

/// New tables being written.
pub(crate) struct Outputs<'a> {
    making: Making<'a>,
    placing: Placing,
    writer: Option<TableWriter>,
    values: Option<ValueWriter>,
    finished: Vec<TableWriter>,
    /// Value files with damage.
    damaged: BTreeSet<u64>,
    /// Files to remove unless the outputs are finished.
    created: Vec<(FileKind, u64)>,
    pub(crate) counts: Counts,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Keys whose entries the merge operator refused to join, or with a damaged value among them.
    pub(crate) unfolded_keys: u64,
    /// Bytes of finished tables.
    pub(crate) table_bytes: u64,
    /// Bytes of the value file.
    pub(crate) value_bytes: u64,
    /// Values that could not be moved, because they are damaged.
    pub(crate) damaged_values: u64,
}

impl Counts {
    /// Adds what somebody else wrote.
    pub(crate) fn add(&mut self, other: &Counts) {
        self.unfolded_keys += other.unfolded_keys;
        self.table_bytes += other.table_bytes;
        self.value_bytes += other.value_bytes;
        self.damaged_values += other.damaged_values;
    }
}

/// Completed outputs.
pub(crate) struct Finished {
    /// In key order, open.
    pub(crate) tables: Vec<Arc<Table>>,
    /// Value files that a value could not be moved out of.
    pub(crate) damaged: BTreeSet<u64>,
    /// What was written.
    pub(crate) counts: Counts,
}

impl<'a> Outputs<'a> {
    /// Outputs placed as `placing` says.
    pub(crate) fn new(making: Making<'a>, placing: Placing) -> Outputs<'a> {
        Outputs {
            making,
            placing,
            writer: None,
            values: None,
            finished: Vec::new(),
            damaged: BTreeSet::new(),
            created: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Appends what is left of `key`, which is above all keys before it; returns the bytes of values written for it.
    pub(crate) fn add(&mut self, key: &[u8], fold: Fold) -> Result<u64, Error> {
        match fold {
            Fold::Nothing => Ok(0),
            Fold::One(entry) => {
                self.make_room();
                self.add_entry(key, entry)
            }
            Fold::Unfolded(entries) => {
                self.counts.unfolded_keys += 1;
                self.make_room();
                let mut bytes = 0;
                for entry in entries {
                    bytes += self.add_entry(key, entry)?;
                }
                Ok(bytes)
            }
        }
    }

    /// Completes all files, durably, and opens the tables.
    pub(crate) fn finish(mut self) -> Result<Finished, Error> {
        if let Some(values) = self.values.take() {
            self.counts.value_bytes = values.finish()?;
        }
        self.finished.extend(self.writer.take());
        let writers = std::mem::take(&mut self.finished);
        let metas: Result<Vec<TableMeta>, Error> =
            writers.into_iter().map(TableWriter::finish).collect();
        let metas = metas?;
        if !metas.is_empty() && !seeded_bug(Mutant::TableNameNotSynced) {
            self.making.tables.disk.sync_dir(ROOT)?;
        }
        self.counts.table_bytes = metas.iter().map(|meta| meta.bytes).sum();
        let opened: Result<Vec<_>, Error> = metas
            .into_iter()
            .map(|meta| Table::open(&self.making.tables, meta).map(Arc::new))
            .collect();
        let tables = opened?;
        debug_assert!(
            tables.is_sorted_by(|left, right| left.meta().key_last < right.meta().key_first)
        );
        self.created.clear();
        Ok(Finished { tables, damaged: std::mem::take(&mut self.damaged), counts: self.counts })
    }

    /// Returns the bytes of values written.
    fn add_entry(&mut self, key: &[u8], entry: Entry) -> Result<u64, Error> {
        let (entry, written) = match entry.value.payload() {
            None => (entry, 0),
            Some(payload) => {
                let Some((payload, written)) = self.place(key, &entry, payload)? else {
                    return Ok(0);
                };
                let value = entry.value.with_payload(payload);
                (Entry { sequence: entry.sequence, value }, written)
            }
        };
        self.open_writer()?;
        if let Some(Payload::Stored(pointer)) = entry.value.payload() {
            self.declare(pointer);
        }
        let writer = self.writer.as_mut().expect("it was opened above");
        writer.add(key, &entry)?;
        Ok(written)
    }

    /// Where a payload goes, and the bytes that were written for that; `None` if its entry is to be left out.
    fn place(
        &mut self,
        key: &[u8],
        entry: &Entry,
        payload: &Payload,
    ) -> Result<Option<(Payload, u64)>, Error> {
        let separate = payload.len() >= self.making.options.value_separation_bytes;
        Ok(Some(match payload {
            Payload::Inline(bytes) if separate => self.write_value(key, entry, bytes)?,
            Payload::Inline(_) => (payload.clone(), 0),
            Payload::Logged { bytes, .. } if !separate => (Payload::Inline(bytes.clone()), 0),
            Payload::Logged { bytes, offset, digest } => {
                let file_id = self.placing.logged_in.expect("only a flush has logged payloads");
                let (bytes, offset, digest) = (length_u32(bytes.len()), *offset, *digest);
                (Payload::Stored(Pointer { file_id, offset, bytes, digest }), 0)
            }
            Payload::Stored(pointer) if self.placing.leaving.contains(&pointer.file_id) => {
                match self.making.values.fetch(pointer) {
                    Ok(bytes) => self.write_value(key, entry, &bytes)?,
                    Err(Error::Corrupt { .. }) if seeded_bug(Mutant::RelocationBlessesDamage) => {
                        self.write_value(key, entry, &Bytes::from_static(b"anything"))?
                    }
                    Err(Error::Corrupt { .. }) if self.is_mended(key) => return Ok(None),
                    Err(Error::Corrupt { .. }) => {
                        // The damage stays where readers report it; the file cannot be emptied before it is repaired.
                        self.counts.damaged_values += 1;
                        self.damaged.insert(pointer.file_id);
                        (payload.clone(), 0)
                    }
                    Err(error) => return Err(error),
                }
            }
            Payload::Stored(_) => (payload.clone(), 0),
        }))
    }

    fn is_mended(&self, key: &[u8]) -> bool {
        let key = Bytes::copy_from_slice(key);
        KeyRange { first: key.clone(), last: key }.is_within(&self.placing.mended)
    }

    fn write_value(
        &mut self,
        key: &[u8],
        entry: &Entry,
        bytes: &Bytes,
    ) -> Result<(Payload, u64), Error> {
        if self.values.is_none() {
            let file_id = self.making.file_ids.mint();
            self.created.push((FileKind::Values, file_id));
            self.values = Some(ValueWriter::create(self.making.tables.disk, file_id)?);
        }
        let values = self.values.as_mut().expect("it was created above");
        let kind = match &entry.value {
            Value::Merge(_) => OperationKind::Merge,
            Value::Put(_) | Value::Delete => OperationKind::Put,
        };
        let pointer = values.append(kind, key, bytes)?;
        Ok((Payload::Stored(pointer), u64::from(pointer.bytes)))
    }

    /// Tells the table writer of which kind the file of `pointer` is.
    fn declare(&mut self, pointer: &Pointer) {
        let writer = self.writer.as_mut().expect("the caller opened it");
        if writer.knows(pointer.file_id) {
            return;
        }
        let kind = if self.placing.logged_in == Some(pointer.file_id) {
            ValueKind::Segment
        } else if self.values.as_ref().is_some_and(|own| own.file_id() == pointer.file_id) {
            ValueKind::Values
        } else {
            self.making.values.kind(pointer.file_id)
        };
        writer.declare(pointer.file_id, kind);
    }

    /// Sets a table that has reached its size aside.
    fn make_room(&mut self) {
        if self.writer.as_ref().is_some_and(|writer| writer.bytes() >= self.placing.table_bytes) {
            self.finished.extend(self.writer.take());
        }
    }

    fn open_writer(&mut self) -> Result<(), Error> {
        if self.writer.is_some() {
            return Ok(());
        }
        let file_id = self.making.file_ids.mint();
        self.created.push((FileKind::Table, file_id));
        let shape = TableShape {
            block_bytes: self.making.options.block_bytes,
            bloom_bits_per_key: self.making.options.bloom_bits_per_key,
            compression: self.placing.compression,
        };
        let disk = self.making.tables.disk;
        self.writer = Some(TableWriter::create(disk, file_id, shape)?);
        Ok(())
    }
}

impl Drop for Outputs<'_> {
    fn drop(&mut self) {
        for (kind, file_id) in &self.created {
            // Best effort: what stays is removed as an orphan at the next open.
            let _ = self.making.tables.disk.remove(&kind.name(*file_id));
        }
    }
}

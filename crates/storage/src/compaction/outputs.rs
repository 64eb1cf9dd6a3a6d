//! [`Outputs`]: writes folded keys into one or more new tables.
//!
//! Used by compaction (many tables of `table_bytes`) and by flush (one table, however large).
//!
//! 1. Each key's fold is appended; a table that has reached its size is finished before the next key.
//! 2. `finish` completes the last table, makes the names durable, and opens the tables for reading.
//!
//! Invariants
//! - All entries of a key go into one table, so that tables of a level never overlap.
//! - Files of outputs that are not finished are removed; if that fails they are orphans for the next open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atoll_seeded_bug::{Mutant, seeded_bug};

use crate::disk::Disk;
use crate::error::Error;
use crate::files::{FileKind, ROOT};
use crate::fold::Fold;
use crate::options::Options;
use crate::sstable::{Table, TableMeta, TableWriter};

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

/// New tables being written.
pub(crate) struct Outputs<'a> {
    disk: &'a dyn Disk,
    options: &'a Options,
    file_ids: &'a FileIds,
    /// A table that has reached this many bytes is finished.
    table_bytes: u64,
    writer: Option<TableWriter>,
    finished: Vec<TableMeta>,
    /// Files to remove unless the outputs are finished.
    created: Vec<u64>,
    unfolded_keys: u64,
}

impl<'a> Outputs<'a> {
    /// Outputs of about `table_bytes` each.
    pub(crate) fn new(
        disk: &'a dyn Disk,
        options: &'a Options,
        file_ids: &'a FileIds,
        table_bytes: u64,
    ) -> Outputs<'a> {
        Outputs {
            disk,
            options,
            file_ids,
            table_bytes,
            writer: None,
            finished: Vec::new(),
            created: Vec::new(),
            unfolded_keys: 0,
        }
    }

    /// Appends what is left of `key`, which is above all keys before it.
    pub(crate) fn add(&mut self, key: &[u8], fold: &Fold) -> Result<(), Error> {
        match fold {
            Fold::Nothing => Ok(()),
            Fold::One(entry) => self.writer_with_room()?.add(key, entry),
            Fold::Unfolded(entries) => {
                self.unfolded_keys += 1;
                let writer = self.writer_with_room()?;
                entries.iter().try_for_each(|entry| writer.add(key, entry))
            }
        }
    }

    /// Keys whose entries the merge operator refused to join.
    pub(crate) fn unfolded_keys(&self) -> u64 {
        self.unfolded_keys
    }

    /// Completes all tables, durably, and opens them.
    pub(crate) fn finish(mut self) -> Result<Vec<Arc<Table>>, Error> {
        self.finish_table()?;
        if !self.finished.is_empty() && !seeded_bug(Mutant::TableNameNotSynced) {
            self.disk.sync_dir(ROOT)?;
        }
        let opened: Result<Vec<_>, Error> = std::mem::take(&mut self.finished)
            .into_iter()
            .map(|meta| Table::open(self.disk, meta).map(Arc::new))
            .collect();
        let opened = opened?;
        assert!(opened.len() == self.created.len(), "every created table is finished");
        debug_assert!(
            opened.is_sorted_by(|left, right| left.meta().key_last < right.meta().key_first)
        );
        self.created.clear();
        Ok(opened)
    }

    fn writer_with_room(&mut self) -> Result<&mut TableWriter, Error> {
        if self.writer.as_ref().is_some_and(|writer| writer.bytes() >= self.table_bytes) {
            self.finish_table()?;
        }
        match &mut self.writer {
            Some(writer) => Ok(writer),
            empty => {
                let file_id = self.file_ids.mint();
                self.created.push(file_id);
                Ok(empty.insert(TableWriter::create(self.disk, file_id, self.options)?))
            }
        }
    }

    fn finish_table(&mut self) -> Result<(), Error> {
        if let Some(writer) = self.writer.take() {
            self.finished.push(writer.finish()?);
        }
        Ok(())
    }
}

impl Drop for Outputs<'_> {
    fn drop(&mut self) {
        for file_id in &self.created {
            // Best effort: what stays is removed as an orphan at the next open.
            let _ = self.disk.remove(&FileKind::Table.name(*file_id));
        }
    }
}

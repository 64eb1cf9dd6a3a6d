//! [`Table`]: an open SSTable.
//!
//! Shared by versions and cursors through `Arc`; keeps its file open, so that removal of the name does not disturb it.
//!
//! 1. `open` reads the footer, the filter and the index, and compares them with the manifest's [`TableMeta`].
//! 2. `gather` answers a point read: filter, index, one block (more only if entries of the key cross blocks).
//! 3. `cursor` walks entries from a key on, one block in memory at a time.
//!
//! Invariants: immutable; every block is checked each time it is read; no lock is taken.

use std::sync::Arc;

use bytes::Bytes;

use crate::checksum::Place;
use crate::disk::{Disk, OpenHow};
use crate::entry::KeyedEntry;
use crate::error::Error;
use crate::files::{FileKind, StoreFile};
use crate::fold::Stack;

use super::TableMeta;
use super::block::{BlockCursor, Malformed};
use super::bloom::{Filter, KeyHash};
use super::footer::{FOOTER_BYTES, Footer};
use super::frame::{self, BlockKind};
use super::index::{BlockHandle, Index};

/// An immutable sorted file with its filter and index in memory.
pub(crate) struct Table {
    meta: TableMeta,
    file: StoreFile,
    filter: Filter,
    index: Index,
}

impl Table {
    /// Opens the table that `meta` describes; a missing file is corruption, because the manifest lists it.
    pub(crate) fn open(disk: &dyn Disk, meta: TableMeta) -> Result<Table, Error> {
        let name = FileKind::Table.name(meta.file_id);
        let file = StoreFile::open(disk, &name, OpenHow::Read).map_err(|error| match error {
            Error::Disk { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Error::corrupt(&name, 0, "a table listed in the manifest is missing")
            }
            other => other,
        })?;
        let bytes = file.len()?;
        let footer_offset = bytes
            .checked_sub(FOOTER_BYTES as u64)
            .filter(|_| bytes == meta.bytes)
            .ok_or_else(|| file.corrupt(0, "the table's length is not what the manifest says"))?;
        let footer = file.read_exact(footer_offset, FOOTER_BYTES)?;
        let footer = Footer::decode(&footer, meta.file_id, footer_offset)
            .filter(|footer| agrees(footer, &meta))
            .ok_or_else(|| file.corrupt(footer_offset, "footer does not check"))?;
        assert!(footer.file_id == meta.file_id && footer_offset < meta.bytes);
        let filter = read_filter(&file, &footer)?;
        let index = read_index(&file, &footer)?;
        if index.key_last() != Some(&meta.key_last) {
            return Err(file.corrupt(footer.index_offset(), "index and manifest disagree"));
        }
        Ok(Table { meta, file, filter, index })
    }

    /// What the manifest says about it.
    pub(crate) fn meta(&self) -> &TableMeta {
        &self.meta
    }

    /// Pushes the entries of `key` on `stack`, newest first, until it is settled.
    pub(crate) fn gather(&self, key: &[u8], hash: KeyHash, stack: &mut Stack) -> Result<(), Error> {
        debug_assert!(hash == KeyHash::of(key), "the hash is of this key");
        debug_assert!(!stack.is_settled(), "older entries do not matter any more");
        if !self.filter.may_contain(hash) {
            return Ok(());
        }
        let mut ordinal = self.index.first_block_for(key);
        while let Some(handle) = self.index.block(ordinal) {
            let malformed = |_: Malformed| self.file.corrupt(handle.offset, "block is malformed");
            let mut cursor = self.read_block(ordinal, handle)?;
            cursor.seek(key).map_err(malformed)?;
            while let Some(entry) = cursor.next_entry_of(key).map_err(malformed)? {
                stack.push(entry);
                if stack.is_settled() {
                    return Ok(());
                }
            }
            // Only a block that ends with `key` can have more of it behind.
            if handle.key_last.as_ref() != key {
                return Ok(());
            }
            ordinal += 1;
        }
        Ok(())
    }

    /// Entries with keys from `start` on, before `end`.
    pub(crate) fn cursor(self: &Arc<Table>, start: &[u8], end: Option<&[u8]>) -> TableCursor {
        TableCursor {
            table: Arc::clone(self),
            block: None,
            ordinal_next: self.index.first_block_for(start),
            start: Some(Bytes::copy_from_slice(start)),
            end: end.map(Bytes::copy_from_slice),
        }
    }

    fn read_block(&self, ordinal: usize, handle: &BlockHandle) -> Result<BlockCursor, Error> {
        debug_assert!(handle.offset + u64::from(handle.frame_bytes) < self.meta.bytes);
        let place =
            Place { file_id: self.meta.file_id, offset: handle.offset, sequence: ordinal as u64 };
        let payload = frame::read(&self.file, place, handle.frame_bytes, BlockKind::Data)?;
        BlockCursor::new(payload)
            .map_err(|Malformed| self.file.corrupt(handle.offset, "block is malformed"))
    }
}

fn agrees(footer: &Footer, meta: &TableMeta) -> bool {
    footer.entries == meta.entries
        && footer.sequence_min == meta.sequence_min
        && footer.sequence_max == meta.sequence_max
}

fn read_filter(file: &StoreFile, footer: &Footer) -> Result<Filter, Error> {
    let place = Place {
        file_id: footer.file_id,
        offset: footer.filter_offset,
        sequence: u64::from(footer.blocks),
    };
    let payload = frame::read(file, place, footer.filter_bytes, BlockKind::Filter)?;
    Filter::decode(payload).ok_or_else(|| file.corrupt(place.offset, "filter is malformed"))
}

fn read_index(file: &StoreFile, footer: &Footer) -> Result<Index, Error> {
    let place = Place {
        file_id: footer.file_id,
        offset: footer.index_offset(),
        sequence: u64::from(footer.blocks) + 1,
    };
    let payload = frame::read(file, place, footer.index_bytes, BlockKind::Index)?;
    Index::decode(&payload, footer.blocks, footer.filter_offset)
        .ok_or_else(|| file.corrupt(place.offset, "index is malformed"))
}

/// Iterates over a table in key order; ends after the first error.
pub(crate) struct TableCursor {
    table: Arc<Table>,
    block: Option<BlockCursor>,
    ordinal_next: usize,
    /// Where to begin in the first block; `None` once begun.
    start: Option<Bytes>,
    end: Option<Bytes>,
}

impl TableCursor {
    fn advance(&mut self) -> Result<Option<KeyedEntry>, Error> {
        loop {
            if let Some(block) = &mut self.block
                && !block.is_at_end()
            {
                let offset =
                    self.ordinal_next.checked_sub(1).and_then(|at| self.table.index.block(at));
                let offset = offset.map_or(0, |handle| handle.offset);
                let malformed = |Malformed| self.table.file.corrupt(offset, "block is malformed");
                let next = block.next_entry().map_err(malformed)?;
                return Ok(next.filter(|next| self.end.as_ref().is_none_or(|end| next.key < *end)));
            }
            let Some(handle) = self.table.index.block(self.ordinal_next) else {
                return Ok(None);
            };
            let mut block = self.table.read_block(self.ordinal_next, handle)?;
            if let Some(start) = self.start.take() {
                block.seek(&start).map_err(|Malformed| {
                    self.table.file.corrupt(handle.offset, "block is malformed")
                })?;
            }
            self.ordinal_next += 1;
            self.block = Some(block);
        }
    }

    /// Makes every later call return `None`.
    fn fuse(&mut self) {
        self.block = None;
        self.ordinal_next = usize::MAX;
    }
}

impl Iterator for TableCursor {
    type Item = Result<KeyedEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.fuse();
        }
        item
    }
}

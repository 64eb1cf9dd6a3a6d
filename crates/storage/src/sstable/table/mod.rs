//! [`Table`]: an open SSTable.
//!
//! Shared by versions and cursors through `Arc`; keeps its file and the value files it points into open, so that
//! removal of a name does not disturb it.
//!
//! 1. `open` reads the footer and the parts in front of it, compares them with the manifest's [`TableMeta`], and opens
//!    the value files behind the references.
//! 2. `gather` answers a point read: filter, top index, one partition, one block (more only if entries of the key cross
//!    blocks); the last two from the cache, if they are there.
//! 3. `cursor` walks entries from a key on, one block in memory at a time.
//! 4. `verify` reads the whole file again, for the scrub; `lost` says which keys cannot be read any more.
//!
//! Invariants: immutable; every block is checked when it is read from disk; no lock is taken but the cache's.

mod verify;

mod lost;

mod cursor;

mod walk;

pub(crate) use cursor::TableCursor;

use std::sync::Arc;

use bytes::Bytes;

use crate::cache::{Cache, CacheClass, CacheUse};
use crate::disk::Disk;
use crate::error::Error;
use crate::files::{FileKind, StoreFile};
use crate::finding::KeyRange;
use crate::fold::Stack;
use crate::value_log::{ValueFile, ValueFiles};

use super::TableMeta;
use super::block::Block;
use super::bloom::{Filter, KeyHash};
use super::footer::{FOOTER_BYTES, Footer};
use super::frame::{self, BlockKind, TableBlock};
use super::index::{Handle, IndexBlock};
use super::prefixes::PrefixFilter;
use super::references::{self, ReferenceRecord};

use walk::IndexWalk;

/// What tables are opened with.
#[derive(Clone, Copy)]
pub(crate) struct TableContext<'a> {
    /// Where the files are.
    pub(crate) disk: &'a dyn Disk,
    /// The open value files.
    pub(crate) values: &'a ValueFiles,
    /// What blocks are read through.
    pub(crate) cache: &'a Arc<Cache>,
}

/// A value file that a table points into.
#[derive(Clone)]
pub(crate) struct Reference {
    /// The open file.
    pub(crate) file: Arc<ValueFile>,
    /// Bytes of it that the table's entries point to.
    pub(crate) live_bytes: u64,
}

/// An immutable sorted file with its filters and its top index in memory.
pub(crate) struct Table {
    meta: TableMeta,
    file: StoreFile,
    footer: Footer,
    filter: Filter,
    prefixes: PrefixFilter,
    top: IndexBlock,
    references: Vec<Reference>,
    /// Ids of the files of `references`, as pointers are decoded with them.
    file_ids: Vec<u64>,
    cache: Arc<Cache>,
}

/// The parts of a table that stay in memory.
struct Parts {
    footer: Footer,
    filter: Filter,
    prefixes: PrefixFilter,
    references: Vec<ReferenceRecord>,
    top: IndexBlock,
}

impl Table {
    /// Opens the table that `meta` describes; a missing file is corruption, because the manifest lists it, and so is a
    /// missing value file.
    pub(crate) fn open(context: &TableContext<'_>, meta: TableMeta) -> Result<Table, Error> {
        let name = FileKind::Table.name(meta.file_id);
        let missing = "a table listed in the manifest is missing";
        let file = StoreFile::open_named(context.disk, &name, missing)?;
        let Parts { footer, filter, prefixes, references: records, top } =
            Parts::read(&file, &meta)?;
        let mut references = Vec::with_capacity(records.len());
        for record in &records {
            let values = context.values.open(context.disk, record.kind, record.file_id)?;
            if record.live_bytes > values.bytes() {
                let what = "the table points to more of a value file than there is in it";
                return Err(file.corrupt(footer.references().offset, what));
            }
            references.push(Reference { file: values, live_bytes: record.live_bytes });
        }
        let file_ids: Vec<u64> = records.iter().map(|record| record.file_id).collect();
        assert!(footer.file_id == meta.file_id && footer.end() < meta.bytes);
        assert!(file_ids.len() == references.len());
        let cache = Arc::clone(context.cache);
        Ok(Table { meta, file, footer, filter, prefixes, top, references, file_ids, cache })
    }

    /// What the manifest says about it.
    pub(crate) fn meta(&self) -> &TableMeta {
        &self.meta
    }

    /// The value files that its entries point into.
    pub(crate) fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Whether it may hold keys from `start` on, before `end`; reads nothing.
    pub(crate) fn may_contain_range(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        start <= self.meta.key_last.as_ref()
            && end.is_none_or(|end| self.meta.key_first.as_ref() < end)
            && self.prefixes.may_contain_range(start, end)
    }

    /// Pushes the entries of `key` on `stack`, newest first, until it is settled.
    pub(crate) fn gather(
        &self,
        key: &[u8],
        hash: KeyHash,
        (stack, usage): (&mut Stack, CacheUse),
    ) -> Result<(), Error> {
        debug_assert!(hash == KeyHash::of(key), "the hash is of this key");
        debug_assert!(!stack.is_settled(), "older entries do not matter any more");
        if !self.filter.may_contain(hash) {
            return Ok(());
        }
        let mut walk = IndexWalk::start(self, key, usage)?;
        while let Some(handle) = walk.next(self)? {
            let block = self.read_block(&handle, usage)?;
            block
                .gather(key, &self.file_ids, stack)
                .map_err(|_malformed| self.malformed(handle.offset))?;
            // Only a block that ends with `key` can have more of it behind.
            if stack.is_settled() || handle.key_last != key {
                break;
            }
        }
        Ok(())
    }

    /// Stands on the first entry with a key from `start` on, before `end`.
    ///
    /// Cost: one partition and one block, from the cache or from disk; nothing if
    /// [`may_contain_range`](Table::may_contain_range) says no.
    pub(crate) fn cursor(
        self: &Arc<Table>,
        start: &[u8],
        end: Option<&[u8]>,
        fill: CacheUse,
    ) -> Result<TableCursor, Error> {
        TableCursor::new(Arc::clone(self), start, end, fill)
    }

    /// The blocks between the data blocks and the footer, in the order of the file; reads nothing.
    fn blocks_behind_data(&self) -> impl Iterator<Item = TableBlock> {
        let footer = self.footer;
        let parts = [footer.filter(), footer.prefixes(), footer.references(), footer.top()];
        let partitions = (0..self.top.len()).filter_map(|at| self.top.handle(at));
        partitions.map(|handle| block_of(BlockKind::Partition, &handle)).chain(parts)
    }

    /// Reads every byte of the file again, past the cache, and checks it; calls `each` after every block. Returns the
    /// length of the file.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the first contradiction: within a block, or between entries, index, filters, references,
    /// footer and manifest.
    pub(crate) fn verify(&self, each: &mut dyn FnMut(TableBlock)) -> Result<u64, Error> {
        verify::verify(self, each)
    }

    /// The ranges of keys that cannot be read, ascending; calls `each` with the bytes of every block after it was read.
    ///
    /// # Errors
    /// [`Error::Disk`] if the disk refuses; then nothing is known.
    pub(crate) fn lost(&self, each: &mut dyn FnMut(u64)) -> Result<Vec<KeyRange>, Error> {
        lost::lost(self, each)
    }

    /// A data block, from the cache or from disk.
    fn read_block(&self, handle: &Handle<'_>, fill: CacheUse) -> Result<Block, Error> {
        let payload = self.read_through(block_of(BlockKind::Data, handle), fill, Some)?;
        Block::new(payload).map_err(|_malformed| self.malformed(handle.offset))
    }

    /// The payload of a block from the cache, or from disk if it passes `check`.
    fn read_through(
        &self,
        block: TableBlock,
        fill: CacheUse,
        check: impl FnOnce(Bytes) -> Option<Bytes>,
    ) -> Result<Bytes, Error> {
        let class = (CacheClass::Block, fill);
        if let Some(payload) = self.cache.get_before_disk(class, self.meta.file_id, block.offset)? {
            return Ok(payload);
        }
        let payload = check(self.read_frame(block)?).ok_or_else(|| self.malformed(block.offset))?;
        if fill == CacheUse::Fill {
            self.cache.insert(self.meta.file_id, block.offset, payload.clone());
        }
        Ok(payload)
    }

    /// The payload of a block from disk.
    fn read_frame(&self, block: TableBlock) -> Result<Bytes, Error> {
        debug_assert!(block.offset + u64::from(block.bytes) <= self.footer.end());
        frame::read(&self.file, self.meta.file_id, block)
    }

    fn malformed(&self, offset: u64) -> Error {
        self.file.corrupt(offset, "block is malformed, or its entries are out of order")
    }
}

impl Parts {
    /// Reads the parts from disk and compares them with `meta`.
    fn read(file: &StoreFile, meta: &TableMeta) -> Result<Parts, Error> {
        let bytes = file.len()?;
        let footer_offset = bytes
            .checked_sub(FOOTER_BYTES as u64)
            .filter(|_| bytes == meta.bytes)
            .ok_or_else(|| file.corrupt(0, "the table's length is not what the manifest says"))?;
        let footer = file.read_exact(footer_offset, FOOTER_BYTES)?;
        let footer = Footer::decode(&footer, meta.file_id, footer_offset)
            .map_err(|what| file.corrupt(footer_offset, what))?;
        if !agrees(&footer, meta) {
            return Err(file.corrupt(footer_offset, "footer and manifest disagree"));
        }
        let read = |block| frame::read(file, meta.file_id, block);
        let malformed = |block: TableBlock, what| move || file.corrupt(block.offset, what);
        let filter = Filter::decode(read(footer.filter())?)
            .ok_or_else(malformed(footer.filter(), "filter is malformed"))?;
        let prefixes = PrefixFilter::decode(&read(footer.prefixes())?)
            .ok_or_else(malformed(footer.prefixes(), "prefix filter is malformed"))?;
        let references = references::decode(&read(footer.references())?)
            .ok_or_else(malformed(footer.references(), "references are malformed"))?;
        let top = IndexBlock::decode(read(footer.top())?)
            .ok_or_else(malformed(footer.top(), "top index is malformed"))?;
        let key_last = top.handle(top.len() - 1).map(|handle| handle.key_last);
        let first = (u64::from(footer.blocks), footer.index_offset);
        let end = (footer.filter().ordinal, footer.filter_offset);
        if key_last != Some(meta.key_last.as_ref()) || top.begins() != first || top.ends() != end {
            return Err(
                file.corrupt(footer.top().offset, "top index, footer and manifest disagree")
            );
        }
        Ok(Parts { footer, filter, prefixes, references, top })
    }
}

fn agrees(footer: &Footer, meta: &TableMeta) -> bool {
    footer.entries == meta.entries
        && footer.sequence_min == meta.sequence_min
        && footer.sequence_max == meta.sequence_max
}

pub(super) fn block_of(kind: BlockKind, handle: &Handle<'_>) -> TableBlock {
    TableBlock { kind, ordinal: handle.ordinal, offset: handle.offset, bytes: handle.bytes }
}

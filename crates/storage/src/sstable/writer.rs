//! [`TableWriter`]: turns sorted entries into a table file.
//!
//! Driven by flush and compaction, one writer per output file.
//!
//! 1. Entries fill a block; a full block is compressed where that pays, and becomes a frame in the write buffer.
//! 2. The buffer goes to the file in pieces of [`WRITE_BYTES`].
//! 3. A block's handle goes to the open index partition; full partitions wait in memory (about a hundredth of the file).
//! 4. `finish` writes partitions, filters, references, top index and footer, and syncs the file. The caller syncs the
//!    directory and commits the table to the manifest.
//!
//! Invariants
//! - Entries arrive in key order, entries of one key newest first.
//! - The kind of a value file is declared before the first pointer into it.
//! - A file that is not finished is an orphan, removed at the next open; a finished one without an entry cannot exist.

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::checksum::Place;
use crate::codec::length_u32;
use crate::disk::{Disk, OpenHow};
use crate::entry::Entry;
use crate::error::Error;
use crate::files::{FileKind, StoreFile};
use crate::value_log::ValueKind;

use super::TableMeta;
use super::block::BlockBuilder;
use super::bloom::{self, KeyHash};
use super::compress::Compressor;
use super::footer::Footer;
use super::frame::{self, BlockKind};
use super::index::IndexBuilder;
use super::prefixes::PrefixFilter;
use super::references::{self, ReferenceCounter};
use crate::options::Compression;

/// Bytes per write: large enough that the system call does not matter, small enough to stay in cache.
const WRITE_BYTES: usize = 256 * 1_024;

/// How a table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableShape {
    /// Uncompressed bytes after which a data block or an index partition is closed.
    pub(crate) block_bytes: usize,
    /// Bits of the filter for each key; 0 for none.
    pub(crate) bloom_bits_per_key: usize,
    /// What data blocks are compressed with.
    pub(crate) compression: Compression,
}

/// Writes one table.
pub(crate) struct TableWriter {
    shape: TableShape,
    out: Output,
    block: BlockBuilder,
    /// The block being finished; kept for its memory.
    payload: Vec<u8>,
    compressor: Compressor,
    index: IndexBuilder,
    /// Finished partitions, with their last keys.
    partitions: Vec<(Bytes, Vec<u8>)>,
    hashes: Vec<KeyHash>,
    prefixes: PrefixFilter,
    references: ReferenceCounter,
    content: Content,
}

/// The file, and what is still to be written to it.
struct Output {
    file_id: u64,
    file: StoreFile,
    buffer: Vec<u8>,
    /// Bytes of the file before the buffer.
    flushed_bytes: u64,
    /// Number of frames so far.
    frames: u32,
}

/// What was added so far.
struct Content {
    key_first: Option<Bytes>,
    entries: u64,
    sequence_min: u64,
    sequence_max: u64,
}

impl TableWriter {
    /// Creates table `file_id`.
    pub(crate) fn create(
        disk: &dyn Disk,
        file_id: u64,
        shape: TableShape,
    ) -> Result<TableWriter, Error> {
        assert!(shape.block_bytes > 0, "a block of nothing would never be closed");
        let file = StoreFile::open(disk, &FileKind::Table.name(file_id), OpenHow::Create)?;
        Ok(TableWriter {
            shape,
            out: Output { file_id, file, buffer: Vec::new(), flushed_bytes: 0, frames: 0 },
            block: BlockBuilder::default(),
            payload: Vec::new(),
            compressor: Compressor::new(shape.compression),
            index: IndexBuilder::new(0, 0),
            partitions: Vec::new(),
            hashes: Vec::new(),
            prefixes: PrefixFilter::default(),
            references: ReferenceCounter::default(),
            content: Content {
                key_first: None,
                entries: 0,
                sequence_min: u64::MAX,
                sequence_max: 0,
            },
        })
    }

    /// Says of which kind value file `file_id` is; needed before the first pointer into it, harmless without one.
    pub(crate) fn declare(&mut self, file_id: u64, kind: ValueKind) {
        assert!(file_id != self.out.file_id, "ids are unique across kinds");
        self.references.declare(file_id, kind);
    }

    /// Whether `file_id` was declared.
    pub(crate) fn knows(&self, file_id: u64) -> bool {
        self.references.knows(file_id)
    }

    /// Appends an entry; its payload is inline, or stored in a declared value file.
    pub(crate) fn add(&mut self, key: &[u8], entry: &Entry) -> Result<(), Error> {
        let hash = KeyHash::of(key);
        if self.hashes.last() != Some(&hash) {
            self.hashes.push(hash);
        }
        self.prefixes.add(key);
        self.content.key_first.get_or_insert_with(|| Bytes::copy_from_slice(key));
        debug_assert!(self.content.key_first.as_deref().is_some_and(|first| first <= key));
        self.content.entries += 1;
        self.content.sequence_min = self.content.sequence_min.min(entry.sequence);
        self.content.sequence_max = self.content.sequence_max.max(entry.sequence);
        self.block.add(key, entry, &mut self.references);
        if self.block.bytes() >= self.shape.block_bytes {
            self.finish_block()?;
        }
        Ok(())
    }

    /// Bytes of data blocks so far, as stored, without the open one.
    pub(crate) fn bytes(&self) -> u64 {
        self.out.bytes()
    }

    /// Completes and syncs the file.
    pub(crate) fn finish(mut self) -> Result<TableMeta, Error> {
        if !self.block.is_empty() {
            self.finish_block()?;
        }
        if !self.index.is_empty() {
            self.finish_partition();
        }
        let key_first = self.content.key_first.clone().expect("callers add before they finish");
        let key_last = self.partitions.last().map(|(key_last, _)| key_last.clone());
        let key_last = key_last.expect("an entry makes a block, and a block a partition");
        let footer = self.finish_parts()?;
        self.out.buffer.extend_from_slice(&footer.encode());
        self.out.flush()?;
        assert!(self.out.buffer.is_empty(), "everything is written before the sync");
        if !seeded_bug(Mutant::TableNotSynced) {
            self.out.file.sync()?;
        }
        assert!(footer.sequence_min <= footer.sequence_max && key_first <= key_last);
        Ok(TableMeta {
            file_id: footer.file_id,
            bytes: self.out.flushed_bytes,
            entries: footer.entries,
            sequence_min: footer.sequence_min,
            sequence_max: footer.sequence_max,
            key_first,
            key_last,
        })
    }

    fn finish_block(&mut self) -> Result<(), Error> {
        let key_last = self.block.key_last().to_vec();
        self.block.finish(&mut self.payload);
        let (compression, stored) = self.compressor.compress(&self.payload);
        let ordinal = self.out.frames;
        debug_assert!(ordinal == self.index.next_ordinal());
        let frame_bytes = self.out.push(stored, compression, BlockKind::Data)?;
        self.index.add(&key_last, frame_bytes);
        if self.index.bytes() >= self.shape.block_bytes {
            self.finish_partition();
        }
        Ok(())
    }

    /// Closes the open partition and begins the next one behind the blocks so far.
    fn finish_partition(&mut self) {
        let next = IndexBuilder::new(self.index.next_ordinal(), self.bytes());
        let partition = std::mem::replace(&mut self.index, next);
        let key_last = Bytes::copy_from_slice(partition.key_last());
        self.partitions.push((key_last, partition.finish()));
    }

    /// Writes everything between the data blocks and the footer.
    fn finish_parts(&mut self) -> Result<Footer, Error> {
        let blocks = self.out.frames;
        let index_offset = self.bytes();
        let mut top = IndexBuilder::new(blocks, index_offset);
        for (key_last, payload) in std::mem::take(&mut self.partitions) {
            let frame_bytes = self.out.push_raw(&payload, BlockKind::Partition)?;
            top.add(&key_last, frame_bytes);
        }
        let partitions = self.out.frames - blocks;
        let filter_offset = self.bytes();
        let filter = bloom::encode(&self.hashes, self.shape.bloom_bits_per_key);
        let filter_bytes = self.out.push_raw(&filter, BlockKind::Filter)?;
        let prefixes_bytes = self.out.push_raw(&self.prefixes.encode(), BlockKind::Prefixes)?;
        let references = references::encode(self.references.records());
        let references_bytes = self.out.push_raw(&references, BlockKind::References)?;
        let top_bytes = self.out.push_raw(&top.finish(), BlockKind::Top)?;
        let footer = Footer {
            file_id: self.out.file_id,
            blocks,
            partitions,
            index_offset,
            filter_offset,
            filter_bytes,
            prefixes_bytes,
            references_bytes,
            top_bytes,
            entries: self.content.entries,
            sequence_min: self.content.sequence_min,
            sequence_max: self.content.sequence_max,
        };
        assert!(footer.end() == self.bytes(), "parts tile the file");
        assert!(footer.top().ordinal + 1 == u64::from(self.out.frames), "and are numbered");
        Ok(footer)
    }
}

impl Output {
    fn bytes(&self) -> u64 {
        self.flushed_bytes + self.buffer.len() as u64
    }

    fn push_raw(&mut self, payload: &[u8], kind: BlockKind) -> Result<u32, Error> {
        self.push(payload, Compression::None, kind)
    }

    /// Appends the frame of `stored`; returns its length.
    fn push(
        &mut self,
        stored: &[u8],
        compression: Compression,
        kind: BlockKind,
    ) -> Result<u32, Error> {
        let sequence = u64::from(self.frames);
        let place = Place { file_id: self.file_id, offset: self.bytes(), sequence };
        let frame_bytes = frame::seal(&mut self.buffer, stored, compression, kind, place);
        self.frames += 1;
        if self.buffer.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(length_u32(frame_bytes))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file.write_all(self.flushed_bytes, &self.buffer)?;
        self.flushed_bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

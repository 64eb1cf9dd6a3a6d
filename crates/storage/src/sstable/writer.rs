//! [`TableWriter`]: turns sorted entries into a table file.
//!
//! Driven by flush and compaction, one writer per output file.
//!
//! 1. Entries fill a block; a full block becomes a frame in the write buffer.
//! 2. The buffer goes to the file in pieces of [`WRITE_BYTES`].
//! 3. `finish` writes filter, index and footer, and syncs the file. The caller syncs the directory and commits the
//!    table to the manifest.
//!
//! Invariants
//! - Entries arrive in key order, entries of one key newest first.
//! - A file that is not finished is an orphan, removed at the next open; a finished one without an entry cannot exist.

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::checksum::Place;
use crate::codec::length_u32;
use crate::disk::{Disk, OpenHow};
use crate::entry::Entry;
use crate::error::Error;
use crate::files::{FileKind, StoreFile};
use crate::options::Options;

use super::TableMeta;
use super::block::BlockBuilder;
use super::bloom::{self, KeyHash};
use super::footer::Footer;
use super::frame::{self, BlockKind};
use super::index::{self, BlockHandle};

/// Bytes per write: large enough that the system call does not matter, small enough to stay in cache.
const WRITE_BYTES: usize = 256 * 1_024;

/// Writes one table.
pub(crate) struct TableWriter {
    file_id: u64,
    file: StoreFile,
    block_bytes: usize,
    bloom_bits_per_key: usize,
    block: BlockBuilder,
    blocks: Vec<BlockHandle>,
    hashes: Vec<KeyHash>,
    buffer: Vec<u8>,
    /// Bytes of the file before the buffer.
    flushed_bytes: u64,
    content: Content,
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
        options: &Options,
    ) -> Result<TableWriter, Error> {
        let file = StoreFile::open(disk, &FileKind::Table.name(file_id), OpenHow::Create)?;
        Ok(TableWriter {
            file_id,
            file,
            block_bytes: options.block_bytes,
            bloom_bits_per_key: options.bloom_bits_per_key,
            block: BlockBuilder::default(),
            blocks: Vec::new(),
            hashes: Vec::new(),
            buffer: Vec::new(),
            flushed_bytes: 0,
            content: Content {
                key_first: None,
                entries: 0,
                sequence_min: u64::MAX,
                sequence_max: 0,
            },
        })
    }

    /// Appends an entry.
    pub(crate) fn add(&mut self, key: &[u8], entry: &Entry) -> Result<(), Error> {
        let hash = KeyHash::of(key);
        if self.hashes.last() != Some(&hash) {
            self.hashes.push(hash);
        }
        self.content.key_first.get_or_insert_with(|| Bytes::copy_from_slice(key));
        debug_assert!(self.content.key_first.as_deref().is_some_and(|first| first <= key));
        self.content.entries += 1;
        self.content.sequence_min = self.content.sequence_min.min(entry.sequence);
        self.content.sequence_max = self.content.sequence_max.max(entry.sequence);
        self.block.add(key, entry);
        if self.block.bytes() >= self.block_bytes {
            self.finish_block()?;
        }
        Ok(())
    }

    /// Bytes of the file so far, without the open block.
    pub(crate) fn bytes(&self) -> u64 {
        self.flushed_bytes + self.buffer.len() as u64
    }

    /// Completes and syncs the file.
    pub(crate) fn finish(mut self) -> Result<TableMeta, Error> {
        if !self.block.is_empty() {
            self.finish_block()?;
        }
        let key_first = self.content.key_first.clone().expect("callers add before they finish");
        let key_last = self.blocks.last().map(|handle| handle.key_last.clone());
        let key_last = key_last.expect("an entry makes a block");
        let blocks = length_u32(self.blocks.len());
        let filter_offset = self.bytes();
        let filter = bloom::encode(&self.hashes, self.bloom_bits_per_key);
        let filter_bytes = self.push_frame(filter, BlockKind::Filter, u64::from(blocks))?;
        let index = index::encode(&self.blocks);
        let index_bytes = self.push_frame(index, BlockKind::Index, u64::from(blocks) + 1)?;
        let footer = Footer {
            file_id: self.file_id,
            blocks,
            filter_offset,
            filter_bytes,
            index_bytes,
            entries: self.content.entries,
            sequence_min: self.content.sequence_min,
            sequence_max: self.content.sequence_max,
        };
        self.buffer.extend_from_slice(&footer.encode(self.bytes()));
        self.flush_buffer()?;
        assert!(self.buffer.is_empty(), "everything is written before the sync");
        if !seeded_bug(Mutant::TableNotSynced) {
            self.file.sync()?;
        }
        assert!(footer.sequence_min <= footer.sequence_max && key_first <= key_last);
        Ok(TableMeta {
            file_id: self.file_id,
            bytes: self.flushed_bytes,
            entries: footer.entries,
            sequence_min: footer.sequence_min,
            sequence_max: footer.sequence_max,
            key_first,
            key_last,
        })
    }

    fn finish_block(&mut self) -> Result<(), Error> {
        let key_last = Bytes::copy_from_slice(self.block.key_last());
        let offset = self.bytes();
        debug_assert!(self.blocks.last().is_none_or(|before| before.key_last <= key_last));
        let payload = self.block.finish();
        let frame_bytes = self.push_frame(payload, BlockKind::Data, self.blocks.len() as u64)?;
        self.blocks.push(BlockHandle { key_last, offset, frame_bytes });
        Ok(())
    }

    /// Appends a frame with block number `ordinal`; returns its length.
    fn push_frame(
        &mut self,
        payload: Vec<u8>,
        kind: BlockKind,
        ordinal: u64,
    ) -> Result<u32, Error> {
        let place = Place { file_id: self.file_id, offset: self.bytes(), sequence: ordinal };
        let frame = frame::seal(payload, kind, place);
        self.buffer.extend_from_slice(&frame);
        if self.buffer.len() >= WRITE_BYTES {
            self.flush_buffer()?;
        }
        Ok(length_u32(frame.len()))
    }

    fn flush_buffer(&mut self) -> Result<(), Error> {
        self.file.write_all(self.flushed_bytes, &self.buffer)?;
        self.flushed_bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

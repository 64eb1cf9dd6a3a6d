//! Reads a whole table again and checks all that can be checked.
//!
//! Called by the scrub and by tests. Normal reads check checksums and what they touch; this checks what no single read
//! can see, such as whether the entries are as many as the footer says.
//!
//! 1. The parts in front of the footer are read again and compared with the manifest.
//! 2. Every data block is read through the index, and its entries are walked.
//! 3. Order, last keys, restart points, filters, counts, sequence numbers and references must agree.
//!
//! Invariant: reads past the cache, and leaves nothing in it.

use crate::entry::{Entry, Payload};
use crate::error::Error;
use crate::sstable::block::{Block, BlockCursor};
use crate::sstable::bloom::KeyHash;
use crate::sstable::footer::FOOTER_BYTES;
use crate::sstable::frame::TableBlock;

use super::walk::Partitions;
use super::{Parts, Table};

/// Verifies `table`; see [`Table::verify`].
pub(super) fn verify(table: &Table, each: &mut dyn FnMut(TableBlock)) -> Result<u64, Error> {
    let parts = Parts::read(&table.file, &table.meta)?;
    if parts.footer != table.footer || parts.prefixes != table.prefixes {
        return Err(table.file.corrupt(table.footer.end(), "the file changed since it was opened"));
    }
    let mut tally = Tally::new(table, &parts);
    for block in Partitions::new(table) {
        let (block, key_last) = block?;
        tally.verify_block(block, &key_last)?;
        each(block);
    }
    tally.verify_sums()?;
    let mut end = table.footer.index_offset;
    for block in table.blocks_behind_data() {
        table.read_frame(block)?;
        assert!(block.offset == end, "parts tile the file");
        end += u64::from(block.bytes);
        each(block);
    }
    assert!(end + FOOTER_BYTES as u64 == table.meta.bytes, "up to the footer");
    Ok(table.meta.bytes)
}

/// What the entries so far add up to.
struct Tally<'a> {
    table: &'a Table,
    parts: &'a Parts,
    cursor: BlockCursor,
    key: Vec<u8>,
    entries: u64,
    sequence_min: u64,
    sequence_max: u64,
    live_bytes: Vec<u64>,
}

impl<'a> Tally<'a> {
    fn new(table: &'a Table, parts: &'a Parts) -> Tally<'a> {
        Tally {
            table,
            parts,
            cursor: BlockCursor::default(),
            key: Vec::new(),
            entries: 0,
            sequence_min: u64::MAX,
            sequence_max: 0,
            live_bytes: vec![0; parts.references.len()],
        }
    }

    fn verify_block(&mut self, block: TableBlock, key_last: &[u8]) -> Result<(), Error> {
        let table = self.table;
        let corrupt = |what| table.file.corrupt(block.offset, what);
        let malformed = |_malformed| table.malformed(block.offset);
        let payload = table.read_frame(block)?;
        let decoded = Block::new(payload).map_err(malformed)?;
        let mut offsets = vec![0];
        self.cursor.enter(decoded, &table.file_ids).map_err(malformed)?;
        while let Some(entry) = self.cursor.entry() {
            self.verify_entry(&entry).map_err(corrupt)?;
            offsets.push(self.cursor.next_offset());
            self.cursor.advance(&table.file_ids).map_err(malformed)?;
        }
        offsets.pop(); // where the entries end
        if !self.cursor.has_restarts_among(&offsets) {
            return Err(corrupt("restart points and entries disagree"));
        }
        if self.key != key_last {
            return Err(corrupt("block and index disagree"));
        }
        assert!(self.entries > 0, "a block has an entry");
        Ok(())
    }

    /// Adds the cursor's current entry.
    fn verify_entry(&mut self, entry: &Entry) -> Result<(), &'static str> {
        let key = self.cursor.key().ok_or("entry without a key")?;
        if self.entries == 0 && key != self.table.meta.key_first.as_ref() {
            return Err("first key and manifest disagree");
        }
        let absent = !self.parts.filter.may_contain(KeyHash::of(key))
            || !self.parts.prefixes.may_contain_range(key, None);
        if absent {
            return Err("a filter lacks a key");
        }
        if let Some(Payload::Stored(pointer)) = entry.value.payload() {
            let at = self.table.file_ids.iter().position(|id| *id == pointer.file_id);
            let live = at.and_then(|at| self.live_bytes.get_mut(at)).ok_or("unknown value file")?;
            *live = live.saturating_add(pointer.copy_bytes(key));
            let file = at.and_then(|at| self.table.references.get(at)).map(|found| &found.file);
            let end = pointer.offset.checked_add(u64::from(pointer.bytes));
            if file.is_none_or(|file| end.is_none_or(|end| end > file.bytes())) {
                return Err("a pointer leads out of its value file");
            }
        }
        self.key.clear();
        self.key.extend_from_slice(key);
        self.entries += 1;
        self.sequence_min = self.sequence_min.min(entry.sequence);
        self.sequence_max = self.sequence_max.max(entry.sequence);
        Ok(())
    }

    fn verify_sums(&self) -> Result<(), Error> {
        let footer = &self.table.footer;
        if (self.entries, self.sequence_min, self.sequence_max)
            != (footer.entries, footer.sequence_min, footer.sequence_max)
        {
            return Err(self.table.file.corrupt(footer.end(), "entries and footer disagree"));
        }
        let counted = self.parts.references.iter().map(|record| record.live_bytes);
        if !counted.eq(self.live_bytes.iter().copied()) {
            let offset = footer.references().offset;
            return Err(self.table.file.corrupt(offset, "entries and references disagree"));
        }
        Ok(())
    }
}

//! Takes a table apart, for people: footer, filters, references, index, blocks, entries.
//!
//! Called by `inspect/dump.rs`. Unlike [`Table`](super::Table) it needs no manifest and no value files, and goes on
//! behind what is damaged.
//!
//! 1. The footer says where everything is; without it nothing is found.
//! 2. Filters and references are shown by their sizes and contents; without the references pointers cannot be named.
//! 3. The top index leads to the partitions, these to the data blocks; what a damaged one names is passed over.

use std::ops::ControlFlow;

use crate::entry::{Entry, Payload, Value, digest};
use crate::files::StoreFile;
use crate::finding::{Item, Sink};

use super::block::{Block, BlockCursor};
use super::bloom::Filter;
use super::footer::{FOOTER_BYTES, Footer};
use super::frame::{self, BlockKind, TableBlock};
use super::index::IndexBlock;
use super::prefixes::PrefixFilter;
use super::references;

/// Hands all structures of table `file_id`, which is `end` bytes long, to `sink`.
pub(crate) fn dissect_table(
    file: &StoreFile,
    file_id: u64,
    end: u64,
    sink: &mut Sink<'_>,
) -> ControlFlow<()> {
    let offset = end.saturating_sub(FOOTER_BYTES as u64);
    let count = usize::try_from(end - offset).unwrap_or(0);
    let decoded = file.read_exact(offset, count).and_then(|bytes| {
        Footer::decode(&bytes, file_id, offset).map_err(|what| file.corrupt(offset, what))
    });
    let footer = match decoded {
        Ok(footer) => footer,
        Err(error) => return sink(Item::failed(offset, error)),
    };
    sink(footer_item(offset, &footer))?;
    let parts_end = footer.end();
    let mut dissection = Dissection { file, file_id, parts_end, file_ids: Vec::new(), sink };
    dissection.filters(&footer)?;
    dissection.references(&footer)?;
    dissection.index(footer.top())
}

fn footer_item(offset: u64, footer: &Footer) -> Item {
    Item::new(offset, "footer")
        .number("file_id", footer.file_id)
        .number("blocks", footer.blocks)
        .number("partitions", footer.partitions)
        .number("index_offset", footer.index_offset)
        .number("filter_offset", footer.filter_offset)
        .number("entries", footer.entries)
        .number("sequence_min", footer.sequence_min)
        .number("sequence_max", footer.sequence_max)
}

/// A table that is being taken apart.
struct Dissection<'a, 's> {
    file: &'a StoreFile,
    file_id: u64,
    /// Where the footer begins.
    parts_end: u64,
    /// Ids of the value files that pointers name by position.
    file_ids: Vec<u64>,
    sink: &'a mut Sink<'s>,
}

impl Dissection<'_, '_> {
    fn filters(&mut self, footer: &Footer) -> ControlFlow<()> {
        let filter = self.part(footer.filter(), "filter is malformed", |payload| {
            Filter::decode(payload.clone()).map(|_| payload.len() as u64)
        })?;
        if let Some(bytes) = filter {
            (self.sink)(Item::new(footer.filter().offset, "filter").number("bytes", bytes))?;
        }
        let prefixes = self.part(footer.prefixes(), "prefix filter is malformed", |payload| {
            PrefixFilter::decode(payload).map(|_| payload.len() as u64)
        })?;
        if let Some(bytes) = prefixes {
            (self.sink)(Item::new(footer.prefixes().offset, "prefixes").number("bytes", bytes))?;
        }
        ControlFlow::Continue(())
    }

    fn references(&mut self, footer: &Footer) -> ControlFlow<()> {
        let block = footer.references();
        let records = self
            .part(block, "references are malformed", |payload| references::decode(payload))?
            .unwrap_or_default();
        for record in &records {
            let name = record.kind.file_kind().name(record.file_id);
            let item = Item::new(block.offset, "reference").text("file", name);
            (self.sink)(item.number("live_bytes", record.live_bytes))?;
        }
        self.file_ids = records.iter().map(|record| record.file_id).collect();
        ControlFlow::Continue(())
    }

    fn index(&mut self, top: TableBlock) -> ControlFlow<()> {
        let decoded = self
            .part(top, "top index is malformed", |payload| IndexBlock::decode(payload.clone()))?;
        let Some(top_index) = decoded else {
            return ControlFlow::Continue(());
        };
        for handle in (0..top_index.len()).filter_map(|at| top_index.handle(at)) {
            let block = super::table::block_of(BlockKind::Partition, &handle);
            let item = Item::new(block.offset, "partition").number("ordinal", block.ordinal);
            (self.sink)(item.key("key_last", handle.key_last))?;
            let decoded = self.part(block, "partition is malformed", |payload| {
                IndexBlock::decode(payload.clone())
            })?;
            let Some(partition) = decoded else { continue };
            for handle in (0..partition.len()).filter_map(|at| partition.handle(at)) {
                self.data(super::table::block_of(BlockKind::Data, &handle))?;
            }
        }
        ControlFlow::Continue(())
    }

    fn data(&mut self, block: TableBlock) -> ControlFlow<()> {
        let decoded = self.part(block, "block is malformed", |payload| {
            Block::new(payload.clone()).ok().map(|block| (block, payload.len() as u64))
        })?;
        let Some((decoded, payload_bytes)) = decoded else {
            return ControlFlow::Continue(());
        };
        let item = Item::new(block.offset, "block")
            .number("ordinal", block.ordinal)
            .number("frame_bytes", block.bytes)
            .number("payload_bytes", payload_bytes);
        (self.sink)(item)?;
        let mut cursor = BlockCursor::default();
        let mut entered = cursor.enter(decoded, &self.file_ids);
        while let (Ok(()), Some((key, entry))) = (entered, cursor.key().zip(cursor.entry())) {
            (self.sink)(entry_item(block.offset, key, &entry))?;
            entered = cursor.advance(&self.file_ids);
        }
        if entered.is_err() {
            let what = "malformed entry, or a pointer to a file that is not referenced";
            let offset = block.offset;
            (self.sink)(Item::damaged(offset, u64::from(block.bytes), what))?;
        }
        ControlFlow::Continue(())
    }

    /// What `decode` makes of the payload of `block`; nothing, and a damaged item, if it does not check.
    fn part<T>(
        &mut self,
        block: TableBlock,
        malformed: &'static str,
        decode: impl FnOnce(&bytes::Bytes) -> Option<T>,
    ) -> ControlFlow<(), Option<T>> {
        // An index that checks may still say anything; a length is not trusted with memory.
        if block.offset.saturating_add(u64::from(block.bytes)) > self.parts_end {
            let what = "the index leads out of the table";
            (self.sink)(Item::damaged(block.offset, u64::from(block.bytes), what))?;
            return ControlFlow::Continue(None);
        }
        let payload = match frame::read(self.file, self.file_id, block) {
            Ok(payload) => payload,
            Err(error) => {
                (self.sink)(Item::failed(block.offset, error))?;
                return ControlFlow::Continue(None);
            }
        };
        let decoded = decode(&payload);
        if decoded.is_none() {
            (self.sink)(Item::damaged(block.offset, u64::from(block.bytes), malformed))?;
        }
        ControlFlow::Continue(decoded)
    }
}

fn entry_item(offset: u64, key: &[u8], entry: &Entry) -> Item {
    let kind = match &entry.value {
        Value::Put(_) => "put",
        Value::Merge(_) => "merge",
        Value::Delete => "delete",
    };
    let item = Item::new(offset, kind).number("sequence", entry.sequence).key("key", key);
    match entry.value.payload() {
        None => item,
        Some(Payload::Inline(bytes) | Payload::Logged { bytes, .. }) => {
            item.number("value_bytes", bytes.len() as u64).digest("value_digest", digest(bytes))
        }
        Some(Payload::Stored(pointer)) => item
            .number("value_bytes", pointer.bytes)
            .number("value_file", pointer.file_id)
            .number("value_at", pointer.offset)
            .digest("value_digest", pointer.digest),
    }
}

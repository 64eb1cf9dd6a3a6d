//! What of a damaged table cannot be read: ranges of keys.
//!
//! Asked before a table is salvaged, and again while it is.
//!
//! 1. Every partition of the index is read, then every data block that it names, through the cache and without filling it.
//! 2. An unreadable block may hold keys from the last key of the block before it, which may go on in it, up to its own last
//!    key; an unreadable partition those of all its blocks.
//! 3. Neighbours become one range.
//!
//! Invariant: a cursor over keys outside of all ranges meets no unreadable block.

use bytes::Bytes;

use crate::cache::CacheUse;
use crate::error::Error;
use crate::sstable::block::BlockCursor;
use crate::sstable::frame::BlockKind;
use crate::sstable::index::{Handle, IndexBlock};

use super::walk::checked;
use super::{KeyRange, Table, block_of};

/// The ranges of keys that `table` cannot read, ascending; `each` is called with the bytes of every block after it was read.
pub(super) fn lost(table: &Table, each: &mut dyn FnMut(u64)) -> Result<Vec<KeyRange>, Error> {
    let mut lost = Lost { ranges: Vec::new(), before: table.meta.key_first.clone() };
    for at in 0..table.top.len() {
        let Some(handle) = table.top.handle(at) else { break };
        each(u64::from(handle.bytes));
        let Some(partition) = unless_corrupt(read_partition(table, &handle))? else {
            lost.note(handle.key_last);
            continue;
        };
        for at in 0..partition.len() {
            let Some(handle) = partition.handle(at) else { break };
            each(u64::from(handle.bytes));
            match unless_corrupt(walk_block(table, &handle))? {
                Some(()) => lost.before = Bytes::copy_from_slice(handle.key_last),
                None => lost.note(handle.key_last),
            }
        }
    }
    debug_assert!(lost.ranges.is_sorted_by(|left, right| left.last < right.first));
    Ok(lost.ranges)
}

struct Lost {
    ranges: Vec<KeyRange>,
    /// The last key of the block before; of the first block, its first key.
    before: Bytes,
}

impl Lost {
    /// The block that ends with `key_last` cannot be read.
    fn note(&mut self, key_last: &[u8]) {
        let last = Bytes::copy_from_slice(key_last);
        let first = std::mem::replace(&mut self.before, last.clone());
        match self.ranges.last_mut() {
            Some(range) if range.last >= first => range.last = last,
            _ => self.ranges.push(KeyRange { first, last }),
        }
    }
}

fn read_partition(table: &Table, handle: &Handle<'_>) -> Result<IndexBlock, Error> {
    let block = block_of(BlockKind::Partition, handle);
    let check = |payload| checked(table, payload).map(|(payload, _)| payload);
    let payload = table.read_through(block, CacheUse::Bypass, check)?;
    IndexBlock::of_checked(payload).ok_or_else(|| table.malformed(block.offset))
}

/// Reads a data block as far as a cursor does.
fn walk_block(table: &Table, handle: &Handle<'_>) -> Result<(), Error> {
    let block = table.read_block(handle, CacheUse::Bypass)?;
    let malformed = |_malformed| table.malformed(handle.offset);
    let mut cursor = BlockCursor::default();
    cursor.enter(block, &table.file_ids).map_err(malformed)?;
    while cursor.key().is_some() {
        cursor.advance(&table.file_ids).map_err(malformed)?;
    }
    Ok(())
}

/// `None` if what was read is damaged.
fn unless_corrupt<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Error::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

//! The two ways through a table's index.
//!
//! [`IndexWalk`] serves reads: from the block that may hold a key on, through the cache. [`Partitions`] serves the scrub:
//! all blocks from the first on, past the cache.
//!
//! Invariants
//! - A partition is read when its first block is wanted, not before.
//! - Whatever a partition says lies within the file's data blocks.

use bytes::Bytes;

use crate::cache::CacheUse;
use crate::error::Error;
use crate::sstable::frame::{BlockKind, TableBlock};
use crate::sstable::index::{Handle, IndexBlock};

use super::{Table, block_of};

/// Names the data blocks of a table, from one of them on.
pub(super) struct IndexWalk {
    fill: CacheUse,
    /// Position of the partition behind the current one, in the top index.
    partition_next: usize,
    partition: Option<IndexBlock>,
    /// Position of the next block, in the current partition.
    at: usize,
}

impl IndexWalk {
    /// A walk from the first block of `table` that may hold keys from `key` on.
    pub(super) fn start(table: &Table, key: &[u8], fill: CacheUse) -> Result<IndexWalk, Error> {
        let first = table.top.first_for(key);
        let mut walk = IndexWalk { fill, partition_next: first, partition: None, at: 0 };
        walk.load(table)?;
        walk.at = walk.partition.as_ref().map_or(0, |partition| partition.first_for(key));
        Ok(walk)
    }

    /// A walk that is at its end.
    pub(super) fn ended(fill: CacheUse) -> IndexWalk {
        IndexWalk { fill, partition_next: usize::MAX, partition: None, at: 0 }
    }

    /// The next block, or `None` at the end.
    pub(super) fn next(&mut self, table: &Table) -> Result<Option<Handle<'_>>, Error> {
        if self.partition.as_ref().is_some_and(|partition| self.at >= partition.len()) {
            self.load(table)?;
        }
        let handle = self.partition.as_ref().and_then(|partition| partition.handle(self.at));
        debug_assert!(handle.is_some() || self.partition.is_none());
        self.at += 1;
        Ok(handle)
    }

    /// Moves to the first block of the next partition, if there is one.
    fn load(&mut self, table: &Table) -> Result<(), Error> {
        self.at = 0;
        self.partition = match table.top.handle(self.partition_next) {
            None => None,
            Some(handle) => {
                let block = block_of(BlockKind::Partition, &handle);
                let check = |payload| checked(table, payload).map(|(payload, _)| payload);
                let payload = table.read_through(block, self.fill, check)?;
                let partition = IndexBlock::of_checked(payload);
                Some(partition.ok_or_else(|| table.malformed(block.offset))?)
            }
        };
        self.partition_next += 1;
        Ok(())
    }
}

/// The payload if it is a partition within the table's data blocks.
pub(super) fn checked(table: &Table, payload: Bytes) -> Option<(Bytes, IndexBlock)> {
    let partition = IndexBlock::decode(payload.clone())?;
    let (ordinals, offset) = partition.ends();
    let inside = ordinals <= u64::from(table.footer.blocks) && offset <= table.footer.index_offset;
    inside.then_some((payload, partition))
}

/// All data blocks of a table with their last keys, from disk; ends after the first error.
///
/// Partitions must adjoin, end with the keys that the top index says, and name exactly the footer's blocks.
pub(super) struct Partitions<'a> {
    table: &'a Table,
    partition_next: usize,
    partition: Option<IndexBlock>,
    at: usize,
    /// Where the blocks named so far end, and how many they are.
    reached: (u64, u64),
}

impl<'a> Partitions<'a> {
    /// From the first block of `table` on.
    pub(super) fn new(table: &'a Table) -> Partitions<'a> {
        Partitions { table, partition_next: 0, partition: None, at: 0, reached: (0, 0) }
    }

    fn step(&mut self) -> Result<Option<(TableBlock, Bytes)>, Error> {
        let handle = loop {
            match self.partition.as_ref().and_then(|partition| partition.handle(self.at)) {
                Some(handle) => break handle,
                None if self.partition_next == self.table.top.len() => return Ok(None),
                None => self.load()?,
            }
        };
        self.at += 1;
        Ok(Some((block_of(BlockKind::Data, &handle), Bytes::copy_from_slice(handle.key_last))))
    }

    fn load(&mut self) -> Result<(), Error> {
        let table = self.table;
        let Some(handle) = table.top.handle(self.partition_next) else {
            return Err(table.malformed(table.footer.top().offset));
        };
        let disagree = || table.file.corrupt(handle.offset, "partitions and top index disagree");
        let payload = table.read_frame(block_of(BlockKind::Partition, &handle))?;
        let (_, partition) =
            checked(table, payload).ok_or_else(|| table.malformed(handle.offset))?;
        let last = partition.handle(partition.len() - 1);
        if partition.begins() != self.reached
            || last.is_none_or(|last| last.key_last != handle.key_last)
        {
            return Err(disagree());
        }
        self.reached = partition.ends();
        self.partition_next += 1;
        let whole = (u64::from(table.footer.blocks), table.footer.index_offset);
        if self.partition_next == table.top.len() && self.reached != whole {
            return Err(disagree());
        }
        self.partition = Some(partition);
        self.at = 0;
        Ok(())
    }
}

impl Iterator for Partitions<'_> {
    type Item = Result<(TableBlock, Bytes), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step().transpose();
        if matches!(item, Some(Err(_))) {
            self.partition = None;
            self.partition_next = self.table.top.len();
        }
        item
    }
}

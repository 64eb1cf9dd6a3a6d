//! [`TableCursor`]: walks the entries of a table in key order, one block in memory at a time.
//!
//! The leaf of every scan and compaction.
//!
//! 1. It stands on an entry from the beginning on, and lends its key: nothing is copied or allocated for an entry.
//! 2. The last key of a block says whether the end of the range lies in it; only then are keys compared with the end.
//!
//! Invariant: at the end of the range, and after an error, it stands on nothing, for good.

use std::sync::Arc;

use crate::cache::CacheUse;
use crate::entry::Entry;
use crate::error::Error;
use crate::sstable::block::{BlockCursor, Malformed};

use super::Table;
use super::walk::IndexWalk;

/// Stands on an entry of a table, or at the end of its range.
pub(crate) struct TableCursor {
    table: Arc<Table>,
    fill: CacheUse,
    walk: IndexWalk,
    block: BlockCursor,
    /// Offset of the current block, for errors.
    block_offset: u64,
    end: Option<Box<[u8]>>,
    reach: Reach,
}

/// How far the range goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// All entries of the current block are before its end.
    BeyondBlock,
    /// It ends in the current block.
    WithinBlock,
    /// It has ended.
    Done,
}

impl TableCursor {
    /// Stands on the first entry of `table` from `start` on, before `end`.
    pub(super) fn new(
        table: Arc<Table>,
        start: &[u8],
        end: Option<&[u8]>,
        fill: CacheUse,
    ) -> Result<TableCursor, Error> {
        let walk = if table.may_contain_range(start, end) {
            IndexWalk::start(&table, start, fill)?
        } else {
            IndexWalk::ended(fill)
        };
        let mut cursor = TableCursor {
            fill,
            walk,
            block: BlockCursor::default(),
            block_offset: 0,
            end: end.map(Box::from),
            reach: Reach::BeyondBlock,
            table,
        };
        cursor.enter_next()?;
        if cursor.reach != Reach::Done {
            let sought = cursor.block.seek(start, &cursor.table.file_ids);
            sought.map_err(|malformed| cursor.malformed(malformed))?;
        }
        cursor.settle()?;
        Ok(cursor)
    }

    /// The current key; `None` at the end.
    #[inline]
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.block.key()
    }

    /// The current entry; an inline payload is a slice of the block. Costs a reference count, so that walking without
    /// asking is cheaper.
    #[inline]
    pub(crate) fn entry(&self) -> Option<Entry> {
        self.block.entry()
    }

    /// The error of an entry that is not older than those of newer tables; ends the walk.
    pub(crate) fn out_of_order(&mut self) -> Error {
        self.malformed(Malformed)
    }

    /// Moves to the next entry, or to the end.
    ///
    /// # Errors
    /// The cursor is at its end then, and stays there.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<(), Error> {
        debug_assert!(self.reach != Reach::Done || self.key().is_none());
        match self.block.advance(&self.table.file_ids) {
            // The usual case: another entry of a block that lies within the range.
            Ok(()) if self.reach == Reach::BeyondBlock && self.block.key().is_some() => Ok(()),
            Ok(()) => self.settle(),
            Err(malformed) => Err(self.malformed(malformed)),
        }
    }

    /// Enters blocks until one has an entry, and stops at the end of the range.
    fn settle(&mut self) -> Result<(), Error> {
        while self.reach == Reach::BeyondBlock && self.block.key().is_none() {
            self.enter_next()?;
        }
        let end = self.end.as_deref().filter(|_| self.reach == Reach::WithinBlock);
        let ended = match (self.block.key(), end) {
            (Some(key), Some(end)) => key >= end,
            (Some(_), None) => false,
            (None, _) => true,
        };
        if ended {
            self.finish();
        }
        Ok(())
    }

    /// Enters the next block; ends the range if there is none.
    fn enter_next(&mut self) -> Result<(), Error> {
        let entered = self.try_enter_next();
        if entered.is_err() {
            self.finish();
        }
        entered
    }

    fn try_enter_next(&mut self) -> Result<(), Error> {
        let Some(handle) = self.walk.next(&self.table)? else {
            self.finish();
            return Ok(());
        };
        let ends_here = self.end.as_deref().is_some_and(|end| handle.key_last >= end);
        self.reach = if ends_here { Reach::WithinBlock } else { Reach::BeyondBlock };
        self.block_offset = handle.offset;
        let block = self.table.read_block(&handle, self.fill)?;
        self.block
            .enter(block, &self.table.file_ids)
            .map_err(|_malformed| self.table.malformed(self.block_offset))
    }

    fn finish(&mut self) {
        self.reach = Reach::Done;
        self.block.leave();
        debug_assert!(self.key().is_none());
    }

    fn malformed(&mut self, _malformed: Malformed) -> Error {
        self.finish();
        self.table.malformed(self.block_offset)
    }
}

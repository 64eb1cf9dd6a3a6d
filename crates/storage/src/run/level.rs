//! [`LevelCursor`]: one run over the tables of a level, each opened when the one before it ends.
//!
//! Invariant: tables are in key order and do not overlap, so that their cursors in turn are in key order.

use std::sync::Arc;

use bytes::Bytes;

use crate::cache::CacheUse;
use crate::entry::Entry;
use crate::error::Error;
use crate::fold::Stack;
use crate::sstable::{Table, TableCursor};

use super::take_entry;

/// A table, from some key on.
#[derive(Clone)]
pub(crate) struct TablePart {
    /// The open file.
    pub(crate) table: Arc<Table>,
    /// The lowest key that belongs to the part.
    pub(crate) key_first: Bytes,
}

impl TablePart {
    /// A cursor over the part's keys from `start` on, before `end`. Leaves the cache as it is.
    pub(crate) fn cursor(&self, start: &[u8], end: Option<&[u8]>) -> Result<TableCursor, Error> {
        let start = start.max(self.key_first.as_ref());
        self.table.cursor(start, end, CacheUse::Bypass)
    }
}

/// Stands at an entry until it is taken.
pub(crate) struct LevelCursor {
    current: Option<TableCursor>,
    rest: std::vec::IntoIter<TablePart>,
    start: Bytes,
    end: Option<Bytes>,
}

impl LevelCursor {
    /// A cursor over keys of `tables` from `start` on, before `end`.
    pub(crate) fn new(
        tables: Vec<TablePart>,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<LevelCursor, Error> {
        let apart =
            |left: &TablePart, right: &TablePart| left.table.meta().key_last < right.key_first;
        debug_assert!(tables.is_sorted_by(apart));
        let mut cursor = LevelCursor {
            current: None,
            rest: tables.into_iter(),
            start: Bytes::copy_from_slice(start),
            end: end.map(Bytes::copy_from_slice),
        };
        cursor.go_on()?;
        Ok(cursor)
    }

    /// The key of the entry it stands at; `None` at the end.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.current.as_ref().and_then(TableCursor::key)
    }

    /// Takes that entry, which is to be pushed on `stack` if that is not settled, and moves on.
    pub(super) fn take(&mut self, stack: &Stack) -> Result<Option<Entry>, Error> {
        let Some(current) = &mut self.current else {
            return Ok(None);
        };
        let entry = take_entry(current, stack)?;
        if current.key().is_none() {
            self.go_on()?;
        }
        Ok(entry)
    }

    /// Opens tables until one has an entry.
    fn go_on(&mut self) -> Result<(), Error> {
        self.current = None;
        for live in self.rest.by_ref() {
            let cursor = live.cursor(&self.start, self.end.as_deref())?;
            if cursor.key().is_some() {
                self.current = Some(cursor);
                return Ok(());
            }
        }
        Ok(())
    }
}

//! Keeps the key tree in memory: blocks of tables that mostly hold pointers are read into the cache ahead of their use.
//!
//! Entered by `maintain` while nobody writes.
//!
//! 1. A table is a part of the key tree if its entries are short: pointers to separated values.
//! 2. One table after the other is walked, filling the cache, as long as all of them fit in half of it.
//!
//! A cold read of a separated value then costs one device read, after a restart as well as after a compaction.
//!
//! Invariant: each table is walked once; what reads push out again is not worth keeping.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cache::CacheUse;
use crate::error::Error;
use crate::sstable::Table;

use super::{Engine, Work};

/// Bytes per entry up to which a table counts as a part of the key tree: a pointer, and a key of some length.
const ENTRY_BYTES_MAX: u64 = 128;

impl Engine {
    /// Reads one table into the cache, if one is left that fits.
    pub(super) fn warm_table(&self) -> Result<Option<Work>, Error> {
        let version = Arc::clone(&self.current_tree().version);
        let tables: Vec<&Arc<Table>> = version.tables().map(|(_, live)| &live.table).collect();
        let keys = tables.into_iter().filter(|table| holds_keys(table));
        let mut room = self.options.cache_bytes / 2;
        let mut next = None;
        {
            let mut warmed = self.warmed.lock();
            let mut live = BTreeSet::new();
            for table in keys {
                let meta = table.meta();
                if warmed.contains(&meta.file_id) {
                    room = room.saturating_sub(meta.bytes);
                    live.insert(meta.file_id);
                } else if next.is_none() {
                    next = Some(table);
                }
            }
            next = next.filter(|table| table.meta().bytes <= room);
            live.extend(next.map(|table| table.meta().file_id));
            *warmed = live;
        }
        let Some(table) = next else {
            return Ok(None);
        };
        let mut cursor = table.cursor(&[], None, CacheUse::Fill)?;
        while cursor.key().is_some() {
            cursor.advance()?;
        }
        Ok(Some(Work::Warming))
    }
}

fn holds_keys(table: &Table) -> bool {
    let meta = table.meta();
    !table.references().is_empty() && meta.bytes <= meta.entries * ENTRY_BYTES_MAX
}

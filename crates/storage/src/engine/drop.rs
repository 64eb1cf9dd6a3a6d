//! Dropping a range of keys at once.
//!
//! Entered through `Engine::drop_range`.
//!
//! 1. Seal the active memtable; fix the sequence number up to which the range is dropped, and make everything up to it
//!    durable: after a crash no new write may get a number that counts as dropped.
//! 2. Wait for running flushes and compactions, which do not know of the drop.
//! 3. Commit the drop, together with the removal of tables that lie in the range.
//!    Recovery, which has one memtable for all of the log, replays what was dropped as deletes.
//! 4. Maintenance rewrites the tables that hold a part of it; the last one retires the drop (`install.rs`).

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::dropped::DroppedRange;
use crate::error::Error;
use crate::sstable::Table;
use crate::version::{LiveTable, Version};

use super::Engine;
use super::install::Change;

impl Engine {
    pub(super) fn drop_keys(&self, range: Range<&[u8]>) -> Result<(), Error> {
        self.health.check_writable()?;
        if range.start >= range.end {
            return Ok(());
        }
        let (sequence, plan) = {
            let mut writing = self.writing.lock();
            // A memtable stores joins of a hot key's operands: none of them may cover what is dropped and what is not.
            self.seal(&mut writing.log)?;
            (writing.log.active().sequence_last(), writing.log.plan_sync())
        };
        self.run_syncs(&plan)?;
        let _flushing = self.flushing.lock();
        let _compacting = self.compacting.lock();
        let dropped = DroppedRange {
            id: self.file_ids.mint(),
            start: Bytes::copy_from_slice(range.start),
            end: Bytes::copy_from_slice(range.end),
            sequence,
        };
        let version = Arc::clone(&self.current_tree().version);
        let whole: Vec<Arc<Table>> = version
            .tables()
            .filter(|(_, live)| dropped.covers(live.key_first(), live.key_last()))
            .map(|(_, live)| Arc::clone(&live.table))
            .collect();
        assert!(whole.iter().all(|table| table.meta().sequence_max <= sequence));
        drop(version);
        let change = Change {
            removes: whole.iter().map(|table| table.meta().file_id).collect(),
            obsolete: whole,
            drops: vec![dropped],
            ..Change::default()
        };
        self.install(change, None)?;
        self.sweep();
        Ok(())
    }
}

/// Whether `live` was written before `dropped` and may hold some of it.
pub(super) fn may_hold(live: &LiveTable, dropped: &DroppedRange) -> bool {
    live.file_id() < dropped.id
        && live.key_last() >= &dropped.start
        && live.key_first() < &dropped.end
        && live.table.may_contain_range(&dropped.start, Some(&dropped.end))
}

/// Drops of `version` that no table may hold any of, given that everything up to `flushed` is in tables.
pub(super) fn finished_drops(version: &Version, flushed: u64) -> Vec<u64> {
    let done = |dropped: &&DroppedRange| {
        dropped.sequence <= flushed && !version.tables().any(|(_, live)| may_hold(live, dropped))
    };
    version.dropped().iter().filter(done).map(|dropped| dropped.id).collect()
}

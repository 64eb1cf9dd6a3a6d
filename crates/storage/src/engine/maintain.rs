//! Background work in bounded units: flush, compaction, relocation, removal of files.
//!
//! The node calls `maintain` in a loop from a thread, the simulator inline; writers under back-pressure enter the same
//! functions. The engine itself starts nothing.
//!
//! 1. Unlink files that no version needs and no reader pins any more.
//! 2. Prepare the next log segment before the active one is full, so that no writer waits for that.
//! 3. If a memtable is sealed, flush the oldest one into a level-0 table.
//! 4. With `Durability::Periodic`, sync the log when much of it is not: short syncs often, instead of a long one that a
//!    flush has to wait for.
//! 5. Otherwise do one unit of compaction or relocation, or a piece of one that another thread is at.
//! 6. While nobody writes, read the key tree into the cache.

use std::sync::atomic::Ordering;

use atoll_seeded_bug::{Mutant, seeded_bug};

use crate::compaction::Demand;
use crate::error::Error;
use crate::options::Durability;

use super::{Budget, Engine, Pending, Progress, Work};

/// Calls of maintenance without a write between them after which nobody is writing: a writer that lost its processor for
/// a moment is still at work.
const CALM_CALLS: u64 = 4;

/// Unsynced bytes of log that maintenance syncs: 8 MiB take about 10 ms.
const WRITE_BEHIND_BYTES: u64 = 8 * 1_024 * 1_024;

impl Engine {
    pub(super) fn maintain_once(&self, budget: Budget) -> Result<Progress, Error> {
        self.health.check_writable()?;
        self.sweep();
        self.prepare_spare()?;
        let demand = self.observe_demand();
        let mut did = None;
        if let Some(_flushing) = self.flushing.try_lock() {
            did = self.flush_oldest()?;
        }
        self.write_behind()?;
        let mut more = !self.tree.load().sealed.is_empty();
        if let Some(mut compacting) = self.compacting.try_lock() {
            if did.is_none() {
                did = self.compact_unit(&mut compacting, budget, demand)?;
            }
            more |= did.is_some() && self.wants_compaction(&mut compacting, demand);
        } else if did.is_none() && self.help() {
            (did, more) = (Some(Work::Compaction), true);
        }
        if did.is_none() && demand == Demand::Calm {
            // A table that cannot be read is no reason to stop: whoever reads it is told.
            did = self.warm_table().unwrap_or_default();
        }
        Ok(match did {
            Some(did) => {
                let pending = if more { Pending::More } else { Pending::Nothing };
                Progress::Worked { did, pending }
            }
            None => Progress::Idle,
        })
    }

    /// Whether something was written between the last calls.
    fn observe_demand(&self) -> Demand {
        let visible = self.sequence_visible.load(Ordering::Relaxed);
        if self.sequence_maintained.swap(visible, Ordering::Relaxed) != visible {
            self.calm_calls.store(0, Ordering::Relaxed);
            return Demand::Busy;
        }
        let calls = self.calm_calls.fetch_add(1, Ordering::Relaxed);
        if calls < CALM_CALLS { Demand::Busy } else { Demand::Calm }
    }

    /// Prepares a segment once the active memtable is half full.
    fn prepare_spare(&self) -> Result<(), Error> {
        let memtable = self.tree.load().active.bytes();
        let log = self.wal_bytes.load(Ordering::Relaxed);
        let is_near = memtable >= self.options.memtable_bytes_max / 2
            || log >= self.options.wal_segment_bytes_max / 2;
        let Some(mut spare) = self.spare.try_lock() else {
            return Ok(());
        };
        if is_near && (spare.is_none() || seeded_bug(Mutant::SpareForgotten)) {
            // Without room on the disk there is none; writers find out for themselves.
            match self.prepare_segment() {
                Ok(segment) => *spare = Some(segment),
                Err(Error::Overloaded { .. } | Error::Disk { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write_behind(&self) -> Result<(), Error> {
        if self.options.durability == Durability::Fsync {
            return Ok(());
        }
        let unsynced = self.durable.unsynced_bytes(self.wal_bytes.load(Ordering::Relaxed));
        if unsynced < WRITE_BEHIND_BYTES {
            return Ok(());
        }
        let plan = self.writing.lock().log.plan_sync();
        self.run_syncs(&plan)
    }
}

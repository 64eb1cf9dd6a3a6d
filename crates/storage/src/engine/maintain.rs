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
//! 5. Otherwise do one unit of compaction or relocation.

use crate::error::Error;
use crate::options::Durability;

use super::{Budget, Engine, Pending, Progress};

/// Unsynced bytes of log that maintenance syncs: 8 MiB take about 10 ms.
const WRITE_BEHIND_BYTES: u64 = 8 * 1_024 * 1_024;

impl Engine {
    pub(super) fn maintain_once(&self, budget: Budget) -> Result<Progress, Error> {
        self.health.check_writable()?;
        self.sweep();
        self.prepare_spare()?;
        let mut did = None;
        if let Some(_flushing) = self.flushing.try_lock() {
            did = self.flush_oldest()?;
        }
        self.write_behind()?;
        let mut more = !self.tree.load().sealed.is_empty();
        if let Some(mut compacting) = self.compacting.try_lock() {
            if did.is_none() {
                did = self.compact_unit(&mut compacting, budget)?;
            }
            more |= did.is_some() && self.wants_compaction(&mut compacting);
        }
        Ok(match did {
            Some(did) => {
                let pending = if more { Pending::More } else { Pending::Nothing };
                Progress::Worked { did, pending }
            }
            None => Progress::Idle,
        })
    }

    /// Prepares a segment once the active memtable is half full.
    fn prepare_spare(&self) -> Result<(), Error> {
        let memtable = self.tree.load().active.bytes();
        let log = self.wal_bytes.load(std::sync::atomic::Ordering::Relaxed);
        let is_near = memtable >= self.options.memtable_bytes_max / 2
            || log >= self.options.wal_segment_bytes_max / 2;
        let Some(mut spare) = self.spare.try_lock() else {
            return Ok(());
        };
        if is_near && spare.is_none() {
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
        let unsynced =
            self.durable.unsynced_bytes(self.wal_bytes.load(std::sync::atomic::Ordering::Relaxed));
        if unsynced < WRITE_BEHIND_BYTES {
            return Ok(());
        }
        let plan = self.writing.lock().log.plan_sync();
        self.run_syncs(&plan)
    }
}

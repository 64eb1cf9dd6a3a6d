//! Flush: a sealed memtable becomes a table of level 0, its log segment a value file.
//!
//! Entered by `maintain`, and by writers when too many memtables wait.
//!
//! 1. Sync the memtable's segment and those before it (they are synced already with `Durability::Fsync`).
//! 2. Write the keys, with small values inline and pointers into the segment for large ones.
//! 3. Commit the table and the log's new low-water mark.
//! 4. Unlink the segment if nothing points into it; otherwise it lives as long as its values.
//!
//! Invariants
//! - Order on disk: values synced, table synced, directory synced, manifest edit synced, and only then anything unlinked.
//! - Memtables are flushed oldest first, so that level 0 is ordered by age and the log shrinks from its old end.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_seeded_bug::{Mutant, seeded_bug};

use crate::compaction::{Outputs, Placing};
use crate::error::Error;
use crate::files::FileKind;
use crate::fold::Floor;
use crate::manifest::TableRecord;
use crate::memtable::Memtable;
use crate::sstable::Table;

use super::install::{Change, Flushed};
use super::removal::Removal;
use super::{Engine, Work};

impl Engine {
    /// Flushes the oldest sealed memtable, if there is one. The caller holds the flushing lock.
    pub(super) fn flush_oldest(&self) -> Result<Option<Work>, Error> {
        self.health.check_readable()?;
        let tree = self.current_tree();
        let Some(memtable) = tree.sealed.last() else {
            return Ok(None);
        };
        let segment_id = memtable.segment_id();
        if !seeded_bug(Mutant::FlushedSegmentNotSynced) {
            self.run_syncs(&self.durable.plan_sealed(segment_id))?;
        }
        let tables = self.health.settle(self.write_memtable(memtable))?;
        assert!(tables.iter().all(|t| t.meta().sequence_max <= memtable.sequence_last()));
        let newer = tree.sealed.iter().rev().nth(1).unwrap_or(&tree.active);
        let record = |table: &Arc<Table>| TableRecord {
            level: 0,
            meta: table.meta().clone(),
            trimmed_to: None,
        };
        let flushed =
            Flushed { sequence: memtable.sequence_last(), segment_low_water: newer.segment_id() };
        assert!(flushed.segment_low_water > segment_id, "the log moves forward");
        let name = FileKind::Segment.name(segment_id);
        if seeded_bug(Mutant::WalRemovedBeforeManifest) {
            self.unlink(&name);
        }
        let points_here = |table: &Arc<Table>| {
            table.references().iter().any(|reference| reference.file.file_id() == segment_id)
        };
        let stays = tables.iter().any(points_here);
        let adds = tables.iter().map(record).collect();
        let change = Change { adds, opened: tables, ..Change::default() };
        self.install(change, Some(flushed))?;
        if !stays || seeded_bug(Mutant::PointedSegmentUnlinked) {
            self.removals.lock().push(Removal::unread(name));
        }
        self.counters.flushes.add(1);
        self.sweep();
        Ok(Some(Work::Flush))
    }

    /// One table, or none if all was dropped.
    fn write_memtable(&self, memtable: &Arc<Memtable>) -> Result<Vec<Arc<Table>>, Error> {
        let version = Arc::clone(&self.current_tree().version);
        let reading = self.reading(&version);
        let placing = Placing {
            logged_in: Some(memtable.segment_id()),
            leaving: BTreeSet::new(),
            compression: self.options.compression,
            table_bytes: u64::MAX,
            mended: Vec::new(),
        };
        let mut outputs = Outputs::new(self.making(&reading), placing);
        memtable.walk(version.dropped(), |key, stack| {
            let fold = stack.fold(key, Floor::Maybe, &*self.merge, &reading)?;
            outputs.add(key, fold).map(|_bytes| ())
        })?;
        let finished = outputs.finish()?;
        self.counters.count_outputs(&finished.counts);
        self.counters.flushed_bytes.add(finished.counts.table_bytes + finished.counts.value_bytes);
        assert!(finished.tables.len() <= 1, "a flush does not split");
        Ok(finished.tables)
    }
}

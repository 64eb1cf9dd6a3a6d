//! Background work in bounded units: flush, compaction, removal of files.
//!
//! The node calls `maintain` in a loop from a thread, the simulator inline; writers under back-pressure enter the same
//! functions. The engine itself starts nothing.
//!
//! 1. Unlink files that no version needs and no reader pins any more.
//! 2. If a memtable is sealed, flush the oldest one into a level-0 table.
//! 3. Otherwise do one unit of the compaction that `pick` chooses.
//!
//! Invariants
//! - Order on disk: table data synced, directory synced, manifest edit synced, and only then anything unlinked.
//! - Memtables are flushed oldest first, so that level 0 is ordered by age and the log shrinks from its old end.
//! - A table's file is unlinked only when the removal list holds its last reference.

use std::sync::Arc;

use atoll_seeded_bug::{Mutant, seeded_bug};

use crate::compaction::pick::{Allowance, Choice, Shape, TableProgress, choose};
use crate::compaction::{Job, Outputs, execute};
use crate::error::Error;
use crate::files::FileKind;
use crate::fold::{Floor, Stack};
use crate::manifest::{Edit, Manifest, State, TableRecord};
use crate::memtable::Memtable;
use crate::run::MergedRuns;
use crate::sstable::Table;
use crate::version::{LEVELS, LiveTable, Version};

use super::view::Tree;
use super::{Budget, Engine, Pending, Progress, Work};

/// A file that has left the store.
pub(super) struct Removal {
    name: String,
    /// Kept until nobody else holds it.
    table: Option<Arc<Table>>,
}

impl Removal {
    fn is_free(&self) -> bool {
        self.table.as_ref().is_none_or(|table| Arc::strong_count(table) == 1)
    }
}

impl Engine {
    pub(super) fn maintain_once(&self, budget: Budget) -> Result<Progress, Error> {
        self.health.check_writable()?;
        self.sweep();
        if let Some(_flushing) = self.flushing.try_lock()
            && self.flush_oldest()? == Some(Work::Flush)
        {
            return Ok(self.worked(Work::Flush));
        }
        if let Some(_compacting) = self.compacting.try_lock()
            && self.compact_unit(budget)? == Some(Work::Compaction)
        {
            return Ok(self.worked(Work::Compaction));
        }
        Ok(Progress::Idle)
    }

    /// Flushes the oldest sealed memtable, if there is one. The caller holds the flushing lock.
    pub(super) fn flush_oldest(&self) -> Result<Option<Work>, Error> {
        self.health.check_readable()?;
        let tree = self.current_tree();
        let Some(memtable) = tree.sealed.last() else {
            return Ok(None);
        };
        let table = self.health.settle(self.write_table(memtable))?;
        assert!(table.meta().sequence_max <= memtable.sequence_last());
        let newer = tree.sealed.iter().rev().nth(1).unwrap_or(&tree.active);
        let record = TableRecord { level: 0, meta: table.meta().clone(), trimmed_to: None };
        let flushed =
            Flushed { sequence: memtable.sequence_last(), segment_low_water: newer.segment_id() };
        assert!(flushed.segment_low_water > memtable.segment_id(), "the log moves forward");
        if seeded_bug(Mutant::WalRemovedBeforeManifest) {
            self.unlink(&FileKind::Segment.name(memtable.segment_id()));
        }
        self.install(Vec::new(), vec![record], &[table], Some(flushed))?;
        let name = FileKind::Segment.name(memtable.segment_id());
        self.removals.lock().push(Removal { name, table: None });
        self.counters.flushes.add(1);
        self.sweep();
        Ok(Some(Work::Flush))
    }

    /// Does one unit of compaction, if one is due. The caller holds the compacting lock.
    pub(super) fn compact_unit(&self, budget: Budget) -> Result<Option<Work>, Error> {
        self.health.check_readable()?;
        let version = Arc::clone(&self.current_tree().version);
        let Choice::Merge(inputs) = self.choose(&version) else {
            return Ok(None);
        };
        let job = Job {
            disk: &*self.disk,
            options: &self.options,
            merge: &*self.merge,
            file_ids: &self.file_ids,
            // Less than a table per unit would leave many small tables behind.
            budget_bytes: budget.bytes.max(self.options.table_bytes),
        };
        assert!(job.budget_bytes > 0);
        let outcome = self.health.settle(execute(&job, &version, &inputs))?;
        drop(version);
        self.install(outcome.removes, outcome.adds, &outcome.opened, None)?;
        let obsolete = outcome.obsolete.into_iter().map(|table| Removal {
            name: FileKind::Table.name(table.meta().file_id),
            table: Some(table),
        });
        self.removals.lock().extend(obsolete);
        self.counters.compactions.add(1);
        self.counters.compaction_bytes.add(outcome.taken_bytes);
        self.counters.merge_failures.add(outcome.unfolded_keys);
        self.sweep();
        Ok(Some(Work::Compaction))
    }

    /// Unlinks what nobody needs. A failure is tried again the next time.
    pub(super) fn sweep(&self) {
        let mut removals = self.removals.lock();
        removals.retain(|removal| !removal.is_free() || !self.unlink(&removal.name));
    }

    /// Whether the file is gone.
    fn unlink(&self, name: &str) -> bool {
        match self.disk.remove(name) {
            Ok(()) => true,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }

    fn write_table(&self, memtable: &Arc<Memtable>) -> Result<Arc<Table>, Error> {
        let mut merged =
            MergedRuns::new(vec![Box::new(memtable.cursor(&[], None, memtable.sequence_last()))])?;
        let mut outputs = Outputs::new(&*self.disk, &self.options, &self.file_ids, u64::MAX);
        let mut stack = Stack::default();
        while let Some((key, _)) = merged.next_key(&mut stack)? {
            outputs.add(&key, &stack.fold(&key, &*self.merge, Floor::Maybe))?;
        }
        self.counters.merge_failures.add(outputs.unfolded_keys());
        let mut tables = outputs.finish()?;
        assert!(tables.len() == 1, "a sealed memtable has entries, and flush does not split");
        Ok(tables.swap_remove(0))
    }

    /// Commits a change of the table set, then shows it to reads.
    fn install(
        &self,
        removes: Vec<u64>,
        adds: Vec<TableRecord>,
        opened: &[Arc<Table>],
        flushed: Option<Flushed>,
    ) -> Result<(), Error> {
        let mut manifest = self.manifest.lock();
        self.health.check_readable()?;
        let state = manifest.state();
        let edit = Edit {
            removes,
            adds,
            sequence_flushed: flushed.map_or(state.sequence_flushed, |flushed| flushed.sequence),
            segment_low_water: flushed
                .map_or(state.segment_low_water, |flushed| flushed.segment_low_water),
            file_id_next: self.file_ids.next(),
        };
        if let Err(error) = self.health.settle(manifest.commit(&edit)) {
            self.abandon(opened, &error);
            return Err(error);
        }
        let version = Arc::new(self.current_tree().version.apply(&edit, opened));
        self.replace_tree(|tree| {
            let mut sealed = tree.sealed.clone();
            if let Some(flushed) = flushed {
                let gone = sealed.pop();
                assert!(gone.is_some_and(|oldest| oldest.sequence_last() == flushed.sequence));
            }
            Tree { active: Arc::clone(&tree.active), sealed, version }
        });
        self.rewrite_manifest(&mut manifest)
    }

    /// Removes new tables that a full disk kept out of the manifest. After a failed sync they may be in it.
    fn abandon(&self, opened: &[Arc<Table>], error: &Error) {
        if matches!(error, Error::Overloaded { .. }) {
            let names = opened.iter().map(|table| FileKind::Table.name(table.meta().file_id));
            let orphans = names.map(|name| Removal { name, table: None });
            self.removals.lock().extend(orphans);
        }
    }

    fn rewrite_manifest(&self, manifest: &mut Manifest) -> Result<(), Error> {
        if !manifest.wants_rewrite() {
            return Ok(());
        }
        let file_id = self.file_ids.mint();
        let state = State { file_id_next: self.file_ids.next(), ..manifest.state().clone() };
        let name = FileKind::Manifest.name(manifest.file_id());
        match self.health.settle(Manifest::create(&*self.disk, file_id, state)) {
            Ok(fresh) => {
                *manifest = fresh;
                self.removals.lock().push(Removal { name, table: None });
                Ok(())
            }
            Err(poisoned @ Error::Poisoned { .. }) => Err(poisoned),
            Err(_) => {
                // The long manifest still works; the next edit tries again.
                let name = FileKind::Manifest.name(file_id);
                self.removals.lock().push(Removal { name, table: None });
                Ok(())
            }
        }
    }

    fn choose(&self, version: &Version) -> Choice {
        let levels: Vec<Vec<_>> =
            (0..LEVELS).map(|level| version.level(level).iter().map(shape).collect()).collect();
        let allowance = Allowance {
            tables_l0: self.options.tables_l0_trigger,
            level_bytes_base: self.options.level_bytes_base,
        };
        choose(&levels, allowance)
    }

    fn worked(&self, did: Work) -> Progress {
        let tree = self.current_tree();
        let idle = tree.sealed.is_empty() && self.choose(&tree.version) == Choice::Nothing;
        Progress::Worked { did, pending: if idle { Pending::Nothing } else { Pending::More } }
    }
}

/// How far a flush moves the log.
#[derive(Clone, Copy)]
struct Flushed {
    sequence: u64,
    segment_low_water: u64,
}

fn shape(live: &LiveTable) -> Shape {
    Shape {
        file_id: live.file_id(),
        bytes: live.table.meta().bytes,
        key_first: live.key_first().clone(),
        key_last: live.key_last().clone(),
        progress: match live.trimmed_to {
            Some(_) => TableProgress::Trimmed,
            None => TableProgress::Whole,
        },
    }
}

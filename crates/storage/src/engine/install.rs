//! Installing a change of the table set: first in the manifest, then for reads.
//!
//! Used by flush, compaction and relocation.
//!
//! 1. Commit the edit; from here on a crash finds the new tables.
//! 2. Replace the tree as a whole.
//! 3. What left, tables and value files, waits in the removal list for its last reader.
//!
//! Invariant: nothing is unlinked before the edit that drops it is durable.

use std::sync::Arc;

use atoll_seeded_bug::{Mutant, seeded_bug};

use crate::compaction::Outcome;
use crate::dropped::DroppedRange;
use crate::error::Error;
use crate::files::FileKind;
use crate::manifest::{Edit, Manifest, State, TableRecord};
use crate::sstable::Table;
use crate::value_log::ValueKind;
use crate::version::Version;

use super::Engine;
use super::drop::finished_drops;
use super::removal::Removal;
use super::view::Tree;

/// A change of the table set.
#[derive(Default)]
pub(super) struct Change {
    /// Tables that leave, or come back with another record.
    pub(super) removes: Vec<u64>,
    /// Tables that join, or come back.
    pub(super) adds: Vec<TableRecord>,
    /// New tables, open.
    pub(super) opened: Vec<Arc<Table>>,
    /// Tables that leave for good.
    pub(super) obsolete: Vec<Arc<Table>>,
    /// Ranges that are dropped.
    pub(super) drops: Vec<DroppedRange>,
    /// Whether what cannot be read is left out, so that newer entries of the same keys come to something else.
    pub(super) gives_up: bool,
}

impl From<Outcome> for Change {
    fn from(outcome: Outcome) -> Self {
        let Outcome { removes, adds, opened, obsolete, .. } = outcome;
        Self { removes, adds, opened, obsolete, ..Self::default() }
    }
}

/// How far a flush moves the log.
#[derive(Clone, Copy)]
pub(super) struct Flushed {
    pub(super) sequence: u64,
    pub(super) segment_low_water: u64,
}

impl Engine {
    /// Commits a change of the table set, then shows it to reads.
    pub(super) fn install(&self, change: Change, flushed: Option<Flushed>) -> Result<(), Error> {
        let mut manifest = self.manifest.lock();
        self.health.check_readable()?;
        let state = manifest.state();
        let mut edit = Edit {
            removes: change.removes,
            adds: change.adds,
            drops: change.drops,
            retires: Vec::new(),
            sequence_flushed: flushed.map_or(state.sequence_flushed, |flushed| flushed.sequence),
            segment_low_water: flushed
                .map_or(state.segment_low_water, |flushed| flushed.segment_low_water),
            file_id_next: self.file_ids.next(),
        };
        let before = Arc::clone(&self.current_tree().version);
        let mut version = before.apply(&edit, &change.opened);
        edit.retires = finished_drops(&version, edit.sequence_flushed);
        if !edit.retires.is_empty() {
            version = before.apply(&edit, &change.opened);
        }
        if change.gives_up {
            version.count_loss();
        }
        if let Err(error) = self.health.settle(manifest.commit(&edit)) {
            self.abandon(&change.opened, &error);
            return Err(error);
        }
        let version = Arc::new(version);
        self.replace_tree(|tree| {
            let mut sealed = tree.sealed.clone();
            if let Some(flushed) = flushed {
                let gone = sealed.pop();
                assert!(gone.is_some_and(|oldest| oldest.sequence_last() == flushed.sequence));
            }
            Tree { active: Arc::clone(&tree.active), sealed, version: Arc::clone(&version) }
        });
        self.remove_later(&before, &version, change.obsolete);
        self.rewrite_manifest(&mut manifest)
    }

    fn remove_later(&self, before: &Version, after: &Version, obsolete: Vec<Arc<Table>>) {
        let empty = before.values().values().map(|live| &live.file);
        let empty = empty.filter(|file| !after.values().contains_key(&file.file_id()));
        let mut removals = self.removals.lock();
        removals.extend(obsolete.into_iter().map(Removal::table));
        removals.extend(empty.map(|file| Removal::values(Arc::clone(file))));
    }

    /// Removes new files that a full disk kept out of the manifest. After a failed sync they may be in it.
    fn abandon(&self, opened: &[Arc<Table>], error: &Error) {
        if matches!(error, Error::Overloaded { .. }) {
            self.remove_unused(opened);
        }
    }

    /// Removes new tables that nobody knows of, and the value files that only they point into.
    pub(super) fn remove_unused(&self, opened: &[Arc<Table>]) {
        let version = Arc::clone(&self.current_tree().version);
        let mut removals = self.removals.lock();
        for table in opened {
            for reference in table.references() {
                let file = &reference.file;
                // Neither in use by others nor a segment whose memtable goes on waiting for its flush.
                let is_own = !version.values().contains_key(&file.file_id());
                let is_segment = file.kind() == ValueKind::Segment;
                if is_own && (!is_segment || seeded_bug(Mutant::AbandonedFlushUnlinksSegment)) {
                    removals.push(Removal::unread(file.name()));
                }
            }
            removals.push(Removal::unread(FileKind::Table.name(table.meta().file_id)));
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
                self.removals.lock().push(Removal::unread(name));
                Ok(())
            }
            Err(poisoned @ Error::Poisoned { .. }) => Err(poisoned),
            Err(_) => {
                // The long manifest still works; the next edit tries again.
                let name = FileKind::Manifest.name(file_id);
                self.removals.lock().push(Removal::unread(name));
                Ok(())
            }
        }
    }
}

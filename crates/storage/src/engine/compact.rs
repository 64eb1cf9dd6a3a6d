//! Compaction and relocation in bounded units.
//!
//! Entered by `maintain`, and by writers when level 0 is full.
//!
//! 1. Do one unit of the compaction that `pick` chooses.
//! 2. While nobody writes, level 0 is merged early, so that what it hides is known to be garbage.
//! 3. If no merge is due, rewrite tables that hold a part of a dropped range.
//! 4. Last, empty value files that hold much garbage: choose them once, then rewrite the tables that point into
//!    them, one bounded unit after the other, until none does.
//!
//! Invariants
//! - The set of files to empty is fixed for a pass, so that a pass ends.
//! - Nothing is remembered across a restart: what was emptied so far has no references any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_seeded_bug::{Mutant, seeded_bug};

use crate::cache::CacheUse;
use crate::compaction::pick::{Allowance, Choice, Shape, TableProgress, choose};
use crate::compaction::{Demand, FileShape, Job, Making, Outcome, choose_files, relocate};
use crate::error::Error;
use crate::files::FileKind;
use crate::sstable::TableContext;
use crate::version::{LEVELS, LiveTable, Version};

use super::drop::may_hold;
use super::view::Reading;
use super::{Budget, Engine, Work};

/// Share of level 0 in all bytes from which on it is merged down while nobody writes: what it hides is garbage that is
/// not known yet.
const LEVEL_0_PERCENT_CALM: u64 = 4;

/// What the compacting lock guards.
#[derive(Default)]
pub(super) struct Compacting {
    /// Value files of the pass that is going on.
    pub(super) leaving: BTreeSet<u64>,
    /// Value files that cannot be emptied, because a value in them is damaged.
    damaged: BTreeSet<u64>,
}

/// A unit to do.
enum Unit {
    Merge(crate::compaction::pick::Inputs),
    Relocate { level: usize, file_id: u64 },
}

impl Engine {
    /// Does one unit of compaction, if one is due. The caller holds the compacting lock.
    pub(super) fn compact_unit(
        &self,
        compacting: &mut Compacting,
        budget: Budget,
        demand: Demand,
    ) -> Result<Option<Work>, Error> {
        self.health.check_readable()?;
        let version = Arc::clone(&self.current_tree().version);
        let Some(unit) = self.choose_unit(compacting, &version, demand) else {
            return Ok(None);
        };
        let (work, outcome) = match &unit {
            Unit::Merge(inputs) => {
                (Work::Compaction, self.merge_shared(compacting, &version, inputs, budget))
            }
            Unit::Relocate { level, file_id } => {
                let table = (*level, *file_id);
                (Work::Relocation, self.relocate_table(compacting, &version, table, budget))
            }
        };
        let outcome = self.health.settle(outcome)?;
        drop(version);
        self.count_unit(work, &outcome);
        compacting.leaving.retain(|file_id| !outcome.damaged.contains(file_id));
        compacting.damaged.extend(&outcome.damaged);
        if work == Work::Relocation && seeded_bug(Mutant::EmptiedFileUnlinkedEarly) {
            let kinds = [FileKind::Segment, FileKind::Values];
            let names = compacting.leaving.iter().flat_map(|id| kinds.map(|kind| kind.name(*id)));
            names.for_each(|name| _ = self.unlink(&name));
        }
        self.install(outcome.into(), None)?;
        self.sweep();
        Ok(Some(work))
    }

    fn relocate_table(
        &self,
        compacting: &Compacting,
        version: &Version,
        table: (usize, u64),
        budget: Budget,
    ) -> Result<Outcome, Error> {
        let reading = self.reading(version);
        relocate(&self.job(&reading, &compacting.leaving, budget), version, table)
    }

    /// What a unit, or a piece of one, works with.
    pub(super) fn job<'a>(
        &'a self,
        reading: &'a Reading<'a>,
        leaving: &'a BTreeSet<u64>,
        budget: Budget,
    ) -> Job<'a> {
        Job {
            making: self.making(reading),
            merge: &*self.merge,
            budget_bytes: self.unit_bytes(budget),
            leaving,
            dropped: reading.version.dropped(),
        }
    }

    /// Bytes of a unit: less than a table would leave many small tables behind.
    pub(super) fn unit_bytes(&self, budget: Budget) -> u64 {
        budget.bytes.max(self.options.table_bytes)
    }

    /// Whether a unit is due. The caller holds the compacting lock.
    pub(super) fn wants_compaction(&self, compacting: &mut Compacting, demand: Demand) -> bool {
        let version = Arc::clone(&self.current_tree().version);
        self.choose_unit(compacting, &version, demand).is_some()
    }

    /// How new files are made.
    pub(super) fn making<'a>(&'a self, reading: &'a Reading<'a>) -> Making<'a> {
        Making {
            tables: self.table_context(),
            options: &self.options,
            file_ids: &self.file_ids,
            values: reading,
        }
    }

    /// Reads values for background work.
    pub(super) fn reading<'a>(&'a self, version: &'a Version) -> Reading<'a> {
        Reading { version, cache: &self.cache, usage: CacheUse::Bypass }
    }

    pub(super) fn table_context(&self) -> TableContext<'_> {
        TableContext { disk: &*self.disk, values: &self.value_files, cache: &self.cache }
    }

    fn choose_unit(
        &self,
        compacting: &mut Compacting,
        version: &Version,
        demand: Demand,
    ) -> Option<Unit> {
        if let Choice::Merge(inputs) = self.choose_merge(version, demand) {
            return Some(Unit::Merge(inputs));
        }
        let unit = next_rewrite(version).or_else(|| next_relocation(version, &compacting.leaving));
        if unit.is_some() {
            return unit;
        }
        let files: BTreeMap<u64, FileShape> = version
            .values()
            .iter()
            .filter(|(file_id, _)| !compacting.damaged.contains(file_id))
            .map(|(file_id, live)| {
                let shape = FileShape { bytes: live.file.bytes(), live_bytes: live.live_bytes };
                (*file_id, shape)
            })
            .collect();
        compacting.leaving = choose_files(&files, demand);
        next_relocation(version, &compacting.leaving)
    }

    fn choose_merge(&self, version: &Version, demand: Demand) -> Choice {
        let levels: Vec<Vec<_>> =
            (0..LEVELS).map(|level| version.level(level).iter().map(shape).collect()).collect();
        let eager = demand == Demand::Calm && hides_garbage(version)
            || version.level(0).iter().any(|live| holds_dropped(version, live));
        let allowance = Allowance {
            tables_l0: if eager { 1 } else { self.options.tables_l0_trigger },
            level_bytes_base: self.options.level_bytes_base,
        };
        choose(&levels, allowance)
    }

    fn count_unit(&self, work: Work, outcome: &Outcome) {
        let written = outcome.counts.table_bytes + outcome.counts.value_bytes;
        match work {
            Work::Relocation => {
                self.counters.relocations.add(1);
                self.counters.relocated_bytes.add(written);
            }
            Work::Flush | Work::Compaction | Work::Warming => {
                self.counters.compactions.add(1);
                self.counters.compacted_bytes.add(written);
                self.counters.compaction_bytes.add(outcome.taken_bytes);
            }
        }
        self.counters.count_outputs(&outcome.counts);
    }
}

/// Whether level 0 may hide enough of what lies below to be merged before it is full.
fn hides_garbage(version: &Version) -> bool {
    let bytes = |live: &LiveTable| {
        let values = live.table.references().iter().map(|reference| reference.live_bytes);
        live.table.meta().bytes + values.sum::<u64>()
    };
    let upper: u64 = version.level(0).iter().map(bytes).sum();
    let tables: u64 = version.tables().map(|(_, live)| live.table.meta().bytes).sum();
    let all = tables + version.values().values().map(|live| live.live_bytes).sum::<u64>();
    upper > 0 && upper * 100 >= all * LEVEL_0_PERCENT_CALM
}

/// The next table below level 0 that was written before a range was dropped and may hold some of it.
fn next_rewrite(version: &Version) -> Option<Unit> {
    (1..LEVELS).find_map(|level| {
        let live = version.level(level).iter().find(|live| holds_dropped(version, live))?;
        Some(Unit::Relocate { level, file_id: live.file_id() })
    })
}

fn holds_dropped(version: &Version, live: &LiveTable) -> bool {
    version.dropped().iter().any(|dropped| may_hold(live, dropped))
}

/// The next table below level 0 that points into a file of `leaving`.
fn next_relocation(version: &Version, leaving: &BTreeSet<u64>) -> Option<Unit> {
    let points_into = |live: &&LiveTable| {
        let mut references = live.table.references().iter();
        references.any(|reference| leaving.contains(&reference.file.file_id()))
    };
    (1..LEVELS).find_map(|level| {
        let live = version.level(level).iter().find(points_into)?;
        Some(Unit::Relocate { level, file_id: live.file_id() })
    })
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

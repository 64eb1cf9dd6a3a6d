//! Executes one bounded unit of compaction or relocation.
//!
//! Called by the engine without any lock but the one that keeps compactions single; reads go on undisturbed.
//!
//! 1. One run per upper table of level 0, or one for the upper level; one run for the lower tables. A relocation has one
//!    run over one table, which it writes anew in its own level.
//! 2. Key by key: gather, fold with the inputs' floor, append to the outputs.
//! 3. Stop before the next key once `budget_bytes` were taken from the inputs or written as values.
//! 4. Inputs that end before that key are removed; inputs that reach it are trimmed to it (removed and added again
//!    with a new bound); those not reached stay as they are.
//!
//! Invariants
//! - At least one key is moved, so that repeating units comes to an end.
//! - Nothing of the store changes here: the engine commits the [`Outcome`], or drops it.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::error::Error;
use crate::fold::{Floor, Stack};
use crate::manifest::TableRecord;
use crate::merge::MergeOperator;
use crate::run::{LevelCursor, MergedRuns, Run};
use crate::sstable::Table;
use crate::version::{LiveTable, Version};

use super::outputs::{Counts, Making, Outputs, Placing};
use super::pick::Inputs;

/// What a unit works with.
pub(crate) struct Job<'a> {
    /// How new files are made.
    pub(crate) making: Making<'a>,
    /// Joins operands.
    pub(crate) merge: &'a dyn MergeOperator,
    /// Bytes to take from inputs, or to write as values, before stopping.
    pub(crate) budget_bytes: u64,
    /// Value files that no value is to stay in.
    pub(crate) leaving: &'a BTreeSet<u64>,
}

/// What a unit did, to be committed.
pub(crate) struct Outcome {
    /// Inputs that leave, or come back trimmed.
    pub(crate) removes: Vec<u64>,
    /// Trimmed inputs and new tables.
    pub(crate) adds: Vec<TableRecord>,
    /// New tables, open.
    pub(crate) opened: Vec<Arc<Table>>,
    /// Inputs that leave for good.
    pub(crate) obsolete: Vec<Arc<Table>>,
    /// Bytes of keys and values taken.
    pub(crate) taken_bytes: u64,
    /// Value files that a value could not be moved out of.
    pub(crate) damaged: BTreeSet<u64>,
    /// What was written.
    pub(crate) counts: Counts,
}

/// Runs one unit of compaction over `inputs` of `version`.
pub(crate) fn execute(job: &Job<'_>, version: &Version, inputs: &Inputs) -> Result<Outcome, Error> {
    assert!(!inputs.uppers.is_empty() && inputs.level + 1 < crate::version::LEVELS);
    let uppers = select(version, inputs.level, &inputs.uppers);
    let lowers = select(version, inputs.level + 1, &inputs.lowers);
    let mut runs: Vec<Run> = Vec::new();
    if inputs.level == 0 {
        for live in &uppers {
            runs.push(Run::Table(live.part().cursor(&[], None)?));
        }
    } else {
        runs.push(chain(&uppers)?);
    }
    runs.push(chain(&lowers)?);
    let (mut outcome, stopped_at) = merge_runs(job, runs, inputs.level + 1, inputs.floor)?;
    retire(&mut outcome, inputs.level, &uppers, stopped_at.as_ref());
    retire(&mut outcome, inputs.level + 1, &lowers, stopped_at.as_ref());
    Ok(outcome)
}

/// Writes table `file_id` of `level` anew, without values in files that are to be left.
pub(crate) fn relocate(
    job: &Job<'_>,
    version: &Version,
    (level, file_id): (usize, u64),
) -> Result<Outcome, Error> {
    assert!(level > 0, "tables of level 0 are in the order of their age, and cannot be split");
    let table = select(version, level, &[file_id]);
    // Nothing is dropped: whether something lies below was not looked at.
    let (mut outcome, stopped_at) = merge_runs(job, vec![chain(&table)?], level, Floor::Maybe)?;
    retire(&mut outcome, level, &table, stopped_at.as_ref());
    Ok(outcome)
}

/// Merges `runs` into tables of `level`; returns what was written, and the first key that was not taken.
fn merge_runs(
    job: &Job<'_>,
    runs: Vec<Run>,
    level: usize,
    floor: Floor,
) -> Result<(Outcome, Option<Bytes>), Error> {
    let placing = Placing {
        logged_in: None,
        leaving: job.leaving.clone(),
        compression: match floor {
            Floor::Maybe => job.making.options.compression,
            Floor::Bottom => job.making.options.compression_bottom,
        },
        table_bytes: job.making.options.table_bytes,
    };
    let mut merged = MergedRuns::new(runs);
    let mut outputs = Outputs::new(job.making, placing);
    let mut stack = Stack::default();
    let (mut taken_bytes, mut moved_bytes) = (0, 0);
    while let Some(key_bytes) = merged.next_key(&mut stack)? {
        let fold = stack.fold(merged.key(), floor, job.merge, job.making.values)?;
        moved_bytes += outputs.add(merged.key(), fold)?;
        taken_bytes += key_bytes;
        if taken_bytes + moved_bytes >= job.budget_bytes {
            break;
        }
    }
    let stopped_at = merged.peek_key().map(Bytes::copy_from_slice);
    assert!(taken_bytes > 0 || stopped_at.is_none(), "a unit moves at least one key");
    let finished = outputs.finish()?;
    let outcome = Outcome {
        removes: Vec::new(),
        adds: finished.tables.iter().map(|table| record(level, table, None)).collect(),
        opened: finished.tables,
        obsolete: Vec::new(),
        taken_bytes,
        damaged: finished.damaged,
        counts: finished.counts,
    };
    Ok((outcome, stopped_at))
}

/// The named tables of a level, in visiting order.
fn select(version: &Version, level: usize, file_ids: &[u64]) -> Vec<LiveTable> {
    let tables = version.level(level).iter();
    let selected: Vec<_> =
        tables.filter(|live| file_ids.contains(&live.file_id())).cloned().collect();
    assert!(selected.len() == file_ids.len(), "inputs were picked from this version");
    selected
}

fn chain(tables: &[LiveTable]) -> Result<Run, Error> {
    let parts = tables.iter().map(LiveTable::part).collect();
    Ok(Run::Level(Box::new(LevelCursor::new(parts, &[], None)?)))
}

/// Removes or trims the inputs of one level, given the first key that was not moved.
fn retire(outcome: &mut Outcome, level: usize, inputs: &[LiveTable], stopped_at: Option<&Bytes>) {
    for live in inputs {
        match stopped_at {
            Some(key) if live.key_first() >= key => {} // not reached
            Some(key) if live.key_last() == key && seeded_bug(Mutant::CompactionForgetsLastKey) => {
                outcome.removes.push(live.file_id());
                outcome.obsolete.push(Arc::clone(&live.table));
            }
            Some(key) if live.key_last() >= key => {
                outcome.removes.push(live.file_id());
                outcome.adds.push(record(level, &live.table, Some(key.clone())));
            }
            _ => {
                outcome.removes.push(live.file_id());
                outcome.obsolete.push(Arc::clone(&live.table));
            }
        }
    }
}

fn record(level: usize, table: &Arc<Table>, trimmed_to: Option<Bytes>) -> TableRecord {
    let level = u8::try_from(level).expect("there are seven levels");
    TableRecord { level, meta: table.meta().clone(), trimmed_to }
}

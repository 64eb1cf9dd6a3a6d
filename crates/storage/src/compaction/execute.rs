//! Executes one bounded unit of compaction.
//!
//! Called by the engine without any lock but the one that keeps compactions single; reads go on undisturbed.
//!
//! 1. One run per upper table of level 0, or one for the upper level; one run for the lower tables.
//! 2. Key by key: gather, fold with the inputs' floor, append to the outputs.
//! 3. Stop before the next key once `budget_bytes` were taken from the inputs.
//! 4. Inputs that end before that key are removed; inputs that reach it are trimmed to it (removed and added again
//!    with a new bound); those not reached stay as they are.
//!
//! Invariants
//! - At least one key is moved, so that repeating units comes to an end.
//! - Nothing of the store changes here: the engine commits the [`Outcome`], or drops it.

use std::sync::Arc;

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::disk::Disk;
use crate::error::Error;
use crate::fold::Stack;
use crate::manifest::TableRecord;
use crate::merge::MergeOperator;
use crate::options::Options;
use crate::run::{MergedRuns, Run};
use crate::sstable::Table;
use crate::version::{LiveTable, Version, chain};

use super::outputs::{FileIds, Outputs};
use super::pick::Inputs;

/// What a unit works with.
pub(crate) struct Job<'a> {
    /// Where tables are written.
    pub(crate) disk: &'a dyn Disk,
    /// Table shape.
    pub(crate) options: &'a Options,
    /// Joins operands.
    pub(crate) merge: &'a dyn MergeOperator,
    /// Names new tables.
    pub(crate) file_ids: &'a FileIds,
    /// Bytes of keys and values to take before stopping.
    pub(crate) budget_bytes: u64,
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
    /// Keys the merge operator refused.
    pub(crate) unfolded_keys: u64,
}

/// Runs one unit over `inputs` of `version`.
pub(crate) fn execute(job: &Job<'_>, version: &Version, inputs: &Inputs) -> Result<Outcome, Error> {
    assert!(!inputs.uppers.is_empty() && inputs.level + 1 < crate::version::LEVELS);
    let uppers = select(version, inputs.level, &inputs.uppers);
    let lowers = select(version, inputs.level + 1, &inputs.lowers);
    let mut merged = MergedRuns::new(runs(inputs.level, &uppers, &lowers))?;
    let mut outputs = Outputs::new(job.disk, job.options, job.file_ids, job.options.table_bytes);
    let mut stack = Stack::default();
    let mut taken_bytes = 0;
    while let Some((key, key_bytes)) = merged.next_key(&mut stack)? {
        outputs.add(&key, &stack.fold(&key, job.merge, inputs.floor))?;
        taken_bytes += key_bytes;
        if taken_bytes >= job.budget_bytes {
            break;
        }
    }
    let stopped_at = merged.peek_key().cloned();
    assert!(taken_bytes > 0 || stopped_at.is_none(), "a unit moves at least one key");
    let unfolded_keys = outputs.unfolded_keys();
    let opened = outputs.finish()?;
    let mut outcome = Outcome {
        removes: Vec::new(),
        adds: opened.iter().map(|table| record(inputs.level + 1, table, None)).collect(),
        opened,
        obsolete: Vec::new(),
        taken_bytes,
        unfolded_keys,
    };
    retire(&mut outcome, inputs.level, &uppers, stopped_at.as_ref());
    retire(&mut outcome, inputs.level + 1, &lowers, stopped_at.as_ref());
    Ok(outcome)
}

/// The named tables of a level, in visiting order.
fn select(version: &Version, level: usize, file_ids: &[u64]) -> Vec<LiveTable> {
    let tables = version.level(level).iter();
    let selected: Vec<_> =
        tables.filter(|live| file_ids.contains(&live.file_id())).cloned().collect();
    assert!(selected.len() == file_ids.len(), "inputs were picked from this version");
    selected
}

fn runs(level: usize, uppers: &[LiveTable], lowers: &[LiveTable]) -> Vec<Run> {
    let mut runs: Vec<Run> = if level == 0 {
        uppers.iter().map(|live| live.run(&[], None)).collect()
    } else {
        vec![chain(uppers.to_vec(), &[], None)]
    };
    runs.push(chain(lowers.to_vec(), &[], None));
    runs
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

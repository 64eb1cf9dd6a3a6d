//! Executes one bounded unit of compaction or relocation.
//!
//! Called by the engine without any lock but the one that keeps compactions single; reads go on undisturbed.
//!
//! 1. One run per upper table of level 0, or one for the upper level; one run for the lower tables. A relocation has one
//!    run over one table, which it writes anew in its own level.
//! 2. Key by key: gather, fold with the inputs' floor, append to the outputs.
//!    A large compaction may be cut into pieces by ranges of keys, which several threads run.
//! 3. Stop before the next key once `budget_bytes` were taken from the inputs or written as values (in the last piece).
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

use crate::dropped::DroppedRange;
use crate::error::Error;
use crate::fold::{Floor, Stack};
use crate::manifest::TableRecord;
use crate::merge::MergeOperator;
use crate::run::{LevelCursor, MergedRuns, Run};
use crate::sstable::Table;
use crate::version::{LiveTable, Version};

use super::outputs::{Counts, Finished, Making, Outputs, Placing};
use super::pick::Inputs;

/// Bytes of a key that name its partition: stored keys begin with the token, whose upper bits are the partition; 16 bits
/// are as many as there can be.
const PARTITION_PREFIX_BYTES: usize = 2;

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
    /// Ranges whose older entries are left out.
    pub(crate) dropped: &'a Arc<[DroppedRange]>,
}

/// What a unit did, to be committed.
#[derive(Default)]
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

/// A range of the keys of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The first key.
    start: Bytes,
    /// The first key behind it; the last piece has none, and stops when its budget is spent.
    end: Option<Bytes>,
}

/// What became of a piece.
pub(crate) struct Part {
    /// What was written.
    pub(crate) finished: Finished,
    /// Bytes of keys and values taken.
    pub(super) taken_bytes: u64,
    /// The first key that was not taken.
    pub(super) stopped_at: Option<Bytes>,
}

/// Cuts a unit into at most `pieces_max` pieces of about `budget_bytes` each, at partition boundaries.
pub(crate) fn split(
    version: &Version,
    inputs: &Inputs,
    pieces_max: usize,
    budget_bytes: u64,
) -> Vec<Piece> {
    let mut bounds: Vec<Bytes> = Vec::new();
    let mut bytes = 0;
    for live in select(version, inputs.level + 1, &inputs.lowers) {
        if bounds.len() + 1 >= pieces_max {
            break;
        }
        let bound = live.key_first().slice(..live.key_first().len().min(PARTITION_PREFIX_BYTES));
        let is_new = bounds.last().is_none_or(|last| *last < bound);
        if bytes >= budget_bytes && is_new {
            bounds.push(bound);
            bytes = 0;
        }
        bytes += live.table.meta().bytes;
    }
    let mut pieces = Vec::with_capacity(bounds.len() + 1);
    let mut start = Bytes::new();
    for bound in bounds {
        pieces.push(Piece { start, end: Some(bound.clone()) });
        start = bound;
    }
    pieces.push(Piece { start, end: None });
    assert!(pieces.len() <= pieces_max.max(1));
    pieces
}

/// Runs one piece of a unit of compaction over `inputs` of `version`.
pub(crate) fn merge_piece(
    job: &Job<'_>,
    version: &Version,
    inputs: &Inputs,
    piece: &Piece,
) -> Result<Part, Error> {
    assert!(!inputs.uppers.is_empty() && inputs.level + 1 < crate::version::LEVELS);
    let uppers = select(version, inputs.level, &inputs.uppers);
    let lowers = select(version, inputs.level + 1, &inputs.lowers);
    let mut runs: Vec<Run> = Vec::new();
    if inputs.level == 0 {
        for live in &uppers {
            runs.push(Run::Table(live.part().cursor(&piece.start, piece.end.as_deref())?));
        }
    } else {
        runs.push(chain(&uppers, piece)?);
    }
    runs.push(chain(&lowers, piece)?);
    // Only the last piece may stop early: the others have to end where the next one begins.
    let budget_bytes = if piece.end.is_some() { u64::MAX } else { job.budget_bytes };
    merge_runs(job, runs, inputs.floor, budget_bytes)
}

/// The pieces of a unit, in order, as one outcome.
pub(crate) fn combine(version: &Version, inputs: &Inputs, parts: Vec<Part>) -> Outcome {
    let uppers = select(version, inputs.level, &inputs.uppers);
    let lowers = select(version, inputs.level + 1, &inputs.lowers);
    let (mut outcome, stopped_at) = gather_parts(parts, inputs.level + 1);
    retire(&mut outcome, inputs.level, &uppers, stopped_at.as_ref());
    retire(&mut outcome, inputs.level + 1, &lowers, stopped_at.as_ref());
    outcome
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
    let is_bold = seeded_bug(Mutant::RelocationTakesBottom);
    let floor = if is_bold { Floor::Bottom } else { Floor::Maybe };
    let runs = vec![chain(&table, &Piece::default())?];
    let part = merge_runs(job, runs, floor, job.budget_bytes)?;
    let (mut outcome, stopped_at) = gather_parts(vec![part], level);
    retire(&mut outcome, level, &table, stopped_at.as_ref());
    Ok(outcome)
}

/// Merges `runs` into new tables.
fn merge_runs(
    job: &Job<'_>,
    runs: Vec<Run>,
    floor: Floor,
    budget_bytes: u64,
) -> Result<Part, Error> {
    let placing = Placing {
        logged_in: None,
        leaving: job.leaving.clone(),
        compression: match floor {
            Floor::Maybe => job.making.options.compression,
            Floor::Bottom => job.making.options.compression_bottom,
        },
        table_bytes: job.making.options.table_bytes,
        mended: Vec::new(),
    };
    let mut merged = MergedRuns::new(runs, Arc::clone(job.dropped));
    let mut outputs = Outputs::new(job.making, placing);
    let mut stack = Stack::default();
    let (mut taken_bytes, mut moved_bytes) = (0, 0);
    while let Some(key_bytes) = merged.next_key(&mut stack)? {
        let fold = stack.fold(merged.key(), floor, job.merge, job.making.values)?;
        moved_bytes += outputs.add(merged.key(), fold)?;
        taken_bytes += key_bytes;
        if taken_bytes + moved_bytes >= budget_bytes {
            break;
        }
    }
    let stopped_at = merged.peek_key().map(Bytes::copy_from_slice);
    assert!(taken_bytes > 0 || stopped_at.is_none(), "a unit moves at least one key");
    Ok(Part { finished: outputs.finish()?, taken_bytes, stopped_at })
}

/// What the parts have made for `level`, and the first key that was not taken.
pub(super) fn gather_parts(parts: Vec<Part>, level: usize) -> (Outcome, Option<Bytes>) {
    let mut outcome = Outcome::default();
    let mut stopped_at = None;
    for part in parts {
        assert!(stopped_at.is_none(), "only the last part stops early");
        let Part { finished, taken_bytes, stopped_at: stop } = part;
        outcome.adds.extend(finished.tables.iter().map(|table| record(level, table, None)));
        outcome.opened.extend(finished.tables);
        outcome.damaged.extend(finished.damaged);
        outcome.counts.add(&finished.counts);
        outcome.taken_bytes += taken_bytes;
        stopped_at = stop;
    }
    (outcome, stopped_at)
}

/// The named tables of a level, in visiting order.
pub(super) fn select(version: &Version, level: usize, file_ids: &[u64]) -> Vec<LiveTable> {
    let tables = version.level(level).iter();
    let selected: Vec<_> =
        tables.filter(|live| file_ids.contains(&live.file_id())).cloned().collect();
    assert!(selected.len() == file_ids.len(), "inputs were picked from this version");
    selected
}

fn chain(tables: &[LiveTable], piece: &Piece) -> Result<Run, Error> {
    let parts = tables.iter().map(LiveTable::part).collect();
    Ok(Run::Level(Box::new(LevelCursor::new(parts, &piece.start, piece.end.as_deref())?)))
}

/// Removes or trims the inputs of one level, given the first key that was not moved.
pub(super) fn retire(
    outcome: &mut Outcome,
    level: usize,
    inputs: &[LiveTable],
    stopped_at: Option<&Bytes>,
) {
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

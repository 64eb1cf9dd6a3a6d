//! Writes one table anew without what of it cannot be read.
//!
//! Called by the engine, under the lock that keeps compactions single, once the caller has from elsewhere what is left out.
//!
//! 1. Look which ranges of keys the table cannot read (`Table::lost`); each must lie in what was mended.
//! 2. Fold what lies between them into new tables of the same level. Values in files that are to be left are copied; entries
//!    of mended keys whose values cannot be read are left out.
//!
//! Invariants
//! - Nothing is left out but what the caller says is mended; damage that came since is an error, and nothing changes.
//! - A table of level 0 becomes at most one: they are ordered by their age.

use std::sync::Arc;

use crate::error::Error;
use crate::files::FileKind;
use crate::finding::KeyRange;
use crate::fold::{Floor, Stack};
use crate::run::{MergedRuns, Run};
use crate::version::{LiveTable, Version};

use super::execute::{Job, Outcome, Part, gather_parts, retire, select};
use super::outputs::{Outputs, Placing};

/// Writes table `file_id` of `level` anew, without what of `mended` cannot be read.
pub(crate) fn salvage(
    job: &Job<'_>,
    version: &Version,
    (level, file_id): (usize, u64),
    mended: &[KeyRange],
) -> Result<Outcome, Error> {
    let tables = select(version, level, &[file_id]);
    let placing = Placing {
        logged_in: None,
        leaving: job.leaving.clone(),
        compression: job.making.options.compression,
        table_bytes: if level == 0 { u64::MAX } else { job.making.options.table_bytes },
        mended: mended.to_vec(),
    };
    let mut outputs = Outputs::new(job.making, placing);
    let mut taken_bytes = 0;
    for live in &tables {
        let lost = live_lost(live)?;
        if lost.iter().any(|range| !range.is_within(mended)) {
            let name = FileKind::Table.name(file_id);
            return Err(Error::corrupt(&name, 0, "more of the table is damaged than was mended"));
        }
        taken_bytes += copy_between(job, live, &lost, &mut outputs)?;
    }
    let part = Part { finished: outputs.finish()?, taken_bytes, stopped_at: None };
    let (mut outcome, _) = gather_parts(vec![part], level);
    retire(&mut outcome, level, &tables, None);
    assert!(level > 0 || outcome.opened.len() <= 1, "a table of level 0 stays one");
    Ok(outcome)
}

/// What of the part that lives cannot be read.
pub(crate) fn live_lost(live: &LiveTable) -> Result<Vec<KeyRange>, Error> {
    let mut lost = live.table.lost(&mut |_| {})?;
    lost.retain(|range| range.last >= *live.key_first());
    for range in &mut lost {
        range.first = range.first.clone().max(live.key_first().clone());
    }
    Ok(lost)
}

/// Copies what lies between the ranges of `lost`; returns the bytes taken.
fn copy_between(
    job: &Job<'_>,
    live: &LiveTable,
    lost: &[KeyRange],
    outputs: &mut Outputs<'_>,
) -> Result<u64, Error> {
    let mut taken_bytes = 0;
    let mut start: Vec<u8> = Vec::new();
    let ends = lost.iter().map(|range| Some(range.first.as_ref())).chain([None]);
    // The least key behind a range; behind the last range nothing is looked for.
    let starts = lost.iter().map(|range| [range.last.as_ref(), &[0]].concat()).chain([Vec::new()]);
    for (end, next) in ends.zip(starts) {
        let run = Run::Table(live.part().cursor(&start, end)?);
        let mut merged = MergedRuns::new(vec![run], Arc::clone(job.dropped));
        let mut stack = Stack::default();
        while let Some(key_bytes) = merged.next_key(&mut stack)? {
            // Whether something lies below was not looked at.
            let fold = stack.fold(merged.key(), Floor::Maybe, job.merge, job.making.values)?;
            outputs.add(merged.key(), fold)?;
            taken_bytes += key_bytes;
        }
        start = next;
    }
    Ok(taken_bytes)
}

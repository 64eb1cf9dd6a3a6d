//! Checks the live log as recovery would read it, without recovering.
//!
//! 1. The manifest and the segments' headers say which segments are live; the same function as in recovery decides.
//! 2. Every segment is walked record by record: counts, and operations that are not well-formed.
//! 3. The replay of recovery judges the end of the log: clean, torn (a note), or corrupt.
//!
//! Cost: two reads of the live log; memory for all of it, as recovery takes.

use crate::disk::{Disk, OpenHow};
use crate::engine::live_segments;
use crate::error::Error;
use crate::files::{FileKind, StoreFile};
use crate::finding::{Damage, Note};
use crate::manifest::State;
use crate::value_log::{RecordWalk, Stretch, are_well_formed};
use crate::wal::replay;

use super::verify::Checked;

/// What is to be said about the live log.
#[derive(Default)]
pub(super) struct LogReport {
    /// Ids of the live segments, oldest first.
    pub(super) segments: Vec<u64>,
    pub(super) checked: Checked,
    pub(super) damages: Vec<Damage>,
    pub(super) notes: Vec<Note>,
}

/// Checks the log of a store whose manifest says `state`, in a directory that lists `names`.
pub(super) fn verify_log(
    disk: &dyn Disk,
    state: &State,
    names: &[String],
) -> Result<LogReport, Error> {
    let mut report = LogReport::default();
    match live_segments(disk, state, names) {
        Ok(segments) => report.segments = segments,
        Err(error) => {
            report.damages.push(Damage::of(error)?);
            return Ok(report);
        }
    }
    let mut torn = report.segments.last().copied();
    for file_id in report.segments.iter().rev() {
        match verify_segment(disk, *file_id, &mut report.damages) {
            Ok((checked, Ending::Whole)) => report.checked.add(checked),
            Ok((checked, Ending::Bad)) => {
                torn = Some(*file_id);
                report.checked.add(checked);
            }
            Err(error) => report.damages.push(Damage::of(error)?),
        }
    }
    if !report.damages.is_empty() {
        return Ok(report);
    }
    match replay(disk, &report.segments, state.sequence_flushed, |_record| Ok(())) {
        Ok(replayed) if replayed.torn_bytes == 0 => {}
        Ok(replayed) => {
            let name = torn.map(|file_id| FileKind::Segment.name(file_id)).unwrap_or_default();
            let what = format!(
                "torn tail: {} bytes behind the last valid record, as a crash leaves them; the next open cuts them off",
                replayed.torn_bytes
            );
            report.notes.push(Note::new(&name, what));
        }
        Err(error) => report.damages.push(Damage::of(error)?),
    }
    Ok(report)
}

/// How a segment ends.
enum Ending {
    /// With a valid record.
    Whole,
    /// Somewhere in it is something else.
    Bad,
}

/// Counts the records of a segment; those whose operations are malformed are damages.
fn verify_segment(
    disk: &dyn Disk,
    file_id: u64,
    damages: &mut Vec<Damage>,
) -> Result<(Checked, Ending), Error> {
    let name = FileKind::Segment.name(file_id);
    let file = StoreFile::open(disk, &name, OpenHow::Read)?;
    let bytes = file.len()?;
    let mut checked = Checked { files: 1, bytes, entries: 0 };
    let mut ending = Ending::Whole;
    let mut walk = RecordWalk::new(&file, file_id, bytes);
    while let Some(stretch) = walk.step()? {
        match stretch {
            Stretch::Damaged { .. } => ending = Ending::Bad,
            Stretch::Record { offset, header, encoded } => {
                checked.entries += u64::from(header.operations);
                if !are_well_formed(encoded, header.operations) {
                    let what = "a record that checks is malformed";
                    damages.push(Damage::new(&name, offset, what));
                }
            }
        }
    }
    Ok((checked, ending))
}

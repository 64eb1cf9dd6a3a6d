//! I5b, I7, I15/P8 and P11: every cell that was ever seen is what somebody wrote, once.
//!
//! - A returned value has the bytes that a client wrote for this key before the read ended; anything else is a wrong
//!   answer from damage.
//! - A cell that was seen belongs to a write that had begun and that was not refused: "nothing was written" is true.
//!   There are no more tombstones than deletes that may have been applied.
//! - A write has one dot, and a dot one content.
//! - No value is returned after it surely expired.
//! - An answer's context covers what it returns, and an `lww` answer is at most one value: the winner, if that is a
//!   value that cannot have expired.

use std::collections::BTreeMap;

use atoll_protocol::time::MonoTime;
use atoll_protocol::version::Dot;

use super::promise;
use super::view::{KeyView, Read, winner};
use crate::history::{OpId, OpKind, ReadCell, ValueId, Violation};

/// Wrong answers of reads.
pub(super) fn wrong_answers(view: &KeyView<'_>) -> Vec<Violation> {
    let of_cell = |read: Read<'_>| {
        let wrong = |cell: &ReadCell| wrong_cell(view, &read, cell);
        read.cells.iter().filter_map(wrong).chain(wrong_shape(view, &read)).collect::<Vec<_>>()
    };
    view.reads().flat_map(of_cell).collect()
}

fn wrong_cell(view: &KeyView<'_>, read: &Read<'_>, cell: &ReadCell) -> Option<Violation> {
    let dot = cell.dot;
    let blame = |invariant, detail| Some(view.violation(invariant, &[read.id], detail));
    let Some(value) = cell.value else {
        return blame(
            promise::DAMAGED,
            format!("the bytes under {dot} are not what any client wrote"),
        );
    };
    if let Some(violation) = unwritten(view, (dot, Some(value)), read.end) {
        return blame(violation.0, violation.1);
    }
    if !read.context.covers(dot) {
        return blame(
            promise::MALFORMED,
            format!("the context does not cover {dot}, which is returned"),
        );
    }
    let expiry = view.expiry(dot).flatten();
    match expiry {
        Some(at) if at <= read.wall.0 => {
            blame(promise::EXPIRED, format!("{dot} had expired before"))
        }
        Some(_) | None => None,
    }
}

fn wrong_shape(view: &KeyView<'_>, read: &Read<'_>) -> Option<Violation> {
    let mut dots: Vec<Dot> = read.cells.iter().map(|cell| cell.dot).collect();
    dots.sort();
    dots.dedup();
    let blame = |detail: String| Some(view.violation(promise::MALFORMED, &[read.id], detail));
    if dots.len() < read.cells.len() {
        return blame("a dot is returned twice".to_owned());
    }
    if !view.is_lww() {
        return None;
    }
    let best = winner(read.context).map(|(_, dot)| dot);
    if let Some(other) = dots.iter().find(|dot| Some(**dot) != best) {
        return blame(format!("{other} is returned and is not the winner"));
    }
    let is_value = |dot: Dot| view.seen.iter().any(|(seen, value)| *seen == dot && value.is_some());
    let hidden =
        best.filter(|&dot| dots.is_empty() && is_value(dot) && view.is_lasting(dot, read.wall.1))?;
    blame(format!("the winner {hidden} is a value and is not returned"))
}

/// Cells that were seen although nobody wrote them, or the writer was told that nothing was written.
pub(super) fn unwritten_cells(view: &KeyView<'_>) -> Vec<Violation> {
    let sightings = view.history.cells.iter().filter(|((key, _), _)| *key == view.id);
    let mut violations = Vec::new();
    let mut tombstones = 0;
    for ((_, dot), sighting) in sightings {
        if let Some((invariant, detail)) = unwritten(view, (*dot, sighting.value), sighting.first) {
            violations.push(view.violation(invariant, &refused(view, sighting.value), detail));
        }
        tombstones += usize::from(sighting.value.is_none());
    }
    let is_delete = |kind: &OpKind| matches!(kind, OpKind::Delete { .. });
    let deletes =
        view.ops.iter().filter(|(_, op)| is_delete(&op.kind) && op.may_have_applied()).count();
    if tombstones > deletes {
        let detail =
            format!("{tombstones} tombstones of {deletes} deletes that may have been applied");
        violations.push(view.violation(promise::APPLIED, &refused(view, None), detail));
    }
    violations
}

/// The promise that content seen at `at` breaks, if nobody can have written it by then.
fn unwritten(
    view: &KeyView<'_>,
    (dot, value): (Dot, Option<ValueId>),
    at: MonoTime,
) -> Option<(&'static str, String)> {
    let writes = writes_of(view, value);
    let begun = || writes.iter().filter(|(_, start)| *start < at).map(|(id, _)| *id);
    let may_apply = |id: OpId| view.op(id).is_some_and(|op| op.may_have_applied());
    if begun().next().is_none() {
        return Some((promise::INVENTED, format!("nobody had written what stands under {dot}")));
    }
    let all_refused = !begun().any(may_apply);
    all_refused.then(|| {
        (promise::APPLIED, format!("{dot} is of a write that was reported as not applied"))
    })
}

/// Writes of this content (`None`: deletes) with their beginnings.
fn writes_of(view: &KeyView<'_>, value: Option<ValueId>) -> Vec<(OpId, MonoTime)> {
    let is_of = |kind: &OpKind| match kind {
        OpKind::Put { value: own, .. } => Some(*own) == value,
        OpKind::Delete { .. } => value.is_none(),
        OpKind::Get => false,
    };
    view.ops.iter().filter(|(_, op)| is_of(&op.kind)).map(|(id, op)| (*id, op.start)).collect()
}

fn refused(view: &KeyView<'_>, value: Option<ValueId>) -> Vec<OpId> {
    let is_refused = |id: &OpId| view.op(*id).is_some_and(|op| !op.may_have_applied());
    writes_of(view, value).into_iter().map(|(id, _)| id).filter(is_refused).collect()
}

/// Dots that name two contents, and values that have two dots.
pub(super) fn reused_dots(view: &KeyView<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for pair in view.seen.windows(2) {
        if let [(first, one), (second, other)] = pair
            && first == second
        {
            let detail = format!("{first} names both {one:?} and {other:?}");
            let ops = [one, other].into_iter().flatten().flat_map(|value| view.puts_of(*value));
            violations.push(view.violation(promise::DOT, &ops.collect::<Vec<_>>(), detail));
        }
    }
    let mut dots: BTreeMap<ValueId, Vec<Dot>> = BTreeMap::new();
    for (dot, value) in &view.seen {
        if let Some(value) = value {
            dots.entry(*value).or_default().push(*dot);
        }
    }
    for (value, dots) in dots {
        let puts = view.puts_of(value);
        if dots.len() > puts.len().max(1) {
            let detail = format!("{} write(s) of one value have {} dots", puts.len(), dots.len());
            violations.push(view.violation(promise::DOT, &puts, detail));
        }
    }
    for (node, record) in view.final_records() {
        for dot in record.map(|record| record.duplicate_dots()).unwrap_or_default() {
            let detail = format!("n{} holds two cells under {dot}", node.0);
            violations.push(view.violation(promise::DOT, &[], detail));
        }
    }
    violations
}

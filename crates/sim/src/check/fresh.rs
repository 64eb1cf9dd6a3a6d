//! I5b/P3: reads are fresh and go forward; I4/P6: a read does not return what an acknowledged delete had seen.
//!
//! 1. What was *shown*: an acknowledged write shows what its acknowledgement covers; an answered get shows its
//!    context, if its level writes back before it answers (every level but `ONE` and `LOCAL_ONE`).
//! 2. Whatever was shown stands, from then on, on replicas that satisfy its level. A get that starts later and is sure
//!    to meet one of them (`levels.rs`) must cover all of it, and not return what the write's client had seen.
//! 3. What the get covers of acknowledged puts it must also return, unless a write had seen it or it expires.
//!
//! In `lww` keyspaces contexts name only the winner: there the winner's (timestamp, dot) may not go back.
//!
//! Replicas that forgot between the beginning of the one and the end of the other are no meeting point.
//! Concurrent gets need not agree (siblings are not linearizable), and levels that may miss each other promise nothing.

use atoll_protocol::quorum::Level;
use atoll_protocol::time::MonoTime;
use atoll_protocol::version::{Context, Dot};

use super::levels::{Asked, Quorums};
use super::promise;
use super::superseded::promise_of;
use super::view::{AckedWrite, KeyView, Read, asked, winner};
use crate::history::{OpId, OpKind, Violation};

/// What a client was told, and on which replicas it stands since.
struct Shown<'a> {
    id: OpId,
    asked: Asked,
    start: MonoTime,
    end: MonoTime,
    context: &'a Context,
    write: Option<AckedWrite<'a>>,
}

pub(super) fn stale_reads(view: &KeyView<'_>) -> Vec<Violation> {
    let mut quorums = Quorums::new(&view.key.counts);
    let shown = everything_shown(view);
    let mut violations = Vec::new();
    for read in view.reads() {
        let earlier = shown.iter().filter(|shown| shown.end < read.op.start);
        let found = earlier.into_iter().find_map(|shown| {
            let detail = fault(view, shown, &read)?;
            let forgotten = view.forgotten(shown.start, read.end);
            let is_sure = quorums.sure_to_meet(shown.asked, asked(read.op), &forgotten);
            is_sure.then(|| view.violation(detail.0, &[shown.id, read.id], detail.1))
        });
        violations.extend(found);
    }
    violations
}

fn everything_shown<'a>(view: &KeyView<'a>) -> Vec<Shown<'a>> {
    let writes = view.acked_writes().map(|write| Shown {
        id: write.id,
        asked: asked(write.op),
        start: write.op.start,
        end: write.end,
        context: write.context,
        write: Some(write),
    });
    let writing_back = view.reads().filter(|read| writes_back(read.op.level));
    let reads = writing_back.map(|read| Shown {
        id: read.id,
        asked: asked(read.op),
        start: read.op.start,
        end: read.end,
        context: read.context,
        write: None,
    });
    writes.chain(reads).collect()
}

fn writes_back(level: Level) -> bool {
    match level {
        Level::One | Level::LocalOne => false,
        Level::Two
        | Level::Three
        | Level::LocalQuorum
        | Level::Quorum
        | Level::EachQuorum
        | Level::All
        | Level::LocalQuorumPlus(_) => true,
    }
}

/// What would be wrong with `read` if it was sure to meet `shown`: the promise and the words.
fn fault(view: &KeyView<'_>, shown: &Shown<'_>, read: &Read<'_>) -> Option<(&'static str, String)> {
    let promise = if shown.write.is_some() { promise::STALE } else { promise::BACKWARD };
    if view.is_lww() {
        let (before, after) = (winner(shown.context)?, winner(read.context));
        let detail = || format!("the read's winner is {after:?}, and {before:?} was there before");
        let is_back = after < Some(before) && !view.is_beaten_by_purged(before, read.end);
        return is_back.then(|| (promise, detail()));
    }
    if let Some(dot) = view.unseen(shown.context, read.context, read.end) {
        return Some((promise, format!("the read has not seen {dot}, which was there before")));
    }
    let write = shown.write.as_ref()?;
    if let Some(dot) = unseen_value(view, write, read) {
        return Some((promise, format!("the read does not show {dot}, and no write had seen it")));
    }
    let seen = write.op.context()?;
    let back = read.cells.iter().find(|cell| seen.covers(cell.dot))?;
    Some((promise_of(write), format!("the read shows {}, which an acked write had seen", back.dot)))
}

/// The dot of an acknowledged put whose value `read` lacks without a cause.
fn unseen_value(view: &KeyView<'_>, write: &AckedWrite<'_>, read: &Read<'_>) -> Option<Dot> {
    let is_put = matches!(write.op.kind, OpKind::Put { .. });
    let dot = view.dot_of(write.id).filter(|_| is_put)?;
    let is_shown = read.cells.iter().any(|cell| cell.dot == dot);
    let is_excused = view.is_superseded(dot, read.end) || view.is_purged(dot, read.end);
    (!is_shown && !is_excused && view.is_lasting(dot, read.wall.1)).then_some(dot)
}

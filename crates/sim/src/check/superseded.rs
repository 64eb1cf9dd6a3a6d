//! I6/P2 and I4/P6: what a write had seen is gone where the write is.
//!
//! 1. In the end no owner holds what an acknowledged put or delete covered, unless every holder of that write forgot.
//! 2. Wherever two cells are live together (an owner's record, an answer), neither one's client had seen the other.
//! 3. A context is honest: a dot that it covers is either visible or was superseded by a write whose client had seen
//!    it, and what a covered write had seen is not visible. Otherwise the next put with that context would discard
//!    a sibling that nobody read.
//!
//! 2 and 3 hold for every read at every level and for writes of unknown outcome: records travel whole.
//! 3 is not demanded for dots whose minting node forgot: after damage that it does not notice it may number on above
//! writes that it no longer knows.
//!
//! All of this is about `siblings` keyspaces: in `lww` ones contexts supersede nothing.

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::record::Record;
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::version::{Context, Dot};

use super::promise;
use super::view::{AckedWrite, KeyView, Read};
use crate::history::{OpId, OpKind, ValueId, Violation};

/// Cells that one reader or one owner has before it.
struct Sight {
    /// Who, in words.
    whose: String,
    /// The read, and its wall clock at the latest; `None` for an owner, who hides nothing.
    reader: Option<(OpId, WallTime)>,
    at: MonoTime,
    context: Context,
    live: Vec<Dot>,
}

impl Sight {
    fn reader(&self) -> Option<OpId> {
        self.reader.map(|(id, _)| id)
    }
}

/// What acknowledged writes covered and owners still hold.
pub(super) fn kept_by_owners(view: &KeyView<'_>) -> Vec<Violation> {
    if view.is_lww() {
        return Vec::new();
    }
    let writes = view.acked_writes().filter(|write| write.op.context().is_some());
    let standing = writes.filter(|write| !view.is_permitted_loss_of(write));
    standing
        .filter_map(|write| {
            let context = write.op.context()?;
            let mut owners =
                view.final_records().filter_map(|(node, record)| Some((node, record?)));
            owners.find_map(|(node, record)| kept_by(view, &write, context, (node, record)))
        })
        .collect()
}

fn kept_by(
    view: &KeyView<'_>,
    write: &AckedWrite<'_>,
    context: &Context,
    (node, record): (NodeIndex, &Record),
) -> Option<Violation> {
    let (dot, _) = record.cells().find(|(dot, _)| context.covers(*dot))?;
    let ops: Vec<OpId> = [Some(write.id), view.writer_of(dot)].into_iter().flatten().collect();
    let detail = format!("n{} still holds {dot}, which an acked write had seen", node.0);
    Some(view.violation(promise_of(write), &ops, detail))
}

/// The promise that an acknowledged write's covered dots do not come back.
pub(super) fn promise_of(write: &AckedWrite<'_>) -> &'static str {
    match write.op.kind {
        OpKind::Delete { .. } => promise::RESURRECTED,
        OpKind::Put { .. } | OpKind::Get => promise::KEPT,
    }
}

/// Cells that stand together although one's client had seen the other.
pub(super) fn not_concurrent(view: &KeyView<'_>) -> Vec<Violation> {
    let blame = |sight: Sight| {
        let context_of = |dot| view.op(view.writer_of(dot)?)?.context();
        let pairs = sight.live.iter().flat_map(|&b| sight.live.iter().map(move |&a| (a, b)));
        let mut covered =
            pairs.filter(|&(a, b)| a != b && context_of(b).is_some_and(|seen| seen.covers(a)));
        let (a, b) = covered.next()?;
        let detail = format!("{} shows {a} beside {b}, whose writer had seen it", sight.whose);
        let writers = [sight.reader(), view.writer_of(a), view.writer_of(b)];
        let ops: Vec<OpId> = writers.into_iter().flatten().collect();
        Some(view.violation(promise::TOGETHER, &ops, detail))
    };
    sights(view).into_iter().filter_map(blame).collect()
}

/// Contexts that claim more than was seen.
pub(super) fn dishonest_contexts(view: &KeyView<'_>) -> Vec<Violation> {
    sights(view)
        .iter()
        .filter_map(|sight| hidden(view, sight).or_else(|| visible_again(view, sight)))
        .collect()
}

/// A covered dot that is neither visible nor superseded.
fn hidden(view: &KeyView<'_>, sight: &Sight) -> Option<Violation> {
    let is_missing = |dot: Dot| sight.context.covers(dot) && !sight.live.contains(&dot);
    let is_excused = |dot: Dot| {
        view.is_superseded(dot, sight.at)
            || view.minter_forgot(dot, sight.at)
            || view.is_purged(dot, sight.at)
    };
    let is_due = |dot: Dot, value: Option<ValueId>| match sight.reader {
        Some((_, latest)) => value.is_some() && view.is_lasting(dot, latest),
        None => true,
    };
    let mut missing = view.seen.iter().filter(|(dot, _)| is_missing(*dot) && !is_excused(*dot));
    let (dot, _) = missing.find(|(dot, value)| is_due(*dot, *value))?;
    let detail = format!(
        "the context of {} covers {dot}, which is not there, and no write had seen it",
        sight.whose
    );
    let ops = sight.reader().into_iter().chain(view.writer_of(*dot)).collect::<Vec<_>>();
    Some(view.violation(promise::DISHONEST, &ops, detail))
}

/// A visible dot that a covered write had seen.
fn visible_again(view: &KeyView<'_>, sight: &Sight) -> Option<Violation> {
    for &(id, op) in &view.ops {
        let (Some(seen), Some(own)) = (op.context(), view.dot_of(id)) else {
            continue;
        };
        if !sight.context.covers(own) || view.minter_forgot(own, sight.at) {
            continue;
        }
        if let Some(dot) = sight.live.iter().find(|dot| seen.covers(**dot)) {
            let detail = format!(
                "{} shows {dot}; its context covers {own}, whose writer had seen that",
                sight.whose
            );
            let ops: Vec<OpId> = sight.reader().into_iter().chain([id]).collect();
            return Some(view.violation(promise::DISHONEST, &ops, detail));
        }
    }
    None
}

fn sights(view: &KeyView<'_>) -> Vec<Sight> {
    if view.is_lww() {
        return Vec::new();
    }
    let reads = view.reads().map(|read: Read<'_>| Sight {
        whose: "a get".to_owned(),
        reader: Some((read.id, read.wall.1)),
        at: read.end,
        context: read.context.clone(),
        live: read.cells.iter().map(|cell| cell.dot).collect(),
    });
    let owners = view.final_records().filter_map(|(node, record)| {
        let record = record?;
        Some(Sight {
            whose: format!("n{}'s final record", node.0),
            reader: None,
            at: MonoTime::from_nanos(u64::MAX),
            context: record.context(view.key.token),
            live: record.cells().map(|(dot, _)| dot).collect(),
        })
    });
    reads.chain(owners).collect()
}

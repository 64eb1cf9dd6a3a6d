//! I1/P1: an acknowledged write is still there in the end, or was superseded by a write that had seen it.
//!
//! - `siblings`: the dot of an acknowledged put is live at every owner, unless some put or delete that may have been
//!   applied carried it in its client's context.
//! - `lww`: what every owner stores is at least as late as every acknowledged write, by (timestamp, dot).
//!
//! An acknowledged write of which every holder forgot is a *permitted loss*: no protocol can keep it. In an `lww` keyspace
//! whoever held a later write had it too, even where that one had beaten it before anybody looked.
//! What an acknowledged delete does to other writes is looked after in `superseded.rs`.

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::record::Record;
use atoll_protocol::time::MonoTime;
use atoll_protocol::version::{Dot, Timestamp};

use super::promise;
use super::view::{AckedWrite, KeyView, last_dots, winner};
use crate::history::{OpId, OpKind, Violation};

/// What became of an acknowledged write.
enum Fate {
    Kept,
    /// Every holder forgot.
    LostWithPermission,
    /// These owners lack it without a cause.
    Lost(Vec<NodeIndex>),
    /// Nobody ever saw it, and nobody can have superseded it.
    NeverSeen,
}

pub(super) fn lost_writes(view: &KeyView<'_>) -> Vec<Violation> {
    let blame = |write: AckedWrite<'_>| {
        let detail = match fate(view, &write) {
            Fate::Kept | Fate::LostWithPermission => return None,
            Fate::Lost(nodes) => {
                let dot = view.dot_of(write.id).map_or_else(String::new, |dot| format!(" ({dot})"));
                let nodes: Vec<String> = nodes.iter().map(|node| format!("n{}", node.0)).collect();
                let nodes = nodes.join(", ");
                format!("the acked write{dot} is missing at {nodes}, and no write had seen it")
            }
            Fate::NeverSeen => "the acked write was never seen anywhere".to_owned(),
        };
        Some(view.violation(promise::LOST, &[write.id], detail))
    };
    view.acked_writes().filter_map(blame).collect()
}

/// Acknowledged `lww` writes that lose against what their own clients had seen: timestamps grow along causality.
pub(super) fn outdated_writes(view: &KeyView<'_>) -> Vec<Violation> {
    let blame = |write: AckedWrite<'_>| {
        let (seen, own) = (write.op.context()?.timestamp(), write.context.timestamp());
        (view.is_lww() && own <= seen).then(|| {
            let detail = format!("written at {}, after what was written at {}", own.0, seen.0);
            view.violation(promise::OUTDATED, &[write.id], detail)
        })
    };
    view.acked_writes().filter_map(blame).collect()
}

/// Acknowledged writes that are gone because every node that ever held them forgot.
pub(super) fn permitted_losses(view: &KeyView<'_>) -> Vec<OpId> {
    let is_lost = |write: &AckedWrite<'_>| matches!(fate(view, write), Fate::LostWithPermission);
    view.acked_writes().filter(is_lost).map(|write| write.id).collect()
}

fn fate(view: &KeyView<'_>, write: &AckedWrite<'_>) -> Fate {
    if view.is_lww() {
        return match winner(write.context) {
            Some(version) if view.is_beaten_by_purged(version, END) => Fate::Kept,
            Some(version) => {
                let fate = fate_of(view, version.1, |record| last_write(record) >= Some(version));
                match fate {
                    Fate::Lost(_) if view.was_beaten_and_lost(version) => Fate::LostWithPermission,
                    fate => fate,
                }
            }
            None => Fate::NeverSeen,
        };
    }
    let OpKind::Put { value, .. } = write.op.kind else {
        return Fate::Kept;
    };
    match view.dot_of(write.id) {
        Some(dot) if view.is_superseded(dot, END) || view.is_purged(dot, END) => Fate::Kept,
        Some(dot) => fate_of(view, dot, |record| record.cells().any(|(live, _)| live == dot)),
        // A value too short to be unique names no write.
        None if view.puts_of(value).len() > 1 => Fate::Kept,
        None if last_dots(write.context).any(|dot| view.is_superseded(dot, END)) => Fate::Kept,
        None => Fate::NeverSeen,
    }
}

/// After everything.
const END: MonoTime = MonoTime::from_nanos(u64::MAX);

fn fate_of(view: &KeyView<'_>, dot: Dot, holds: impl Fn(&Record) -> bool) -> Fate {
    let lacks = |record: Option<&Record>| !record.is_some_and(&holds);
    let lacking: Vec<_> =
        view.final_records().filter(|(_, record)| lacks(*record)).map(|(node, _)| node).collect();
    if lacking.is_empty() {
        Fate::Kept
    } else if view.is_permitted_loss(dot) {
        Fate::LostWithPermission
    } else {
        Fate::Lost(lacking)
    }
}

fn last_write(record: &Record) -> Option<(Timestamp, Dot)> {
    record.cells().map(|(dot, cell)| (cell.timestamp, dot)).max()
}

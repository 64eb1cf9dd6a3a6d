//! I10/P1: an answer counts replicas that were there; P11: a failure says what it may.
//!
//! 1. An acknowledgement counts at least what its level needs, by `levels.rs`, and at most the owners. By then that
//!    many owners were seen to hold the write durably, and they satisfy the level.
//! 2. An answered get counts at least what its level needs and at most the owners.
//! 3. A put that timed out is `Unknown`, never "deadline"; a get is never `Unknown`; the numbers in a failure are a
//!    shortfall; an internal error is always a defect. (That a refused write is not applied is in `genuine.rs`.)

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::version::Dot;
use atoll_protocol::wire::Failure;

use super::levels::{Count, fewest, satisfies};
use super::promise;
use super::view::{AckedWrite, KeyView, asked};
use crate::history::{Op, OpKind, Outcome, Violation};

pub(super) fn dishonest_counts(view: &KeyView<'_>) -> Vec<Violation> {
    let writes = view.acked_writes().filter_map(|write| {
        let detail =
            wrong_count(view, write.op, write.acked).or_else(|| wrong_holders(view, &write))?;
        Some(view.violation(promise::ACK, &[write.id], detail))
    });
    let reads = view.reads().filter_map(|read| {
        let detail = wrong_count(view, read.op, read.answered)?;
        Some(view.violation(promise::ANSWERED, &[read.id], detail))
    });
    writes.chain(reads).collect()
}

fn wrong_count(view: &KeyView<'_>, op: &Op, count: u16) -> Option<String> {
    let (level, all) = (op.level, view.key.owners.len());
    let Some(fewest) = fewest(&view.key.counts, asked(op)) else {
        return Some(format!("{level} cannot be satisfied by {all} replicas"));
    };
    if count < fewest {
        return Some(format!("{level} needs at least {fewest} replicas; {count} were counted"));
    }
    (usize::from(count) > all).then(|| format!("{count} replicas were counted; there are {all}"))
}

/// Compares an acknowledgement with the owners that were seen to hold the write before it was given.
fn wrong_holders(view: &KeyView<'_>, write: &AckedWrite<'_>) -> Option<String> {
    let dot = view.dot_of(write.id)?;
    let mut holders: Count = vec![0; view.key.counts.len()];
    for (node, dc) in &view.key.owners {
        let held = holds(view, write, dot, *node);
        if let Some(here) = holders.get_mut(usize::from(dc.0)).filter(|_| held) {
            *here += 1;
        }
    }
    let total: u16 = holders.iter().map(|&here| u16::from(here)).sum();
    if total < write.acked {
        return Some(format!("{} copies of {dot} were counted; {total} were durable", write.acked));
    }
    let is_enough = satisfies(&view.key.counts, asked(write.op), &holders);
    (!is_enough).then(|| {
        format!("durable copies of {dot} by datacenter: {holders:?}; {} needs more", write.op.level)
    })
}

/// Whether a node was seen to hold the write by the time of its acknowledgement; in an `lww` keyspace also by what beat
/// it: two puts in one batch leave only the winner on disk.
fn holds(view: &KeyView<'_>, write: &AckedWrite<'_>, dot: Dot, node: NodeIndex) -> bool {
    let held = |dot: Dot| {
        let since = view.history.held_since.get(&(view.id, dot));
        since.and_then(|nodes| nodes.get(&node)).is_some_and(|at| *at <= write.end)
    };
    let own = (write.context.timestamp(), dot);
    let mut winners = view
        .history
        .cells
        .iter()
        .filter(|((key, other), cell)| *key == view.id && (cell.timestamp, *other) > own)
        .map(|((_, other), _)| *other);
    held(dot) || (view.key.conflict == Conflict::Lww && winners.any(held))
}

pub(super) fn dishonest_failures(view: &KeyView<'_>) -> Vec<Violation> {
    let blame = |(id, op): &(_, &Op)| {
        let Outcome::Failed(failure) = &op.outcome else {
            return None;
        };
        let (invariant, detail) = wrong_failure(&op.kind, failure)?;
        Some(view.violation(invariant, &[*id], format!("{detail}: {failure}")))
    };
    view.ops.iter().filter_map(blame).collect()
}

fn wrong_failure(kind: &OpKind, failure: &Failure) -> Option<(&'static str, &'static str)> {
    let is_read = matches!(kind, OpKind::Get);
    let (needed, have) = match failure {
        Failure::Internal { .. } => return Some((promise::INTERNAL, "a defect")),
        Failure::Deadline { .. } if !is_read => {
            return Some((promise::UNSAID, "a write that timed out is of unknown outcome"));
        }
        Failure::Unknown { .. } if is_read => {
            return Some((promise::UNSAID, "a read has no outcome to be unknown"));
        }
        Failure::Deadline { needed, answered, .. } => (needed, answered),
        Failure::Unknown { needed, acked, .. } => (needed, acked),
        Failure::Unavailable { needed, alive, .. } => (needed, alive),
        Failure::Invalid(_)
        | Failure::Denied { .. }
        | Failure::Overloaded { .. }
        | Failure::NotServing { .. }
        | Failure::Storage { .. }
        | Failure::SessionBehind { .. } => return None,
    };
    (have >= needed).then_some((promise::UNSAID, "the numbers are no shortfall"))
}

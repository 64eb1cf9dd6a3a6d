//! The checkers: pure functions from a history to the promises that it breaks.
//!
//! | file | invariants |
//! |---|---|
//! | `durable` | I1/P1 no acked write is lost without a cause |
//! | `superseded` | I6/P2 what a write had seen is gone where the write is; siblings are concurrent; contexts are honest |
//! | `fresh` | I5b/P3 reads are fresh and go forward; I4/P6 deletes stay deleted |
//! | `genuine` | I5b, I7, I15/P8, P11 every cell is what somebody wrote, once, and was not refused |
//! | `honest` | I10/P1 acks count durable copies; P11 failures say what they may |
//! | `session` | I2/P4 sessions go forward |
//! | `converged` | I3/P7 owners end with identical bytes |
//!
//! 1. [`check`] looks at each key by itself (`view`), with its own arithmetic of levels (`levels`), and passes on what
//!    the world found.
//! 2. [`account`] tells the story of a violated key.
//! 3. [`permitted_losses`] lists the acked writes that are gone because every holder forgot: they break no promise, and
//!    a run that provokes them must see them here.
//!
//! Invariants
//! - Nothing but the history is looked at; equal histories give equal violations.
//! - A checker that lacks the evidence (a dot that nobody saw, a record that cannot be read) stays silent, and another
//!   one complains about the lack where the lack itself breaks a promise.
//!
//! Cost: quadratic in the operations of a key.
//! Source: reference of failures §4.4; the checks of contexts are those of dotted version vectors.

mod account;
mod converged;
mod durable;
mod fresh;
mod genuine;
mod honest;
mod session;
mod superseded;
mod view;
mod levels;
mod promise;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use atoll_protocol::ids::{Incarnation, NodeIndex};

use crate::history::{History, KeyId, OpId, Violation};
use view::KeyView;

pub use account::account;

/// Violations of one invariant on one key that are reported: more only repeat the first.
const VIOLATIONS_MAX: usize = 5;

/// A checker of one key.
type Checker = fn(&KeyView<'_>) -> Vec<Violation>;

const CHECKERS: [Checker; 13] = [
    durable::lost_writes,
    durable::outdated_writes,
    superseded::kept_by_owners,
    superseded::not_concurrent,
    superseded::dishonest_contexts,
    fresh::stale_reads,
    genuine::wrong_answers,
    genuine::unwritten_cells,
    genuine::reused_dots,
    honest::dishonest_counts,
    honest::dishonest_failures,
    converged::diverged,
    session::backward_sessions,
];

/// Every promise that `history` breaks, the world's own findings first.
pub fn check(history: &History) -> Vec<Violation> {
    let mut violations = reminted(history);
    for view in views(history) {
        for checker in CHECKERS {
            violations.extend(checker(&view));
        }
    }
    history.findings.iter().cloned().chain(keep_first(violations)).collect()
}

/// Acknowledged writes that are gone because every node that ever held them forgot.
pub fn permitted_losses(history: &History) -> Vec<OpId> {
    views(history).flat_map(|view| durable::permitted_losses(&view)).collect()
}

fn views(history: &History) -> impl Iterator<Item = KeyView<'_>> {
    let keys = history.keys.iter().enumerate();
    keys.map(|(at, key)| KeyView::new(history, KeyId(at), key))
}

/// I7: dots that were bound twice, and incarnations that two nodes had.
fn reminted(history: &History) -> Vec<Violation> {
    let conflicts = history.dot_conflicts.iter().map(|conflict| Violation {
        invariant: promise::DOT,
        key: Some(conflict.key),
        detail: format!("{} was bound before: {}", conflict.dot, conflict.detail),
        ops: Vec::new(),
    });
    let mut had: BTreeMap<Incarnation, BTreeSet<NodeIndex>> = BTreeMap::new();
    for (node, incarnations) in &history.incarnations {
        for incarnation in incarnations {
            had.entry(*incarnation).or_default().insert(*node);
        }
    }
    let shared = had.into_iter().filter(|(_, nodes)| nodes.len() > 1);
    let clones = shared.map(|(incarnation, nodes)| Violation {
        invariant: promise::CLONED,
        key: None,
        detail: format!("{incarnation} was of {} nodes: {nodes:?}", nodes.len()),
        ops: Vec::new(),
    });
    conflicts.chain(clones).collect()
}

/// Leaves out what only repeats: the same operations once more, and more of one invariant on one key.
fn keep_first(mut violations: Vec<Violation>) -> Vec<Violation> {
    let mut kept: BTreeMap<(&str, Option<KeyId>), Vec<Vec<OpId>>> = BTreeMap::new();
    violations.retain(|violation| {
        let like_it = kept.entry((violation.invariant, violation.key)).or_default();
        let is_new = like_it.len() < VIOLATIONS_MAX && !like_it.contains(&violation.ops);
        if is_new {
            like_it.push(violation.ops.clone());
        }
        is_new
    });
    violations
}

//! I2/P4: a session goes forward, wherever its next request goes.
//!
//! What a session has seen of a key follows from the history: the answers to its earlier requests of that key. A client does
//! one thing after the other, so that "earlier" has one meaning.
//!
//! - An answer to a get has seen all that: read-your-writes and monotonic reads.
//! - An acknowledged write has, too, so that it stands beside or above what the session saw and never below: monotonic
//!   writes and writes follow reads.
//! - Only who has seen something can be told that everybody is behind it.

use std::collections::BTreeMap;

use atoll_protocol::keyspace::Conflict;
use atoll_protocol::version::{Context, Dot, Timestamp};
use atoll_protocol::wire::Failure;

use super::promise;
use super::view::KeyView;
use crate::history::{Op, OpId, Outcome, Violation};

/// What a session has seen of the key, and the answer that showed it last.
type Past = (Context, OpId);

pub(super) fn backward_sessions(view: &KeyView<'_>) -> Vec<Violation> {
    let mut pasts: BTreeMap<usize, Past> = BTreeMap::new();
    let mut violations = Vec::new();
    for &(id, op) in view.ops.iter().filter(|(_, op)| op.in_session) {
        let past = pasts.get(&op.client);
        if let Some((invariant, proof)) = broken(view, (id, op), past) {
            let detail = match past {
                Some((past, _)) => format!("the session had seen {past:?}"),
                None => "the session had seen nothing".to_owned(),
            };
            violations.push(view.violation(invariant, &proof, detail));
        }
        if let Some(seen) = context_of(op) {
            let joined = match pasts.remove(&op.client) {
                Some((past, _)) => later(view.key.conflict, past, seen),
                None => seen.clone(),
            };
            pasts.insert(op.client, (joined, id));
        }
    }
    violations
}

fn broken(
    view: &KeyView<'_>,
    (id, op): (OpId, &Op),
    past: Option<&Past>,
) -> Option<(&'static str, Vec<OpId>)> {
    let has_seen_something = past.is_some_and(|(past, _)| past.entries().next().is_some());
    if matches!(op.outcome, Outcome::Failed(Failure::SessionBehind { .. })) && !has_seen_something {
        return Some((promise::SESSION_REFUSED, vec![id]));
    }
    let (past, shown_by) = past?;
    let invariant = match &op.outcome {
        Outcome::Got { .. } => promise::SESSION_READ,
        Outcome::Acked { .. } => promise::SESSION_WRITE,
        Outcome::Pending | Outcome::Failed(_) | Outcome::NoAnswer => return None,
    };
    let end = op.end?;
    let context = context_of(op)?;
    let is_forward = match view.key.conflict {
        Conflict::Siblings => view.unseen(past, context, end).is_none(),
        Conflict::Lww => {
            let (after, before) = (winner(context), winner(past));
            let is_purged = |version| view.is_beaten_by_purged(version, end);
            after >= before || before.is_some_and(is_purged)
        }
    };
    (!is_forward).then(|| (invariant, vec![*shown_by, id]))
}

fn context_of(op: &Op) -> Option<&Context> {
    match &op.outcome {
        Outcome::Got { context, .. } | Outcome::Acked { context, .. } => Some(context),
        Outcome::Pending | Outcome::Failed(_) | Outcome::NoAnswer => None,
    }
}

fn later(conflict: Conflict, past: Context, seen: &Context) -> Context {
    match conflict {
        Conflict::Siblings => {
            let mut joined = past;
            joined.join(seen);
            joined
        }
        Conflict::Lww if winner(&past) >= winner(seen) => past,
        Conflict::Lww => seen.clone(),
    }
}

/// The one write of an `lww` context; `None` is before every write.
fn winner(context: &Context) -> Option<(Timestamp, Dot)> {
    let dots = context.entries().map(|(incarnation, counter)| Dot { incarnation, counter });
    dots.max().map(|dot| (context.timestamp(), dot))
}

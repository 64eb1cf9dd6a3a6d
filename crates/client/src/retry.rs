//! Whether to ask again: a pure decision, and a budget that keeps decisions from becoming a storm.
//!
//! | trouble | read | write |
//! |---|---|---|
//! | not sent: outbox full | another node | another node |
//! | sent, connection broke or no answer in time | another node | stop: unknown |
//! | answered: not serving, overloaded, storage | another node | another node: nothing was written |
//! | answered: unavailable, session behind | another datacenter, if one may serve | the same |
//! | answered: deadline or unknown | another node | stop |
//! | answered: keyspace unknown, and this client knows it | another node | another node |
//! | answered: invalid, denied, internal | stop | stop |
//!
//! A node that cannot be connected to is not in the table: nothing was sent, so the next one is asked and nothing is
//! paid for it.
//!
//! Invariants
//! - A write whose outcome is unknown is never repeated: a second blind put would add a sibling.
//! - Beyond a burst of [`BURST`], retries are at most the budget's share of requests.

use std::sync::atomic::{AtomicU64, Ordering};

use atoll_protocol::wire::{Failure, Invalid};

use crate::error::Operation;

/// A retry in thousandths.
const RETRY_COST: u64 = 1_000;

/// Retries that can be saved up: enough for the requests under way when a node dies, few enough that a cluster in
/// trouble sees the difference only for a moment.
const BURST: u64 = 10;

/// What came of one attempt, if not an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble<'a> {
    /// It was not sent.
    NotSent,
    /// It was sent, and nothing came back.
    NoAnswer,
    /// The node answered that it failed.
    Failed(&'a Failure),
}

/// Whether this client's own snapshot has the keyspace of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyspaceHere {
    Known,
    Unknown,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Tell the caller.
    Stop,
    /// Ask another node.
    OtherNode,
    /// Ask a node of another datacenter.
    OtherDc,
}

/// Decides what follows `trouble`.
pub(crate) fn decide(
    trouble: Trouble<'_>,
    operation: Operation,
    keyspace: KeyspaceHere,
) -> Verdict {
    let if_read = match operation {
        Operation::Read => Verdict::OtherNode,
        Operation::Write => Verdict::Stop,
    };
    let failure = match trouble {
        Trouble::NotSent => return Verdict::OtherNode,
        Trouble::NoAnswer => return if_read,
        Trouble::Failed(failure) => failure,
    };
    if failure.may_have_applied() && operation == Operation::Write {
        return Verdict::Stop;
    }
    match failure {
        Failure::Invalid(Invalid::UnknownKeyspace { .. }) if keyspace == KeyspaceHere::Known => {
            Verdict::OtherNode
        }
        Failure::Unavailable { .. } => Verdict::OtherDc,
        // It has asked its neighbours already.
        Failure::SessionBehind { .. } => Verdict::OtherDc,
        Failure::Overloaded { .. } | Failure::NotServing { .. } | Failure::Storage { .. } => {
            Verdict::OtherNode
        }
        Failure::Unknown { .. } | Failure::Deadline { .. } => if_read,
        Failure::Invalid(_) | Failure::Denied { .. } | Failure::Internal { .. } => Verdict::Stop,
    }
}

/// True if `failure` shows that this client's view of the cluster may be old.
pub(crate) fn shows_old_view(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::NotServing { .. } | Failure::Invalid(Invalid::UnknownKeyspace { .. })
    )
}

/// Retries that may still be made, shared by all requests of a client.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    /// What one request earns, in thousandths of a retry.
    earned: u64,
    /// What can be saved up, in thousandths of a retry.
    cap: u64,
    saved: AtomicU64,
}

impl RetryBudget {
    /// A budget of `percent` retries for every 100 requests, and a full purse to start with. 0 allows none.
    pub(crate) fn new(percent: u32) -> Self {
        let cap = if percent == 0 { 0 } else { BURST * RETRY_COST };
        let earned = u64::from(percent) * RETRY_COST / 100;
        Self { earned, cap, saved: AtomicU64::new(cap) }
    }

    /// Notes a request.
    pub(crate) fn earn(&self) {
        let more = |saved: u64| Some(self.cap.min(saved + self.earned));
        // The closure never refuses.
        let _ = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// True if a retry could be paid for now.
    pub(crate) fn can_spend(&self) -> bool {
        self.saved.load(Ordering::Relaxed) >= RETRY_COST
    }

    /// Pays for a retry; false if there is not enough.
    pub(crate) fn spend(&self) -> bool {
        let less = |saved: u64| saved.checked_sub(RETRY_COST);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

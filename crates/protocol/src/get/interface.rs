//! What goes into a get's machine and what comes out of it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::NodeIndex;
use crate::put::{Liveness, Replica};
use crate::quorum::{QuorumSpec, Shortfall, Tally};
use crate::record::Record;
use crate::time::MonoTime;
use crate::version::Context;

/// Everything that a get needs to know at its start.
#[derive(Clone, Debug)]
pub struct GetPlan {
    /// What the level demands.
    pub spec: QuorumSpec,
    /// The node that runs this machine.
    pub coordinator: NodeIndex,
    /// The replicas of the key, nearest first.
    pub replicas: Vec<Replica>,
    /// The record of a key that nobody wrote, in this keyspace's conflict mode.
    pub empty: Record,
    /// What the answer must have seen at least: what the client's session saw.
    pub at_least: Option<Context>,
    /// When the client's patience ends.
    pub deadline: MonoTime,
    /// How long to wait before speculative reads are asked for beside the replicas that have not answered.
    pub hedge_after: Duration,
}

/// The replicas that a get asks before anything goes wrong, of `replicas` in this order.
pub fn first_asked(spec: &QuorumSpec, replicas: &[Replica]) -> Vec<NodeIndex> {
    let mut asked = Tally::new(spec);
    let mut nodes = Vec::new();
    for replica in replicas.iter().filter(|replica| replica.liveness == Liveness::Alive) {
        if spec.shortfall(&asked).is_some() && spec.wants(&asked, replica.dc) {
            asked.ack(replica.dc);
            nodes.push(replica.node);
        }
    }
    nodes
}

impl GetPlan {
    /// True if every replica stands once and no datacenter has more than the spec counts.
    pub(super) fn is_consistent(&self) -> bool {
        let nodes: BTreeSet<NodeIndex> = self.replicas.iter().map(|replica| replica.node).collect();
        let is_counted = |replica: &Replica| {
            let in_dc = self.replicas.iter().filter(|other| other.dc == replica.dc).count();
            in_dc <= usize::from(self.spec.replicas_in(replica.dc))
        };
        nodes.len() == self.replicas.len() && self.replicas.iter().all(is_counted)
    }
}

/// A fact for the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GetInput {
    /// Begin.
    Start,
    /// `from` sent its record; the empty one when it has none.
    Record {
        /// The replica.
        from: NodeIndex,
        /// What it holds.
        record: Record,
    },
    /// `from` holds exactly the record that it was told is known.
    Same {
        /// The replica.
        from: NodeIndex,
    },
    /// `from` holds an older record than the one that it was told is known: it adds nothing.
    Older {
        /// The replica.
        from: NodeIndex,
        /// Digest of what it holds.
        digest: u128,
    },
    /// `from` holds the repaired record durably.
    Repaired {
        /// The replica.
        from: NodeIndex,
    },
    /// `from` cannot answer or cannot be repaired.
    Failed {
        /// The replica.
        from: NodeIndex,
    },
    /// The speculative reads that were asked for may go out.
    Granted,
    /// Time passed; the driver was woken as it was told to.
    Tick,
}

/// A deed for the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GetEffect {
    /// Ask `to` for its record, or for `Same` or `Older` if [`joined`](super::GetMachine::joined) as it is now covers it.
    Read {
        /// The replica; may be the coordinator itself.
        to: NodeIndex,
        /// Digest of what is known; `None` if nothing is.
        known: Option<u128>,
        /// Why it is asked.
        reason: ReadReason,
    },
    /// Report `Granted` if so many speculative reads may go out beside the replicas that are overdue. If they may not,
    /// this is asked again later.
    Speculate {
        /// Replicas whose answers are late.
        overdue: Vec<NodeIndex>,
        /// Further replicas that would be read.
        reads: u16,
    },
    /// Nobody waits for the read of `to` any more.
    Cancel {
        /// The replica.
        to: NodeIndex,
    },
    /// Send [`joined`](super::GetMachine::joined), as it is when this effect is handed out, to `to` and report `Repaired` or `Failed`.
    Repair {
        /// The stale replica; may be the coordinator itself.
        to: NodeIndex,
    },
    /// Call back with `Tick` at this instant.
    WakeAt(MonoTime),
    /// Answer the client with [`joined`](super::GetMachine::joined) as it is when this effect is handed out, or with the error.
    Finish(Result<GetOutcome, GetError>),
}

/// Why a replica is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadReason {
    /// The level needs it, or another one failed.
    Needed,
    /// Another one is overdue.
    Speculative,
    /// The session has seen more than those that the level needs.
    Session,
}

/// A satisfied get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetOutcome {
    /// Replicas that answered.
    pub answered: u16,
    /// Replicas that were found stale before the answer.
    pub stale: u16,
    /// Speculative reads that answered while replicas asked before them still had not.
    pub won: u16,
}

/// An unsatisfied get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// Too few replicas are alive or readable.
    #[error("not enough live replicas: {} needed, {} alive", .0.needed, .0.have)]
    Unavailable(Shortfall),
    /// Enough replicas answered, and all together hold less than the session has seen.
    #[error("the session has seen more than the {answered} replicas that answered")]
    Behind {
        /// Replicas that answered.
        answered: u16,
    },
    /// Too few replicas answered before the deadline.
    #[error("deadline passed: {} answers needed, {} received", .0.needed, .0.have)]
    Deadline(Shortfall),
}

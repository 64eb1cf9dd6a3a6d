//! What goes into a get's machine and what comes out of it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::NodeIndex;
use crate::put::Replica;
use crate::quorum::{QuorumSpec, Shortfall};
use crate::record::Record;
use crate::time::MonoTime;

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
    /// When the client's patience ends.
    pub deadline: MonoTime,
    /// How long to wait before the replicas that have not answered are backed up by others.
    pub hedge_after: Duration,
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
    /// `from` holds exactly the record whose digest it was asked about.
    Same {
        /// The replica.
        from: NodeIndex,
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
    /// Time passed; the driver was woken as it was told to.
    Tick,
}

/// A deed for the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GetEffect {
    /// Ask `to` for its record, or for `Same` if its digest is `known`.
    Read {
        /// The replica; may be the coordinator itself.
        to: NodeIndex,
        /// Digest of the record that needs no sending.
        known: Option<u128>,
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

/// A satisfied get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetOutcome {
    /// Replicas that answered.
    pub answered: u16,
    /// Replicas that were found stale before the answer.
    pub stale: u16,
}

/// An unsatisfied get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// Too few replicas are alive or readable.
    #[error("not enough live replicas: {} needed, {} alive", .0.needed, .0.have)]
    Unavailable(Shortfall),
    /// Too few replicas answered before the deadline.
    #[error("deadline passed: {} answers needed, {} received", .0.needed, .0.have)]
    Deadline(Shortfall),
}

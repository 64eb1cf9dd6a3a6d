//! What goes into a put's machine and what comes out of it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::{DcIndex, NodeIndex};
use crate::quorum::{QuorumSpec, Shortfall};
use crate::time::MonoTime;

/// A replica of the key, as the coordinator sees it when the operation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The node.
    pub node: NodeIndex,
    /// Its datacenter.
    pub dc: DcIndex,
    /// Whether it can be reached.
    pub liveness: Liveness,
}

/// Whether a replica is believed to be reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// Connected.
    Alive,
    /// Not connected.
    Down,
}

/// Everything that a put needs to know at its start.
#[derive(Clone, Debug)]
pub struct PutPlan {
    /// What the level demands.
    pub spec: QuorumSpec,
    /// The node that runs this machine; one of `replicas`.
    pub coordinator: NodeIndex,
    /// The replicas of the key in all datacenters, in preference order.
    pub replicas: Vec<Replica>,
    /// Live nodes that may stand in for a replica of their datacenter, in order; empty for a strict quorum.
    pub fallbacks: Vec<Replica>,
    /// When the client's patience ends.
    pub deadline: MonoTime,
    /// How long to wait for a remote datacenter before another of its replicas is asked to relay, and for a
    /// replica before a fallback stands in for it.
    pub rerelay_after: Duration,
}

/// A fact for the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutInput {
    /// The coordinator's replica minted the dot; the record may be sent.
    Minted,
    /// `from` holds the record durably. The coordinator's own replica reports here too.
    Acked {
        /// The replica.
        from: NodeIndex,
    },
    /// `from` will not apply the record (damaged, shutting down, unreachable). A mint that fails is not reported here:
    /// nothing was written, and the driver drops the machine.
    Failed {
        /// The replica.
        from: NodeIndex,
    },
    /// `from` answered that it does not take the record: it is overloaded, or cannot store.
    Refused {
        /// The replica.
        from: NodeIndex,
    },
    /// Time passed; the driver was woken as it was told to.
    Tick,
}

/// A deed for the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutEffect {
    /// Send the record to `to`, which applies it and forwards it to `relay_to`.
    Send {
        /// The receiver.
        to: NodeIndex,
        /// Its neighbours that it forwards to; empty for a direct copy.
        relay_to: Vec<NodeIndex>,
    },
    /// Have `to` keep the record for `owner`.
    Hold {
        /// The fallback.
        to: NodeIndex,
        /// The replica that it stands in for.
        owner: NodeIndex,
    },
    /// `owner` did not get the record, as far as is known. Somebody has to bring it.
    Missed {
        /// The replica that lacks the record.
        owner: NodeIndex,
        /// Why it does.
        miss: Miss,
    },
    /// Call back with `Tick` at this instant.
    WakeAt(MonoTime),
    /// Answer the client.
    Finish(Result<PutOutcome, PutError>),
}

/// Why a replica lacks a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It was not reached, or did not answer in time.
    Unheard,
    /// It refused. Whoever is overloaded is not helped by getting it again as soon as possible.
    Refused,
}

/// A satisfied put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutOutcome {
    /// Replicas that had acknowledged when the spec was met.
    pub acked: u16,
    /// Fallbacks that had, and counted for replicas that had not.
    pub held: u16,
}

/// An unsatisfied put, by what the client can conclude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The live replicas could not satisfy the level. Nothing was written anywhere.
    #[error("not enough live replicas: {} needed, {} alive", .0.needed, .0.have)]
    Unavailable(Shortfall),
    /// The level was not reached. Replicas that applied the record keep it.
    #[error("outcome unknown: {} acknowledgements needed, {} received", .0.needed, .0.have)]
    Unknown(Shortfall),
}

impl PutPlan {
    /// True if every node stands once, fallbacks are alive, and each datacenter has as many as the spec counts.
    pub(super) fn is_consistent(&self) -> bool {
        let nodes: BTreeSet<NodeIndex> = self.replicas.iter().map(|replica| replica.node).collect();
        let count_in = |dc| self.replicas.iter().filter(|replica| replica.dc == dc).count();
        let counts_agree =
            self.spec.dcs().all(|dc| count_in(dc) == usize::from(self.spec.replicas_in(dc)));
        let total: usize = self.spec.dcs().map(count_in).sum();
        let are_sound = |fallback: &Replica| {
            fallback.liveness == Liveness::Alive && !nodes.contains(&fallback.node)
        };
        nodes.len() == self.replicas.len()
            && counts_agree
            && total == self.replicas.len()
            && self.fallbacks.iter().all(are_sound)
    }
}

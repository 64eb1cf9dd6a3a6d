//! Puts: their admission; `running_put.rs` drives them.

use std::time::Duration;

use atoll_protocol::ids::DcIndex;
use atoll_protocol::put::{Liveness, PutError, PutMachine, PutPlan, Replica as ReplicaSlot};
use atoll_protocol::quorum::Level;
use atoll_protocol::record::CellBody;
use atoll_protocol::time::MonoTime;
use atoll_protocol::version::Context;
use atoll_protocol::wire::{Acknowledged, Failure, QuorumKind};

use super::operations::Place;
use super::running_put::{RunningPut, unknown};
use super::{Answer, Coordinator, Target, overloaded, quorum_spec, unavailable};
use crate::replica::MintRequest;

/// A put or delete of a key that this node replicates.
pub struct Put {
    /// The key.
    pub target: Target,
    /// How many replicas must acknowledge.
    pub level: Level,
    /// The datacenter that `LOCAL` means.
    pub local: DcIndex,
    /// Who may acknowledge.
    pub quorum: QuorumKind,
    /// Value or tombstone.
    pub body: CellBody,
    /// What the client has seen.
    pub context: Context,
    /// What this replica must have seen at least before it writes.
    pub at_least: Option<Context>,
    /// Time until the value expires.
    pub ttl: Option<Duration>,
    /// When the client's patience ends.
    pub deadline: MonoTime,
}

impl Coordinator {
    /// Begins a put: its record is minted by the own replica's stripe, and everything else follows from that
    /// ([`RunningPut`]). Nothing here waits.
    ///
    /// # Panics
    /// If this node is not a replica of the key: the service forwards such puts.
    pub fn put(&self, put: Put, answer: Answer<Acknowledged>) {
        let place = match self.parts.operations.enter() {
            Ok(place) => place,
            Err(limit) => return answer(Err(overloaded(limit))),
        };
        Self::count(&self.parts.counters.puts);
        let machine = match self.admit_put(&put) {
            Ok(machine) => machine,
            Err(failure) => return answer(Err(failure)),
        };
        if put.at_least.is_none() {
            return self.begin_put(put, machine, place, answer);
        }
        let coordinator = self.clone();
        self.parts.tasks.spawn("session-put", async move {
            match coordinator.catch_up(&put).await {
                Ok(()) => coordinator.begin_put(put, machine, place, answer),
                Err(failure) => answer(Err(failure)),
            }
        });
    }

    fn begin_put(&self, put: Put, machine: PutMachine, place: Place, answer: Answer<Acknowledged>) {
        let Put { target, level, body, context, ttl, deadline, .. } = put;
        let conflict = target.keyspace.conflict;
        let request = MintRequest { conflict, body, context, ttl, deadline };
        RunningPut::begin(self.clone(), place, (target, level, machine), request, answer);
    }

    fn admit_put(&self, put: &Put) -> Result<PutMachine, Failure> {
        let spec = quorum_spec(&put.target, put.level, put.local)?;
        let (replicas, laggards) = self.preference_list(&put.target);
        let plan = PutPlan {
            spec,
            coordinator: self.parts.cluster.own(),
            rerelay_after: self.patience(&replicas, &laggards, put.deadline),
            replicas,
            fallbacks: self.fallbacks(put),
            deadline: put.deadline,
        };
        PutMachine::admit(plan).map_err(|error| match error {
            PutError::Unavailable(short) => unavailable(&put.target.view, put.level, short),
            PutError::Unknown(short) => unknown(&put.target, put.level, short),
        })
    }

    /// Who may stand in for replicas of a sloppy put, in the partition's own order.
    fn fallbacks(&self, put: &Put) -> Vec<ReplicaSlot> {
        if put.quorum == QuorumKind::Strict {
            return Vec::new();
        }
        // Only datacenters with replicas have something to stand in for.
        let has_replicas = |dc| put.target.replicas.nodes.iter().any(|(_, of)| *of == dc);
        let fallbacks = put.target.fallbacks().filter(|(_, dc)| has_replicas(*dc));
        let slots = fallbacks.map(|(node, dc)| self.slot(node, dc));
        slots.filter(|slot| slot.liveness == Liveness::Alive).collect()
    }

    pub(super) fn stopping(&self) -> Failure {
        let view = self.parts.cluster.view();
        match view.node_name(self.parts.cluster.own()) {
            Some(node) => {
                Failure::NotServing { node: node.clone(), reason: "it is stopping".to_owned() }
            }
            None => Failure::Internal { detail: "this node is not in its own topology".to_owned() },
        }
    }
}

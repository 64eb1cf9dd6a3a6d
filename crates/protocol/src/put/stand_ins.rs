//! Fallbacks that stand in for replicas: the sloppy part of a put.
//!
//! 1. Each replica has at most one stand-in at a time, of its own datacenter; no node stands in twice.
//! 2. A stand-in that fails is followed by the next fallback; without one the replica has failed.
//! 3. The acknowledgement of a stand-in counts instead of its replica's, never besides it.
//!
//! Source: DeCandia et al., "Dynamo", SOSP 2007, §4.6.

use std::collections::BTreeSet;

use super::{PutEffect, PutMachine, PutPlan, ReplicaState, Stage};
use crate::ids::{DcIndex, NodeIndex};
use crate::time::MonoTime;

/// The stand-ins of one put, by the slot of the replica in the plan.
#[derive(Debug)]
pub(super) struct StandIns {
    slots: Vec<Option<StandIn>>,
    /// Fallbacks that have not been used, with their datacenters.
    left: Vec<(NodeIndex, DcIndex)>,
    dcs: Vec<DcIndex>,
}

#[derive(Clone, Copy, Debug)]
struct StandIn {
    node: NodeIndex,
    state: StandInState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StandInState {
    Waiting,
    Acked,
    Failed,
}

impl StandIns {
    /// None yet.
    pub(super) fn new(plan: &PutPlan) -> Self {
        Self {
            slots: vec![None; plan.replicas.len()],
            left: plan.fallbacks.iter().map(|fallback| (fallback.node, fallback.dc)).collect(),
            dcs: plan.replicas.iter().map(|replica| replica.dc).collect(),
        }
    }

    /// Has the next fallback stand in for the replica of `slot`, if there is one; who does.
    pub(super) fn assign(&mut self, slot: usize) -> Option<NodeIndex> {
        let dc = *self.dcs.get(slot)?;
        let next = self.left.iter().position(|(_, of)| *of == dc)?;
        let (node, _) = self.left.remove(next);
        *self.slots.get_mut(slot)? = Some(StandIn { node, state: StandInState::Waiting });
        debug_assert!(self.are_distinct(), "no node stands in twice");
        Some(node)
    }

    /// The slot that `node` stands in for.
    pub(super) fn slot_of(&self, node: NodeIndex) -> Option<usize> {
        self.slots.iter().position(|stand_in| stand_in.is_some_and(|of| of.node == node))
    }

    /// `from` keeps the record; the datacenter in which that counts, unless its replica has acknowledged as well.
    pub(super) fn ack(&mut self, from: NodeIndex, replicas: &[ReplicaState]) -> Option<DcIndex> {
        let slot = self.slot_of(from)?;
        let stand_in = self.slots.get_mut(slot)?.as_mut()?;
        if stand_in.state != StandInState::Waiting {
            return None;
        }
        if replicas.get(slot) == Some(&ReplicaState::Acked) {
            // Too late: it is kept all the same, and handed over as what is known already.
            stand_in.state = StandInState::Failed;
            return None;
        }
        stand_in.state = StandInState::Acked;
        debug_assert!(self.has_acked(slot), "it counts once, here");
        self.dcs.get(slot).copied()
    }

    fn state(&self, slot: usize) -> Option<StandInState> {
        Some(self.slots.get(slot)?.as_ref()?.state)
    }

    /// Whether the stand-in of `slot` has acknowledged.
    pub(super) fn has_acked(&self, slot: usize) -> bool {
        self.state(slot) == Some(StandInState::Acked)
    }

    /// How many have.
    pub(super) fn acked(&self) -> u16 {
        debug_assert_eq!(self.slots.len(), self.dcs.len(), "a slot for each replica");
        let acked = (0..self.slots.len()).filter(|&slot| self.has_acked(slot)).count();
        u16::try_from(acked).unwrap_or(u16::MAX)
    }

    fn are_distinct(&self) -> bool {
        let nodes: Vec<NodeIndex> = self.slots.iter().flatten().map(|of| of.node).collect();
        nodes.iter().collect::<BTreeSet<_>>().len() == nodes.len()
    }
}

impl PutMachine {
    /// The replica of `slot` will not answer: somebody stands in for it, or does so already, or it counts as failed.
    pub(super) fn stand_in_or_fail(&mut self, slot: usize, out: &mut Vec<PutEffect>) {
        let is_covered =
            matches!(self.stand_ins.state(slot), Some(StandInState::Waiting | StandInState::Acked));
        if is_covered || self.stage != Stage::Pending || self.stand_in(slot, out) {
            return;
        }
        if let Some(replica) = self.plan.replicas.get(slot) {
            self.tally.fail(replica.dc);
        }
    }

    pub(super) fn on_stand_in_failed(&mut self, from: NodeIndex, out: &mut Vec<PutEffect>) {
        let Some(slot) = self.stand_ins.slot_of(from) else { return };
        if self.stand_ins.state(slot) != Some(StandInState::Waiting) {
            return;
        }
        if let Some(Some(stand_in)) = self.stand_ins.slots.get_mut(slot) {
            stand_in.state = StandInState::Failed;
        }
        if self.states.get(slot) == Some(&ReplicaState::Failed) {
            self.stand_in_or_fail(slot, out);
        }
    }

    /// Those who keep everybody waiting get a stand-in, once.
    pub(super) fn stand_in_if_due(&mut self, now: MonoTime, out: &mut Vec<PutEffect>) {
        if self.stage != Stage::Pending || self.stand_in_at.is_none_or(|at| now < at) {
            return;
        }
        self.stand_in_at = None;
        for slot in 0..self.states.len() {
            let is_other =
                self.plan.replicas.get(slot).is_some_and(|r| r.node != self.plan.coordinator);
            let is_waiting = self.states.get(slot) == Some(&ReplicaState::Waiting);
            if is_other && is_waiting && self.stand_ins.state(slot).is_none() {
                self.stand_in(slot, out);
            }
        }
    }

    /// Has the next fallback stand in for `slot`; false if there is none.
    fn stand_in(&mut self, slot: usize, out: &mut Vec<PutEffect>) -> bool {
        let owner = self.plan.replicas.get(slot).map(|replica| replica.node);
        let (Some(owner), Some(to)) = (owner, self.stand_ins.assign(slot)) else { return false };
        assert!(owner != to, "nobody stands in for itself");
        debug_assert!(self.position(to).is_none(), "a fallback is no replica of the key");
        out.push(PutEffect::Hold { to, owner });
        true
    }
}

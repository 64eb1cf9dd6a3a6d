//! Coordinates one client put (or delete): from preference list to quorum.
//!
//! Driven by `src/coordinator`, in the node and in the simulator alike; performs no I/O and holds no record: the
//! driver keeps the bytes, this machine says who gets them.
//!
//! 1. Admission ([`PutMachine::admit`]): if the live replicas cannot satisfy the level, fail before anything is
//!    written.
//! 2. The driver lets the coordinator's own replica mint the dot; `Minted` releases the sends: one copy to each other
//!    live local replica and one to a relay per other datacenter, which forwards to its neighbours.
//! 3. Every replica acknowledges straight to the coordinator. The machine tallies them per datacenter and finishes as
//!    soon as the spec is met, or cannot be met any more, or the deadline passes.
//! 4. A remote datacenter that has not fully acknowledged after `rerelay_after` gets the record once more through
//!    another of its replicas.
//! 5. In a sloppy quorum a fallback of the same datacenter stands in for a replica that is down, fails or keeps everybody
//!    waiting (`stand_ins.rs`): it keeps the record for it, and its acknowledgement counts.
//! 6. After the answer the machine keeps counting: whoever has not acknowledged by the deadline is `Missed`.
//!
//! Invariants
//! - `Finish` is emitted exactly once.
//! - Every replica but the coordinator's ends in exactly one of: acknowledged, missed. The first report counts: an
//!   acknowledgement after a failure arrives too late.
//! - After `Minted` the only failure is `Unknown`: it never claims that nothing was written.
//!
//! Units: instants are [`MonoTime`].
//! Source: DeCandia et al., "Dynamo", SOSP 2007, §4.5–4.6; one copy per remote datacenter with direct acks follows
//! Cassandra; the split of core and process follows Riak.

mod stand_ins;
mod interface;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;

use atoll_seeded_bug::{Mutant, seeded_bug};

use crate::ids::{DcIndex, NodeIndex};
use crate::quorum::{Tally, Verdict};
use crate::time::MonoTime;

use stand_ins::StandIns;

pub use interface::{Liveness, Miss, PutEffect, PutError, PutInput, PutOutcome, PutPlan, Replica};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplicaState {
    Waiting,
    Acked,
    /// Refused or unreachable, already reported as missed.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The client still waits.
    Pending,
    /// The client has its answer; replicas are still being counted.
    Answered,
    /// Every replica's fate is known.
    Closed,
}

/// The state of one put.
#[derive(Debug)]
pub struct PutMachine {
    plan: PutPlan,
    states: Vec<ReplicaState>,
    stand_ins: StandIns,
    tally: Tally,
    rerelay_at: Option<MonoTime>,
    /// When fallbacks stand in for those who keep everybody waiting.
    stand_in_at: Option<MonoTime>,
    relays: Vec<(DcIndex, NodeIndex)>,
    stage: Stage,
    minted: bool,
}

impl PutMachine {
    /// Admits a put if the live replicas can satisfy its level.
    ///
    /// # Errors
    /// [`PutError::Unavailable`] otherwise; nothing was written.
    ///
    /// # Panics
    /// If the coordinator is not one of the live replicas: the service forwards such requests.
    pub fn admit(plan: PutPlan) -> Result<Self, PutError> {
        let coordinator = plan.replicas.iter().find(|r| r.node == plan.coordinator);
        assert!(coordinator.is_some(), "the coordinator of a put is a replica of its key");
        let is_alive = coordinator.is_some_and(|r| r.liveness == Liveness::Alive);
        assert!(is_alive, "a coordinator can reach its own replica");
        debug_assert!(plan.is_consistent(), "the spec was made from these replicas");
        let mut alive = Tally::new(&plan.spec);
        let mut stand_ins = StandIns::new(&plan);
        for (slot, replica) in plan.replicas.iter().enumerate() {
            if replica.liveness == Liveness::Down && stand_ins.assign(slot).is_none() {
                alive.fail(replica.dc);
            }
        }
        if let Some(shortfall) = plan.spec.impossibility(&alive) {
            return Err(PutError::Unavailable(shortfall));
        }
        let tally = Tally::new(&plan.spec);
        let states = vec![ReplicaState::Waiting; plan.replicas.len()];
        Ok(Self {
            stand_ins: StandIns::new(&plan),
            plan,
            states,
            tally,
            rerelay_at: None,
            stand_in_at: None,
            relays: Vec::new(),
            stage: Stage::Pending,
            minted: false,
        })
    }

    /// Takes one fact and appends what is to be done.
    pub fn handle(&mut self, now: MonoTime, input: PutInput, out: &mut Vec<PutEffect>) {
        if self.is_closed() {
            return;
        }
        match input {
            PutInput::Minted => self.on_minted(now, out),
            PutInput::Acked { from } => self.on_acked(from),
            PutInput::Failed { from } if seeded_bug(Mutant::LostReplicaCountsAsAck) => {
                self.on_acked(from)
            }
            PutInput::Failed { from } | PutInput::Refused { from }
                if self.stand_ins.slot_of(from).is_some() =>
            {
                self.on_stand_in_failed(from, out)
            }
            PutInput::Failed { from } => self.on_failed(from, Miss::Unheard, out),
            PutInput::Refused { from } => self.on_failed(from, Miss::Refused, out),
            PutInput::Tick => {}
        }
        self.decide(now, out);
        self.rerelay_if_due(now, out);
        self.stand_in_if_due(now, out);
        self.close_if_over(now, out);
    }

    /// True once nothing more will happen: the answer was given and every replica's fate is known.
    pub fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    fn on_minted(&mut self, now: MonoTime, out: &mut Vec<PutEffect>) {
        assert!(!self.minted, "a put mints one dot");
        self.minted = true;
        self.send_local_copies(out);
        let dcs: Vec<DcIndex> = self.plan.spec.dcs().collect();
        for dc in dcs {
            if Some(dc) != self.coordinator_dc() {
                self.send_through_relay(dc, out);
            }
        }
        for index in 0..self.plan.replicas.len() {
            self.miss_if_down(index, out);
        }
        let patience_ends = now.after(self.plan.rerelay_after);
        let is_sloppy = !self.plan.fallbacks.is_empty();
        if (!self.relays.is_empty() || is_sloppy) && patience_ends < self.plan.deadline {
            self.rerelay_at = Some(patience_ends);
            self.stand_in_at = Some(patience_ends).filter(|_| is_sloppy);
            out.push(PutEffect::WakeAt(patience_ends));
        }
        out.push(PutEffect::WakeAt(self.plan.deadline));
    }

    fn send_local_copies(&self, out: &mut Vec<PutEffect>) {
        let here = self.coordinator_dc();
        for (replica, state) in self.plan.replicas.iter().zip(&self.states) {
            let is_peer = Some(replica.dc) == here && replica.node != self.plan.coordinator;
            // A peer may have been lost between admission and mint.
            let is_waiting = *state == ReplicaState::Waiting;
            if is_peer && is_waiting && replica.liveness == Liveness::Alive {
                out.push(PutEffect::Send { to: replica.node, relay_to: Vec::new() });
            }
        }
    }

    /// Sends the one copy that crosses the ocean to the first replica of `dc` that has not relayed yet.
    fn send_through_relay(&mut self, dc: DcIndex, out: &mut Vec<PutEffect>) {
        let waiting: Vec<NodeIndex> = self
            .plan
            .replicas
            .iter()
            .zip(&self.states)
            .filter(|(r, state)| {
                r.dc == dc && r.liveness == Liveness::Alive && **state == ReplicaState::Waiting
            })
            .map(|(replica, _)| replica.node)
            .collect();
        let has_relayed = |node: &NodeIndex| self.relays.iter().any(|(_, relay)| relay == node);
        let Some(relay) = waiting.iter().copied().find(|node| !has_relayed(node)) else {
            return;
        };
        let relay_to = waiting.into_iter().filter(|&node| node != relay).collect();
        debug_assert!(self.coordinator_dc() != Some(dc), "only other datacenters have a relay");
        debug_assert!(!has_relayed(&relay), "a replica relays once");
        self.relays.push((dc, relay));
        out.push(PutEffect::Send { to: relay, relay_to });
    }

    fn miss_if_down(&mut self, index: usize, out: &mut Vec<PutEffect>) {
        let Some(replica) = self.plan.replicas.get(index).copied() else {
            return;
        };
        if replica.liveness == Liveness::Down {
            self.on_failed(replica.node, Miss::Unheard, out);
        }
    }

    fn on_acked(&mut self, from: NodeIndex) {
        let Some(index) = self.position(from) else {
            if let Some(dc) = self.stand_ins.ack(from, &self.states) {
                self.tally.ack(dc);
            }
            return;
        };
        let Some(state) = self.states.get_mut(index) else {
            return;
        };
        // An ack after a reported failure arrives late and cannot be un-missed; it changes nothing.
        let again = *state == ReplicaState::Acked && seeded_bug(Mutant::AckCountedTwice);
        if *state == ReplicaState::Waiting || again {
            *state = ReplicaState::Acked;
            let replica = self.plan.replicas.get(index);
            // One copy counts for a replica: its own, or the one that is kept for it.
            if let Some(replica) = replica.filter(|_| !self.stand_ins.has_acked(index)) {
                self.tally.ack(replica.dc);
            }
        }
    }

    fn on_failed(&mut self, from: NodeIndex, miss: Miss, out: &mut Vec<PutEffect>) {
        let Some(index) = self.position(from) else {
            return;
        };
        let Some(state) = self.states.get_mut(index) else {
            return;
        };
        if *state == ReplicaState::Waiting {
            *state = ReplicaState::Failed;
            if from != self.plan.coordinator {
                out.push(PutEffect::Missed { owner: from, miss });
            }
            self.stand_in_or_fail(index, out);
            // What a failed relay was to forward goes through another one at once.
            let failed_relay = self.relays.iter().find(|(_, relay)| *relay == from).copied();
            if let Some((dc, _)) = failed_relay {
                self.send_through_relay(dc, out);
            }
        }
    }

    fn decide(&mut self, now: MonoTime, out: &mut Vec<PutEffect>) {
        if self.stage != Stage::Pending {
            return;
        }
        let spec = &self.plan.spec;
        let verdict = self.tally.verdict(spec);
        if verdict == Verdict::Pending && now < self.plan.deadline {
            return;
        }
        let answer = match spec.failed_clause(&self.tally) {
            None => {
                let held = self.stand_ins.acked();
                debug_assert!(held <= self.tally.acked_total(), "fallbacks count among all");
                Ok(PutOutcome { acked: self.tally.acked_total() - held, held })
            }
            Some(shortfall) => Err(PutError::Unknown(shortfall)),
        };
        assert_eq!(answer.is_ok(), verdict == Verdict::Met, "only a met level is acknowledged");
        self.stage = Stage::Answered;
        out.push(PutEffect::Finish(answer));
    }

    fn rerelay_if_due(&mut self, now: MonoTime, out: &mut Vec<PutEffect>) {
        if self.rerelay_at.is_none_or(|at| now < at) {
            return;
        }
        self.rerelay_at = None;
        if now >= self.plan.deadline {
            return;
        }
        // A datacenter whose first relay failed stands here twice and still gets one copy.
        let dcs: BTreeSet<DcIndex> = self.relays.iter().map(|(dc, _)| *dc).collect();
        for dc in dcs {
            self.send_through_relay(dc, out);
        }
    }

    fn close_if_over(&mut self, now: MonoTime, out: &mut Vec<PutEffect>) {
        let any_waiting = self.states.contains(&ReplicaState::Waiting);
        if self.stage == Stage::Pending || (any_waiting && now < self.plan.deadline) {
            return;
        }
        self.stage = Stage::Closed;
        debug_assert!(self.tally.acked_total() >= self.count(ReplicaState::Acked));
        for (replica, state) in self.plan.replicas.iter().zip(&self.states) {
            if *state == ReplicaState::Waiting && replica.node != self.plan.coordinator {
                out.push(PutEffect::Missed { owner: replica.node, miss: Miss::Unheard });
            }
        }
    }

    fn count(&self, wanted: ReplicaState) -> u16 {
        let count = self.states.iter().filter(|state| **state == wanted).count();
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    fn position(&self, node: NodeIndex) -> Option<usize> {
        self.plan.replicas.iter().position(|replica| replica.node == node)
    }

    fn coordinator_dc(&self) -> Option<DcIndex> {
        let index = self.position(self.plan.coordinator)?;
        self.plan.replicas.get(index).map(|replica| replica.dc)
    }
}

//! Coordinates one client get: ask as many replicas as the level needs, join, repair what is stale, answer.
//!
//! Driven by `src/coordinator`, in the node and in the simulator alike; performs no I/O.
//!
//! 1. Ask the nearest replicas that satisfy the level. If the coordinator is one of them it is read first, so that the
//!    others can be asked "your record, unless its digest is this": equal replicas answer with no value.
//! 2. Join every reply. A replica that fails is backed up by the next nearest one that helps the level; after
//!    `hedge_after` everyone who has not answered, or is still being repaired, is backed up, once.
//! 3. When enough replicas answered: at ONE and LOCAL_ONE answer at once and repair stale ones behind the answer; at
//!    every other level first write the joined record back to the stale ones among them, until a quorum holds it.
//!    A later quorum get then never returns less (promise P3). A local level never asks or repairs another datacenter.
//! 4. Behind a successful answer keep joining late replies and repairing who is stale, until everyone asked has
//!    answered or the deadline passes.
//!
//! Invariants
//! - `Finish` is emitted exactly once.
//! - At a level that demands write-back the answer stands on replicas that satisfy the level.
//! - No more reads go out than the level needs, plus one for each failure and one for each replica that was overdue
//!   at `hedge_after`.
//! - A finished machine is closed at its deadline at the latest.
//!
//! Units: instants are [`MonoTime`].
//! Source: DeCandia et al., "Dynamo", SOSP 2007, §4.5; Cassandra's blocking read repair; version-conditional reads in
//! place of digests are Atoll's.

mod interface;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use atoll_seeded_bug::{Mutant, seeded_bug};

use crate::ids::{DcIndex, NodeIndex};
use crate::put::{Liveness, Replica};
use crate::quorum::Tally;
use crate::record::Record;
use crate::time::MonoTime;

pub use interface::{GetEffect, GetError, GetInput, GetOutcome, GetPlan};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplicaState {
    /// Not asked.
    Idle,
    /// Asked for its record; `known` is the digest that it was told.
    Reading { known: Option<u128> },
    /// Holds the record with this digest.
    Holds { digest: u128 },
    /// Being sent the record with digest `target`.
    Repairing { target: u128 },
    /// Down, failed, or not repairable.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The client still waits.
    Pending,
    /// The client has its answer; late replies are still joined and stale replicas repaired.
    Answered,
    /// The client has an error; nothing more will happen.
    GaveUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hedge {
    /// Not begun, or no time for one.
    Off,
    /// Due at this instant.
    At(MonoTime),
    /// Sent, or nobody was left to ask.
    Spent,
}

impl ReplicaState {
    fn has_answered(&self) -> bool {
        matches!(self, Self::Holds { .. } | Self::Repairing { .. })
    }

    fn is_under_way(&self) -> bool {
        matches!(self, Self::Reading { .. } | Self::Repairing { .. })
    }
}

/// The state of one get.
#[derive(Debug)]
pub struct GetMachine {
    plan: GetPlan,
    states: Vec<ReplicaState>,
    joined: Record,
    digest: u128,
    hedge: Hedge,
    /// Replicas that were found stale, each once however often it was repaired.
    stale: BTreeSet<NodeIndex>,
    stage: Stage,
}

impl GetMachine {
    /// Admits a get if the live replicas can satisfy its level.
    ///
    /// # Errors
    /// [`GetError::Unavailable`] otherwise.
    pub fn admit(plan: GetPlan) -> Result<Self, GetError> {
        debug_assert!(plan.is_consistent(), "the spec counts these replicas");
        assert!(plan.empty.is_empty(), "`empty` is the record of a key that nobody wrote");
        let mut alive = Tally::new(&plan.spec);
        for replica in plan.replicas.iter().filter(|r| r.liveness == Liveness::Down) {
            alive.fail(replica.dc);
        }
        if let Some(shortfall) = plan.spec.impossibility(&alive) {
            return Err(GetError::Unavailable(shortfall));
        }
        let initial = |replica: &Replica| match replica.liveness {
            Liveness::Alive => ReplicaState::Idle,
            Liveness::Down => ReplicaState::Failed,
        };
        let states = plan.replicas.iter().map(initial).collect();
        let (joined, digest) = (plan.empty.clone(), plan.empty.digest());
        Ok(Self {
            plan,
            states,
            joined,
            digest,
            hedge: Hedge::Off,
            stale: BTreeSet::new(),
            stage: Stage::Pending,
        })
    }

    /// Takes one fact and appends what is to be done.
    pub fn handle(&mut self, now: MonoTime, input: GetInput, out: &mut Vec<GetEffect>) {
        match input {
            GetInput::Start => self.on_start(now, out),
            GetInput::Record { from, record } => self.on_record(from, &record),
            GetInput::Same { from } => self.on_same(from),
            GetInput::Repaired { from } => self.on_repaired(from),
            GetInput::Failed { from } => self.on_failed(from),
            GetInput::Tick => {}
        }
        match self.stage {
            Stage::Pending => self.advance_and_hedge(now, out),
            Stage::Answered if now < self.plan.deadline => self.repair_stale(out),
            Stage::Answered | Stage::GaveUp => self.abandon_unfinished(),
        }
        debug_assert_eq!(self.digest, self.joined.digest());
    }

    /// The join of everything that was read so far: the answer once `Finish` is out.
    pub fn joined(&self) -> &Record {
        &self.joined
    }

    /// True once nothing more will happen: the answer was given, and no read or repair is under way.
    pub fn is_closed(&self) -> bool {
        match self.stage {
            Stage::Pending => false,
            Stage::Answered => !self.states.iter().any(|state| state.is_under_way()),
            Stage::GaveUp => true,
        }
    }

    fn on_start(&mut self, now: MonoTime, out: &mut Vec<GetEffect>) {
        let hedge_at = now.after(self.plan.hedge_after);
        if hedge_at < self.plan.deadline {
            self.hedge = Hedge::At(hedge_at);
            out.push(GetEffect::WakeAt(hedge_at));
        }
        out.push(GetEffect::WakeAt(self.plan.deadline));
    }

    fn on_record(&mut self, from: NodeIndex, record: &Record) {
        let Some(index) = self.position(from) else {
            return;
        };
        if !matches!(self.states.get(index), Some(ReplicaState::Reading { .. })) {
            return;
        }
        // Two nodes that disagree on a keyspace's conflict mode cannot read each other's records.
        if record.conflict() != self.joined.conflict() {
            self.set_state(from, ReplicaState::Failed);
            return;
        }
        self.set_state(from, ReplicaState::Holds { digest: record.digest() });
        self.joined.join(record);
        self.digest = self.joined.digest();
        debug_assert!(self.has_answer(), "a record is an answer");
    }

    fn on_same(&mut self, from: NodeIndex) {
        let Some(index) = self.position(from) else {
            return;
        };
        if let Some(ReplicaState::Reading { known: Some(digest) }) = self.states.get(index).copied()
        {
            self.set_state(from, ReplicaState::Holds { digest });
        }
    }

    fn on_repaired(&mut self, from: NodeIndex) {
        let Some(index) = self.position(from) else {
            return;
        };
        if let Some(ReplicaState::Repairing { target }) = self.states.get(index).copied() {
            self.set_state(from, ReplicaState::Holds { digest: target });
        }
    }

    fn on_failed(&mut self, from: NodeIndex) {
        let Some(index) = self.position(from) else {
            return;
        };
        let reads = matches!(self.states.get(index), Some(ReplicaState::Reading { .. }));
        if reads && seeded_bug(Mutant::ReadFailureIsNotFound) {
            return self.on_record(from, &self.plan.empty.clone());
        }
        // Who answered has answered: losing it afterwards takes nothing back.
        if !matches!(self.states.get(index), Some(ReplicaState::Holds { .. })) {
            self.set_state(from, ReplicaState::Failed);
        }
    }

    fn advance_and_hedge(&mut self, now: MonoTime, out: &mut Vec<GetEffect>) {
        let is_due = matches!(self.hedge, Hedge::At(at) if now >= at);
        if is_due {
            self.hedge = Hedge::Spent;
        }
        if is_due && now < self.plan.deadline {
            self.back_up_overdue(out);
        }
        self.advance(now, out);
    }

    /// Asks as many further replicas as would satisfy the level if nobody who is overdue ever answered.
    fn back_up_overdue(&mut self, out: &mut Vec<GetEffect>) {
        let mut without_overdue = self.tally(|s| matches!(s, ReplicaState::Holds { .. }));
        while self.plan.spec.shortfall(&without_overdue).is_some() {
            let Some(dc) = self.read_next(&without_overdue, out) else {
                return;
            };
            without_overdue.ack(dc);
        }
    }

    /// Moves towards the answer: answers if it stands, otherwise repairs and asks until it can.
    fn advance(&mut self, now: MonoTime, out: &mut Vec<GetEffect>) {
        let answered = self.tally(ReplicaState::has_answered);
        let has_answers = self.plan.spec.shortfall(&answered).is_none();
        if has_answers {
            self.repair_stale(out);
        }
        let standing = self.standing();
        match self.plan.spec.shortfall(&standing) {
            None => self.finish(Ok(self.outcome(&answered)), out),
            Some(short) if now >= self.plan.deadline => {
                self.finish(Err(GetError::Deadline(short)), out);
            }
            Some(_) => self.ask_more(out),
        }
    }

    fn repair_stale(&mut self, out: &mut Vec<GetEffect>) {
        let target = self.digest;
        for (replica, state) in self.plan.replicas.iter().zip(&mut self.states) {
            if matches!(state, ReplicaState::Holds { digest } if *digest != target) {
                *state = ReplicaState::Repairing { target };
                self.stale.insert(replica.node);
                out.push(GetEffect::Repair { to: replica.node });
            }
        }
    }

    /// Asks further replicas until everyone asked together could satisfy the level.
    fn ask_more(&mut self, out: &mut Vec<GetEffect>) {
        loop {
            let hopeful =
                self.tally(|state| !matches!(state, ReplicaState::Idle | ReplicaState::Failed));
            let Some(short) = self.plan.spec.shortfall(&hopeful) else {
                return;
            };
            // The coordinator's own record comes first, while it is prompt: its digest spares the others their values.
            let coordinator_reads = self.position(self.plan.coordinator).is_some_and(|index| {
                matches!(self.states.get(index), Some(ReplicaState::Reading { .. }))
            });
            if coordinator_reads && self.hedge != Hedge::Spent {
                return;
            }
            if self.read_next(&hopeful, out).is_none() {
                self.finish(Err(GetError::Unavailable(short)), out);
                return;
            }
        }
    }

    /// Asks the nearest idle replica that helps `tally` and says in which datacenter it is; `None` if there is none.
    fn read_next(&mut self, tally: &Tally, out: &mut Vec<GetEffect>) -> Option<DcIndex> {
        let spec = &self.plan.spec;
        let known = (!self.joined.is_empty() || self.has_answer()).then_some(self.digest);
        let next = self.plan.replicas.iter().zip(&mut self.states).find(|(replica, state)| {
            **state == ReplicaState::Idle && spec.wants(tally, replica.dc)
        });
        let (replica, state) = next?;
        let is_near = !spec.level().is_local() || replica.dc == spec.local();
        assert!(is_near, "a local level asks its own datacenter only");
        *state = ReplicaState::Reading { known };
        out.push(GetEffect::Read { to: replica.node, known });
        Some(replica.dc)
    }

    fn has_answer(&self) -> bool {
        self.states.iter().any(|state| matches!(state, ReplicaState::Holds { .. }))
    }

    fn finish(&mut self, answer: Result<GetOutcome, GetError>, out: &mut Vec<GetEffect>) {
        assert_eq!(self.stage, Stage::Pending, "a get answers once");
        debug_assert!(answer.is_err() || self.stands(), "the answer stands on its level");
        self.stage = if answer.is_ok() { Stage::Answered } else { Stage::GaveUp };
        out.push(GetEffect::Finish(answer));
    }

    fn outcome(&self, answered: &Tally) -> GetOutcome {
        let stale = u16::try_from(self.stale.len()).unwrap_or(u16::MAX);
        GetOutcome { answered: answered.acked_total(), stale }
    }

    /// Past the deadline of an answered get nobody is waited for.
    fn abandon_unfinished(&mut self) {
        for state in self.states.iter_mut().filter(|state| state.is_under_way()) {
            *state = ReplicaState::Failed;
        }
    }

    /// The replicas on which an answer given now would stand.
    fn standing(&self) -> Tally {
        let digest = self.digest;
        if self.plan.spec.demands_write_back() {
            let hedged = self.hedge == Hedge::Spent && seeded_bug(Mutant::OverdueReadCounts);
            let counts = |s: &ReplicaState| hedged && matches!(s, ReplicaState::Reading { .. });
            self.tally(|state| *state == ReplicaState::Holds { digest } || counts(state))
        } else {
            self.tally(ReplicaState::has_answered)
        }
    }

    fn stands(&self) -> bool {
        self.plan.spec.shortfall(&self.standing()).is_none()
    }

    fn tally(&self, counts: impl Fn(&ReplicaState) -> bool) -> Tally {
        let mut tally = Tally::new(&self.plan.spec);
        for (replica, state) in self.plan.replicas.iter().zip(&self.states) {
            if counts(state) {
                tally.ack(replica.dc);
            }
        }
        tally
    }

    fn set_state(&mut self, node: NodeIndex, state: ReplicaState) {
        if let Some(index) = self.position(node)
            && let Some(slot) = self.states.get_mut(index)
        {
            *slot = state;
        }
    }

    fn position(&self, node: NodeIndex) -> Option<usize> {
        self.plan.replicas.iter().position(|replica| replica.node == node)
    }
}

//! Coordinates one client get: ask as many replicas as the level needs, join, repair what is stale, answer.
//!
//! Driven by `src/coordinator`, in the node and in the simulator alike; performs no I/O.
//!
//! 1. Ask the nearest replicas that satisfy the level. If the coordinator is one of them it is read first, so that the
//!    others can be asked "your record, unless what I know covers it": equal and older replicas answer with no value.
//! 2. Join every reply. A replica that fails is backed up by the next nearest one that helps the level. After
//!    `hedge_after` the driver is asked for *speculative reads*, as many as back up everyone who has not answered or is
//!    still being repaired; once they are granted they go out, and until then they are asked for again, each time after
//!    twice the time.
//! 3. When enough replicas answered: at ONE and LOCAL_ONE answer at once and repair stale ones behind the answer; at
//!    every other level first write the joined record back to the stale ones among them, until a quorum holds it.
//!    A later quorum get then never returns less (promise P3). A local level never asks or repairs another datacenter,
//!    but for 4.
//! 4. With a session, the answer must have seen what the session saw (promise P4), at ONE too. If the replicas of the level
//!    have not, the others of the own datacenter are read, and then everybody, whatever the level; in vain, the get fails
//!    as `Behind` and returns nothing older.
//! 5. With the answer, cancel the reads that are under way: losers of speculation. Behind a successful answer keep
//!    repairing who is stale until the deadline.
//!
//! Invariants
//! - `Finish` is emitted exactly once.
//! - At a level that demands write-back the answer stands on replicas that satisfy the level.
//! - No more reads go out than the level needs, plus one for each failure and one for each replica that was overdue
//!   when speculation was granted, and those for a session. Nobody is read after the answer.
//! - The answer of a get with a session has seen what the session saw.
//! - A finished machine is closed at its deadline at the latest.
//!
//! Units: instants are [`MonoTime`].
//! Source: DeCandia et al., "Dynamo", SOSP 2007, §4.5; Cassandra's blocking read repair; version-conditional reads in
//! place of digests are Atoll's.

mod interface;
mod session;
mod speculate;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use atoll_seeded_bug::{Mutant, seeded_bug};

use crate::ids::NodeIndex;
use crate::put::{Liveness, Replica};
use crate::quorum::Tally;
use crate::record::Record;
use crate::time::MonoTime;

use speculate::Hedge;

pub use interface::{GetEffect, GetError, GetInput, GetOutcome, GetPlan, ReadReason, first_asked};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplicaState {
    /// Not asked.
    Idle,
    /// Asked for its record; `known` is the digest of what it was told is known.
    Reading { known: Option<u128> },
    /// Holds the record with this digest.
    Holds { digest: u128 },
    /// Being sent the record with digest `target`.
    Repairing { target: u128 },
    /// Down, failed, cancelled, or not repairable.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The client still waits.
    Pending,
    /// The client has its answer; stale replicas are still repaired.
    Answered,
    /// The client has an error; nothing more will happen.
    GaveUp,
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
    /// Replicas that are read because others are overdue.
    speculative: BTreeSet<NodeIndex>,
    /// When a session that is behind is told so.
    seek_until: MonoTime,
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
            speculative: BTreeSet::new(),
            seek_until: MonoTime::ZERO,
            stage: Stage::Pending,
        })
    }

    /// Takes one fact and appends what is to be done.
    pub fn handle(&mut self, now: MonoTime, input: GetInput, out: &mut Vec<GetEffect>) {
        match input {
            GetInput::Start => self.on_start(now, out),
            GetInput::Record { from, record } => self.on_record(from, &record),
            GetInput::Same { from } => self.on_covered(from, None),
            GetInput::Older { from, digest } => self.on_covered(from, Some(digest)),
            GetInput::Repaired { from } => self.on_repaired(from),
            GetInput::Failed { from } => self.on_failed(from),
            GetInput::Granted if self.stage == Stage::Pending => self.speculate(out),
            GetInput::Granted | GetInput::Tick => {}
        }
        match self.stage {
            Stage::Pending => {
                self.hedge_if_due(now, out);
                self.advance(now, out);
            }
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
        self.hedge_in(self.plan.hedge_after, now, out);
        out.push(GetEffect::WakeAt(self.plan.deadline));
        if self.plan.at_least.is_some() {
            self.seek_until = now.after(self.plan.deadline.since(now) * 3 / 4);
            out.push(GetEffect::WakeAt(self.seek_until));
        }
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
        let digest = record.digest();
        self.set_state(from, ReplicaState::Holds { digest });
        let is_first = self.joined.is_empty();
        self.joined.join(record);
        self.digest = if is_first { digest } else { self.joined.digest() };
        debug_assert!(self.has_answer(), "a record is an answer");
    }

    /// `from` adds nothing to what it was told is known; it holds just that, or something older with this digest.
    fn on_covered(&mut self, from: NodeIndex, older: Option<u128>) {
        let Some(index) = self.position(from) else {
            return;
        };
        if let Some(ReplicaState::Reading { known: Some(known) }) = self.states.get(index).copied()
        {
            let older = older.filter(|_| !seeded_bug(Mutant::OlderCountsAsSame));
            self.set_state(from, ReplicaState::Holds { digest: older.unwrap_or(known) });
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

    /// Moves towards the answer: answers if it stands, otherwise repairs and asks until it can.
    fn advance(&mut self, now: MonoTime, out: &mut Vec<GetEffect>) {
        let answered = self.tally(ReplicaState::has_answered);
        let has_answers = self.plan.spec.shortfall(&answered).is_none();
        if has_answers {
            self.repair_stale(out);
        }
        if has_answers && self.is_behind() {
            return self.seek(now, answered.acked_total(), out);
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
        let spec = &self.plan.spec;
        for (replica, state) in self.plan.replicas.iter().zip(&mut self.states) {
            // A local level may have read others for a session; it leaves them to anti-entropy.
            let is_near = !spec.level().is_local() || replica.dc == spec.local();
            let is_stale = matches!(state, ReplicaState::Holds { digest } if *digest != target);
            if is_near && is_stale {
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
            let next = self.plan.replicas.iter().zip(&self.states).position(|(replica, state)| {
                *state == ReplicaState::Idle && self.plan.spec.wants(&hopeful, replica.dc)
            });
            let Some(next) = next else {
                return self.finish(Err(GetError::Unavailable(short)), out);
            };
            self.read(next, ReadReason::Needed, out);
        }
    }

    /// Asks the idle replica at `index`.
    fn read(&mut self, index: usize, reason: ReadReason, out: &mut Vec<GetEffect>) {
        let known = (!self.joined.is_empty() || self.has_answer()).then_some(self.digest);
        let slots = (self.plan.replicas.get(index), self.states.get_mut(index));
        let (Some(replica), Some(state)) = slots else { return };
        let spec = &self.plan.spec;
        let is_near = !spec.level().is_local() || replica.dc == spec.local();
        let is_allowed = is_near || reason == ReadReason::Session;
        assert!(is_allowed, "a local level asks its own datacenter only");
        *state = ReplicaState::Reading { known };
        if reason == ReadReason::Speculative {
            self.speculative.insert(replica.node);
        }
        out.push(GetEffect::Read { to: replica.node, known, reason });
    }

    fn has_answer(&self) -> bool {
        self.states.iter().any(|state| matches!(state, ReplicaState::Holds { .. }))
    }

    fn finish(&mut self, answer: Result<GetOutcome, GetError>, out: &mut Vec<GetEffect>) {
        assert_eq!(self.stage, Stage::Pending, "a get answers once");
        debug_assert!(answer.is_err() || self.stands(), "the answer stands on its level");
        debug_assert!(answer.is_err() || !self.is_behind(), "the session goes forward");
        self.stage = if answer.is_ok() { Stage::Answered } else { Stage::GaveUp };
        out.push(GetEffect::Finish(answer));
        for (replica, state) in self.plan.replicas.iter().zip(&mut self.states) {
            if matches!(state, ReplicaState::Reading { .. }) {
                *state = ReplicaState::Failed;
                out.push(GetEffect::Cancel { to: replica.node });
            }
        }
    }

    fn outcome(&self, answered: &Tally) -> GetOutcome {
        let stale = u16::try_from(self.stale.len()).unwrap_or(u16::MAX);
        GetOutcome { answered: answered.acked_total(), stale, won: self.won() }
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

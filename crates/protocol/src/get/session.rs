//! A get with a session: it must have seen what the session saw, wherever that is.
//!
//! 1. While those that the level needs are read, nothing is special.
//! 2. If what they hold together is not enough, everybody else alive in the coordinator's datacenter is read; and once
//!    they have answered, or are overdue, everybody else alive.
//! 3. When nobody is left the get fails as `Behind`. So it does after three quarters of its time: a client that hears of it
//!    knows more than one whose patience has ended, and can ask elsewhere.

use atoll_seeded_bug::{Mutant, seeded_bug};

use super::speculate::Hedge;
use super::{GetEffect, GetError, GetMachine, ReadReason, ReplicaState};
use crate::ids::DcIndex;
use crate::time::MonoTime;

impl GetMachine {
    /// True if the session has seen more than what was read so far.
    pub(super) fn is_behind(&self) -> bool {
        let session = self.plan.at_least.as_ref();
        let is_behind = session.is_some_and(|session| !self.joined.has_seen(session));
        is_behind && !seeded_bug(Mutant::SessionGetForgotten)
    }

    /// Reads further replicas until the session's past turns up, or gives up.
    pub(super) fn seek(&mut self, now: MonoTime, answered: u16, out: &mut Vec<GetEffect>) {
        debug_assert!(self.is_behind());
        if now >= self.seek_until {
            return self.finish(Err(GetError::Behind { answered }), out);
        }
        let own = self.plan.spec.local();
        let near = self.idle(|dc| dc == own);
        if !near.is_empty() {
            return self.read_all(near, out);
        }
        let is_waiting = |dc: &DcIndex, state: &ReplicaState| {
            *dc == own && matches!(state, ReplicaState::Reading { .. })
        };
        let slots = || self.plan.replicas.iter().map(|replica| replica.dc).zip(&self.states);
        let is_patient = matches!(self.hedge, Hedge::At { .. });
        if is_patient && slots().any(|(dc, state)| is_waiting(&dc, state)) {
            return;
        }
        let far = self.idle(|_| true);
        if !far.is_empty() {
            return self.read_all(far, out);
        }
        if !slots().any(|(_, state)| matches!(state, ReplicaState::Reading { .. })) {
            self.finish(Err(GetError::Behind { answered }), out);
        }
    }

    fn idle(&self, is_meant: impl Fn(DcIndex) -> bool) -> Vec<usize> {
        let slots = self.plan.replicas.iter().zip(&self.states).enumerate();
        let idle = slots
            .filter(|(_, (replica, state))| is_meant(replica.dc) && **state == ReplicaState::Idle);
        idle.map(|(index, _)| index).collect()
    }

    fn read_all(&mut self, indices: Vec<usize>, out: &mut Vec<GetEffect>) {
        for index in indices {
            self.read(index, ReadReason::Session, out);
        }
    }
}

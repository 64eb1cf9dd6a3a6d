//! When a get reads more replicas than its level needs: because others are overdue, and the driver's budget allows it.
//!
//! 1. At `hedge_after`, count the replicas that would satisfy the level if nobody overdue ever answered, and ask for them.
//! 2. Once granted they go out, once per get. Until then they are asked for again, each time after twice the time: others
//!    may have answered, failed, or fallen silent meanwhile.

use std::time::Duration;

use super::{GetEffect, GetMachine, ReadReason, ReplicaState};
use crate::put::Replica;
use crate::time::MonoTime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hedge {
    /// Not begun, or no time for one.
    Off,
    /// To be asked for at this instant, after waiting so long.
    At { at: MonoTime, waited: Duration },
    /// Sent, or nobody was left to ask.
    Spent,
}

impl GetMachine {
    pub(super) fn hedge_in(&mut self, wait: Duration, now: MonoTime, out: &mut Vec<GetEffect>) {
        let at = now.after(wait);
        self.hedge = Hedge::Off;
        if at < self.plan.deadline {
            self.hedge = Hedge::At { at, waited: wait };
            out.push(GetEffect::WakeAt(at));
        }
    }

    pub(super) fn hedge_if_due(&mut self, now: MonoTime, out: &mut Vec<GetEffect>) {
        if let Hedge::At { at, waited } = self.hedge
            && now >= at
            && now < self.plan.deadline
        {
            self.ask_to_speculate(waited, now, out);
        }
    }

    fn ask_to_speculate(&mut self, waited: Duration, now: MonoTime, out: &mut Vec<GetEffect>) {
        let reads = u16::try_from(self.backups().len()).unwrap_or(u16::MAX);
        if reads == 0 {
            self.hedge = Hedge::Spent;
            return;
        }
        let asked = self.plan.replicas.iter().zip(&self.states);
        let overdue = asked.filter(|(_, state)| state.is_under_way()).map(|(r, _)| r.node);
        out.push(GetEffect::Speculate { overdue: overdue.collect(), reads });
        self.hedge_in(waited * 2, now, out);
    }

    pub(super) fn speculate(&mut self, out: &mut Vec<GetEffect>) {
        if self.hedge == Hedge::Spent {
            return;
        }
        self.hedge = Hedge::Spent;
        for index in self.backups() {
            self.read(index, ReadReason::Speculative, out);
        }
    }

    /// Places of the idle replicas that would satisfy the level if nobody who is overdue ever answered.
    fn backups(&self) -> Vec<usize> {
        let mut without_overdue = self.tally(|s| matches!(s, ReplicaState::Holds { .. }));
        let mut backups = Vec::new();
        for (index, replica) in self.plan.replicas.iter().enumerate() {
            let is_idle = self.states.get(index) == Some(&ReplicaState::Idle);
            if is_idle
                && self.plan.spec.shortfall(&without_overdue).is_some()
                && self.plan.spec.wants(&without_overdue, replica.dc)
            {
                without_overdue.ack(replica.dc);
                backups.push(index);
            }
        }
        backups
    }

    /// Speculative reads that answered while one that they backed up has not.
    pub(super) fn won(&self) -> u16 {
        let slots = || self.plan.replicas.iter().zip(&self.states);
        let is_speculative = |replica: &Replica| self.speculative.contains(&replica.node);
        let is_overdue = slots().any(|(r, state)| !is_speculative(r) && state.is_under_way());
        let won = slots().filter(|(r, state)| is_speculative(r) && state.has_answered()).count();
        if is_overdue { u16::try_from(won).unwrap_or(u16::MAX) } else { 0 }
    }
}

//! Draws a plan from a seed: shape, knobs, workload and faults, each from a stream of its own.
//!
//! 1. A run is a swarm of its own: it takes part of the kinds of faults only, and of the levels, the knobs and the
//!    operations. What is left out matters as much as what is in: a plan with everything in it reaches little.
//! 2. `shape.rs` draws the cluster, `knobs.rs` its settings, `workload.rs` what clients do.
//! 3. `faults.rs` draws each kind of trouble that the run takes part in; `scene.rs` says where and when it may strike.
//!
//! Invariants
//! - Each kind of trouble has a stream of its own (`plan/faults/KIND`): to leave one out does not shift any other.
//! - Nine runs of ten keep the budget: at most one node's disk forgets or fails, and none forgets where that is not a
//!   minority of the replicas. The tenth may exceed it.
//! - Where durability is periodic nobody loses power: such a loss is permitted and would prove nothing.
//!
//! Source: Groce et al., "Swarm Testing", ISSTA 2012.

mod faults;
mod knobs;
mod network;
mod processes;
mod scene;
mod shape;
mod storage;
mod workload;

use crate::prng::Prng;

use super::{Healers, Knobs, Mix, Plan, Tier};

/// Runs of 1 000 with sloppy writes.
const SLOPPY_PER_MILLE: u32 = 250;

/// Runs of 1 000 in which hints alone have to make replicas equal: no process ends in them, and no disk fails.
const HINTS_ALONE_PER_MILLE: u32 = 100;

/// Longest patience of their clients.
const HINTS_ALONE_DEADLINE_MS: u64 = 600;

/// Runs of 1 000 in which deletions are purged while clients go on; and those of them whose clients mostly delete and
/// write again.
const PURGES_PER_MILLE: u32 = 700;
const RECREATES_PER_MILLE: u32 = 400;

/// How soon, in milliseconds.
const PURGE_AFTER_MS: (u64, u64) = (1_000, 4_000);

impl Plan {
    /// The plan of `seed`, for a network of `tier`.
    pub fn draw(seed: u64, tier: Tier) -> Self {
        Self::draw_with(seed, tier, |_| true)
    }

    /// The plan of `seed` without the kinds of trouble that `wants` does not want.
    fn draw_with(seed: u64, tier: Tier, wants: impl Fn(&str) -> bool) -> Self {
        let shape = shape::draw(&mut Prng::stream(seed, "plan/shape"), tier);
        let knobs = knobs::draw(&mut Prng::stream(seed, "plan/knobs"), shape.nodes());
        let safety_ms = Prng::stream(seed, "plan/safety").between(4_000, 20_000);
        let mut workload =
            workload::draw(&mut Prng::stream(seed, "plan/workload"), tier, &shape, safety_ms);
        let mut sloppy = Prng::stream(seed, "plan/sloppy");
        if sloppy.per_mille(SLOPPY_PER_MILLE) {
            workload.sloppy_per_mille = u32::try_from(sloppy.between(100, 1_000)).unwrap_or(0);
        }
        let mut plan = Self { seed, tier, shape, knobs, workload, faults: Vec::new(), safety_ms };
        plan.faults = faults::draw(&plan, wants);
        if Prng::stream(seed, "plan/healers").per_mille(HINTS_ALONE_PER_MILLE) {
            plan.faults.retain(|fault| fault.kind.spares_nodes());
            plan.knobs.healers = Healers::Hints;
            plan.knobs.disk_bytes = Knobs::plain(0).disk_bytes;
            // Misses come soon, and some while an earlier one is being delivered.
            plan.workload.deadline_ms = plan.workload.deadline_ms.min(HINTS_ALONE_DEADLINE_MS);
        }
        plan.draw_purges();
        debug_assert_eq!(plan.check(), Ok(()), "seed {seed} draws a plan that cannot be run");
        plan
    }
}

impl Plan {
    /// A key with one replica is purged without a message, which nobody could watch.
    fn draw_purges(&mut self) {
        let mut prng = Prng::stream(self.seed, "plan/purge");
        let replicas: u32 = self.shape.replicas().into_iter().map(u32::from).sum();
        if !prng.per_mille(PURGES_PER_MILLE) || replicas < 2 {
            return;
        }
        self.knobs.purge_after_ms = Some(prng.between(PURGE_AFTER_MS.0, PURGE_AFTER_MS.1));
        if prng.per_mille(RECREATES_PER_MILLE) {
            self.workload.keys = self.workload.keys.clamp(1, 4);
            self.workload.mix = Mix { get: 2, modify: 3, follow: 1, blind: 2, delete: 4 };
        }
    }
}

#[cfg(test)]
mod tests;

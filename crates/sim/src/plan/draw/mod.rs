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

use super::{Plan, Tier};

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
        let workload =
            workload::draw(&mut Prng::stream(seed, "plan/workload"), tier, &shape, safety_ms);
        let mut plan = Self { seed, tier, shape, knobs, workload, faults: Vec::new(), safety_ms };
        plan.faults = faults::draw(&plan, wants);
        debug_assert_eq!(plan.check(), Ok(()), "seed {seed} draws a plan that cannot be run");
        plan
    }
}

#[cfg(test)]
mod tests;

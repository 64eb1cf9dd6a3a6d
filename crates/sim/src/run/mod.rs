//! One run: a plan in, a report out.
//!
//! 1. Warm-up: every node starts, all connect, the keys are known. No faults yet.
//! 2. Safety: clients work while the nemesis carries out the plan's faults.
//! 3. Liveness: everything heals; every node must come back, every operation must end, replicas must become equal
//!    without being read, every key is read at `ALL`, and the cluster must come to rest (`rest.rs`).
//! 4. In half of the runs all nodes lose power once more, and everything is read again.
//! 5. What every owner stores is written down, and the checkers look at the history.
//!
//! Invariant: equal plans give equal reports, in every process.

mod phases;
mod rest;
mod visitor;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check;
use crate::history::{History, Violation};
use crate::plan::Plan;
use crate::world::World;

pub use crate::exec::Trace;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Digest of every event in order: equal plans give equal digests, in every process.
    pub trace_hash: u64,
    /// Virtual time that passed.
    pub simulated: Duration,
    /// Operations by outcome (`put acked`, `get answered`, `put unknown` …).
    pub operations: BTreeMap<String, u64>,
    /// Faults that took effect, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Named situations that were reached.
    pub situations: BTreeMap<String, u64>,
    /// Broken promises; empty for a clean run.
    pub violations: Vec<Violation>,
    /// What happened, for the account of a violation.
    pub history: History,
}

/// Carries out `plan` to its end.
pub fn run(plan: &Plan, trace: Trace) -> Report {
    let mut world = match World::new(plan, trace) {
        Ok(world) => world,
        Err(error) => return refused(error),
    };
    phases::carry_out(&mut world);
    let (history, situations, operations) = {
        let state = world.recorder.state();
        (state.history.clone(), state.situations.clone(), state.tally())
    };
    let violations = check::check(&history);
    let report = Report {
        trace_hash: world.trace_hash(),
        simulated: Duration::from_nanos(world.exec.now().as_nanos()),
        operations,
        faults: world.injected(),
        situations,
        violations,
        history,
    };
    world.tear_down();
    report
}

/// The report of a plan that makes no world.
fn refused(error: String) -> Report {
    let violation = Violation { invariant: "plan", key: None, detail: error, ops: Vec::new() };
    Report {
        trace_hash: 0,
        simulated: Duration::ZERO,
        operations: BTreeMap::new(),
        faults: BTreeMap::new(),
        situations: BTreeMap::new(),
        violations: vec![violation],
        history: History::default(),
    }
}

#[cfg(test)]
mod tests;

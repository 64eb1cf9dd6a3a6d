//! One run: a plan in, a report out.

use std::collections::BTreeMap;
use std::time::Duration;

pub use crate::exec::Trace;
use crate::history::{History, Violation};
use crate::plan::Plan;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Digest of every event in order: equal plans give equal digests, in every process.
    pub trace_hash: u64,
    /// Virtual time that passed.
    pub simulated: Duration,
    /// Operations by outcome (`put acked`, `get ok`, `put unknown` …).
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
    let _ = (plan, trace);
    Report {
        trace_hash: 0,
        simulated: Duration::ZERO,
        operations: BTreeMap::new(),
        faults: BTreeMap::new(),
        situations: BTreeMap::new(),
        violations: Vec::new(),
        history: History::default(),
    }
}

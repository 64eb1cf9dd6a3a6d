//! Makes a failing plan small: delta debugging over everything that a plan is made of.
//!
//! 1. A round goes through the parts of a plan in order of what they cost the reader: faults and the pauses between them
//!    first, then length, clients, operations, keys, nodes, at last knobs and the strength of what is left (`faults.rs`,
//!    `cluster.rs`, `settings.rs`).
//! 2. Each step proposes a smaller plan; it is kept if it can be run and `fails` says that it still fails the same way.
//! 3. Rounds go on until one of them keeps nothing, or the allowed number of runs is used up.
//!
//! Invariants
//! - The result fails, and so did every plan that was kept on the way.
//! - If the runs suffice, no single fault can be left out of the result.
//!
//! Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", TSE 2002 (ddmin).

mod cluster;
mod faults;
mod settings;

use crate::plan::Plan;

/// What is said after each run.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Runs so far.
    pub runs: u32,
    /// What was just kept; `None` if the run showed nothing.
    pub kept: Option<&'a str>,
    /// The smallest failing plan so far.
    pub best: &'a Plan,
}

/// What came of shrinking.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest plan that was seen to fail.
    pub plan: Plan,
    /// Runs that it took.
    pub runs: u32,
    /// Whether every step was tried on this plan; if not, more runs may make it smaller.
    pub complete: bool,
}

/// Shrinks `plan`, which fails, with at most `runs` questions to `fails`.
pub fn shrink(
    plan: &Plan,
    runs: u32,
    fails: impl FnMut(&Plan) -> bool,
    progress: impl FnMut(&Progress<'_>),
) -> Shrunk {
    let mut search = Search { best: plan.clone(), runs: 0, runs_max: runs, fails, progress };
    let mut complete = false;
    while !complete && !search.is_spent() {
        let before = search.best.clone();
        faults::remove(&mut search);
        faults::hasten(&mut search);
        cluster::shorten(&mut search);
        settings::reduce_work(&mut search);
        cluster::remove_nodes(&mut search);
        settings::simplify(&mut search);
        faults::weaken(&mut search);
        complete = before == search.best && !search.is_spent();
    }
    Shrunk { plan: search.best, runs: search.runs, complete }
}

/// What the steps need: the best plan so far, and a way to try another.
trait Attempts {
    fn best(&self) -> &Plan;

    /// Whether `candidate` is worth keeping; if so it is the best from now on.
    fn attempt(&mut self, what: &str, candidate: Plan) -> bool;

    /// Tries the best plan with a change.
    fn try_change(&mut self, what: &str, change: &dyn Fn(&mut Plan)) -> bool {
        let mut candidate = self.best().clone();
        change(&mut candidate);
        self.attempt(what, candidate)
    }

    /// Brings a number down towards `least`: at once, else by bisection, unless not even one less still fails.
    fn lower(&mut self, what: &str, least: u64, read: &dyn Fn(&Plan) -> u64, write: Write<'_>) {
        let now = read(self.best());
        let keeps = |this: &mut Self, value: u64| this.try_change(what, &|plan| write(plan, value));
        if now <= least || keeps(self, least) || now - 1 == least || !keeps(self, now - 1) {
            return;
        }
        let (mut too_small, mut enough) = (least, now - 1);
        while enough - too_small > 1 {
            let middle = too_small + (enough - too_small) / 2;
            if keeps(self, middle) {
                enough = middle;
            } else {
                too_small = middle;
            }
        }
    }
}

/// Sets a number of a plan.
type Write<'a> = &'a dyn Fn(&mut Plan, u64);

struct Search<F, P> {
    best: Plan,
    runs: u32,
    runs_max: u32,
    fails: F,
    progress: P,
}

impl<F, P> Search<F, P> {
    fn is_spent(&self) -> bool {
        self.runs >= self.runs_max
    }
}

impl<F: FnMut(&Plan) -> bool, P: FnMut(&Progress<'_>)> Attempts for Search<F, P> {
    fn best(&self) -> &Plan {
        &self.best
    }

    fn attempt(&mut self, what: &str, candidate: Plan) -> bool {
        if self.is_spent() || candidate == self.best || candidate.check().is_err() {
            return false;
        }
        self.runs += 1;
        let keep = (self.fails)(&candidate);
        if keep {
            self.best = candidate;
        }
        let kept = keep.then_some(what);
        (self.progress)(&Progress { runs: self.runs, kept, best: &self.best });
        keep
    }
}

/// A number as a `u32`, for the fields that are.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

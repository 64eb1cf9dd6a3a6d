//! What travels between a batch and its worker processes: a job, and what came of it.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::check;
use crate::history::Violation;
use crate::plan::{Plan, Tier};
use crate::run::{Report, Trace, run};

use super::mutants;

/// A run to be carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// The plan of a seed.
    Seed {
        /// The seed.
        seed: u64,
        /// What the network is made of.
        tier: Tier,
    },
    /// A plan as it stands.
    Plan(Box<Plan>),
}

impl Job {
    /// The plan to run.
    pub fn plan(&self) -> Plan {
        match self {
            Self::Seed { seed, tier } => Plan::draw(*seed, *tier),
            Self::Plan(plan) => plan.as_ref().clone(),
        }
    }
}

/// What came of a run that came to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Digest of every event.
    pub trace_hash: u64,
    /// Virtual time that passed.
    pub simulated: Duration,
    /// Operations by outcome.
    pub operations: BTreeMap<String, u64>,
    /// Faults by kind.
    pub faults: BTreeMap<String, u64>,
    /// Named situations.
    pub situations: BTreeMap<String, u64>,
    /// Broken promises.
    pub violations: Vec<Told>,
    /// How often the line of the armed mutant was reached.
    pub mutant_reached: u64,
}

/// A broken promise in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Which one.
    pub invariant: String,
    /// What happened.
    pub detail: String,
    /// How it came about, event by event.
    pub account: String,
}

impl Display for Told {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// A run that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Its process died.
    Died {
        /// Of what: its exit code or signal.
        how: String,
        /// The last that it wrote to standard error.
        said: String,
    },
    /// It took longer than it may, and was killed.
    Hung {
        /// What it may take.
        limit: Duration,
        /// The last that it wrote to standard error.
        said: String,
    },
}

impl Display for Broken {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Died { how, .. } => write!(f, "the run died: {how}"),
            Self::Hung { limit, .. } => {
                write!(f, "the run did not end within {}", humantime::format_duration(*limit))
            }
        }
    }
}

/// What came of a job.
pub type Verdict = Result<Outcome, Broken>;

/// Carries out `job` in this process.
pub fn carry_out(job: &Job, trace: Trace) -> Outcome {
    let before = mutants::reached();
    let report = run(&job.plan(), trace);
    let mutant_reached = mutants::reached().saturating_sub(before);
    Outcome { mutant_reached, ..Outcome::from(report) }
}

impl From<Report> for Outcome {
    fn from(report: Report) -> Self {
        let told = |violation: &Violation| Told {
            invariant: violation.invariant.to_owned(),
            detail: violation.detail.clone(),
            account: check::account(&report.history, violation),
        };
        let violations = report.violations.iter().map(told).collect();
        Self {
            trace_hash: report.trace_hash,
            simulated: report.simulated,
            operations: report.operations,
            faults: report.faults,
            situations: report.situations,
            violations,
            mutant_reached: 0,
        }
    }
}

//! The plan: a run's whole configuration, checked, as every process of it gets it and as the report keeps it.
//!
//! Invariants
//! - A plan that exists can be run: [`Plan::check`] has seen it, and says all that is wrong with one at once.
//! - The processes of a run differ in their number alone.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::arrivals::Spacing;
use crate::measure::Series;
use crate::workload::keys::Distribution;
use crate::workload::levels::Levels;
use crate::workload::mix::{Mix, Op};
use crate::workload::value::{HEADER_BYTES, Lengths};

#[cfg(test)]
pub(crate) mod tests;

/// Shortest measured phase that is taken seriously, in seconds: a garbage collection of page caches, a flush and a few
/// gossip rounds should have been part of it.
const SECONDS_MIN: f64 = 10.0;

/// Most processes: each has a runtime of its own, and no machine has more cores to spare.
const PROCESSES_MAX: u64 = 64;

/// What kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Writes every key of the key space once.
    Load,
    /// Draws requests.
    Run,
}

/// What decides when a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pace {
    /// A clock: requests come whether or not earlier ones were answered.
    Open {
        /// Arrivals per second, of all processes together.
        rate: f64,
        /// How they are spaced.
        spacing: Spacing,
    },
    /// The answers: so many callers, each of which waits for its answer.
    Closed {
        /// Callers of all processes together.
        callers: u64,
    },
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Extent {
    /// After so many seconds of the measured phase.
    Seconds(f64),
    /// After so many requests of the measured phase, of all processes together.
    Ops(u64),
}

/// Whether values are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Check {
    /// They are random bytes.
    #[default]
    Nothing,
    /// They prove their origin, and gets check it.
    Values,
}

/// Whether puts supersede what is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Writes {
    /// They carry the last known context of their key.
    #[default]
    Informed,
    /// They carry none: in a `siblings` keyspace they pile up.
    Blind,
}

/// Who answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answers {
    /// The nodes of a cluster.
    #[default]
    Cluster,
    /// Nobody: every request ends at once, so that the generator itself is measured.
    Nobody,
}

/// How short a run may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortness {
    /// At least [`SECONDS_MIN`].
    Refused,
    /// Anything.
    Forced,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Workload {
    pub(crate) mix: Mix,
    /// Keys that are, or become, loaded.
    pub(crate) keys: u64,
    pub(crate) distribution: Distribution,
    pub(crate) lengths: Lengths,
    pub(crate) levels: Levels,
    pub(crate) check: Check,
    pub(crate) writes: Writes,
}

/// Whom it is asked of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) profile: PathBuf,
    pub(crate) keyspace: String,
    /// The datacenters that have a client in every process, by name.
    pub(crate) dcs: Vec<String>,
    /// Time that a request may take, in seconds; else the profile's.
    pub(crate) deadline_seconds: Option<f64>,
    /// Who answers; reports of earlier versions do not say, and theirs was a cluster.
    #[serde(default)]
    pub(crate) answers: Answers,
}

/// The whole configuration of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) pace: Pace,
    pub(crate) extent: Extent,
    pub(crate) warmup_seconds: f64,
    /// Requests under way at once, of all processes together; as many again may wait.
    pub(crate) inflight_max: u64,
    pub(crate) processes: u64,
    pub(crate) workload: Workload,
    pub(crate) target: Target,
    /// Where all draws begin.
    pub(crate) seed: u64,
    /// Tells the values of this run from those of others: seconds since 2020.
    pub(crate) run: u32,
}

impl Plan {
    /// All that is wrong, each with its fix.
    pub(crate) fn check(&self, shortness: Shortness) -> Vec<String> {
        let mut problems = Vec::new();
        let seconds = self.expected_seconds();
        let is_short = seconds.is_some_and(|seconds| seconds < SECONDS_MIN);
        if self.kind == Kind::Run && is_short && shortness == Shortness::Refused {
            problems.push(format!(
                "the measured phase would take {:.1} s, and below {SECONDS_MIN} s percentiles are chance: measure longer, or add --force",
                seconds.unwrap_or_default()
            ));
        }
        if self.inflight_max < self.processes {
            problems.push(format!(
                "--max-inflight {} is less than one for each of {} processes: raise it",
                self.inflight_max, self.processes
            ));
        }
        if !(1..=PROCESSES_MAX).contains(&self.processes) {
            problems.push(format!("--processes {}: from 1 to {PROCESSES_MAX}", self.processes));
        }
        if let Pace::Closed { callers } = self.pace
            && callers < self.processes
        {
            problems.push(format!(
                "--closed {callers} is less than one for each of {} processes: raise it",
                self.processes
            ));
        }
        let is_checked = self.workload.check == Check::Values;
        if is_checked && (self.workload.lengths.least as usize) < HEADER_BYTES {
            problems.push(format!(
                "--validate needs values of {HEADER_BYTES} bytes and more, and --value {} has shorter ones",
                self.workload.lengths
            ));
        }
        if is_checked && self.target.answers == Answers::Nobody {
            problems.push(
                "--no-cluster keeps no values that --validate could check: leave one out"
                    .to_owned(),
            );
        }
        if self.target.dcs.len() > usize::from(u16::MAX) {
            problems.push("--client-dc: too many".to_owned());
        }
        problems
    }

    /// How long the measured phase takes, as far as it can be known, in seconds.
    pub(crate) fn expected_seconds(&self) -> Option<f64> {
        match (self.extent, self.pace) {
            (Extent::Seconds(seconds), _) => Some(seconds),
            (Extent::Ops(ops), Pace::Open { rate, .. }) => Some(ops as f64 / rate),
            (Extent::Ops(_), Pace::Closed { .. }) => None,
        }
    }

    /// Requests of process `agent`, if their number ends the run.
    pub(crate) fn ops_of(&self, agent: u64) -> Option<u64> {
        match self.extent {
            Extent::Seconds(_) => None,
            Extent::Ops(ops) => Some(crate::workload::keys::share(ops, (agent, self.processes))),
        }
    }

    /// The share of `total` that process `agent` has, at least one.
    pub(crate) fn share(&self, total: u64, agent: u64) -> u64 {
        crate::workload::keys::share(total, (agent, self.processes)).max(1)
    }

    /// Everything that is told apart: operation, level and client.
    pub(crate) fn series(&self) -> Vec<Series> {
        let mut series = Vec::new();
        for op in Op::ALL.into_iter().filter(|op| self.workload.mix.has(*op)) {
            for level in self.workload.levels.of(op) {
                for dc in &self.target.dcs {
                    series.push(Series { op, level, dc: dc.clone() });
                }
            }
        }
        series
    }

    /// True if keys may lose their values on purpose.
    pub(crate) fn deletes(&self) -> bool {
        self.workload.mix.has(Op::Delete)
    }
}

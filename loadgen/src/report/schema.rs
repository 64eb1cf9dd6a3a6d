//! The schema of `report.json` and `sweep.json`, version 1.
//!
//! Times are seconds since the measured phase began, unless their name says otherwise; histograms are base64 texts of
//! HdrHistogram's V2 encoding, deflated, in nanoseconds.
//!
//! Invariants
//! - A reader refuses a schema that it does not know.

use serde::{Deserialize, Serialize};

use crate::measure::{Interval, Phase, Sample};
use crate::plan::{Answers, Kind, Pace, Plan};
use crate::search::{Judgement, Range};
use crate::slo::Objective;
use crate::system::Machine;
use crate::units;

#[cfg(test)]
mod tests;

/// What this version writes and reads.
pub(crate) const SCHEMA: &str = "atoll-loadgen/1";

/// Share of arrivals that may be late or dropped; above it, the load was not what was asked for.
const LATE_SHARE: f64 = 0.01;

/// Everything about one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// Version of the load generator.
    pub(crate) version: String,
    /// The commit that it was built from, if its builder said (`ATOLL_COMMIT`).
    pub(crate) commit: Option<String>,
    /// When the measured phase began, as RFC 3339 in UTC.
    pub(crate) began: String,
    /// The same, in seconds since the Unix epoch.
    pub(crate) began_unix: f64,
    /// Where the load came from.
    pub(crate) machine: Machine,
    /// What was asked for.
    pub(crate) plan: Plan,
    /// Length of the measured phase, in seconds.
    pub(crate) seconds: f64,
    /// Whether the numbers mean something.
    pub(crate) verdict: Verdict,
    /// The measured phase.
    pub(crate) total: Sample,
    /// Every second, those of the warm-up too.
    pub(crate) intervals: Vec<Interval>,
    /// Commands that were run.
    pub(crate) events: Vec<Event>,
    /// Processes of nodes on this machine.
    pub(crate) nodes: Vec<NodeTrace>,
    /// What the nodes say, if they could be asked.
    pub(crate) cluster: Option<Cluster>,
}

/// Whether a run says something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// Why it does not; empty if it does.
    pub(crate) invalid: Vec<String>,
    /// What else a reader must know.
    pub(crate) warnings: Vec<String>,
}

/// A command that was run at a moment of the measured phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) command: String,
    /// When it was to begin.
    pub(crate) due: f64,
    pub(crate) began: f64,
    pub(crate) ended: f64,
    /// `None` if a signal ended it, or it was not started.
    pub(crate) exit_code: Option<i32>,
    /// The beginning of its stdout and stderr.
    pub(crate) output: String,
}

/// A node's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeTrace {
    /// Its name, or its process id.
    pub(crate) name: String,
    pub(crate) seconds: Vec<NodeSecond>,
}

/// What a node's process spent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeSecond {
    pub(crate) at: f64,
    /// Processors in use on average since the look before.
    pub(crate) cores: f64,
    pub(crate) memory_bytes: u64,
}

/// What the nodes say: counts are those of the run, warm-up included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) nodes: usize,
    pub(crate) nodes_up: usize,
    pub(crate) versions: Vec<String>,
    /// Gets that the nodes coordinated.
    pub(crate) gets: u64,
    /// Puts that the nodes coordinated.
    pub(crate) puts: u64,
    /// Speculative reads, also called hedges.
    pub(crate) speculative: u64,
    /// Those of them that answered first.
    pub(crate) speculative_won: u64,
    /// Stale replicas that gets repaired.
    pub(crate) repaired: u64,
    /// Replicas that missed a put.
    pub(crate) missed: u64,
    /// Round trips between datacenters at the end, as nodes see them.
    pub(crate) links: Vec<LinkTime>,
}

/// Round trips from the nodes of one datacenter to those of another, or among its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LinkTime {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Median over pairs of nodes, in milliseconds.
    pub(crate) milliseconds: f64,
    /// Pairs of nodes that are connected.
    pub(crate) pairs: usize,
}

/// A search for the highest rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sweep {
    pub(crate) schema: String,
    pub(crate) kind: String,
    pub(crate) began: String,
    pub(crate) machine: Machine,
    pub(crate) plan: Plan,
    pub(crate) range: Range,
    pub(crate) objectives: Vec<Objective>,
    /// In the order in which they were measured.
    pub(crate) steps: Vec<SweepStep>,
    /// The highest rate that met every objective.
    pub(crate) knee: Option<u64>,
}

/// One rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SweepStep {
    pub(crate) rate: u64,
    pub(crate) judgement: Judgement,
    /// What was not met.
    pub(crate) missed: Vec<String>,
    /// Requests per second that succeeded.
    pub(crate) throughput: f64,
    /// p50, p90, p99, p99.9 and the maximum of all latencies, in milliseconds.
    pub(crate) milliseconds: [f64; 5],
    pub(crate) errors: u64,
    /// Share of arrivals that were late or dropped.
    pub(crate) late: f64,
    /// 99.9th percentile of the generator's own error, in milliseconds.
    pub(crate) scheduling: f64,
    /// The folder of its report.
    pub(crate) folder: String,
}

impl Verdict {
    /// Judges a measured phase.
    pub(crate) fn of(plan: &Plan, total: &Sample) -> Self {
        let (mut invalid, mut warnings) = (Vec::new(), Vec::new());
        let late = units::share(total.late + total.dropped, total.arrivals);
        if late > LATE_SHARE && matches!(plan.pace, Pace::Open { .. }) {
            invalid.push(format!(
                "{} of the arrivals were late or dropped ({} late, {} dropped), and more than {} mean that the load was \
                 not what was asked for: lower --rate, raise --max-inflight or --processes, or give the generator a \
                 machine of its own",
                units::percentage(late),
                units::grouped(total.late),
                units::grouped(total.dropped),
                units::percentage(LATE_SHARE),
            ));
        }
        let sum = total.sum(None);
        if sum.latency.is_empty() {
            let words = sum.first_error.as_deref().unwrap_or("no request was due");
            invalid.push(format!("no request succeeded: {words}"));
        }
        if plan.target.answers == Answers::Nobody {
            warnings.push(
                "NO CLUSTER: every request was answered here, at once; these are times of the generator alone"
                    .to_owned(),
            );
        }
        if matches!(plan.pace, Pace::Closed { .. }) {
            warnings.push(
                "CLOSED LOOP: latencies are service times; whoever waits sends nothing, so stalls are under-reported"
                    .to_owned(),
            );
        }
        if plan.kind == Kind::Load && sum.facts.siblings > 0 {
            warnings.push(format!(
                "{} keys were there already, and have siblings now: load into an empty keyspace",
                units::grouped(sum.facts.siblings)
            ));
        }
        if sum.facts.stale > 0 {
            warnings.push(format!("{} STALE READS at levels that exclude them", sum.facts.stale));
        }
        if sum.facts.corrupt > 0 {
            warnings.push(format!("{} CORRUPT VALUES: bytes that were not written for their key, or without --validate", sum.facts.corrupt));
        }
        Self { invalid, warnings }
    }
}

impl Report {
    /// Requests per second of the measured phase that succeeded.
    pub(crate) fn throughput(&self) -> f64 {
        self.total.sum(None).latency.len() as f64 / self.seconds.max(1e-9)
    }

    /// The intervals of the measured phase.
    pub(crate) fn measured(&self) -> impl Iterator<Item = &Interval> {
        self.intervals.iter().filter(|interval| interval.phase == Phase::Measured)
    }
}

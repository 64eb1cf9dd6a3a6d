//! Counts that add up: of one series, of one interval of all series, and of what the machine spent.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use atoll_client::Level;
use serde::{Deserialize, Serialize};

use super::histo::Histo;
use crate::workload::mix::Op;

#[cfg(test)]
mod tests;

/// What is told apart: operation, level and the datacenter of the client. Its text is `get/LOCAL_ONE/eu`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Series {
    pub(crate) op: Op,
    pub(crate) level: Level,
    pub(crate) dc: String,
}

/// One series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// From when a request was due to its answer: of those that succeeded.
    pub(crate) latency: Histo,
    /// From when it was begun to its answer.
    pub(crate) service: Histo,
    /// Failures by kind.
    pub(crate) errors: BTreeMap<String, u64>,
    /// The first failure's own words.
    pub(crate) first_error: Option<String>,
    /// Everything else that is counted.
    #[serde(flatten)]
    pub(crate) facts: Facts,
}

/// What is counted besides time and errors; small, so that every request can carry one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Key and value bytes written.
    pub(crate) bytes_written: u64,
    /// Value bytes read.
    pub(crate) bytes_read: u64,
    /// Gets that found no value.
    pub(crate) missing: u64,
    /// Answers that showed siblings.
    pub(crate) siblings: u64,
    /// Gets that broke a promise: they missed a put that their quorum had to see.
    pub(crate) stale: u64,
    /// Gets that missed a put which no promise obliged them to see.
    pub(crate) behind: u64,
    /// Gets with bytes that were not written for the key.
    pub(crate) corrupt: u64,
    /// Gets that were made for a put without a known context.
    pub(crate) context_reads: u64,
}

/// All series over one span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// By the text of [`Series`].
    pub(crate) series: BTreeMap<String, Tally>,
    /// First poll of a request minus when it was due: the generator's own error.
    pub(crate) scheduling: Histo,
    /// The same of requests that did not wait for room; empty in reports of earlier versions.
    #[serde(default)]
    pub(crate) pacing: Histo,
    /// Requests begun that had waited for room.
    #[serde(default)]
    pub(crate) waited: u64,
    /// Requests that were due.
    pub(crate) arrivals: u64,
    /// Requests begun more than the tolerance after they were due.
    pub(crate) late: u64,
    /// Requests never begun.
    pub(crate) dropped: u64,
    /// Requests that the SDK sent again.
    pub(crate) retries: u64,
}

/// Which part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Logged, not counted.
    Warmup,
    /// Counted.
    Measured,
}

/// One second of a run, or what is left of one at its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Interval {
    /// Its place, from 0 at the beginning of the warm-up.
    pub(crate) index: u64,
    /// Its phase, by when its requests were due.
    pub(crate) phase: Phase,
    /// When it began, in seconds since the measured phase began; negative during the warm-up.
    pub(crate) begin: f64,
    /// How long it was, in seconds.
    pub(crate) seconds: f64,
    /// What was counted.
    pub(crate) sample: Sample,
    /// What the client processes spent.
    pub(crate) usage: Usage,
    /// How the kernel ranks the thread that begins requests; the lowest of all processes. `None` in a closed loop, and in
    /// reports of earlier versions.
    #[serde(default)]
    pub(crate) pacer: Option<Precedence>,
}

/// How the kernel ranks a thread, the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Precedence {
    /// As any other.
    Plain,
    /// With a larger share of the processors.
    Raised,
    /// Ahead of every thread that is not real-time.
    Realtime,
}

/// What processes spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Processor time, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Resident memory, in bytes.
    pub(crate) memory_bytes: u64,
}

impl Tally {
    /// Requests that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Requests that ended.
    pub(crate) fn total(&self) -> u64 {
        self.latency.len() + self.failed()
    }

    /// Adds all of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency);
        self.service.add(&other.service);
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
        self.facts.add(other.facts);
    }
}

impl Facts {
    /// Adds all of `other`.
    pub(crate) fn add(&mut self, other: Self) {
        self.bytes_written += other.bytes_written;
        self.bytes_read += other.bytes_read;
        self.missing += other.missing;
        self.siblings += other.siblings;
        self.stale += other.stale;
        self.behind += other.behind;
        self.corrupt += other.corrupt;
        self.context_reads += other.context_reads;
    }
}

impl Sample {
    /// Adds all of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        for (series, tally) in &other.series {
            self.series.entry(series.clone()).or_default().add(tally);
        }
        self.scheduling.add(&other.scheduling);
        self.pacing.add(&other.pacing);
        self.waited += other.waited;
        self.arrivals += other.arrivals;
        self.late += other.late;
        self.dropped += other.dropped;
        self.retries += other.retries;
    }

    /// All series in one; with `op`, only those of that operation.
    pub(crate) fn sum(&self, op: Option<Op>) -> Tally {
        let mut sum = Tally::default();
        for (text, tally) in &self.series {
            let matches = op.is_none_or(|op| text.split('/').next() == Some(op.name()));
            if matches {
                sum.add(tally);
            }
        }
        sum
    }

    /// The operations that occur, in the order of reports.
    pub(crate) fn ops(&self) -> Vec<Op> {
        let occurs = |op: &Op| {
            self.series
                .iter()
                .any(|(text, tally)| text.split('/').next() == Some(op.name()) && tally.total() > 0)
        };
        Op::ALL.into_iter().filter(occurs).collect()
    }
}

impl Usage {
    /// Adds what other processes spent in the same span.
    pub(crate) fn add(&mut self, other: Self) {
        self.cpu_seconds += other.cpu_seconds;
        self.memory_bytes += other.memory_bytes;
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.op.name(), self.level, self.dc)
    }
}

impl FromStr for Series {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is not operation/LEVEL/dc");
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().ok_or_else(form);
        let (op, level, dc) = (next()?, next()?, next()?);
        let op = Op::ALL.into_iter().find(|known| known.name() == op).ok_or_else(form)?;
        let level = level.parse().map_err(|_| form())?;
        Ok(Self { op, level, dc: dc.to_owned() })
    }
}

impl TryFrom<String> for Series {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Series> for String {
    fn from(series: Series) -> Self {
        series.to_string()
    }
}

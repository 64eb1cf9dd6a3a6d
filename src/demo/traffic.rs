//! Writing until acknowledged and reading until found, many at a time.
//!
//! 1. A put that fails retryably is repeated with the same value, and counted. One that cannot succeed fails the demo.
//! 2. A get that does not find its value is repeated until a bound, and counted as late. Past the bound the write is
//!    missing, and the demo fails.
//!
//! Invariants
//! - Every operation ends within [`PATIENCE`]; nothing is counted as acknowledged that was not.

use std::time::Duration;

use atoll_client::{Keyspace, Level};
use atoll_protocol::time::MonoTime;
use futures_util::StreamExt;

use super::ledger::{Entry, discrepancy};
use crate::env::Env;

/// Longest wait for one record: longer than the failure of a datacenter goes unnoticed (4 s), several times over.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pause before an operation is repeated.
const PAUSE: Duration = Duration::from_millis(100);

/// How to go about many operations.
#[derive(Clone)]
pub(super) struct Traffic {
    pub(super) env: Env,
    pub(super) keyspace: Keyspace,
    pub(super) level: Level,
    /// Operations at the same time.
    pub(super) concurrency: usize,
}

/// What became of many operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Operations that had to be repeated.
    pub(super) repeated: usize,
    /// The first reason for a repetition.
    pub(super) reason: Option<String>,
    /// The slowest one, its repetitions included.
    pub(super) slowest: Duration,
}

/// One operation that succeeded in the end.
#[derive(Clone, Debug)]
pub(super) struct Success {
    /// The first reason for a repetition, if there was one.
    pub(super) reason: Option<String>,
    /// When it began.
    pub(super) begun: MonoTime,
    /// How long it took, repetitions included.
    pub(super) took: Duration,
}

impl Traffic {
    /// Writes all `entries`.
    ///
    /// # Errors
    /// The first one that could not be written, and why.
    pub(super) async fn write(&self, entries: &[Entry]) -> Result<Outcome, String> {
        let writes = futures_util::stream::iter(entries).map(|entry| self.write_one(entry));
        collect(writes.buffer_unordered(self.concurrency).collect().await)
    }

    /// Reads all `entries` back.
    ///
    /// # Errors
    /// Those that could not be found, and why.
    pub(super) async fn read(&self, entries: &[Entry]) -> Result<Outcome, String> {
        let reads = futures_util::stream::iter(entries).map(|entry| self.read_one(entry));
        collect(reads.buffer_unordered(self.concurrency).collect().await)
    }

    /// Writes one entry.
    ///
    /// # Errors
    /// Why it could not be written.
    pub(super) async fn write_one(&self, entry: &Entry) -> Result<Success, String> {
        let begun = self.env.mono();
        let mut reason = None;
        loop {
            let put = self.keyspace.put(&entry.key, entry.value.clone());
            let error = match put.level(self.level).await {
                Ok(_) => {
                    let took = self.env.mono().since(begun);
                    return Ok(Success { reason, begun, took });
                }
                Err(error) => error,
            };
            let is_late = self.env.mono().since(begun) > PATIENCE;
            if !error.is_retryable() || is_late {
                return Err(format!("put {} at {}: {error}", entry.key, self.level));
            }
            reason.get_or_insert_with(|| error.to_string());
            self.env.sleep(PAUSE).await;
        }
    }

    async fn read_one(&self, entry: &Entry) -> Result<Success, String> {
        let begun = self.env.mono();
        let mut reason = None;
        loop {
            let problem = match self.keyspace.get(&entry.key).level(self.level).await {
                Ok(found) => discrepancy(&found, &entry.value),
                Err(error) if error.is_retryable() => Some(error.to_string()),
                Err(error) => return Err(format!("get {} at {}: {error}", entry.key, self.level)),
            };
            let took = self.env.mono().since(begun);
            let Some(problem) = problem else {
                return Ok(Success { reason, begun, took });
            };
            if took > PATIENCE {
                return Err(format!(
                    "get {} at {} for {PATIENCE:?}: {problem}",
                    entry.key, self.level
                ));
            }
            reason.get_or_insert(problem);
            self.env.sleep(PAUSE).await;
        }
    }
}

impl Outcome {
    /// Adds one operation.
    pub(super) fn add(&mut self, Success { reason, took, .. }: Success) {
        self.repeated += usize::from(reason.is_some());
        self.reason = self.reason.take().or(reason);
        self.slowest = self.slowest.max(took);
    }
}

/// Puts single operations together; failures are listed, the first few in full.
fn collect(results: Vec<Result<Success, String>>) -> Result<Outcome, String> {
    /// Failures that are shown in full; a cluster in trouble fails all alike.
    const SHOWN_MAX: usize = 5;
    let mut outcome = Outcome::default();
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(success) => outcome.add(success),
            Err(failure) => failures.push(failure),
        }
    }
    if failures.is_empty() {
        return Ok(outcome);
    }
    let count = failures.len();
    failures.truncate(SHOWN_MAX);
    let listed = failures.join("\n  ");
    Err(format!("{count} operation(s) failed:\n  {listed}"))
}

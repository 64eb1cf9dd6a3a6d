//! Where requests note what they measured: a few samples, each behind a lock of its own, taken away once a second.
//!
//! 1. A request locks the shard of its thread for a fraction of a microsecond; a runtime with two workers does not meet
//!    another one there.
//! 2. Once a second the collector swaps every shard for an empty one, and adds what it took.
//!
//! Invariants
//! - A request counts in exactly one interval and one phase: that in which it was due.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::tally::{Facts, Phase, Sample, Series, Tally};

#[cfg(test)]
mod tests;

/// Shards: more than workers of any runtime that one pacing thread can feed.
const SHARDS: usize = 8;

/// Longest text of an error that is kept, in bytes.
const ERROR_BYTES_MAX: usize = 300;

/// Whether a request had to wait before it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It began as soon as it was seen to be due.
    Unasked,
    /// Too many others were under way.
    ForRoom,
}

/// One request that ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// Index of its series.
    pub(crate) series: usize,
    /// Its phase.
    pub(crate) phase: Phase,
    /// From due to answer, in nanoseconds.
    pub(crate) latency: u64,
    /// From begun to answer, in nanoseconds.
    pub(crate) service: u64,
    /// Kind and words of its failure.
    pub(crate) failure: Option<(String, String)>,
    /// Everything else that it counts.
    pub(crate) facts: Facts,
}

/// Samples under way.
#[derive(Debug)]
pub(crate) struct Shards {
    series: Vec<Series>,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Debug, Default)]
struct Shard {
    warmup: Bins,
    measured: Bins,
}

#[derive(Debug, Default)]
struct Bins {
    tallies: Vec<Tally>,
    rest: Sample,
}

impl Shards {
    /// Empty samples of these series.
    pub(crate) fn new(series: Vec<Series>) -> Self {
        Self { series, shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// Notes a request that was begun: how late, in nanoseconds, whether that is beyond the tolerance, and why.
    pub(crate) fn begun(&self, phase: Phase, (error, wait): (u64, Wait), tolerance: u64) {
        self.with(phase, |bins| {
            bins.rest.scheduling.record(error);
            match wait {
                Wait::Unasked => bins.rest.pacing.record(error),
                Wait::ForRoom => bins.rest.waited += 1,
            }
            bins.rest.arrivals += 1;
            bins.rest.late += u64::from(error > tolerance);
        });
    }

    /// Notes requests that were due and are never begun.
    pub(crate) fn dropped(&self, phase: Phase, count: u64) {
        self.with(phase, |bins| {
            bins.rest.arrivals += count;
            bins.rest.dropped += count;
        });
    }

    /// Notes requests that were begun, and whose end nobody waits for any more.
    pub(crate) fn abandoned(&self, phase: Phase, count: u64) {
        self.with(phase, |bins| bins.rest.dropped += count);
    }

    /// Notes a request that ended.
    pub(crate) fn done(&self, done: Done) {
        self.with(done.phase, |bins| {
            if bins.tallies.len() <= done.series {
                bins.tallies.resize_with(done.series + 1, Tally::default);
            }
            let Some(tally) = bins.tallies.get_mut(done.series) else { return };
            match done.failure {
                None => {
                    tally.latency.record(done.latency);
                    tally.service.record(done.service);
                }
                Some((kind, mut words)) => {
                    *tally.errors.entry(kind).or_default() += 1;
                    words.truncate(words.floor_char_boundary(ERROR_BYTES_MAX));
                    tally.first_error.get_or_insert(words);
                }
            }
            tally.facts.add(done.facts);
        });
    }

    /// Takes away all that was noted since the last time: of the warm-up, and of the measured phase.
    pub(crate) fn take(&self) -> (Sample, Sample) {
        let (mut warmup, mut measured) = (Sample::default(), Sample::default());
        for shard in &self.shards {
            let taken = mem::take(&mut *shard.lock());
            self.add(&mut warmup, taken.warmup);
            self.add(&mut measured, taken.measured);
        }
        (warmup, measured)
    }

    fn add(&self, sum: &mut Sample, bins: Bins) {
        sum.add(&bins.rest);
        for (series, tally) in self.series.iter().zip(&bins.tallies) {
            if tally.total() > 0 {
                sum.series.entry(series.to_string()).or_default().add(tally);
            }
        }
    }

    fn with(&self, phase: Phase, note: impl FnOnce(&mut Bins)) {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static MINE: usize = THREADS.fetch_add(1, Ordering::Relaxed);
        }
        let mine = MINE.with(|mine| *mine) % self.shards.len();
        let Some(shard) = self.shards.get(mine) else { return };
        let mut shard = shard.lock();
        note(match phase {
            Phase::Warmup => &mut shard.warmup,
            Phase::Measured => &mut shard.measured,
        });
    }
}

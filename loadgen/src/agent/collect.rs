//! Once a second: takes away what was measured, and passes it on as an interval.
//!
//! A thread of its own, because a runtime that is overloaded must not lose its clock.
//!
//! Invariants
//! - Intervals have whole seconds since the warm-up began, on every process alike, so that they can be added; the last
//!   one ends with the last answer, and its length is that of its arrivals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use atoll_client::Client;
use tokio::sync::mpsc;

use super::execute::Executor;
use crate::measure::{Interval, Phase, Sample, Usage};
use crate::system;
use crate::units::NANOS;

#[cfg(test)]
mod tests;

/// Length of an interval, in nanoseconds.
const INTERVAL_NS: u64 = 1_000_000_000;

/// Shortest last interval, in nanoseconds; a shorter one becomes part of the one before it.
const REST_NS: u64 = 500_000_000;

/// What the thread works with.
pub(crate) struct Collector {
    pub(crate) executor: Arc<Executor>,
    pub(crate) clients: Vec<Client>,
    pub(crate) sink: mpsc::Sender<Interval>,
    pub(crate) is_over: Arc<AtomicBool>,
}

/// What counts up, as it stood when the last interval ended.
struct Before {
    end: u64,
    retries: u64,
    usage: Usage,
    /// Of the measured phase, noted in the instant between its begin and the end of the interval before.
    carried: Sample,
}

impl Collector {
    /// Runs until the run is over and everything was passed on, or nobody listens. Blocks its thread.
    pub(crate) fn run(self) {
        let usage = system::usage(None).unwrap_or_default();
        let mut before =
            Before { end: 0, retries: self.retries(), usage, carried: Sample::default() };
        let mut index = 0;
        loop {
            let is_last = !self.wait((index + 1) * INTERVAL_NS);
            let intervals = self.take((index, is_last), &mut before);
            for interval in intervals {
                if self.sink.blocking_send(interval).is_err() {
                    return;
                }
            }
            if is_last {
                return;
            }
            index += 1;
        }
    }

    /// Waits until `until`; false if the run ended before, or ends so soon after that this interval takes the rest.
    fn wait(&self, until: u64) -> bool {
        let timeline = &self.executor.timeline;
        let takes_rest = timeline.end().is_some_and(|end| until + REST_NS > end);
        loop {
            if self.is_over.load(Ordering::Acquire) {
                return false;
            }
            let left = until.saturating_sub(timeline.now());
            if left == 0 && !takes_rest {
                return true;
            }
            // Whoever ends the run unparks this thread.
            let left = if takes_rest { INTERVAL_NS } else { left };
            thread::park_timeout(Duration::from_nanos(left));
        }
    }

    fn take(&self, (index, is_last): (u64, bool), before: &mut Before) -> Vec<Interval> {
        let timeline = &self.executor.timeline;
        let (warmup, mut measured) = self.executor.shards.take();
        // This thread wakes some microseconds late; whole intervals end when they should have.
        let end = match is_last {
            false => (index + 1) * INTERVAL_NS,
            true => timeline.now().min(timeline.end().unwrap_or(u64::MAX)).max(before.end),
        };
        let retries = self.retries();
        measured.retries = retries - before.retries;
        let usage = system::usage(None).unwrap_or(before.usage);
        let spent = Usage { cpu_seconds: usage.cpu_seconds - before.usage.cpu_seconds, ..usage };
        let span = (before.end, end);
        measured.add(&std::mem::take(&mut before.carried));
        if end <= timeline.warmup() && !is_last {
            before.carried = std::mem::take(&mut measured);
        }
        (before.end, before.retries, before.usage) = (end, retries, usage);
        let parts = [(Phase::Warmup, warmup), (Phase::Measured, measured)];
        let of_phase = |(phase, sample): (Phase, Sample)| {
            let (begin, seconds) = part(phase, span, timeline.warmup());
            let is_empty = sample.arrivals == 0 && sample.series.is_empty();
            // The machine's effort is told once: with the phase that ends the span.
            let is_later = (end > timeline.warmup()) == (phase == Phase::Measured);
            let usage = if is_later { spent } else { Usage::default() };
            (seconds > 0.0 || !is_empty).then_some(Interval {
                index,
                phase,
                begin,
                seconds,
                sample,
                usage,
                pacer: self.executor.pacer.get().copied(),
            })
        };
        parts.into_iter().filter_map(of_phase).collect()
    }

    fn retries(&self) -> u64 {
        self.clients.iter().map(|client| client.counters().retries).sum()
    }
}

/// Begin and length of the part of `span` that belongs to `phase`, in seconds since the measured phase began.
fn part(phase: Phase, (from, to): (u64, u64), warmup: u64) -> (f64, f64) {
    let (from, to) = match phase {
        Phase::Warmup => (from.min(warmup), to.min(warmup)),
        Phase::Measured => (from.max(warmup), to.max(warmup)),
    };
    ((from as f64 - warmup as f64) / NANOS, (to - from) as f64 / NANOS)
}

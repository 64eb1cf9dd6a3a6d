//! Adds the intervals of all processes, second by second. Pure.

use std::collections::BTreeMap;

use crate::measure::{Interval, Phase};

#[cfg(test)]
mod tests;

/// Intervals under way.
#[derive(Debug)]
pub(super) struct Merge {
    processes: u64,
    intervals: BTreeMap<(u64, Part), (Interval, u64)>,
}

/// Phases in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Warmup,
    Measured,
}

impl Merge {
    /// Of so many processes.
    pub(super) fn new(processes: u64) -> Self {
        Self { processes, intervals: BTreeMap::new() }
    }

    /// Adds one; returns the sum once all processes have contributed.
    pub(super) fn add(&mut self, interval: Interval) -> Option<&Interval> {
        let part = match interval.phase {
            Phase::Warmup => Part::Warmup,
            Phase::Measured => Part::Measured,
        };
        let (sum, count) = self
            .intervals
            .entry((interval.index, part))
            .and_modify(|(sum, count)| {
                let end = (sum.begin + sum.seconds).max(interval.begin + interval.seconds);
                sum.begin = sum.begin.min(interval.begin);
                sum.seconds = end - sum.begin;
                sum.sample.add(&interval.sample);
                sum.usage.add(interval.usage);
                sum.pacer = sum.pacer.into_iter().chain(interval.pacer).min();
                *count += 1;
            })
            .or_insert_with(|| (interval, 1));
        (*count == self.processes).then_some(&*sum)
    }

    /// All of them, in order.
    pub(super) fn finish(self) -> Vec<Interval> {
        self.intervals.into_values().map(|(interval, _)| interval).collect()
    }
}

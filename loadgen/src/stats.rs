//! Comparing two runs: how much a percentile differs, and how sure that is.
//!
//! A run is a list of intervals of one second, each with a histogram. Seconds that follow each other are alike (a
//! compaction lasts several of them), so drawing single seconds would make the interval of confidence too narrow:
//!
//! 1. *Moving block bootstrap*: draw blocks of consecutive intervals with replacement until there are as many intervals
//!    as in the run; the length of a block is the cube root of their number, rounded up.
//! 2. Add the histograms of what was drawn, exactly, and take the percentile of the sum.
//! 3. Do that [`RESAMPLES`] times for each run, and sort the ratios of the pairs: 95 % of them are the interval.
//!
//! Invariants
//! - The same two reports give the same numbers: the seed is fixed.
//!
//! Source: Künsch, "The jackknife and the bootstrap for general stationary observations", 1989.

use serde::Serialize;

use crate::chance::Chance;
use crate::units;

#[cfg(test)]
mod tests;

/// Resamples of each run: the ends of a 95 % interval then have 25 beyond them on each side.
const RESAMPLES: usize = 1_000;

/// Share of the ratios that lie below the interval, and above it.
const TAIL: f64 = 0.025;

/// Intervals that a run needs for an interval of confidence: with fewer, resampling repeats them all.
pub(crate) const INTERVALS_MIN: usize = 8;

/// One second: values with their counts, in order of the values, and its length in seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Second {
    pub(crate) counts: Vec<(u64, u64)>,
    pub(crate) seconds: f64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Measure {
    /// A quantile of latency: more is worse.
    Quantile(f64),
    /// Requests per second: less is worse.
    Throughput,
}

/// A difference with its interval of confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Difference {
    /// In the first run: nanoseconds, or requests per second.
    pub(crate) before: f64,
    /// In the second run.
    pub(crate) after: f64,
    /// `after / before - 1`.
    pub(crate) change: f64,
    /// The interval of the change that has 95 % of the resamples; `None` if there are too few intervals.
    pub(crate) interval: Option<(f64, f64)>,
}

/// A run, indexed for drawing.
#[derive(Debug)]
struct Indexed {
    values: Vec<u64>,
    /// Per second: places in `values` with counts.
    seconds: Vec<Vec<(usize, u64)>>,
    spans: Vec<f64>,
}

impl Difference {
    /// True if the second run is worse by more than `tolerance`, and the interval of confidence says that it is worse.
    pub(crate) fn is_worse(&self, measure: Measure, tolerance: f64) -> bool {
        match (measure, self.interval) {
            (_, None) => false,
            (Measure::Quantile(_), Some((low, _))) => self.change > tolerance && low > 0.0,
            (Measure::Throughput, Some((_, high))) => self.change < -tolerance && high < 0.0,
        }
    }
}

/// Compares two runs; `None` if one has nothing to compare.
pub(crate) fn compare(before: &[Second], after: &[Second], measure: Measure) -> Option<Difference> {
    let (before, after) = (Indexed::new(before), Indexed::new(after));
    let (first, second) = (before.whole(measure)?, after.whole(measure)?);
    let change = second / first - 1.0;
    let enough = before.seconds.len().min(after.seconds.len()) >= INTERVALS_MIN;
    let interval = enough.then(|| {
        let mut chance = Chance::new(0, 0, 0);
        let mut ratios: Vec<f64> = (0..RESAMPLES)
            .filter_map(|_| {
                let (x, y) =
                    (before.resample(measure, &mut chance)?, after.resample(measure, &mut chance)?);
                (x > 0.0).then_some(y / x - 1.0)
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = usize::try_from(units::floor(ratios.len() as f64 * share)).unwrap_or(0);
            ratios.get(place.min(ratios.len().saturating_sub(1))).copied().unwrap_or(0.0)
        };
        (at(TAIL), at(1.0 - TAIL))
    });
    Some(Difference { before: first, after: second, change, interval })
}

impl Indexed {
    fn new(run: &[Second]) -> Self {
        let mut values: Vec<u64> =
            run.iter().flat_map(|second| second.counts.iter().map(|(value, _)| *value)).collect();
        values.sort_unstable();
        values.dedup();
        let place = |(value, count): &(u64, u64)| {
            values.binary_search(value).ok().map(|place| (place, *count))
        };
        let seconds = run.iter().map(|second| second.counts.iter().filter_map(place).collect());
        let seconds = seconds.collect();
        Self { seconds, spans: run.iter().map(|second| second.seconds).collect(), values }
    }

    fn whole(&self, measure: Measure) -> Option<f64> {
        self.measure(measure, 0..self.seconds.len())
    }

    fn resample(&self, measure: Measure, chance: &mut Chance) -> Option<f64> {
        let count = self.seconds.len() as u64;
        let block = units::floor((count as f64).cbrt().ceil()).max(1);
        let mut drawn = Vec::with_capacity(self.seconds.len());
        while drawn.len() < self.seconds.len() {
            let from = chance.below(count + 1 - block.min(count));
            let places = (from..from + block).filter_map(|place| usize::try_from(place).ok());
            drawn.extend(places.take(self.seconds.len() - drawn.len()));
        }
        self.measure(measure, drawn.into_iter())
    }

    fn measure(&self, measure: Measure, places: impl Iterator<Item = usize>) -> Option<f64> {
        let mut counts = vec![0u64; self.values.len()];
        let (mut total, mut span) = (0u64, 0.0);
        for place in places {
            span += self.spans.get(place)?;
            for (value, count) in self.seconds.get(place)? {
                *counts.get_mut(*value)? += count;
                total += count;
            }
        }
        if total == 0 || span <= 0.0 {
            return None;
        }
        match measure {
            Measure::Throughput => Some(total as f64 / span),
            Measure::Quantile(quantile) => {
                let rank = units::floor((total as f64 * quantile).ceil()).clamp(1, total);
                let mut below = 0;
                let found = counts.iter().position(|count| {
                    below += count;
                    below >= rank
                })?;
                self.values.get(found).map(|value| *value as f64)
            }
        }
    }
}

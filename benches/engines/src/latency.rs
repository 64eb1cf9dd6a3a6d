//! Latencies: one histogram per client thread, merged when the phase is over.
//!
//! Values are nanoseconds with three significant digits. A closed loop: a client sends its next operation when the
//! last one is back, so a stall delays few operations; the count of stalls says what percentiles hide.
//!
//! Source: HdrHistogram.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// An operation that takes longer is a stall.
const STALL: Duration = Duration::from_millis(100);

/// The smallest difference that is told apart; reading the clock twice costs about as much.
const FLOOR_NS: u64 = 32;

/// Longer operations count as this long.
const CEILING_NS: u64 = 120_000_000_000;

/// Latencies of one thread or of all.
#[derive(Debug)]
pub(crate) struct Latencies {
    histogram: Histogram<u32>,
    stalls: u64,
    max: Duration,
}

impl Latencies {
    /// Nothing recorded; about 90 KB.
    pub(crate) fn new() -> Latencies {
        let histogram = Histogram::new_with_bounds(FLOOR_NS, CEILING_NS, 3)
            .expect("constant bounds are accepted");
        Latencies { histogram, stalls: 0, max: Duration::ZERO }
    }

    /// Counts one operation.
    pub(crate) fn record(&mut self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(CEILING_NS);
        self.histogram.saturating_record(nanoseconds.min(CEILING_NS));
        self.max = self.max.max(took);
        self.stalls += u64::from(took > STALL);
    }

    /// Adds what another thread recorded.
    pub(crate) fn merge(&mut self, other: &Latencies) {
        self.histogram.add(&other.histogram).expect("equal bounds");
        self.stalls += other.stalls;
        self.max = self.max.max(other.max);
    }

    /// The figures that are reported.
    pub(crate) fn summary(&self) -> LatencySummary {
        let at = |quantile| self.histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        LatencySummary {
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            p9999_us: at(0.999_9),
            max_us: self.max.as_secs_f64() * 1e6,
            stalls: self.stalls,
        }
    }
}

/// Percentiles of a phase, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LatencySummary {
    /// Half of the operations are faster.
    pub(crate) p50_us: f64,
    /// 99 %.
    pub(crate) p99_us: f64,
    /// 99.9 %.
    pub(crate) p999_us: f64,
    /// 99.99 %.
    pub(crate) p9999_us: f64,
    /// The slowest.
    pub(crate) max_us: f64,
    /// Operations of more than 100 ms.
    pub(crate) stalls: u64,
}

#[cfg(test)]
mod tests {
    use super::Latencies;
    use std::time::Duration;

    #[test]
    fn threads_are_merged_and_stalls_counted() {
        let (mut one, mut two) = (Latencies::new(), Latencies::new());
        for microseconds in 1..=1_000 {
            one.record(Duration::from_micros(microseconds));
        }
        two.record(Duration::from_millis(150));
        one.merge(&two);
        let summary = one.summary();
        assert!((499.0..503.0).contains(&summary.p50_us), "{summary:?}");
        assert!((summary.max_us - 150_000.0).abs() < 1.0, "{summary:?}");
        assert_eq!(summary.stalls, 1);
    }
}

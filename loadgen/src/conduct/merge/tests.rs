//! Intervals of the same second add up; others stay apart.

use super::Merge;
use crate::measure::{Interval, Phase, Precedence, Sample, Tally, Usage};

fn interval(index: u64, phase: Phase, millis: u64) -> Interval {
    let mut tally = Tally::default();
    tally.latency.record(millis * 1_000_000);
    let series = [("get/ONE/eu".to_owned(), tally)].into();
    let sample = Sample { series, arrivals: 3, ..Sample::default() };
    let usage = Usage { cpu_seconds: 0.5, memory_bytes: 10 };
    Interval {
        index,
        phase,
        begin: index as f64,
        seconds: 1.0,
        sample,
        usage,
        pacer: Some(Precedence::Realtime),
    }
}

#[test]
fn seconds_of_processes_add_up() {
    let mut merge = Merge::new(2);
    assert_eq!(merge.add(interval(0, Phase::Warmup, 1)), None);
    assert_eq!(merge.add(interval(1, Phase::Measured, 1)), None);
    let lower = Interval { pacer: Some(Precedence::Raised), ..interval(1, Phase::Measured, 9) };
    let sum = merge.add(lower).unwrap();
    assert_eq!(sum.pacer, Some(Precedence::Raised), "the lowest of all");
    assert_eq!((sum.sample.arrivals, sum.usage.cpu_seconds, sum.usage.memory_bytes), (6, 1.0, 20));
    let latency = &sum.sample.series["get/ONE/eu"].latency;
    assert_eq!((latency.len(), latency.at(1.0) / 1_000_000), (2, 9));
    // What only one process has is kept, too.
    merge.add(interval(2, Phase::Measured, 1));
    let all = merge.finish();
    assert_eq!(all.iter().map(|i| i.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(all.iter().all(|interval| (interval.seconds - 1.0).abs() < 1e-9));
}
